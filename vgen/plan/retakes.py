"""New takes that were asked for with -a: which shots still wait for theirs, and when a command is finished. Pure.

A retake is over for its shot once a take that was bought after it was asked for is the clip, or once the user has
chosen another (`pick`, `keep`). It is remembered until that is so for every shot of its command; until then, naming one
of them with -a again buys nothing that the command has brought.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from vgen.plan.request import ShotRequest
from vgen.ranges import ranges
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Placed, Purchase, Retake

NAMED = 12
"""Commands name up to this many clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is under the clips' names: by a clip's name, and the purchase by its id (None: of the other world)."""

    placed: Callable[[str], Placed | None]
    purchase: Callable[[int], Purchase | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """One command's shots: those that have what they were to get, and those that wait for it."""

    served: tuple[int, ...]
    missing: tuple[int, ...]


def assigned(retakes: Sequence[Retake], requests: Sequence[ShotRequest]) -> dict[int, Retake]:
    """Shot → its retake. A retake follows its recipe if the list was renumbered, and its number if the shot was edited.

    That of a shot which has left the list is nobody's.
    """
    if not retakes:
        return {}
    by_number = {request.number: request for request in requests}
    by_digest: dict[str, int] = {}
    for request in requests:
        for digest in request.digests():
            by_digest.setdefault(digest, request.number)
    found: dict[int, Retake] = {}
    for retake in retakes:
        if (number := _whose(retake, by_number, by_digest)) is not None:
            found.setdefault(number, retake)
    return found


def _whose(retake: Retake, by_number: Mapping[int, ShotRequest], by_digest: Mapping[str, int]) -> int | None:
    own = by_number.get(retake.shot_number)
    if own is not None and own.digests() & retake.recipes:
        return own.number
    elsewhere = [by_digest[digest] for digest in sorted(retake.recipes) if digest in by_digest]
    return elsewhere[0] if elsewhere else own.number if own is not None else None


def is_served(retake: Retake, request: ShotRequest, places: Places) -> bool:
    """Whether nothing is left to be done for a shot: its new take is the clip, or the user has chosen another."""
    if retake.settled:
        return True
    placed = places.placed(clip_name(request.number))
    if placed is None or placed.purchase_id <= retake.newest:
        return False
    row = places.purchase(placed.purchase_id)
    return row is not None and request.matches(row)


def has_arrived(retake: Retake, request: ShotRequest, rows: Sequence[Purchase]) -> bool:
    """Whether a new take is here, in place or not."""
    return any(row.id > retake.newest and row.state is State.ACCEPTED and request.matches(row) for row in rows)


def before_live(request: ShotRequest, rows: Sequence[Purchase], newest: int) -> int:
    """The newest purchase that is no new take for an -a of now: a live job of the shot is collected as one."""
    live = [row.id for row in rows if row.state in COLLECTABLE and request.matches(row)]
    return min(live) - 1 if live else newest


def fresh_after(retake: Retake | None, request: ShotRequest, rows: Sequence[Purchase], newest: int) -> int:
    """With -a: purchases up to this one do not count. What the retake has brought does, and a job that is live."""
    after = before_live(request, rows, newest)
    if after == newest and retake is not None and has_arrived(retake, request, rows):
        return retake.newest
    return after


def is_over(retake: Retake, request: ShotRequest, rows: Sequence[Purchase], places: Places) -> bool:
    """Whether an -a of now buys, collects and changes nothing: an unfinished one has served the shot already."""
    is_live = any(row.state in COLLECTABLE and request.matches(row) for row in rows)
    return not is_live and has_arrived(retake, request, rows) and is_served(retake, request, places)


def standing(
    retakes: Sequence[Retake], requests: Sequence[ShotRequest], places: Places
) -> tuple[list[Unfinished], list[int]]:
    """The commands that are not finished; and the ids of the retakes of those that are, to be forgotten."""
    by_number = {request.number: request for request in requests}
    number_of = {retake.id: number for number, retake in assigned(retakes, requests).items()}
    commands: dict[str, list[Retake]] = {}
    for retake in retakes:
        commands.setdefault(retake.command, []).append(retake)
    unfinished: list[Unfinished] = []
    over: list[int] = []
    for mine in commands.values():
        told = {number_of[one.id]: one for one in mine if one.id in number_of}
        served = {number for number, one in told.items() if is_served(one, by_number[number], places)}
        if missing := sorted(told.keys() - served):
            unfinished.append(Unfinished(served=tuple(sorted(served)), missing=tuple(missing)))
        else:
            over += [one.id for one in mine]
    return unfinished, over


def text(one: Unfinished) -> str:
    """An unfinished -a in one line, with the commands that continue it and that give it up."""
    some = len(one.missing) <= NAMED
    command = " ".join(f"clip:{number}" for number in one.missing) if some else ""
    go_on = f"`doit -a {command}` continues it" if some else "the same command again continues it"
    up = f"; `doit keep shot={one.missing[0]}` gives {'it' if len(one.missing) == 1 else 'one'} up"
    has = f"{_clips(one.served, 'has its', 'have their')} new take, " if one.served else ""
    lacks = _clips(one.missing, "has", "have")
    return f"unfinished -a: {has}{lacks} none yet; {go_on}, buying only what is missing{up}"


def _clips(numbers: Sequence[int], has: str, have: str) -> str:
    """`clip 3 has`, `clips 1-2, 7 have`."""
    which = ranges(numbers)
    return f"clip {which} {has}" if len(numbers) == 1 else f"clips {which} {have}"
