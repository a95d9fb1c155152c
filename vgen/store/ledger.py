"""The ledger: every purchase, reservation and take, in SQLite. Each move is committed before the act that follows it.

Knows nothing of HTTP, files or doit. Called inline, without an await, so that no cancellation falls between doing and
recording. Rollback journal with synchronous=EXTRA: many Pythons ship an SQLite inside the WAL-reset bug range.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

from vgen.errors import AlreadyBought, IllegalMove, LedgerError, OverBudget, Refusal
from vgen.money import show
from vgen.store import failpoints, purchase
from vgen.store.purchase import State, Why
from vgen.store.records import Budget, Choice, Placed, Purchase, Snapshot, Take

SCHEMA = 1
_COMMON = frozenset({
    "run_id", "provider", "account", "base_url", "model", "path", "bought_s", "charged_by", "recipe", "sha256",
    "size_bytes", "price", "charged", "error", "error_code", "duration_s", "fps", "width", "height", "codec",
})  # fmt: skip
"""Columns whose values many rows have in common, or a purchase with its take and its place."""
BUSY_S = 5.0


class Ledger:
    """One open ledger. `now`: unix time, for the moves' dates."""

    def __init__(self, path: Path | None, *, now: Callable[[], float]) -> None:
        """Open or make the file; None or a missing file with `reading` gives an empty one in memory.

        Raises Refusal if the file is damaged or of a newer vgen.
        """
        self._now = now
        try:
            self._db = sqlite3.connect(path or ":memory:", isolation_level=None, timeout=BUSY_S)
        except sqlite3.DatabaseError as exc:
            raise Refusal(_unreadable(path, exc)) from exc
        try:
            self._db.row_factory = sqlite3.Row
            self._db.create_function("wall_clock", 0, now)
            for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "foreign_keys=ON", "fullfsync=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            self._prepare()
        except BaseException as exc:
            self._db.close()  # leaves no lock on a file that could not be opened
            if not isinstance(exc, sqlite3.DatabaseError):
                raise
            raise Refusal(_unreadable(path, exc)) from exc
        if path is not None and path.stat().st_mode & 0o077:
            path.chmod(0o600)

    @classmethod
    def reading(cls, path: Path, *, now: Callable[[], float]) -> "Ledger":
        """Open for looking: a missing file is not made."""
        return cls(path if path.exists() else None, now=now)

    def close(self) -> None:
        self._db.close()

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def start_run(self, run_id: str, *, simulated: bool, cap: int | None) -> None:
        """Write down the run and the cap that it works under."""
        with self._tx("run.start"):
            self._db.execute(
                "INSERT OR IGNORE INTO runs (id, started_at, simulated, cap) VALUES (?, ?, ?, ?)",
                (run_id, self._now(), simulated, cap),
            )

    def finish_run(self, run_id: str) -> None:
        with self._tx("run.finish"):
            self._db.execute("UPDATE runs SET finished_at = ? WHERE id = ?", (self._now(), run_id))

    def left_over(self) -> list[Purchase]:
        """Purchases that a dead run left between two commits. Only the holder of the run lock may settle them."""
        return self._purchases("state IN ('reserved', 'not_sent', 'submitting')")

    def settle_left_over(self) -> None:
        """After a crash: what was provably not sent is released; what may have been sent is uncertain."""
        for row in self.left_over():
            match row.state:
                case State.SUBMITTING:
                    self.move(row.id, State.UNCERTAIN, error="vgen was killed while it sent this order")
                case _:
                    self.move(row.id, State.RELEASED, error="vgen was killed before it sent this order")

    # ── the life of a purchase ────────────────────────────────────────────────────────────────────────────────────

    def reserve(self, row: Mapping[str, Any], *, supersede: Mapping[int, Why] | None = None) -> int:
        """Reserve the price of one create, and return its id. One transaction: cap, uniqueness, what it supersedes.

        Raises OverBudget, AlreadyBought.
        """
        columns = dict(row) | {"created_at": self._now()}
        names = ", ".join(columns)
        try:
            with self._tx("reserve"):
                for old, why in (supersede or {}).items():
                    self._db.execute("UPDATE purchases SET superseded = ? WHERE id = ?", (why.value, old))
                cursor = self._db.execute(
                    f"INSERT INTO purchases ({names}) VALUES ({', '.join('?' * len(columns))})",  # noqa: S608 - our names
                    tuple(columns.values()),
                )
        except sqlite3.IntegrityError as exc:
            if "over budget" in str(exc):
                left = self.budget(bool(row["simulated"]), self._cap(row["run_id"])).left or 0
                message = f"{show(row['price'])} more would pass the budget, {show(left)} is left"
                raise OverBudget(message, needed=int(row["price"]), left=left) from exc
            if "UNIQUE" in str(exc):
                raise AlreadyBought(f"BUG: recipe {row['recipe'][:12]} has a purchase already") from exc
            raise LedgerError(f"BUG: {exc}") from exc
        return int(cursor.lastrowid or 0)

    def move(self, purchase_id: int, to: State, **columns: Any) -> None:
        """Commit one arrow of the state table, with the columns that it brings. Raises IllegalMove."""
        self._update(f"move.{to}", purchase_id, {"state": to.value, **columns})

    def note(self, purchase_id: int, **columns: Any) -> None:
        """Commit facts that come without a move (a fresh URL, a higher quote)."""
        self._update("note", purchase_id, columns)

    def supersede(self, purchase_id: int, why: Why) -> None:
        """Let another purchase of the recipe be made beside this one."""
        self._update("supersede", purchase_id, {"superseded": why.value})

    def book_take(self, take: Mapping[str, Any], to: State, **columns: Any) -> None:
        """The file is in its place among the takes: book it, and the purchase's last move, together."""
        names = ", ".join(take)
        with self._tx(f"move.{to}"), self._translated():
            self._db.execute(
                f"INSERT INTO takes ({names}) VALUES ({', '.join('?' * len(take))})",  # noqa: S608 - our names
                tuple(take.values()),
            )
            self._set(int(take["purchase_id"]), {"state": to.value, **columns})

    def next_take(self, recipe: str, *, simulated: bool) -> int:
        """The number of the take that comes next in a recipe."""
        query = "SELECT coalesce(max(take), 0) + 1 FROM takes WHERE recipe = ? AND simulated = ?"
        return int(self._db.execute(query, (recipe, simulated)).fetchone()[0])

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

    def choose(self, recipe: str, purchase_id: int, *, instead_of: Collection[str], simulated: bool) -> None:
        """The user's word: this purchase's take serves the recipe. Earlier words about `instead_of` recipes end."""
        with self._tx("choose"):
            for other in instead_of:
                self._db.execute("DELETE FROM chosen WHERE recipe = ? AND simulated = ?", (other, simulated))
            newest = self._db.execute("SELECT coalesce(max(id), 0) FROM purchases").fetchone()[0]
            self._db.execute(
                "INSERT OR REPLACE INTO chosen VALUES (?, ?, ?, ?, ?)",
                (recipe, simulated, purchase_id, newest, self._now()),
            )

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, purchase_id: int) -> Purchase:
        return self._purchases("id = ?", purchase_id)[0]

    def of_recipes(self, recipes: Iterable[str], *, simulated: bool) -> list[Purchase]:
        """All purchases of some recipes, and those that the user chose for them, oldest first."""
        wanted = tuple(recipes)
        marks = ", ".join("?" * len(wanted))
        chosen = f"id IN (SELECT purchase_id FROM chosen WHERE recipe IN ({marks}) AND simulated = ?)"  # noqa: S608
        where = f"(recipe IN ({marks}) AND simulated = ?) OR {chosen}"
        return self._purchases(where, *wanted, simulated, *wanted, simulated)

    def chosen(self, *, simulated: bool) -> dict[str, Choice]:
        """Recipe → the user's word for it."""
        rows = self._db.execute("SELECT recipe, purchase_id, newest FROM chosen WHERE simulated = ?", (simulated,))
        return {row["recipe"]: Choice(purchase_id=row["purchase_id"], newest=row["newest"]) for row in rows}

    def uncertain(self, *, simulated: bool) -> list[Purchase]:
        """Purchases that nobody knows the fate of, and that nothing supersedes."""
        return self._purchases("state = 'uncertain' AND superseded IS NULL AND simulated = ?", simulated)

    def with_jobs(self, *, simulated: bool) -> list[Purchase]:
        """Purchases that became a job at a provider."""
        return self._purchases("job_id IS NOT NULL AND simulated = ?", simulated)

    def job_ids(self, provider: str) -> set[str]:
        """All jobs of a provider that belong to a purchase."""
        query = "SELECT job_id FROM purchases WHERE provider = ? AND job_id IS NOT NULL"
        return {row["job_id"] for row in self._db.execute(query, (provider,))}

    def jobs_sent_after(self, provider: str, account: str, at: float) -> set[str]:
        """Jobs of ours that were ordered after a moment: a list that shows one of them reaches that far."""
        query = (
            "SELECT job_id FROM purchases WHERE provider = ? AND account = ? AND submitted_at > ? AND job_id NOT NULL"
        )
        return {row["job_id"] for row in self._db.execute(query, (provider, account, at))}

    def accepted_since(self, provider: str, account: str, model: str, at: float) -> int:
        """How many of our orders a provider has accepted since a moment."""
        query = (
            "SELECT count(*) FROM purchases "
            "WHERE provider = ? AND account = ? AND model = ? AND submitted_at > ? AND job_id NOT NULL"
        )
        return int(self._db.execute(query, (provider, account, model, at)).fetchone()[0])

    def typical_s(self, *, simulated: bool) -> float | None:
        """How long a generation took, on the mean of the last 50; None before the first."""
        query = (
            "SELECT avg(generation_s) FROM (SELECT generation_s FROM takes "
            "WHERE simulated = ? AND generation_s > 0 ORDER BY purchase_id DESC LIMIT 50)"
        )
        found = self._db.execute(query, (simulated,)).fetchone()[0]
        return None if found is None else float(found)

    def same_bytes(self, sha256: str, recipe: str) -> Purchase | None:
        """A purchase of another recipe that brought the same file."""
        query = "SELECT purchase_id FROM takes WHERE sha256 = ? AND recipe <> ? LIMIT 1"
        row = self._db.execute(query, (sha256, recipe)).fetchone()
        return self.get(row["purchase_id"]) if row else None

    def is_over(self, purchase_id: int) -> bool:
        """Whether nothing is left to be brought home for a purchase."""
        found = self._purchases("id = ?", purchase_id)
        return not found or found[0].state not in purchase.COLLECTABLE

    def take_of(self, purchase_id: int) -> Take | None:
        return next(iter(self._takes("purchase_id = ?", purchase_id)), None)

    def placed(self, name: str) -> Placed | None:
        row = self._db.execute("SELECT * FROM placed WHERE name = ?", (name,)).fetchone()
        return _placed(row, _Once()) if row else None

    def snapshot(self, *, simulated: bool, cap: int | None) -> Snapshot:
        """Everything of one world, in a handful of queries; of purchases what decides, no request, URL, marker."""
        once = _Once()
        columns = "*, iif(final, request, '') AS request, '{}' AS urls, '' AS marker"
        rows = {row.id: row for row in self._purchases("simulated = ?", simulated, columns=columns, once=once)}
        by_recipe: dict[str, list[Purchase]] = {}
        for row in rows.values():
            by_recipe.setdefault(row.recipe, []).append(row)
        return Snapshot(
            purchases=rows,
            by_recipe=by_recipe,
            takes={take.purchase_id: take for take in self._takes("simulated = ?", simulated, once=once)},
            placed={row["name"]: _placed(row, once) for row in self._db.execute("SELECT * FROM placed")},
            chosen=self.chosen(simulated=simulated),
            budget=self.budget(simulated, cap),
        )

    def budget(self, simulated: bool, cap: int | None) -> Budget:
        """Spent, reserved and uncertain money, summed from the rows."""
        row = self._db.execute("SELECT * FROM budget WHERE simulated = ?", (simulated,)).fetchone()
        if row is None:
            return Budget(cap=cap)
        return Budget(cap=cap, spent=row["spent"], reserved=row["reserved"], uncertain=row["uncertain"])

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _prepare(self) -> None:
        made = self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]
        if not made:
            self._create()
        found = self._db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        if found is None or found[0] != str(SCHEMA):
            version = found[0] if found else "none"
            raise Refusal(
                f"the ledger has schema {version}, this vgen writes {SCHEMA}; use the vgen that made it, or newer"
            )

    def _create(self) -> None:
        """All of the schema or nothing: a kill in the middle leaves an empty file."""
        script = resources.files("vgen.store").joinpath("schema.sql").read_text("utf-8")
        kinds = dict.fromkeys(purchase.HOLDS, "reserved")
        kinds |= dict.fromkeys(purchase.SETTLED, "spent")
        kinds |= dict.fromkeys(purchase.FREE, "none") | {State.UNCERTAIN: "uncertain"}
        self._db.execute("BEGIN IMMEDIATE")
        if not self._db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]:
            for statement in _statements(script):
                self._db.execute(statement)
            self._db.executemany("INSERT INTO state_money VALUES (?, ?)", [(s.value, k) for s, k in kinds.items()])
            moves = [(was.value, to.value) for was, allowed in purchase.MOVES.items() for to in allowed]
            self._db.executemany("INSERT INTO legal_move VALUES (?, ?)", sorted(moves))
            self._db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
        with failpoints.failpoint("ledger.create"):
            self._db.execute("COMMIT")

    @contextmanager
    def _tx(self, name: str) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            with failpoints.failpoint(f"ledger.{name}"):
                self._db.execute("COMMIT")
        except BaseException as exc:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if isinstance(exc, sqlite3.OperationalError):
                raise LedgerError(f"the ledger can't be written: {exc}") from exc
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

    def _update(self, name: str, purchase_id: int, columns: Mapping[str, Any]) -> None:
        with self._tx(name), self._translated():
            self._set(purchase_id, columns)

    def _set(self, purchase_id: int, columns: Mapping[str, Any]) -> None:
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*(_plain(value) for value in columns.values()), purchase_id)
        done = self._db.execute(f"UPDATE purchases SET {names} WHERE id = ?", values)  # noqa: S608 - our names
        assert done.rowcount == 1, f"BUG: no purchase {purchase_id}"

    def _cap(self, run_id: str) -> int | None:
        row = self._db.execute("SELECT cap FROM runs WHERE id = ?", (run_id,)).fetchone()
        return row["cap"] if row else None

    def _purchases(self, where: str, *values: Any, columns: str = "*", once: "_Once | None" = None) -> list[Purchase]:
        rows = self._db.execute(f"SELECT {columns} FROM purchases WHERE {where} ORDER BY id", values)  # noqa: S608
        once = once or _Once()
        return [_purchase(row, once) for row in rows]

    def _takes(self, where: str, *values: Any, once: "_Once | None" = None) -> list[Take]:
        rows = self._db.execute(f"SELECT * FROM takes WHERE {where} ORDER BY purchase_id", values)  # noqa: S608
        once = once or _Once()
        return [_take(row, once) for row in rows]


def _unreadable(path: Path | None, exc: sqlite3.DatabaseError) -> str:
    return f"{path}: the ledger can't be read ({exc}); restore it from a backup, never delete it"


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: executescript would commit before it begins."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return json.dumps(dict(value))
    return value


class _Once:
    """One object for all equal ones that a query brings: many rows have much in common."""

    def __init__(self) -> None:
        self._found: dict[type, dict[Any, Any]] = defaultdict(dict)

    def __call__(self, value: Any) -> Any:
        return self._found[type(value)].setdefault(value, value)


def _values(row: sqlite3.Row, once: _Once) -> dict[str, Any]:
    """A row's columns by name; of two columns of a name the later."""
    return {name: once(value) if name in _COMMON else value for name, value in zip(row.keys(), row, strict=True)}


def _purchase(row: sqlite3.Row, once: _Once) -> Purchase:
    values = _values(row, once)
    values |= {
        "manifest": tuple(once((once(name), once(value))) for name, value in json.loads(row["manifest"])),
        "urls": json.loads(values["urls"]),
        "state": State(row["state"]),
        "simulated": bool(row["simulated"]),
        "final": bool(row["final"]),
    }
    return Purchase(**values)


def _take(row: sqlite3.Row, once: _Once) -> Take:
    values = _values(row, once)
    audio = row["has_audio"]
    values |= {
        "simulated": bool(row["simulated"]),
        "good": bool(row["good"]),
        "has_audio": None if audio is None else bool(audio),
    }
    return Take(**values)


def _placed(row: sqlite3.Row, once: _Once) -> Placed:
    return Placed(**(_values(row, once) | {"edited": bool(row["edited"])}))
