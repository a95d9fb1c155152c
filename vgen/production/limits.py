"""Who may buy now: slots over all; per provider concurrency, requests a minute and Retry-After. No HTTP, no money."""

import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import trio

MINUTE_S = 60.0
FEW = 20
"""Up to so many jobs at once each is asked about as often as its provider allows: somebody may be watching."""
PATIENCE = 4
"""Of many, as long as nobody knows how long they take, some are asked about so often, the others so many times less."""
MEASURED = 40
ALIKE = 0.9
"""So large a part of the last jobs must have ended within one pause, for the next one's end to be foreseen."""


@dataclass(slots=True)
class PrioritySemaphore:
    """At most `limit` holders; those who wait are served by the lowest number (the shot's), not by arrival."""

    limit: int
    held: int = 0
    _waiting: list[tuple[int, int, trio.Event]] = field(default_factory=list)
    _left: set[int] = field(default_factory=set)
    """The order of those who were cancelled while they waited."""
    _order: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting) - len(self._left)

    @contextlib.asynccontextmanager
    async def one(self, number: int, *, at_once: bool = False) -> AsyncIterator[None]:
        """Hold a slot. `at_once`: the job runs already, so its slot is taken whether or not one is free."""
        if not at_once:
            await self._wait(number)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
            self._wake()

    async def _wait(self, number: int) -> None:
        turn = trio.Event()
        order = next(self._order)
        heapq.heappush(self._waiting, (number, order, turn))
        try:
            await trio.lowlevel.checkpoint()  # all who came in the same tick are in line before the first is served
            self._wake()
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self.held -= 1
                self._wake()
            else:
                self._left.add(order)
            raise
        self.held -= 1  # handed over by _wake, counted again by the caller

    def _wake(self) -> None:
        while self._waiting and self.held < self.limit:
            _, order, turn = heapq.heappop(self._waiting)
            if order in self._left:
                self._left.remove(order)
                continue
            self.held += 1
            turn.set()


@dataclass(slots=True)
class ProviderLimiter:
    """One provider in one run. `closed`: why nothing more is bought there."""

    name: str
    slots: PrioritySemaphore
    requests_per_minute: float | None = None
    closed: str | None = None
    foreseen_s: float | None = None
    """When nearly all jobs are over that take as long as the last ones did, in seconds from the order."""
    _ended: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MEASURED))
    """Of its last jobs: when they were last seen at work, and when they were first seen to be over."""
    _not_before: float = 0.0
    _sent: deque[float] = field(default_factory=deque)

    @property
    def quiet_s(self) -> float:
        """Seconds after an order within which asking would be noise: many jobs run, and few of them end so early."""
        if self.slots.held <= FEW or len(self._ended) < FEW:
            return 0.0
        return 0.9 * sorted(over for _, over in self._ended)[len(self._ended) // 10]

    def learn(self, at_work_s: float, over_s: float, pause_s: float) -> None:
        """When a job was last seen at work, and first seen to be over; questions were `pause_s` apart."""
        self._ended.append((at_work_s, over_s))
        enough = ALIKE * len(self._ended)
        self.foreseen_s = None
        for at in sorted(over for _, over in self._ended):
            if sum(work < at < over + pause_s for work, over in self._ended) >= enough:
                self.foreseen_s = at
                return

    def leads(self, job: int) -> bool:
        """Whether this job is one of those that show how long the others will take."""
        return len(self._ended) >= FEW or job % (self.slots.held // (2 * FEW) + 1) == 0

    def pause(self, seconds: float) -> None:
        """The provider asked for a pause: it binds all its clips."""
        self._not_before = max(self._not_before, trio.current_time() + seconds)

    def close(self, reason: str) -> bool:
        """Buy nothing more here; True if it was open until now."""
        was_open = self.closed is None
        self.closed = self.closed or reason
        return was_open

    async def ready(self) -> None:
        """Wait until the pause is over and the minute has room."""
        while (until := self._next()) > trio.current_time():  # noqa: ASYNC110 - it may be put off meanwhile
            await trio.sleep_until(until)

    def take(self) -> bool:
        """Take one request of the minute; False if the limiter is not ready any more."""
        now = trio.current_time()
        if self._next() > now:
            return False
        self._sent.append(now)
        return True

    def _next(self) -> float:
        """The earliest moment for another request."""
        rate = self.requests_per_minute
        window_s = MINUTE_S if rate is None else MINUTE_S / min(1.0, rate)  # half a request a minute: one in two
        while self._sent and self._sent[0] + window_s <= trio.current_time():  # the same sum as below: no rounding
            self._sent.popleft()
        full = rate is not None and len(self._sent) >= max(1, int(rate))
        return max(self._not_before, self._sent[0] + window_s if full else 0.0)
