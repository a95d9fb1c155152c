"""The high-water mark beside the ledger: which ledger it is, and how far it had come. Knows no SQL.

The ledger writes it after each commit, so a kill between the two leaves a mark that is too low, never too high. It is
written in place, in one sector, and synced before each order is sent: a power cut takes no mark of an order away.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from vgen.store import atomic, failpoints

SIZE_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class HighWater:
    """A ledger's own random id, its last purchase, its last move, and its last lock."""

    ledger: str
    purchases: int
    moves: int
    locks: int = 0


def read(path: Path) -> HighWater | None:
    """The mark; None if there is none that can be read."""
    try:
        told = json.loads(path.read_bytes())
        numbers = {"purchases": int(told["purchases"]), "moves": int(told["moves"]), "locks": int(told.get("locks", 0))}
        return HighWater(ledger=str(told["ledger"]), **numbers)
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Mark:
    """The mark's file, open for writing as long as its ledger is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._last = read(path)

    def write(self, value: HighWater) -> None:
        """Raise the mark. A mark that can't be written stays where it was.

        A rebuilt ledger may have fewer moves or locks: were the old mark back after a power cut, it would look old.
        """
        if value == self._last:
            return
        last = self._last
        is_lowered = last is not None and (
            value.ledger != last.ledger or value.moves < last.moves or value.locks < last.locks
        )
        numbers = f'"purchases": {value.purchases}, "moves": {value.moves}, "locks": {value.locks}'
        data = f'{{"ledger": {json.dumps(value.ledger)}, {numbers}}}'.encode().ljust(SIZE_BYTES - 1) + b"\n"
        with contextlib.suppress(OSError):
            if self._fd is None:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, data)
            self._last = value
        if is_lowered:
            self.sync()

    def sync(self) -> None:
        """Make it safe from a power cut, as far as the disk allows."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                failpoints.fsync(self._fd)
                atomic.sync_directory(self._path.parent)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
