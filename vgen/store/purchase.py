"""The life of one purchase: its states, every legal move, and where its money stands. Pure tables; no clock, no disk.

The ledger copies these tables into SQLite, which refuses any other move; the diagram in the docs is drawn from them.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where one purchase stands."""

    RESERVED = "reserved"  # its price counts against the cap; provably unsent
    SUBMITTING = "submitting"  # the create may be on the wire
    NOT_SENT = "not_sent"  # the create provably never left
    RENDERING = "rendering"  # the provider's job id is on disk; resumable for ever ("detached" when nobody waits)
    RENDERED = "rendered"  # the job ended well: paid
    FETCHED = "fetched"  # all bytes are on disk
    ACCEPTED = "accepted"  # good, and among the takes
    REJECTED = "rejected"  # came whole, but is no good clip; paid, kept among the takes
    REFUSED = "refused"  # the provider said no; not charged
    RELEASED = "released"  # given up before anything was sent; not charged
    FAILED = "failed"  # the job failed at the provider; charged says what it cost
    CANCELLED = "cancelled"  # stopped at our or the user's word; charged says what it cost
    LOST = "lost"  # paid, and can't be fetched; asked for again as long as its provider may have it
    UNCERTAIN = "uncertain"  # perhaps bought: the answer never came


S = State

MOVES: Mapping[State, frozenset[State]] = {
    S.RESERVED: frozenset({S.SUBMITTING, S.RELEASED}),
    S.SUBMITTING: frozenset({S.RENDERING, S.REFUSED, S.NOT_SENT, S.UNCERTAIN}),
    S.NOT_SENT: frozenset({S.RESERVED, S.RELEASED}),
    S.RENDERING: frozenset({S.RENDERED, S.FAILED, S.CANCELLED, S.LOST}),  # lost: the provider forgot it
    S.RENDERED: frozenset({S.FETCHED, S.LOST, S.FAILED, S.CANCELLED}),  # it may end otherwise than it first said
    S.FETCHED: frozenset({S.ACCEPTED, S.REJECTED, S.RENDERED}),  # back: the bytes were damaged or are gone
    S.UNCERTAIN: frozenset({S.RENDERING, S.NOT_SENT, S.LOST}),  # found; provably absent; the user says charged
    S.ACCEPTED: frozenset(),
    S.REJECTED: frozenset(),
    S.REFUSED: frozenset(),
    S.RELEASED: frozenset(),
    S.FAILED: frozenset({S.RENDERED}),  # given up as unreadable, and readable after all
    S.CANCELLED: frozenset(),
    S.LOST: frozenset({S.RENDERING, S.RENDERED}),  # the provider has it after all
}

COLLECTABLE = frozenset({S.RENDERING, S.RENDERED, S.FETCHED})
"""The next run brings these home, free."""

UNFINISHED = COLLECTABLE | {S.UNCERTAIN}
"""Waits for its provider or for the user, whatever went wrong; `doit settle` ends it by the user's word."""

HOLDS = frozenset({S.RESERVED, S.SUBMITTING, S.NOT_SENT, S.RENDERING})
"""The price is reserved."""

FREE = frozenset({S.REFUSED, S.RELEASED})
"""Ended, and cost nothing by definition."""

SETTLED = frozenset({S.RENDERED, S.FETCHED, S.ACCEPTED, S.REJECTED, S.FAILED, S.CANCELLED, S.LOST})
"""The provider's job is over: `charged` is what it cost, fetched or not."""


class Why(StrEnum):
    """Why a purchase no longer stands in the way of another of the same recipe. Each is a row that can be counted."""

    REJECTED = "rejected"  # policy: a whole but bad clip, within max_retries
    FAILED = "failed"  # policy: a billed failure, within max_retries
    AGAIN = "again"  # the user's word: -a
    REBUY = "rebuy"  # the user's word: on_uncertain=rebuy
    FALLBACK = "fallback"  # policy: the primary has used up its attempts, each with a known outcome


def blocks(state: State, charged: int) -> bool:
    """Whether a purchase, unless superseded, forbids another one of its recipe."""
    return not (state in FREE or (state in (S.FAILED, S.CANCELLED) and charged == 0))


def check() -> None:
    """Raise AssertionError if the tables contradict each other."""
    assert set(MOVES) == set(State)
    assert not HOLDS & SETTLED
    assert State.UNCERTAIN not in HOLDS | SETTLED | FREE
    assert HOLDS | SETTLED | FREE | {State.UNCERTAIN} == set(State)
