"""What becomes of purchases that are uncertain, lost or given up: their providers are asked again. Never buys.

A job is adopted only if exactly one in the provider's list has its correlation seed and prompt and belongs to nobody.
It counts as "never arrived" only after a settling time by the provider's clock, and only if the same list reaches back
to an order that was sent before it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vgen import retry
from vgen.errors import WireError
from vgen.money import show
from vgen.plan.decision import UNREADABLE, how_to_end, settle_command
from vgen.production import client, over, poll
from vgen.production.run import Run
from vgen.providers import CODECS
from vgen.providers.base import Cancelled, Done, Failed, Listed, Queued, Running
from vgen.providers.codec import AccountCall, TaggedList
from vgen.store.purchase import SETTLED, State
from vgen.store.records import Purchase

SETTLE_S = 3600.0
"""fal lists only requests that have ended: one that waits or runs must have had time to end (reliability 2.4)."""
LAG_S = 86_400.0
"""So late, a list has every request that ended, whether or not it shows a later one."""
SKEW_S = 300.0
MAX_PAGES = 100


class Verdict(StrEnum):
    """What a look-up says of one uncertain purchase."""

    ADOPTED = "adopted"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A verdict, and one line for the person."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Jobs:
    """What a provider's list shows. `whole`: all pages were read; `date`: of the answer, by the provider."""

    jobs: Sequence[Listed]
    whole: bool
    date: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Which part of whose list: what ended since a moment, by the provider's clock."""

    since: float
    base_url: str
    key: str = field(repr=False)


async def adopt(run: Run, row: Purchase, number: int) -> bool:
    """Whether an uncertain purchase was found at its provider just now; if so, it is being collected again."""
    codec = CODECS[run.settings.protocol_of(row.provider, row.base_url)]
    if row.state is not State.UNCERTAIN or not run.is_online or codec.LOST_ORDERS is None:
        return False
    finding = await look(run, row, may_release=False)
    run.say(number, f"{row.provider}: {finding.text}", event="looked_up", verdict=finding.verdict.value)
    return finding.verdict is Verdict.ADOPTED


async def ask_again(run: Run, row: Purchase, number: int, *, anew: bool = False) -> bool:
    """Whether a purchase that was lost or given up is at its provider after all; then it is being collected again.

    Once a run, and only as long as the provider may keep it; `anew`: now, whatever was asked before.
    """
    given_up = row.state is State.FAILED and row.error_code == UNREADABLE
    if not (row.state is State.LOST or given_up) or row.job_id is None or not run.is_online:
        return False
    if not anew and (row.id in run.asked_again or not over.worth_asking(run.clocks.age_s(row))):
        return False
    run.asked_again.add(row.id)
    status = await client.ask(run, row)
    row = run.ledger.get(row.id)
    match status:
        case Done():
            poll.book(run, row, number, status, row.rendered_at or run.now())
            return True
        case Queued() | Running() if row.state is State.LOST:
            run.ledger.move(row.id, State.RENDERING, charged=0, error=None)
            run.say(number, f"found again at {row.provider}: it is still being made", event="found", job=row.job_id)
            return True
    return False


async def look_again(run: Run, row: Purchase) -> str:
    """`doit recover` for a lost purchase: what its provider says of it now, for the user."""
    if await ask_again(run, row, row.shot_number, anew=True):
        return f"job {row.job_id} is there after all; the next run collects it, free"
    return f"job {row.job_id} is still not there; {row.error}"


async def look(run: Run, row: Purchase, *, may_release: bool) -> Finding:
    """Ask the provider for an uncertain purchase; adopt it, or release it if it provably never arrived."""
    here = run.provider_of(row)
    if (provider := here or run.moved_to(row)) is None or provider.key is None:
        text = f"no key for {row.provider}, so it was not asked; {how_to_end(row)}"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    codec = provider.codec
    if codec.LOST_ORDERS is None:
        return Finding(verdict=Verdict.UNKNOWN, text=await _counters(run, row, codec.ACCOUNT, provider.key))
    base_url = row.base_url if here else provider.terms.base_url
    listed = await _search(run, row, codec.LOST_ORDERS, base_url, provider.key)
    if listed is None and here and (there := run.moved_to(row)) and there.key:
        provider, base_url = there, there.terms.base_url
        listed = await _search(run, row, codec.LOST_ORDERS, base_url, there.key)
    if listed is None:
        text = f"its list of requests could not be read; try again later, or {how_to_end(row)}"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    mine = _alike(run, row, listed)
    if len(mine) == 1:
        job = codec.job_from_id(mine[0].id, row.model, base_url)
        run.ledger.move(
            row.id, State.RENDERING, job_id=job.id, urls=job.urls, error=None, account=provider.account,
            base_url=base_url,
        )  # fmt: skip
        return Finding(verdict=Verdict.ADOPTED, text=f"found as job {job.id}: it was bought, and will be collected")
    if mine:
        text = f"{len(mine)} jobs look like it; say which with `doit settle shot={row.shot_number} as=JOB-ID`"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    row = run.ledger.get(row.id)
    sold_here = (provider.account, base_url) == (row.account, row.base_url)
    return _not_listed(run, row, listed, may_release=may_release and sold_here)


def _alike(run: Run, row: Purchase, listed: _Jobs) -> list[Listed]:
    """Jobs that have an order's seed and prompt, and belong to no purchase."""
    owned = run.ledger.job_ids(row.provider)
    alike = [job for job in listed.jobs if job.correlation_seed == row.correlation_seed and job.prompt == _prompt(row)]
    return [job for job in alike if job.id not in owned]


def _not_listed(run: Run, row: Purchase, listed: _Jobs, *, may_release: bool) -> Finding:
    """What it means that an order is not in the list.

    Nothing, unless the list is whole and reaches back to an order that was sent before it, the provider's own clock
    says that it has had time to end, and a later order is listed too, or a day has passed.
    """
    reason = ""
    age_s = None if listed.date is None or row.sent_before is None else listed.date - row.sent_before
    before, after = run.ledger.jobs_around(row.id)
    found = {job.id for job in listed.jobs}
    if not listed.whole or age_s is None:
        reason = "not in what could be read of its list, which proves nothing"
    elif age_s > over.JOBS_KEPT_S:
        reason = "not in its list, which does not reach back to it any more"
    elif age_s < SETTLE_S:
        left = (SETTLE_S - age_s) / 60
        reason = f"not in its list of ended requests yet; it may still be running, look again in {left:.0f} min"
    elif not before & found:
        reason = "not in its list, but the list shows no earlier job of yours either, so that proves nothing"
    elif age_s < LAG_S and not after & found:
        reason = "not in its list, but the list shows no later job of yours either; look again tomorrow"
    if reason:
        return Finding(verdict=Verdict.UNKNOWN, text=f"{reason}, or {how_to_end(row)}")
    if not may_release:
        return Finding(verdict=Verdict.UNKNOWN, text="not in its list; `doit recover` releases the money")
    run.ledger.move(row.id, State.NOT_SENT, error="the provider's list does not have it")
    run.ledger.move(row.id, State.RELEASED)
    return Finding(verdict=Verdict.ABSENT, text=f"never arrived; {show(row.price)} released")


async def _search(run: Run, row: Purchase, find: TaggedList, base_url: str, key: str) -> _Jobs | None:
    """What ended since shortly before an order; if it is not there, all of a week. None: the list can't be read.

    When the order was sent is told by this machine's clock alone, and that may have been wrong: whoever is not found in
    the first window is searched for in one that the provider's clock tells.
    """
    ahead_s = row.clock_ahead_s
    margin_s = 86_400.0 if ahead_s is None else SKEW_S
    since = (row.submitted_at or row.created_at) - (ahead_s or 0.0) - margin_s
    listed = await _listed(run, row, find, _Window(since=since, base_url=base_url, key=key))
    if listed is None or listed.date is None:
        return listed
    if row.sent_before is None:
        run.ledger.note(row.id, **run.clocks.dated(row.provider))
    if _alike(run, row, listed):
        return listed
    week = _Window(since=listed.date - over.JOBS_KEPT_S, base_url=base_url, key=key)
    return await _listed(run, row, find, week)


async def _listed(run: Run, row: Purchase, find: TaggedList, window: _Window) -> _Jobs | None:
    """All requests that ended in a window, or None if any page is unreadable."""
    found: list[Listed] = []
    cursor: str | None = None
    date: float | None = None
    for _ in range(MAX_PAGES):
        call = find.list_jobs(row.model, max(window.since, 0.0), window.base_url, window.key, cursor)
        try:
            reply = await client.send(run, call, client.ASK_S, row.provider)
        except WireError:
            return None
        page = find.parse_job_list(reply)
        if page is None:
            return None
        date = date or retry.http_date(reply.headers.get("date"))
        found += page.jobs
        cursor = page.more
        if cursor is None:
            break
    return _Jobs(jobs=found, whole=cursor is None, date=date)


async def _counters(run: Run, row: Purchase, account: AccountCall | None, key: str) -> str:
    """A provider without a list: its own counters, as evidence and no more."""
    ways = f"{settle_command(row, alone=run.ledger.is_alone(row))} or as=not-charged"
    nothing = f"has no list of jobs, so it can't be asked; look at its dashboard, then {ways}"
    if account is None:
        return nothing
    try:
        reply = await client.send(run, account.ask(row.base_url, key), client.ASK_S, row.provider)
    except WireError as exc:
        return f"{nothing} ({exc})"
    made = account.generations_today(reply, row.model)
    if made is None:
        return nothing
    known = run.ledger.accepted_since(row.provider, row.account, row.model, run.now() - 86_400)
    return (
        f"counts {made} generations of {row.model} in the last 24 h, vgen knows of {known}: evidence, no proof; {ways}"
    )


def _prompt(row: Purchase) -> str:
    return dict(row.manifest)["prompt"]


async def overcharges(run: Run) -> AsyncIterator[str]:
    """Where a provider's own figure for a job differs from the ledger's. Asks for each job once; nothing is changed."""
    for row in run.ledger.with_jobs(simulated=run.settings.simulated):
        if row.state not in SETTLED or run.provider_of(row) is None:
            continue
        status = await client.ask(run, row)
        told = status.charged if isinstance(status, Done | Failed | Cancelled) else None
        if told is not None and told != row.charged:
            said = f"{row.provider} says {show(told)} for job {row.job_id}"
            yield f"purchase {row.id}: {said}, booked {show(row.charged)}"
