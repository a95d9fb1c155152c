"""The batch: what all clips of one run share. Ledger, wire, judge, lanes, budget, log; opened once a run.

Occupancy and money are derived from the ledger's rows; the batch keeps only what dies with the run (who waits, which
lane is closed, what was said).
"""

import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from vgen import money, plan
from vgen.errors import ClipFailed
from vgen.files import Outputs, clip_name, discard, sign_lock
from vgen.lanes import Lane, Slots
from vgen.ledger import Ledger
from vgen.media import Judge
from vgen.plan import File, Wish
from vgen.redact import redact
from vgen.rows import Placed, Purchase
from vgen.settings import Provider, Settings
from vgen.wire import Wire

Tell = Callable[[int | None, str], None]
"""Shows a line to the person: shot number or None, text."""


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
    wire: Wire | None = None
    judge: Judge | None = None
    lanes: dict[str, Lane] = field(default_factory=dict)
    slots: Slots = field(default_factory=lambda: Slots(1))
    stop_reason: str | None = None
    detached: set[int] = field(default_factory=set)
    messages: dict[int, str] = field(default_factory=dict)
    collected: set[int] = field(default_factory=set)
    sent_at: dict[int, float] = field(default_factory=dict)
    generated: int = 0
    reused: int = 0
    resumed: int = 0
    fits_now: set[int] | None = None
    _alone: dict[str, trio.Lock] = field(default_factory=dict)
    _hoping: set[int] = field(default_factory=set)
    _waiting: set[int] = field(default_factory=set)
    _settlements: int = 0
    _changed: trio.Event = field(default_factory=trio.Event)
    started: bool = False

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

    def lane(self, name: str) -> Lane:
        """The provider's lane; one that is no longer configured gets one too, to collect from."""
        if name not in self.lanes:
            provider = self.settings.providers.get(name)
            limit = provider.max_concurrent if provider else self.settings.run.max_concurrent
            rate = provider.requests_per_minute if provider else None
            closed = provider.closed if provider else f"{name} is not configured"
            self.lanes[name] = Lane(name=name, slots=Slots(limit), requests_per_minute=rate, closed=closed)
        return self.lanes[name]

    def rules(self, fresh_after: int | None = None) -> plan.Rules:
        """What binds the next decision, as of now."""
        closed = {name: lane.closed for name, lane in self.lanes.items() if lane.closed}
        closed |= {p.name: p.closed for p in self.settings.providers.values() if p.closed}
        return plan.Rules(
            run_id=self.run_id,
            on_uncertain=self.settings.run.on_uncertain,
            closed=closed,
            detached=self.detached,
            fresh_after=fresh_after,
        )

    def close_lane(self, name: str, reason: str) -> None:
        """Buy nothing more at a provider; said once, not once per clip."""
        if self.lane(name).close(reason):
            self.say(None, f"{name} is closed for this run: {reason}", event="closed", provider=name)

    def stop_buying(self, reason: str) -> None:
        """No further purchase in this run; what runs is collected."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self._look_again()

    @contextlib.asynccontextmanager
    async def alone(self, wish: Wish) -> AsyncIterator[None]:
        """Shots that share a recipe go one after another: the second finds the first's take."""
        async with contextlib.AsyncExitStack() as stack:
            for digest in sorted(wish.digests()):
                await stack.enter_async_context(self._alone.setdefault(digest, trio.Lock()))
            yield

    # ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def hoping(self, number: int) -> Iterator[None]:
        """As long as a shot is being made, it may give money back that others wait for."""
        self._hoping.add(number)
        try:
            yield
        finally:
            self._hoping.discard(number)
            self._look_again()

    @contextlib.contextmanager
    def buying(self) -> Iterator[None]:
        """Round a reservation: when it ends, its money is settled or released."""
        try:
            yield
        finally:
            self._settlements += 1
            self._look_again()

    async def wait_for_money(self, number: int, needed: int) -> None:
        """Wait until money may have come back. Raises ClipFailed if nobody is left who could give any."""
        seen = self._settlements
        for _ in range(5):  # all who began in the same tick have said that they hope
            await trio.lowlevel.checkpoint()
        self._waiting.add(number)
        self._look_again()
        try:
            while self._settlements == seen:
                if self.stop_reason:
                    raise ClipFailed(f"not bought: {self.stop_reason}")
                if not self._hoping - self._waiting:
                    left = self.ledger.budget(self.settings.simulated, self.settings.cap).left or 0
                    raise ClipFailed(
                        f"not bought: it costs {money.show(needed)} and {money.show(left)} is left; raise budget_usd"
                    )
                await self._changed.wait()
        finally:
            self._waiting.discard(number)

    def _look_again(self) -> None:
        """Wake those who wait for money."""
        self._changed.set()
        self._changed = trio.Event()

    @contextlib.asynccontextmanager
    async def turn(self, lane: Lane, number: int) -> AsyncIterator[None]:
        """Hold a slot of the lane and one over all. Who waits for its own lane stands in nobody else's way."""
        async with lane.slots.one(number):
            while True:
                await lane.ready()
                async with self.slots.one(number):
                    if lane.take():
                        yield
                        return

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def say(self, number: int | None, text: str, *, event: str, **facts: Any) -> None:
        """One line for the person, one JSON line for vgen.log; no key passes here."""
        secrets = self.settings.secrets()
        text = redact(text, secrets)
        self.tell(number, text)
        record = {
            "at": round(self.now(), 3),
            "run": self.run_id,
            "shot": number,
            "event": event,
            "text": text,
            **facts,
        }
        line = redact(json.dumps(record, ensure_ascii=False, default=str), secrets)
        with contextlib.suppress(OSError), self.outputs.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    # ── where things are ──────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, wish: Wish) -> list[Purchase]:
        """All purchases of a shot's recipes, fresh from the ledger."""
        return self.ledger.of_recipes(wish.digests(), simulated=self.settings.simulated)

    def provider_of(self, row: Purchase) -> Provider | None:
        """The provider that a purchase was made at, if there is still a key for it."""
        known = self.settings.providers.get(row.provider)
        provider = known or self.settings.stranger(row.provider, row.base_url, row.model)
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


def names(wishes: Sequence[Wish]) -> dict[int, str]:
    """Shot number → clip name."""
    return {wish.number: clip_name(wish.number) for wish in wishes}
