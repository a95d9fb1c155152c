"""Whether the ledger is as new as what is around it says: its mark, the receipts, its journal. Changes nothing.

The one place that knows how new the ledger must be. An older one would buy again what was bought since.
"""

import contextlib
from pathlib import Path

from vgen.errors import LedgerUnfit
from vgen.store import database, mark, receipts
from vgen.store.mark import HighWater
from vgen.store.outputs import Outputs
from vgen.store.reader import LedgerReader

REBUILD = "put the newest one back, or run `doit recover`: it rebuilds what is missing from receipts and log, free"


def refuse_unfit(outputs: Outputs, *, thorough: bool = False) -> None:
    """Raises LedgerUnfit if the ledger can't be trusted, with what to do. `thorough`: also reads all of its pages.

    Costs a run that has work two small queries and one listing of the takes.
    """
    must = mark.read(outputs.mark)  # before the ledger: another run may go on with both
    if not outputs.has_ledger:
        _refuse_lost(outputs, must)
        return
    if foreign_journal(outputs.ledger):
        raise LedgerUnfit(
            f"{outputs.ledger}-journal belongs to another state of the ledger, as when an older ledger.db was put back "
            f"beside it; {REBUILD}"
        )
    with contextlib.closing(opened(outputs)) as ledger, database.refusing(outputs.ledger):
        if thorough and (damage := ledger.damage()):
            raise LedgerUnfit(f"{outputs.ledger} is damaged ({damage}); {REBUILD}")
        if must is not None:
            _refuse_older(outputs.ledger, ledger.high_water(), must)
        _refuse_unknown_takes(outputs, ledger, every=must is None)


def opened(outputs: Outputs) -> LedgerReader:
    """The ledger, to look at. Raises Refusal."""
    return LedgerReader(outputs.ledger)


def _refuse_lost(outputs: Outputs, must: HighWater | None) -> None:
    bought = must.purchases if must else 0
    takes = (path for path in outputs.takes.glob("*/*") if path.suffix != ".json" and path.parent != outputs.edited)
    if bought or any(takes):
        held = f"it held {bought} purchases" if bought else "takes that were paid for are here"
        raise LedgerUnfit(f"{outputs.ledger} is gone, and {held}; nothing was bought; {REBUILD}")


def _refuse_older(path: Path, found: HighWater, must: HighWater) -> None:
    if found.ledger not in ("", must.ledger):
        raise LedgerUnfit(f"{path} is the ledger of another production; nothing was bought; {REBUILD}")
    if found.purchases < must.purchases or found.moves < must.moves or found.locks < must.locks:
        ends = f"it ends with purchase {found.purchases}, and purchase {must.purchases} was made"
        if found.purchases == must.purchases:
            ends = f"it ends {must.moves - found.moves} moves too early"
        if (found.purchases, found.moves) == (must.purchases, must.moves):
            ends = "it does not know the last `doit lock`"
        raise LedgerUnfit(f"{path} is older than this production: {ends}; nothing was bought; {REBUILD}")


def _refuse_unknown_takes(outputs: Outputs, ledger: LedgerReader, *, every: bool) -> None:
    """`every`: without a mark all receipts are read, else those of recipes that the ledger does not know."""
    names = receipts.folders(outputs)
    if not every:
        names -= ledger.recipe_folders()
    if not names:
        return
    jobs = ledger.all_jobs()
    for told in receipts.read_all(outputs, names):
        if (told.columns["provider"], told.columns["job_id"]) not in jobs:
            take = told.take["path"] if told.take else "a take"
            raise LedgerUnfit(
                f"{outputs.ledger} does not know {take}, which has a receipt: it is older than the takes; "
                f"nothing was bought; {REBUILD}"
            )


# ── the journal ───────────────────────────────────────────────────────────────────────────────────────────────────────


def foreign_journal(ledger: Path) -> bool:
    """Whether a transaction that a killed run left is of another state of the file: undoing it would mix the two.

    Both hold the file's change counter (bytes 24 to 27 of its first page), which a transaction raises by one, and its
    length in pages, which a transaction that has not come to the first page leaves. The transaction that makes the file
    found no pages: it has nothing to keep of them, and leaves a counter of 1 at most.
    https://www.sqlite.org/fileformat2.html, 1.3.7 and 3.
    """
    try:
        data = ledger.with_name(f"{ledger.name}-journal").read_bytes()
        with ledger.open("rb") as file:
            head = file.read(32)
    except OSError:
        return False
    if data[:8] != b"\xd9\xd5\x05\xf9 \xa1c\xd7":
        return False
    now, pages = int.from_bytes(head[24:28]), int.from_bytes(head[28:32])
    sector, page = int.from_bytes(data[20:24]), int.from_bytes(data[24:28])
    for start in range(sector, len(data) - page - 7, page + 8):
        if int.from_bytes(data[start : start + 4]) == 1:
            before = int.from_bytes(data[start + 4 + 24 : start + 4 + 28])
            return now not in (before, before + 1)
    found = int.from_bytes(data[16:20])
    return pages != found if found else now > 1
