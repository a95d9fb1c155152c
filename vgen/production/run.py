"""One run: what all its shots share, from the first look to the last report. Ledger, HTTP, judge, limits, counters.

A `Run` lasts for a whole command. `open` gives it an open ledger, and what waits by trio's clock (limits, queue) anew.
Occupancy and money are derived from the ledger's rows; a run keeps only what ends with it.
"""

import contextlib
import uuid
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import trio

from vgen import money
from vgen.errors import ClipFailed, LedgerError, Refusal
from vgen.inputs.settings import Provider, Settings
from vgen.plan.decision import Policy
from vgen.plan.request import ShotRequest
from vgen.production import retaking, sweep, world
from vgen.production.chain import Chain
from vgen.production.clocks import ProviderClocks
from vgen.production.events import Events
from vgen.production.intent import Counters, Intent, Online
from vgen.production.limits import Limits, PrioritySemaphore, ProviderLimiter
from vgen.production.queue import PurchaseQueue
from vgen.production.quotes import Quotes
from vgen.production.told_prices import was_answered
from vgen.production.turns import Turns
from vgen.production.uploaded import Uploads
from vgen.store import database
from vgen.store.ledger import Ledger
from vgen.store.lock import sign_lock
from vgen.store.order_slips import OrderSlips
from vgen.store.outputs import Outputs
from vgen.store.records import Choice, Purchase, Retake

if TYPE_CHECKING:  # a run with nothing to do needs no HTTP and no ffmpeg
    from vgen.media.hands import Elsewhere, Hands
    from vgen.production.http import HttpClient
    from vgen.production.services import Services


class Run:
    """One run of one command. Between two `open` it keeps what it learnt: closed providers, messages, counts."""

    def __init__(self, settings: Settings, outputs: Outputs, services: "Services") -> None:
        self.settings, self.outputs, self.services = settings, outputs, services
        self.now, self.rng = services.now, services.rng
        self.id = uuid.uuid4().hex[:12]
        self.started_at = services.now()
        self.events = Events(
            run_id=self.id, now=services.now, tell=services.tell, log=outputs.log, secrets=settings.secrets()
        )
        self.say = self.events.say
        self.began = False
        """Whether it was ever open."""
        self.started = False
        """Whether it wrote anything."""
        self.stop_reason: str | None = None
        self.closed: dict[str, str] = {p.name: p.closed for p in settings.providers.values() if p.closed}
        """Provider → why nothing more is bought there in this run."""
        self.detached: set[int] = set()
        """Purchases that are left at their provider until the next run."""
        self.asked_again: set[int] = set()
        """Lost purchases that were asked about once more in this run."""
        self.messages: dict[int, str] = {}
        """Shot → why it has no clip of this run."""
        self.collected: set[int] = set()
        self.counters = Counters()
        self.retakes: dict[int, Retake] | None = None
        """Shot → the new take that was asked for with -a; None before that is written down."""
        self.chain = Chain()
        self.elsewhere: Elsewhere | None = None  # other machines for the work on clips' bytes
        self._capped = False
        self._asked: dict[str, str] = {}
        self._open: _Open | None = None

    # ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def open(self, intent: Intent) -> AsyncIterator["Run"]:
        """Open the ledger, and unless `intent` says otherwise the way to the providers, for the tasks inside."""
        patience_s = database.BUSY_IN_A_RUN_S if intent.online else database.BUSY_S
        opened = Ledger(self.outputs.ledger, now=self.services.now, read_only=intent.read_only, patience_s=patience_s)
        with contextlib.closing(opened) as ledger:
            self.began, self._open, self.chain = True, _Open(self, ledger, intent), Chain(intent)
            try:
                async with contextlib.AsyncExitStack() as stack:
                    if intent.online:
                        self._open.online = await stack.enter_async_context(_online(self, intent))
                        stack.callback(setattr, self._open, "online", None)
                        await stack.enter_async_context(self.services.watching(self))
                    yield self
            finally:
                if self.started:
                    # a full disk, or a ledger that somebody has open: only the run's end is not written down
                    with contextlib.suppress(LedgerError, Refusal), database.refusing(self.outputs.ledger):
                        ledger.finish_run(self.id, forget=retaking.over(self))
                self._open.slips.close()
                self._open = None

    @property
    def _opened(self) -> "_Open":
        assert self._open is not None, "BUG: a run that is not open"
        return self._open

    @property
    def is_open(self) -> bool:
        """Whether the ledger is open."""
        return self._open is not None

    @property
    def ledger(self) -> Ledger:
        return self._opened.ledger

    @property
    def is_online(self) -> bool:
        """Whether the providers can be asked."""
        return self._opened.online is not None

    @property
    def http(self) -> "HttpClient":
        assert self._opened.online is not None, "BUG: a run that is not online"
        return self._opened.online.http

    @property
    def hands(self) -> "Hands":
        """Who works on clips' bytes."""
        return self._opened.hands()

    @property
    def limits(self) -> Limits:
        return self._opened.limits

    @property
    def turns(self) -> Turns:
        return self._opened.turns

    @property
    def sent_at(self) -> dict[int, float]:
        """Purchase → when its order was sent, by trio's clock."""
        return self._opened.sent_at

    @property
    def clocks(self) -> ProviderClocks:
        """What the providers' clocks say."""
        return self._opened.clocks

    @property
    def quotes(self) -> Quotes:
        """What is known of prices."""
        return self._opened.quotes

    @property
    def uploads(self) -> Uploads:
        """What was uploaded to the providers' storage."""
        return self._opened.uploads

    @property
    def slips(self) -> OrderSlips:
        """Where answers are kept that the ledger can't take."""
        return self._opened.slips

    @property
    def ledger_turn(self) -> trio.Lock:
        """Held by the one who tries to write a ledger that is busy."""
        return self._opened.ledger_turn

    @property
    def intent(self) -> Intent:
        """What this run means to do."""
        return self._opened.intent

    @property
    def over(self) -> set[int]:
        """Of the wanted shots: those whose clip is in place, and those that were given up."""
        return self._opened.over

    def tally(self, number: int) -> dict[str, Any]:
        """Count a shot as over: how many are, of how many. Nothing if this run builds no clips (`pick`)."""
        if counts := number in self.intent.wanted and bool(self.intent.not_started):
            self.over.add(number)
        return {"finished": len(self.over), "total": len(self.intent.wanted)} if counts else {}

    def start(self) -> None:
        """The first thing that a working run writes: who it is, the cap it works under, and what -a asks of it."""
        if not self.started:
            sign_lock(self.outputs, self.id)
            sweep.sweep(self)
            self.ledger.start_run(self.id, simulated=self.settings.simulated, cap=self.settings.cap)
            self.started = True
        if self.retakes is None and self.intent.again:
            self.retakes = retaking.ask(self)

    # ── what may be bought ────────────────────────────────────────────────────────────────────────────────────────

    def policy(self, fresh_after: int | None = None) -> Policy:
        """What binds the next decision, as of now."""
        return Policy(
            run_id=self.id,
            on_uncertain=self.settings.run.on_uncertain,
            closed=self.closed,
            unable=self.uploads.unable if self._open else {},
            detached=self.detached,
            fresh_after=fresh_after,
            chosen=self.chosen if self._open else {},
            locked=self.intent.locked if self._open else {},
        )

    def somebody_else_answers(self, provider: Provider) -> str:
        """Why nothing may be bought at a provider of this machine, asked once before its first order; "" if it may."""
        if provider.name not in self._asked:
            self._asked[provider.name] = world.has_changed(self.settings, provider, self.services.who_answers)
        return self._asked[provider.name]

    def close_provider(self, name: str, reason: str) -> None:
        """Buy nothing more at a provider; said once, not once per clip."""
        if name not in self.closed:
            self.closed[name] = reason
            self.say(None, f"{name} is closed for this run: {reason}", event="closed", provider=name)

    def stop_buying(self, reason: str) -> None:
        """No further purchase in this run; what runs is collected."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self.turns.look_again()

    @contextlib.contextmanager
    def without_buying(self, reason: str) -> Iterator[None]:
        """Free work only, while it lasts."""
        before, self.stop_reason = self.stop_reason, self.stop_reason or reason
        try:
            yield
        finally:
            self.stop_reason = before

    async def wait_for_money(self, number: int, needed: int) -> None:
        """Wait until money may have come back. Raises ClipFailed if nobody is left who could give any."""
        self.events.idle(number)
        if not await self.turns.money(number):
            now = self.ledger.budget(self.settings.simulated, self.settings.cap).left or 0
            if now >= needed:  # it came back before this one began to wait, as for a shot that is made from another's
                return
            left = money.show(now)
            if not self._capped:
                self._capped = True
                self.say(None, f"budget reached: {left} is left", event="cap")
            raise ClipFailed(f"not bought: it costs {money.show(needed)} and {left} is left; raise budget_usd")

    async def wait_until_it_fits(self, number: int, take: int, price: int) -> None:
        """With partial=yes: a take of a shot that does not fit what is left waits for money that may come back."""
        fits = self._opened.fits
        if fits is not None and (number, take) not in fits:
            await self.wait_for_money(number, price)
            fits.add((number, take))

    def saturated(self) -> bool:
        """Whether every provider that a shot not yet started will buy from has a long queue."""
        return self.is_online and self.turns.queue.saturated(self.limits.queued())

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def chosen(self) -> Mapping[str, Choice]:
        """Recipe → the user's word which take serves it."""
        return self._opened.chosen

    def choose(self, recipe: str, purchase_id: int, *, instead_of: Collection[str]) -> None:
        """Write down the user's word which take serves a recipe."""
        simulated = self.settings.simulated
        settles = retaking.settled_by(self, frozenset(instead_of))
        self.ledger.choose(recipe, purchase_id, instead_of=instead_of, simulated=simulated, settles=settles)
        self._opened.chosen = self.ledger.chosen(simulated=simulated)

    def rows(self, request: ShotRequest) -> list[Purchase]:
        """All purchases of a shot's recipes, and the one that it is locked to, fresh from the ledger."""
        locked = self.intent.locked.get(request.number)
        return self.ledger.of_recipes(request.all_digests(), simulated=self.settings.simulated, also=locked)

    def provider_of(self, row: Purchase) -> Provider | None:
        """The provider that a purchase was made at, if there is still a key for it."""
        provider = self.settings.seller(row.provider, row.base_url, row.model)
        return provider if provider.key else None

    def moved_to(self, row: Purchase) -> Provider | None:
        """Where the provider of a purchase is now, if that is elsewhere, speaks the same protocol, and has a key."""
        settings, known = self.settings, self.settings.providers.get(row.provider)
        if known is None or not known.key or settings.simulated or known.terms.base_url == row.base_url:
            return None
        return known if known.protocol == settings.protocol_of(row.provider, row.base_url) else None


@contextlib.asynccontextmanager
async def _online(run: Run, intent: Intent) -> AsyncIterator[Online]:
    """The way to the providers; and to other machines, if there are some: those can't reach providers in memory."""
    if run.elsewhere is not None:
        await run.elsewhere.ready()
    async with run.services.online(run, intent.requests) as online:
        yield online.spread(run.elsewhere, brings=not run.settings.in_process)


class _Open:
    """What an open run has: its ledger, and all that waits by trio's clock."""

    def __init__(self, run: Run, ledger: Ledger, intent: Intent) -> None:
        settings = run.settings
        self.ledger, self.intent = ledger, intent
        self.online: Online | None = None
        self.over = set(intent.done & intent.wanted)
        self.chosen: Mapping[str, Choice] = ledger.chosen(simulated=settings.simulated)
        self.turns = Turns(PurchaseQueue(dict(intent.not_started)), lambda: run.stop_reason)
        self.limits = Limits(PrioritySemaphore(settings.run.max_concurrent), lambda name: _limiter(settings, name))
        self.fits = None if intent.fits is None else set(intent.fits)
        self.sent_at: dict[int, float] = {}
        self.clocks = ProviderClocks(run.services.now)
        simulated = settings.simulated
        self.quotes = Quotes(lambda name, order: was_answered(name, order, ledger, simulated=simulated))
        self.uploads = Uploads()
        self.slips = OrderSlips(run.outputs.slips)
        self.ledger_turn = trio.Lock()

    def hands(self) -> "Hands":
        """A run that is not online only copies."""
        if self.online is not None:
            return self.online.hands()
        from vgen.media.here import Here

        return Here()


def _limiter(settings: Settings, name: str) -> ProviderLimiter:
    """A provider's limiter; one that is no longer configured gets one too, to collect from."""
    provider = settings.providers.get(name)
    limit = provider.max_concurrent if provider else settings.run.max_concurrent
    rate = provider.requests_per_minute if provider else None
    return ProviderLimiter(name=name, slots=PrioritySemaphore(limit), requests_per_minute=rate)
