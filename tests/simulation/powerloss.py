"""What a power loss leaves on a disk: what was synced; of all else, chance decides. The ledger's own files are safe."""

import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

LEDGER = "ledger.db"
"""Its file and its journal: what SQLite has committed (synchronous=EXTRA) is taken to be there."""
SECTOR_BYTES = 512
"""What was overwritten in place within one sector is there as it was or as it is: a disk writes a sector whole."""


class Disk:
    """Watches one directory tree. Bytes are safe by an fsync of the file, names by one of their directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bytes: dict[int, bytes] = {}
        """Inode → content when it was last synced."""
        self._names: dict[int, dict[str, int]] = {}
        """Inode of a directory → its names and their inodes when it was last synced."""

    def sync(self, inode: int) -> None:
        """A file or a directory of this inode was synced."""
        for path, number in _tree(self._root):
            if number == inode:
                self._keep(Path(path))

    def sync_names(self, directory: Path) -> None:
        if directory.exists():
            self._names[directory.stat().st_ino] = _listed(directory)

    def settle(self) -> None:
        """Nobody has written for so long that all is on the disk."""
        for path, _ in _tree(self._root):
            self._keep(Path(path))

    def lose(self, rng: random.Random) -> list[str]:
        """The power fails, and comes back. What is not as it was, in words."""
        told: list[str] = []
        self._lose_below(self._root, rng, told)
        self.settle()
        return told

    def _keep(self, path: Path) -> None:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = _listed(path)
        else:
            self._bytes[found.st_ino] = path.read_bytes()

    def _lose_below(self, directory: Path, rng: random.Random, told: list[str]) -> None:
        then, now = self._names.get(directory.stat().st_ino, {}), _listed(directory)
        for name in sorted(then.keys() | now.keys()):
            path = directory / name
            if name.startswith(LEDGER):
                continue
            if then.get(name) != now.get(name) and rng.random() < 0.5:
                self._undo(path, then.get(name))
                told.append(f"{path.relative_to(self._root)} is as it was before")
            if path.is_dir():
                self._lose_below(path, rng, told)
            elif path.exists() and (cut := self._cut(path, rng)):
                told.append(f"{path.relative_to(self._root)} {cut}")

    def _undo(self, path: Path, inode: int | None) -> None:
        """The name leads again to what it led to when its directory was synced, or to nothing."""
        if path.is_dir():
            for below in sorted(path.rglob("*"), reverse=True):
                below.rmdir() if below.is_dir() else below.unlink()
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        if inode is not None:
            path.write_bytes(self._bytes.get(inode, b""))
            self._keep(path)

    def _cut(self, path: Path, rng: random.Random) -> str:
        """Of bytes that were not synced, some are there, from the beginning on."""
        inode, data = path.stat().st_ino, path.read_bytes()
        safe = self._bytes.get(inode)
        if safe == data:
            return ""
        least = len(safe) if safe is not None and data.startswith(safe) else 0
        length = rng.randint(least, len(data))
        path.chmod(0o644)
        if safe is not None and len(safe) == len(data) <= SECTOR_BYTES:
            if length < len(data) // 2:
                path.write_bytes(safe)
                self._keep(path)
                return "is as it was when it was synced"
            self._keep(path)
            return ""
        os.truncate(path, length)
        self._keep(path)
        return f"has {length} of {len(data)} bytes"


def _tree(root: Path) -> Iterator[tuple[str, int]]:
    """Every path from the root down, and its inode."""
    yield str(root), root.stat().st_ino
    below = [str(root)]
    while below:
        with os.scandir(below.pop()) as entries:
            for entry in entries:
                yield entry.path, entry.inode()
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)


def _listed(directory: Path) -> dict[str, int]:
    with os.scandir(directory) as entries:
        return {entry.name: entry.inode() for entry in entries}
