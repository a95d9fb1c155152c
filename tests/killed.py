"""A process that dies in the middle of a commit: a part of its transaction is in the file, and a journal beside it."""

import struct
import subprocess
import sys
from pathlib import Path

from vgen.store import database

_DIES = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.create_function("wall_clock", 0, lambda: 0.0)
db.execute("PRAGMA cache_size = 1")  # so that pages are written before the end
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE purchases SET price = price + 1, request = ?", ("x" * 4000,))
os._exit(9)
"""


def kill_in_a_commit(ledger: Path) -> None:
    """Every purchase was to become dearer."""
    before = ledger.read_bytes()
    done = subprocess.run([sys.executable, "-c", _DIES, str(ledger)], check=False)
    assert done.returncode == 9
    assert ledger.read_bytes() != before, "nothing was written before the kill: the test shows nothing"
    assert ledger.with_name(f"{ledger.name}-journal").stat().st_size


def kill_in_the_making(ledger: Path) -> None:
    """All pages of a new ledger are in the file, and the journal by which SQLite empties it again is still there.

    The journal has its head alone (https://www.sqlite.org/fileformat2.html, 3): the file had no pages to keep.
    """
    database.for_writing(ledger, lambda: 0.0).close()
    no_records, nonce, no_pages, sector, page = (0, 1, 0, 512, 4096)
    head = b"\xd9\xd5\x05\xf9 \xa1c\xd7" + struct.pack(">5L", no_records, nonce, no_pages, sector, page)
    ledger.with_name(f"{ledger.name}-journal").write_bytes(head.ljust(sector, b"\0"))
