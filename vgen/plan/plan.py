"""Shots × ledger × files × budget → the steps of a whole production, why, and for how much. Pure, as `decision` is."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from vgen import chains
from vgen.plan import retakes, review
from vgen.plan.decision import Action, Decision, File, Policy
from vgen.plan.request import ShotRequest
from vgen.plan.step import PURCHASES, SERVED, Step, steps_of
from vgen.store.purchase import COLLECTABLE
from vgen.store.records import AboutShot, Budget, Lock, Note, Purchase, Snapshot

TYPICAL_S = 60.0
"""A generation's usual time until this production has measured its own (providers' pages say 30 to 120 s)."""

ROUNDS = 4
"""How often the shots of locks are looked for in a chain that was renumbered and edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in shot order; `orphans`: paid jobs that no shot waits for any more; `departed`: clips without a shot.

    `locks`, `notes`: shot → what the user said of it, as the ledger has it; `waiting`: what they said of shots
    that have left the list, where the ledger does not know that yet; `adrift`: the numbers that such locked shots had.
    """

    steps: Sequence[Step]
    orphans: Sequence[Purchase]
    departed: Mapping[str, File]
    budget: Budget
    simulated: bool
    locks: Mapping[int, Lock] = field(default_factory=dict)
    notes: Mapping[int, Note] = field(default_factory=dict)
    waiting: Sequence[AboutShot] = ()
    adrift: Sequence[int] = ()
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
    def locked(self) -> dict[int, int]:
        """Shot → the purchase whose take is its clip, whatever changes."""
        return {number: lock.purchase_id for number, lock in self.locks.items()}

    def moved(self) -> list[AboutShot]:
        """Locks and notes whose shots are known otherwise by now: as they are to be remembered."""
        if not self.locks and not self.notes:
            return list(self.waiting)
        requests = [step.request for step in self.steps]
        return [*self.waiting, *review.moved(self.locks, requests), *review.moved(self.notes, requests)]

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
            if step.action in PURCHASES and not step.blocked:
                prices |= _price(step.request, step.decision)
            for one in step.further:
                if one.decision.action in PURCHASES:
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
        waiting = {step.number: step.request.waits_for for step in self.steps if step.request.waits_for}
        steps = [self._by_number[number] for number in chains.in_order(self._by_number, waiting)]
        wanted = [((step.number, 1), step.price - sum(one.price for one in step.further)) for step in steps]
        wanted += [((step.number, one.request.take), one.price) for step in steps for one in step.further]
        for (number, take), price in wanted:
            if price <= left and all((source, 1) in found for source in waiting.get(number, ())):
                left -= price
                found.add((number, take))
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
    policy = replace(policy, chosen=snapshot.chosen, locked={})
    steps, locks = _with_locks(requests, snapshot, files, policy)
    if again:
        requests = [step.request for step in steps]
        retakes_ = retakes.assigned(snapshot.retakes, requests)
        policy = replace(policy, locked={number: lock.purchase_id for number, lock in locks.items()})
        steps = steps_of(requests, snapshot, files, policy, {number: retakes_.get(number) for number in again})
    notes = review.assigned(snapshot.notes, [step.request for step in steps])
    lost = review.departed(snapshot.locks, locks)
    numbers = {lock.id: lock.shot_number for lock in snapshot.locks}
    wanted = set(names.values())
    return Plan(
        steps=[replace(step, note=notes[step.number].text) if step.number in notes else step for step in steps],
        orphans=_orphans([step.request for step in steps if not step.locked], steps, snapshot),
        locks=locks,
        notes=notes,
        waiting=[*lost, *review.departed(snapshot.notes, notes)],
        adrift=[numbers[lock.id] for lock in lost],
        departed={name: files.get(name, File.MISSING) for name in snapshot.placed if name not in wanted},
        budget=snapshot.budget,
        simulated=simulated,
    )


def _with_locks(
    requests: Sequence[ShotRequest], snapshot: Snapshot, files: Mapping[str, File], policy: Policy
) -> tuple[Sequence[Step], Mapping[int, Lock]]:
    """The steps, and the locks by shot.

    A shot that is made from another's frame is known by its recipe only when that one's take is, which may be locked;
    so recipes are looked for until no more are found, and only then does a number count.
    """
    by_number = False
    locks = review.assigned(snapshot.locks, requests, by_number=by_number)
    steps = _locked(requests, snapshot, files, policy, locks)
    for _ in range(ROUNDS if snapshot.locks else 0):
        known = [step.request for step in steps]
        now = review.assigned(snapshot.locks, known, by_number=by_number)
        if now == locks and not by_number:
            by_number, now = True, review.assigned(snapshot.locks, known)
        if now == locks:
            break
        locks, steps = now, _locked(requests, snapshot, files, policy, now)
    return steps, locks


def _locked(
    requests: Sequence[ShotRequest],
    snapshot: Snapshot,
    files: Mapping[str, File],
    policy: Policy,
    locks: Mapping[int, Lock],
) -> list[Step]:
    locked = {number: lock.purchase_id for number, lock in locks.items()}
    return steps_of(requests, snapshot, files, replace(policy, locked=locked))


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


def expected_s(plan_: Plan, snapshot: Snapshot, max_concurrent: int) -> float:
    """Seconds that the run would take: generations in rounds of `max_concurrent`, each as long as measured so far."""
    measured = [take.generation_s for take in snapshot.takes.values() if take.generation_s]
    typical_s = sum(measured) / len(measured) if measured else TYPICAL_S
    bringing = (Action.BUY, Action.WAIT, Action.COLLECT)
    due = [step for step in plan_.steps if step.action in bringing and not step.blocked]
    further = sum(one.decision.action in bringing for step in plan_.steps for one in step.further)
    sources = {step.number: step.request.waits_for for step in due if step.request.waits_for}
    longest = 1 + max(chains.followers([step.number for step in due], sources).values(), default=-1)
    return max(-(-(len(due) + further) // max_concurrent), longest) * typical_s


def _price(request: ShotRequest, now: Decision) -> dict[str, int]:
    if now.offer is None or now.offer.order is None:
        return {}
    return {request.recipes[now.offer.provider].digest: now.offer.order.price}
