"""What providers have told of their prices, against today's offers: the highest binds plan and reservation. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from vgen.plan.request import Offer, ShotRequest
from vgen.providers.base import Kind, Order, kind_of
from vgen.store.reader import LedgerReader

Prices = Mapping[tuple[str, Kind], int]
"""Provider and kind of order → the most that it has told, in micro-dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Orders that one look into the ledger is for: alike but for endpoint, shape, resolution and sound."""

    provider: str
    model: str
    bought_s: Decimal


def prices(requests: Iterable[ShotRequest], ledger: LedgerReader, *, simulated: bool) -> Prices:
    """What was told for the kinds of order that today's shots are, where it is more than their list price."""
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
    """Whether the provider has taken on an order of this kind before, at this endpoint: what it costs is known."""
    kind = order.kind
    earlier = ledger.answered_requests(provider, kind.model, order.path, kind.bought_s, simulated=simulated)
    return any(kind_of(kind.model, kind.bought_s, json.loads(request)) == kind for request in earlier)


def raised(requests: Sequence[ShotRequest], told: Prices) -> Sequence[ShotRequest]:
    """The same requests, each order at the highest price that its provider has told for its kind."""
    return [_raised(request, told) for request in requests] if told else requests


def at_told_price(provider: str, order: Order, told: Prices) -> Order:
    """The order at the highest price that its provider has told for its kind."""
    price = told.get((provider, order.kind), 0) if told else 0
    return replace(order, price=price, told=True) if price > order.price else order


def _raised(request: ShotRequest, told: Prices) -> ShotRequest:
    offers = [
        offer if offer.order is None else replace(offer, order=at_told_price(offer.provider, offer.order, told))
        for offer in request.offers
    ]
    return request if offers == list(request.offers) else replace(request, offers=offers)


def _orders(requests: Iterable[ShotRequest]) -> Iterator[tuple[Offer, Order]]:
    return ((offer, offer.order) for request in requests for offer in request.offers if offer.order is not None)
