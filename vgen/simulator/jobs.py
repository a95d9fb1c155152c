"""What a simulated provider remembers of a job, and what follows from it. Knows no HTTP and no files."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from vgen.simulator import given
from vgen.simulator.given import Pictures, Places

OVERRUN_FACTOR = 3
REFUSED_AT_ONCE = frozenset({"failed_on_create", "no_credits"})
"""What makes a job one that has failed already when it is created."""


class State(StrEnum):
    """A job's state in Runway's words; the other protocols translate."""

    PENDING = "PENDING"
    THROTTLED = "THROTTLED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Billing:
    """How a vendor charges. `unit_micro`: charges are whole multiples of it. `tells`: a job says what it cost."""

    unit_micro: int = 1
    tells: bool = False
    moderated: bool = False
    """A job that ends refused by moderation is charged in full."""


PLAIN = Billing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a valid create asks for. Money in micro-dollars; `estimate_micro` is the most it may charge.

    `provider`: the name of its protocol. `brand`: whose name the clip shows, if it is another.
    """

    provider: str
    endpoint: str
    model: str
    prompt: str
    body: Mapping[str, Any]
    duration_s: float
    width: int
    height: int
    estimate_micro: int
    price_micro: int
    audio: bool = False
    invalid: tuple[Mapping[str, Any], ...] = ()
    """Some bad input is found only when it runs: the problems to tell then."""
    billing: Billing = PLAIN
    brand: str = ""
    key: str = ""
    """The idempotency key that it came with."""
    expires_s: float | None = None
    """After so long without an end it fails, free of charge."""
    pictures: Places = ()
    """Where in `body` its pictures are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An accepted order. The last four fields are what happened since, in Unix seconds."""

    id: str
    order: Order
    created_at: float
    queue_s: float
    render_s: float
    faults: frozenset[str] = frozenset()
    started_at: float = math.inf
    ended_at: float = math.inf
    cancelled_at: float = math.inf
    deleted_at: float = math.inf

    @property
    def fails(self) -> bool:
        return bool(self.order.invalid) or not self.faults.isdisjoint(
            {"job_failed", "job_moderated", "create_moderation", *REFUSED_AT_ONCE}
        )

    @property
    def fails_at_once(self) -> bool:
        """It never waits and never runs."""
        return not self.faults.isdisjoint(REFUSED_AT_ONCE)

    @property
    def expires_at(self) -> float:
        """When it fails unless it has ended."""
        return math.inf if self.order.expires_s is None else self.created_at + self.order.expires_s

    @property
    def over_at(self) -> float:
        """When it ended, in whatever way; infinity if it has not."""
        return min(self.ended_at, self.cancelled_at, self.expires_at)

    def expired(self, now: float) -> bool:
        """Whether it ended for lack of an end."""
        return self.expires_at <= now and self.over_at == self.expires_at

    @property
    def price_micro(self) -> int:
        """What it charges when it succeeds."""
        if "price_overrun" not in self.faults:
            return self.order.price_micro
        unit = self.order.billing.unit_micro
        return self.order.estimate_micro * OVERRUN_FACTOR // unit * unit

    def state(self, now: float) -> State:
        """Its state at `now`, with PENDING for everything that has not started."""
        if self.cancelled_at <= now:
            return State.CANCELLED
        if self.expired(now):
            return State.FAILED
        if self.ended_at <= now:
            return State.FAILED if self.fails else State.SUCCEEDED
        return State.RUNNING if self.started_at <= now else State.PENDING

    def charged_micro(self, now: float) -> int:
        """What has been charged for it at `now`: the truth that every ledger must agree with."""
        match self.state(now):
            case State.SUCCEEDED:
                return self.price_micro
            case State.FAILED if self.order.billing.moderated and "job_moderated" in self.faults:
                return self.price_micro
            case State.CANCELLED if self.started_at <= self.cancelled_at:
                return self.price_micro
            case _:
                return 0

    def held_micro(self, now: float) -> int:
        """What may yet be charged for it."""
        return 0 if self.state(now) in ENDED else max(self.order.estimate_micro, self.price_micro)


def to_json(job: Job) -> dict[str, Any]:
    """A created job as a journal keeps it: what happens later follows from the events."""
    order = {name.name: getattr(job.order, name.name) for name in fields(Order)}
    order["body"] = dict(job.order.body)
    order["invalid"] = [dict(problem) for problem in job.order.invalid]
    order["billing"] = asdict(job.order.billing)
    return {
        "id": job.id,
        "created_at": job.created_at,
        "queue_s": job.queue_s,
        "render_s": job.render_s,
        "faults": sorted(job.faults),
        "order": order,
    }


def from_json(kept: Mapping[str, Any]) -> Job:
    """The job that `to_json` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    order = dict(kept["order"])
    order["invalid"] = tuple(order["invalid"])
    order["billing"] = Billing(**order.get("billing", {}))  # journals of before 2026-12 have neither
    order["pictures"] = tuple((role, tuple(place)) for role, place in order.get("pictures", ()))
    return Job(
        id=kept["id"],
        order=Order(**order),
        created_at=kept["created_at"],
        queue_s=kept["queue_s"],
        render_s=kept["render_s"],
        faults=frozenset(kept["faults"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The video that a job delivers: what a renderer is asked to make."""

    job_id: str
    label: str
    prompt: str
    provider: str
    width: int
    height: int
    duration_s: float
    audio: bool = False
    small: bool = False
    """A valid video of 100,000 bytes or less."""
    fps: int = 24
    version: int = 1
    """The how-manieth clip of this prompt: each looks different."""
    pictures: Pictures = field(default=(), repr=False)
    """What it is made from, as far as it came with the order."""

    def facts(self) -> dict[str, Any]:
        """All but its pictures."""
        found = asdict(self)
        del found["pictures"]
        return found


def clip_of(job: Job, label: str, version: int, stored: Callable[[str], bytes | None]) -> Clip:
    """What comes out of `job`, its clip_* faults applied. `version`: the how-manieth clip of its prompt it is.

    `stored`: the file that was uploaded under an address.
    """
    order = job.order
    width, height = order.width, order.height
    if "clip_480p" in job.faults:
        width, height = (854, 480) if width >= height else (480, 854)
    if "clip_landscape" in job.faults:
        width, height = (height, width) if width != height else (width, height * 9 // 32 * 2)
    return Clip(
        job_id=job.id,
        label=label,
        prompt=order.prompt,
        provider=order.brand or order.provider,
        width=width,
        height=height,
        duration_s=0.5 if "clip_short" in job.faults else order.duration_s,
        audio=order.audio,
        small="clip_small" in job.faults,
        version=version,
        pictures=given.within(order.body, order.pictures, stored),
    )
