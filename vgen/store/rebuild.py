"""`doit recover` of a ledger that is gone, damaged or older than the world: its rows, made again from receipts and log.

A take comes back with its price and charge. An order without a receipt comes back as a running job, which its provider
is asked about (free), or as uncertain, which holds its shot. Nothing is deleted: a ledger of no use is moved aside.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from vgen.errors import LedgerUnfit
from vgen.money import show
from vgen.store import atomic, freshness, mark, receipts, review
from vgen.store.ledger import Ledger
from vgen.store.mark import HighWater
from vgen.store.outputs import Outputs
from vgen.store.purchase import State
from vgen.store.receipts import Told
from vgen.store.records import Purchase, Take

FIRST_RECEIPTS = "receipts"
"""The run of purchases whose receipts don't say which it was."""
WAY = (State.RESERVED, State.SUBMITTING, State.RENDERING, State.RENDERED, State.FETCHED)
"""The way of a purchase to its take."""
BORN = frozenset({
    "shot_number", "recipe", "manifest", "simulated", "provider", "account", "base_url", "model", "path", "request",
    "correlation_seed", "bought_s", "price", "created_at", "submitted_at",
})  # fmt: skip
"""Columns that a purchase has from its beginning."""


def rebuild(outputs: Outputs, *, now: Callable[[], float]) -> list[str]:
    """Make the ledger whole again where it is not; one line for each thing that was done, and what nobody can tell.

    For the holder of the run lock. Raises Refusal if the ledger is of a newer vgen, or can't be written.
    """
    must = mark.read(outputs.mark)
    said: list[str] = []
    try:
        freshness.refuse_unfit(outputs, thorough=True)
    except LedgerUnfit as exc:
        said.append(str(exc).partition("; ")[0])
        said += _set_aside(outputs, must)
    found = [*receipts.read_all(outputs), *receipts.orders(outputs.log)]
    if not said and not outputs.has_ledger:
        return []
    with contextlib.closing(_Rebuilt(outputs.ledger, now=now, identity=must.ledger if must else None)) as ledger:
        mine = {ledger.identity, *(one.ledger for one in found if one.take)}
        said += ledger.restore([one for one in found if one.take or one.ledger in mine], log_too=bool(said))
        if said:
            ledger.place_clips(outputs)
            said += ledger.book_slips(outputs.slips)
            said += review.make_again(ledger, review.logged(outputs.log, mine), must.locks if must else 0)
            said += ledger.untold(must, found)
    return said


def _set_aside(outputs: Outputs, must: HighWater | None) -> list[str]:
    """Move a ledger away that no row can be added to: damaged, of another production, or with another's journal."""
    if not outputs.has_ledger:
        return []
    journal = outputs.ledger.with_name(f"{outputs.ledger.name}-journal")
    aside = next(path for n in range(1, 1000) if not (path := outputs.root / f"ledger.unfit-{n}.db").exists())
    if freshness.foreign_journal(outputs.ledger):
        journal.replace(aside.with_name(f"{aside.name}-journal"))
    try:
        with contextlib.closing(freshness.opened(outputs)) as ledger:
            if not ledger.damage() and (must is None or ledger.identity in ("", must.ledger)):
                return []
    except LedgerUnfit:
        pass
    outputs.ledger.replace(aside)
    with contextlib.suppress(FileNotFoundError):
        journal.replace(aside.with_name(f"{aside.name}-journal"))
    atomic.sync_directory(outputs.root)
    return [f"the old file is kept as {aside.name}"]


class _Rebuilt(Ledger):
    """A ledger that takes rows whose life is over already."""

    def restore(self, found: Iterable[Told], *, log_too: bool) -> list[str]:
        """Add what is missing, all or nothing; a line for each row. `log_too`: also orders that have no receipt."""
        said: list[str] = []
        with self._tx("restore"), self._translated():
            jobs = {(row.provider, row.job_id): row.id for row in self._purchases("job_id IS NOT NULL")}
            for one in sorted(found, key=lambda one: (one.take is None, one.purchase_id)):
                if one.take is None and not (log_too and one.sent):
                    continue
                row = self._known(one, jobs)
                if row is None:
                    row = self._born(one)
                    said.append(self._advance(row, one))
                elif one.job is not None and row.state in (*WAY, State.UNCERTAIN) and self._behind(row, one):
                    said.append(self._advance(row, one))
                if one.job is not None:
                    jobs[(row.provider, one.job)] = row.id
        return said

    def _known(self, one: Told, jobs: dict[tuple[str, str | None], int]) -> Purchase | None:
        """The row of what is told: of its job, of the same order by its tag, or else under its old number."""
        if one.job and (number := jobs.get((one.columns["provider"], one.job))):
            return self.get(number)
        recipe, seed = one.columns["recipe"], one.columns.get("correlation_seed")
        rows = self._purchases("recipe = ? AND correlation_seed = ?", recipe, seed) if seed else []
        if not rows:
            found = self._purchases("id = ?", one.purchase_id)
            rows = [row for row in found if row.recipe == recipe and row.job_id in (None, one.job)]
        return rows[0] if rows else None

    @staticmethod
    def _behind(row: Purchase, one: Told) -> bool:
        """Whether the row has not come as far as is told."""
        return one.take is not None or row.state in (State.RESERVED, State.SUBMITTING, State.UNCERTAIN)

    def _born(self, one: Told) -> Purchase:
        """A reserved row under its old number, if that is free. No cap binds it: the money is gone already."""
        simulated = bool(one.columns["simulated"])
        run = "recovered-simulated" if simulated else "recovered"
        self._db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, NULL, ?, NULL)", (run, self._now(), simulated))
        values = {name: value for name, value in one.columns.items() if name in BORN} | {"run_id": run}
        if one.purchase_id and not self._purchases("id = ?", one.purchase_id):
            values["id"] = one.purchase_id
        rivals = [row for row in self._purchases("recipe = ? AND simulated = ?", values["recipe"], simulated)
                  if row.blocks]  # fmt: skip
        newest = all(row.id < values.get("id", row.id + 1) for row in rivals)
        for row in rivals if newest else ():
            self._set(row.id, {"superseded": "rejected" if row.state is State.REJECTED else "again"})
        number = self._insert("purchases", values | ({} if newest else {"superseded": "again"}))
        if (made_by := str(one.columns.get("run_id") or FIRST_RECEIPTS)) != FIRST_RECEIPTS:  # its tag is made of it
            began = (made_by, one.columns.get("created_at") or self._now(), simulated)
            self._db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, NULL, ?, NULL)", began)
            self._db.execute("UPDATE purchases SET run_id = ? WHERE id = ?", (made_by, number))
        return self.get(number)

    def _advance(self, row: Purchase, one: Told) -> str:
        """Bring a row as far as is told."""
        what = f"purchase {row.id}: shot {row.shot_number}, {show(row.price)} at {row.provider}"
        if one.job is None:
            self._set(row.id, {"state": "submitting"})
            self._set(row.id, {"state": "uncertain", "error": "the ledger was lost before an answer to it was known"})
            return f"{what}: perhaps bought; held until `doit settle shot={row.shot_number} as=…`"
        begun = 1 if row.state is State.UNCERTAIN else WAY.index(row.state)
        facts = self._facts(one)
        for state in WAY[begun + 1 : None if one.take else WAY.index(State.RENDERING) + 1]:
            self._set(row.id, {"state": state.value, **facts.get(state, {})})
        if one.take is None:
            return f"{what}: job {one.job}, perhaps running; the next run collects it, free"
        take = self._take(row, one.take)
        self._insert("takes", {f.name: getattr(take, f.name) for f in fields(take)})
        self._set(
            row.id,
            {
                "state": (State.ACCEPTED if take.good else State.REJECTED).value,
                "error": take.reason,
                "error_code": one.columns.get("error_code"),
            },
        )
        return f"{what}: take {take.take}, {show(one.columns['charged'])} charged"

    @staticmethod
    def _facts(one: Told) -> dict[State, dict[str, Any]]:
        told = one.columns
        facts: dict[State, dict[str, Any]] = {State.RENDERING: {"job_id": one.job, "urls": told.get("urls", {})}}
        if one.take is not None:
            facts[State.RENDERED] = {name: told[name] for name in ("charged", "charged_by", "rendered_at")}
            facts[State.FETCHED] = {name: one.take[name] for name in ("sha256", "size_bytes")}
        return facts

    def _take(self, row: Purchase, told: dict[str, Any]) -> Take:
        known = {f.name for f in fields(Take)}
        values: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in told.items() if name in known
        }
        take = Take(**values | {"purchase_id": row.id})
        taken = {old.take for old in self._takes("recipe = ? AND simulated = ?", row.recipe, row.simulated)}
        if take.take not in taken:
            return take
        return Take(**{f.name: getattr(take, f.name) for f in fields(take)} | {"take": max(taken) + 1})

    def place_clips(self, outputs: Outputs) -> None:
        """Remember again which takes are in place: without it a clip would look like somebody's own file."""
        with self._tx("place"):
            for name, stat in outputs.clip_stats().items():
                now = self.placed(name)
                if now is not None and (now.size_bytes, now.mtime_ns) == (stat.size_bytes, stat.mtime_ns):
                    continue
                number = Path(name).stem.removeprefix("clip_")
                digest = atomic.sha256(outputs.clips / name)
                take = next(iter(self._takes("sha256 = ?", digest)), None)
                if take is not None and number.isdigit():
                    values = (name, int(number), take.purchase_id, digest, stat.size_bytes, stat.mtime_ns)
                    self._db.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?, ?, ?, 0, NULL)", values)

    def untold(self, must: HighWater | None, found: Iterable[Told]) -> Iterator[str]:
        """What neither receipt nor log tells."""
        known = {row[0] for row in self._db.execute("SELECT id FROM purchases")} | {one.purchase_id for one in found}
        missing = [number for number in range(1, (must.purchases if must else 0) + 1) if number not in known]
        if missing:
            names = ", ".join(map(str, missing[:10])) + (" …" if len(missing) > 10 else "")
            yield (
                f"purchase {names}: neither a receipt nor vgen.log tells of it, so if it cost anything it is not in "
                f"the books; look at the providers' dashboards"
            )
