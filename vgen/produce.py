"""One clip's life: decide → reserve → submit → wait → bring home → put in place. Knows nothing of doit.

Approach: ask `plan.stance` what is next, do that one thing, commit it, ask again. All that was learnt is in the ledger,
so a run that is killed anywhere simply asks again. ExceptionGroups stop here: out come None or ClipFailed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from vgen import fetch, files, plan, recover, retry
from vgen.batch import Batch
from vgen.errors import (
    AlreadyBought,
    ClipFailed,
    LedgerError,
    NoAnswer,
    NotSent,
    OverBudget,
    Refusal,
    VgenError,
)
from vgen.images import data_uri
from vgen.money import show
from vgen.plan import Act, File, Offer, Stance, Wish
from vgen.providers import codec
from vgen.providers.base import (
    Accepted,
    Call,
    Cancelled,
    Done,
    Failed,
    Missing,
    No,
    NoWord,
    Order,
    Queued,
    Refused,
    Running,
    Status,
    Unclear,
)
from vgen.purchase import COLLECTABLE, State, Why
from vgen.rows import Placed, Purchase, Take
from vgen.settings import Provider

CREATE_S = 120.0
"""A create's whole time. Longer than any provider needs to answer; what is later than that is uncertain."""
MISSING_GRACE_S = 60.0
"""A job that the provider does not list yet is not lost (reliability: list lag)."""
LONG_PAUSE_S = 300.0
CANCEL_LOOKS = 4


@dataclass(slots=True)
class _Pause:
    """How long this clip waits before its next attempt at a provider."""

    failures: int = 0
    at_least_s: float = 0.0


@dataclass(slots=True)
class _Clip:
    """What one clip's run knows besides the ledger."""

    batch: Batch
    wish: Wish
    fresh_after: int | None = None
    pauses: dict[str, _Pause] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return self.wish.number


async def make(batch: Batch, wish: Wish, file: File, *, again: bool = False) -> None:
    """See to it that the shot's clip lies in its place. `again`: with a new take. Raises ClipFailed."""
    try:
        batch.start()
        async with batch.alone(wish):  # who stands in line for a recipe can give no money back before its holder ends
            with batch.hoping(wish.number):
                clip = _Clip(batch, wish, _fresh_after(batch, wish) if again else None)
                await _until_done(clip, file, forced=again)
    except ClipFailed as exc:
        batch.messages[wish.number] = str(exc)
        batch.say(wish.number, str(exc), event="failed")
        raise
    except (LedgerError, Refusal, OSError) as exc:
        batch.stop_buying(str(exc))
        batch.messages[wish.number] = str(exc)
        raise ClipFailed(str(exc)) from exc


async def collect_all(batch: Batch, rows: Sequence[Purchase]) -> None:
    """Bring home jobs that no shot wants any more; their takes are kept. What can't be now, can be next time."""
    async with trio.open_nursery() as nursery:
        for row in rows:
            nursery.start_soon(_collect_orphan, batch, row)


async def _collect_orphan(batch: Batch, row: Purchase) -> None:
    what = f"job {row.job_id} at {row.provider}, of an earlier list"
    try:
        batch.start()
        batch.say(None, f"collecting {what}", event="collect", job=row.job_id)
        await _collect(batch, row, row.shot_number)
    except (ClipFailed, LedgerError, OSError) as exc:
        batch.say(None, f"{what}: {exc}", event="not_collected", job=row.job_id)


def _fresh_after(batch: Batch, wish: Wish) -> int | None:
    """With -a: the newest purchase that counts no more. A live job is collected instead of buying beside it."""
    rows = batch.rows(wish)
    if any(row.state in COLLECTABLE and wish.matches(row) for row in rows):
        return None
    return max((row.id for row in rows), default=0)


async def _until_done(clip: _Clip, file: File, *, forced: bool) -> None:
    batch, wish = clip.batch, clip.wish
    name = files.clip_name(wish.number)
    if file is File.EDITED and not forced:
        placed = batch.ledger.placed(name)
        now = plan.stance(wish, batch.rows(wish), batch.rules(), placed)
        if not (now.act is Act.KEEP and now.row and placed and now.row.id == placed.purchase_id):
            raise ClipFailed(
                f"{name} was edited by hand or is not vgen's; `doit -a clip:{wish.number}` replaces it with a new take"
            )
        return
    while True:
        now = plan.stance(wish, batch.rows(wish), batch.rules(clip.fresh_after), batch.ledger.placed(name))
        match now.act:
            case Act.KEEP:
                await _keep(clip, now, name, file)
                return
            case Act.COLLECT if now.row is not None:
                batch.say(
                    wish.number,
                    f"collecting the running job at {now.row.provider}",
                    event="resume",
                    job=now.row.job_id,
                )
                await _collect(batch, now.row, wish.number)
            case Act.BUY:
                if not await _found_after_all(clip, now):
                    await _buy(clip, now)
            case Act.HELD if now.row is not None and await recover.adopt(batch, now.row, wish.number):
                continue
            case _:
                raise ClipFailed(now.why)


async def _found_after_all(clip: _Clip, now: Stance) -> bool:
    """Before an uncertain purchase is bought again at the user's word, its provider is asked, where it can be."""
    for old, why in now.supersede.items():
        if why is Why.REBUY and await recover.adopt(clip.batch, clip.batch.ledger.get(old), clip.number):
            return True
    return False


async def _keep(clip: _Clip, now: Stance, name: str, file: File) -> None:
    """The shot has a good take: put it under the clip's name unless it lies there."""
    batch = clip.batch
    assert now.row is not None, "BUG: nothing to keep"
    placed = batch.ledger.placed(name)
    if placed and placed.purchase_id == now.row.id and file is File.INTACT:
        batch.reused += 1
        return
    take = batch.ledger.take_of(now.row.id)
    assert take is not None, "BUG: an accepted purchase without a take"
    await put_in_place(batch, take, clip.number)
    size = f"{take.width}x{take.height}, {take.duration_s or 0:.1f} s"
    what = f"take {take.take} at {now.row.provider} for {show(now.row.charged)}, {size}"
    facts = {"take": take.take, "job": now.row.job_id, "charged": now.row.charged}
    if now.row.run_id == batch.run_id:
        batch.say(clip.number, f"ready: {what}", event="ready", **facts)
    elif now.row.id in batch.collected:
        batch.resumed += 1
        batch.say(clip.number, f"ready: {what}, bought by an earlier run", event="ready", **facts)
    else:
        batch.reused += 1
        batch.say(clip.number, f"ready: take {take.take} was here already, no cost", event="restored", take=take.take)


async def put_in_place(batch: Batch, take: Take, number: int) -> None:
    """Copy a take under the clip's name and remember it. Raises ClipFailed if the take is gone."""
    master = batch.outputs.root / take.path
    if not master.exists() or files.sha256(master) != take.sha256:
        await _bring_back(batch, take, number)
    clip = batch.outputs.clip(number)
    stat = files.place_clip(master, clip)
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


async def _bring_back(batch: Batch, take: Take, number: int) -> None:
    """The master was deleted or damaged: take it from a clip that still holds it. Raises ClipFailed."""
    master = batch.outputs.root / take.path
    what = "damaged" if master.exists() else "deleted"
    for clip in batch.outputs.clips.glob("*.mp4"):
        if clip.stat().st_size == take.size_bytes and files.sha256(clip) == take.sha256:
            files.place_clip(clip, master)
            master.chmod(0o444)
            return
    raise ClipFailed(f"its take {take.path} was {what}; put it back, or buy a new one with `doit -a clip:{number}`")


# ── buying ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _buy(clip: _Clip, now: Stance) -> None:
    """One attempt at one provider, from the slot to the end of the job. What came of it is in the ledger."""
    batch, offer = clip.batch, now.offer
    assert offer is not None, "BUG: a purchase without an offer"
    assert offer.order is not None, "BUG: a purchase without an order"
    await _pause(clip, offer.provider)
    if batch.fits_now is not None and clip.number not in batch.fits_now:
        await batch.wait_for_money(clip.number, offer.order.price)
        batch.fits_now.add(clip.number)
    lane = batch.lane(offer.provider)
    row: Purchase | None = None
    try:
        async with batch.turn(lane, clip.number):
            if lane.closed:
                return
            if batch.stop_reason:
                raise ClipFailed(f"not bought: {batch.stop_reason}")
            provider = batch.settings.providers[offer.provider]
            purchase_id = _reserve(clip, now, offer.order, provider)
            with batch.buying():
                if await _submit(clip, purchase_id, offer, provider, now.attempt):
                    await _wait_for(batch, purchase_id, clip.number)
                row = batch.ledger.get(purchase_id)
    except OverBudget as exc:
        await batch.wait_for_money(clip.number, exc.needed)
        return
    if row.state is State.RENDERED:
        await fetch.bring_home(batch, row, clip.number)
        row = batch.ledger.get(row.id)
    if row.state is State.ACCEPTED:
        batch.generated += 1
    elif row.state in (*plan.OVER, State.UNCERTAIN):
        clip.pauses.setdefault(offer.provider, _Pause()).failures += 1


async def _pause(clip: _Clip, provider: str) -> None:
    """Back off before another attempt at the same provider, holding nothing."""
    pause = clip.pauses.get(provider)
    if pause is None or not pause.failures:
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


def _reserve(clip: _Clip, now: Stance, order: Order, provider: Provider) -> int:
    """Reserve the price. Raises OverBudget."""
    batch = clip.batch
    recipe = clip.wish.recipes[provider.name]
    row: dict[str, Any] = {
        "run_id": batch.run_id,
        "shot_number": clip.number,
        "recipe": recipe.digest,
        "manifest": json.dumps([list(pair) for pair in recipe.manifest], ensure_ascii=False),
        "simulated": batch.settings.simulated,
        "provider": provider.name,
        "account": provider.account,
        "base_url": provider.terms.base_url,
        "model": order.model,
        "path": order.path,
        "request": order.text,
        "marker": str(batch.rng.randrange(1, 1 << 31)),
        "bought_s": str(order.bought_s),
        "price": order.price,
    }
    supersede = dict(now.supersede)
    if clip.fresh_after is not None:  # the user's word: nothing of before counts any more, refusals included
        supersede |= {
            old.id: Why.AGAIN
            for old in batch.rows(clip.wish)
            if old.superseded is None and old.id <= clip.fresh_after and old.id not in supersede
        }
    try:
        return batch.ledger.reserve(row, supersede=supersede)
    except AlreadyBought as exc:
        raise ClipFailed("not bought: another purchase of the same recipe stands in the way; see `doit audit`") from exc


async def _submit(clip: _Clip, purchase_id: int, offer: Offer, provider: Provider, attempt: int) -> bool:
    """Send the create, once; commit what came of it. True if the provider has the job."""
    batch, order = clip.batch, offer.order
    assert order is not None, "BUG: nothing to submit"
    protocol = codec(provider.name)
    if hasattr(protocol, "marked"):
        order = protocol.marked(order, batch.ledger.get(purchase_id).marker)
    image = data_uri(batch.settings.root, clip.wish.shot.image) if order.image_field else None
    call: Call = protocol.create(order, provider.terms, provider.key or "", image)
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
            reply = await fetch.send(batch, call, provider.timeout_s or CREATE_S)
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


def _accepted(clip: _Clip, purchase_id: int, provider: Provider, order: Order, answer: Accepted) -> bool:
    batch = clip.batch
    quoted = max(order.price, answer.quoted or 0)
    try:
        batch.ledger.move(purchase_id, State.RENDERING, job_id=answer.job.id, urls=answer.job.urls, price=quoted)
    except AlreadyBought:
        close = f"it answered with job {answer.job.id}, which belongs to another order"
        _uncertain(clip, purchase_id, provider, close)
        batch.close_lane(provider.name, close)
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
        batch.close_lane(provider.name, reason)
    return True


def _refused(clip: _Clip, purchase_id: int, provider: Provider, answer: Refused) -> None:
    batch = clip.batch
    final = answer.no is No.INPUT
    batch.ledger.move(purchase_id, State.REFUSED, error=answer.message, error_code=answer.no.value, final=final)
    batch.say(clip.number, f"{provider.name}: refused: {answer.message}", event="refused", no=answer.no.value)
    match answer.no:
        case No.LATER:
            wait_s = answer.retry_after_s or 0.0
            batch.lane(provider.name).pause(wait_s)
            clip.pauses.setdefault(provider.name, _Pause()).at_least_s = wait_s
            if wait_s > max(LONG_PAUSE_S, batch.settings.run.clip_timeout_s):
                batch.close_lane(provider.name, f"it asks to wait {wait_s:,.0f} s; run again later")
        case No.CREDIT:
            batch.close_lane(provider.name, f"out of credit: {answer.message}")
        case No.KEY:
            batch.close_lane(provider.name, f"the key was rejected: {answer.message}")
        case No.SETUP:
            batch.close_lane(
                provider.name, f"{provider.terms.base_url} or model {provider.terms.model}: {answer.message}"
            )
        case No.BROKEN | No.INPUT:
            pass


def _uncertain(clip: _Clip, purchase_id: int, provider: Provider, reason: str) -> None:
    batch = clip.batch
    batch.ledger.move(purchase_id, State.UNCERTAIN, error=reason)
    batch.say(clip.number, f"{provider.name}: UNCERTAIN, perhaps bought: {reason}", event="uncertain")


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _collect(batch: Batch, row: Purchase, number: int) -> None:
    """A job of an earlier run, wherever it stands. Raises ClipFailed if it can't be brought home now."""
    if row.state is State.RENDERING:
        lane = batch.lane(row.provider)
        async with batch.slots.one(number, at_once=True), lane.slots.one(number, at_once=True):
            with batch.buying():
                await _wait_for(batch, row.id, number)
        row = batch.ledger.get(row.id)
    if row.state in (State.RENDERED, State.FETCHED):
        await fetch.bring_home(batch, row, number)
    batch.collected.add(row.id)


async def _wait_for(batch: Batch, purchase_id: int, number: int) -> None:
    """Poll until the job is over and its money settled, or until the clip's time is up: then detach."""
    row = batch.ledger.get(purchase_id)
    provider = batch.provider_of(row)
    if provider is None:
        batch.detached.add(row.id)
        raise ClipFailed(
            f"its job {row.job_id} runs at {row.provider}, for which there is no key; set the key to collect it"
        )
    deadline = trio.current_time() + batch.settings.run.clip_timeout_s
    poller = _Poller(batch, row, provider, number)
    await poller.run(deadline)


class _Poller:
    """Asks about one job, at the provider's pace."""

    def __init__(self, batch: Batch, row: Purchase, provider: Provider, number: int) -> None:
        self._batch, self._row, self._provider, self._number = batch, row, provider, number
        self._errors = 0
        self._said = ""
        self._last_word = ""
        self._born = trio.current_time()

    async def run(self, deadline: float) -> None:
        resumed = self._row.run_id != self._batch.run_id
        if not resumed:
            await self._sleep(deadline)
        while True:
            status = await fetch.ask(self._batch, self._row)
            if self._settled(status):
                return
            if trio.current_time() >= deadline:
                break
            await self._sleep(deadline, status)
        if isinstance(status, Queued) and await self._cancelled():  # by its word of right now
            return
        self._detach()

    async def _sleep(self, deadline: float, status: Status | None = None) -> None:
        interval_s = self._provider.poll_interval_s or codec(self._provider.name).POLL_INTERVAL_S
        if not self._provider.poll_exactly:
            interval_s += self._batch.rng.uniform(0, interval_s / 2)
            if self._errors:
                interval_s = min(interval_s * 2.0 ** min(self._errors, 6), max(retry.POLL.max_s, interval_s))
        if isinstance(status, NoWord) and status.retry_after_s:
            interval_s = max(interval_s, min(status.retry_after_s, 60.0))
        await trio.sleep_until(min(deadline, trio.current_time() + interval_s))

    def _settled(self, status: Status) -> bool:
        """Book a status; True if the job is over."""
        batch, row = self._batch, self._row
        self._errors = self._errors + 1 if isinstance(status, NoWord) else 0
        match status:
            case Queued():
                place = "" if status.position is None else f", {status.position} before it"
                self._tell(f"queued at {row.provider}{place}")
            case Running():
                self._tell(f"rendering at {row.provider}")
            case NoWord():
                self._last_word = status.message
                if status.key_rejected:
                    batch.close_lane(row.provider, status.message)
            case Done():
                charged, by = _told(status.charged, row)
                urls = {**row.urls, "output": status.url}
                batch.ledger.move(
                    row.id,
                    State.RENDERED,
                    charged=charged,
                    charged_by=by,
                    urls=urls,
                    rendered_at=self._ended_at(),
                    error=None,
                )
                batch.say(
                    self._number,
                    f"rendered at {row.provider}, charged {show(charged)}; downloading",
                    event="rendered",
                )
                if charged > row.price:
                    batch.close_lane(row.provider, f"it charged {show(charged)} where {show(row.price)} was agreed")
                return True
            case Failed():
                charged, by = _told(status.charged, row)
                error = f"{status.message} ({status.code})" if status.code else status.message
                batch.ledger.move(
                    row.id, State.FAILED, charged=charged, charged_by=by, error=error, error_code=status.code,
                    final=not status.again, rendered_at=self._ended_at(),
                )  # fmt: skip
                batch.say(
                    self._number,
                    f"failed at {row.provider}: {error} (charged {show(charged)})",
                    event="job_failed",
                )
                return True
            case Cancelled():
                charged, by = _told(status.charged, row)
                batch.ledger.move(
                    row.id, State.CANCELLED, charged=charged, charged_by=by, error="cancelled at the provider"
                )
                batch.say(self._number, f"cancelled at {row.provider} (charged {show(charged)})", event="cancelled")
                return True
            case Missing():
                return self._missing()
        return False

    def _ended_at(self) -> float:
        """Now, by the clock that nobody sets: a generation does not take a day because the wall clock jumped."""
        sent = self._batch.sent_at.get(self._row.id)
        if sent is None or self._row.submitted_at is None:
            return self._batch.now()
        return self._row.submitted_at + trio.current_time() - sent

    def _missing(self) -> bool:
        batch, row = self._batch, self._row
        if trio.current_time() - self._born < MISSING_GRACE_S:
            return False
        if row.account != self._provider.account:
            self._last_word = f"the job was bought with another key of {row.provider}; set that one to collect it"
            return False
        if row.error_code == plan.QUEUE:  # an earlier run was killed between the cancel and its commit
            self._book_cancelled(None)
            return True
        error = f"{row.provider} does not know job {row.job_id} any more"
        batch.ledger.move(row.id, State.LOST, charged=row.price, charged_by="assumed", error=error)
        batch.say(self._number, f"lost: {error}", event="lost", job=row.job_id)
        return True

    async def _cancelled(self) -> bool:
        """Cancel a job that never left the queue; True if it is over, one way or the other."""
        batch, row, provider = self._batch, self._row, self._provider
        protocol = codec(row.provider)
        batch.ledger.note(row.id, error="waited too long in the provider's queue; cancelling", error_code=plan.QUEUE)
        call: Call = protocol.cancel(fetch.job_of(row), row.base_url, provider.key)
        agreed = False
        try:
            reply = await fetch.send(batch, call, provider.timeout_s or fetch.ASK_S)
            agreed = reply.status // 100 == 2
        except VgenError as exc:
            self._last_word = str(exc)
        for _ in range(CANCEL_LOOKS):
            status = await fetch.ask(batch, row)
            if isinstance(status, (Missing, Cancelled)):
                self._book_cancelled(status.charged if isinstance(status, Cancelled) else None)
                return True
            if isinstance(status, Running) or self._settled(status):
                return not isinstance(status, Running)
            await trio.sleep(provider.poll_interval_s or 1.0)
        if agreed:  # the provider took the cancel, and has said nothing since
            self._book_cancelled(None)
        return agreed

    def _book_cancelled(self, told: int | None) -> None:
        """It never left the queue: booked as charged unless the provider says otherwise; the fallback's turn."""
        batch, row = self._batch, self._row
        charged, by = _told(told, row)
        error = f"cancelled, because it waited too long in the queue of {row.provider}"
        batch.ledger.move(row.id, State.CANCELLED, charged=charged, charged_by=by, error=error, error_code=plan.QUEUE)
        batch.say(self._number, f"{error} (booked {show(charged)}, {by})", event="cancelled")

    def _detach(self) -> None:
        batch, row = self._batch, self._row
        batch.detached.add(row.id)
        word = f" (last word: {self._last_word})" if self._last_word else ""
        raise ClipFailed(
            f"still running at {row.provider} after {batch.settings.run.clip_timeout_s:g} s as job {row.job_id}{word}; "
            f"it is paid for, run again to collect it"
        )

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._batch.say(self._number, text, event="status", job=self._row.job_id)


def _told(charged: int | None, row: Purchase) -> tuple[int, str]:
    """What the job cost: as the provider says, else all that was reserved."""
    return (row.price, "assumed") if charged is None else (charged, "provider")
