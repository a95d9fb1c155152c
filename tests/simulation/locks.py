"""Locked clips: drawn in a schedule, and judged (M25). The truth is the file as it was when the lock was taken.

Who is locked is told here by numbers: a story with locks renumbers nothing, but for one list in which all shots change
places and nothing else; and a shot that leaves is let go.
"""

import dataclasses
import hashlib
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from simulation.promises import require

if TYPE_CHECKING:
    from simulation.invariants import Books
    from simulation.stage import Stage

KEPT = "a user's remark <b>"
"""A note's text."""


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def drawn(rng: random.Random, story: Sequence[Any], runs: Sequence[int], *, odd: Any) -> list[Any]:
    """The story with locks in it. `odd`: makes a step in which somebody does something to a clip.

    The list is made in calm weather, a shot or two are locked, and then everything is tried that could change them:
    an edit for a while, -a, a deleted or damaged file, runs that are killed. Some are unlocked before the end.
    """
    calm = dataclasses.replace(next(step for step in story if hasattr(step, "faults")), faults=())
    good = next(step for step in reversed(story) if hasattr(step, "args"))
    where = rng.choice(list(runs))
    write = next(step for step in reversed(story[:where]) if hasattr(step, "shots"))
    numbers = [shot["shot_number"] for shot in write.shots]
    mine = rng.sample(numbers, 1 if len(numbers) == 1 or rng.random() < 0.7 else 2)

    def run(*words: str, killed: bool = False) -> Any:
        one = dataclasses.replace(good, args=(*words, *good.args), full=not words)
        return dataclasses.replace(one, crash=rng.randint(1, 60), power=rng.random() < 0.4) if killed else one

    found: list[Any] = [calm, run()]
    found += [run("lock", f"shot={number}", killed=rng.random() < 0.15) for number in mine]
    if rng.random() < 0.5:
        found.append(run("note", f"shot={rng.choice(numbers)}", f"text={KEPT}", killed=rng.random() < 0.3))
    one = rng.choice(mine)
    edited = tuple(
        {**shot, "prompt": f"{shot['prompt']} locked"} if shot["shot_number"] == one else shot for shot in write.shots
    )
    other = dataclasses.replace(write, shots=edited, why="prompt")
    turned = [*numbers[1:], numbers[0]]
    moved = tuple({**shot, "shot_number": number} for shot, number in zip(write.shots, turned, strict=True))
    acts = {
        "numbers": [write, run(), dataclasses.replace(write, shots=moved, why="numbers"), run(), write, run()],
        "edit": [other, run(killed=rng.random() < 0.4), run()],
        "gone": [other, odd(kind="locks", how="delete", at=one), run(killed=rng.random() < 0.4), run()],
        "again": [run("-a", *(f"clip:{number}" for number in sorted({one, rng.choice(numbers)})))],
        "delete": [odd(kind="locks", how="delete", at=one), run(killed=rng.random() < 0.4), run()],
        "damage": [odd(kind="locks", how="damage", at=one), run()],
        "hand": [odd(kind="locks", how="edit", at=one), run()],
        "pick": [run("pick", f"shot={one}", "take=1")],
        "keep": [run("keep", f"shot={one}")],
    }
    for act in rng.sample(sorted(acts), rng.randint(1, 3)):
        found += acts[act]
    rest = list(story[where:])
    if rng.random() < 0.4:
        later = [k for k, step in enumerate(rest) if hasattr(step, "args")]
        at = rng.choice(later)
        rest = [*rest[:at], run("unlock", f"shot={one}", killed=rng.random() < 0.2), *rest[at:]]
    return [*story[:where], *found, *rest]


# ── judging ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Locks:
    """What is locked in one story, by what was typed and what lay under the clip's name then."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self._shown: dict[int, str] = {}
        """Locked shot → sha256 of its clip as it was locked; of an edited one, of its take."""
        self._texts: dict[int, set[Any]] = {}
        """All texts that a locked shot has had since; and the shots that were alike when it was locked."""
        self._twins: dict[int, set[int]] = {}
        self._before: Mapping[int, str] = {}
        self._list: dict[int, Any] = {}
        self._moved = False
        """Whether shots have changed places since the last run."""
        self._last = 0
        self._stale = False
        """Whether the ledger's numbers may be those of an earlier list: the next whole run mends them."""

    def forget(self) -> None:
        """The ledger is not what it was: an older one may know of other locks, under the numbers of its list."""
        self._shown.clear()
        self._stale = True

    def listed(self) -> None:
        """The list was written: shots that have left it are let go, and those of which another may be the same."""
        before, here = self._list, self._texts_of_today()
        self._list = here
        was, now = ({number: (prompt, length) for number, (prompt, length, _) in of.items()} for of in (before, here))
        same = len(now) == len(was) and sorted(was.values()) == sorted(set(now.values()))
        if was != now and same:  # the same shots in other places
            if any(image for of in (before, here) for _, _, image in of.values()):
                self._shown.clear()  # links are by number: these are other shots now
            self._moved = True
            places = {text: number for number, text in now.items()}
            new = {number: places[text] for number, text in was.items()}
            self._shown = {new[number]: taken for number, taken in self._shown.items() if number in new}
            self._texts = {new[number]: texts for number, texts in self._texts.items() if number in new}
            self._twins = {
                new[n]: {new[twin] for twin in twins & new.keys()} for n, twins in self._twins.items() if n in new
            }
            return
        if was != now and self._moved:  # moved and edited between two runs: nobody can tell which is which
            self._shown.clear()
        changed = {number for number, shot in here.items() if shot != before.get(number)}
        for number in list(self._shown):
            twins = self._twins[number] - changed  # one that was alike, and is another shot now, may be the locked one
            alike = {n for n, text in now.items() if text in self._texts[number]} - {number} - twins
            if number not in here or alike:
                del self._shown[number]
            else:
                self._texts[number].add(now[number])

    def asked(self, now: "Books") -> None:
        """Before a run."""
        self._moved = False
        self._last = max((row["id"] for row in now.rows), default=0)
        self._before = {number: self._on_disk(number) for number in self._shown}

    def judge(self, now: "Books", words: tuple[str, ...], code: int | None, *, whole: bool) -> None:
        """After it; `code` None: it was killed. `whole`: a full run that nothing disturbed."""
        for number, taken in self._shown.items():
            new = [
                f"purchase {row['id']}" for row in now.rows if row["id"] > self._last and row["shot_number"] == number
            ]
            require(not new, "M25", "bought for locked shot", number, new)
            shown = self._on_disk(number)
            same = shown in (taken, self._before[number]) or shown in self._stage.world.edits
            require(same, "M25", "the clip of locked shot", number, "is another: ", shown[:12], "was", taken[:12])
            if whole and code in (0, 1):
                kept = shown == taken or (shown in self._stage.world.edits and bool(shown))
                require(kept, "M25", "the clip of locked shot", number, "is not there after a whole run")
                said = next(one for one in self._stage.report()["clips"] if one["shot_number"] == number)
                good = said["success"] or shown in self._stage.world.edits  # perhaps of the shot that had this number
                require(said.get("locked") and good, "M25", "the report does not call it locked:", said)
        self._stale &= not (whole and code in (0, 1))
        named = {int(word.removeprefix("clip:")) for word in words if word.startswith("clip:")}
        if "-a" in words and named & self._shown.keys() and code is not None:
            require(code == 3, "M25", "-a of a locked clip ended with", code)
        if words[0] in ("lock", "unlock"):
            self._typed(int(words[1].removeprefix("shot=")), words[0], code)
        if words[0] == "pick" and int(words[1].removeprefix("shot=")) in self._shown and code is not None:
            require(code == 3, "M25", "pick for a locked clip ended with", code)

    def _typed(self, number: int, word: str, code: int | None) -> None:
        """A lock was asked for, or its end."""
        held = self._rows()
        if self._stale:
            return
        if code == 0:
            require((number in held) == (word == "lock"), "M25", word, number, "ended well, and the ledger has", held)
        here = {n: (prompt, length) for n, (prompt, length, _) in self._texts_of_today().items()}
        if number in held and number in here and number not in self._shown:
            self._shown[number], self._texts[number] = held[number], {here[number]}
            self._twins[number] = {n for n, text in here.items() if text == here[number]}
        elif number not in held:
            self._shown.pop(number, None)

    def _texts_of_today(self) -> dict[int, Any]:
        """Of each shot its prompt, its length and its first picture."""
        shots = self._stage.read_shots()
        return {shot["shot_number"]: (shot["prompt"], shot["duration"], shot.get("image", "")) for shot in shots}

    def _rows(self) -> dict[int, str]:
        """Locked shot → the sha256 of its take, as the ledger has it. Read with SQL of our own."""
        path = self._stage.outputs / "ledger.db"
        if not path.exists() or not path.stat().st_size:
            return {}
        query = "SELECT shot_number, sha256 FROM locks JOIN takes USING (purchase_id)"
        with closing(sqlite3.connect(path)) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'locks'").fetchone():
                return {}
            return dict(db.execute(query).fetchall())

    def _on_disk(self, number: int) -> str:
        clip = self._stage.clip(number)
        return hashlib.sha256(clip.read_bytes()).hexdigest() if clip.exists() else ""
