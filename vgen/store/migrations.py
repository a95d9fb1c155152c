"""The ledger's schema through its versions: one function a step. Knows SQL, and no path, lock or record."""

import sqlite3
from collections.abc import Callable

from vgen.errors import Refusal
from vgen.store import failpoints


def _name_the_seed(db: sqlite3.Connection) -> None:
    """1 → 2: the column is named for what it holds, and the version is kept in user_version alone."""
    db.execute("ALTER TABLE purchases RENAME COLUMN marker TO correlation_seed")
    db.execute("UPDATE meta SET value = '2 or later' WHERE key = 'schema'")


def _remark_on_takes(db: sqlite3.Connection) -> None:
    """2 → 3: what strikes the eye in a take has a place."""
    db.execute("ALTER TABLE takes ADD COLUMN remarks TEXT")


def _tell_time_by_the_provider(db: sqlite3.Connection) -> None:
    """3 → 4: moments by the provider's clock; what was lost or given up can come back, what succeeded can fail."""
    for column in ("sent_before", "clock_ahead_s", "unreadable_since"):
        db.execute(f"ALTER TABLE purchases ADD COLUMN {column} REAL")
    moves = (
        ("lost", "rendering"), ("lost", "rendered"), ("failed", "rendered"),
        ("rendered", "failed"), ("rendered", "cancelled"),
    )  # fmt: skip
    db.executemany("INSERT OR IGNORE INTO legal_move VALUES (?, ?)", moves)


def _remember_retakes(db: sqlite3.Connection) -> None:
    """4 → 5: an unfinished `-a` is remembered."""
    db.execute(
        "CREATE TABLE retakes (id INTEGER PRIMARY KEY, command TEXT NOT NULL, shot_number INTEGER NOT NULL, "
        "recipes TEXT NOT NULL, simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)), newest INTEGER NOT NULL, "
        "settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)), at REAL NOT NULL) STRICT"
    )


def _keep_claims(db: sqlite3.Connection) -> None:
    """5 → 6: what a take says of its own making has a place."""
    db.execute("ALTER TABLE takes ADD COLUMN claims TEXT")


def _review(db: sqlite3.Connection) -> None:
    """6 → 7: what the user says of shots has a place."""
    db.execute(
        "CREATE TABLE locks (id INTEGER PRIMARY KEY AUTOINCREMENT, shot_number INTEGER NOT NULL, "
        "recipes TEXT NOT NULL, twins TEXT NOT NULL, alike TEXT NOT NULL, "
        "simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)), "
        "purchase_id INTEGER NOT NULL REFERENCES takes (purchase_id), at REAL NOT NULL) STRICT"
    )
    db.execute(
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, shot_number INTEGER NOT NULL, recipes TEXT NOT NULL, "
        "twins TEXT NOT NULL, alike TEXT NOT NULL, text TEXT NOT NULL CHECK (length(text) > 0), "
        "at REAL NOT NULL) STRICT"
    )


def _name_the_host(db: sqlite3.Connection) -> None:
    """7 → 8: where a take was checked, if that was another machine."""
    db.execute("ALTER TABLE takes ADD COLUMN checked_at_host TEXT")


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _name_the_seed,
    _remark_on_takes,
    _tell_time_by_the_provider,
    _remember_retakes,
    _keep_claims,
    _review,
    _name_the_host,
)
"""The first step brings a ledger of schema 1 to schema 2, and so on. A step that was released is never changed."""
SCHEMA = len(STEPS) + 1
"""What schema.sql makes."""


def version(db: sqlite3.Connection) -> int:
    """A ledger's schema; 0 for a file in which nothing has been made yet. Raises Refusal if this vgen can't read it."""
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if 1 < found <= SCHEMA:
        return found
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if found == 0 and not tables:
        return 0
    if found == 0 and "meta" in tables:  # schema 1 kept its number there
        row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if row is not None and row[0] == "1":
            return 1
    said = found or "none"
    raise Refusal(f"the ledger has schema {said}, this vgen writes {SCHEMA}; use the vgen that made it, or newer")


def migrate(db: sqlite3.Connection) -> None:
    """Bring a ledger of an earlier schema to today's: all steps, or none if the process dies or the disk fails."""
    if version(db) == SCHEMA:
        return
    db.execute("BEGIN IMMEDIATE")
    for step in STEPS[version(db) - 1 :]:  # asked again: another process may have been first
        step(db)
    db.execute(f"PRAGMA user_version = {SCHEMA}")
    with failpoints.failpoint("ledger.migrate"):
        db.execute("COMMIT")
