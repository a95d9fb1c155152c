"""What becomes of purchases that are uncertain, lost or given up: their providers are asked again. Never buys.

How depends on what the protocol offers: a list with tags (`job_lists`), a repeat or a look-up by the order's own tag
(`resend`), a list without tags, or nothing.
"""

from collections.abc import AsyncIterator, Callable

from vgen.errors import WireError
from vgen.money import show
from vgen.plan.decision import NOT_KEPT, UNREADABLE, how_to_end, settle_command
from vgen.plan.request import ShotRequest
from vgen.production import client, job_end, job_lists, over, resend
from vgen.production.finding import Finding, Verdict
from vgen.production.run import Run
from vgen.providers import CODECS
from vgen.providers.base import Cancelled, Done, Failed, Queued, Running
from vgen.providers.codec import AccountCall, Likeness, LookUp, Replay, TaggedList
from vgen.store.purchase import SETTLED, State
from vgen.store.records import Purchase


async def adopt(run: Run, row: Purchase, request: ShotRequest) -> bool:
    """Whether it is known now what became of an uncertain purchase: it was found, or it never arrived."""
    codec = CODECS[run.settings.protocol_of(row.provider, row.base_url)]
    if row.state is not State.UNCERTAIN or not run.is_online or codec.LOST_ORDERS is None:
        return False
    finding = await look(run, row, may_release=False, request=request)
    run.say(request.number, f"{row.provider}: {finding.text}", event="looked_up", verdict=finding.verdict.value)
    return finding.verdict is not Verdict.UNKNOWN


async def ask_again(run: Run, row: Purchase, number: int, *, anew: bool = False) -> bool:
    """Whether a purchase that was lost or given up is at its provider after all; then it is being collected again.

    Once a run, and only as long as the provider may keep it; `anew`: now, whatever was asked before.
    """
    given_up = row.state is State.FAILED and row.error_code == UNREADABLE
    if not (row.state is State.LOST or given_up) or row.job_id is None or not run.is_online:
        return False
    if row.error_code == NOT_KEPT:
        return False
    kept_s = client.vendor_of(run, row).files_kept_s
    if not anew and (row.id in run.asked_again or not over.worth_asking(run.clocks.age_s(row), kept_s)):
        return False
    run.asked_again.add(row.id)
    status = await client.ask(run, row)
    row = run.ledger.get(row.id)
    match status:
        case Done():
            job_end.book(run, row, number, status, row.rendered_at or run.now())
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
    if row.error_code == NOT_KEPT:
        return f"job {row.job_id} is paid and over: {row.error}"
    return f"job {row.job_id} is still not there; {row.error}"


async def look(run: Run, row: Purchase, *, may_release: bool, request: ShotRequest | None = None) -> Finding:
    """Look for an uncertain purchase at its provider: adopt it, or release it if it provably never arrived.

    `request`: of a shot that is being made. Then an order whose repeat can't be bought twice may be sent once more.
    """
    provider = run.provider_of(row) or run.moved_to(row)
    if provider is None or provider.key is None:
        text = f"no key for {row.provider}, so it was not asked; {how_to_end(row)}"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    match provider.codec.LOST_ORDERS:
        case TaggedList() as find:
            return await job_lists.tagged(run, row, find, may_release=may_release)
        case Likeness() as find:
            return await job_lists.alike(run, row, find, provider)
        case Replay() | LookUp():
            return await resend.settle(run, row, provider, request)
        case None:
            return Finding(
                verdict=Verdict.UNKNOWN, text=await _counters(run, row, provider.codec.ACCOUNT, provider.key)
            )


async def _counters(run: Run, row: Purchase, account: AccountCall | None, key: str) -> str:
    """A provider without a list: its own counters, as evidence and no more."""
    ways = f"{settle_command(row)} or as=not-charged"
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
        f"counts {made} generations of {row.model} in the last 24 h, vgen knows of {known}: a hint, not a proof; {ways}"
    )


async def overcharges(run: Run, counted: Callable[[int, int], None]) -> AsyncIterator[str]:
    """Where a provider's own figure for a job differs from the ledger's. Asks for each job once; nothing is changed.

    `counted`: told how many were asked about, of how many.
    """
    rows = [row for row in run.ledger.with_jobs(simulated=run.settings.simulated) if row.state in SETTLED]
    for done, row in enumerate(rows):
        counted(done, len(rows))
        if run.provider_of(row) is None:
            continue
        status = await client.ask(run, row)
        told = status.charged if isinstance(status, Done | Failed | Cancelled) else None
        if told is not None and told != row.charged:
            said = f"{row.provider} says {show(told)} for job {row.job_id}"
            yield f"purchase {row.id}: {said}, booked {show(row.charged)}"
