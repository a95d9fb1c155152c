"""Shots whose pictures are frames of other shots: which come first, rings, and how many wait for each. Pure."""

import graphlib
import heapq
from collections.abc import Collection, Mapping

_MOST = 10_000_000
"""More than any shot's number."""
Sources = Mapping[int, Collection[int]]
"""Shot → the shots whose frames it needs. A shot that needs none may be left out."""


def ring(sources: Sources) -> list[int]:
    """Shots that wait for each other, the first one again at the end; none if there is no ring."""
    try:
        graphlib.TopologicalSorter(sources).prepare()
    except graphlib.CycleError as exc:
        found = exc.args[1][:-1]
        first = found.index(min(found))
        return [*found[first:], *found[: first + 1]][::-1]
    return []


def in_order(numbers: Collection[int], sources: Sources) -> list[int]:
    """All shots, each after those whose frames it needs, else by number. Raises graphlib.CycleError."""
    if not sources:
        return sorted(numbers)
    graph = graphlib.TopologicalSorter({number: sources.get(number, ()) for number in numbers})
    graph.prepare()
    ready, found = list(graph.get_ready()), list[int]()
    heapq.heapify(ready)
    while ready:
        number = heapq.heappop(ready)
        found.append(number)
        graph.done(number)
        for other in graph.get_ready():
            heapq.heappush(ready, other)
    return found


def ranks(numbers: Collection[int], sources: Sources) -> dict[int, int]:
    """Shot → its place in line: what most others wait for goes first, else by number."""
    return {number: number - after * _MOST for number, after in followers(numbers, sources).items()}


def followers(numbers: Collection[int], sources: Sources) -> dict[int, int]:
    """How many shots, one after the other, can begin only after each: 0 of a shot that nobody waits for."""
    found: dict[int, int] = dict.fromkeys(numbers, 0)
    for number in reversed(in_order(numbers, sources)):
        for source in sources.get(number, ()):
            found[source] = max(found.get(source, 0), found[number] + 1)
    return found
