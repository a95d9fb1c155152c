"""What can be asked of the ledger. Changes nothing: who only looks gets a LedgerReader, and never makes a file."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from vgen.store import database, purchase, row_mapping
from vgen.store.mark import HighWater
from vgen.store.records import Budget, Choice, Placed, Purchase, Retake, Snapshot, Take
from vgen.store.row_mapping import Once, Recent

_Value = str | float | None
_UNFINISHED = ", ".join(f"'{state}'" for state in sorted(purchase.UNFINISHED))


class LedgerReader:
    """One open ledger, as it was last committed; a missing file is an empty one. Raises Refusal as `database` does."""

    def __init__(self, path: Path) -> None:
        self._use(database.for_looking(path))

    def _use(self, db: sqlite3.Connection) -> None:
        self._db, self._identity, self._recent = db, "", Recent()

    def close(self) -> None:
        self._db.close()

    def copy_to(self, other: "LedgerReader") -> None:
        """All of it into another's place."""
        self._db.backup(other._db)
        other._use(other._db)

    @property
    def identity(self) -> str:
        """The ledger's own random name; "" before its first locked open by this version."""
        if not self._identity:
            row = self._db.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()
            self._identity = str(row[0]) if row else ""
        return self._identity

    def high_water(self) -> HighWater:
        """How far the ledger has come."""
        ends = dict(self._db.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        numbers = {name: ends.get(name, 0) for name in ("purchases", "moves", "locks")}
        return HighWater(ledger=self.identity, **numbers)

    def damage(self) -> str:
        """What is wrong with the file's pages; "" if nothing."""
        said = str(self._db.execute("PRAGMA quick_check(1)").fetchone()[0])
        return "" if said == "ok" else said.splitlines()[-1]

    def recipe_folders(self) -> set[str]:
        """The folders of the takes of all recipes that were ever bought."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT substr(recipe, 1, 16) FROM purchases")}

    def all_jobs(self) -> set[tuple[str, str]]:
        """Provider and id of every job, live and simulated."""
        rows = self._db.execute("SELECT provider, job_id FROM purchases WHERE job_id IS NOT NULL")
        return {(row[0], row[1]) for row in rows}

    # ── purchases ─────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, purchase_id: int) -> Purchase:
        return self._purchases("id = ?", purchase_id)[0]

    def with_job(self, provider: str, job_id: str) -> Purchase | None:
        """The purchase that a provider's job belongs to."""
        return next(iter(self._purchases("provider = ? AND job_id = ?", provider, job_id)), None)

    def left_over(self) -> list[Purchase]:
        """Purchases that a dead run left between two commits. Only the holder of the run lock may settle them."""
        return self._purchases("state IN ('reserved', 'not_sent', 'submitting')")

    def of_recipes(self, recipes: Iterable[str], *, simulated: bool, also: int | None = None) -> list[Purchase]:
        """All purchases of some recipes, those that the user chose for them, and one more by its id; oldest first."""
        wanted = tuple(recipes)
        marks = ", ".join("?" * len(wanted))
        chosen = f"id IN (SELECT purchase_id FROM chosen WHERE recipe IN ({marks}) AND simulated = ?)"  # noqa: S608
        where = f"(recipe IN ({marks}) AND simulated = ?) OR {chosen} OR id = ?"
        return self._purchases(where, *wanted, simulated, *wanted, simulated, also)

    def chosen(self, *, simulated: bool) -> dict[str, Choice]:
        """Recipe → the user's word for it."""
        rows = self._db.execute("SELECT recipe, purchase_id, newest FROM chosen WHERE simulated = ?", (simulated,))
        return {row["recipe"]: Choice(purchase_id=row["purchase_id"], newest=row["newest"]) for row in rows}

    def retakes(self, *, simulated: bool) -> list[Retake]:
        """The new takes of every -a that is not finished."""
        rows = self._db.execute("SELECT * FROM retakes WHERE simulated = ? ORDER BY id", (simulated,))
        return [row_mapping.retake(row) for row in rows]

    def last_purchase(self) -> int:
        """The id of the newest purchase of all; 0 before the first."""
        return int(self._db.execute("SELECT coalesce(max(id), 0) FROM purchases").fetchone()[0])

    def uncertain(self, *, simulated: bool) -> list[Purchase]:
        """Purchases that nobody knows the fate of."""
        return self._purchases("state = 'uncertain' AND simulated = ?", simulated)

    def unfinished(self, *, simulated: bool) -> list[Purchase]:
        """Purchases that wait for their provider or for the user."""
        return self._purchases(f"state IN ({_UNFINISHED}) AND simulated = ?", simulated)

    def assumed(self, *, simulated: bool) -> list[Purchase]:
        """Jobs that ended without a clip, and whose price is booked because nobody said otherwise."""
        where = "state IN ('failed', 'cancelled') AND charged_by = 'assumed' AND charged > 0 AND simulated = ?"
        return self._purchases(where, simulated)

    def lost(self, *, simulated: bool) -> list[Purchase]:
        """Purchases whose jobs their providers did not find any more."""
        return self._purchases("state = 'lost' AND job_id NOT NULL AND simulated = ?", simulated)

    def with_jobs(self, *, simulated: bool) -> list[Purchase]:
        """Purchases that became a job at a provider."""
        return self._purchases("job_id IS NOT NULL AND simulated = ?", simulated)

    def job_ids(self, provider: str) -> set[str]:
        """All jobs of a provider that belong to a purchase."""
        query = "SELECT job_id FROM purchases WHERE provider = ? AND job_id IS NOT NULL"
        return {row["job_id"] for row in self._db.execute(query, (provider,))}

    def jobs_around(self, purchase_id: int) -> tuple[set[str], set[str]]:
        """Jobs of the same account and model that were ordered before a purchase, and after it; no clock is asked."""
        sent = "SELECT min(id) FROM moves WHERE state = 'submitting' AND purchase_id ="
        query = (
            f"SELECT other.job_id, ({sent} other.id) < ({sent} mine.id) AS earlier FROM purchases AS other, "  # noqa: S608
            "purchases AS mine WHERE mine.id = ? AND other.id <> mine.id AND other.job_id NOT NULL "
            "AND (other.provider, other.account, other.model) = (mine.provider, mine.account, mine.model)"
        )
        found = self._db.execute(query, (purchase_id,)).fetchall()
        earlier = {row["job_id"] for row in found if row["earlier"]}
        return earlier, {row["job_id"] for row in found} - earlier

    def accepted_since(self, provider: str, account: str, model: str, at: float) -> int:
        """How many of our orders a provider has accepted since a moment."""
        query = (
            "SELECT count(*) FROM purchases "
            "WHERE provider = ? AND account = ? AND model = ? AND submitted_at > ? AND job_id NOT NULL"
        )
        return int(self._db.execute(query, (provider, account, model, at)).fetchone()[0])

    def delivered_from(self, *, simulated: bool) -> set[str]:
        """The addresses at which something was bought, or may have been, for real money or for play money."""
        query = "SELECT DISTINCT base_url FROM purchases WHERE simulated = ? AND state NOT IN ('refused', 'released')"
        return {row["base_url"] for row in self._db.execute(query, (simulated,))}

    def told_prices(
        self, provider: str, model: str, bought_s: str, *, above: int, simulated: bool
    ) -> list[tuple[str, int]]:
        """(request, price) of orders for which their provider told more than `above`, by a quote or by a charge."""
        query = (
            "SELECT id, request, price, iif(charged_by = 'provider', charged, 0) AS charged FROM purchases "
            "WHERE simulated = ? AND provider = ? AND model = ? AND bought_s = ? "
            "AND (price > ? OR (charged_by = 'provider' AND charged > ?))"
        )
        rows = self._db.execute(query, (simulated, provider, model, bought_s, above, above)).fetchall()
        reserved: dict[int, int] = {}
        if any(row["price"] > above for row in rows):  # a price that rose since it was reserved was quoted
            births = "SELECT purchase_id, min(price) FROM moves GROUP BY purchase_id"
            reserved = dict(self._db.execute(births).fetchall())
        found = [
            (row["request"], max(row["charged"], row["price"] if row["price"] > reserved.get(row["id"], 0) else 0))
            for row in rows
        ]
        return [(request, price) for request, price in found if price > above]

    def answered_requests(
        self, provider: str, model: str, path: str, bought_s: str, *, simulated: bool
    ) -> Iterator[str]:
        """The requests that a provider has taken on so far, newest first."""
        query = (
            "SELECT request FROM purchases WHERE simulated = ? AND provider = ? AND model = ? AND path = ? "
            "AND bought_s = ? AND job_id NOT NULL ORDER BY id DESC"
        )
        return (row["request"] for row in self._db.execute(query, (simulated, provider, model, path, bought_s)))

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
        return all(row.state not in purchase.COLLECTABLE for row in self._purchases("id = ?", purchase_id))

    def take_of(self, purchase_id: int) -> Take | None:
        return next(iter(self._takes("purchase_id = ?", purchase_id)), None)

    def take_with(self, sha256: str) -> Take | None:
        """A take by its bytes."""
        return next(iter(self._takes("sha256 = ?", sha256)), None)

    def next_take(self, recipes: Iterable[str], *, simulated: bool) -> int:
        """The number of the take that comes next in a recipe, or in the recipes of all takes that can be wanted."""
        wanted = tuple(recipes)
        marks = ", ".join("?" * len(wanted))
        query = f"SELECT coalesce(max(take), 0) + 1 FROM takes WHERE recipe IN ({marks}) AND simulated = ?"  # noqa: S608
        return int(self._db.execute(query, (*wanted, simulated)).fetchone()[0])

    def placed(self, name: str) -> Placed | None:
        row = self._db.execute("SELECT * FROM placed WHERE name = ?", (name,)).fetchone()
        return row_mapping.placed(row, Once()) if row else None

    def snapshot(self, *, simulated: bool, cap: int | None) -> Snapshot:
        """Everything of one world, in a handful of queries; of purchases what decides, no request, URL or seed."""
        once = Once()
        columns = "*, iif(final OR state = 'rejected', request, '') AS request, '{}' AS urls, '' AS correlation_seed"
        rows = {row.id: row for row in self._purchases("simulated = ?", simulated, columns=columns, once=once)}
        by_recipe: dict[str, list[Purchase]] = {}
        for row in rows.values():
            by_recipe.setdefault(row.recipe, []).append(row)
        locks = self._db.execute("SELECT * FROM locks WHERE simulated = ? ORDER BY id", (simulated,))
        notes = self._db.execute("SELECT * FROM notes ORDER BY id")  # about what is asked for: both worlds have them
        return Snapshot(
            purchases=rows,
            by_recipe=by_recipe,
            takes={take.purchase_id: take for take in self._takes("simulated = ?", simulated, once=once)},
            placed={row["name"]: row_mapping.placed(row, once) for row in self._db.execute("SELECT * FROM placed")},
            chosen=self.chosen(simulated=simulated),
            retakes=self.retakes(simulated=simulated),
            locks=[row_mapping.lock(row) for row in locks],
            notes=[row_mapping.note(row) for row in notes],
            budget=self.budget(simulated, cap),
        )

    def budget(self, simulated: bool, cap: int | None) -> Budget:
        """Spent, reserved and uncertain money, as SQLite keeps it beside the rows."""
        row = self._db.execute("SELECT * FROM budget WHERE simulated = ?", (simulated,)).fetchone()
        if row is None:
            return Budget(cap=cap)
        return Budget(cap=cap, spent=row["spent"], reserved=row["reserved"], uncertain=row["uncertain"])

    def cap_of(self, run_id: str) -> int | None:
        """The cap that a run works under; None: nothing binds."""
        row = self._db.execute("SELECT cap FROM runs WHERE id = ?", (run_id,)).fetchone()
        return row["cap"] if row else None

    def last_cap(self, *, simulated: bool, default: int | None) -> int | None:
        """The cap of the last run; `default` if there was none. That of a run that was rebuilt is not known."""
        known = (
            "SELECT cap FROM runs WHERE simulated = ? AND (cap IS NOT NULL OR simulated) ORDER BY rowid DESC LIMIT 1"
        )
        row = self._db.execute(known, (simulated,)).fetchone()
        return row["cap"] if row else default

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _purchases(self, where: str, *values: _Value, columns: str = "*", once: Once | None = None) -> list[Purchase]:
        rows = self._db.execute(f"SELECT {columns} FROM purchases WHERE {where} ORDER BY id", values)  # noqa: S608
        return [self._recent.purchase(row) if once is None else row_mapping.purchase(row, once) for row in rows]

    def _takes(self, where: str, *values: _Value, once: Once | None = None) -> list[Take]:
        rows = self._db.execute(f"SELECT * FROM takes WHERE {where} ORDER BY purchase_id", values)  # noqa: S608
        once = once or Once()
        return [row_mapping.take(row, once) for row in rows]
