"""What a run says at its end: the count, the money, a line for each shot that is missing. Pure.

Everything that a production lacks is said here once, whatever command ended and however it ended.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vgen.money import show
from vgen.plan.decision import Action, File, settle_command
from vgen.plan.plan import Plan
from vgen.ranges import ranges
from vgen.store.records import Budget, Purchase
from vgen.views import next_steps, progress, words
from vgen.views.report import NOT_YET, Gate

OTHERS = 12
"""So many numbers or ranges of shots that nobody asked for are named in their one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A shot without a clip of its own: why, in words, and the command that helps, as it can be pasted."""

    number: int
    text: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a production stands when a run ends. `wanted`: the shots that the run was about; None: all. `counts_them`:
    whether they are counted by themselves: a run was to make them.

    `others`: further shots that lack a clip. `edited`: clips that somebody edited; `locked`: of the wanted, those that
    stay as they are. `gates`: those that failed. `unclaimed`: a line for each order of unknown fate that no shot
    without a clip waits for.
    """

    total: int
    good: frozenset[int]
    wanted: frozenset[int] | None
    counts_them: bool
    missing: Sequence[Missing]
    others: Sequence[int]
    edited: Sequence[int]
    locked: Sequence[int]
    gates: Sequence[str]
    unclaimed: Sequence[str]
    budget: Budget
    simulated: bool


def ending(
    entries: Iterable[Mapping[str, Any]],
    gates: Iterable[Gate],
    plan: Plan,
    uncertain: Iterable[Purchase],
    *,
    wanted: frozenset[int] | None,
    builds: bool,
    advice: Callable[[str], str],
) -> Ending:
    """The end, from the report's entries (one for each step of the plan, in its order)."""
    entries = list(entries)
    lacking = [entry["shot_number"] for entry in entries if not entry["success"]]
    asked = [number for number in lacking if wanted is None or number in wanted]
    budget = next_steps.enough(plan, asked)
    reasons = {entry["shot_number"]: str(entry["error"] or "") for entry in entries if not entry["success"]}
    return Ending(
        total=len(entries),
        good=frozenset(entry["shot_number"] for entry in entries if entry["success"]),
        wanted=wanted,
        counts_them=builds,
        missing=[_missing(plan, number, reasons[number], budget, advice) for number in asked],
        others=[number for number in lacking if wanted is not None and number not in wanted],
        edited=[entry["shot_number"] for entry in entries if entry.get("edited")],
        locked=[step.number for step in plan.steps if step.locked and (wanted is None or step.number in wanted)],
        gates=[words.failed_gate(gate) for gate in gates if not gate.passed],
        unclaimed=[advice(_unclaimed(row)) for row in uncertain if not _is_awaited(row, plan, lacking)],
        budget=plan.budget,
        simulated=plan.simulated,
    )


def _missing(plan: Plan, number: int, reason: str, budget: str, advice: Callable[[str], str]) -> Missing:
    step = plan.step(number)
    first = next_steps.in_the_way(step, plan)
    command, phrase = (advice(text) for text in next_steps.phrase(first, budget, for_another=first is not step))
    command = advice(f"`{command}`").strip("`")
    there = step.file in (File.INTACT, File.EDITED)
    text = f"{'out of date' if there else 'missing'}: {reason.removeprefix(NOT_YET).rstrip('.')}"
    could_not = step.action is Action.RESTORE and "`" in text  # a take that was deleted: it says itself what helps
    return Missing(
        number=number,
        text=text if not phrase or could_not or f"`{command}`" in text else f"{text}; {phrase}",
        command=command,
    )


def _is_awaited(row: Purchase, plan: Plan, lacking: Iterable[int]) -> bool:
    """Whether the line of a shot without a clip tells of it."""
    return any(plan.step(number).request.is_served_by(row) for number in lacking)


def _unclaimed(row: Purchase) -> str:
    return (
        f"{row.provider} may have charged {show(row.price)} for an order of shot {row.shot_number} "
        f"that no clip waits for; look there, then {settle_command(row)} (or as=not-charged, or the job's id)"
    )


def count(end: Ending) -> str:
    """`7 of 12 clips; spent $1.20 of $5.00`, of named clips `1 of 2 named clips, 7 of 12 in all; …`."""
    text = f"{len(end.good)} of {end.total} clips"
    if end.wanted is not None and end.counts_them:
        text = f"{len(end.good & end.wanted)} of {len(end.wanted)} named clips, {len(end.good)} of {end.total} in all"
    play = " (play money: everything here is simulated)" if end.simulated else ""
    return f"{text}; {progress.money(end.budget, simulated=False)}{play}"


def edits(end: Ending) -> Iterator[str]:
    """A line for each clip that somebody edited."""
    return (f"clip {number:03d} was edited by hand and is kept as it is" for number in end.edited)


def locks(end: Ending) -> Iterator[str]:
    """One line for all clips that the user locked."""
    if end.locked:
        which = ranges(end.locked, most=OTHERS)
        yield f"clip {which} is locked" if len(end.locked) == 1 else f"clips {which} are locked"


def others(end: Ending) -> str:
    """One line for all shots without a clip that the run was not about; "" if there is none."""
    if not end.others:
        return ""
    shots = "1 other shot has" if len(end.others) == 1 else f"{len(end.others)} other shots have"
    which = ranges(end.others, most=OTHERS)
    return f"{shots} no up-to-date clip ({which}): `doit` builds what is missing, `doit plan` says what and why"
