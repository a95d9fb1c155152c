"""Takes wanted (contract 13): which of a shot's further takes are to be bought, collected or waited for. Pure.

Each take wanted has a recipe of its own (decision 0010), so `decide` decides about each as about a shot; here they are
counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vgen import recipe
from vgen.plan.decision import Action, Decision, Policy, chosen, decide
from vgen.plan.request import ShotRequest
from vgen.store.purchase import COLLECTABLE, UNFINISHED, State
from vgen.store.records import Purchase

DUE = frozenset({Action.BUY, Action.SHARE, Action.COLLECT, Action.HELD})
_FINAL = COLLECTABLE | {State.ACCEPTED}
"""States of a final that is here, or on its way: no draft is bought beside it."""
_MAY_COME = UNFINISHED | {State.RESERVED, State.SUBMITTING, State.NOT_SENT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """One of the takes wanted that is not here yet, and what to do next for it. Prices as in a plan's step."""

    request: ShotRequest
    decision: Decision
    price: int = 0
    worst: int = 0

    @property
    def is_due(self) -> bool:
        """Whether a run has anything to do about it."""
        return self.decision.action in DUE or self.decision.may_come_back


def with_further(requests: Sequence[ShotRequest], rows: Iterable[Purchase]) -> Sequence[ShotRequest]:
    """The requests, each with the recipes of all its further takes: those wanted now, and those that were bought."""
    bought = further_bought(rows)
    return [with_others(request, bought) for request in requests]


def further_bought(rows: Iterable[Purchase]) -> Mapping[str, set[str]]:
    """The first take's recipe → those of the further takes that were bought."""
    bought: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.manifest and row.manifest[-1][0] == "take":
            bought[recipe.first_of(row.manifest)].add(row.recipe)
    return bought


def with_others(request: ShotRequest, bought: Mapping[str, set[str]]) -> ShotRequest:
    """The request with the recipes of its further takes. `bought`: see `further_bought`."""
    if not bought and not request.further:
        return request
    digests = request.digests()
    found = {digest for first in digests & bought.keys() for digest in bought[first]}
    found = found.union(*(one.digests() for one in request.further))
    final = None if request.final is None else with_others(request.final, bought)
    return replace(request, others=frozenset(found), final=final) if found or final is not request.final else request


def accepted(request: ShotRequest, rows: Sequence[Purchase]) -> int:
    """How many good takes of the shot's recipe there are."""
    return sum(row.state is State.ACCEPTED and request.has_take(row) for row in rows)


def missing(
    request: ShotRequest, rows: Sequence[Purchase], policy: Policy, *, retaken: bool = False
) -> Iterator[Further]:
    """The takes wanted that are not here, beside the one that the clip is made of: in order, no more than wanted.

    What may come counts as come: a job in flight, an order that nobody knows the fate of. Nothing further is bought for
    a shot that has no take and whose first one can't be bought, for one whose clip was kept from another prompt, nor a
    draft where there is a final, or one is on its way; what was bought for them before is collected all the same.
    `retaken`: -a buys a take first, which counts too. A locked shot wants none.
    """
    if not request.further or request.number in policy.locked:
        return
    mine = [row for row in rows if request.has_take(row)]
    picked = chosen(request, rows, replace(policy, fresh_after=None))
    buys_none = picked is not None and not request.has_take(picked)
    if request.final is not None:
        buys_none |= any(row.state in _FINAL and request.final.has_take(row) for row in rows)
    waits = _MAY_COME if policy.on_uncertain == "hold" else _MAY_COME - {State.UNCERTAIN}
    good = sum(row.state is State.ACCEPTED for row in mine)
    count = good + sum(row.state in waits and row.superseded is None for row in mine)
    count += retaken
    policy = replace(policy, fresh_after=None, chosen={})
    for one in request.further if retaken else (request, *request.further):
        digests = one.digests()  # with what another shot has bought of this text at another provider
        now = decide(one, [row for row in rows if row.recipe in digests], policy)
        buys_none |= one is request and not good and now.action is Action.STOP
        if buys_none and (one is request or now.action is not Action.COLLECT):
            continue
        if now.action is Action.BUY:
            count += 1
            if count > request.takes_wanted:
                continue
        elif now.action is Action.KEEP:
            continue
        if one is not request or good:  # else the clip itself is decided so
            yield Further(request=one, decision=now)


def text(request: ShotRequest, good: int, further: Sequence[Further]) -> str:
    """`1 of 3 takes wanted; 2 to be bought`: how many there are, and what becomes of the others."""
    actions = Counter(one.decision.action for one in further)
    bought = actions[Action.BUY] + actions[Action.SHARE]
    what = {
        "to be bought": bought,
        "to be collected": actions[Action.COLLECT],
        "perhaps bought": actions[Action.HELD],
    }
    told = [f"{count} {words}" for words, count in what.items() if count]
    told += [f"take {one.request.take}: {one.decision.why}" for one in further if one.decision.action is Action.STOP]
    return "; ".join((f"{good} of {request.takes_wanted} takes wanted", *told))
