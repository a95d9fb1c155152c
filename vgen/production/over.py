"""Decides that a job is over although its provider has not said so. Nothing else in vgen does. Pure: asks nobody.

A provider's own FAILED or CANCELLED ends a job at once. That it does not find a job, or its file, or can't show its
result, is no such word: it counts only if nothing else was heard for a minute of the monotonic clock. Ages are told by
the provider's `Date` header; the clock of this machine is never asked.
"""

from collections.abc import Callable
from dataclasses import dataclass

APART_S = 60.0
"""A hiccup of a gateway is shorter. Of two sightings of an absence, the second counts only so much later."""
UNREADABLE_S = 3600.0
"""A job that is over, and whose outcome can't be read for so long, is given up; an outage of a provider is shorter."""
FILES_KEPT_S = 48 * 3600.0
"""Runway keeps outputs for 24 to 48 h, fal for a week: until then a file that is not there may come back. Of the age of
an order, where its protocol does not say how long (`Vendor.files_kept_s`) or its provider not since when."""
JOBS_KEPT_S = 7 * 86_400.0
"""So old, a job that its provider did not find is not asked about by each run any more; `doit recover` still does."""


@dataclass(slots=True, kw_only=True)
class Absence:
    """How long one run has heard nothing else about a job than that it, its file or its result is not there.

    `clock`: the monotonic one.
    """

    clock: Callable[[], float]
    _first: float | None = None
    _last: float = 0.0

    def seen(self) -> None:
        """Absent, by an answer of the provider's own."""
        self._last = self.clock()
        if self._first is None:
            self._first = self._last

    def broken(self) -> None:
        """Any other answer, and none: what was seen before counts no more."""
        self._first = None

    @property
    def begun(self) -> bool:
        """Whether the last that was heard is an absence."""
        return self._first is not None

    @property
    def lasting(self) -> bool:
        """Whether it was seen at least twice, far enough apart, and nothing else in between."""
        return self._first is not None and self._last - self._first >= APART_S

    @property
    def left_s(self) -> float:
        """When to look again: sooner, it would not count."""
        return APART_S if self._first is None else max(0.0, self._first + APART_S - self.clock())


def forgotten(absence: Absence) -> bool:
    """Whether a job that its provider does not find counts as lost."""
    return absence.lasting


def confirmed(absence: Absence) -> bool:
    """Whether a failure that was read off a failed question counts as the job's."""
    return absence.lasting


def file_gone(absence: Absence, kept: "Kept") -> bool:
    """Whether a finished job's file that is nowhere counts as lost."""
    return absence.lasting and kept.is_overdue


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How old a file is, by its provider's clock, beside how long such are kept. None: unknown.

    `age_s`: of the order; `ended_s`: since the job ended; `kept_s`: so long after that the provider has it at most.
    """

    age_s: float | None
    ended_s: float | None
    kept_s: float | None

    @property
    def is_over(self) -> bool:
        """Whether its provider says that it keeps no file so long: to ask again is of no use."""
        return self.kept_s is not None and self.ended_s is not None and self.ended_s >= self.kept_s

    @property
    def is_overdue(self) -> bool:
        """Whether it may have been deleted."""
        if self.kept_s is not None and self.ended_s is not None:
            return self.is_over
        return self.age_s is not None and self.age_s >= max(FILES_KEPT_S, self.kept_s or 0.0)


def unreadable(absence: Absence, since_s: float | None) -> bool:
    """Whether a job whose result can't be read is given up. `since_s`: since that was first so; None: unknown."""
    return absence.lasting and old_enough(since_s)


def old_enough(since_s: float | None) -> bool:
    """Whether a result can't be read for longer than an outage lasts."""
    return since_s is not None and since_s >= UNREADABLE_S


def worth_asking(age_s: float | None, kept_s: float | None = None) -> bool:
    """Whether a provider may still have a job that it did not find. `kept_s`: how long it keeps files, if known."""
    return age_s is None or age_s <= max(JOBS_KEPT_S, kept_s or 0.0)
