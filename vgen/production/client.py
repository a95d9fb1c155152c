"""Questions to a provider's API within a run: send a call, ask how a job is."""

import contextlib
import dataclasses

from vgen import retry
from vgen.errors import WireError
from vgen.inputs.settings import Provider
from vgen.production.run import Run
from vgen.providers import CODECS
from vgen.providers.base import Call, Inconclusive, Job, Missing, Reply, Status
from vgen.providers.codec import Codec, Vendor
from vgen.redact import exactly
from vgen.store.records import Facts, Purchase

ASK_S = 30.0
REAL_KEY_LENGTH = 12
"""Shorter "keys" are test words, which may stand in any answer."""

LONG_PAUSE_S = 300.0
"""A provider that asks for a longer one is left alone for the rest of the run."""


def close_if_long(run: Run, name: str, wait_s: float) -> bool:
    """Whether a provider asks for a pause that nobody sits out; it is closed then."""
    if is_long := wait_s > max(LONG_PAUSE_S, run.settings.run.clip_timeout_s):
        run.close_provider(name, f"it asks to wait {wait_s:,.0f} s; run again later")
    return is_long


def vendor_of(run: Run, row: Purchase) -> Vendor:
    """Who sells by the protocol that a purchase was made by."""
    return CODECS[run.settings.protocol_of(row.provider, row.base_url)].VENDOR


def how_long(run: Run, row: Purchase) -> str:
    """Until when to come again for a video, in words to be put behind that; "" if its provider does not say."""
    kept_s = vendor_of(run, row).files_kept_s
    return "" if kept_s is None else f" ({row.provider} keeps a video for {in_words(kept_s)})"


def in_words(kept_s: float) -> str:
    """Hours, or days if they are many."""
    return f"{kept_s / 3600:g} h" if kept_s <= 48 * 3600 else f"{kept_s / 86_400:g} days"


async def ask(run: Run, row: Purchase) -> Status:
    """How the job is, in one question or two. Never raises: what is no answer comes as Inconclusive.

    Missing is only what the account says that bought the job, where it was bought. Who knows the job has it: a key that
    was changed within the account, and a base_url that moved, are written down with the purchase.
    """
    here = run.provider_of(row)
    if here is None:
        status: Status = Inconclusive(message=f"no key for {row.provider}", key_rejected=True)
    else:
        status = await _ask(run, row, here)
        if not isinstance(status, Missing | Inconclusive):
            _remember(run, row, here, {})
            return status
        if isinstance(status, Missing) and here.account != row.account:
            word = f"{row.provider} does not know it by this key; it was bought with another key, set that one"
            status = Inconclusive(message=word)
    if (there := run.moved_to(row)) is not None:
        base_url = there.terms.base_url
        urls = there.codec.job_from_id(row.job_id or "", row.model, base_url).urls
        moved = dataclasses.replace(row, base_url=base_url, urls={**row.urls, **urls})
        found = await _ask(run, moved, there, stranger=True)
        if not isinstance(found, Missing | Inconclusive):
            _remember(run, row, there, {"base_url": base_url, "urls": moved.urls})
            return found
    return status


def _remember(run: Run, row: Purchase, asked: Provider, facts: Facts) -> None:
    """Who knows the job, and that it had been ordered by now, if the ledger does not know that yet."""
    if row.account != asked.account:
        facts["account"] = asked.account
    if row.sent_before is None:
        facts |= run.clocks.dated(row.provider)
    if facts and not run.intent.read_only:
        run.ledger.note(row.id, **facts)


async def _ask(run: Run, row: Purchase, provider: Provider, *, stranger: bool = False) -> Status:
    """Ask one provider. If `stranger` (it did not sell the job), only a reply that contains the job's id counts."""
    protocol, key = provider.codec, provider.key or ""
    job = job_of(row, protocol)
    call = protocol.poll(job, row.base_url, key)
    for step in range(3):
        try:
            reply = await send(run, call, provider.timeout_s or ASK_S, row.provider)
        except WireError as exc:
            return Inconclusive(message=str(exc))
        if stranger and not step and job.id.encode() not in reply.body:
            return Inconclusive(message="an answer that does not name the job")
        meant = protocol.status(call, reply, job, key)
        if not isinstance(meant, Call):
            return meant
        call = meant
    return Inconclusive(message="the provider keeps redirecting to another address")


async def send(run: Run, call: Call, timeout_s: float, provider: str) -> Reply:
    """One call of the run's http, to a provider whose clock is read. A key that the answer repeats goes no further."""
    reply = await run.http.send(call, timeout_s=timeout_s)
    if (date := retry.http_date(reply.headers.get("date"))) is not None:
        run.clocks.heard(provider, date)
    text = reply.body.decode("utf-8", "surrogateescape")
    clean = exactly(text, run.settings.secrets(), min_length=REAL_KEY_LENGTH)
    if clean == text:
        return reply
    return dataclasses.replace(reply, body=clean.encode("utf-8", "surrogateescape"))


def job_of(row: Purchase, codec: Codec) -> Job:
    """The job as it was written down when it was bought; a row that was rebuilt has its usual addresses."""
    assert row.job_id is not None, "BUG: a job without an id"
    usual = codec.job_from_id(row.job_id, row.model, row.base_url).urls
    return Job(id=row.job_id, urls={**usual, **row.urls})


async def hear_the_clock(run: Run, provider: Provider, model: str) -> None:
    """Ask a free question for the date of its answer, unless the provider was heard in this run. It may go unheard."""
    if run.clocks.now(provider.name) is not None:
        return
    codec, base_url, key = provider.codec, provider.terms.base_url, provider.key or ""
    if codec.ACCOUNT is not None:
        call = codec.ACCOUNT.ask(base_url, key)
    else:
        call = codec.poll(codec.job_from_id("0", model, base_url), base_url, key)
    with contextlib.suppress(WireError):
        await send(run, call, ASK_S, provider.name)
