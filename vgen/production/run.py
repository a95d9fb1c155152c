"""The batch: what all clips of one run share. Ledger, wire, judge, limiters, budget, log; opened once a run.

Occupancy and money are derived from the ledger's rows; the batch keeps only what dies with the run (who waits, which
limiter is closed, what was said).
"""

import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from vgen import money
from vgen.errors import ClipFailed
from vgen.inputs.settings import Provider, Settings
from vgen.plan.decision import File, Policy
from vgen.plan.request import ShotRequest
from vgen.production.limits import PrioritySemaphore, ProviderLimiter
from vgen.redact import redact
from vgen.store.ledger import Ledger
from vgen.store.lock import sign_lock
from vgen.store.outputs import Outputs, clip_name
from vgen.store.records import Choice, Placed, Purchase
from vgen.store.takes import discard

if TYPE_CHECKING:  # a run with nothing to do needs no HTTP and no ffmpeg
    from vgen.media.judge import Judge
    from vgen.production.http import HttpClient


LINE = 200
"""So many shots in line at a provider keep it busy, whatever comes."""
Tell = Callable[[Mapping[str, Any]], None]
"""Shows an event to the person: its `shot` (or None), `event`, `text` and facts."""


@dataclass(slots=True)
class Doing:
    """What is true of a shot that somebody works on; times by the run's own clock."""

    text: str
    since: float
    began: float


@dataclass(slots=True, kw_only=True)
class Batch:
    """One run's shared things. Made by `opened`; `wire` and `judge` are there only if the plan needs them."""

    settings: Settings
    outputs: Outputs
    ledger: Ledger
    run_id: str
    now: Callable[[], float]
    rng: random.Random
    tell: Tell
    http: "HttpClient | None" = None
    judge: "Judge | None" = None
    limiters: dict[str, ProviderLimiter] = field(default_factory=dict)
    slots: PrioritySemaphore = field(default_factory=lambda: PrioritySemaphore(1))
    stop_reason: str | None = None
    detached: set[int] = field(default_factory=set)
    chosen: Mapping[str, Choice] = field(default_factory=dict)
    messages: dict[int, str] = field(default_factory=dict)
    collected: set[int] = field(default_factory=set)
    sent_at: dict[int, float] = field(default_factory=dict)
    doing: dict[int, Doing] = field(default_factory=dict)
    in_place: set[int] = field(default_factory=set)
    generated: int = 0
    reused: int = 0
    resumed: int = 0
    fits_now: set[int] | None = None
    agreed: frozenset[int] | None = None
    wanted: dict[int, str] = field(default_factory=dict)
    """Shot that has not begun → the provider that it will buy from; "" if it needs none."""
    _wanted: Counter[str] = field(default_factory=Counter)
    _begun: dict[Hashable, frozenset[str]] = field(default_factory=dict)
    _lines: dict[str, dict[Hashable, None]] = field(default_factory=dict)
    """Recipe → who has begun with it, in the order of beginning."""
    _waiting: set[int] = field(default_factory=set)
    _changed: trio.Event = field(default_factory=trio.Event)
    started: bool = False
    _capped: bool = False

    def __post_init__(self) -> None:
        self._wanted.update(self.wanted.values())

    def start(self) -> None:
        """The first thing that a working run writes: who it is, and the cap it works under."""
        if not self.started:
            self.started = True
            sign_lock(self.outputs, self.run_id)
            self._sweep_parts()
            self.ledger.start_run(self.run_id, simulated=self.settings.simulated, cap=self.settings.cap)

    def _sweep_parts(self) -> None:
        """Bytes of purchases that came to their end before their part was removed."""
        for part in self.outputs.parts():
            if not part.stem.isdigit() or self.ledger.is_over(int(part.stem)):
                discard(part)

    def limiter(self, name: str) -> ProviderLimiter:
        """The provider's limiter; one that is no longer configured gets one too, to collect from."""
        if name not in self.limiters:
            provider = self.settings.providers.get(name)
            limit = provider.max_concurrent if provider else self.settings.run.max_concurrent
            rate = provider.requests_per_minute if provider else None
            closed = provider.closed if provider else f"{name} is not configured"
            self.limiters[name] = ProviderLimiter(
                name=name, slots=PrioritySemaphore(limit), requests_per_minute=rate, closed=closed
            )
        return self.limiters[name]

    def policy(self, fresh_after: int | None = None) -> Policy:
        """What binds the next decision, as of now."""
        closed = {name: limiter.closed for name, limiter in self.limiters.items() if limiter.closed}
        closed |= {p.name: p.closed for p in self.settings.providers.values() if p.closed}
        return Policy(
            run_id=self.run_id,
            on_uncertain=self.settings.run.on_uncertain,
            closed=closed,
            detached=self.detached,
            fresh_after=fresh_after,
            chosen=self.chosen,
        )

    def crowded(self) -> bool:
        """Whether shots stand in line at every provider that a shot not yet begun wants to buy from."""
        waiting = {name: limiter.slots.waiting for name, limiter in self.limiters.items()}
        return all(waiting.get(name, 0) >= LINE for name, count in self._wanted.items() if count)

    def close_provider(self, name: str, reason: str) -> None:
        """Buy nothing more at a provider; said once, not once per clip."""
        if self.limiter(name).close(reason):
            self.say(None, f"{name} is closed for this run: {reason}", event="closed", provider=name)

    def stop_buying(self, reason: str) -> None:
        """No further purchase in this run; what runs is collected."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._look_again()

    @contextlib.asynccontextmanager
    async def making(self, request: ShotRequest) -> AsyncIterator[None]:
        """Make one shot. Those that share a recipe go one after another: the second finds the first's take."""
        if request.number in self.wanted:
            self._wanted[self.wanted.pop(request.number)] -= 1
        with self.begun(request.number, request.digests()):
            await trio.lowlevel.checkpoint()  # all who start in this tick have begun before the first goes on
            while self._stands_in_line(request.number):
                await self._changed.wait()
            yield

    def _stands_in_line(self, number: int) -> bool:
        """Whether a shot that began earlier has a recipe in common with this one."""
        return any(next(iter(self._lines[digest])) != number for digest in self._begun[number])

    @contextlib.contextmanager
    def begun(self, who: Hashable, digests: Collection[str] = ()) -> Iterator[None]:
        """As long as it lasts, `who` may give money back that others wait for, unless it waits for them."""
        self._begun[who] = frozenset(digests)
        for digest in self._begun[who]:
            self._lines.setdefault(digest, {})[who] = None
        try:
            yield
        finally:
            for digest in self._begun.pop(who):
                del self._lines[digest][who]
                if not self._lines[digest]:
                    del self._lines[digest]
            self._look_again()

    # ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def buying(self) -> Iterator[None]:
        """Round a reservation: when it ends, its money is settled or released, and all who wait try again."""
        try:
            yield
        finally:
            self._waiting.clear()
            self._look_again()

    async def wait_for_money(self, number: int, needed: int) -> None:
        """Wait until money may have come back. Raises ClipFailed if nobody is left who could give any."""
        self._waiting.add(number)
        self._look_again()
        try:
            while number in self._waiting:
                if self.stop_reason:
                    raise ClipFailed(f"not bought: {self.stop_reason}")
                if not self._money_may_come():
                    left = self.ledger.budget(self.settings.simulated, self.settings.cap).left or 0
                    self._say_capped(left)
                    raise ClipFailed(
                        f"not bought: it costs {money.show(needed)} and {money.show(left)} is left; raise budget_usd"
                    )
                await self._changed.wait()
        finally:
            self._waiting.discard(number)

    def _say_capped(self, left: int) -> None:
        """Once a run: the cap keeps shots from being bought."""
        if not self._capped:
            self._capped = True
            self.say(None, f"the budget keeps shots from being bought: {money.show(left)} is left", event="cap")

    def _money_may_come(self) -> bool:
        """Whether somebody is at work who neither waits for money nor stands in line behind one who does."""
        stuck: set[str] = set()
        for who, digests in self._begun.items():
            if who not in self._waiting and stuck.isdisjoint(digests):
                return True
            stuck |= digests
        return False

    def _look_again(self) -> None:
        """Wake those who wait for money, or for a shot of the same recipe."""
        self._changed.set()
        self._changed = trio.Event()

    @contextlib.asynccontextmanager
    async def turn(self, limiter: ProviderLimiter, number: int) -> AsyncIterator[None]:
        """Hold a slot of the limiter and one over all. Who waits for its own limiter stands in nobody else's way."""
        async with limiter.slots.one(number):
            while True:
                await limiter.ready()
                async with self.slots.one(number):
                    if limiter.take():
                        self.begin_doing(number, f"ordering at {limiter.name}")
                        yield
                        return

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, number: int | None, text: str, *, event: str, **facts: Any) -> None:
        """One line for the person, one JSON line for vgen.log; no key passes here."""
        secrets = self.settings.secrets()
        text = redact(text, secrets)
        record = {"at": round(self.now(), 3), "run": self.run_id, "shot": number, "event": event, "text": text, **facts}
        self.tell(record)
        if number is not None:
            self.now_doing(number, text)
        line = redact(json.dumps(record, ensure_ascii=False, default=str), secrets)
        with contextlib.suppress(OSError), self.outputs.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    @contextlib.asynccontextmanager
    async def working(self, number: int) -> AsyncIterator[None]:
        """As long as somebody works on a shot, the screen can show what is true of it."""
        try:
            yield
        finally:
            self.doing.pop(number, None)

    def begin_doing(self, number: int, text: str) -> None:
        """From now on a shot is in flight."""
        now = trio.current_time()
        self.doing.setdefault(number, Doing(text, now, now))
        self.now_doing(number, text)

    def now_doing(self, number: int, text: str) -> None:
        """What is true of a shot in flight from now on; no line is said for it."""
        found = self.doing.get(number)
        if found is not None and found.text != text:
            found.text, found.since = text, trio.current_time()

    # ── where things are ──────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, request: ShotRequest) -> list[Purchase]:
        """All purchases of a shot's recipes, fresh from the ledger."""
        return self.ledger.of_recipes(request.digests(), simulated=self.settings.simulated)

    def provider_of(self, row: Purchase) -> Provider | None:
        """The provider that a purchase was made at, if there is still a key for it."""
        known = self.settings.providers.get(row.provider)
        provider = known or self.settings.unconfigured_provider(row.provider, row.base_url, row.model)
        return provider if provider.key else None


def inspect(
    outputs: Outputs,
    names_: Collection[str],
    placed: Mapping[str, Placed],
    look: Callable[[str, Placed | None], File],
) -> dict[str, File]:
    """Clip name → how its file stands. One stat a clip; `look` judges only files that vgen did not leave so."""
    stats = outputs.clip_stats()
    found: dict[str, File] = {}
    for name in names_:
        row, stat = placed.get(name), stats.get(name)
        if stat is None:
            found[name] = File.MISSING
        elif row is not None and (row.size_bytes, row.mtime_ns) == (stat.size_bytes, stat.mtime_ns):
            found[name] = File.EDITED if row.edited else File.INTACT
        else:
            found[name] = look(name, row)
    return found


def names(requests: Sequence[ShotRequest]) -> dict[int, str]:
    """Shot number → clip name."""
    return {request.number: clip_name(request.number) for request in requests}
