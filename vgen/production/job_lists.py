"""Looking for an order in a provider's own list of jobs: by the tag that it carried, or by its likeness. Never buys.

A job is adopted only if exactly one in the list has its tag (and prompt, if shown) and belongs to nobody.
It counts as "never arrived" only after a settling time by the provider's clock, and only if the same list reaches back
to an order that was sent before it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vgen import retry
from vgen.errors import WireError
from vgen.inputs.settings import Provider
from vgen.money import show
from vgen.plan.decision import how_to_end
from vgen.production import client, over
from vgen.production.finding import Finding, Verdict
from vgen.production.run import Run
from vgen.providers.base import Listed
from vgen.providers.codec import Likeness, TaggedList
from vgen.providers.kinds import FOLLOWS_PICTURE
from vgen.store.purchase import State
from vgen.store.records import Purchase

LAG_S = 86_400.0
"""So late, a list has every request that ended, whether or not it shows a later one."""
SKEW_S = 300.0
ABOUT_THEN_S = 240.0
"""A job that looks like an order was created within this time of it: a create's whole time, twice."""
MAX_PAGES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """What a provider's list shows. `whole`: all pages were read; `date`: of the answer, by the provider."""

    jobs: Sequence[Listed]
    whole: bool
    date: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of whose list: since a moment, by the provider's clock."""

    since: float
    base_url: str
    key: str = field(repr=False)


async def tagged(run: Run, row: Purchase, find: TaggedList, *, may_release: bool) -> Finding:
    """Look for an uncertain purchase by its tag, where it was bought or where its provider is now.

    Adopts it, or releases it if it provably never arrived.
    """
    here, there = run.provider_of(row), run.moved_to(row)
    places = ([(here, row.base_url)] if here else []) + ([(there, there.terms.base_url)] if there else [])
    for provider, base_url in places:
        listed = await _search(run, row, find, base_url, provider.key or "")
        if listed is not None:
            break
    else:
        text = f"its list of requests could not be read; try again later, or {how_to_end(row)}"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    mine = _alike(run, row, find, listed)
    if find.shared_field in json.loads(row.request):
        return Finding(verdict=Verdict.UNKNOWN, text=f"{_told(mine)}, and it has no tag of its own; {how_to_end(row)}")
    if not mine and (counted := _counted_for(run, row, find, listed)) is not None:
        mine = _alike(run, counted, find, listed) if counted.recipe == row.recipe else []
        if not mine:
            text = f"it arrived, and its job counts for shot {counted.shot_number}'s order by your word"
            return Finding(verdict=Verdict.UNKNOWN, text=f"{text}; {how_to_end(row)}")
    if len(mine) == 1:
        job = provider.codec.job_from_id(mine[0].id, row.model, base_url)
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
    return _not_listed(run, row, find, listed, may_release=may_release and sold_here)


async def alike(run: Run, row: Purchase, find: Likeness, provider: Provider) -> Finding:
    """Look for jobs that look like an uncertain purchase. Which it is, if any, is the user's to say."""
    since = (row.sent_before or run.clocks.now(row.provider) or row.created_at) - SKEW_S - ABOUT_THEN_S
    window = Window(since=since, base_url=row.base_url, key=provider.key or "")
    listed = await _listed(run, row, find, window)
    if listed is None:
        text = f"its list of jobs could not be read; try again later, or {how_to_end(row)}"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    request = json.loads(row.request)
    said = {name: str(request[name]) for name in find.fields if name in request}
    wanted = {name: value for name, value in said.items() if not value.startswith(FOLLOWS_PICTURE)}
    owned = run.ledger.job_ids(row.provider)
    like = [job for job in listed.jobs if job.id not in owned and _is_like(job, wanted, row.sent_before)]
    return Finding(verdict=Verdict.UNKNOWN, text=f"{_told(like)}; {how_to_end(row)}")


def _told(like: Sequence[Listed]) -> str:
    if not like:
        return "no job in its list looks like it"
    ids = ", ".join(job.id for job in like[:5])
    return f"{len(like)} in its list look{'s' if len(like) == 1 else ''} like it: {ids}"


def _is_like(job: Listed, wanted: Mapping[str, str], sent_before: float | None) -> bool:
    if sent_before is not None and job.created_at is not None and abs(sent_before - job.created_at) > ABOUT_THEN_S:
        return False
    return all(job.fields.get(name, value).lower() == value.lower() for name, value in wanted.items())


def _alike(run: Run, row: Purchase, find: TaggedList, listed: Jobs) -> list[Listed]:
    """Jobs that carry an order's tag, and its prompt if the list shows prompts, and belong to no purchase."""
    owned = run.ledger.job_ids(row.provider)
    return [job for job in _of(row, find, listed) if job.id not in owned]


def _of(row: Purchase, find: TaggedList, listed: Jobs) -> list[Listed]:
    prompt = dict(row.manifest)["prompt"]
    tag = str(json.loads(row.request).get(find.shared_field, find.sent_as(row.tag)))
    return [job for job in listed.jobs if job.tag == tag and job.prompt in (None, prompt)]


def _counted_for(run: Run, row: Purchase, find: TaggedList, listed: Jobs) -> Purchase | None:
    """The purchase that has this order's own job: a user who settled one of two lost orders can't tell them apart."""
    found = (run.ledger.with_job(row.provider, job.id) for job in _of(row, find, listed))
    return next((other for other in found if other is not None and other.id != row.id), None)


def _not_listed(run: Run, row: Purchase, find: TaggedList, listed: Jobs, *, may_release: bool) -> Finding:
    """What it means that an order is not in the list.

    Nothing, unless the list is whole and reaches back to an order that was sent before it, and the provider's own clock
    says that the list must have it by now. Where only ended jobs are listed, a later order must be there too, or a day
    must have passed.
    """
    reason = ""
    age_s = None if listed.date is None or row.sent_before is None else listed.date - row.sent_before
    before, after = run.ledger.jobs_around(row.id)
    found = {job.id for job in listed.jobs if job.tag}  # a list that shows no tags proves nothing either
    if not listed.whole or age_s is None:
        reason = "not in what could be read of its list, which proves nothing"
    elif age_s > over.JOBS_KEPT_S:
        reason = "not in its list, which does not reach back to it any more"
    elif age_s < find.lag_s:
        left = (find.lag_s - age_s) / 60
        what = "its list yet" if find.shows_running else "its list of ended requests yet; it may still be running"
        reason = f"not in {what}, look again in {left:.0f} min"
    elif not before & found:
        reason = "not in its list, but the list shows no earlier job of yours either, so that proves nothing"
    elif not find.shows_running and age_s < LAG_S and not after & found:
        reason = "not in its list, but the list shows no later job of yours either; look again tomorrow"
    if reason:
        return Finding(verdict=Verdict.UNKNOWN, text=f"{reason}, or {how_to_end(row)}")
    if not may_release:
        return Finding(verdict=Verdict.UNKNOWN, text="not in its list; `doit recover` releases the money")
    run.ledger.move(row.id, State.NOT_SENT, error="the provider's list does not have it")
    run.ledger.move(row.id, State.RELEASED)
    return Finding(verdict=Verdict.ABSENT, text=f"never arrived; {show(row.price)} released")


async def _search(run: Run, row: Purchase, find: TaggedList, base_url: str, key: str) -> Jobs | None:
    """What is listed since shortly before an order; if it is not there, all of a week. None: the list can't be read.

    When the order was sent is told by this machine's clock alone, and that may have been wrong: whoever is not found in
    the first window is searched for in one that the provider's clock tells.
    """
    ahead_s = row.clock_ahead_s
    margin_s = 86_400.0 if ahead_s is None else SKEW_S
    since = (row.submitted_at or row.created_at) - (ahead_s or 0.0) - margin_s
    listed = await _listed(run, row, find, Window(since=since, base_url=base_url, key=key))
    if listed is None or listed.date is None:
        return listed
    if row.sent_before is None:
        run.ledger.note(row.id, **run.clocks.dated(row.provider))
    if _alike(run, row, find, listed):
        return listed
    week = Window(since=listed.date - over.JOBS_KEPT_S, base_url=base_url, key=key)
    return await _listed(run, row, find, week)


async def _listed(run: Run, row: Purchase, find: TaggedList | Likeness, window: Window) -> Jobs | None:
    """All that is listed in a window, or None if any page is unreadable."""
    found: list[Listed] = []
    cursor: str | None = None
    date: float | None = None
    for _ in range(MAX_PAGES):
        call = find.list_jobs(row.model, max(window.since, 0.0), window.base_url, window.key, cursor)
        await run.limits.of(row.provider).turn_to_list(find.apart_s)
        try:
            reply = await client.send(run, call, client.ASK_S, row.provider)
        except WireError:
            return None
        page = find.parse_job_list(reply, cursor)
        if page is None:
            return None
        date = date or retry.http_date(reply.headers.get("date"))
        found += page.jobs
        cursor = page.more
        if cursor is None:
            break
    return Jobs(jobs=found, whole=cursor is None, date=date)
