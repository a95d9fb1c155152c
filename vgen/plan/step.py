"""Shots × ledger × files → a step for each: what would happen, why, and for how much. Pure, as `decision` is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType

from vgen import chains, recipe
from vgen.inputs.pictures import Frame
from vgen.money import show
from vgen.plan import retakes, takes_wanted
from vgen.plan.decision import Action, Decision, File, Policy, decide
from vgen.plan.request import ShotRequest
from vgen.plan.retakes import Places
from vgen.plan.takes_wanted import Further
from vgen.store.outputs import clip_name
from vgen.store.records import Placed, Purchase, Retake, Snapshot, Take

PURCHASES = frozenset({Action.BUY, Action.SHARE, Action.WAIT})
"""What costs something, or is free because another shot pays for it."""
SERVED = frozenset({Action.KEEP, Action.RESTORE})
"""A take of the shot's own is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What would happen for one shot. Prices in micro-dollars: `price` at the first offer, `worst` with all retries.

    `action`, `decision` and `take` are about the clip; `further` are the takes wanted beside it that are not here yet,
    and the prices count them. `takes`: how many good ones there are.
    """

    request: ShotRequest
    action: Action
    why: str
    file: File
    decision: Decision
    take: Take | None = None
    price: int = 0
    worst: int = 0
    takes: int = 0
    further: Sequence[Further] = ()
    blocked: bool = False
    """It waits for a shot that this run can't make."""
    locked: bool = False
    """The user wants its clip to stay as it is, whatever changes."""
    note: str = ""
    """The user's remark."""

    @property
    def number(self) -> int:
        return self.request.number

    @property
    def done(self) -> bool:
        """The clip in place is the shot's own."""
        return self.action is Action.KEEP

    @property
    def finished(self) -> bool:
        """The clip in place is the shot's own, and a run can do nothing more for the takes wanted."""
        return self.done and not any(one.is_due for one in self.further)

    @property
    def actions(self) -> frozenset[Action]:
        """What would happen for the clip, and for the takes wanted beside it."""
        return frozenset((self.action, *(one.decision.action for one in self.further)))

    @property
    def decisions(self) -> Sequence[Decision]:
        """The clip's, and those of the takes wanted beside it."""
        return (self.decision, *(one.decision for one in self.further))

    @property
    def sources(self) -> frozenset[int]:
        """The shots whose clips must be there before this one is made; a locked clip needs none."""
        return frozenset() if self.locked else self.request.shot.sources

    @property
    def buys_at(self) -> str:
        """The provider of its first purchase; "" if it buys nothing."""
        return next((now.offer.provider for now in self.decisions if now.offer), "")

    @property
    def may_come_back(self) -> bool:
        """A lost job or order is in its way, which its provider may have after all."""
        return self.decision.may_come_back or any(one.decision.may_come_back for one in self.further)


def steps_of(
    requests: Sequence[ShotRequest],
    snapshot: Snapshot,
    files: Mapping[str, File],
    policy: Policy,
    again: Mapping[int, Retake | None] = MappingProxyType({}),
) -> list[Step]:
    """A step for each shot, in their order; a shot that is made from another's frame is decided after that one."""
    by_number = {request.number: request for request in requests}
    sources = {request.number: request.shot.sources for request in requests if request.shot.sources}
    further = takes_wanted.further_bought(snapshot.purchases.values()) if sources else {}
    bought: dict[str, int] = {}
    takes: dict[int, str] = {}
    steps: dict[int, Step] = {}
    for number in chains.in_order(by_number, sources):
        request = by_number[number]
        if number in sources:
            request = takes_wanted.with_others(request.after(takes), further)
        rows = _rows(request, snapshot, policy.locked.get(number))
        mine = policy
        if number in again:
            mine = replace(policy, fresh_after=_fresh_after(request, rows, snapshot, again[number]))
        step = _step(request, rows, snapshot, files, mine, bought)
        step = _waiting(step, steps) if step.action in (Action.WAIT, Action.SHARE) else step
        steps[number] = step = _within(step, steps) if number in sources else step
        if step.action in SERVED and step.take is not None:
            takes[number] = step.take.sha256
    return [steps[request.number] for request in requests]


def _waiting(step: Step, steps: Mapping[int, Step]) -> Step:
    """What is said of a shot that is made from frames of shots that are not there yet, if it is."""
    stuck = [n for n in step.request.waits_for if steps[n].action in (Action.STOP, Action.HELD) or steps[n].blocked]
    where = "; ".join(step.request.comes_from())
    if stuck:
        return replace(step, why=f"{where}, which this run can't make", price=0, worst=0, further=(), blocked=True)
    if step.action is Action.SHARE:
        return step
    clips = " and ".join(f"clip {number}" for number in step.request.waits_for)
    return replace(step, why=f"after {clips}: {where}")


def _within(step: Step, steps: Mapping[int, Step]) -> Step:
    """A shot that is to be bought from a moment that the pictures of its source's take do not reach says so.

    It is priced all the same: the file may be longer, and then the moment shows the last picture. The run looks.
    """
    if step.action not in (Action.BUY, Action.SHARE):
        return step
    for name, one in step.request.shot.pictures.named():
        if isinstance(one, Frame) and isinstance(one.at, Decimal) and one.shot not in step.request.waits_for:
            take = steps[one.shot].take
            if take is not None and take.duration_s is not None and take.duration_s <= one.at:
                lasts = f"the take of clip {one.shot} lasts {recipe.plain(Decimal(str(take.duration_s)))} s"
                return replace(
                    step, why=f"{step.why}; {name}: {lasts}, so it may show nothing at {recipe.plain(one.at)} s"
                )
    return step


def _rows(request: ShotRequest, snapshot: Snapshot, locked: int | None) -> list[Purchase]:
    """All purchases of a shot's recipes, and those that the user chose or locked for them, oldest first."""
    found = {row.id: row for digest in request.all_digests() for row in snapshot.by_recipe.get(digest, ())}
    for digest in request.digests() & snapshot.chosen.keys():
        choice = snapshot.chosen[digest]
        found[choice.purchase_id] = snapshot.purchases[choice.purchase_id]
    if locked is not None and locked in snapshot.purchases:
        found[locked] = snapshot.purchases[locked]
    return [found[row_id] for row_id in sorted(found)]


def _fresh_after(
    request: ShotRequest, rows: Sequence[Purchase], snapshot: Snapshot, retake: Retake | None
) -> int | None:
    """With -a: the newest purchase that does not count; None: an unfinished -a has served the shot already."""
    places = Places(placed=snapshot.placed.get, purchase=snapshot.purchases.get)
    if retake is not None and retakes.is_over(retake, request, rows, places):
        return None
    return retakes.fresh_after(retake, request, rows, max(snapshot.purchases, default=0))


def _step(
    request: ShotRequest,
    rows: Sequence[Purchase],
    snapshot: Snapshot,
    files: Mapping[str, File],
    policy: Policy,
    bought: dict[str, int],
) -> Step:
    name = clip_name(request.number)
    placed = snapshot.placed.get(name)
    file = files.get(name, File.MISSING)
    now = decide(request, rows, policy, placed)
    take = snapshot.takes.get(now.row.id) if now.row else None
    locked = request.number in policy.locked
    act, why = _against_file(request, now, placed, file, forced=policy.fresh_after is not None and not locked)
    if locked:
        act, why = _of_locked(request, now, act, why)
    price = worst = 0
    if act is Action.BUY and now.offer is not None and now.offer.order is not None:
        why = _why_stale(request, now.offer.provider, placed, snapshot)
        if now.offer.order.told:
            why += f" ({show(now.offer.order.price)}, as {now.offer.provider} told for this kind)"
        price, worst, other = _priced(request, now, bought)
        act = Action.WAIT if request.waits_for else act
        if other is not None:
            act, why = Action.SHARE, f"the same recipe as shot {other}: one purchase serves both"
    retaken = act in (Action.BUY, Action.WAIT) and policy.fresh_after is not None
    further = [_further(one, bought) for one in takes_wanted.missing(request, rows, policy, retaken=retaken)]
    if file is File.EDITED and act is Action.STOP:  # nothing is bought for a shot that somebody works on
        further = [one for one in further if one.decision.action is Action.COLLECT]
    return Step(
        request=request,
        action=act,
        why=why,
        file=file,
        decision=now,
        take=take,
        price=price + sum(one.price for one in further),
        worst=worst + sum(one.worst for one in further),
        takes=takes_wanted.accepted(request, rows) if request.further else 0,
        further=further,
        locked=locked,
    )


def _further(one: Further, bought: dict[str, int]) -> Further:
    """With its prices; one that another shot of the same recipe buys is shared."""
    if one.decision.action is not Action.BUY:
        return one
    price, worst, other = _priced(one.request, one.decision, bought)
    shared = replace(one.decision, action=Action.SHARE) if other is not None else one.decision
    return replace(one, decision=shared, price=price, worst=worst)


def _priced(request: ShotRequest, now: Decision, bought: dict[str, int]) -> tuple[int, int, int | None]:
    """What a purchase costs, also at worst; or nothing, and the shot that buys it already."""
    assert now.offer is not None, "BUG: a purchase without an offer"
    assert now.offer.order is not None, "BUG: a purchase without an order"
    digest = request.recipes[now.offer.provider].digest
    if digest in bought:
        return 0, 0, bought[digest]
    bought[digest] = request.number
    worst = sum(offer.order.price * offer.max_retries for offer in request.offers if offer.order)
    return now.offer.order.price, worst, None


def _against_file(
    request: ShotRequest, now: Decision, placed: Placed | None, file: File, *, forced: bool
) -> tuple[Action, str]:
    """The decision, held against the file under the clip's name."""
    if now.action is Action.KEEP and now.row is not None:
        same = placed is not None and placed.purchase_id == now.row.id
        if same and file is File.INTACT:
            return Action.KEEP, "up to date"
        if same and file is File.EDITED:
            return Action.KEEP, "edited by hand; kept as it is"
        if file is File.EDITED:
            anew = f"`doit -a clip:{request.number}` buys a new take, and moves the file to takes/edited"
            return Action.STOP, f"a file that vgen did not make has its name; {anew}"
        return Action.RESTORE, {
            File.MISSING: "the clip is missing",
            File.DAMAGED: "the clip's file is damaged",
        }.get(file, "the clip in place is from a different prompt or picture") + "; its take is on disk"
    if file is File.EDITED and now.action is Action.COLLECT and not forced:
        return Action.COLLECT, f"{now.why}; its clip was edited by hand and is kept"
    if file is File.EDITED and not forced and now.action is Action.BUY:
        return Action.STOP, (
            f"its clip was edited by hand, and its prompt has changed since then; "
            f"`doit -a clip:{request.number}` buys a new take, and moves the edit to takes/edited"
        )
    return now.action, now.why


def _of_locked(request: ShotRequest, now: Decision, act: Action, why: str) -> tuple[Action, str]:
    """What is said of a locked shot: what keeps its clip as it is, although the shot may ask for something else."""
    if act is Action.STOP:
        move = "locked, but a file that vgen did not make has its clip's name; move it elsewhere and run again"
        return act, why if now.row is None else move
    if act is Action.RESTORE:
        return act, f"locked: {why}"
    asked = next((made for offer in request.offers if (made := request.recipes.get(offer.provider))), None)
    changed = ""
    if now.row is not None and asked is not None and not request.waits_for and not request.is_served_by(now.row):
        named = request.recipes.get(now.row.provider, asked)
        changed = "; ".join(recipe.difference(now.row.manifest, named.manifest))
    edited = "; edited by hand" if why.startswith("edited") else ""
    return act, f"locked{edited}" + (f"; stays, though the shot changed ({changed})" if changed else "")


def _why_stale(request: ShotRequest, provider: str, placed: Placed | None, snapshot: Snapshot) -> str:
    """Why a purchase is due, in words."""
    old = snapshot.purchases.get(placed.purchase_id) if placed else None
    if old is None:
        return "no clip yet"
    if recipe.is_draft(old.manifest) and request.tier is None:
        return "the clip in place is a draft"
    if frames := request.other_frames(old.manifest, provider):
        return "; ".join(f"{one}, whose take changed" for one in frames)
    changed = recipe.difference(old.manifest, request.recipes[provider].manifest)
    return "; ".join(changed) + " changed" if changed else "a new take was asked for"
