"""Whole-or-nothing files: publication of takes and clips, digests, the run lock. Knows nothing of money or HTTP.

Order of a publication (argued in docs/decisions): bytes synced, then the name, then the directory synced, then the
ledger's commit. A take never replaces a file; a clip replaces only what vgen itself put there.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from vgen import durable
from vgen.errors import LockHeld, Refusal

CHUNK_BYTES = 1 << 20
MIN_FREE_BYTES = 64 << 20
_FICLONE = 0x40049409  # Linux: share the blocks of another file (btrfs, xfs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What one stat tells of a clip's file."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """The places in one outputs directory."""

    root: Path

    @property
    def clips(self) -> Path:
        return self.root / "clips"

    @property
    def takes(self) -> Path:
        return self.root / "takes"

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def clips_json(self) -> Path:
        return self.root / "clips.json"

    @property
    def report_json(self) -> Path:
        return self.root / "production_report.json"

    @property
    def gallery(self) -> Path:
        return self.root / "gallery.html"

    @property
    def conformed(self) -> Path:
        return self.root / "conformed"

    @property
    def cut(self) -> Path:
        return self.root / "cut.mp4"

    @property
    def plan_json(self) -> Path:
        return self.root / "plan.json"

    @property
    def log(self) -> Path:
        return self.root / "vgen.log"

    @property
    def private(self) -> Path:
        return self.root / ".vgen"

    def part(self, purchase_id: int) -> Path:
        """Where a purchase's bytes arrive: same file system as the takes."""
        return self.private / "parts" / f"{purchase_id}.part"

    def parts(self) -> list[Path]:
        """Downloads that are or were under way."""
        return sorted((self.private / "parts").glob("*.part"))

    def clip(self, number: int) -> Path:
        return self.clips / clip_name(number)

    def take(self, recipe: str, take: int, *, simulated: bool, good: bool) -> Path:
        kind = "simulated" if simulated else "take"
        return self.takes / recipe[:16] / f"{kind}_{take:03d}{'' if good else '_rejected'}.mp4"

    def prepare(self) -> None:
        """Make the directories and try that they hold a file. Raises Refusal: nothing has been bought yet."""
        try:
            make_directory(self.root)
            self.refuse_symlinks()
            for place in (self.clips, self.takes, self.private, self.private / "parts"):
                make_directory(place)
            probe = self.private / "probe"
            probe.write_bytes(b"vgen")
            probe.unlink()
        except OSError as exc:
            raise Refusal(f"{self.root}: can't be written ({exc.strerror}); name another with outputs=DIR") from exc
        free = shutil.disk_usage(self.root).free
        if free < MIN_FREE_BYTES:
            raise Refusal(f"{self.root}: only {free >> 20} MiB free; make room, nothing was bought")

    def refuse_symlinks(self) -> None:
        """No link inside `outputs` may lead out of it. Raises Refusal."""
        home = self.root.resolve()
        for place in (self.root, self.clips, self.takes, self.private):
            with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(home):
                        raise Refusal(f"{entry.path} is a link that leads out of {self.root}; remove it")

    def refuse_lost_ledger(self) -> None:
        """Takes without a ledger: starting anew would buy them again. Raises Refusal."""
        begun = self.ledger.exists() and self.ledger.stat().st_size > 0
        if not begun and any(self.takes.glob("*/*.mp4")):
            raise Refusal(
                f"{self.ledger} is gone, but takes that were paid for are here; "
                f"restore it from a backup, or name another directory with outputs=DIR"
            )

    def clip_stats(self) -> dict[str, Stat]:
        """Name → stat of every regular file in the clips directory, in one pass."""
        found: dict[str, Stat] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.clips) as entries:
            for entry in entries:
                if entry.name.endswith(".mp4") and not entry.name.startswith("."):
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.name] = Stat(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
        return found


def clip_name(number: int) -> str:
    """`clip_007.mp4`: three digits or more."""
    return f"clip_{number:03d}.mp4"


def sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_whole(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Replace a file of vgen's own (report, plan): readers see the old or the new one, never a piece."""
    part = path.with_name(f".{path.name}.part")
    _write_synced(part, data)
    with durable.point(f"replace.{path.name}"):
        part.replace(path)
        sync_directory(path.parent)


def publish_take(part: Path, final: Path, digest: str) -> None:
    """Give a checked, synced part its name among the takes, read-only. Never replaces a file.

    The same bytes already there (a crash came between the link and its commit) are fine. Raises Refusal otherwise.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    sync_directory(final.parent.parent)
    with durable.point("take.link"):
        try:
            _link_or_copy(part, final)
        except FileExistsError:
            if sha256(final) != digest:
                raise Refusal(f"{final}: another file is in the way; move it elsewhere and run again") from None
        final.chmod(0o444)
        sync_directory(final.parent)


def discard(part: Path) -> None:
    """The bytes are safe elsewhere, or damaged."""
    with durable.point("part.unlink"):
        part.unlink(missing_ok=True)


def place_clip(take: Path, clip: Path) -> Stat:
    """Put a copy (a reflink where the file system can) of a take under a clip's name: whole, or not at all."""
    clip.parent.mkdir(parents=True, exist_ok=True)
    part = clip.with_name(f".{clip.name}.part")
    part.unlink(missing_ok=True)
    with part.open("xb") as target, take.open("rb") as source:
        if not _reflink(source.fileno(), target.fileno()):
            shutil.copyfileobj(source, target, CHUNK_BYTES)
        target.flush()
        with durable.point("clip.fsync"):
            os.fsync(target.fileno())
    part.chmod(0o644)
    with durable.point("clip.replace"):
        part.replace(clip)
        sync_directory(clip.parent)
    stat = clip.stat()
    return Stat(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


def remove_clip(clip: Path) -> None:
    """Take away a clip of vgen's own; its take stays."""
    with durable.point("clip.unlink"):
        clip.unlink(missing_ok=True)


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
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def run_lock(outputs: Outputs, *, wait: bool) -> Iterator[None]:
    """Hold the run lock of these outputs. Raises LockHeld, saying who holds it; with `wait`, stands in line."""
    try:
        outputs.refuse_symlinks()
        make_directory(outputs.private)
        lock = filelock.FileLock(outputs.private / "run.lock", timeout=-1 if wait else 0)
        lock.acquire()
        second = _lock_directory(outputs, wait=wait)
        unsign_lock(outputs)  # of a run that was killed
    except (filelock.Timeout, BlockingIOError):
        raise LockHeld(
            f"another vgen run{_holder(outputs)} works on {outputs.root}; wait for it, or start with wait=yes"
        ) from None
    except OSError as exc:
        raise Refusal(f"{outputs.root}: can't be written ({exc.strerror}); name another with outputs=DIR") from exc
    try:
        yield
    finally:
        unsign_lock(outputs)
        if second is not None:
            os.close(second)
        lock.release()


def _lock_directory(outputs: Outputs, *, wait: bool) -> int | None:
    """Lock the directory itself too, where that is possible: a lock file can be deleted while it is held."""
    try:
        import fcntl
    except ImportError:
        return None
    fd = os.open(outputs.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(fd)
        raise
    return fd


def sign_lock(outputs: Outputs, run_id: str) -> None:
    """Tell others who holds the lock. Only a run that works writes it: one with nothing to do touches no file."""
    text = json.dumps({"pid": os.getpid(), "run": run_id})
    (outputs.private / "holder.json").write_text(text, encoding="utf-8")


def unsign_lock(outputs: Outputs) -> None:
    """The work is done."""
    (outputs.private / "holder.json").unlink(missing_ok=True)


def _holder(outputs: Outputs) -> str:
    """Who holds the lock: the kernel knows it on Linux; elsewhere the holder says so once it works."""
    try:
        stat = (outputs.private / "run.lock").stat()
        held = [text.split() for text in Path("/proc/locks").read_text("ascii").splitlines()]
        device = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}"
        for place in (f"{device}:{stat.st_ino}", f":{stat.st_ino}"):  # overlayfs and btrfs tell stat another device
            for fields in held:
                if fields[1] == "FLOCK" and fields[5].endswith(place):
                    return f" (process {int(fields[4])})"
    except (OSError, ValueError, IndexError):
        pass
    try:
        told = json.loads((outputs.private / "holder.json").read_text("utf-8"))
        return f" (process {int(told['pid'])})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_synced(path: Path, data: bytes | Iterable[bytes]) -> None:
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.writelines([data] if isinstance(data, bytes) else data)
        file.flush()
        with durable.point(f"fsync.{path.name}"):
            os.fsync(file.fileno())


def _link_or_copy(part: Path, final: Path) -> None:
    try:
        os.link(part, final)
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK):
            raise
        if final.exists():
            raise FileExistsError(final) from None
        copy = final.with_name(f".{final.name}.part")  # no hard links here (exFAT, some mounts); the lock is ours
        copy.unlink(missing_ok=True)
        with part.open("rb") as source, copy.open("xb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
            target.flush()
            os.fsync(target.fileno())
        copy.replace(final)


def _reflink(source: int, target: int) -> bool:
    try:
        import fcntl

        fcntl.ioctl(target, _FICLONE, source)
    except (ImportError, OSError):
        return False
    return True
