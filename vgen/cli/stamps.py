"""Writes down what noop may believe later: facts that can't have changed unseen, and what was typed."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vgen.cli import noop

MOST = {noop.STAMP: 16, noop.PLANNED: 4}
"""So many command lines are remembered; each is dropped with the first file that changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a run went by. `read`: files beside noop.GIVEN; `there`: those of GIVEN that were there as it began."""

    root: str
    outputs: str
    read: Sequence[str]
    began_ns: int
    there: Sequence[str]


def facts(place: Place, *, left: Mapping[str, tuple[int, int]], changed_nothing: bool = False) -> str | None:
    """The digest of what is there now. None if the run may have seen something older, or a clip is not as left.

    `left`: clip → (size, mtime) as the run remembers to have left it. `changed_nothing`: whether its results must be
    older than the run too, because it held no lock or did not look at all of them.
    """
    found = _, inputs, results = noop.gathered(place.root, place.outputs, list(place.read))
    old = [*inputs, *results] if changed_nothing else inputs
    newest_ns = max(ns for _, numbers in old for ns in (*numbers[1::4], *numbers[2::4]))
    if newest_ns + noop.TICK_NS > place.began_ns or noop.given(place.root) != place.there:
        return None
    if any("\0" in path or not path for path in place.read):
        return None
    if not all(Path(place.root, path).exists() for path in place.read):
        return None
    names, numbers = results[-1]
    clips = dict(zip(names, zip(numbers[0::4], numbers[1::4], strict=True), strict=True))
    if any(clips.get(name) != stat for name, stat in left.items()):
        return None
    return noop.digest(found)


def add(place: Place, name: str, fields: Sequence[str]) -> None:
    """One more entry (its first field is `facts`); those of another state of things are dropped."""
    entry = [*fields, *place.read]
    known = {tuple(place.read): fields[0]}
    same: list[list[str]] = []
    with contextlib.suppress(OSError, ValueError):
        for one in noop.entries(place.outputs, name):
            read = tuple(one[noop.FIELDS :])
            if read not in known:
                known[read] = noop.digest(noop.gathered(place.root, place.outputs, list(read)))
            same += [one] if one[0] == known[read] and one != entry else []
    kept = [entry, *same][: MOST[name]]
    text = noop.ENTRY.join([noop.VERSION, *(noop.FIELD.join(one) for one in kept)])
    Path(place.outputs, name).write_text(text, encoding="utf-8")
