"""One clip's life: decide → reserve → submit → wait → collect → put in place. Knows nothing of doit.

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
from vgen.production import booking, chain, deliver, masters, poll, reconcile, retaking, submit
from vgen.production.clip_files import is_as_seen
from vgen.production.events import Phase
from vgen.production.offload import off_loop
from vgen.production.run import Run
from vgen.production.submit import Clip
from vgen.providers.base import Order
from vgen.store.outputs import clip_name
from vgen.store.purchase import COLLECTABLE, State
from vgen.store.records import Placed, Purchase, Take
from vgen.store.takes import place_clip, set_aside

SERVED = "has its new take already: an -a that did not finish brought it; nothing is bought for it"
STALE_S = 1.0
"""A provider's answer older than this is asked for again before a replacement is bought."""


async def make(run: Run, request: ShotRequest, file: File, *, again: bool = False) -> None:
    """Make sure that the shot's clip is in place. `again`: with a new take. Raises ClipFailed."""
    try:
        await booking.when_free(run, run.start)
        request = chain.known(run, request)
        async with run.turns.exclusive(request.number, request.digests()):
            with run.events.working(request.number):
                clip = Clip(run, request, retaking.fresh_after(run, request) if again else None)
                if again and clip.fresh_after is None:
                    run.say(request.number, SERVED, event="note")
                await _until_done(clip, file)
    except ClipFailed as exc:
        _give_up(run, request.number, str(exc))
        raise
    except (LedgerError, Refusal, OSError) as exc:
        run.stop_buying(str(exc))
        _give_up(run, request.number, str(exc))
        raise ClipFailed(str(exc)) from exc


def _give_up(run: Run, number: int, why: str) -> None:
    """There is no clip of this shot in this run, and of none of its takes may another shot be made."""
    run.chain.takes.pop(number, None)
    run.messages[number] = why
    run.say(number, why, event="failed", **run.tally(number))


async def free_work(run: Run, steps: Sequence[Step], orphans: Sequence[Purchase]) -> None:
    """What costs nothing: takes put back, running jobs collected. What can't be now, can be next time."""
    async with trio.open_nursery() as nursery:
        for step in steps:
            nursery.start_soon(_if_it_can, run, step)
        if orphans:
            nursery.start_soon(collect_all, run, orphans)


async def _if_it_can(run: Run, step: Step) -> None:
    with contextlib.suppress(ClipFailed):
        await make(run, step.request, step.file)


async def collect_all(run: Run, rows: Sequence[Purchase]) -> None:
    """Bring home jobs that no shot wants any more; their takes are kept. What can't be now, can be next time."""
    with contextlib.ExitStack() as stack:
        for row in rows:
            stack.enter_context(run.turns.active(row.job_id))
        async with trio.open_nursery() as nursery:
            for row in rows:
                nursery.start_soon(_collect_orphan, run, row)


async def _collect_orphan(run: Run, row: Purchase) -> None:
    what = f"job {row.job_id} at {row.provider}, of an earlier list"
    try:
        await booking.when_free(run, run.start)
        run.say(None, f"collecting {what}", event="collect", job=row.job_id)
        await _collect(run, row, row.shot_number)
    except (ClipFailed, LedgerError, OSError) as exc:
        run.say(None, f"{what}: {exc}", event="not_collected", job=row.job_id)


async def _until_done(clip: Clip, file: File) -> None:
    name = clip_name(clip.number)
    while True:
        try:
            if file is File.EDITED and clip.fresh_after is None and _is_settled(clip, name):
                return
            if await _step(clip, file, name):
                return
        except LedgerBusy as exc:  # what was learnt is in the ledger: wait, and ask again
            await booking.pause(clip.run, exc)


def _is_settled(clip: Clip, name: str) -> bool:
    """Of a shot whose clip was edited: whether the edit is of its own take; False if a paid job is to be collected.

    Raises ClipFailed if there is no more to do for the shot: the edit is kept.
    """
    run, request = clip.run, clip.request
    placed = run.ledger.placed(name)
    now = decide(request, run.rows(request), run.policy(), placed)
    if now.action is Action.COLLECT:
        return False
    take = run.ledger.take_of(now.row.id) if now.action is Action.KEEP and now.row else None
    if take and placed and take.purchase_id == placed.purchase_id:
        run.chain.takes[request.number] = take.sha256
        return True
    more = f"`doit -a clip:{request.number}` buys a new take, and moves the file to takes/edited"
    if take:
        more = f"its take is {take.path}. Move the file elsewhere and run again to put it in place, free; {more}"
    elif now.row is not None:  # it is held, or can't be collected now
        more = now.why
    raise ClipFailed(f"{name} was edited by hand or is not vgen's, and is kept; {more}")


async def _step(clip: Clip, file: File, name: str) -> bool:
    """One act for the shot; True when its clip is in place. Raises ClipFailed if there will be none."""
    run, request = clip.run, clip.request
    now = decide(request, run.rows(request), run.policy(clip.fresh_after), run.ledger.placed(name))
    match now.action:
        case Action.KEEP:
            await _keep(clip, now, name, file)
            return True
        case Action.COLLECT if now.row is not None:
            said = f"collecting the running job at {now.row.provider}"
            run.say(request.number, said, event="resume", job=now.row.job_id)
            run.events.begin(request.number, f"collecting from {now.row.provider}")
            await _collect(run, now.row, request.number)
        case Action.BUY:
            if not await _found_after_all(clip, now):
                await _buy(clip, now)
        case Action.HELD if now.row is not None and await _is_found(run, now.row, request):
            _collect_instead(clip, now.row)
        case Action.STOP if now.row is not None and await reconcile.ask_again(run, now.row, request.number):
            _collect_instead(clip, now.row)
        case Action.STOP if await _any_is_found(run, request):
            pass
        case _:
            raise ClipFailed(now.why)
    return False


async def _any_is_found(run: Run, request: ShotRequest) -> bool:
    """Nothing more is bought for the shot: whether an order of it that was lost is at its provider. Once a run."""
    for row in [one for one in run.rows(request) if one.state is State.UNCERTAIN and one.id not in run.asked_again]:
        run.asked_again.add(row.id)
        if request.matches(row) and await _is_found(run, row, request):
            return True
    return False


async def _is_found(run: Run, row: Purchase, request: ShotRequest) -> bool:
    """Whether an uncertain order is at its provider."""
    run.events.doing(request.number, "asking about a lost order", Phase.WAITING)
    return await reconcile.adopt(run, row, request)


async def _found_after_all(clip: Clip, now: Decision) -> bool:
    """Before something is bought in place of what may exist, its provider is asked once more. True: it exists."""
    for old in now.supersede:
        row = clip.run.ledger.get(old)
        if await reconcile.adopt(clip.run, row, clip.request) or await reconcile.ask_again(
            clip.run, row, clip.number, anew=True
        ):
            _collect_instead(clip, row)
            return True
    return False


def _collect_instead(clip: Clip, row: Purchase) -> None:
    """With -a: what was found at its provider is the new take, and nothing is bought beside it."""
    if clip.fresh_after is not None and clip.run.ledger.get(row.id).state in COLLECTABLE:
        clip.fresh_after = min(clip.fresh_after, row.id - 1)
        retaking.count_as_new(clip.run, clip.number, row)


async def _keep(clip: Clip, now: Decision, name: str, file: File) -> None:
    """The shot has a good take: put it under the clip's name unless it is there."""
    run = clip.run
    assert now.row is not None, "BUG: nothing to keep"
    placed = run.ledger.placed(name)
    take = run.ledger.take_of(now.row.id)
    assert take is not None, "BUG: an accepted purchase without a take"
    run.chain.takes[clip.number] = take.sha256
    if placed and placed.purchase_id == now.row.id and file is File.INTACT:
        run.counters.reused += 1
        run.tally(clip.number)
        return
    await place_take(run, take, clip.number, replaces_edit=clip.fresh_after is not None and file is File.EDITED)
    size = f"{take.width}x{take.height}, {take.duration_s or 0:.1f} s"
    what = f"take {take.take} at {now.row.provider} for {show(now.row.charged)}, {size}"
    facts: dict[str, Any] = {"take": take.take, "job": now.row.job_id, "charged": now.row.charged}
    counts = run.tally(clip.number)
    if now.row.run_id == run.id:
        run.say(clip.number, f"ready: {what}", event="ready", **facts, **counts)
    elif now.row.id in run.collected:
        run.counters.resumed += 1
        run.say(clip.number, f"ready: {what}, bought by an earlier run", event="ready", **facts, **counts)
    else:
        run.counters.reused += 1
        text = f"ready: restored take {take.take}, already paid for"
        run.say(clip.number, text, event="restored", take=take.take, **counts)


async def place_take(run: Run, take: Take, number: int, *, replaces_edit: bool = False) -> None:
    """Copy a take under the clip's name and remember it. `replaces_edit`: what somebody made of it is moved away first.

    Raises ClipFailed if the take is gone, or if the clip's file has changed since the plan.
    """
    master = await masters.whole(run, take, number)
    clip = run.outputs.clip(number)
    seen, placed = run.intent.seen.get(clip.name), run.ledger.placed(clip.name)

    def is_untouched() -> bool:
        return is_as_seen(run.outputs, clip.name, seen, placed, take)

    if replaces_edit and (aside := await off_loop(take.size_bytes, set_aside, clip, run.outputs.edited, is_untouched)):
        where = f"{run.settings.run.outputs}/{aside.relative_to(run.outputs.root).as_posix()}"
        run.say(number, f"your edit of {clip.name} is now {where}", event="note")
    stat = await off_loop(take.size_bytes, place_clip, master, clip, is_untouched)
    if stat is None:
        cost = "puts the take in place, free," if number in (run.retakes or {}) else "buys another take"
        raise ClipFailed(
            f"{clip.name} was edited by hand while vgen worked, and is kept; the new take is {take.path}. Move the "
            f"edit elsewhere and run again to put it in place, free; `doit -a clip:{number}` {cost} and moves the "
            f"edit to takes/edited"
        )
    run.ledger.place(
        Placed(
            name=clip.name,
            shot_number=number,
            purchase_id=take.purchase_id,
            sha256=take.sha256,
            size_bytes=stat.size_bytes,
            mtime_ns=stat.mtime_ns,
        )
    )


# ── buying ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _buy(clip: Clip, now: Decision) -> None:
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
    await run.wait_until_it_fits(clip.number, order.price)
    provider = run.settings.providers[offer.provider]
    try:
        async with run.limits.acquire(provider.name, run.chain.rank(clip.number), run.quotes.turn(provider, order)):
            if trio.current_time() - decided_at > STALE_S and await _found_after_all(clip, now):
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
        run.counters.generated += 1
    elif row.state in (*OVER, State.UNCERTAIN):
        clip.pause(offer.provider).failures += 1


async def _order(clip: Clip, now: Decision, order: Order, provider: Provider) -> Purchase | None:
    """Reserve, send, wait for the end of the job. None if the provider was closed meanwhile. Raises OverBudget."""
    run = clip.run
    run.events.begin(clip.number, f"ordering at {provider.name}")
    pictures = await submit.pictures(clip, order, provider)
    order = await submit.prepared(run, order, provider)  # before the last checks: meanwhile others may learn of trouble
    if provider.name in run.closed:
        return None
    if run.stop_reason:
        raise ClipFailed(f"not bought: {run.stop_reason}")
    if problem := run.somebody_else_answers(provider):
        run.stop_buying(problem)
        raise ClipFailed(f"not bought: {problem}")
    order = told.at_told_price(provider.name, order, run.quotes.told)  # it may have been told while this one waited
    purchase_id = submit.reserve(clip, now, order, provider)
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


# ── collecting ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _collect(run: Run, row: Purchase, number: int) -> None:
    """A job of an earlier run, in whatever state. Raises ClipFailed if it can't be collected now."""
    if row.state is State.RENDERING:
        async with run.limits.occupy(row.provider, run.chain.rank(number)):
            with run.turns.reservation():
                await poll.wait_for(run, row.id, number)
        row = run.ledger.get(row.id)
    if row.state in (State.RENDERED, State.FETCHED):
        await deliver.collect_output(run, row, number)
    run.collected.add(row.id)
    if row.run_id == run.id and run.ledger.get(row.id).state is State.ACCEPTED:  # a busy ledger came in between
        run.counters.generated += 1
