"""Shots that are made from frames of other shots' clips: drawn in a schedule, and judged (M24).

The truth is the picture that came with each order: the studio's frames tell of which take they are, and of what moment.
"""

import contextlib
import dataclasses
import json
import random
import sqlite3
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simulation.promises import require

if TYPE_CHECKING:
    from simulation.invariants import Books
    from simulation.stage import Stage

Row = dict[str, Any]
Links = Mapping[int, tuple[int, str]]
"""Shot → the shot that it is made from, and of which moment."""

MOMENTS = ("", "", "@first", "@0.5", "@1.5")
SCENES = ("again", "edit", "pick", "keep", "both", "flight")
"""What somebody does to a chain that is whole: another take of a source, another text for a while, the old take back
(also while the next shot renders), a clip kept though its source has changed, new takes of source and next shot."""
MORE = (11, 12, 13)
"""Numbers of shots that a list gets besides its own."""


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(rng: random.Random, story: Sequence[Any], runs: Sequence[int]) -> list[Any]:
    """The story with more shots, made from each other's clips, and a scene before one of these runs."""
    more = [{"shot_number": n, "duration": rng.choice((2, 4, 5)), "prompt": f"boat {n}"} for n in MORE]
    if rng.random() < 0.3:
        more[1]["prompt"], more[1]["duration"] = more[0]["prompt"], more[0]["duration"]
    more = more[: rng.randint(1, len(MORE))]
    every = sorted({shot["shot_number"] for step in story for shot in getattr(step, "shots", ())} | set(MORE))
    story = [_richer(step, len(more)) for step in story]
    links = _links(rng, every)
    where, found = rng.choice(list(runs)), list[Any]()
    lists: list[Any] = []
    for k, step in enumerate(story):
        if k == where:
            found += _scene(rng, story, lists[-1])
        if hasattr(step, "shots"):
            links = _links(rng, every) if lists and rng.random() < 0.2 else links
            lists.append(dataclasses.replace(step, shots=_linked([*step.shots, *more], links)))
            step = lists[-1]
        found.append(step)
    return found


def _richer(step: Any, more: int) -> Any:
    """A run may spend what so many further shots cost, and a change of each."""
    if not hasattr(step, "args"):
        return step
    cap = round(step.cap_usd + 1.2 * more, 2)
    words = (f"budget_usd={cap}" if word.startswith("budget_usd=") else word for word in step.args)
    return dataclasses.replace(step, args=tuple(words), cap_usd=cap)


def _links(rng: random.Random, numbers: Sequence[int]) -> Links:
    """From each shot to one before it in an order of their own; the most to the one just before."""
    order = sorted(numbers, key=lambda n: (n in MORE, n)) if rng.random() < 0.5 else rng.sample(numbers, len(numbers))
    return {
        number: (order[k - 1] if rng.random() < 0.7 else rng.choice(order[:k]), rng.choice(MOMENTS))
        for k, number in enumerate(order)
        if k and rng.random() < 0.8
    }


def _linked(shots: Sequence[Mapping[str, Any]], links: Links) -> tuple[Mapping[str, Any], ...]:
    here = {shot["shot_number"] for shot in shots}
    wanted = {number: f"clip:{source}{at}" for number, (source, at) in links.items() if source in here}
    return tuple(
        {**shot, "image": wanted[shot["shot_number"]]} if shot["shot_number"] in wanted else shot for shot in shots
    )


def _scene(rng: random.Random, story: Sequence[Any], write: Any) -> list[Any]:
    """The chain is made in calm weather; then somebody changes their mind about one of its clips."""
    pairs = [(link[0], shot["shot_number"]) for shot in write.shots if (link := source_of(shot))]
    if not pairs:
        return []
    source, after = rng.choice(pairs)
    calm = dataclasses.replace(next(step for step in story if hasattr(step, "faults")), faults=())
    good = next(step for step in reversed(story) if hasattr(step, "args"))

    def run(*words: str, killed: bool = False) -> Any:
        one = dataclasses.replace(good, args=(*words, *good.args), full=not words)
        return dataclasses.replace(one, crash=rng.randint(1, 120), power=rng.random() < 0.4) if killed else one

    old = run("pick", f"shot={source}", "take=1")
    anew = run("-a", f"clip:{source}", killed=rng.random() < 0.3)
    changed = tuple(
        {**shot, "prompt": f"{shot['prompt']} anew"} if shot["shot_number"] == source else shot for shot in write.shots
    )
    both = ("-a", f"clip:{source}", f"clip:{after}")
    acts: Mapping[str, list[Any]] = {
        "again": [anew, run(killed=True), run()],
        "edit": [dataclasses.replace(write, shots=changed, why="prompt"), run(killed=rng.random() < 0.5), write],
        "pick": [anew, run(), old],
        "keep": [anew, run("keep", f"shot={after}")],
        "both": [run(*both, killed=True), run(*both)],
        "flight": [anew, run(killed=True), old],
    }
    return [calm, run(), *acts[rng.choice(SCENES)]]


# ── the truth ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def source_of(shot: Mapping[str, Any]) -> tuple[int, str] | None:
    """From which shot's clip a shot is made, and of which moment."""
    image = str(shot.get("image") or "")
    if not image.startswith("clip:"):
        return None
    number, _, at = image.removeprefix("clip:").partition("@")
    return int(number), at or "last"


def named(row: Row) -> str | None:
    """The first picture in a purchase's recipe."""
    return dict(json.loads(row["manifest"])).get("image")


def alike(row: Row, shot: Mapping[str, Any]) -> bool:
    """Whether a purchase has the kind of first picture that a shot asks for, of whichever take."""
    made, source = named(row) or "", source_of(shot)
    if source is None:
        return bool(made) == bool(shot.get("image")) and not made.startswith("take:")
    return made.startswith("take:") and made.partition("@")[2] == source[1]


def look(stage: "Stage") -> tuple[dict[int, Row], set[int]]:
    """Shot → what is under its clip's name; the purchases that the user has chosen or locked. Read with SQL of our own.

    Of a clip that was edited by hand `sha256` is its take's: of that one the frames are taken (decision 0013).
    """
    path = stage.outputs / "ledger.db"
    if not path.exists() or not path.stat().st_size:
        return {}, set()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'placed'").fetchone():
            return {}, set()
        take = "(SELECT sha256 FROM takes WHERE takes.purchase_id = placed.purchase_id)"
        shown = f"SELECT shot_number, purchase_id, iif(edited, {take}, sha256) AS sha256 FROM placed"
        placed = {row["shot_number"]: dict(row) for row in db.execute(shown)}
        said = "SELECT purchase_id FROM chosen UNION SELECT purchase_id FROM locks"
        return placed, {row["purchase_id"] for row in db.execute(said)}


def after_a_run(stage: "Stage", now: "Books", last: int) -> None:
    """M24, of what was reserved after the purchase `last`: made from the take in place, which was good before that."""
    shots = {shot["shot_number"]: shot for shot in stage.read_shots()}
    new = [row for row in now.rows if row["id"] > last and row["shot_number"] in shots and row["run_id"]]
    if not any(source_of(shots[row["shot_number"]]) or named(row) for row in new):
        return
    placed, _ = look(stage)
    accepted: dict[int, int] = {}
    reserved: dict[int, int] = {}
    for move in now.moves:
        first = {"accepted": accepted, "reserved": reserved}.get(move["state"], {})
        first.setdefault(move["purchase_id"], move["id"])
    takes = {take["sha256"]: take for take in now.takes if take["good"]}
    for row in new:
        what = f"purchase {row['id']} of shot {row['shot_number']}, made from {named(row)}:"
        source = source_of(shots[row["shot_number"]])
        if source is None:
            require(not str(named(row) or "").startswith("take:"), "M24", what, "the list names no frame")
            continue
        there = placed.get(source[0])
        require(there is not None, "M24", what, "bought before there was a clip", source[0])
        assert there is not None
        wanted = f"take:{there['sha256']}@{source[1]}"
        require(named(row) == wanted, "M24", what, "the list and the clip in place say", wanted)
        take = takes.get(there["sha256"])
        require(take is not None, "M24", what, "that is no good take")
        assert take is not None
        since = accepted.get(take["purchase_id"])
        if row["id"] in reserved and (since is not None or not stage.world.ledgers_lost):
            require(since is not None and since < reserved[row["id"]], "M24", what, "bought before it was accepted")


def at_the_end(stage: "Stage", now: "Books") -> None:
    """M24: in the end every clip is made from its source's take, but for those that the user has chosen."""
    placed, chosen = look(stage)
    rows = {row["id"]: row for row in now.rows}
    good = {entry["shot_number"] for entry in stage.report()["clips"] if entry["success"]}
    for shot in stage.read_shots():
        source, number = source_of(shot), shot["shot_number"]
        if source is None or number not in good:
            continue
        row = rows[placed[number]["purchase_id"]]
        if row["id"] in chosen:
            continue
        require(source[0] in good, "M24", "a clip whose source is not there: shot", number)
        wanted = f"take:{placed[source[0]]['sha256']}@{source[1]}"
        require(named(row) == wanted, "M24", "shot", number, "is made from", named(row), "its source is now", wanted)


def of_today(stage: "Stage", number: int, rows: list[Row]) -> list[Row]:
    """Of a shot's purchases those that are made from the frame that it is to begin with now."""
    source = _source(stage, number)
    placed = look(stage)[0].get(source[0]) if source else None
    if source is None or placed is None:
        return rows
    return [row for row in rows if named(row) == f"take:{placed['sha256']}@{source[1]}"]


def waits(stage: "Stage", number: int) -> bool:
    """Whether the shot that it is made from is not there."""
    source = _source(stage, number)
    good = {entry["shot_number"] for entry in stage.report()["clips"] if entry["success"]}
    return source is not None and source[0] not in good


def _source(stage: "Stage", number: int) -> tuple[int, str] | None:
    return next((source_of(shot) for shot in stage.read_shots() if shot["shot_number"] == number), None)
