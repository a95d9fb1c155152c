"""What providers leave out or can't make of a whole list of shots, told once each. Pure; decides nothing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from vgen.inputs.wording import ranges
from vgen.plan.request import Offer, ShotRequest


def told(requests: Sequence[ShotRequest]) -> Iterator[str]:
    """A line for each provider and wish: what its model does not take, and who makes none of the shots."""
    yield from _left_out(requests)
    yield from _unable(requests)


def _left_out(requests: Sequence[ShotRequest]) -> Iterator[str]:
    shots: dict[tuple[str, str, tuple[str, ...]], list[int]] = defaultdict(list)
    for request, offer in _offers(requests):
        if offer.order is not None and offer.order.left_out:
            shots[offer.provider, offer.order.model, offer.order.left_out].append(request.number)
    for (provider, model, names), numbers in shots.items():
        yield f"{provider}: {model} takes no {' and no '.join(names)}, so shots {ranges(numbers)} go without"


def _unable(requests: Sequence[ShotRequest]) -> Iterator[str]:
    """Who makes none of the shots for one reason, where another makes some: a fallback, say, that is none."""
    problems: dict[str, set[str]] = defaultdict(set)
    for _, offer in _offers(requests):
        problems[offer.provider].add(offer.problem)
    able = any(offer.order is not None for _, offer in _offers(requests))
    for provider, found in problems.items():
        if able and len(found) == 1 and (problem := next(iter(found))):
            yield f"{provider} makes none of the shots: {problem}"


def _offers(requests: Sequence[ShotRequest]) -> Iterator[tuple[ShotRequest, Offer]]:
    return ((request, offer) for request in requests for offer in request.offers)
