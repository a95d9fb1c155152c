"""Takes and clips as files: publish, place, remove. A take never replaces a file."""

import contextlib
import errno
import itertools
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from vgen.errors import Refusal
from vgen.store import atomic, failpoints
from vgen.store.outputs import Stat

_FICLONE = 0x40049409  # Linux: share the blocks of another file (btrfs, xfs)


def publish_take(part: Path, final: Path, digest: str) -> None:
    """Give a checked, synced part its name among the takes, read-only. Never replaces a file.

    The same bytes already there (a crash came between the link and its commit) are fine. Raises Refusal otherwise.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    atomic.sync_directory(final.parent.parent)
    with failpoints.failpoint("take.link"):
        try:
            _link_or_copy(part, final)
        except FileExistsError:
            if atomic.sha256(final) != digest:
                raise Refusal(f"{final}: another file is in the way; move it elsewhere and run again") from None
        make_read_only(final)
        atomic.sync_directory(final.parent)


def make_read_only(take: Path) -> None:
    """Nobody writes; who may read is as the umask had it when the file was made."""
    take.chmod(stat.S_IMODE(take.stat().st_mode) & 0o444)


def discard(part: Path) -> None:
    """The bytes are safe elsewhere, or damaged."""
    with failpoints.failpoint("part.unlink"):
        part.unlink(missing_ok=True)


def place_clip(take: Path, clip: Path, may_replace: Callable[[], bool] = lambda: True) -> Stat | None:
    """Put a copy (a reflink where the file system can) of a take under a clip's name: whole, or not at all.

    `may_replace` is asked at the last moment, copying takes a while; if not, all stays as it is, and None is returned.
    """
    part = clip_part(clip)
    copy_take(take, part)
    return name_clip(part, clip, may_replace)


def clip_part(clip: Path) -> Path:
    """Where a copy grows before it is named as a clip."""
    return clip.with_name(f".{clip.name}.part")


def copy_take(take: Path, part: Path) -> None:
    """A copy of a take, synced. Raises OSError."""
    part.parent.mkdir(parents=True, exist_ok=True)
    part.unlink(missing_ok=True)
    with part.open("xb") as target, take.open("rb") as source:
        if not _reflink(source.fileno(), target.fileno()):
            shutil.copyfileobj(source, target, atomic.CHUNK_BYTES)
        target.flush()
        with failpoints.failpoint("clip.fsync"):
            failpoints.fsync(target.fileno())


def name_clip(part: Path, clip: Path, may_replace: Callable[[], bool] = lambda: True) -> Stat | None:
    """Give a whole copy a clip's name. As `place_clip`."""
    if not may_replace():
        part.unlink()
        return None
    with failpoints.failpoint("clip.replace"):
        part.replace(clip)
        atomic.sync_directory(clip.parent)
    facts = clip.stat()
    return Stat(size_bytes=facts.st_size, mtime_ns=facts.st_mtime_ns)


def set_aside(clip: Path, folder: Path, may_move: Callable[[], bool] = lambda: True) -> Path | None:
    """Move somebody's own version of a clip to a folder, under a name that is free there. Raises OSError.

    It has the new name durably before it loses the old one. `may_move` is asked at the last moment; if not, or if
    another file has come under the clip's name meanwhile, all stays as it is, and None is returned.
    """
    atomic.make_directory(folder)
    with failpoints.failpoint("edit.move"):
        with clip.open("rb") as file:
            if not may_move():
                return None
            aside = _named_aside(clip, folder)
            failpoints.fsync(file.fileno())
            atomic.sync_directory(folder)
            if not os.path.samestat(os.fstat(file.fileno()), clip.stat()):
                return None
        clip.unlink()
        atomic.sync_directory(clip.parent)
    return aside


def _named_aside(clip: Path, folder: Path) -> Path:
    """The file's second name in the folder; the one that a move which was killed gave it already, if there is one."""
    facts = clip.stat()
    for other in folder.glob(f"{clip.stem}_edit_*{clip.suffix}"):
        found = other.stat()
        same = os.path.samestat(found, facts)
        if same or (found.st_size == facts.st_size and atomic.sha256(other) == atomic.sha256(clip)):
            return other
    for number in itertools.count(1):
        aside = folder / f"{clip.stem}_edit_{number}{clip.suffix}"
        if os.path.lexists(aside):
            continue
        if clip.is_symlink():  # what it leads to stays where it is
            _copy(clip, aside)
            return aside
        with contextlib.suppress(FileExistsError):
            _link_or_copy(clip, aside)
            return aside
    raise AssertionError("BUG: numbers end")


def remove_clip(clip: Path) -> None:
    """Take away a clip of vgen's own; its take stays."""
    with failpoints.failpoint("clip.unlink"):
        clip.unlink(missing_ok=True)


def _link_or_copy(part: Path, final: Path) -> None:
    try:
        os.link(part, final)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK):
            raise
        if final.exists():
            raise FileExistsError(final) from None
        _copy(part, final)  # no hard links here (exFAT, some mounts); the lock is ours


def _copy(source: Path, final: Path) -> None:
    copy = final.with_name(f".{final.name}.part")
    copy.unlink(missing_ok=True)
    with source.open("rb") as read, copy.open("xb") as target:
        shutil.copyfileobj(read, target, atomic.CHUNK_BYTES)
        target.flush()
        failpoints.fsync(target.fileno())
    copy.replace(final)


def _reflink(source: int, target: int) -> bool:
    try:
        import fcntl

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True
