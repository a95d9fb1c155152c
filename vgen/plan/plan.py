"""Shots × ledger × files × budget → the steps of a whole production, why, and for how much. Pure, as `decision` is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from vgen import chains, recipe
from vgen.money import show
from vgen.plan import retakes
from vgen.plan.decision import NOT_KEPT, Action, Decision, File, Policy, decide
from vgen.plan.request import ShotRequest
from vgen.plan.retakes import Places
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Budget, Placed, Purchase, Retake, Snapshot, Take

PURCHASES = frozenset({Action.BUY, Action.SHARE, Action.WAIT})
"""What costs something, or is free because another shot pays for it."""
SERVED = frozenset({Action.KEEP, Action.RESTORE})
"""A take of the shot's own is there."""
TYPICAL_S = 60.0
"""A generation's usual time until this production has measured its own (providers' pages say 30 to 120 s)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What would happen for one shot. Prices in micro-dollars: `price` at the first offer, `worst` with all retries."""

    request: ShotRequest
    action: Action
    why: str
    file: File
    decision: Decision
    take: Take | None = None
    price: int = 0
    worst: int = 0
    blocked: bool = False
    """It waits for a shot that this run can't make."""

    @property
    def number(self) -> int:
        return self.request.number

    @property
    def done(self) -> bool:
        """The clip in place is the shot's own."""
        return self.action is Action.KEEP

    @property
    def may_come_back(self) -> bool:
        """A lost job or order is in its way, which its provider may have after all."""
        row = self.decision.row
        lost = row is not None and row.state is State.LOST and row.job_id is not None and row.error_code != NOT_KEPT
        return self.action is Action.STOP and (lost or self.decision.lost_orders)


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

    def takes(self, *, without: Collection[int] = ()) -> dict[int, str]:
        """Shot → the sha256 of the take that serves it, but for those that get a new one."""
        return {
            step.number: step.take.sha256
            for step in self.steps
            if step.take and step.action in SERVED and step.number not in without
        }

    @property
    def total(self) -> int:
        return sum(step.price for step in self.steps)

    @property
    def worst(self) -> int:
        return sum(step.worst for step in self.steps)

    def cost(self, numbers: Collection[int] | None = None) -> int:
        """What the purchases (of the named shots) cost at the first offer's price; a shared recipe once."""
        prices: dict[str, int] = {}
        for step in self.steps:
            offer = step.decision.offer
            if (
                step.action in PURCHASES
                and not step.blocked
                and offer
                and offer.order
                and (numbers is None or step.number in numbers)
            ):
                prices[step.request.recipes[offer.provider].digest] = offer.order.price
        return sum(prices.values())

    def fits(self, numbers: Collection[int] | None = None) -> bool:
        """Whether the purchases (of the named shots) fit what is left of the cap."""
        wanted = self.cost(numbers)
        return wanted == 0 or self.budget.left is None or wanted <= self.budget.left

    def fitting(self) -> frozenset[int] | None:
        """The shots that fit what is left of the cap, in shot order; None if nothing binds."""
        if self.budget.left is None:
            return None
        left = self.budget.left
        found: set[int] = set()
        waiting = {step.number: step.request.waits_for for step in self.steps if step.request.waits_for}
        for number in chains.in_order(self._by_number, waiting):
            step = self._by_number[number]
            if step.price <= left and found.issuperset(step.request.waits_for):
                left -= step.price
                found.add(step.number)
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
    policy = replace(policy, chosen=snapshot.chosen)
    steps = _steps(requests, snapshot, files, policy)
    if again:
        requests = [step.request for step in steps]
        retakes_ = retakes.assigned(snapshot.retakes, requests)
        steps = _steps(requests, snapshot, files, policy, {number: retakes_.get(number) for number in again})
    wanted = set(names.values())
    return Plan(
        steps=steps,
        orphans=_orphans([step.request for step in steps], steps, snapshot),
        departed={name: files.get(name, File.MISSING) for name in snapshot.placed if name not in wanted},
        budget=snapshot.budget,
        simulated=simulated,
    )


def _steps(
    requests: Sequence[ShotRequest],
    snapshot: Snapshot,
    files: Mapping[str, File],
    policy: Policy,
    again: Mapping[int, Retake | None] = MappingProxyType({}),
) -> list[Step]:
    """A step for each shot, in their order; a shot that is made from another's frame is decided after that one."""
    by_number = {request.number: request for request in requests}
    sources = {request.number: request.shot.sources for request in requests if request.shot.sources}
    bought: dict[str, int] = {}
    takes: dict[int, str] = {}
    steps: dict[int, Step] = {}
    for number in chains.in_order(by_number, sources):
        request = by_number[number].after(takes)
        rows = _rows(request, snapshot)
        mine = policy
        if number in again:
            mine = replace(policy, fresh_after=_fresh_after(request, rows, snapshot, again[number]))
        step = _step(request, rows, snapshot, files, mine, bought)
        if step.action is Action.WAIT:
            step = _waiting(step, steps)
        steps[number] = step
        if step.action in SERVED and step.take is not None:
            takes[number] = step.take.sha256
    return [steps[request.number] for request in requests]


def _waiting(step: Step, steps: Mapping[int, Step]) -> Step:
    """What is said of a shot that is made from frames of shots that are not there yet."""
    stuck = [n for n in step.request.waits_for if steps[n].action in (Action.STOP, Action.HELD) or steps[n].blocked]
    where = "; ".join(step.request.comes_from())
    if stuck:
        return replace(step, why=f"{where}, which this run can't make", price=0, worst=0, blocked=True)
    clips = " and ".join(f"clip {number}" for number in step.request.waits_for)
    return replace(step, why=f"after {clips}: {where}")


def _orphans(requests: Sequence[ShotRequest], steps: Sequence[Step], snapshot: Snapshot) -> list[Purchase]:
    """Jobs that no shot collects itself: of an earlier list, or bought again meanwhile."""
    collected = {step.decision.row.id for step in steps if step.action is Action.COLLECT and step.decision.row}
    unfinished = [row for row in snapshot.purchases.values() if row.state in COLLECTABLE and row.id not in collected]
    if not unfinished:
        return []
    wishes_of: dict[str, list[ShotRequest]] = {}
    for request in requests:
        for digest in request.digests():
            wishes_of.setdefault(digest, []).append(request)
    return [
        row
        for row in unfinished
        if row.superseded is not None or not any(request.matches(row) for request in wishes_of.get(row.recipe, ()))
    ]


def _rows(request: ShotRequest, snapshot: Snapshot) -> list[Purchase]:
    """All purchases of a shot's recipes, and those that the user chose for them, oldest first."""
    found = {row.id: row for digest in request.digests() for row in snapshot.by_recipe.get(digest, ())}
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
        digest = request.recipes[now.offer.provider].digest
        why = _why_stale(request, now.offer.provider, placed, snapshot)
        if digest in bought:
            act, why = Action.SHARE, f"the same recipe as shot {bought[digest]}: one purchase serves both"
        else:
            bought[digest] = request.number
            act = Action.WAIT if request.waits_for else act
            price = now.offer.order.price
            if now.offer.order.told:
                why += f" ({show(price)}, as {now.offer.provider} told for this kind)"
            worst = sum(offer.order.price * offer.max_retries for offer in request.offers if offer.order)
    return Step(request=request, action=act, why=why, file=file, decision=now, take=take, price=price, worst=worst)


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
    changed = recipe.difference(old.manifest, request.recipes[provider].manifest)
    frames = request.comes_from(old.manifest)
    if frames and len(frames) == len(changed):
        return "; ".join(f"{one}, whose take changed" for one in frames)
    return "; ".join(changed) + " changed" if changed else "a new take was asked for"


def expected_s(plan_: Plan, snapshot: Snapshot, max_concurrent: int) -> float:
    """Seconds that the run would take: generations in rounds of `max_concurrent`, each as long as measured so far."""
    measured = [take.generation_s for take in snapshot.takes.values() if take.generation_s]
    typical_s = sum(measured) / len(measured) if measured else TYPICAL_S
    waiting = [step for step in plan_.steps if step.action in (Action.BUY, Action.WAIT, Action.COLLECT)]
    sources = {step.number: step.request.waits_for for step in waiting if step.request.waits_for}
    longest = max(chains.followers([step.number for step in waiting], sources).values(), default=-1) + 1
    return max(-(-len(waiting) // max_concurrent), longest) * typical_s


def refusal(plan_: Plan, numbers: Collection[int] | None = None) -> str:
    """Why the plan does not fit the budget, with the figures and the commands that would help."""
    wanted = [step for step in plan_.steps if numbers is None or step.number in numbers]
    buying = [step for step in wanted if step.action in PURCHASES and not step.blocked]
    needed = plan_.cost(numbers)
    budget = plan_.budget
    held = f" ({show(budget.spent)} spent, {show(budget.reserved)} reserved, {show(budget.uncertain)} uncertain)"
    cap, left = budget.cap or 0, budget.left or 0
    enough = show(budget.exposure + needed).removeprefix("$")
    clips = "1 clip costs" if len(buying) == 1 else f"{len(buying)} clips cost"
    return (
        f"{clips} {show(needed)} at list price, "
        f"but {show(left)} is left of the budget of {show(cap)}{held}; nothing was bought. "
        f"`doit budget_usd={enough}` allows it, `doit partial=yes` buys what fits, `doit plan` shows each shot"
    )
