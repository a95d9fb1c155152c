"""One clip's life: decide → reserve → submit → wait → bring home → put in place. Knows nothing of doit.

Approach: ask `decision` what is next, do that one thing, commit it, ask again. All that was learnt is in the ledger,
so a run that is killed anywhere simply asks again. ExceptionGroups stop here: out come None or ClipFailed.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import trio

from vgen.errors import ClipFailed, LedgerBusy, LedgerError, OverBudget, Refusal
from vgen.inputs.settings import Provider
from vgen.money import show
from vgen.plan import told
from vgen.plan.decision import OVER, Action, Decision, File, decide
from vgen.plan.plan import Step
from vgen.plan.request import ShotRequest
from vgen.production import booking, deliver, poll, reconcile, submit
from vgen.production.clip_files import is_as_seen
from vgen.production.offload import off_loop
from vgen.production.run import Run
from vgen.production.submit import Clip
from vgen.providers.base import Order
from vgen.store import atomic
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Placed, Purchase, Take
from vgen.store.takes import make_read_only, place_clip

STALE_S = 1.0
"""A provider's answer older than this is asked for again before a replacement is bought."""


async def make(batch: Run, request: ShotRequest, file: File, *, again: bool = False) -> None:
    """See to it that the shot's clip lies in its place. `again`: with a new take. Raises ClipFailed."""
    try:
        await booking.when_free(batch, batch.start)
        async with batch.turns.exclusive(request.number, request.digests()):
            with batch.events.working(request.number):
                clip = Clip(batch, request, _fresh_after(batch, request) if again else None)
                await _until_done(clip, file, forced=again)
    except ClipFailed as exc:
        batch.messages[request.number] = str(exc)
        batch.say(request.number, str(exc), event="failed")
        raise
    except (LedgerError, Refusal, OSError) as exc:
        batch.stop_buying(str(exc))
        batch.messages[request.number] = str(exc)
        batch.say(request.number, str(exc), event="failed")
        raise ClipFailed(str(exc)) from exc


async def free_work(batch: Run, steps: Sequence[Step], orphans: Sequence[Purchase]) -> None:
    """What costs nothing: takes put back, running jobs collected. What can't be now, can be next time."""
    async with trio.open_nursery() as nursery:
        for step in steps:
            nursery.start_soon(_if_it_can, batch, step)
        if orphans:
            nursery.start_soon(collect_all, batch, orphans)


async def _if_it_can(batch: Run, step: Step) -> None:
    with contextlib.suppress(ClipFailed):
        await make(batch, step.request, step.file)


async def collect_all(batch: Run, rows: Sequence[Purchase]) -> None:
    """Bring home jobs that no shot wants any more; their takes are kept. What can't be now, can be next time."""
    with contextlib.ExitStack() as stack:
        for row in rows:
            stack.enter_context(batch.turns.active(row.job_id))
        async with trio.open_nursery() as nursery:
            for row in rows:
                nursery.start_soon(_collect_orphan, batch, row)


async def _collect_orphan(batch: Run, row: Purchase) -> None:
    what = f"job {row.job_id} at {row.provider}, of an earlier list"
    try:
        await booking.when_free(batch, batch.start)
        batch.say(None, f"collecting {what}", event="collect", job=row.job_id)
        await _collect(batch, row, row.shot_number)
    except (ClipFailed, LedgerError, OSError) as exc:
        batch.say(None, f"{what}: {exc}", event="not_collected", job=row.job_id)


def _fresh_after(batch: Run, request: ShotRequest) -> int | None:
    """With -a: the newest purchase that counts no more. A live job is collected instead of buying beside it."""
    rows = batch.rows(request)
    if any(row.state in COLLECTABLE and request.matches(row) for row in rows):
        return None
    chosen = [batch.chosen[digest].newest for digest in request.digests() & batch.chosen.keys()]
    return max([*(row.id for row in rows), *chosen], default=0)


async def _until_done(clip: Clip, file: File, *, forced: bool) -> None:
    batch, request = clip.batch, clip.request
    name = clip_name(request.number)
    while True:
        try:
            if file is File.EDITED and not forced and _is_settled(clip, name):
                return
            if await _step(clip, file, name):
                return
        except LedgerBusy as exc:  # what was learnt is in the ledger: wait, and ask again
            await booking.pause(batch, exc)


def _is_settled(clip: Clip, name: str) -> bool:
    """Of a shot whose clip was edited: whether the edit is of its own take; False if a paid job is to be collected.

    Raises ClipFailed if there is no more to do for the shot: the edit is kept.
    """
    batch, request = clip.batch, clip.request
    placed = batch.ledger.placed(name)
    now = decide(request, batch.rows(request), batch.policy(), placed)
    if now.action is Action.COLLECT:
        return False
    take = batch.ledger.take_of(now.row.id) if now.action is Action.KEEP and now.row else None
    if take and placed and take.purchase_id == placed.purchase_id:
        return True
    more = f"`doit -a clip:{request.number}` replaces it with a new take"
    if take:
        more = f"its take is {take.path}. Move the file elsewhere and run again to put it in place, free; {more}"
    elif now.row is not None:  # it is held, or can't be collected now
        more = now.why
    raise ClipFailed(f"{name} was edited by hand or is not vgen's, and is kept; {more}")


async def _step(clip: Clip, file: File, name: str) -> bool:
    """One act for the shot; True when its clip is in place. Raises ClipFailed if there will be none."""
    batch, request = clip.batch, clip.request
    now = decide(request, batch.rows(request), batch.policy(clip.fresh_after), batch.ledger.placed(name))
    match now.action:
        case Action.KEEP:
            await _keep(clip, now, name, file)
            return True
        case Action.COLLECT if now.row is not None:
            text = f"collecting the running job at {now.row.provider}"
            batch.say(request.number, text, event="resume", job=now.row.job_id)
            batch.events.begin(request.number, f"collecting from {now.row.provider}")
            await _collect(batch, now.row, request.number)
        case Action.BUY:
            if not await _found_after_all(clip, now):
                await _buy(clip, now)
        case Action.HELD if now.row is not None and await reconcile.adopt(batch, now.row, request.number):
            pass
        case Action.STOP if now.row is not None and await reconcile.ask_again(batch, now.row, request.number):
            pass
        case _:
            raise ClipFailed(now.why)
    return False


async def _found_after_all(clip: Clip, now: Decision) -> bool:
    """Before something is bought in place of what may exist, its provider is asked once more. True: it exists."""
    for old in now.supersede:
        row = clip.batch.ledger.get(old)
        if await reconcile.adopt(clip.batch, row, clip.number) or await reconcile.ask_again(
            clip.batch, row, clip.number, anew=True
        ):
            clip.fresh_after = None  # collected instead of bought, as a live job is
            return True
    return False


async def _keep(clip: Clip, now: Decision, name: str, file: File) -> None:
    """The shot has a good take: put it under the clip's name unless it lies there."""
    batch = clip.batch
    assert now.row is not None, "BUG: nothing to keep"
    placed = batch.ledger.placed(name)
    if placed and placed.purchase_id == now.row.id and file is File.INTACT:
        batch.counters.reused += 1
        return
    take = batch.ledger.take_of(now.row.id)
    assert take is not None, "BUG: an accepted purchase without a take"
    await place_take(batch, take, clip.number)
    size = f"{take.width}x{take.height}, {take.duration_s or 0:.1f} s"
    what = f"take {take.take} at {now.row.provider} for {show(now.row.charged)}, {size}"
    facts: dict[str, Any] = {"take": take.take, "job": now.row.job_id, "charged": now.row.charged}
    if now.row.run_id == batch.id:
        batch.say(clip.number, f"ready: {what}", event="ready", **facts)
    elif now.row.id in batch.collected:
        batch.counters.resumed += 1
        batch.say(clip.number, f"ready: {what}, bought by an earlier run", event="ready", **facts)
    else:
        batch.counters.reused += 1
        batch.say(clip.number, f"ready: take {take.take} was here already, no cost", event="restored", take=take.take)


async def place_take(batch: Run, take: Take, number: int) -> None:
    """Copy a take under the clip's name and remember it.

    Raises ClipFailed if the take is gone, or if somebody has touched the clip's file since the plan.
    """
    master = batch.outputs.root / take.path
    if not master.exists() or await off_loop(take.size_bytes, atomic.sha256, master) != take.sha256:
        await _bring_back(batch, take, number)
    clip = batch.outputs.clip(number)
    seen, placed = batch.intent.seen.get(clip.name), batch.ledger.placed(clip.name)

    def is_untouched() -> bool:
        return is_as_seen(batch.outputs, clip.name, seen, placed, take)

    stat = await off_loop(take.size_bytes, place_clip, master, clip, is_untouched)
    if stat is None:
        raise ClipFailed(
            f"{clip.name} was edited by hand while vgen worked, and is kept; the new take is {take.path}. Move the "
            f"edit elsewhere and run again to put it in place, free; `doit -a clip:{number}` replaces the edit"
        )
    batch.in_place.add(number)
    batch.ledger.place(
        Placed(
            name=clip.name,
            shot_number=number,
            purchase_id=take.purchase_id,
            sha256=take.sha256,
            size_bytes=stat.size_bytes,
            mtime_ns=stat.mtime_ns,
        )
    )


async def _bring_back(batch: Run, take: Take, number: int) -> None:
    """The master was deleted or damaged: take it from a clip that still holds it. Raises ClipFailed."""
    master = batch.outputs.root / take.path
    what = "damaged" if master.exists() else "deleted"
    for clip in batch.outputs.clips.glob("*.mp4"):
        if clip.stat().st_size == take.size_bytes and atomic.sha256(clip) == take.sha256:
            place_clip(clip, master)
            make_read_only(master)
            return
    raise ClipFailed(f"its take {take.path} was {what}; put it back, or buy a new one with `doit -a clip:{number}`")


# ── buying ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _buy(clip: Clip, now: Decision) -> None:
    """One attempt at one provider, from the slot to the end of the job. What came of it is in the ledger."""
    batch, offer = clip.batch, now.offer
    assert offer is not None, "BUG: a purchase without an offer"
    assert offer.order is not None, "BUG: a purchase without an order"
    order = told.at_told_price(offer.provider, offer.order, batch.quotes.told)
    if (approved := batch.intent.approved) is not None and clip.number not in approved:
        raise ClipFailed("not bought: the approved plan does not include it; `doit plan` makes a new one")
    decided_at = trio.current_time()
    await submit.back_off(clip, offer.provider)
    await batch.wait_until_it_fits(clip.number, order.price)
    provider = batch.settings.providers[offer.provider]
    try:
        async with batch.limits.acquire(provider.name, clip.number, batch.quotes.turn(provider, order)):
            if trio.current_time() - decided_at > STALE_S and await _found_after_all(clip, now):
                return
            row = await _order(clip, now, order, provider)
    except OverBudget as exc:
        await batch.wait_for_money(clip.number, exc.needed)
        return
    if row is None:
        return
    if row.state is State.RENDERED:
        await deliver.collect_output(batch, row, clip.number)
        row = batch.ledger.get(row.id)
    if row.state is State.ACCEPTED:
        batch.counters.generated += 1
    elif row.state in (*OVER, State.UNCERTAIN):
        clip.pause(offer.provider).failures += 1


async def _order(clip: Clip, now: Decision, order: Order, provider: Provider) -> Purchase | None:
    """Reserve, send, wait for the end of the job. None if the provider was closed meanwhile. Raises OverBudget."""
    batch = clip.batch
    batch.events.begin(clip.number, f"ordering at {provider.name}")
    if provider.name in batch.closed:
        return None
    if batch.stop_reason:
        raise ClipFailed(f"not bought: {batch.stop_reason}")
    if problem := batch.somebody_else_answers(provider):
        batch.stop_buying(problem)
        raise ClipFailed(f"not bought: {problem}")
    order = told.at_told_price(provider.name, order, batch.quotes.told)  # it may have been told while this one waited
    image = submit.picture(clip, order, provider)
    purchase_id = submit.reserve(clip, now, order, provider)
    with batch.turns.reservation():
        if await submit.submit(clip, purchase_id, order, provider, now.attempt, image):
            quoted = batch.ledger.get(purchase_id).price
            batch.quotes.learn(provider.name, order, quoted)
            batch.quotes.answered(provider, order)
            if quoted <= order.price or not await poll.too_dear(batch, purchase_id, clip.number):
                await poll.wait_for(batch, purchase_id, clip.number)
        row = batch.ledger.get(purchase_id)
    if row.charged_by == "provider":
        batch.quotes.learn(provider.name, order, row.charged)
    return row


# ── collecting ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _collect(batch: Run, row: Purchase, number: int) -> None:
    """A job of an earlier run, wherever it stands. Raises ClipFailed if it can't be brought home now."""
    if row.state is State.RENDERING:
        async with batch.limits.occupy(row.provider, number):
            with batch.turns.reservation():
                await poll.wait_for(batch, row.id, number)
        row = batch.ledger.get(row.id)
    if row.state in (State.RENDERED, State.FETCHED):
        await deliver.collect_output(batch, row, number)
    batch.collected.add(row.id)
    if row.run_id == batch.id and batch.ledger.get(row.id).state is State.ACCEPTED:  # a busy ledger came in between
        batch.counters.generated += 1
