"""An order whose answer was lost, at a provider that knows it by its tag: asked for, or sent again, never bought twice.

The repeat is the same request, byte for byte, with the same tag. A provider of class Replay answers it with the first
job; one of class LookUp takes each tag once and refuses it the second time.
"""

from enum import Enum, auto

import trio

from vgen.errors import AlreadyBought, ClipFailed, NoAnswer, NotSent, WireError
from vgen.inputs.settings import Provider
from vgen.money import show
from vgen.plan.decision import how_to_end
from vgen.plan.request import ShotRequest
from vgen.production import booking, client, order_pictures, submit
from vgen.production.finding import Finding, Verdict
from vgen.production.run import Run
from vgen.providers.base import Accepted, Answer, Order, RefusalReason, Refused, Unclear
from vgen.providers.codec import LookUp, Replay
from vgen.store.purchase import State
from vgen.store.records import Facts, Purchase

PAUSES_S = (0.0, 2.0, 10.0, 30.0)
"""Before each try. Kling shows an order at once (152 of 152 look-ups, measured by others); a server may restart."""

RETRY_S = 5.0
"""How long a provider is left alone that says "later" and not when."""

_TRY_LATER = frozenset({RefusalReason.RATE_LIMITED, RefusalReason.SERVER_ERROR})
_NEVER_TAKEN = frozenset({RefusalReason.INPUT, RefusalReason.SETUP})
"""The provider judges the request itself so: the first one, which was the same, had no other answer."""


class _Said(Enum):
    NOTHING = auto()
    """Neither yes nor no: try later."""
    HAS_NONE = auto()
    """The provider has no order of this tag."""


async def settle(run: Run, row: Purchase, provider: Provider, request: ShotRequest | None) -> Finding:
    """What became of an uncertain order. It is sent again only for a shot whose order today is the same."""
    lost = provider.codec.LOST_ORDERS
    order = None if request is None else same_order(row, request)
    text = f"it could not be learnt whether {provider.name} has it; run again, or {how_to_end(row)}"
    for pause_s in PAUSES_S if request is not None else PAUSES_S[:1]:
        await trio.sleep(pause_s)
        if isinstance(lost, LookUp):
            found = await _look_up(run, row, provider, lost)
            if isinstance(found, Finding):
                return found
            if found is _Said.NOTHING:
                continue
        elif isinstance(lost, Replay) and (problem := await _too_old(run, row, provider, lost)):
            return Finding(verdict=Verdict.UNKNOWN, text=f"{problem}; {how_to_end(row)}")
        if request is None:
            text = "not there yet; the run that makes the shot asks again, and orders it under its old tag"
        if order is None or request is None:
            break
        if refusal := _may_not_send(run, row, provider, request):
            return Finding(verdict=Verdict.UNKNOWN, text=f"not sent again: {refusal}; {how_to_end(row)}")
        finding = await _again(run, row, provider, request, order)
        if finding is not None:
            return finding
    if order is None and request is not None:
        text = f"the shot's order is another one by now, so it is not sent again; {how_to_end(row)}"
    return Finding(verdict=Verdict.UNKNOWN, text=text)


def same_order(row: Purchase, request: ShotRequest) -> Order | None:
    """The order that a shot has today at the purchase's provider, if it is the one that was sent."""
    orders = (offer.order for offer in request.offers if offer.provider == row.provider)
    sent = (row.model, row.path, row.request)
    return next((order for order in orders if order and (order.model, order.path, order.text) == sent), None)


def _may_not_send(run: Run, row: Purchase, provider: Provider, request: ShotRequest) -> str:
    """Why nothing is sent to a provider now, not even again, since it may be bought only now; "" if it may be."""
    if (approved := run.intent.approved) is not None and request.number not in approved:
        return "the approved plan does not include it"
    if provider.account != row.account:
        return "it was ordered with another key"
    if provider.terms.base_url != row.base_url:
        return f"it was ordered at {row.base_url}"
    return run.stop_reason or run.closed.get(provider.name, "") or run.somebody_else_answers(provider)


async def _too_old(run: Run, row: Purchase, provider: Provider, lost: Replay) -> str:
    """Why a repeat might be taken for a new order; "" if it can't be."""
    age_s: float | None
    if (sent := run.sent_at.get(row.id)) is not None:
        age_s = trio.current_time() - sent
    else:
        await client.hear_the_clock(run, provider, row.model)
        age_s = run.clocks.age_s(row)
    if age_s is None:
        return f"nobody knows by {row.provider}'s clock how old it is, so it is not sent again"
    if age_s > lost.remembers_s:
        return f"{row.provider} may have forgotten it after {age_s / 3600:.0f} h, so it is not sent again"
    return ""


async def _look_up(run: Run, row: Purchase, provider: Provider, lost: LookUp) -> Finding | _Said:
    call = lost.find(row.tag, row.base_url, provider.key or "")
    try:
        reply = await client.send(run, call, client.ASK_S, row.provider)
    except WireError:
        return _Said.NOTHING
    job_id = lost.found(reply, row.tag)
    if job_id is None:
        return _Said.NOTHING
    if not job_id:
        return _Said.HAS_NONE
    job = provider.codec.job_from_id(job_id, row.model, row.base_url)
    try:
        run.ledger.move(row.id, State.RENDERING, job_id=job.id, urls=job.urls, error=None)
    except AlreadyBought:
        text = f"job {job.id} has its tag, and belongs to another purchase; see `doit audit`, or {how_to_end(row)}"
        return Finding(verdict=Verdict.UNKNOWN, text=text)
    return Finding(verdict=Verdict.ADOPTED, text=f"found as job {job.id}: it was bought, and will be collected")


async def _again(run: Run, row: Purchase, provider: Provider, request: ShotRequest, order: Order) -> Finding | None:
    """Send the same request with the same tag. None: nobody knows more than before."""
    try:
        pictures = await order_pictures.as_sent(run, request, order, provider, row.id)
    except ClipFailed as exc:
        return Finding(verdict=Verdict.UNKNOWN, text=f"not sent again: {exc}; {how_to_end(row)}")
    call = provider.codec.create(order, provider.terms, provider.key or "", pictures, row.tag)
    run.say(request.number, f"{provider.name}: asking for the same order again, with its old tag", event="resubmit")
    async with run.limits.occupy(provider.name, run.chain.rank(request.number)):
        slip = await booking.when_free(run, run.slips.hold)
        try:
            with trio.CancelScope(shield=True):  # between the answer and its commit no cancellation may fall
                try:
                    reply = await client.send(run, call, provider.timeout_s or submit.CREATE_S, provider.name)
                except (NotSent, NoAnswer):
                    return None
                answer = provider.codec.answer(reply, provider.terms)
                if isinstance(answer, Refused) and answer.job is not None:  # its own status tells why, and at what cost
                    answer = Accepted(job=answer.job)
                if isinstance(answer, Accepted):
                    facts = Facts(job_id=answer.job.id, urls=answer.job.urls, price=max(row.price, answer.quoted or 0))
                    facts["error"] = None
                    what = f"{provider.name}: BOUGHT as job {answer.job.id}"
                    await booking.answered(run, slip, row, (State.RENDERING,), facts, what)
        except AlreadyBought:
            text = f"{provider.name} answered with a job that belongs to another purchase; see `doit audit`"
            return Finding(verdict=Verdict.UNKNOWN, text=text)
        finally:
            slip.release()
    return _heard(run, row, provider, answer)


def _heard(run: Run, row: Purchase, provider: Provider, answer: Answer) -> Finding | None:
    match answer:
        case Accepted():
            text = f"it is job {answer.job.id}: bought once, and will be collected"
            return Finding(verdict=Verdict.ADOPTED, text=text)
        case Refused() if answer.reason in _NEVER_TAKEN:
            run.ledger.move(row.id, State.NOT_SENT, error=f"refused when it was sent again: {answer.message}")
            run.ledger.move(row.id, State.RELEASED)
            return Finding(verdict=Verdict.ABSENT, text=f"never taken ({answer.message}); {show(row.price)} released")
        case Refused() if answer.reason in _TRY_LATER:
            run.limits.of(provider.name).pause(answer.retry_after_s or RETRY_S)
            return None
        case Refused() if answer.reason in (RefusalReason.KEY, RefusalReason.CREDIT):
            run.close_provider(provider.name, answer.message)
            return None
        case Refused() | Unclear():
            return None
