"""M21: what `doit -a` has brought is not bought again by the same words, as long as one of its clips waits; and an -a
that ends well has brought its takes. An oracle beside vgen's own memory of it, from the rows of purchases and places.
"""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulation import chains
from simulation.promises import require

if TYPE_CHECKING:
    from simulation.invariants import Books
    from simulation.stage import Stage

Row = dict[str, Any]
LIVE = ("rendering", "rendered", "fetched")


@dataclass(slots=True)
class _Wish:
    """Shots that one command, and those that continued it, asked new takes for: shot → the last purchase before."""

    since: dict[int, int]
    texts: dict[int, Any]


@dataclass(slots=True)
class Again:
    """All unfinished -a of one story."""

    stage: "Stage"
    _wishes: list[_Wish] = field(default_factory=list)
    _loose: set[int] = field(default_factory=set)
    """Shots of an -a of which one was edited: vgen may remember it, or not."""
    _before: list[_Wish] = field(default_factory=list)
    _named: frozenset[int] = frozenset()
    _barred: frozenset[int] = frozenset()
    _drafts: bool = False
    _ever: set[int] = field(default_factory=set)
    """All shots that were named with -a."""
    _last: int = 0
    _moves: int = 0
    _finished: frozenset[str] = frozenset()

    def forget(self) -> None:
        """The ledger is not what it was: an older one may remember an -a that has ended since."""
        self._loose |= self._ever
        self._wishes.clear()

    def asked(self, words: tuple[str, ...], now: "Books") -> None:
        """Before a run."""
        shots = self._shots()
        if words[0] in ("pick", "keep", "lock"):
            self._chosen(int(words[1].removeprefix("shot=")), shots)
        as_then = [all(_text(shots.get(n)) == text for n, text in wish.texts.items()) for wish in self._wishes]
        for wish, same in zip(self._wishes, as_then, strict=True):
            self._loose |= set() if same else wish.since.keys()
        self._wishes = [wish for wish, same in zip(self._wishes, as_then, strict=True) if same]
        self._before = list(self._wishes)
        self._last = max((row["id"] for row in now.rows), default=0)
        self._moves = len(now.moves)
        self._finished = _placed_and_finished(self.stage.outputs)[1]
        self._named = frozenset(int(w.removeprefix("clip:")) for w in words if w.startswith("clip:") and "-a" in words)
        self._ever |= self._named
        self._drafts = "tier=draft" in words
        mine = [wish for wish in self._wishes if wish.since.keys() & self._named]
        one = _Wish(
            {n: since for wish in mine for n, since in wish.since.items()},
            {n: text for wish in mine for n, text in wish.texts.items()},
        )
        self._barred = frozenset(
            n for n in self._named & one.since.keys() if _brought(now.rows, shots[n], one.since[n])
        )
        for n in self._named - one.since.keys():
            live = [row["id"] for row in now.rows if row["state"] in LIVE and _matches(row, shots[n])]
            one.since[n], one.texts[n] = min(live, default=self._last + 1) - 1, _text(shots[n])
        if self._named:
            self._wishes = [*(wish for wish in self._wishes if wish not in mine), one]

    def judge(self, now: "Books", code: int | None) -> None:
        """After it; `code` None: it was killed."""
        shots = self._shots()
        placed, finished = _placed_and_finished(self.stage.outputs)
        bought = [row for row in now.rows if row["id"] > self._last and row["submitted_at"] is not None]
        for n in self._barred:
            others = [shots[m] for m in self._named - self._barred]
            again = [row for row in bought if _matches(row, shots[n]) and not any(_matches(row, o) for o in others)]
            require(not again, "M21", "an unfinished -a brought it, and it was bought again: shot", n, again)
        rows = {row["id"]: row for row in now.rows}
        here, later = (
            {move["purchase_id"] for move in moves if move["state"] == "accepted"}
            for moves in (now.moves[: self._moves], now.moves[self._moves :])
        )
        came = later - here  # that a take is superseded is a move, too
        if code == 0 and self._named:
            wish = self._wishes[-1]
            for n in self._named - self._barred - self._loose:
                row = rows.get(placed.get(n, 0))
                new = row is not None and (row["id"] > wish.since[n] or row["id"] in came)
                require(new, "M21", "-a ended well, and the clip is no new take: shot", n, row)
        if len(now.moves) == self._moves:
            self._wishes = self._before  # nothing was bought or brought: it may have been killed before it was kept
            self._loose |= self._named - {n for wish in self._before for n in wish.since}  # or be remembered
        self._let_go([rows[one] for one in sorted(came)], shots)
        if finished - self._finished:
            for wish in list(self._wishes):
                if all(
                    (row := rows.get(placed.get(n, 0))) and row["id"] > since and _matches(row, shots[n])
                    for n, since in wish.since.items()
                ):
                    self._wishes.remove(wish)
                    if self._drafts:  # it brings a final that was on its way; the -a may be forgotten or not
                        self._loose |= wish.since.keys()

    def _chosen(self, number: int, shots: dict[int, Mapping[str, Any]]) -> None:
        """The user chooses a take for a shot, and with it for those that share its recipe: nothing is awaited there."""
        for wish in [wish for wish in self._wishes if number in wish.since or _shared(number, wish, shots)]:
            self._wishes.remove(wish)
            self._loose |= wish.since.keys()

    def _let_go(self, came: list[Row], shots: dict[int, Mapping[str, Any]]) -> None:
        """An order from before a wish was found, and may count as its take: whether vgen waits on is not judged."""
        for wish in list(self._wishes):
            if any(row["id"] <= since and _matches(row, shots[n]) for n, since in wish.since.items() for row in came):
                self._wishes.remove(wish)
                self._loose |= wish.since.keys()

    def _shots(self) -> dict[int, Mapping[str, Any]]:
        return {shot["shot_number"]: shot for shot in self.stage.read_shots()}


def _text(shot: Mapping[str, Any] | None) -> Any:
    """What of a shot decides its recipe. A picture may change under its name."""
    if shot is None or shot.get("image"):
        return object()  # nor is it told here what a frame's source is
    return shot["prompt"], shot.get("pika_prompt"), shot["duration"]


def _matches(row: Row, shot: Mapping[str, Any]) -> bool:
    made = dict(json.loads(row["manifest"]))
    if "take" in made or "tier" in made:  # one of the takes wanted, or a draft: no -a asks for these
        return False
    wanted = shot.get(f"{row['provider']}_prompt", shot["prompt"]), str(shot["duration"])
    return (made["prompt"], made["duration"]) == wanted and chains.alike(row, shot)


def _shared(number: int, wish: _Wish, shots: dict[int, Mapping[str, Any]]) -> bool:
    mine = _text(shots.get(number))
    return any(_text(shots.get(n)) == mine for n in wish.since)


def _brought(rows: list[Row], shot: Mapping[str, Any], since: int) -> bool:
    return any(row["id"] > since and row["state"] == "accepted" and _matches(row, shot) for row in rows)


def _placed_and_finished(outputs: Path) -> tuple[dict[int, int], frozenset[str]]:
    """Shot → the purchase under its clip's name; the ids of the runs that came to their end."""
    path = outputs / "ledger.db"
    if not path.exists() or not path.stat().st_size:
        return {}, frozenset()
    with contextlib.closing(sqlite3.connect(path)) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'placed'").fetchone():
            return {}, frozenset()
        placed = dict(db.execute("SELECT shot_number, purchase_id FROM placed").fetchall())
        ended = {row[0] for row in db.execute("SELECT id FROM runs WHERE finished_at IS NOT NULL")}
    return placed, frozenset(ended)
