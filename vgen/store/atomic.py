"""Whole-or-nothing files, durable directories and digests. Knows nothing of takes, money or HTTP."""

import errno
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from vgen.store import failpoints

CHUNK_BYTES = 1 << 20


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def is_full(exc: OSError) -> bool:
    """Whether there was no room left, on the disk or in a quota."""
    return exc.errno in (errno.ENOSPC, errno.EDQUOT)


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Replace a file of vgen's own (report, plan): readers see the old or the new one, never a piece."""
    part = path.with_name(f".{path.name}.part")
    _write_synced(part, data)
    with failpoints.failpoint(f"replace.{path.name}"):
        part.replace(path)
        sync_directory(path.parent)


def keep_or_write(path: Path, data: bytes) -> None:
    """As `write_whole`; a file that says it already becomes as new as one that is written, and its directory stays."""
    try:
        says_it = path.read_bytes() == data
    except OSError:
        says_it = False
    if says_it:
        os.utime(path)
    else:
        write_whole(path, data)


def make_directory(path: Path) -> None:
    """Make a directory and those above it, each under a durable name: with `outputs` the ledger would be gone."""
    if not path.is_dir():
        make_directory(path.parent)
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names durable. Windows cannot, and does not need to."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        failpoints.fsync(fd)
    finally:
        os.close(fd)


def _write_synced(path: Path, data: bytes | Iterable[bytes]) -> None:
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        with failpoints.failpoint(f"fsync.{path.name}"):
            failpoints.fsync(file.fileno())
