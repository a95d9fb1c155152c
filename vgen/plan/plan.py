"""Shots × ledger × files × budget → the steps of a whole production, why, and for how much. Pure, as `decision` is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from vgen import recipe
from vgen.money import show, usd
from vgen.plan import retakes
from vgen.plan.decision import NOT_KEPT, Action, Decision, File, Policy, decide
from vgen.plan.request import ShotRequest
from vgen.plan.retakes import Places
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Budget, Placed, Purchase, Retake, Snapshot, Take

PLAN_VERSION = 1
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
                step.action in (Action.BUY, Action.SHARE)
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
        for step in self.steps:
            if step.price <= left:
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
    return "; ".join(changed) + " changed" if changed else "a new take was asked for"


def expected_s(plan_: Plan, snapshot: Snapshot, max_concurrent: int) -> float:
    """Seconds that the run would take: generations in rounds of `max_concurrent`, each as long as measured so far."""
    measured = [take.generation_s for take in snapshot.takes.values() if take.generation_s]
    typical_s = sum(measured) / len(measured) if measured else TYPICAL_S
    waiting = sum(step.action in (Action.BUY, Action.COLLECT) for step in plan_.steps)
    return -(-waiting // max_concurrent) * typical_s


def refusal(plan_: Plan, numbers: Collection[int] | None = None) -> str:
    """Why the plan does not fit the budget, with the figures and the commands that would help."""
    wanted = [step for step in plan_.steps if numbers is None or step.number in numbers]
    buying = [step for step in wanted if step.action in (Action.BUY, Action.SHARE)]
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


def as_json(plan_: Plan, *, expected: float) -> dict[str, Any]:
    """plan.json."""
    budget = plan_.budget
    return {
        "plan_version": PLAN_VERSION,
        "simulated": plan_.simulated,
        "total_usd": usd(plan_.total),
        "worst_case_usd": usd(plan_.worst),
        "fits": plan_.fits(),
        "expected_time_s": round(expected, 1),
        "budget": {
            "cap_usd": None if budget.cap is None else usd(budget.cap),
            "spent_usd": usd(budget.spent),
            "reserved_usd": usd(budget.reserved),
            "uncertain_usd": usd(budget.uncertain),
            "left_usd": None if budget.left is None else usd(budget.left),
        },
        "shots": [
            {
                "shot_number": step.number,
                "action": step.action.value,
                "why": step.why,
                "provider": _place(step),
                "model": step.decision.offer.order.model if step.decision.offer and step.decision.offer.order else None,
                "price_usd": usd(step.price),
                "worst_case_usd": usd(step.worst),
                "offers": [
                    {
                        "provider": offer.provider,
                        "model": offer.order.model,
                        "price_usd": usd(offer.order.price),
                        "max_retries": offer.max_retries,
                        "prompt_hash": step.request.recipes[offer.provider].digest,
                    }
                    for offer in step.request.offers
                    if offer.order
                ],
                "prompt_hash": _digest(step),
            }
            for step in plan_.steps
        ],
    }


def _place(step: Step) -> str | None:
    if step.decision.offer:
        return step.decision.offer.provider
    return step.decision.row.provider if step.decision.row else None


def _digest(step: Step) -> str | None:
    provider = _place(step) or next(iter(step.request.recipes), None)
    return step.request.recipes[provider].digest if provider and provider in step.request.recipes else None
