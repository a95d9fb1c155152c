"""Which shots the user's locks and notes are about, now that the list may have changed. Pure.

A lock or a note follows its shot by the recipes if the list was renumbered; by all of them but the frames if a shot was
inserted into its chain; and by the number if it was edited. A shot that had the same recipe all the time (a twin) is
another one. What is about a shot that has left the list waits until its recipe comes back: its number may be another
shot's by then.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from vgen.inputs.pictures import Frame, Source
from vgen.plan.request import ShotRequest
from vgen.store.records import AboutShot, Purchase

T = TypeVar("T", bound=AboutShot)

NOWHERE = 0
"""The number of a shot that has left the list."""
MOST_CHARS = 1000
"""Of a note."""
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)
_JOINER = "\u200d"
"""Between the parts of an emoji: the one invisible character that is text."""


def one_line(text: str) -> str:
    """A note as it is kept: on one line, without what a terminal or a page would take for more than text."""
    shown = (c if c.isprintable() or c == _JOINER else " " for c in _ANSI.sub("", text))
    return " ".join("".join(shown).split())


def digests(request: ShotRequest) -> frozenset[str]:
    """What a shot is known by: its recipes, and those of a draft's final. None while it waits for a frame."""
    if request.waits_for:
        return frozenset()
    return request.digests() if request.final is None else request.digests() | request.final.digests()


def unlinked(request: ShotRequest) -> frozenset[str]:
    """The same of a shot that is made from others' frames, whichever shots and takes these are; of another none."""
    if not request.shot.sources:
        return frozenset()
    known = dict(request.pictures.named())

    def of_any(name: str, source: Source) -> str:
        return f"frame@{source.at}" if isinstance(source, Frame) else known[name]

    pictures = request.shot.pictures.map(of_any)
    recipes = [*request.recipes.values(), *(request.final.recipes.values() if request.final else ())]
    return frozenset(replace(made, pictures=pictures).digest for made in recipes)


Known = Callable[[ShotRequest], frozenset[str]]


def assigned(said: Sequence[T], requests: Sequence[ShotRequest], *, by_number: bool = True) -> dict[int, T]:
    """Shot → what was said of it. Of two about one shot: the one that knows its recipe, then the older.

    `by_number`: whether the number counts where no shot has a recipe that is known, nor one with other frames.
    """
    found: dict[int, T] = {}
    left = _found(said, requests, found, digests, lambda one: one.twins)
    if left and by_number:
        left = _found(left, requests, found, unlinked, lambda one: one.alike)
    numbers = {request.number for request in requests} if left else set()
    for one in left if by_number else ():
        if one.shot_number in numbers:
            found.setdefault(one.shot_number, one)
    return found


def _found(
    said: Sequence[T],
    requests: Sequence[ShotRequest],
    found: dict[int, T],
    known: Known,
    others: Callable[[T], frozenset[int]],
) -> list[T]:
    """Add the shots of those that are known by this, under their numbers or others. Who is left."""
    wanted = {one.shot_number for one in said}
    numbered = {request.number: request for request in requests if request.number in wanted}
    left = []
    for one in said:
        own = numbered.get(one.shot_number)
        if own is None or own.number in found or not known(own) & one.recipes:
            left.append(one)
        else:
            found[own.number] = one
    elsewhere = _numbers_of(left, requests, known)
    for one in [*left]:
        moved = {number for recipe in one.recipes for number in elsewhere[recipe]} - others(one) - found.keys()
        if moved:
            found[min(moved)] = one
            left.remove(one)
    return left


def _numbers_of(said: Iterable[AboutShot], requests: Sequence[ShotRequest], known: Known) -> dict[str, set[int]]:
    """Recipe → the shots that have it, of the recipes that something is known by."""
    found: dict[str, set[int]] = {recipe: set() for one in said for recipe in one.recipes}
    for request in requests if found else ():  # of 10,000 shots a few are locked
        for recipe in known(request) & found.keys():
            found[recipe].add(request.number)
    return found


def anchored(about: Mapping[int, T], requests: Sequence[ShotRequest]) -> dict[int, T]:
    """Shot → what was said of it, with all that it can be known by from now on."""
    mine = {number: request for request in requests if (number := request.number) in about}
    recipes = {n: one.recipes | digests(mine[n]) | unlinked(mine[n]) for n, one in about.items()}
    now = {n: replace(one, shot_number=n, recipes=recipes[n]) for n, one in about.items()}
    same, like = (_numbers_of(now.values(), requests, known) for known in (digests, unlinked))

    def others(n: int, having: Mapping[str, set[int]]) -> frozenset[int]:
        return frozenset({other for recipe in recipes[n] for other in having[recipe]} - {n})

    return {n: replace(one, twins=others(n, same), alike=others(n, like)) for n, one in now.items()}


def moved(about: Mapping[int, T], requests: Sequence[ShotRequest]) -> list[T]:
    """What is known otherwise by now, as it is to be remembered."""
    return [now for number, now in anchored(about, requests).items() if now != about[number]]


def departed(said: Iterable[AboutShot], about: Mapping[int, AboutShot]) -> list[AboutShot]:
    """What is about no shot of the list any more, as it is to be remembered: without its number."""
    here = {one.id for one in about.values()}
    return [replace(one, shot_number=NOWHERE) for one in said if one.id not in here and one.shot_number != NOWHERE]


def whose(row: Purchase, locked: Collection[int]) -> str:
    """Of a paid job that no shot waits for: why it is collected all the same, in words."""
    return f"for shot {row.shot_number}, which is locked" if row.shot_number in locked else "of an earlier list"
