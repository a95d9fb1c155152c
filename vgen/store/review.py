"""What the user says of shots in review: rows of `locks` and `notes`, also as vgen.log tells them. No plan."""

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vgen.store.ledger import Ledger
from vgen.store.records import AboutShot, Lock, Note

Told = dict[str, Any]
"""A lock or a note, or that there is none any more, as vgen.log tells it."""


def lock(ledger: Ledger, one: Lock, *, simulated: bool, settles: Collection[int]) -> Told:
    """Keep a lock. `settles`: retakes that are not waited for any more. What vgen.log is to tell of it."""
    with ledger.changing("lock") as (db, now):
        values = (one.id or None, *_shot(one), simulated, one.purchase_id, now)
        number = db.execute("INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values).lastrowid
        db.executemany("UPDATE retakes SET settled = 1 WHERE id = ?", [(retake,) for retake in settles])
    row = ledger.get(one.purchase_id)
    return _told(ledger, one, "lock", number) | {"provider": row.provider, "job": row.job_id, "simulated": simulated}


def unlock(ledger: Ledger, one: Lock) -> Told:
    """The clip may change again. What vgen.log is to tell of it."""
    with ledger.changing("unlock") as (db, _):
        db.execute("DELETE FROM locks WHERE id = ?", (one.id,))
    return _told(ledger, one, "lock", one.id) | {"job": None}


def note(ledger: Ledger, one: Note) -> Told:
    """Keep a note in the place of the one with its id; an empty one is taken away. What vgen.log is to tell of it."""
    number: int | None = one.id
    with ledger.changing("remark") as (db, now):
        if one.text:
            values = (one.id or None, *_shot(one), one.text, now)
            number = db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?, ?)", values).lastrowid
        else:
            db.execute("DELETE FROM notes WHERE id = ?", (one.id,))
    return _told(ledger, one, "note", number) | {"text": one.text}


def follow(ledger: Ledger, moved: Sequence[AboutShot]) -> None:
    """Remember of which shots these are about by now."""
    with ledger.changing("follow") as (db, _):
        for one in moved:
            table = "locks" if isinstance(one, Lock) else "notes"
            update = f"UPDATE {table} SET shot_number = ?, recipes = ?, twins = ?, alike = ? WHERE id = ?"  # noqa: S608 - ours
            db.execute(update, (*_shot(one), one.id))


def _shot(one: AboutShot) -> tuple[Any, ...]:
    return _columns(one.shot_number, one.recipes, one.twins, one.alike)


def _columns(number: int, *lists: Iterable[Any]) -> tuple[Any, ...]:
    return number, *(json.dumps(sorted(one)) for one in lists)


def _told(ledger: Ledger, one: AboutShot, kind: str, number: int | None) -> Told:
    known = {"recipes": sorted(one.recipes), "twins": sorted(one.twins), "alike": sorted(one.alike)}
    return {"ledger": ledger.identity, "kind": kind, "id": number, "shot_number": one.shot_number, **known}


# ── making them again ─────────────────────────────────────────────────────────────────────────────────────────────────


def logged(log: Path, mine: Collection[str]) -> list[Told]:
    """What the log tells last of each lock and note, of the newest of these ledgers that it tells of.

    Their numbers are a ledger's own. `mine`: the ledger itself, and those whose takes it holds: it may have another
    identity, when the mark beside the old one is gone too.
    """
    found: dict[tuple[str, str, int], Told] = {}
    newest = ""
    with contextlib.suppress(OSError), log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if '"review"' not in line:
                continue
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                told = dict(json.loads(line)["review"])
                found[str(told["ledger"]), str(told["kind"]), int(told["id"])] = told
                newest = told["ledger"] if told["ledger"] in mine else newest
    return [told for told in found.values() if told["ledger"] == newest]


def make_again(ledger: Ledger, found: Sequence[Told], most: int) -> Iterator[str]:
    """Locks and notes of a ledger that is rebuilt, as they were last; a line for each that was not there any more.

    `most`: the last lock that there ever was, as the mark says.
    """
    jobs = {(row.provider, row.job_id): row.id for known in (True, False) for row in ledger.with_jobs(simulated=known)}
    for told in found:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            if said := _again(ledger, told, jobs):
                yield f"shot {int(told['shot_number'])}: {said}"
    if ledger.high_water().locks < most and not any(told["kind"] == "lock" and told["id"] == most for told in found):
        yield "vgen.log does not tell of the last `doit lock`: lock again what is to stay as it is"


def _again(ledger: Ledger, told: Told, jobs: dict[tuple[str, str | None], int]) -> str:
    """What was done for one, in words; "" if nothing. Raises KeyError, TypeError, ValueError of what is no record."""
    about = _columns(int(told["shot_number"]), told["recipes"], told["twins"], told["alike"])
    number = int(told["id"])
    if told["kind"] == "note":
        with ledger.changing("remark") as (db, now):
            old = db.execute("SELECT text FROM notes WHERE id = ?", (number,)).fetchone()
            text = str(told["text"])
            if (old["text"] if old else "") == text:
                return ""
            db.execute("DELETE FROM notes WHERE id = ?", (number,))
            if text:
                db.execute("INSERT INTO notes VALUES (?, ?, ?, ?, ?, ?, ?)", (number, *about, text, now))
        return f"its note is {'as it was last' if text else 'removed, as it was last'}"
    with ledger.changing("lock") as (db, now):
        old = db.execute("SELECT purchase_id FROM locks WHERE id = ?", (number,)).fetchone()
        if told["job"] is None:
            db.execute("DELETE FROM locks WHERE id = ?", (number,))
            return "is not locked, as it was last" if old else ""
        purchase = jobs.get((str(told["provider"]), str(told["job"])))
        if purchase is None or ledger.take_of(purchase) is None:
            return "was locked, and its take is not known any more: `doit lock` another, or none"
        if old and old["purchase_id"] == purchase:
            return ""
        values = (number, *about, bool(told["simulated"]), purchase, now)
        db.execute("INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    return "is locked again"
