"""How far a run, or other long work, has come: as values and in words. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from vgen.money import show
from vgen.store.records import Budget


class Row(NamedTuple):
    """One thing that is at work: its name, seconds since it began, its state."""

    name: str
    work_s: float
    text: str


class Shown(Protocol):
    """Work that a screen can show."""

    def rows(self) -> Sequence[Row]:
        """What is at work, one by one."""
        ...

    def totals(self) -> Sequence[str]:
        """Counts, time left, money: the most important first."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """The same for programs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A shot that was begun. Seconds since its phase began, and since its work began."""

    number: int
    text: str
    state_s: float
    work_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run's counts and money. `typical_s`: a generation's mean time as measured so far, None before the first.

    `in_flight`: shots that hold a slot at a provider; `arriving`: those whose file is downloaded and checked;
    `pausing`: those between two attempts.
    """

    total: int
    done: int
    failed: int
    in_flight: Sequence[Shot] = ()
    arriving: Sequence[Shot] = ()
    pausing: Sequence[Shot] = ()
    budget: Budget
    simulated: bool
    typical_s: float | None
    max_concurrent: int

    @property
    def waiting(self) -> int:
        """Shots that nobody works on, begun or not."""
        return max(0, self.total - self.done - self.failed - len(self.in_flight) - len(self.arriving))

    @property
    def left_s(self) -> float | None:
        """Seconds that are left if generations take as long as those measured; None if none was."""
        if self.typical_s is None:
            return None
        rest = [max(0.0, self.typical_s - shot.state_s) for shot in self.in_flight]
        return max(max(rest, default=0.0), (sum(rest) + self.waiting * self.typical_s) / self.max_concurrent)

    def rows(self) -> list[Row]:
        """Every shot that was begun and is not over."""
        shots = sorted((*self.in_flight, *self.arriving, *self.pausing), key=lambda shot: shot.number)
        return [Row(f"clip {shot.number:03d}", shot.work_s, shot.text) for shot in shots]

    def totals(self) -> list[str]:
        """Counts, time left, money."""
        parts = [counts(self), time_left(self.left_s), money(self.budget, simulated=self.simulated)]
        return [part for part in parts if part]

    def facts(self) -> dict[str, Any]:
        """What a heartbeat of `-r jsonl` has."""
        return {
            "done": self.done,
            "total": self.total,
            "failed": self.failed,
            "in_flight": [shot.number for shot in self.in_flight],
            "arriving": [shot.number for shot in self.arriving],
            "spent_usd": self.budget.spent / 1e6,
            "reserved_usd": self.budget.reserved / 1e6,
            "uncertain_usd": self.budget.uncertain / 1e6,
        }


MB = 1_000_000


@dataclass(slots=True, kw_only=True)
class Work:
    """Long work that is no run: what is done, and how many `steps` of how many. Those who do it call `begin`, `step`.

    `total` 0: nobody knows how many. `clock`: monotonic seconds. `tell`: prints a line about a step.
    """

    clock: Callable[[], float]
    tell: Callable[..., None]
    what: str = ""
    steps: str = "clips"
    total: int = 0
    done: int = 0
    _began: float = field(init=False)
    _measured: Callable[[], int] | None = None

    def __post_init__(self) -> None:
        self._began = self.clock()

    def begin(self, what: str, total: int = 0) -> None:
        """The next part of the work."""
        self.what, self.total, self.done, self._began = what, total, 0, self.clock()
        self._measured = None

    def measure(self, what: str, total_bytes: int, done: Callable[[], int]) -> None:
        """The next part, which writes a file: `done` says how much of it is there."""
        self.begin(what, max(1, round(total_bytes / MB)))
        self._measured = done

    def step(self, number: int | None = None, text: str = "") -> None:
        """One more step is done; `text`: a line about it, for the shot with this number."""
        self.done += 1
        if text:
            self.tell(number, text, finished=self.done, total=self.total)

    def of(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self.done, self.total = done, total

    @property
    def count(self) -> str:
        """`[2/5] `, to go before a line; nothing if there is only one."""
        return f"[{self.done}/{self.total}] " if self.total > 1 else ""

    def rows(self) -> list[Row]:
        """None: steps are short."""
        return []

    def totals(self) -> list[str]:
        """`conforming: 12 of 40 clips` and the time left, or the time since it began."""
        if self._measured is not None:
            self.done = min(self.total, round(self._measured() / MB))
        unit = self.steps if self._measured is None else "MB"
        since_s = self.clock() - self._began
        if not self.total:
            return [self.what, f"since {duration(since_s)}"] if since_s >= 1 else [self.what]
        left_s = since_s / self.done * (self.total - self.done) if self.done else None
        return [part for part in (f"{self.what}: {self.done} of {self.total} {unit}", time_left(left_s)) if part]

    def facts(self) -> dict[str, Any]:
        """What a heartbeat of `-r jsonl` has."""
        return {"done": self.done, "total": self.total}


def counts(now: Progress) -> str:
    """`4 of 12 clips, 1 failed, 5 in flight, 1 downloading, 1 waiting`."""
    parts = [f"{now.done} of {now.total} clips"]
    parts += [f"{now.failed} failed"] if now.failed else []
    parts += [f"{len(now.in_flight)} in flight"] if now.in_flight else []
    parts += [f"{len(now.arriving)} downloading"] if now.arriving else []
    parts += [f"{now.waiting} waiting"] if now.waiting else []
    return ", ".join(parts)


def money(budget: Budget, *, simulated: bool) -> str:
    """`spent $1.20, reserved $0.96, uncertain $0.48 of $5.00`."""
    text = f"spent {show(budget.spent)}"
    text += f", reserved {show(budget.reserved)}" if budget.reserved else ""
    text += f", uncertain {show(budget.uncertain)}" if budget.uncertain else ""
    text += f" of {show(budget.cap)}" if budget.cap is not None else ""
    return text + (" (play money)" if simulated else "")


def time_left(left_s: float | None) -> str:
    """`about 2 min left`, or nothing while nobody knows."""
    return f"about {duration(left_s)} left" if left_s is not None and left_s >= 1 else ""


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `1 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def heartbeat(now: Shown, *, shown: int = 3) -> str:
    """One line for a screen that shows lines only."""
    rows = now.rows()
    named = [f"{row.name} {row.text} ({duration(row.work_s)})" for row in rows[:shown]]
    named += [f"{len(rows) - shown} more"] if len(rows) > shown else []
    return "; ".join((*now.totals(), *named))
