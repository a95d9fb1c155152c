"""What a run learns of prices: the first order ever of a kind goes alone, and what was told binds the next one."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import trio

from vgen.inputs.settings import Provider
from vgen.providers.base import Order
from vgen.providers.kinds import Kind

_Key = tuple[str, Kind]
_Asked = tuple[str, str, Kind]
"""The endpoint counts too: nobody knows yet whether it costs the same there."""


@dataclass(slots=True)
class Quotes:
    """Which kinds of order have a known price. `was_answered`: whether an earlier run got an answer for one."""

    was_answered: Callable[[str, Order], bool]
    told: dict[_Key, int] = field(default_factory=dict)
    """The highest prices that were told in this run."""
    _known: set[_Asked] = field(default_factory=set)
    _quoted: dict[_Asked, trio.Event] = field(default_factory=dict)
    """Kind → set when its free quote was asked for, whatever came of it."""
    _asking: dict[_Asked, trio.Event] = field(default_factory=dict)
    """Kind → set when the first order of it has its answer, or came to nothing."""

    @contextlib.asynccontextmanager
    async def turn(self, provider: Provider, order: Order) -> AsyncIterator[None]:
        """Wait for the answer to the first order ever of this kind, not for its job; or be that first order."""
        key = (provider.name, order.path, order.kind)
        while not self._is_known(provider, order, key):
            if (asked := self._asking.get(key)) is not None:
                await asked.wait()
                continue
            mine = self._asking[key] = trio.Event()
            try:
                yield
            finally:
                self._end(key, mine)
            return
        yield

    async def once(self, provider: str, order: Order, ask: Callable[[], Awaitable[int | None]]) -> None:
        """Learn the free quote of the order's kind: the first of a kind asks, the others wait for its answer."""
        key = (provider, order.path, order.kind)
        if (asked := self._quoted.get(key)) is not None:
            await asked.wait()
            return
        mine = self._quoted[key] = trio.Event()
        try:
            self.learn(provider, order, await ask() or 0)
        finally:
            mine.set()

    def answered(self, provider: Provider, order: Order) -> None:
        """The order was accepted: what its kind may cost is known, and the others of it may go."""
        key = (provider.name, order.path, order.kind)
        self._known.add(key)
        if key in self._asking:
            self._end(key, self._asking[key])

    def learn(self, provider: str, order: Order, price: int) -> None:
        """The provider told this price for the order."""
        if price > order.price:
            key = (provider, order.kind)
            self.told[key] = max(price, self.told.get(key, 0))

    def _is_known(self, provider: Provider, order: Order, key: _Asked) -> bool:
        if not provider.codec.VENDOR.quotes:
            return True
        if key not in self._known and key not in self._asking and self.was_answered(provider.name, order):
            self._known.add(key)
        return key in self._known

    def _end(self, key: _Asked, mine: trio.Event) -> None:
        if self._asking.get(key) is mine:
            del self._asking[key]
        mine.set()
