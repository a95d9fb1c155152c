"""One clip's life: decide → reserve → submit → wait → collect → put in place. Knows nothing of doit.

Approach: ask `decision` what is next, do that one thing, commit it, ask again. All that was learnt is in the ledger,
so a run that is killed anywhere simply asks again. ExceptionGroups stop here: out come None or ClipFailed.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import trio

from vgen.errors import ClipFailed, LedgerBusy, LedgerError, Refusal
from vgen.media.offload import off_loop
from vgen.money import show
from vgen.plan import review, takes_wanted
from vgen.plan.decision import Action, Decision, File, decide
from vgen.plan.request import ShotRequest
from vgen.plan.step import Step
from vgen.production import booking, chain, deliver, masters, poll, reconcile, retaking
from vgen.production import buy as buying
from vgen.production.clip_files import is_as_seen
from vgen.production.events import Phase
from vgen.production.run import Run
from vgen.production.submit import Clip
from vgen.store.outputs import clip_name
from vgen.store.purchase import State
from vgen.store.records import Placed, Purchase, Take
from vgen.store.takes import name_clip, set_aside


async def make(run: Run, request: ShotRequest, file: File, *, again: bool = False) -> None:
    """Make sure that the shot's clip is in place. `again`: with a new take. Raises ClipFailed."""
    try:
        await booking.when_free(run, run.start)
        request = request if request.number in run.intent.locked else chain.known(run, request)
        async with run.turns.exclusive(request.number, request.all_digests()):
            with run.events.working(request.number):
                clip = Clip(run, request, retaking.fresh_after(run, request) if again else None)
                if again and clip.fresh_after is None:
                    text = "has its new take already: an -a that did not finish brought it; nothing is bought for it"
                    run.say(request.number, text, event="note")
                await _with_takes(clip, file)
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
    what = f"job {row.job_id} at {row.provider}, {review.whose(row, run.intent.locked)}"
    try:
        await booking.when_free(run, run.start)
        run.say(None, f"collecting {what}", event="collect", job=row.job_id)
        await _collect(run, row, row.shot_number)
    except (ClipFailed, LedgerError, OSError) as exc:
        run.say(None, f"{what}: {exc}", event="not_collected", job=row.job_id)


async def _with_takes(clip: Clip, file: File) -> None:
    """The clip, then the takes wanted beside it; a clip whose own can't come now is made of another, if one comes."""
    try:
        await _until_done(clip, file)
    except ClipFailed:
        edited = file is File.EDITED  # nothing is bought for a shot that somebody works on
        if clip.fresh_after is not None or not await _bring_further(clip, buys=not edited):
            raise
        await _until_done(clip, file)
    else:
        await _bring_further(clip)


async def _bring_further(clip: Clip, *, buys: bool = True) -> bool:
    """The takes wanted that are not here yet, one after the other. Whether one came; why one did not is told.

    `buys` False: only those that are paid.
    """
    run, request, began, came = clip.run, clip.request, set[int](), False
    while request.further and run.is_online:  # `doit pick` is not, and brings nothing
        due = [one for one in takes_wanted.missing(request, run.rows(request), run.policy()) if one.is_due]
        left = [one for one in due if one.request.take not in began]
        if not buys:
            left = [one for one in left if one.decision.action is Action.COLLECT]
        if run.stop_reason:
            left = [one for one in left if one.decision.action is not Action.BUY]
        if not left:
            return came
        take = left[0].request.take
        began.add(take)
        try:
            came |= await _bring(clip, Clip(run, left[0].request, is_further=True))
        except ClipFailed as exc:
            run.say(clip.number, f"take {take} of {request.takes_wanted} wanted: {exc}", event="note")
    return came


async def _bring(clip: Clip, further: Clip) -> bool:
    """One of the takes wanted, until it is among the takes. False: it is not wanted any more. Raises ClipFailed."""
    run, request, take = clip.run, clip.request, further.request.take
    before = takes_wanted.accepted(request, run.rows(request))
    while True:
        rows = run.rows(request)
        mine = (one for one in takes_wanted.missing(request, rows, run.policy()) if one.request.take == take)
        if (one := next(mine, None)) is None:
            break
        try:
            await _act(further, one.decision)
        except LedgerBusy as exc:
            await booking.pause(run, exc)
    good = takes_wanted.accepted(request, rows)
    if good > before:
        run.say(clip.number, f"{good} of {request.takes_wanted} takes wanted are here", event="note")
    return good > before


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
    if take and request.number in run.intent.locked:
        more = f"it is locked to {take.path}: move the file elsewhere and run again to put that in place, free"
    elif take:
        more = f"its take is {take.path}. Move the file elsewhere and run again to put it in place, free; {more}"
    elif now.row is not None:  # it is held, or can't be collected now
        more = now.why
    raise ClipFailed(f"{name} was edited by hand or is not vgen's, and is kept; {more}")


async def _step(clip: Clip, file: File, name: str) -> bool:
    """One act for the shot; True when its clip is in place. Raises ClipFailed if there will be none."""
    run, request = clip.run, clip.request
    now = decide(request, run.rows(request), run.policy(clip.fresh_after), run.ledger.placed(name))
    if now.action is Action.KEEP:
        await _keep(clip, now, name, file)
        return True
    await _act(clip, now)
    return False


async def _act(clip: Clip, now: Decision) -> None:
    """What is next for a take that is not here yet. Raises ClipFailed if nothing can be done."""
    run, request = clip.run, clip.request
    match now.action:
        case Action.COLLECT if now.row is not None:
            text = f"collecting the running job at {now.row.provider}"
            run.say(request.number, text, event="resume", job=now.row.job_id)
            run.events.begin(request.number, f"collecting from {now.row.provider}")
            await _collect(run, now.row, request.number)
        case Action.BUY:
            if not await buying.found_after_all(clip, now):
                await buying.buy(clip, now)
        case Action.HELD if now.row is not None and await _is_found(run, now.row, request):
            buying.collect_instead(clip, now.row)
        case Action.STOP if now.row is not None and await reconcile.ask_again(run, now.row, request.number):
            buying.collect_instead(clip, now.row)
        case Action.STOP if await _any_is_found(run, request):
            pass
        case _:
            raise ClipFailed(now.why)


async def _any_is_found(run: Run, request: ShotRequest) -> bool:
    """Nothing more is bought for the shot: whether an order of it that was lost is at its provider. Once a run."""
    lost = [row for row in run.rows(request) if row.state is State.UNCERTAIN and row.id not in run.asked_again]
    for row in lost:
        run.asked_again.add(row.id)
        if request.matches(row) and await _is_found(run, row, request):
            return True
    return False


async def _is_found(run: Run, row: Purchase, request: ShotRequest) -> bool:
    """Whether an uncertain order is at its provider."""
    run.events.doing(request.number, "asking about a lost order", Phase.WAITING)
    return await reconcile.adopt(run, row, request)


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
    where = f", checked at {take.checked_at_host}" if take.checked_at_host else ""
    what = f"take {take.take} at {now.row.provider} for {show(now.row.charged)}, {size}{where}"
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
    clip = run.outputs.clip(number)
    part = await masters.copied(run, take, number, clip)
    seen, placed = run.intent.seen.get(clip.name), run.ledger.placed(clip.name)

    def is_untouched() -> bool:
        return is_as_seen(run.outputs, clip.name, seen, placed, take)

    if replaces_edit and (aside := await off_loop(take.size_bytes, set_aside, clip, run.outputs.edited, is_untouched)):
        where = f"{run.settings.run.outputs}/{aside.relative_to(run.outputs.root).as_posix()}"
        run.say(number, f"your edit of {clip.name} is now {where}", event="note")
    stat = await off_loop(take.size_bytes, name_clip, part, clip, is_untouched)
    if stat is None:
        cost = "puts the take in place, free," if number in (run.retakes or {}) else "buys another take"
        text = f"{clip.name} was edited by hand while vgen worked, and is kept; "
        if number in run.intent.locked:
            raise ClipFailed(
                f"{text}it is locked to {take.path}: move the edit elsewhere and run again to put that back"
            )
        raise ClipFailed(
            f"{text}the new take is {take.path}. Move the edit elsewhere and run again to put it in place, free; "
            f"`doit -a clip:{number}` {cost} and moves the edit to takes/edited"
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


# ── collecting ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _collect(run: Run, row: Purchase, number: int) -> None:
    """A job of an earlier run, in whatever state. Raises ClipFailed if it can't be collected now."""
    async with run.turns.alone(row.id):
        row = run.ledger.get(row.id)
        if row.state is State.RENDERING:
            async with run.limits.occupy(row.provider, run.chain.rank(number)):
                with run.turns.reservation():
                    await poll.wait_for(run, row.id, number)
            row = run.ledger.get(row.id)
        if row.state in (State.RENDERED, State.FETCHED):
            await deliver.collect_output(run, row, number)
        elif row.id in run.collected:  # it was on its way already, as a job that no shot wanted when the run began
            return
        run.collected.add(row.id)
        if row.run_id == run.id and run.ledger.get(row.id).state is State.ACCEPTED:  # a busy ledger came in between
            run.counters.generated += 1
