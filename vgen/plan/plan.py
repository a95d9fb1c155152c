"""Shots × ledger × files × budget → the steps of a whole production, why, and for how much. Pure, as `decision` is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vgen import recipe
from vgen.money import show
from vgen.plan import retakes, takes_wanted
from vgen.plan.decision import Action, Decision, File, Policy, decide
from vgen.plan.request import ShotRequest
from vgen.plan.retakes import Places
from vgen.plan.takes_wanted import Further
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE
from vgen.store.records import Budget, Placed, Purchase, Retake, Snapshot, Take

TYPICAL_S = 60.0
"""A generation's usual time until this production has measured its own (providers' pages say 30 to 120 s)."""


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
    def buys_at(self) -> str:
        """The provider of its first purchase; "" if it buys nothing."""
        return next((now.offer.provider for now in self.decisions if now.offer), "")

    @property
    def may_come_back(self) -> bool:
        """A lost job or order is in its way, which its provider may have after all."""
        return self.decision.may_come_back or any(one.decision.may_come_back for one in self.further)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in shot order; `orphans`: paid jobs that no shot waits for any more; `departed`: clips without a shot."""

    steps: Sequence[Step]
    orphans: Sequence[Purchase]
    departed: Mapping[str, File]
    budget: Budget
    simulated: bool
    _by_number: Mapping[int, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_number", {step.number: step for step in self.steps})

    def step(self, number: int) -> Step:
        return self._by_number[number]

    @property
    def total(self) -> int:
        return sum(step.price for step in self.steps)

    @property
    def worst(self) -> int:
        return sum(step.worst for step in self.steps)

    def orders(self, numbers: Collection[int] | None = None) -> dict[str, int]:
        """What is to be bought (for the named shots): recipe → price at the first offer; a shared recipe once."""
        prices: dict[str, int] = {}
        for step in self.steps:
            if numbers is not None and step.number not in numbers:
                continue
            if step.action in (Action.BUY, Action.SHARE):
                prices |= _price(step.request, step.decision)
            for one in step.further:
                if one.decision.action in (Action.BUY, Action.SHARE):
                    prices |= _price(one.request, one.decision)
        return prices

    def cost(self, numbers: Collection[int] | None = None) -> int:
        """What the purchases (of the named shots) cost at the first offer's price."""
        return sum(self.orders(numbers).values())

    def fits(self, numbers: Collection[int] | None = None) -> bool:
        """Whether the purchases (of the named shots) fit what is left of the cap."""
        wanted = self.cost(numbers)
        return wanted == 0 or self.budget.left is None or wanted <= self.budget.left

    def fitting(self) -> frozenset[tuple[int, int]] | None:
        """What fits what is left of the cap: (shot, which of its takes wanted), in shot order, all clips first.

        None if nothing binds.
        """
        if self.budget.left is None:
            return None
        left = self.budget.left
        found: set[tuple[int, int]] = set()
        wanted = [((step.number, 1), step.price - sum(one.price for one in step.further)) for step in self.steps]
        wanted += [((step.number, one.request.take), one.price) for step in self.steps for one in step.further]
        for which, price in wanted:
            if price <= left:
                left -= price
                found.add(which)
        return frozenset(found)

    def impossible(self, numbers: Collection[int] | None = None) -> list[str]:
        """Bad input that shows only against the models: shots that must be bought and that nobody can make."""
        return [
            f"shot {step.number}: {step.why}"
            for step in self.steps
            if step.action is Action.STOP
            and step.request.offers
            and all(offer.order is None for offer in step.request.offers)
            if step.decision.row is None and (numbers is None or step.number in numbers)
        ]


def plan(
    requests: Sequence[ShotRequest],
    snapshot: Snapshot,
    files: Mapping[str, File],
    names: Mapping[int, str],
    *,
    policy: Policy,
    again: Collection[int] = (),
    simulated: bool,
) -> Plan:
    """The whole production. `files`: clip name → state, for all names placed or present; `names`: shot → clip name."""
    steps: list[Step] = []
    bought: dict[str, int] = {}
    policy = replace(policy, chosen=snapshot.chosen)
    retakes_ = retakes.assigned(snapshot.retakes, requests) if again else {}
    for request in requests:
        rows = _rows(request, snapshot)
        mine = policy
        if request.number in again:
            mine = replace(policy, fresh_after=_fresh_after(request, rows, snapshot, retakes_.get(request.number)))
        steps.append(_step(request, rows, snapshot, files, mine, bought))
    wanted = set(names.values())
    return Plan(
        steps=steps,
        orphans=_orphans(requests, steps, snapshot),
        departed={name: files.get(name, File.MISSING) for name in snapshot.placed if name not in wanted},
        budget=snapshot.budget,
        simulated=simulated,
    )


def _orphans(requests: Sequence[ShotRequest], steps: Sequence[Step], snapshot: Snapshot) -> list[Purchase]:
    """Jobs that no shot collects itself: of an earlier list, or bought again meanwhile."""
    decided = [(step.action, step.decision) for step in steps]
    decided += [(one.decision.action, one.decision) for step in steps for one in step.further]
    collected = {now.row.id for action, now in decided if action is Action.COLLECT and now.row}
    unfinished = [row for row in snapshot.purchases.values() if row.state in COLLECTABLE and row.id not in collected]
    if not unfinished:
        return []
    wishes_of: dict[str, list[ShotRequest]] = {}
    for request in (one for first in requests for one in (first, *first.further)):
        for digest in request.digests():
            wishes_of.setdefault(digest, []).append(request)
    return [
        row
        for row in unfinished
        if row.superseded is not None or not any(request.matches(row) for request in wishes_of.get(row.recipe, ()))
    ]


def _rows(request: ShotRequest, snapshot: Snapshot) -> list[Purchase]:
    """All purchases of a shot's recipes, and those that the user chose for them, oldest first."""
    found = {row.id: row for digest in request.all_digests() for row in snapshot.by_recipe.get(digest, ())}
    for digest in request.digests() & snapshot.chosen.keys():
        choice = snapshot.chosen[digest]
        found[choice.purchase_id] = snapshot.purchases[choice.purchase_id]
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
    act, why = _against_file(request, now, placed, file, forced=policy.fresh_after is not None)
    price = worst = 0
    if act is Action.BUY and now.offer is not None and now.offer.order is not None:
        why = _why_stale(request, now.offer.provider, placed, snapshot)
        if now.offer.order.told:
            why += f" ({show(now.offer.order.price)}, as {now.offer.provider} told for this kind)"
        price, worst, other = _priced(request, now, bought)
        if other is not None:
            act, why = Action.SHARE, f"the same recipe as shot {other}: one purchase serves both"
    retaken = act is Action.BUY and policy.fresh_after is not None
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


def _price(request: ShotRequest, now: Decision) -> dict[str, int]:
    if now.offer is None or now.offer.order is None:
        return {}
    return {request.recipes[now.offer.provider].digest: now.offer.order.price}


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
        }.get(file, "the clip in place is from a different prompt") + "; its take is on disk"
    if file is File.EDITED and now.action is Action.COLLECT and not forced:
        return Action.COLLECT, f"{now.why}; its clip was edited by hand and is kept"
    if file is File.EDITED and not forced and now.action is Action.BUY:
        return Action.STOP, (
            f"its clip was edited by hand, and its prompt has changed since then; "
            f"`doit -a clip:{request.number}` buys a new take, and moves the edit to takes/edited"
        )
    return now.action, now.why


def _why_stale(request: ShotRequest, provider: str, placed: Placed | None, snapshot: Snapshot) -> str:
    """Why a purchase is due, in words."""
    old = snapshot.purchases.get(placed.purchase_id) if placed else None
    if old is None:
        return "no clip yet"
    if recipe.is_draft(old.manifest) and request.tier is None:
        return "the clip in place is a draft"
    changed = recipe.difference(old.manifest, request.recipes[provider].manifest)
    return "; ".join(changed) + " changed" if changed else "a new take was asked for"


def expected_s(plan_: Plan, snapshot: Snapshot, max_concurrent: int) -> float:
    """Seconds that the run would take: generations in rounds of `max_concurrent`, each as long as measured so far."""
    measured = [take.generation_s for take in snapshot.takes.values() if take.generation_s]
    typical_s = sum(measured) / len(measured) if measured else TYPICAL_S
    actions = [step.action for step in plan_.steps]
    actions += [one.decision.action for step in plan_.steps for one in step.further]
    waiting = sum(action in (Action.BUY, Action.COLLECT) for action in actions)
    return -(-waiting // max_concurrent) * typical_s
