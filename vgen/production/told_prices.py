"""What the ledger knows of the prices that providers quoted or charged, for the kinds of order of today's shots."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from vgen.plan.request import Offer, ShotRequest
from vgen.plan.told import Prices
from vgen.providers.base import Order
from vgen.providers.kinds import Kind, kind_of
from vgen.store.reader import LedgerReader


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Orders that one query to the ledger is for: alike but for endpoint, shape, resolution and sound."""

    provider: str
    model: str
    bought_s: Decimal


def told_prices(requests: Iterable[ShotRequest], ledger: LedgerReader, *, simulated: bool) -> Prices:
    """The highest price told for each kind of order of these shots, where it is more than the list price."""
    cheapest: dict[_Batch, int] = {}
    for offer, order in _orders(requests):
        batch = _Batch(provider=offer.provider, model=order.model, bought_s=order.bought_s)
        cheapest[batch] = min(order.price, cheapest.get(batch, order.price))
    found: dict[tuple[str, Kind], int] = {}
    for batch, price in cheapest.items():
        where = (batch.provider, batch.model, str(batch.bought_s))
        for request, told in ledger.told_prices(*where, above=price, simulated=simulated):
            key = batch.provider, kind_of(*where[1:], json.loads(request))
            found[key] = max(told, found.get(key, 0))
    return found


def was_answered(provider: str, order: Order, ledger: LedgerReader, *, simulated: bool) -> bool:
    """Whether the provider accepted an order of this kind before, at this endpoint, so that its price is known."""
    kind = order.kind
    earlier = ledger.answered_requests(provider, kind.model, order.path, kind.bought_s, simulated=simulated)
    return any(kind_of(kind.model, kind.bought_s, json.loads(request)) == kind for request in earlier)


def _orders(requests: Iterable[ShotRequest]) -> Iterator[tuple[Offer, Order]]:
    return ((offer, offer.order) for request in requests for offer in request.offers if offer.order is not None)
