"""What providers have told of their prices, against today's offers: the highest binds plan and reservation. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from vgen.plan.request import ShotRequest
from vgen.providers.base import Order
from vgen.providers.kinds import Kind

Prices = Mapping[tuple[str, Kind], int]
"""Provider and kind of order → the most that it has told, in micro-dollars."""


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
    further = tuple(_raised(one, told) for one in request.further)
    if offers == list(request.offers) and further == request.further:
        return request
    return replace(request, offers=offers, further=further)
