"""Answers to orders, kept where a full disk, a reader of the ledger or a missing file descriptor can't take them away.

One file with a slot for each order on the wire. It is open and its space is allocated before the order is sent; the
answer is written there before it is committed to the ledger, and the next run books what the ledger does not have.
"""

import contextlib
import errno
import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vgen.errors import LedgerBusy, LedgerError
from vgen.store import atomic, failpoints

SLOT_BYTES = 8192
"""An answer with three URLs needs 1 KiB."""
SPARE = 3
"""File descriptors that SQLite needs for a commit: its journal, and the directory twice."""
NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


@dataclass(slots=True)
class Slip:
    """One order's slot."""

    slips: "OrderSlips"
    index: int
    _owed: bytes = b""
    """What could not be written yet."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write an answer down: survives the process at once, the machine after `sync`. Raises nothing."""
        data = _packed(record)
        if len(data) > SLOT_BYTES:
            data = _packed({**record, "facts": {**record["facts"], "urls": {}}})  # made again from the job's id
        self._owed = data
        self._put()

    def _put(self) -> None:
        with contextlib.suppress(OSError):
            self.slips.put(self.index, self._owed)
            self._owed = b""

    def sync(self) -> bool:
        """Whether the answer is safe on the disk; if writing it failed, it is tried once more."""
        if self._owed:
            self._put()
        return self.slips.sync() and not self._owed

    def release(self) -> None:
        """The order is off the wire; a slot whose answer is still owed stays as it is."""
        if self.index not in self.slips.owed:
            self.slips.used.discard(self.index)

    def booked(self) -> None:
        """The ledger has the answer."""
        self.slips.owed.discard(self.index)


@dataclass(slots=True)
class OrderSlips:
    """The file of slots of one run."""

    path: Path
    used: set[int] = field(default_factory=set)
    """Slots of orders on the wire."""
    owed: set[int] = field(default_factory=set)
    """Slots whose answers are not in the ledger yet."""
    _fd: int | None = None
    _size: int = 0
    _spare: list[int] = field(default_factory=list)

    def hold(self) -> Slip:
        """A slot for one order. Raises LedgerError if an answer could not be kept: then nothing must be sent."""
        index = next(i for i in range(len(self.used) + 1) if i not in self.used)
        try:
            self._make_room(index)
        except OSError as exc:
            if exc.errno in NO_DESCRIPTOR:
                raise LedgerBusy(f"{exc.strerror}; raise `ulimit -n`, or lower max_concurrent") from exc
            raise LedgerError(f"an answer could not be kept ({exc.strerror})") from exc
        self.used.add(index)
        return Slip(self, index)

    def _make_room(self, index: int) -> None:
        if self._fd is None:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        while self._size < (index + 1) * SLOT_BYTES:
            with failpoints.failpoint("orders.allocate"):
                os.pwrite(self._fd, b" " * SLOT_BYTES, self._size)
            self._size += SLOT_BYTES
        while len(self._spare) < SPARE:
            self._spare.append(os.dup(self._fd))

    def lend(self) -> None:
        """Give the spare file descriptors away, to a commit that has none."""
        while self._spare:
            os.close(self._spare.pop())

    def put(self, index: int, data: bytes) -> None:
        """Fill a slot."""
        assert self._fd is not None, "BUG: a slot of a file that is not open"
        self.owed.add(index)
        with failpoints.failpoint("orders.write"):
            os.pwrite(self._fd, data.ljust(SLOT_BYTES - 1) + b"\n", index * SLOT_BYTES)

    def sync(self) -> bool:
        """Whether all slots are safe on the disk."""
        assert self._fd is not None, "BUG: a file of slots that is not open"
        try:
            with failpoints.failpoint("orders.fsync"):
                failpoints.fsync(self._fd)
            atomic.sync_directory(self.path.parent)
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.lend()
        if self._fd is not None:
            os.close(self._fd)
            self._fd, self._size = None, 0
            if not self.owed:
                discard(self.path)


def read(path: Path) -> list[dict[str, Any]]:
    """All answers in the file; a slot that was torn by a power cut, or is empty, is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    found = []
    for start in range(0, len(data), SLOT_BYTES):
        checksum, _, text = data[start : start + SLOT_BYTES].strip().partition(b" ")
        with contextlib.suppress(ValueError):
            if int(checksum, 16) == zlib.crc32(text):
                found.append(json.loads(text))
    return found


def discard(path: Path) -> None:
    """The ledger has all that is in the file."""
    with contextlib.suppress(OSError), failpoints.failpoint("orders.unlink"):
        path.unlink(missing_ok=True)


def _packed(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record).encode()
    return b"%08x " % zlib.crc32(text) + text
