"""The run lock of one outputs directory: one run at a time, and who holds it."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock

from vgen.errors import LockHeld, Refusal
from vgen.store import atomic
from vgen.store.outputs import Outputs

WAIT_S = 60.0
"""How often somebody who waits for the lock is told so."""


@contextlib.contextmanager
def run_lock(outputs: Outputs, *, wait: bool, tell: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the run lock of these outputs. Raises LockHeld, saying who holds it; with `wait`, waits and tells so."""
    try:
        outputs.refuse_symlinks()
        atomic.make_directory(outputs.private)
        lock = filelock.FileLock(outputs.private / "run.lock", timeout=0)
        _acquire(lock, outputs, wait=wait, tell=tell)
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


def _acquire(lock: filelock.BaseFileLock, outputs: Outputs, *, wait: bool, tell: Callable[[str], None]) -> None:
    """Raises filelock.Timeout, unless `wait`."""
    while True:
        try:
            lock.acquire()
        except filelock.Timeout:
            if not wait:
                raise
            tell(f"another vgen run{_holder(outputs)} works on {outputs.root}; waiting for it")
            with contextlib.suppress(filelock.Timeout):
                lock.acquire(timeout=WAIT_S)
                return
        else:
            return


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


def is_held(outputs: Outputs) -> bool:
    """Whether a run works here: as the kernel knows it, else as the last run said, if that lives.

    Takes no lock: a run that begins just then would be refused.
    """
    return held_by(outputs) is not None


def held_by(outputs: Outputs) -> int | None:
    """The process whose run works here, as `is_held` knows it; None: nobody's."""
    try:
        return _by_kernel(outputs)
    except (OSError, ValueError, IndexError):
        pid = _by_word(outputs)
        return pid if pid is not None and pid != os.getpid() and _lives(pid) else None


def _holder(outputs: Outputs) -> str:
    """Who holds the lock, for a message."""
    pid = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = _by_kernel(outputs)
    pid = _by_word(outputs) if pid is None else pid
    return "" if pid is None else f" (process {pid})"


def _by_kernel(outputs: Outputs) -> int | None:
    """The process that holds the lock, or None. Raises OSError, ValueError or IndexError where it can't be asked."""
    stat = (outputs.private / "run.lock").stat()
    held = [text.split() for text in Path("/proc/locks").read_text("ascii").splitlines()]
    device = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}"
    for place in (f"{device}:{stat.st_ino}", f":{stat.st_ino}"):  # overlayfs and btrfs tell stat another device
        for fields in held:
            if fields[1] == "FLOCK" and fields[5].endswith(place):
                return int(fields[4])
    return None


def _by_word(outputs: Outputs) -> int | None:
    """The process that said last that it holds the lock; one that was killed says so still."""
    try:
        return int(json.loads((outputs.private / "holder.json").read_text("utf-8"))["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(pid: int) -> bool:
    if os.name == "nt":
        return True  # where signal 0 is Ctrl-C
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
