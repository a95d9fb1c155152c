"""One door for every act that must survive a crash. Production does nothing here; a test can die or fail at each point.

Each durable act (commit, fsync, link, rename, unlink) runs inside `failpoint(name)`. A test installs a hook with
`hooked` and is told `(name, "before")` and `(name, "after")`; what it raises happens at that very place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Hook = Callable[[str, str], None]

_hook: Hook | None = None


@contextmanager
def failpoint(name: str) -> Iterator[None]:
    """Stand round one durable act. `name` is `place.action`, for example `ledger.submitting`."""
    if _hook is None:
        yield
        return
    _hook(name, "before")
    yield
    _hook(name, "after")


@contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """For tests: call `hook` round every point until the block ends."""
    global _hook  # noqa: PLW0603 - one seam for the whole process, on purpose
    before, _hook = _hook, hook
    try:
        yield
    finally:
        _hook = before
