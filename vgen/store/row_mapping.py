"""Rows of SQLite → records, with one object for what many rows have in common. Knows no query."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from vgen.store.purchase import State
from vgen.store.records import Lock, Note, Placed, Purchase, Retake, Take

_COMMON = frozenset({
    "run_id", "provider", "account", "base_url", "model", "path", "bought_s", "charged_by", "recipe", "sha256",
    "size_bytes", "price", "charged", "error", "error_code", "duration_s", "fps", "width", "height", "codec",
})  # fmt: skip
"""Columns whose values many rows have in common, or a purchase with its take and its place."""


MOST_RECENT = 2048
"""Purchases that are remembered: more than a run has in flight, as a rule, and about 8 MB."""


class Once:
    """One object for all equal ones that a query brings: many rows have much in common."""

    def __init__(self) -> None:
        self._found: dict[type, dict[Any, Any]] = defaultdict(dict)

    def __call__(self, value: Any) -> Any:
        return self._found[type(value)].setdefault(value, value)


def _values(row: sqlite3.Row, once: Once) -> dict[str, Any]:
    """A row's columns by name; of two columns of a name the later."""
    return {name: once(value) if name in _COMMON else value for name, value in zip(row.keys(), row, strict=True)}


def _manifest(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in json.loads(text))


_MADE: Mapping[str, Callable[[Any], Any]] = {
    "manifest": _manifest, "urls": json.loads, "state": State, "simulated": bool, "final": bool,
}  # fmt: skip
"""Column of a purchase → what is made of its value."""


def purchase(row: sqlite3.Row, once: Once) -> Purchase:
    values = _values(row, once)
    values |= {name: make(values[name]) for name, make in _MADE.items()}
    values["manifest"] = tuple(once((once(name), once(value))) for name, value in values["manifest"])
    return Purchase(**values)


class Recent:
    """The purchases that were read last: of a row that has not changed, the record that was made of it."""

    def __init__(self) -> None:
        self._once = Once()
        self._made: dict[int, tuple[tuple[Any, ...], Purchase]] = {}

    def purchase(self, row: sqlite3.Row) -> Purchase:
        """As the function of this name; the row is compared whole, so it may come from any writer."""
        whole, known = tuple(row), self._made.get(row["id"])
        if known is None:
            if len(self._made) >= MOST_RECENT:
                self._made.clear()
                self._once = Once()
            made = purchase(row, self._once)
        else:
            before, made = known
            if before == whole:
                return made
            columns = zip(row.keys(), before, whole, strict=True)
            changed = {name: value for name, was, value in columns if value != was}
            made = replace(made, **changed | {name: _MADE[name](changed[name]) for name in changed.keys() & _MADE})
        self._made[made.id] = whole, made
        return made


def take(row: sqlite3.Row, once: Once) -> Take:
    values = _values(row, once)
    audio = row["has_audio"]
    values |= {
        "simulated": bool(row["simulated"]),
        "good": bool(row["good"]),
        "has_audio": None if audio is None else bool(audio),
        "remarks": tuple(json.loads(row["remarks"])) if row["remarks"] else (),
    }
    return Take(**values)


def placed(row: sqlite3.Row, once: Once) -> Placed:
    return Placed(**(_values(row, once) | {"edited": bool(row["edited"])}))


def retake(row: sqlite3.Row) -> Retake:
    return Retake(
        id=row["id"],
        command=row["command"],
        shot_number=row["shot_number"],
        recipes=frozenset(json.loads(row["recipes"])),
        newest=row["newest"],
        settled=bool(row["settled"]),
    )


def lock(row: sqlite3.Row) -> Lock:
    return Lock(**_about_shot(row), purchase_id=row["purchase_id"])


def note(row: sqlite3.Row) -> Note:
    return Note(**_about_shot(row), text=row["text"])


def _about_shot(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "shot_number": row["shot_number"],
        "recipes": frozenset(json.loads(row["recipes"])),
        "twins": frozenset(json.loads(row["twins"])),
        "alike": frozenset(json.loads(row["alike"])),
    }
