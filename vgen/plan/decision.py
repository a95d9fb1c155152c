"""What to do next for one shot: keep, collect, buy, hold, stop. Pure: asks nobody, writes nothing.

`decision` is the one decision about a shot. The plan shows it before a run; the run follows it step by step, from the
ledger's rows alone; so a crash needs no recovery of its own, and the plan cannot disagree with the run.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from vgen.money import show
from vgen.plan import alike
from vgen.plan.request import Offer, ShotRequest
from vgen.store.purchase import COLLECTABLE, FREE, State, Why
from vgen.store.records import Choice, Placed, Purchase

QUEUE = "queue"
"""error_code of a job that never left the provider's queue and was cancelled: the fallback's turn."""
UNREADABLE = "unreadable"
"""error_code of a job that is over, and whose result could not be read for so long that it was given up."""
NOT_KEPT = "not_kept"
"""error_code of a lost purchase whose provider keeps no video so long: nobody asks about it again."""
NONE: Mapping[int, Why] = MappingProxyType({})
"""No purchase is superseded: the usual case, of many shots kept once."""
OVER = frozenset({State.REJECTED, State.FAILED, State.CANCELLED, State.LOST, *FREE})
"""Attempts that ended without a clip."""


class File(StrEnum):
    """How a clip's file looks beside what vgen remembers of it."""

    MISSING = "missing"
    INTACT = "intact"  # as vgen put it there
    EDITED = "edited"  # somebody else's bytes, and a video still: never overwritten without -a
    DAMAGED = "damaged"  # no readable video any more


class Action(StrEnum):
    """What a run would do for one shot."""

    KEEP = "keep"
    RESTORE = "restore"  # put a take back, free
    COLLECT = "collect"  # bring a paid job home, free
    BUY = "buy"
    WAIT = "wait"  # it is bought when the shots are there whose frames it is made from
    SHARE = "share"  # the same recipe as another shot: one purchase for both
    HELD = "held"  # an uncertain purchase blocks it
    STOP = "stop"  # nothing that vgen may do on its own


class Remedy(StrEnum):
    """What helps a shot that no provider makes now."""

    LATER = "later"  # a new run tries again by itself
    OPEN = "open"  # a provider is closed: its key, its credit
    AGAIN = "again"  # the attempts are used up; only -a begins anew
    EDIT = "edit"  # this text, length or picture is refused everywhere


FINAL_IS_HERE = "its final is here, so no draft of it is bought; leave tier=draft out for a new take of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What binds a decision besides the rows. `fresh_after`: with -a, rows up to this id count as superseded.

    `unable`: shot and provider → why that one can't take this shot's order in this run.
    `chosen`: recipe → the user's word which take serves it (`doit pick`, `doit keep`).
    `locked`: shot → the purchase whose take is its clip, whatever changes (`doit lock`).
    """

    run_id: str = ""
    on_uncertain: str = "hold"
    closed: Mapping[str, str] = field(default_factory=dict)
    unable: Mapping[tuple[int, str], str] = field(default_factory=dict)
    detached: Collection[int] = ()
    fresh_after: int | None = None
    chosen: Mapping[str, Choice] = field(default_factory=dict)
    locked: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The next act for a shot, with what it needs. `remedy`: of a STOP for which every provider had its turn.

    `lost_orders`: whether an order of the shot is uncertain then, of which its provider may know.
    """

    action: Action
    why: str = ""
    row: Purchase | None = None
    offer: Offer | None = None
    supersede: Mapping[int, Why] = field(default_factory=lambda: NONE)
    attempt: int = 1
    remedy: Remedy | None = None
    lost_orders: bool = False

    @property
    def may_come_back(self) -> bool:
        """Whether a lost job or order is in the way, which its provider may have after all."""
        row = self.row
        lost = row is not None and row.state is State.LOST and row.job_id is not None and row.error_code != NOT_KEPT
        return self.action is Action.STOP and (lost or self.lost_orders)


def decide(request: ShotRequest, rows: Sequence[Purchase], policy: Policy, placed: Placed | None = None) -> Decision:
    """What to do next for a shot, from all purchases of its recipes and those that were chosen for them."""
    if request.number in policy.locked:
        return _locked(request, rows, policy.locked[request.number])
    if request.final is not None and (now := _final(request, request.final, rows, policy, placed)) is not None:
        return now
    mine = [row for row in rows if request.matches(row)]
    fresh = [row for row in mine if policy.fresh_after is None or row.id > policy.fresh_after]
    good = [row for row in fresh if row.state is State.ACCEPTED]
    if policy.fresh_after is None and request.others:  # any of the takes wanted is a clip
        good = [row for row in rows if row.state is State.ACCEPTED and request.has_take(row)]
    unfinished = _unfinished(request, mine, policy) or _stranger(request, rows, policy)
    if unfinished and unfinished.action is Action.COLLECT:  # also beside a good take: -a that was interrupted
        return unfinished
    if picked := chosen(request, rows, policy):
        return Decision(action=Action.KEEP, row=picked)
    if good:
        return Decision(action=Action.KEEP, row=_preferred(good, request, placed))
    return unfinished or _found_again(mine, policy) or _purchase(request, mine, fresh, policy)


def _locked(request: ShotRequest, rows: Sequence[Purchase], purchase_id: int) -> Decision:
    """Of a shot whose clip the user locked: that one. Nothing is bought, and what is on its way does not replace it."""
    row = next((row for row in rows if row.id == purchase_id), None)
    if row is None:
        why = f"is locked, and the ledger does not know its take; `doit unlock shot={request.number}` lets it be made"
        return Decision(action=Action.STOP, why=why)
    return Decision(action=Action.KEEP, row=row)


def _final(
    request: ShotRequest, final: ShotRequest, rows: Sequence[Purchase], policy: Policy, placed: Placed | None
) -> Decision | None:
    """Of a draft whose final is here, or is coming: that one, and no draft is bought beside it; None without one."""
    if chosen(request, rows, policy) is not None:
        return None
    now = decide(final, rows, replace(policy, fresh_after=None), placed)
    if now.action is Action.KEEP and policy.fresh_after is not None:
        return Decision(action=Action.STOP, row=now.row, why=FINAL_IS_HERE)
    coming = (_coming(row, policy) for row in rows if final.has_take(row))  # any of the takes wanted is a final
    return now if now.action in (Action.KEEP, Action.COLLECT) else next(filter(None, coming), None)


def has_final(request: ShotRequest, rows: Sequence[Purchase], policy: Policy) -> bool:
    """Whether the final of a draft is here: -a then buys no draft."""
    if request.final is None:
        return False
    now = _final(request, request.final, rows, replace(policy, fresh_after=0), None)
    return now is not None and now.why == FINAL_IS_HERE


def _stranger(request: ShotRequest, rows: Sequence[Purchase], policy: Policy) -> Decision | None:
    """Stop if this recipe was bought at a provider for which the shot now has a different recipe."""
    wanted = {recipe_.digest for recipe_ in request.recipes.values()}
    for row in rows:
        counts = policy.fresh_after is None or row.id > policy.fresh_after
        if counts and row.blocks and row.recipe in wanted and not request.matches(row):
            what = f"the same text was bought at {row.provider} for shot {row.shot_number}"
            return Decision(
                action=Action.STOP, row=row, why=f"{what}; give the shot a seed of its own, or {_again(request)}"
            )
    return None


def chosen(request: ShotRequest, rows: Sequence[Purchase], policy: Policy) -> Purchase | None:
    """The purchase whose take the user chose for this shot, unless a newer take was bought (or is wanted) since."""
    if policy.fresh_after is not None:
        return None
    for digest in sorted(request.digests() & policy.chosen.keys()):
        choice = policy.chosen[digest]
        newer = any(request.matches(r) and r.state is State.ACCEPTED and r.id > choice.newest for r in rows)
        if not newer:
            return next((row for row in rows if row.id == choice.purchase_id), None)
    return None


def _preferred(good: Sequence[Purchase], request: ShotRequest, placed: Placed | None) -> Purchase:
    """The take in place, unless a newer one was bought for this very shot with -a; else the newest."""
    current = [row for row in good if row.superseded is None]
    here = [row for row in good if placed and row.id == placed.purchase_id]
    wanted = [row for row in current if row.shot_number == request.number]
    if here and (here[0].superseded is None or not wanted):
        return here[0]
    return (wanted or current or good)[-1]


def _coming(row: Purchase, policy: Policy) -> Decision | None:
    """What to do about a job that is paid for and not here yet; None if this is none."""
    if row.id in policy.detached:
        return Decision(
            action=Action.STOP,
            row=row,
            why=f"still running at {row.provider} ({row.job_id}); run again to collect it, or {how_to_end(row)}",
        )
    if row.state in COLLECTABLE:
        why = f"bought at {row.provider}, job {row.job_id} is to be collected"
        return Decision(action=Action.COLLECT, row=row, why=why)
    return None


def _found_again(mine: Sequence[Purchase], policy: Policy) -> Decision | None:
    """An uncertain order that was bought again at the user's word, and then turned up: collected before another."""
    coming = (_coming(row, policy) for row in mine if row.superseded is not None)
    return next((found for found in coming if found is not None), None)


def _unfinished(request: ShotRequest, mine: Sequence[Purchase], policy: Policy) -> Decision | None:
    """A purchase that must come to its end before another may begin; if one brings the clip, that one."""
    unended = [row for row in mine if row.superseded is None]
    coming = [found for row in unended if (found := _coming(row, policy)) is not None]
    if coming:  # one that this run has given up waiting for does not hold back another
        return next((found for found in coming if found.action is Action.COLLECT), coming[0])
    for row in unended:
        if row.state is State.UNCERTAIN and policy.on_uncertain == "hold":
            return Decision(action=Action.HELD, row=row, why=_held(request, row))
        if row.state in (State.RESERVED, State.SUBMITTING, State.NOT_SENT):
            return Decision(action=Action.HELD, row=row, why=f"is being bought at {row.provider} by another run")
    return None


def _held(request: ShotRequest, row: Purchase) -> str:
    reason = (row.error or "its answer never came").rstrip(".")
    return (
        f"{row.provider} may have charged {show(row.price)}: {reason}; look there, then "
        f"{settle_command(row, number=request.number)} (or as=not-charged, or the job's id), "
        f"or `doit on_uncertain=rebuy clip:{request.number}` buys it again"
    )


def settle_command(row: Purchase, *, number: int | None = None) -> str:
    """The command that ends this purchase as charged, and no other, whenever it is typed."""
    shot = row.shot_number if number is None else number
    return f"`doit settle shot={shot} as=charged job={row.job_id or row.id}`"


def how_to_end(row: Purchase) -> str:
    """For whoever can't or won't wait for a purchase any longer."""
    return f"end it with {settle_command(row)} (or as=not-charged)"


def _purchase(request: ShotRequest, mine: Sequence[Purchase], fresh: Sequence[Purchase], policy: Policy) -> Decision:
    """Buy at the first provider that has not had its turn."""
    for row in fresh:
        if row.state is State.CANCELLED and row.superseded is None and row.error_code != QUEUE:
            return Decision(action=Action.STOP, row=row, why=f"was cancelled at {row.provider}; {_again(request)}")
        if row.state is State.LOST and row.superseded is None:
            reason = row.error or "the file can't be fetched"
            return Decision(
                action=Action.STOP,
                row=row,
                why=f"paid {show(row.charged)} at {row.provider}, but {reason}; {_again(request)}",
            )
    supersede: dict[int, Why] = {}
    for row in mine:
        if row.blocks:
            old = policy.fresh_after is not None and row.id <= policy.fresh_after
            supersede[row.id] = Why.AGAIN if old else _why(row)
    reasons: dict[str, Remedy] = {}
    for offer in request.offers:
        reason, tried, remedy = _spent_turn(offer, fresh, policy, request.number)
        if reason:
            reasons[reason] = remedy
            continue
        moved = {
            row_id: Why.FALLBACK
            if why in (Why.FAILED, Why.REJECTED) and _provider(mine, row_id) != offer.provider
            else why
            for row_id, why in supersede.items()
        }
        return Decision(
            action=Action.BUY,
            offer=offer,
            supersede=moved or NONE,
            attempt=tried + 1,
            why=_to_be_bought(offer.provider),
        )
    remedies = [*reasons.values(), Remedy.OPEN]
    remedy = Remedy.LATER if Remedy.LATER in remedies else remedies[0]
    return Decision(
        action=Action.STOP,
        why="; ".join(reasons) or "no provider is open",
        remedy=remedy,
        lost_orders=any(row.state is State.UNCERTAIN for row in mine),
    )


@functools.cache
def _to_be_bought(provider: str) -> str:
    return f"to be bought at {provider}"


def _provider(rows: Sequence[Purchase], row_id: int) -> str:
    return next(row.provider for row in rows if row.id == row_id)


def _why(row: Purchase) -> Why:
    match row.state:
        case State.UNCERTAIN:
            return Why.REBUY
        case State.REJECTED:
            return Why.REJECTED
        case _:
            return Why.FAILED


def _spent_turn(offer: Offer, rows: Sequence[Purchase], policy: Policy, shot: int) -> tuple[str, int, Remedy]:
    """Why a provider has had its turn with this recipe ("" if not), the attempts that count, and what would help."""
    here = [row for row in rows if row.provider == offer.provider and row.superseded != Why.AGAIN]
    final = [row for row in here if row.final and offer.order is not None and alike.is_same(row.request, offer.order)]
    if final:
        return f"{offer.provider} refused the order: {final[-1].error}", len(here), Remedy.EDIT
    if closed := policy.closed.get(offer.provider):
        return closed if offer.provider in closed else f"{offer.provider}: {closed}", 0, Remedy.OPEN
    if offer.order is None:
        return f"{offer.provider}: {offer.problem}", 0, Remedy.EDIT
    if unable := policy.unable.get((shot, offer.provider)):
        return f"{offer.provider}: {unable}", 0, Remedy.LATER
    cancelled = [row for row in here if row.state is State.CANCELLED and row.run_id == policy.run_id]
    queued = [row for row in cancelled if row.error_code == QUEUE]
    if queued:
        return f"{offer.provider}: {queued[-1].error}", len(here), Remedy.LATER
    if twice := alike.rejected_twice(here, offer.order.text):
        reason = f"{offer.provider} was rejected twice for the same reason: {twice.error}"
        return reason, len(here), Remedy.AGAIN
    paid = [row for row in here if row.charged > 0 or row.state is State.UNCERTAIN]
    counted = [row for row in here if row in paid or (row.run_id == policy.run_id and row.state in OVER)]
    if len(counted) >= offer.max_retries:
        times = "once" if len(counted) == 1 else f"{len(counted)} times"
        remedy = Remedy.AGAIN if len(paid) >= offer.max_retries else Remedy.LATER
        return f"{offer.provider} failed {times}: {counted[-1].error or counted[-1].state}", len(counted), remedy
    return "", len(counted), Remedy.LATER


def _again(request: ShotRequest) -> str:
    return f"`doit -a clip:{request.number}` buys it again"
