"""Ordering: reserve the price, send the create once, book what was answered. Knows nothing of what comes after."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Unpack

import trio

from vgen import retry
from vgen.errors import AlreadyBought, ClipFailed, LedgerError, NoAnswer, NotSent, WireError
from vgen.inputs.settings import Provider
from vgen.money import show
from vgen.pictures import Pictures
from vgen.plan import told
from vgen.plan.decision import Decision
from vgen.plan.request import ShotRequest
from vgen.production import booking, client
from vgen.production.events import Phase
from vgen.production.run import Run
from vgen.providers.base import Accepted, Call, Order, RefusalReason, Refused, Unclear
from vgen.providers.codec import QuoteCall, Replay
from vgen.store import receipts
from vgen.store.order_slips import Slip
from vgen.store.purchase import State, Why
from vgen.store.records import Facts, NewPurchase, Purchase

CREATE_S = 120.0
"""A create's whole time. Longer than any provider needs to answer; what is later than that is uncertain."""


@dataclass(slots=True)
class _Pause:
    """How long this clip waits before its next attempt at a provider."""

    failures: int = 0
    at_least_s: float = 0.0


@dataclass(slots=True)
class Clip:
    """What one clip's run knows besides the ledger."""

    run: Run
    request: ShotRequest
    fresh_after: int | None = None
    is_further: bool = False
    """Whether this is for one of the takes wanted beside the clip's."""
    pauses: dict[str, _Pause] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.request.number

    def pause(self, provider: str) -> _Pause:
        return self.pauses.setdefault(provider, _Pause())


async def back_off(clip: Clip, provider: str) -> None:
    """Back off before another attempt at the same provider, holding nothing."""
    pause = clip.pause(provider)
    if not pause.failures:
        return
    run = clip.run
    seconds = retry.backoff_s(run.settings.backoff, pause.failures, run.rng, at_least_s=pause.at_least_s)
    run.say(
        clip.number,
        f"{provider}: next attempt in {seconds:.1f} s",
        event="backoff",
        seconds=round(seconds, 3),
    )
    run.events.doing(clip.number, f"retry at {provider} soon", Phase.WAITING)
    pause.at_least_s = 0.0
    await trio.sleep(seconds)


def reserve(clip: Clip, now: Decision, order: Order, provider: Provider) -> int:
    """Reserve the price. Raises OverBudget."""
    run = clip.run
    recipe = clip.request.recipes[provider.name]
    row = NewPurchase(
        run_id=run.id,
        shot_number=clip.number,
        recipe=recipe.digest,
        manifest=recipe.manifest,
        simulated=run.settings.simulated,
        provider=provider.name,
        account=provider.account,
        base_url=provider.terms.base_url,
        model=order.model,
        path=order.path,
        request=order.text,
        correlation_seed=str(run.rng.randrange(1, 1 << 31)),
        bought_s=str(order.bought_s),
        price=order.price,
    )
    supersede = dict(now.supersede)
    if clip.fresh_after is not None:  # the user's word: nothing of before counts any more, refusals included
        supersede |= {
            old.id: Why.AGAIN
            for old in run.rows(clip.request)
            if old.superseded is None and old.id <= clip.fresh_after and old.id not in supersede
            if old.recipe in clip.request.digests()
        }
    try:
        return run.ledger.reserve(row, supersede=supersede)
    except AlreadyBought as exc:
        raise ClipFailed("not bought: another purchase of the same recipe stands in the way; see `doit audit`") from exc


async def prepared(run: Run, order: Order, provider: Provider) -> Order:
    """Ask what must be known before the order: the clock of who recognises a repeat, and what it costs there.

    Returns the order at the price that its provider quotes, if that is more; asked once a kind and run.
    """
    quote = provider.codec.QUOTE
    if quote is not None:
        order = await _quoted(run, order, provider, quote)
    if isinstance(provider.codec.LOST_ORDERS, Replay):  # killed before an answer, nobody would know how old it is
        await client.hear_the_clock(run, provider, order.model)
    return order


async def _quoted(run: Run, order: Order, provider: Provider, quote: QuoteCall) -> Order:

    async def ask() -> int | None:
        try:
            call = quote.ask(order, provider.terms.base_url)
            return quote.quoted(await client.send(run, call, client.ASK_S, provider.name))
        except WireError:
            return None

    await run.quotes.once(provider.name, order, ask)
    return told.at_told_price(provider.name, order, run.quotes.told)


async def submit(
    clip: Clip, purchase_id: int, order: Order, provider: Provider, attempt: int, sent: Pictures[str]
) -> bool:
    """Send the create, once; commit what came of it. True if the provider has the job. `sent`: see order_pictures.

    Raises LedgerError, LedgerBusy if the order or its answer could not be written down: nothing was sent.
    """
    run = clip.run
    protocol = provider.codec
    row = run.ledger.get(purchase_id)
    call = protocol.create(order, provider.terms, provider.key or "", sent, row.tag)
    slip = await _written_down(run, purchase_id, provider)
    try:
        priced = f"{show(order.price)} for {order.bought_s} s of {order.model}"
        run.say(
            clip.number,
            f"{provider.name}: ordering, attempt {attempt}, {priced}",
            event="submit",
            price=order.price,
            logged={"order": receipts.logged_order(row, run.ledger.identity)},
        )
        run.sent_at[purchase_id] = trio.current_time()
        return await _send(Sent(clip, row, provider, slip), call, order)
    finally:
        slip.release()


async def _written_down(run: Run, purchase_id: int, provider: Provider) -> Slip:
    """Have a place for the answer, and the order in the ledger. Raises LedgerError: then nothing must be sent."""
    slip = None
    facts = Facts(submitted_at=run.now())
    if isinstance(provider.codec.LOST_ORDERS, Replay):  # if it is killed now: how old a repeat may be at most
        facts |= run.clocks.dated(provider.name)
    try:
        slip = await booking.when_free(run, run.slips.hold)
        await booking.when_free(run, lambda: run.ledger.move(purchase_id, State.SUBMITTING, **facts))
    except BaseException:
        if slip is not None:
            slip.release()
        with contextlib.suppress(LedgerError):  # else the next run releases it
            run.ledger.move(purchase_id, State.RELEASED, error="it could not be written down, so it was not sent")
        raise
    return slip


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that was sent: how what came of it is written down and told."""

    clip: Clip
    row: Purchase
    provider: Provider
    slip: Slip

    async def book(self, *moves: State, what: str, **facts: Unpack[Facts]) -> None:
        await booking.answered(self.clip.run, self.slip, self.row, moves, facts, f"{self.provider.name}: {what}")

    def say(self, text: str, *, event: str, logged: Mapping[str, Any] | None = None, **facts: Any) -> None:
        key = {"id": self.row.id, "ledger": self.clip.run.ledger.identity}
        told = {"order": {**key, **(logged or {})}}
        self.clip.run.say(self.clip.number, f"{self.provider.name}: {text}", event=event, logged=told, **facts)

    async def not_sent(self, reason: str) -> None:
        await self.book(State.NOT_SENT, State.RELEASED, what="the order was not sent", error=reason)
        self.say(f"not sent: {reason}", event="not_sent")

    async def uncertain(self, reason: str) -> None:
        facts = Facts(error=reason)
        facts |= self.clip.run.clocks.dated(self.provider.name)
        await self.book(State.UNCERTAIN, what="an order may or may not have arrived", **facts)
        self.say(f"UNCERTAIN, you may have been charged {show(self.row.price)}: {reason}", event="uncertain")


async def _send(sent: Sent, call: Call, order: Order) -> bool:
    provider, accepted = sent.provider, False
    with trio.CancelScope(shield=True):  # between the answer and its commit no cancellation may fall
        try:
            reply = await client.send(sent.clip.run, call, provider.timeout_s or CREATE_S, provider.name)
        except NotSent as exc:
            await sent.not_sent(str(exc))
        except NoAnswer as exc:
            await sent.uncertain(str(exc))
        else:
            accepted = await _answered(sent, provider.codec.answer(reply, provider.terms), order)
    return accepted


async def _answered(sent: Sent, answer: Accepted | Refused | Unclear, order: Order) -> bool:
    match answer:
        case Accepted():
            return await _accepted(sent, order, answer)
        case Refused() if answer.reason is RefusalReason.DUPLICATE:
            await sent.uncertain(answer.message)
        case Refused():
            final = answer.reason is RefusalReason.INPUT
            facts = Facts(error=answer.message, error_code=answer.reason.value, final=final)
            await sent.book(State.REFUSED, what="the order was refused", **facts)
            job: dict[str, Any] = {"job": answer.job.id} if answer.job else {}
            sent.say(f"refused: {answer.message}", event="refused", no=answer.reason.value, **job)
            _refused(sent.clip, sent.provider, answer)
        case Unclear():
            await sent.uncertain(answer.message)
    return False


async def _accepted(sent: Sent, order: Order, answer: Accepted) -> bool:
    run, provider, job = sent.clip.run, sent.provider, answer.job
    quoted = max(order.price, answer.quoted or 0)
    try:
        facts = Facts(job_id=job.id, urls=job.urls, price=quoted)
        facts |= run.clocks.dated(provider.name)
        await sent.book(State.RENDERING, what=f"BOUGHT as job {job.id}", **facts)
    except AlreadyBought:
        close = f"it answered with job {job.id}, which belongs to another order"
        await sent.uncertain(close)
        run.close_provider(provider.name, close)
        return False
    kept = {"job_id": job.id, "urls": dict(job.urls), "price": quoted}
    sent.say(f"accepted as {job.id}", event="accepted", job=job.id, logged=kept)
    run.events.doing(sent.clip.number, f"ordered at {provider.name}")
    if quoted > order.price:
        reason = f"it quotes {show(quoted)} where the price table says {show(order.price)}; set cost_per_second_usd"
        run.close_provider(provider.name, reason)
    return True


def _refused(clip: Clip, provider: Provider, answer: Refused) -> None:
    run = clip.run
    match answer.reason:
        case RefusalReason.RATE_LIMITED:
            wait_s = answer.retry_after_s or 0.0
            run.limits.of(provider.name).pause(wait_s)
            clip.pause(provider.name).at_least_s = wait_s
            client.close_if_long(run, provider.name, wait_s)
        case RefusalReason.CREDIT:
            run.close_provider(provider.name, f"out of credit: {answer.message}")
        case RefusalReason.KEY:
            run.close_provider(provider.name, f"the key was rejected: {answer.message}")
        case RefusalReason.SETUP:
            run.close_provider(
                provider.name, f"{provider.terms.base_url} or model {provider.terms.model}: {answer.message}"
            )
        case RefusalReason.SERVER_ERROR | RefusalReason.INPUT | RefusalReason.DUPLICATE:
            pass
