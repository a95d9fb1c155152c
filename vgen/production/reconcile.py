"""What becomes of uncertain purchases: looked for at the provider, adopted, or settled by the user. Never buys.

A job is adopted only if exactly one in the provider's list has its correlation seed and prompt and belongs to nobody.
It counts as "never arrived" only after a settling time, and only if the same list shows a later job of ours.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from vgen.errors import AlreadyBought, InputError, WireError
from vgen.money import show
from vgen.production import client
from vgen.production.run import Run
from vgen.providers import CODECS
from vgen.providers.base import Cancelled, Done, Failed, Listed
from vgen.providers.codec import AccountCall, Codec, TaggedList
from vgen.store.ledger import Ledger
from vgen.store.purchase import SETTLED, State
from vgen.store.records import Purchase

SETTLE_S = 3600.0
"""fal lists only requests that have ended: one that waits or runs must have had time to end (reliability 2.4)."""
SKEW_S = 300.0
MAX_PAGES = 20


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


async def adopt(batch: Run, row: Purchase, number: int) -> bool:
    """Whether an uncertain purchase was found at its provider just now; if so, it is being collected again."""
    codec = CODECS[batch.settings.protocol_of(row.provider, row.base_url)]
    if row.state is not State.UNCERTAIN or not batch.is_online or codec.LOST_ORDERS is None:
        return False
    finding = await look(batch, row, may_release=False)
    batch.say(number, f"{row.provider}: {finding.text}", event="looked_up", verdict=finding.verdict.value)
    return finding.verdict is Verdict.ADOPTED


async def look(batch: Run, row: Purchase, *, may_release: bool) -> Finding:
    """Ask the provider for an uncertain purchase; adopt it, or release it if it provably never arrived."""
    provider = batch.provider_of(row)
    if provider is None or provider.key is None:
        return Finding(verdict=Verdict.UNKNOWN, text=f"no key for {row.provider}, so it was not asked")
    codec = provider.codec
    if codec.LOST_ORDERS is None:
        return Finding(verdict=Verdict.UNKNOWN, text=await _counters(batch, row, codec.ACCOUNT, provider.key))
    listed = await _listed(batch, row, codec.LOST_ORDERS, provider.key)
    if listed is None:
        return Finding(verdict=Verdict.UNKNOWN, text="its list of requests could not be read; try again later")
    owned = batch.ledger.job_ids(row.provider)
    alike = [job for job in listed if job.correlation_seed == row.correlation_seed and job.prompt == _prompt(row)]
    mine = [job for job in alike if job.id not in owned]
    if len(mine) == 1:
        job = codec.job_from_id(mine[0].id, row.model, row.base_url)
        batch.ledger.move(row.id, State.RENDERING, job_id=job.id, urls=job.urls, error=None)
        return Finding(verdict=Verdict.ADOPTED, text=f"found as job {job.id}: it was bought, and will be collected")
    if mine:
        return Finding(verdict=Verdict.UNKNOWN, text=f"{len(mine)} jobs look like it; settle it by hand")
    return _not_listed(batch, row, listed, may_release=may_release)


def _not_listed(batch: Run, row: Purchase, listed: list[Listed], *, may_release: bool) -> Finding:
    sent_at = row.submitted_at or row.created_at
    waited_s = batch.now() - sent_at
    if waited_s < SETTLE_S:
        left = (SETTLE_S - waited_s) / 60
        text = f"not in its list of ended requests yet; it may still be running, look again in {left:.0f} min"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    later = batch.ledger.jobs_sent_after(row.provider, row.account, sent_at)
    if not later & {job.id for job in listed}:
        text = "not in its list, but the list shows no later job of yours either, so that proves nothing"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    if not may_release:
        return Finding(verdict=Verdict.UNKNOWN, text="not in its list; `doit recover` releases the money")
    batch.ledger.move(row.id, State.NOT_SENT, error="the provider's list does not have it")
    batch.ledger.move(row.id, State.RELEASED)
    return Finding(verdict=Verdict.ABSENT, text=f"never arrived; {show(row.price)} released")


async def _listed(batch: Run, row: Purchase, find: TaggedList, key: str) -> list[Listed] | None:
    """All ended requests since shortly before the order, or None if any page is unreadable."""
    since = (row.submitted_at or row.created_at) - SKEW_S
    found: list[Listed] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        call = find.list_jobs(row.model, since, row.base_url, key, cursor)
        try:
            reply = await client.send(batch, call, client.ASK_S)
        except WireError:
            return None
        page = find.parse_job_list(reply)
        if page is None:
            return None
        found += page.jobs
        cursor = page.more
        if cursor is None:
            return found
    return None


async def _counters(batch: Run, row: Purchase, account: AccountCall | None, key: str) -> str:
    """A provider without a list: its own counters, as evidence and no more."""
    nothing = "has no list of jobs, so it can't be asked; look at its dashboard and use `doit settle`"
    if account is None:
        return nothing
    try:
        reply = await client.send(batch, account.ask(row.base_url, key), client.ASK_S)
    except WireError as exc:
        return f"{nothing} ({exc})"
    made = account.generations_today(reply, row.model)
    if made is None:
        return nothing
    known = batch.ledger.accepted_since(row.provider, row.account, row.model, batch.now() - 86_400)
    return (
        f"counts {made} generations of {row.model} in the last 24 h, vgen knows of {known}: evidence, no proof; "
        f"`doit settle shot={row.shot_number} as=charged` or `as=not-charged`"
    )


def _prompt(row: Purchase) -> str:
    return dict(row.manifest)["prompt"]


async def overcharges(batch: Run) -> AsyncIterator[str]:
    """Where a provider's own figure for a job differs from the ledger's. Asks for each job once; nothing is changed."""
    for row in batch.ledger.with_jobs(simulated=batch.settings.simulated):
        if row.state not in SETTLED or batch.provider_of(row) is None:
            continue
        status = await client.ask(batch, row)
        told = status.charged if isinstance(status, Done | Failed | Cancelled) else None
        if told is not None and told != row.charged:
            said = f"{row.provider} says {show(told)} for job {row.job_id}"
            yield f"purchase {row.id}: {said}, booked {show(row.charged)}"


def settle(ledger: Ledger, row: Purchase, word: str, codec: Codec) -> str:
    """Write down what the user found out about an uncertain purchase: `charged`, `not-charged`, or the job's id.

    `codec`: of the protocol that it was bought by. Raises InputError if the job belongs to another purchase.
    """
    match word:
        case "charged":
            error = "settled by the user: charged, and no file"
            ledger.move(row.id, State.LOST, charged=row.price, charged_by="user", error=error)
            return f"booked {show(row.price)} as spent; `doit -a clip:{row.shot_number}` buys the shot again"
        case "not-charged":
            ledger.move(row.id, State.NOT_SENT, error="settled by the user: not charged")
            ledger.move(row.id, State.RELEASED)
            return f"released {show(row.price)}; the next run buys the shot"
        case _:
            job = codec.job_from_id(word, row.model, row.base_url)
            try:
                ledger.move(row.id, State.RENDERING, job_id=job.id, urls=job.urls, error=None)
            except AlreadyBought as exc:
                raise InputError([f"as={word}: that job belongs to another purchase"]) from exc
            return f"adopted job {job.id}; the next run collects it, free"
