"""The ledger as the next run will find it, for who looks while nobody works. Writes nothing."""

import contextlib
from collections.abc import Callable

from vgen.errors import LedgerError, Refusal
from vgen.store.ledger import Ledger
from vgen.store.lock import is_held
from vgen.store.outputs import Outputs
from vgen.store.reader import LedgerReader


def settled(outputs: Outputs, *, now: Callable[[], float]) -> LedgerReader:
    """The ledger; if a killed run left something between order and answer, a copy in which that is settled.

    `now`: unix time. Raises Refusal if the ledger can't be read.
    """
    found = LedgerReader(outputs.ledger)
    if not (found.left_over() or outputs.slips.exists()) or is_held(outputs):
        return found
    with contextlib.closing(found):
        copy = Ledger(None, now=now)
        found.copy_to(copy)
    try:
        copy.book_slips(outputs.slips, keep=True)
        copy.settle_left_over()
    except LedgerError as exc:
        copy.close()
        raise Refusal(f"{outputs.ledger}: {exc}") from exc
    return copy
