"""What the user says of shots in review: rows of `locks` and `notes`, written. Knows no plan."""

import json
from collections.abc import Collection, Sequence

from vgen.store.ledger import Ledger
from vgen.store.records import AboutShot, Lock, Note


def lock(ledger: Ledger, one: Lock, *, simulated: bool, settles: Collection[int]) -> None:
    """Keep a lock. `settles`: retakes that are not waited for any more."""
    with ledger.changing("lock") as (db, now):
        values = (*_shot(one), simulated, one.purchase_id, now)
        db.execute("INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?, ?, ?, ?)", (one.id or None, *values))
        db.executemany("UPDATE retakes SET settled = 1 WHERE id = ?", [(retake,) for retake in settles])


def unlock(ledger: Ledger, one: Lock) -> None:
    """The clip may change again."""
    with ledger.changing("unlock") as (db, _):
        db.execute("DELETE FROM locks WHERE id = ?", (one.id,))


def note(ledger: Ledger, one: Note) -> None:
    """Keep a note in the place of the one with its id; an empty one is taken away."""
    with ledger.changing("remark") as (db, now):
        if one.text:
            values = (one.id or None, *_shot(one), one.text, now)
            db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?)", values)
        else:
            db.execute("DELETE FROM notes WHERE id = ?", (one.id,))


def follow(ledger: Ledger, moved: Sequence[AboutShot]) -> None:
    """Remember of which shots these are about by now."""
    with ledger.changing("follow") as (db, _):
        for one in moved:
            table = "locks" if isinstance(one, Lock) else "notes"
            update = f"UPDATE {table} SET shot_number = ?, recipes = ?, twins = ? WHERE id = ?"  # noqa: S608 - ours
            db.execute(update, (*_shot(one), one.id))


def _shot(one: AboutShot) -> tuple[int, str, str]:
    return one.shot_number, json.dumps(sorted(one.recipes)), json.dumps(sorted(one.twins))
