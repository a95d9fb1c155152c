"""Removes what runs that were killed have left under way: parts that nobody needs, folders of dead runs' workers."""

import shutil
from typing import TYPE_CHECKING

from vgen.store.takes import discard

if TYPE_CHECKING:
    from vgen.production.run import Run


def sweep(run: "Run") -> None:
    """Bytes of purchases that came to their end before their part was removed; all that is not this run's workers'."""
    for part in run.outputs.parts():
        if not part.stem.isdigit() or run.ledger.is_over(int(part.stem)):
            discard(part)
    for folder in run.outputs.private.glob("cluster-*"):
        if folder.name != f"cluster-{run.id}":
            shutil.rmtree(folder, ignore_errors=True)
