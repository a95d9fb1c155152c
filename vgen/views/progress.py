"""Where a run stands right now, as values and in words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from vgen.money import show
from vgen.store.records import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A shot that somebody works on. `work_s`: seconds since its work began."""

    number: int
    text: str
    work_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run's counts and money. `typical_s`: a generation's mean time as measured so far, None before the first."""

    total: int
    done: int
    failed: int
    in_flight: Sequence[InFlight]
    budget: Budget
    simulated: bool
    typical_s: float | None
    max_concurrent: int

    @property
    def waiting(self) -> int:
        """Shots whose turn has not come."""
        return max(0, self.total - self.done - self.failed - len(self.in_flight))

    @property
    def left_s(self) -> float | None:
        """Seconds that are left if generations take as long as those measured; None if none was."""
        if self.typical_s is None:
            return None
        rest = [max(0.0, self.typical_s - shot.work_s) for shot in self.in_flight]
        return max(max(rest, default=0.0), (sum(rest) + self.waiting * self.typical_s) / self.max_concurrent)


def counts(now: Progress) -> str:
    """`4 of 12 clips, 1 failed, 5 in flight, 2 waiting`."""
    parts = [f"{now.done} of {now.total} clips"]
    parts += [f"{now.failed} failed"] if now.failed else []
    parts += [f"{len(now.in_flight)} in flight"] if now.in_flight else []
    parts += [f"{now.waiting} waiting"] if now.waiting else []
    return ", ".join(parts)


def money(budget: Budget, *, simulated: bool) -> str:
    """`spent $1.20, reserved $0.96, uncertain $0.48 of $5.00`."""
    text = f"spent {show(budget.spent)}"
    text += f", reserved {show(budget.reserved)}" if budget.reserved else ""
    text += f", uncertain {show(budget.uncertain)}" if budget.uncertain else ""
    text += f" of {show(budget.cap)}" if budget.cap is not None else ""
    return text + (" (play money)" if simulated else "")


def time_left(now: Progress) -> str:
    """`about 2 min left`, or nothing before a generation was measured."""
    if now.left_s is None or now.left_s < 1:
        return ""
    return f"about {duration(now.left_s)} left"


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `1 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def heartbeat(now: Progress, *, shots: int = 3) -> str:
    """One line for a terminal that shows lines only."""
    named = [f"clip {shot.number:03d} {shot.text} ({duration(shot.work_s)})" for shot in now.in_flight[:shots]]
    more = len(now.in_flight) - shots
    named += [f"{more} more"] if more > 0 else []
    parts = [counts(now), "; ".join(named), money(now.budget, simulated=now.simulated), time_left(now)]
    return "; ".join(part for part in parts if part)
