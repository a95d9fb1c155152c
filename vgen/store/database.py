"""Opens ledger.db: for writing (made, migrated, durable), or for looking (left as it is). Knows no query and no record.

Rollback journal with synchronous=EXTRA: many Pythons ship an SQLite inside the WAL-reset bug range.
"""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from vgen.errors import LedgerUnfit, Refusal
from vgen.store import failpoints, migrations, purchase
from vgen.store.purchase import State

BUSY_S = 5.0
"""How long a command waits for another program that has the ledger open."""
BUSY_IN_A_RUN_S = 0.1
"""The same for a commit of a run with jobs in flight: everything stands still, so it is tried again instead."""
PRAGMAS = ("journal_mode=DELETE", "synchronous=EXTRA", "foreign_keys=ON", "fullfsync=ON")
LOOKS = 20
"""How often a copy is tried while other processes write the file."""


def for_writing(path: Path | None, now: Callable[[], float], identity: str | None = None) -> sqlite3.Connection:
    """Open or make the file (None: in memory), and bring it to today's schema. For the holder of the run lock only.

    `identity`: the random name of a ledger that is made again. Raises Refusal if the file is damaged, can't be opened,
    or is of a newer vgen.
    """
    with refusing(path):
        db = _connect(path or ":memory:")
        with _closed_on_error(db):
            db.create_function("wall_clock", 0, now)
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            if migrations.version(db) == 0:
                _create(db, identity or uuid.uuid4().hex)
            migrations.migrate(db)
            if path is not None and path.stat().st_mode & 0o077:
                path.chmod(0o600)
    return db


def for_looking(path: Path) -> sqlite3.Connection:
    """Open the file as it was last committed, in today's schema. Neither it nor its directory is written.

    A missing or empty file gives an empty ledger; an earlier schema is migrated in a copy in memory. Raises Refusal as
    `for_writing` does.
    """
    with refusing(path):
        db = _as_committed(path)
        with _closed_on_error(db):
            found = migrations.version(db)
            if found == migrations.SCHEMA:
                return db
        if found:
            copy = _in_memory(db)
            with _closed_on_error(copy):
                migrations.migrate(copy)
        else:
            db.close()
            copy = for_writing(None, lambda: 0.0)
        copy.execute("PRAGMA query_only = ON")
        return copy


Commits = tuple[int, int]
"""Which file it is, and how often it was written."""


def commits(path: Path) -> Commits | None:
    """What every commit changes, and a rebuilt ledger too; None without a ledger. Takes no lock.

    SQLite's "file change counter" (sqlite.org/fileformat2.html, 1.3.7), which it keeps in rollback-journal mode.
    """
    try:
        with path.open("rb") as file:
            head, which = file.read(28), os.fstat(file.fileno()).st_ino
    except OSError:
        return None
    return (which, int.from_bytes(head[24:28], "big")) if len(head) == 28 else None


def schema() -> str:
    """The statements that make a new ledger."""
    return resources.files("vgen.store").joinpath("schema.sql").read_text("utf-8")


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _as_committed(path: Path) -> sqlite3.Connection:
    """A connection to the file, or to a copy where a killed run left a transaction: SQLite would have to undo it first.

    Only the holder of the run lock lets it do so in the file.
    """
    if not path.exists():
        return _connect(":memory:")
    for _ in range(LOOKS):
        db = _connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        with _closed_on_error(db):
            try:
                db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.OperationalError as exc:
                if exc.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                    raise
            else:
                return db
        db.close()
        if (copy := _undone(path)) is not None:
            return copy
    raise Refusal(f"{path}: another process writes the ledger all the time; look again later")


def _undone(path: Path) -> sqlite3.Connection | None:
    """A copy in memory without the transaction that a killed run left; None if another process goes on with the file.

    The journal undoes its transaction however often it is played back, so a copy taken beside it is right as long as
    the journal is still the same afterwards.
    """
    journal = path.with_name(f"{path.name}-journal")
    with contextlib.suppress(FileNotFoundError), tempfile.TemporaryDirectory(prefix="vgen-ledger-") as folder:
        copy = Path(folder) / path.name
        before = journal.stat()
        shutil.copyfile(path, copy)
        shutil.copyfile(journal, copy.with_name(journal.name))
        after = journal.stat()
        if (before.st_ino, before.st_size, before.st_mtime_ns) == (after.st_ino, after.st_size, after.st_mtime_ns):
            return _in_memory(_connect(copy))
    return None


def _in_memory(db: sqlite3.Connection) -> sqlite3.Connection:
    """Its copy; it is closed."""
    copy = _connect(":memory:")
    with contextlib.closing(db), _closed_on_error(copy):
        db.backup(copy)
    return copy


# ── making ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _create(db: sqlite3.Connection, identity: str) -> None:
    """All of the schema or nothing: a kill in the middle leaves an empty file."""
    kinds = dict.fromkeys(purchase.HOLDS, "reserved")
    kinds |= dict.fromkeys(purchase.SETTLED, "spent")
    kinds |= dict.fromkeys(purchase.FREE, "none") | {State.UNCERTAIN: "uncertain"}
    db.execute("BEGIN IMMEDIATE")
    if migrations.version(db) == 0:  # asked again: another process may have been first
        for statement in _statements(schema()):
            db.execute(statement)
        db.executemany("INSERT INTO state_money VALUES (?, ?)", [(s.value, k) for s, k in kinds.items()])
        moves = [(was.value, to.value) for was, allowed in purchase.MOVES.items() for to in allowed]
        db.executemany("INSERT INTO legal_move VALUES (?, ?)", sorted(moves))
        db.execute("INSERT INTO meta VALUES ('ledger', ?)", (identity,))
        db.execute(f"PRAGMA user_version = {migrations.SCHEMA}")
    with failpoints.failpoint("ledger.create"):
        db.execute("COMMIT")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: executescript would commit before it begins."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


# ── connections ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _connect(database: Path | str, *, uri: bool = False) -> sqlite3.Connection:
    db = sqlite3.connect(database, isolation_level=None, timeout=BUSY_S, uri=uri)
    db.row_factory = sqlite3.Row
    return db


@contextlib.contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    """Leaves no lock on a file that could not be opened."""
    try:
        yield
    except BaseException:
        db.close()
        raise


@contextlib.contextmanager
def refusing(path: Path | None) -> Iterator[None]:
    """SQLite's errors become Refusal, or LedgerUnfit if the file is damaged."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError):  # the file may be well
            raise Refusal(f"{path}: the ledger can't be opened ({exc}); put that right and run again") from exc
        raise LedgerUnfit(
            f"{path}: the ledger can't be read ({exc}); restore it from a backup, or run `doit recover`: "
            f"it rebuilds the ledger from the receipts in takes/, free"
        ) from exc
