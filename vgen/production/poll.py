"""Waiting for one job at its provider's pace: poll until it is over; cancel or detach when the clip's time is up."""

import math

import trio

from vgen import retry
from vgen.errors import ClipFailed, VgenError
from vgen.inputs.settings import Provider
from vgen.money import show
from vgen.plan.decision import QUEUE, UNREADABLE, how_to_end
from vgen.production import client, job_end, over
from vgen.production.limits import PATIENCE
from vgen.production.run import Run
from vgen.providers.base import Cancelled, Done, Failed, Inconclusive, Missing, Queued, Running, Status
from vgen.store.purchase import State
from vgen.store.records import Purchase

UNCONFIRMED = "unconfirmed"
"""error_code of a job whose failure was read off a failed question, until it is said again or it brings its file."""
CANCEL_LOOKS = 4
CANCELLING = "; cancelling"
"""Ends the reason in the row of a job that is being cancelled; a later run that finds it cancelled tells it."""
SETTLES_S = 60.0
"""So long a job that is over is asked what it cost, if its provider has yet to say; then its price is booked."""


async def wait_for(run: Run, purchase_id: int, number: int) -> None:
    """Poll until the job is over and its money settled, or until the clip's time is up: then detach."""
    row = run.ledger.get(purchase_id)
    provider = run.provider_of(row) or run.moved_to(row)
    if provider is None:
        run.detached.add(row.id)
        raise ClipFailed(
            f"its job {row.job_id} runs at {row.provider}, for which there is no key; set the key to collect it, "
            f"or {how_to_end(row)}"
        )
    deadline = trio.current_time() + run.settings.run.clip_timeout_s
    poller = _Poller(run, row, provider, number)
    await poller.run(deadline)


async def too_dear(run: Run, purchase_id: int, number: int) -> bool:
    """Whether a job that was quoted above what is left is over: cancelled, as long as that is free. Told in any case.

    Free is a job that is queued by the provider's word of right now; what runs is paid for, and is waited for.
    """
    row = run.ledger.get(purchase_id)
    budget = run.ledger.budget(row.simulated, run.settings.cap)
    if budget.cap is None or budget.exposure <= budget.cap:
        return False
    quote = f"{row.provider} quotes {show(row.price)}, which passes the budget of {show(budget.cap)}"
    provider = run.provider_of(row)
    if provider is not None and isinstance(await client.ask(run, row), Queued):
        run.say(number, f"{quote}; cancelling while it is queued", event="cap")
        if await _Poller(run, row, provider, number).cancelled(quote):
            return True
    run.say(number, f"{quote}; it can't be cancelled free any more, and nothing more is bought there", event="cap")
    return False


class _Poller:
    """Asks about one job, at the provider's pace."""

    def __init__(self, run: Run, row: Purchase, provider: Provider, number: int) -> None:
        self._run, self._row, self._provider, self._number = run, row, provider, number
        self._errors = 0
        self._said = ""
        self._last_word = ""
        self._missing = over.Absence(clock=trio.current_time)
        self._unreadable = over.Absence(clock=trio.current_time)
        self._why_cancelled = f"it waited too long in the queue of {row.provider}"
        self._at_work = -math.inf
        self._over_at: float | None = None
        self._failing = over.Absence(clock=trio.current_time)

    async def run(self, deadline: float) -> None:
        resumed = self._row.run_id != self._run.id
        if not resumed:
            await self._sleep(deadline)
        while True:
            asked_at = trio.current_time()
            status = self._believed(await client.ask(self._run, self._row))
            self._row = self._run.ledger.get(self._row.id)
            if self._awaits_its_charge(status, deadline):
                await trio.sleep(self._pause_s)
                continue
            if self._settled(status):
                sent = self._run.sent_at.pop(self._row.id, None)
                limiter = self._run.limits.of(self._row.provider)
                if isinstance(status, Done) and sent is not None:
                    limiter.learn(self._at_work - sent, self._seen_over_at - sent, self._pause_s)
                limiter.over(brought=isinstance(status, Done))
                return
            if isinstance(status, Queued | Running):
                self._at_work = asked_at
            if trio.current_time() < deadline:
                await self._sleep(deadline, status)
            elif (more_s := self._more_s()) is not None:
                await trio.sleep(more_s)
            else:
                break
        if isinstance(status, Queued) and await self.cancelled():  # by its word of right now
            return
        if isinstance(status, Inconclusive) and status.ended and self._given_up():
            return
        self._detach()

    def _awaits_its_charge(self, status: Status, deadline: float) -> bool:
        """Whether the job is over, and what it cost is worth asking once more."""
        if not isinstance(status, Done | Failed):
            return False
        self._over_at = self._seen_over_at
        return status.unsettled and trio.current_time() < min(deadline, self._over_at + SETTLES_S)

    @property
    def _seen_over_at(self) -> float:
        """When the job was first seen to be over: now, if it was not before."""
        return trio.current_time() if self._over_at is None else self._over_at

    @property
    def _pause_s(self) -> float:
        return self._provider.poll_interval_s or self._provider.codec.VENDOR.poll_interval_s

    async def _sleep(self, deadline: float, status: Status | None = None) -> None:
        interval_s = self._pause_s
        limiter = self._run.limits.of(self._provider.name)
        if not self._provider.poll_exactly:
            interval_s += self._run.rng.uniform(0, interval_s / 2)
            if self._errors:
                interval_s = min(interval_s * 2.0 ** min(self._errors, 6), max(retry.POLL.max_s, interval_s))
        if isinstance(status, Inconclusive) and status.retry_after_s:
            interval_s = max(interval_s, min(status.retry_after_s, 60.0))
        due = trio.current_time() + interval_s
        sent = self._run.sent_at.get(self._row.id)
        if isinstance(status, Queued | Running | None) and sent is not None and not self._provider.poll_exactly:
            due = max(due, sent + limiter.quiet_s)
            foreseen = sent + (limiter.foreseen_s or 0.0)
            if trio.current_time() + self._pause_s <= foreseen < due + self._pause_s:
                due = foreseen  # else the next question would come too early to wait for that moment
        await trio.sleep_until(min(deadline, due))
        if self._provider.poll_exactly or limiter.leads(self._row.id):
            return
        if await limiter.follow(self._row.id, min(deadline, due + (PATIENCE - 1) * interval_s)):
            # All who followed are woken at once; each asks at its own next turn.
            turns = math.ceil((trio.current_time() - due) / interval_s)
            await trio.sleep_until(min(deadline, due + turns * interval_s))

    def _believed(self, status: Status) -> Status:
        """What an answer is worth: a question that failed is not the job's failure unless that is said again."""
        if isinstance(status, Queued | Running):
            self._last_word = ""
        if not isinstance(status, Failed) or not status.unconfirmed:
            self._failing.broken()
            return status
        self._failing.seen()
        if self._row.error_code is None:
            self._run.ledger.note(self._row.id, error=status.message, error_code=UNCONFIRMED)
        if over.confirmed(self._failing):
            return status
        return Inconclusive(message=status.message, ended=True)

    def _settled(self, status: Status) -> bool:
        """Book a status; True if the job is over."""
        run, row = self._run, self._row
        self._watch(status)
        match status:
            case Queued():
                place = "" if status.position is None else f", {status.position} before it"
                self._tell(f"queued at {row.provider}{place}")
            case Running():
                self._tell(f"rendering at {row.provider}")
                if status.progress is not None:
                    run.events.doing(self._number, f"rendering {status.progress:.0%} at {row.provider}")
            case Inconclusive():
                self._last_word = status.message
                if status.ended:
                    self._tell(f"over at {row.provider}, but can't be read: {status.message}; asking again")
                if status.key_rejected:
                    run.close_provider(row.provider, status.message)
            case Done() | Failed() | Cancelled():
                job_end.book(run, row, self._number, status, self._ended_at())
                return True
            case Missing():
                self._last_word = f"{row.provider} does not find the job"
                return self._forgotten()
        return False

    def _more_s(self) -> float | None:
        """When to look once more although the time is up: an absence that was just seen is neither believed nor left.

        None: not again in this run.
        """
        if self._missing.begun:
            return self._missing.left_s
        old = over.old_enough(self._unreadable_s)
        return self._unreadable.left_s if self._unreadable.begun and not self._unreadable.lasting and old else None

    @property
    def _unreadable_s(self) -> float | None:
        """How long the result can't be read, by the provider's clock."""
        now, since = self._run.clocks.now(self._row.provider), self._row.unreadable_since
        return None if now is None or since is None else now - since

    def _watch(self, status: Status) -> None:
        """Whether what was not there is still not there, and nothing else was heard."""
        run, row = self._run, self._row
        self._errors = self._errors + 1 if isinstance(status, Inconclusive) else 0
        if isinstance(status, Missing):
            self._missing.seen()
        else:
            self._missing.broken()
        if isinstance(status, Inconclusive) and status.ended:
            self._unreadable.seen()
            since = run.clocks.now(row.provider)
            if row.unreadable_since is None and since is not None:
                ended_at = self._ended_at() if row.rendered_at is None else row.rendered_at
                run.ledger.note(row.id, rendered_at=ended_at, unreadable_since=since)
        else:
            self._unreadable.broken()
            if row.unreadable_since is not None and isinstance(status, Queued | Running):
                run.ledger.note(row.id, unreadable_since=None)

    def _ended_at(self) -> float:
        """Now, by the monotonic clock: a generation does not take a day because the wall clock jumped."""
        sent = self._run.sent_at.get(self._row.id)
        if sent is None or self._row.submitted_at is None:
            return self._run.now()
        return self._row.submitted_at + self._seen_over_at - sent

    def _forgotten(self) -> bool:
        run, row = self._run, self._row
        if not over.forgotten(self._missing):
            return False
        if row.error_code == QUEUE:  # an earlier run was killed between the cancel and its commit
            self._book_cancelled(None)
            return True
        error = f"{row.provider} no longer knows job {row.job_id}"
        run.ledger.move(row.id, State.LOST, charged=row.price, charged_by="assumed", error=error)
        run.say(self._number, f"lost: {error}", event="lost", job=row.job_id)
        return True

    async def cancelled(self, why: str = "") -> bool:
        """Cancel a job that never left the queue; True if it is over, one way or the other. `why`: else its time."""
        run, row, provider = self._run, self._row, self._provider
        self._why_cancelled = why or self._why_cancelled
        job, key = client.job_of(row, provider.codec), provider.key or ""
        call = provider.codec.cancel(job, row.base_url, key)
        if call is None:
            return False
        run.ledger.note(row.id, error=f"{self._why_cancelled}{CANCELLING}", error_code=QUEUE)
        self._row = run.ledger.get(row.id)
        agreed, told = False, None
        try:
            reply = await client.send(run, call, provider.timeout_s or client.ASK_S, row.provider)
            agreed = reply.status // 100 == 2
            said = provider.codec.status(call, reply, job, key)
            told = said.charged if isinstance(said, Cancelled) else None
        except VgenError as exc:
            self._last_word = str(exc)
        for _ in range(CANCEL_LOOKS):
            status = self._believed(await client.ask(run, row))
            if isinstance(status, Cancelled) or (isinstance(status, Missing) and agreed):
                charged = status.charged if isinstance(status, Cancelled) else None
                self._book_cancelled(told if charged is None else charged)
                return True
            if isinstance(status, Running) or self._settled(status):
                return not isinstance(status, Running)
            await trio.sleep(provider.poll_interval_s or 1.0)
        if agreed:  # to take a request to cancel is not to have cancelled: the job may have begun meanwhile
            self._last_word = f"{row.provider} was asked to cancel it, and has not said that it did"
        return False

    def _book_cancelled(self, told: int | None) -> None:
        """It never left the queue: booked as charged unless the provider says otherwise; the fallback's turn."""
        run, row = self._run, self._row
        charged, by = job_end.cost(told, row)
        error = f"cancelled, because {(row.error or '').removesuffix(CANCELLING) or self._why_cancelled}"
        run.ledger.move(row.id, State.CANCELLED, charged=charged, charged_by=by, error=error, error_code=QUEUE)
        run.say(self._number, f"{error} (booked {show(charged)}, {by})", event="cancelled")

    def _given_up(self) -> bool:
        """Book a job whose outcome can't be read as failed and charged; True if it was time to."""
        run, row = self._run, self._row
        if not over.unreadable(self._unreadable, self._unreadable_s):
            return False
        error = f"over at {row.provider}, but its result can't be read ({self._last_word})"
        run.ledger.move(
            row.id, State.FAILED, charged=row.price, charged_by="assumed", error=error, error_code=UNREADABLE,
        )  # fmt: skip
        run.say(self._number, f"given up: {error} (booked {show(row.price)}, assumed)", event="job_failed")
        return True

    def _detach(self) -> None:
        run, row = self._run, self._row
        run.detached.add(row.id)
        word = f" (last word: {self._last_word})" if self._last_word else ""
        what = f"not collected from {row.provider}" if self._last_word else f"still running at {row.provider}"
        raise ClipFailed(
            f"{what} after {run.settings.run.clip_timeout_s:g} s as job {row.job_id}{word}; "
            f"it is paid for, run again to collect it{client.how_long(run, row)}, or {how_to_end(row)}"
        )

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._run.say(self._number, text, event="status", job=self._row.job_id)
            self._run.events.doing(self._number, text)
