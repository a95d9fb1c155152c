"""What the ledger's rows look like to everybody else: values, no SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypedDict

from vgen.store import purchase
from vgen.store.purchase import State

ChargedBy = Literal["provider", "assumed", "user"]
"""Whose word `charged` is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPurchase:
    """What is known of a purchase before anything is sent. `price`: the most that it can cost."""

    run_id: str
    shot_number: int
    recipe: str
    manifest: tuple[tuple[str, str], ...]
    simulated: bool
    provider: str
    account: str
    base_url: str
    model: str
    path: str
    request: str
    correlation_seed: str
    bought_s: str
    price: int


class Facts(TypedDict, total=False):
    """What becomes known of a purchase later. What is not given stays as it was; None takes away."""

    price: int
    charged: int
    charged_by: ChargedBy
    job_id: str
    urls: Mapping[str, str]
    error: str | None
    error_code: str | None
    final: bool
    submitted_at: float
    rendered_at: float
    sha256: str
    size_bytes: int
    account: str
    base_url: str
    sent_before: float
    clock_ahead_s: float
    unreadable_since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One row of `purchases`; money in micro-dollars, times in unix seconds.

    `sent_before` and `unreadable_since` are moments of the provider's clock, `clock_ahead_s` how wrong ours was then.
    """

    id: int
    run_id: str
    shot_number: int
    recipe: str
    manifest: tuple[tuple[str, str], ...]
    simulated: bool
    provider: str
    account: str
    base_url: str
    model: str
    path: str
    request: str
    correlation_seed: str
    bought_s: str
    price: int
    charged: int
    charged_by: ChargedBy | None
    state: State
    superseded: str | None
    job_id: str | None
    urls: Mapping[str, str]
    error: str | None
    error_code: str | None
    final: bool
    created_at: float
    submitted_at: float | None
    rendered_at: float | None
    sha256: str | None
    size_bytes: int | None
    sent_before: float | None = None
    clock_ahead_s: float | None = None
    unreadable_since: float | None = None

    @property
    def tag(self) -> str:
        """RUN-NUMBER, which no other order has: what a codec sends along so that the job can be found again."""
        return f"{self.run_id}-{self.correlation_seed}"

    @property
    def blocks(self) -> bool:
        """Whether it forbids another purchase of its recipe."""
        return self.superseded is None and purchase.blocks(self.state, self.charged)

    @property
    def cost(self) -> int:
        """What it has cost, or may have."""
        if self.state in purchase.HOLDS or self.state is State.UNCERTAIN:
            return self.price
        return self.charged


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One file that a purchase brought. `path` is relative to `outputs`; `take` counts from 1 in a recipe."""

    purchase_id: int
    recipe: str
    simulated: bool
    take: int
    path: str
    good: bool
    reason: str | None
    sha256: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    fps: float | None = None
    codec: str | None = None
    has_audio: bool | None = None
    generation_s: float | None = None
    remarks: tuple[str, ...] = ()
    """What strikes the eye or the ear, in words. Never a reason to reject."""
    claims: str | None = None
    """JSON: what the file says of its own making, unchecked. None: nothing, or it came before vgen looked."""
    checked_at_host: str | None = None
    """Which worker of a cluster has checked it; None: the machine that ran vgen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Which take vgen put under a clip's name, and the file's stat at that moment."""

    name: str
    shot_number: int
    purchase_id: int
    sha256: str
    size_bytes: int
    mtime_ns: int
    edited: bool = False
    facts: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The user's word which purchase serves a recipe, until one newer than `newest` is accepted."""

    purchase_id: int
    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retake:
    """A new take of a shot, asked for with -a. Those of one `command` (the id of the run that asked last) go together.

    Purchases up to `newest` are no new take. `settled`: the user has chosen a take since. `id`: 0 before it is kept.
    """

    id: int
    command: str
    shot_number: int
    recipes: frozenset[str]
    newest: int
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutShot:
    """Something that the user said of a shot in review. `id`: 0 before it is kept.

    `recipes`: those that the shot has had since, also without the takes whose frames it is made from; `twins`: other
    shots that had one of them when it was last looked at; `alike`: those that differed in such takes only.
    """

    id: int
    shot_number: int
    recipes: frozenset[str] = frozenset()
    twins: frozenset[int] = frozenset()
    alike: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock(AboutShot):
    """The shot's clip stays as it is: the take of this purchase."""

    purchase_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(AboutShot):
    """A remark, in one line of harmless text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Where the production's money stands, in micro-dollars. `cap` None: nothing binds."""

    cap: int | None = None
    spent: int = 0
    reserved: int = 0
    uncertain: int = 0

    @property
    def exposure(self) -> int:
        """All that is or may be gone."""
        return self.spent + self.reserved + self.uncertain

    @property
    def left(self) -> int | None:
        """What may still be reserved; never negative."""
        return None if self.cap is None else max(0, self.cap - self.exposure)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a plan needs, read at once: purchases, takes, choices of one world (live or simulated), clips placed."""

    purchases: Mapping[int, Purchase] = field(default_factory=dict)
    by_recipe: Mapping[str, Sequence[Purchase]] = field(default_factory=dict)
    takes: Mapping[int, Take] = field(default_factory=dict)
    placed: Mapping[str, Placed] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    chosen: Mapping[str, Choice] = field(default_factory=dict)
    retakes: Sequence[Retake] = ()
    locks: Sequence[Lock] = ()
    notes: Sequence[Note] = ()
