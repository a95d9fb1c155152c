"""The ledger: every purchase, reservation and take, in SQLite. Each move is committed before the act that follows it.

Knows nothing of HTTP, files or doit. Called inline, without an await, so that no cancellation falls between doing and
recording.
"""

import json
import os
import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Unpack

from vgen.errors import AlreadyBought, IllegalMove, LedgerBusy, LedgerError, OverBudget, Refusal
from vgen.money import show
from vgen.store import database, failpoints, order_slips, purchase
from vgen.store.mark import Mark
from vgen.store.outputs import Outputs
from vgen.store.purchase import State, Why
from vgen.store.reader import LedgerReader
from vgen.store.records import Facts, NewPurchase, Placed, Retake, Take


class Ledger(LedgerReader):
    """One open ledger. `now`: unix time, for the moves' dates."""

    def __init__(
        self,
        path: Path | None,
        *,
        now: Callable[[], float],
        read_only: bool = False,
        patience_s: float | None = None,
        identity: str | None = None,
    ) -> None:
        """Open or make the file, or one in memory (None). Raises Refusal if it is damaged or of a newer vgen.

        `read_only`: for who does not hold the run lock. As LedgerReader opens it; any move is refused. `patience_s`:
        how long a commit waits for another program, and everything with it. `identity`: of a ledger that is rebuilt.
        """
        self._now = now
        self._mark: Mark | None = None
        if read_only and path is not None:
            super().__init__(path)
            return
        self._use(database.for_writing(path, now, identity))
        if patience_s is not None:
            self._db.execute(f"PRAGMA busy_timeout = {int(patience_s * 1000)}")
        try:
            self._identify(identity)
            if path is not None:
                self._mark = Mark(Outputs(path.parent).mark)
                self._raise_mark()
        except LedgerError as exc:
            self.close()
            raise Refusal(f"{path}: {exc}; nothing was bought, run again") from exc
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        super().close()
        if self._mark is not None:
            self._mark.close()

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_run(self, run_id: str, *, simulated: bool, cap: int | None) -> None:
        """Write down the run and the cap that it works under."""
        with self._tx("run.start"):
            self._db.execute(
                "INSERT OR IGNORE INTO runs (id, started_at, simulated, cap) VALUES (?, ?, ?, ?)",
                (run_id, self._now(), simulated, cap),
            )

    def finish_run(self, run_id: str, *, forget: Collection[int] = ()) -> None:
        """Write down the run's end, and with it that these retakes are over."""
        with self._tx("run.finish"):
            self._db.execute("UPDATE runs SET finished_at = ? WHERE id = ?", (self._now(), run_id))
            self._db.executemany("DELETE FROM retakes WHERE id = ?", [(one,) for one in forget])

    def settle_left_over(self) -> None:
        """After a crash: what was provably not sent is released; what may have been sent is uncertain."""
        for row in self.left_over():
            match row.state:
                case State.SUBMITTING:
                    self.move(row.id, State.UNCERTAIN, error="vgen ended before an answer to this order came")
                case _:
                    self.move(row.id, State.RELEASED, error="vgen ended before it sent this order")

    def book_slips(self, path: Path, *, keep: bool = False) -> list[str]:
        """Book the answers that an earlier run could not commit, and say so; what the ledger has already is left.

        `keep`: the file stays.
        """
        told = []
        for record in order_slips.read(path):
            row = next(iter(self._purchases("id = ?", record["purchase"])), None)
            if row is None or (record["ledger"], record["recipe"]) != (self.identity, row.recipe):
                continue
            if State(record["moves"][0]) not in purchase.MOVES[row.state]:
                continue
            for state in record["moves"]:
                self.move(row.id, State(state), **(record["facts"] if state == record["moves"][0] else {}))
            job = record["facts"].get("job_id")
            what = f"was accepted at {row.provider} as job {job}" if job else f"is {record['moves'][-1]}"
            told.append(f"shot {row.shot_number}: its order {what}; an earlier run could not write that down")
        if not keep:
            order_slips.discard(path)
        return told

    def probe(self) -> None:
        """Raises LedgerError if nothing can be written just now. Changes nothing."""
        with self._tx("probe"):
            self._db.execute("UPDATE meta SET value = value WHERE key = 'schema'")

    # ── the life of a purchase ────────────────────────────────────────────────────────────────────────────────────

    def reserve(self, order: NewPurchase, *, supersede: Mapping[int, Why] | None = None) -> int:
        """Reserve the price of one create, and return its id. One transaction: cap, uniqueness, what it supersedes.

        Raises OverBudget, AlreadyBought.
        """
        try:
            with self._tx("reserve"):
                for old, why in (supersede or {}).items():
                    self._db.execute("UPDATE purchases SET superseded = ? WHERE id = ?", (why.value, old))
                return self._insert("purchases", {**_columns(order), "created_at": self._now()})
        except sqlite3.IntegrityError as exc:
            if "over budget" in str(exc):
                left = self.budget(order.simulated, self.cap_of(order.run_id)).left or 0
                message = f"{show(order.price)} more would pass the budget, {show(left)} is left"
                raise OverBudget(message, needed=order.price, left=left) from exc
            if "UNIQUE" in str(exc):
                raise AlreadyBought(f"BUG: recipe {order.recipe[:12]} has a purchase already") from exc
            raise LedgerError(f"BUG: {exc}") from exc

    def move(self, purchase_id: int, to: State, **facts: Unpack[Facts]) -> None:
        """Commit one arrow of the state table, with the facts that it brings. Raises IllegalMove."""
        self._update(f"move.{to}", purchase_id, {"state": to.value, **facts})
        if to is State.SUBMITTING and self._mark is not None:
            self._mark.sync()

    def note(self, purchase_id: int, **facts: Unpack[Facts]) -> None:
        """Commit facts that come without a move (a fresh URL, a higher quote)."""
        self._update("note", purchase_id, facts)

    def supersede(self, purchase_id: int, why: Why) -> None:
        """Let another purchase of the recipe be made beside this one."""
        self._update("supersede", purchase_id, {"superseded": why.value})

    def book_take(self, take: Take, to: State, **facts: Unpack[Facts]) -> None:
        """The file is in its place among the takes: book it, and the purchase's last move, together."""
        with self._tx(f"move.{to}"), self._translated():
            remarks = json.dumps(take.remarks, ensure_ascii=False) if take.remarks else None
            self._insert("takes", {**_columns(take), "remarks": remarks})
            self._set(take.purchase_id, {"state": to.value, **facts})

    # ── clips in their places ─────────────────────────────────────────────────────────────────────────────────────

    def place(self, placed: Placed) -> None:
        """Remember which take lies under a clip's name."""
        values = tuple(getattr(placed, f.name) for f in fields(placed))
        with self._tx("place"):
            self._db.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def unplace(self, name: str) -> None:
        """The clip's file is no longer ours to look after."""
        with self._tx("unplace"):
            self._db.execute("DELETE FROM placed WHERE name = ?", (name,))

    def choose(
        self,
        recipe: str,
        purchase_id: int,
        *,
        instead_of: Collection[str],
        simulated: bool,
        settles: Collection[int] = (),
    ) -> None:
        """The user's word: this purchase's take serves the recipe. Earlier words about `instead_of` recipes end.

        `settles`: retakes that are not waited for any more.
        """
        with self._tx("choose"):
            for other in instead_of:
                self._db.execute("DELETE FROM chosen WHERE recipe = ? AND simulated = ?", (other, simulated))
            self._db.execute(
                "INSERT OR REPLACE INTO chosen VALUES (?, ?, ?, ?, ?)",
                (recipe, simulated, purchase_id, self.last_purchase(), self._now()),
            )
            self._db.executemany("UPDATE retakes SET settled = 1 WHERE id = ?", [(one,) for one in settles])

    def ask_retakes(self, retakes: Collection[Retake], *, simulated: bool) -> None:
        """Remember the user's -a, all of it or nothing: new retakes (id 0), and known ones as they are now.

        A take that the user chose before serves its recipe only until one newer than the retake's `newest` comes.
        """
        with self._tx("retakes"):
            for one in retakes:
                values = (one.id or None, one.command, one.shot_number, json.dumps(sorted(one.recipes)), simulated,
                          one.newest, one.settled, self._now())  # fmt: skip
                self._db.execute("INSERT OR REPLACE INTO retakes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
                lowered = "UPDATE chosen SET newest = min(newest, ?) WHERE recipe = ? AND simulated = ?"
                for recipe in () if one.settled else sorted(one.recipes):
                    self._db.execute(lowered, (one.newest, recipe, simulated))

    @contextmanager
    def changing(self, name: str) -> Iterator[tuple[sqlite3.Connection, float]]:
        """One transaction of what the user says (`store.review`): the database, and the unix time of now."""
        with self._tx(name):
            yield self._db, self._now()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _identify(self, identity: str | None) -> None:
        """Each ledger has a random name, so that its mark is not taken for another's; older versions gave none."""
        if not self.identity:
            with self._tx("identify"):
                name = identity or uuid.uuid4().hex
                self._db.execute("INSERT OR IGNORE INTO meta VALUES ('ledger', ?)", (name,))

    def _raise_mark(self) -> None:
        if self._mark is not None:
            self._mark.write(self.high_water())

    @contextmanager
    def _tx(self, name: str) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            reached = self.high_water() if self._mark is not None else None  # in here it takes no lock of its own
            with failpoints.failpoint(f"ledger.{name}"):
                self._db.execute("COMMIT")
            if self._mark is not None and reached is not None:
                self._mark.write(reached)
        except BaseException as exc:
            with suppress(sqlite3.Error):
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            if isinstance(exc, sqlite3.OperationalError) or type(exc) is sqlite3.DatabaseError:
                raise _unwritten(exc) from exc
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as exc:
            if "illegal move" in str(exc):
                raise IllegalMove(f"BUG: {exc}") from exc
            if "UNIQUE" in str(exc):
                raise AlreadyBought(f"BUG: {exc}") from exc
            raise LedgerError(f"BUG: {exc}") from exc

    def _update(self, name: str, purchase_id: int, columns: Mapping[str, object]) -> None:
        with self._tx(name), self._translated():
            self._set(purchase_id, columns)

    def _set(self, purchase_id: int, columns: Mapping[str, object]) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*map(_plain, columns.values()), purchase_id)
        done = self._db.execute(f"UPDATE purchases SET {names} WHERE id = ?", values)  # noqa: S608 - our names
        assert done.rowcount == 1, f"BUG: no purchase {purchase_id}"

    def _insert(self, table: str, columns: Mapping[str, object]) -> int:
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our names
        return int(self._db.execute(sql, tuple(map(_plain, columns.values()))).lastrowid or 0)


def _unwritten(exc: sqlite3.DatabaseError) -> LedgerError:
    """Why a commit failed, and whether it may work a moment later."""
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or "locked" in str(exc):
        return LedgerBusy("another program has ledger.db open")
    if code == sqlite3.SQLITE_CANTOPEN and _no_descriptor():
        return LedgerBusy("no file descriptor is left; raise `ulimit -n`, or lower max_concurrent")
    return LedgerError(f"the ledger can't be written: {exc}")


def _no_descriptor() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        return True
    return False


def _plain(value: object) -> object:
    """As SQLite stores it."""
    match value:
        case Mapping():
            return json.dumps(dict(value))
        case tuple():
            return json.dumps(value, ensure_ascii=False)
    return value


def _columns(record: NewPurchase | Take) -> dict[str, object]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
