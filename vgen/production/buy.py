"""One purchase of a clip: a last look at what may exist already, the reservation, the order, the end of its job."""

import trio

from vgen.errors import ClipFailed, OverBudget
from vgen.inputs.settings import Provider
from vgen.plan import told
from vgen.plan.decision import OVER, Decision
from vgen.production import deliver, order_pictures, poll, reconcile, retaking, submit
from vgen.production.submit import Clip
from vgen.production.uploads import UploadFailed
from vgen.providers.base import Order
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Purchase

STALE_S = 1.0
"""A provider's answer older than this is asked for again before a replacement is bought."""


async def buy(clip: Clip, now: Decision) -> None:
    """One attempt at one provider, from the slot to the end of the job. What came of it is in the ledger."""
    run, offer = clip.run, now.offer
    assert offer is not None, "BUG: a purchase without an offer"
    assert offer.order is not None, "BUG: a purchase without an order"
    order = told.at_told_price(offer.provider, offer.order, run.quotes.told)
    if (approved := run.intent.approved) is not None and clip.number not in approved:
        raise ClipFailed("not bought: the approved plan does not include it; `doit plan` makes a new one")
    decided_at = trio.current_time()
    await submit.back_off(clip, offer.provider)
    run.events.idle(clip.number)
    await run.wait_until_it_fits(clip.number, clip.request.take, order.price)
    provider = run.settings.providers[offer.provider]
    try:
        async with run.limits.acquire(provider.name, run.chain.rank(clip.number), run.quotes.turn(provider, order)):
            if trio.current_time() - decided_at > STALE_S and await found_after_all(clip, now):
                return
            row = await _order(clip, now, order, provider)
            if row is None or row.state is not State.RENDERED:
                run.events.idle(clip.number)
    except OverBudget as exc:
        await run.wait_for_money(clip.number, exc.needed)
        return
    if row is None:
        return
    if row.state is State.RENDERED:
        await deliver.collect_output(run, row, clip.number)
        row = run.ledger.get(row.id)
    if row.state is State.ACCEPTED:
        run.counters.generated += not clip.is_further
    elif row.state in (*OVER, State.UNCERTAIN):
        clip.pause(offer.provider).failures += 1


async def _order(clip: Clip, now: Decision, order: Order, provider: Provider) -> Purchase | None:
    """Reserve, send, wait for the end of the job. None if nothing is ordered here after all.

    Raises OverBudget.
    """
    run = clip.run
    run.events.begin(clip.number, f"ordering at {provider.name}")
    ready = await order_pictures.prepared(run, clip.request, order, provider)
    if order_pictures.has_uploads(ready) and not _is_open(clip, provider):
        return None
    try:
        pictures = await order_pictures.sent(run, clip.request, ready, provider)
    except UploadFailed as exc:
        run.uploads.unable[clip.number, provider.name] = str(exc)
        run.say(clip.number, f"{provider.name}: {exc}", event="not_ordered", provider=provider.name)
        return None
    if order_pictures.has_uploads(ready) and await found_after_all(clip, now):  # an upload may take minutes
        return None
    order = await submit.prepared(run, order, provider)  # before the last checks: meanwhile others may learn of trouble
    if not _is_open(clip, provider):
        return None
    order = told.at_told_price(provider.name, order, run.quotes.told)  # it may have been told while this one waited
    purchase_id = submit.reserve(clip, now, order, provider)
    if order_pictures.has_uploads(ready):
        run.uploads.sent[purchase_id] = pictures
    with run.turns.reservation():
        if await submit.submit(clip, purchase_id, order, provider, now.attempt, pictures):
            quoted = run.ledger.get(purchase_id).price
            run.quotes.learn(provider.name, order, quoted)
            run.quotes.answered(provider, order)
            if quoted <= order.price or not await poll.too_dear(run, purchase_id, clip.number):
                await poll.wait_for(run, purchase_id, clip.number)
        row = run.ledger.get(purchase_id)
    if row.charged_by == "provider":
        run.quotes.learn(provider.name, order, row.charged)
    return row


def _is_open(clip: Clip, provider: Provider) -> bool:
    """Whether the provider sells still. Raises ClipFailed if nothing more is bought at all."""
    run = clip.run
    if provider.name in run.closed:
        return False
    if run.stop_reason:
        raise ClipFailed(f"not bought: {run.stop_reason}")
    if problem := run.somebody_else_answers(provider):
        run.stop_buying(problem)
        raise ClipFailed(f"not bought: {problem}")
    return True


async def found_after_all(clip: Clip, now: Decision) -> bool:
    """Before something is bought in place of what may exist, its provider is asked once more. True: it exists."""
    for old in now.supersede:
        row = clip.run.ledger.get(old)
        if await reconcile.adopt(clip.run, row, clip.request) or await reconcile.ask_again(
            clip.run, row, clip.number, anew=True
        ):
            collect_instead(clip, row)
            return True
    return False


def collect_instead(clip: Clip, row: Purchase) -> None:
    """With -a: what was found at its provider is the new take, and nothing is bought beside it."""
    if clip.fresh_after is not None and clip.run.ledger.get(row.id).state in COLLECTABLE:
        clip.fresh_after = min(clip.fresh_after, row.id - 1)
        retaking.count_as_new(clip.run, clip.number, row)
