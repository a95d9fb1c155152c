"""One door for every act that must survive a crash. Production does nothing here; a test can die or fail at each point.

Each durable act (commit, fsync, link, rename, unlink) runs inside `failpoint(name)`. A test installs a hook with
`hooked` and is told `(name, "before")` and `(name, "after")`; what it raises happens at that very place.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Hook = Callable[[str, str], None]
Sync = Callable[[int], None]

_hook: Hook | None = None
_fsync: Sync = os.fsync


class failpoint:  # noqa: N801 - it is used as a statement
    """Stand round one durable act. `name` is `place.action`, for example `ledger.submitting`.

    A class, since a dozen such acts make a clip, and a generator costs five times as much.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        if _hook is not None:
            _hook(self._name, "before")

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if _hook is not None and kind is None:
            _hook(self._name, "after")


def fsync(fd: int) -> None:
    """Bytes of a file, or names of a directory, are on the disk when it returns."""
    _fsync(fd)


@contextmanager
def hooked(hook: Hook | None = None, *, fsync: Sync | None = None) -> Iterator[None]:
    """For tests: until the block ends, call `hook` around every point, and `fsync` in the place of the system's.

    What is not given stays as it is.
    """
    global _hook, _fsync  # one seam for the whole process, on purpose
    before = _hook, _fsync
    _hook, _fsync = hook or _hook, fsync or _fsync
    try:
        yield
    finally:
        _hook, _fsync = before
