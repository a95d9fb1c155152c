"""Ordering: reserve the price, send the create once, book what was answered. Knows nothing of what comes after."""

from dataclasses import dataclass, field

import trio

from vgen import retry
from vgen.errors import AlreadyBought, ClipFailed, InputError, LedgerError, NoAnswer, NotSent
from vgen.inputs.images import data_uri
from vgen.inputs.settings import Provider
from vgen.money import show
from vgen.plan.decision import Decision
from vgen.plan.request import ShotRequest
from vgen.production import client
from vgen.production.run import Run
from vgen.providers.base import Accepted, Order, RefusalReason, Refused, Unclear
from vgen.providers.codec import TaggedList
from vgen.store.purchase import State, Why
from vgen.store.records import Facts, NewPurchase

CREATE_S = 120.0
"""A create's whole time. Longer than any provider needs to answer; what is later than that is uncertain."""
LONG_PAUSE_S = 300.0


@dataclass(slots=True)
class _Pause:
    """How long this clip waits before its next attempt at a provider."""

    failures: int = 0
    at_least_s: float = 0.0


@dataclass(slots=True)
class Clip:
    """What one clip's run knows besides the ledger."""

    batch: Run
    request: ShotRequest
    fresh_after: int | None = None
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
    batch = clip.batch
    seconds = retry.backoff_s(batch.settings.backoff, pause.failures, batch.rng, at_least_s=pause.at_least_s)
    batch.say(
        clip.number,
        f"{provider}: next attempt in {seconds:.1f} s",
        event="backoff",
        seconds=round(seconds, 3),
    )
    pause.at_least_s = 0.0
    await trio.sleep(seconds)


def reserve(clip: Clip, now: Decision, order: Order, provider: Provider) -> int:
    """Reserve the price. Raises OverBudget."""
    batch = clip.batch
    recipe = clip.request.recipes[provider.name]
    row = NewPurchase(
        run_id=batch.id,
        shot_number=clip.number,
        recipe=recipe.digest,
        manifest=recipe.manifest,
        simulated=batch.settings.simulated,
        provider=provider.name,
        account=provider.account,
        base_url=provider.terms.base_url,
        model=order.model,
        path=order.path,
        request=order.text,
        correlation_seed=str(batch.rng.randrange(1, 1 << 31)),
        bought_s=str(order.bought_s),
        price=order.price,
    )
    supersede = dict(now.supersede)
    if clip.fresh_after is not None:  # the user's word: nothing of before counts any more, refusals included
        supersede |= {
            old.id: Why.AGAIN
            for old in batch.rows(clip.request)
            if old.superseded is None and old.id <= clip.fresh_after and old.id not in supersede
            if old.recipe in clip.request.digests()
        }
    try:
        return batch.ledger.reserve(row, supersede=supersede)
    except AlreadyBought as exc:
        raise ClipFailed("not bought: another purchase of the same recipe stands in the way; see `doit audit`") from exc


def picture(clip: Clip, order: Order, provider: Provider) -> str | None:
    """The picture that will be sent, read once: the one that the recipe names, or ClipFailed before any reservation."""
    if not order.image_field:
        return None
    try:
        return data_uri(clip.batch.settings.root, clip.request.shot.image, clip.request.recipes[provider.name].image)
    except InputError as exc:
        raise ClipFailed(f"not bought: its picture changed after the plan; run again ({exc})") from exc


async def submit(
    clip: Clip, purchase_id: int, order: Order, provider: Provider, attempt: int, image: str | None
) -> bool:
    """Send the create, once; commit what came of it. True if the provider has the job. `image`: see `picture`."""
    batch = clip.batch
    protocol = provider.codec
    if isinstance(protocol.LOST_ORDERS, TaggedList):
        order = protocol.LOST_ORDERS.with_correlation_seed(order, batch.ledger.get(purchase_id).correlation_seed)
    call = protocol.create(order, provider.terms, provider.key or "", image)
    price = f"{show(order.price)} for {order.bought_s} s of {order.model}"
    batch.say(
        clip.number,
        f"{provider.name}: ordering, attempt {attempt}, {price}",
        event="submit",
        price=order.price,
    )
    batch.ledger.move(purchase_id, State.SUBMITTING, submitted_at=batch.now())
    batch.sent_at[purchase_id] = trio.current_time()
    with trio.CancelScope(shield=True):  # between the answer and its commit no cancellation may fall
        try:
            reply = await client.send(batch, call, provider.timeout_s or CREATE_S, provider.name)
        except NotSent as exc:
            batch.ledger.move(purchase_id, State.NOT_SENT, error=str(exc))
            batch.ledger.move(purchase_id, State.RELEASED)
            batch.say(clip.number, f"{provider.name}: not sent: {exc}", event="not_sent")
            return False
        except NoAnswer as exc:
            _uncertain(clip, purchase_id, provider, str(exc))
            return False
        answer = protocol.answer(reply, provider.terms)
        match answer:
            case Accepted():
                return _accepted(clip, purchase_id, provider, order, answer)
            case Refused():
                _refused(clip, purchase_id, provider, answer)
                return False
            case Unclear():
                _uncertain(clip, purchase_id, provider, answer.message)
                return False
    raise AssertionError("BUG: an answer of no kind")


def _accepted(clip: Clip, purchase_id: int, provider: Provider, order: Order, answer: Accepted) -> bool:
    batch = clip.batch
    quoted = max(order.price, answer.quoted or 0)
    try:
        facts: Facts = {"job_id": answer.job.id, "urls": answer.job.urls, "price": quoted}
        batch.ledger.move(purchase_id, State.RENDERING, **(facts | batch.dated(provider.name)))
    except AlreadyBought:
        close = f"it answered with job {answer.job.id}, which belongs to another order"
        _uncertain(clip, purchase_id, provider, close)
        batch.close_provider(provider.name, close)
        return False
    except LedgerError as exc:
        # The one thing that must not be lost: say it where it can be said.
        batch.say(
            clip.number,
            f"BOUGHT at {provider.name} as job {answer.job.id}, but not written down: {exc}",
            event="unwritten",
        )
        batch.stop_buying("the ledger can't be written")
        raise
    batch.say(clip.number, f"{provider.name}: accepted as {answer.job.id}", event="accepted", job=answer.job.id)
    if quoted > order.price:
        reason = f"it quotes {show(quoted)} where the price table says {show(order.price)}; set cost_per_second_usd"
        batch.close_provider(provider.name, reason)
    return True


def _refused(clip: Clip, purchase_id: int, provider: Provider, answer: Refused) -> None:
    batch = clip.batch
    final = answer.reason is RefusalReason.INPUT
    batch.ledger.move(purchase_id, State.REFUSED, error=answer.message, error_code=answer.reason.value, final=final)
    batch.say(clip.number, f"{provider.name}: refused: {answer.message}", event="refused", no=answer.reason.value)
    match answer.reason:
        case RefusalReason.RATE_LIMITED:
            wait_s = answer.retry_after_s or 0.0
            batch.limits.of(provider.name).pause(wait_s)
            clip.pause(provider.name).at_least_s = wait_s
            if wait_s > max(LONG_PAUSE_S, batch.settings.run.clip_timeout_s):
                batch.close_provider(provider.name, f"it asks to wait {wait_s:,.0f} s; run again later")
        case RefusalReason.CREDIT:
            batch.close_provider(provider.name, f"out of credit: {answer.message}")
        case RefusalReason.KEY:
            batch.close_provider(provider.name, f"the key was rejected: {answer.message}")
        case RefusalReason.SETUP:
            batch.close_provider(
                provider.name, f"{provider.terms.base_url} or model {provider.terms.model}: {answer.message}"
            )
        case RefusalReason.SERVER_ERROR | RefusalReason.INPUT:
            pass


def _uncertain(clip: Clip, purchase_id: int, provider: Provider, reason: str) -> None:
    batch = clip.batch
    batch.ledger.move(purchase_id, State.UNCERTAIN, error=reason)
    batch.say(clip.number, f"{provider.name}: UNCERTAIN, perhaps bought: {reason}", event="uncertain")
