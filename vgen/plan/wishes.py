"""What providers leave out or can't make of a whole list of shots, told once each. Pure; decides nothing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from vgen.money import show
from vgen.plan.request import Offer, ShotRequest
from vgen.providers import prices
from vgen.providers.base import Terms
from vgen.ranges import ranges


def told(requests: Sequence[ShotRequest], terms: Iterable[Terms]) -> Iterator[str]:
    """What each provider leaves out, which of them makes none of the shots, and whose configured price is too low."""
    yield from _left_out(requests)
    yield from _unable(requests)
    yield from _cheap(requests, {one.provider: one for one in terms if one.tariff is not None})


def _left_out(requests: Sequence[ShotRequest]) -> Iterator[str]:
    shots: dict[tuple[str, str, tuple[str, ...]], list[int]] = defaultdict(list)
    for request, offer in _offers(requests):
        if offer.order is not None and offer.order.left_out:
            shots[offer.provider, offer.order.model, offer.order.left_out].append(request.number)
    for (provider, model, names), numbers in shots.items():
        words = " and no ".join(name.replace("_", " ") for name in names)
        of = "shot" if len(numbers) == 1 else "shots"
        yield f"{provider}: {model} takes no {words}; left out of {of} {ranges(numbers)}"


def _unable(requests: Sequence[ShotRequest]) -> Iterator[str]:
    """Who makes none of the shots for one reason, where another makes some: a fallback, say, that is none."""
    problems: dict[str, set[str]] = defaultdict(set)
    for _, offer in _offers(requests):
        problems[offer.provider].add(offer.problem)
    able = any(offer.order is not None for _, offer in _offers(requests))
    for provider, found in problems.items():
        if able and len(found) == 1 and (problem := next(iter(found))):
            yield f"{provider} makes none of the shots: {problem}"


def _cheap(requests: Sequence[ShotRequest], terms: Mapping[str, Terms]) -> Iterator[str]:
    """Prices by the clip or by its length; one that is for every second is met when the config is read."""
    said = set()
    for _, offer in _offers(requests):
        order = offer.order
        price = prices.configured(terms[offer.provider], order.bought_s) if order and offer.provider in terms else None
        if order is not None and price is not None and price < order.price and not order.told:
            said.add(
                f"{offer.provider}: its price in the config, {show(price)}, is below the list price of {order.model}, "
                f"{show(order.price)} for {order.bought_s} s; the list price is reserved"
            )
    yield from sorted(said)


def _offers(requests: Sequence[ShotRequest]) -> Iterator[tuple[ShotRequest, Offer]]:
    return ((request, offer) for request in requests for offer in request.offers)
