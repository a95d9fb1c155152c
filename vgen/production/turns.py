"""Waiting for one's turn: behind shots of the same recipe, and for money. `queue` decides, this waits."""

import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterator

import trio

from vgen.errors import ClipFailed
from vgen.production.queue import PurchaseQueue


class Turns:
    """The waiting rooms of one run. `may_buy`: why nothing more is bought, or None."""

    def __init__(self, queue: PurchaseQueue, why_not: Callable[[], str | None]) -> None:
        self.queue = queue
        self._why_not = why_not
        self._busy = set[Hashable]()
        self._changed = trio.Event()

    @contextlib.asynccontextmanager
    async def exclusive(self, number: int, recipes: Collection[str]) -> AsyncIterator[None]:
        """Work on one shot. Shots that share a recipe go one after another: the second finds the first's take."""
        with self.active(number, recipes):
            await trio.lowlevel.checkpoint()  # all who start in this tick have started before the first goes on
            while self.queue.is_behind(number):
                await self._changed.wait()
            yield

    @contextlib.contextmanager
    def active(self, who: Hashable, recipes: Collection[str] = ()) -> Iterator[None]:
        """While it lasts, `who` counts as a possible source of refunded money."""
        self.queue.start(who, recipes)
        try:
            yield
        finally:
            self.queue.end(who)
            self.look_again()

    @contextlib.asynccontextmanager
    async def alone(self, job: Hashable) -> AsyncIterator[None]:
        """Work on one job, which nobody else here works on meanwhile: a shot may want what no shot wanted before."""
        while job in self._busy:
            await self._changed.wait()
        self._busy.add(job)
        try:
            yield
        finally:
            self._busy.discard(job)
            self.look_again()

    @contextlib.contextmanager
    def reservation(self) -> Iterator[None]:
        """Around a reservation: when it ends, its money is settled or released, and all who lack money look again."""
        try:
            yield
        finally:
            self.queue.money_moved()
            self.look_again()

    async def money(self, number: int) -> bool:
        """Wait until money may have come back; False if nobody is left who could give any. Raises ClipFailed."""
        self.queue.lack_money(number)
        self.look_again()
        try:
            while self.queue.lacks_money(number):
                if reason := self._why_not():
                    raise ClipFailed(f"not bought: {reason}")
                if not self.queue.money_may_come():
                    return False
                await self._changed.wait()
        finally:
            self.queue.give_up(number)
        return True

    def look_again(self) -> None:
        """Wake all who wait: something has changed."""
        self._changed.set()
        self._changed = trio.Event()
