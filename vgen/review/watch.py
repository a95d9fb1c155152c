"""Notices that something has changed, once for all open pages, and wakes them. Knows not what it is that changes."""

import contextlib
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any

import trio

LOOK_S = 0.5
"""The least time between two looks while somebody watches: a few stats and 28 bytes of the ledger."""


class Watch:
    """`version` counts changes of `state()`; `changed` lets any number of pages wait for the next one."""

    def __init__(self, state: Callable[[], Hashable]) -> None:
        self._state = state
        self._last = state()
        self._event = trio.Event()
        self._somebody = trio.Event()
        self._watching = 0
        self.version = 1
        self.every_s = LOOK_S
        """How long it waits between two looks."""

    def look(self) -> None:
        """Look now. What can't be looked at just now (no file may be opened) is as it was."""
        try:
            now = self._state()
        except OSError:
            return
        if now != self._last:
            self._last = now
            self.version += 1
            self._event.set()
            self._event = trio.Event()

    async def run(self) -> Any:
        """Look as long as somebody watches; until cancelled."""
        while True:
            await self._somebody.wait()
            self.look()
            await trio.sleep(self.every_s)

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While it lasts, somebody watches."""
        self._watching += 1
        self._somebody.set()
        try:
            yield
        finally:
            self._watching -= 1
            if not self._watching:
                self._somebody = trio.Event()

    async def later_than(self, version: int, *, at_most_s: float) -> int:
        """The version, as soon as it is another than this one, or after a while."""
        if version == self.version:
            with trio.move_on_after(at_most_s):
                await self._event.wait()
        return self.version
