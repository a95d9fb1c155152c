"""Who may send an order now: slots overall; per provider slots, requests per minute, Retry-After. No HTTP, no money."""

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import trio

from vgen.production.queue import SlotQueue

MINUTE_S = 60.0
FEW = 20
"""Up to this many concurrent jobs, every job is polled at the provider's fastest allowed rate."""
SIGNS = 5
"""Of forty and more, as long as fewer than this many have brought a file, a sample is polled at full rate."""
PATIENCE = 12
"""The rest of them then 1/PATIENCE as often: 60 s jobs that are ordered at once are asked 1.7 times each, not 3.4."""
MEASURED = 40
ALIKE = 0.9
"""Share of recent jobs that must fit one poll interval before their end time is predicted."""


class PrioritySemaphore:
    """At most `limit` holders; those who wait are served by the lowest rank (see chains.ranks), not by arrival."""

    def __init__(self, limit: int) -> None:
        self._queue = SlotQueue(limit)
        self._turns: dict[int, trio.Event] = {}

    @property
    def held(self) -> int:
        """How many hold a slot."""
        return self._queue.held

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return self._queue.waiting

    def resize(self, limit: int) -> None:
        """Another number of slots from now on; who holds one keeps it."""
        self._queue.limit = limit
        self._wake()

    @contextlib.asynccontextmanager
    async def one(self, rank: int, *, at_once: bool = False) -> AsyncIterator[None]:
        """Hold a slot. `at_once`: the job runs already, so its slot is taken whether or not one is free."""
        if at_once:
            self._queue.take()
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._queue.release()
            self._wake()

    async def _wait(self, rank: int) -> None:
        ticket = self._queue.ask(rank)
        turn = self._turns[ticket] = trio.Event()
        try:
            await trio.lowlevel.checkpoint()  # all who came in the same tick are queued before the first is served
            self._wake()
            await turn.wait()
        except BaseException:
            if turn.is_set():
                self._queue.release()
                self._wake()
            else:
                self._queue.withdraw(ticket)
                del self._turns[ticket]
            raise

    def _wake(self) -> None:
        for ticket in self._queue.granted():
            self._turns.pop(ticket).set()


@dataclass(slots=True)
class ProviderLimiter:
    """The pace of one provider in one run."""

    name: str
    slots: PrioritySemaphore
    requests_per_minute: float | None = None
    foreseen_s: float | None = None
    """When nearly all jobs are over that take as long as the last ones did, in seconds from the order."""
    brought: int = 0
    """Jobs that were seen to be done in this run, also those that an earlier one ordered."""
    _all_lead: trio.Event = field(default_factory=trio.Event)
    _ended: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MEASURED))
    """Of its last jobs: when they were last seen at work, and when they were first seen to be over."""
    _not_before: float = 0.0
    _listed_at: float = 0.0
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
        """Whether this job is one of those that show how long the others will take, or some have shown it."""
        return self.brought >= SIGNS or job % (self.slots.held // (2 * FEW) + 1) == 0

    def over(self, *, brought: bool) -> None:
        """A job is seen to be over, with a file or without. Those that follow others are woken if none needs to."""
        self.brought += brought
        if self.brought >= SIGNS or self.slots.held <= 2 * FEW:
            self._all_lead.set()
            self._all_lead = trio.Event()

    async def follow(self, job: int, until: float) -> bool:
        """Wait until this job leads, at most until this moment of trio's clock. Whether it leads."""
        with trio.move_on_at(until):
            while not self.leads(job):
                await self._all_lead.wait()
            return True
        return False

    def pause(self, seconds: float) -> None:
        """The provider asked for a pause: it binds all its clips."""
        self._not_before = max(self._not_before, trio.current_time() + seconds)

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

    async def turn_to_list(self, apart_s: float) -> None:
        """Wait for a turn to ask for the provider's list; two turns are at least `apart_s` apart."""
        if apart_s:
            at = max(self._listed_at, trio.current_time())
            self._listed_at = at + apart_s
            await trio.sleep_until(at)

    def _next(self) -> float:
        """The earliest moment for another request."""
        rate = self.requests_per_minute
        window_s = MINUTE_S if rate is None else MINUTE_S / min(1.0, rate)  # half a request a minute: one in two
        while self._sent and self._sent[0] + window_s <= trio.current_time():  # the same sum as below: no rounding
            self._sent.popleft()
        full = rate is not None and len(self._sent) >= max(1, int(rate))
        return max(self._not_before, self._sent[0] + window_s if full else 0.0)


@dataclass(slots=True)
class Limits:
    """All limits of one run: `overall` slots, and a limiter for each provider. Made anew each time it goes online."""

    overall: PrioritySemaphore
    open_limiter: Callable[[str], ProviderLimiter]
    _limiters: dict[str, ProviderLimiter] = field(default_factory=dict)

    def of(self, name: str) -> ProviderLimiter:
        """The limiter of a provider."""
        if name not in self._limiters:
            self._limiters[name] = self.open_limiter(name)
        return self._limiters[name]

    def queued(self) -> dict[str, int]:
        """Provider → how many wait for a slot there."""
        return {name: limiter.slots.waiting for name, limiter in self._limiters.items()}

    @contextlib.asynccontextmanager
    async def acquire(
        self, name: str, rank: int, turn: contextlib.AbstractAsyncContextManager[None] | None = None
    ) -> AsyncIterator[None]:
        """Hold a slot of the provider and one overall. Who waits for its own provider is in nobody else's way.

        `turn`: what else to wait for at the provider.
        """
        limiter = self.of(name)
        async with limiter.slots.one(rank), turn or contextlib.nullcontext():
            while True:
                await limiter.ready()
                async with self.overall.one(rank):
                    if limiter.take():
                        yield
                        return

    @contextlib.asynccontextmanager
    async def occupy(self, name: str, rank: int) -> AsyncIterator[None]:
        """Count a job that runs already, whether or not a slot is free."""
        async with self.overall.one(rank, at_once=True), self.of(name).slots.one(rank, at_once=True):
            yield
