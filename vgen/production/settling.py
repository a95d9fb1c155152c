"""Ends a purchase by the user's word: charged, not charged, or this job. Asks no provider, and buys nothing."""

from collections.abc import Sequence

from vgen.errors import AlreadyBought, InputError
from vgen.money import show
from vgen.plan.decision import settle_command
from vgen.plan.request import ShotRequest
from vgen.production.job_end import DOUBT
from vgen.providers.codec import Codec
from vgen.store.ledger import Ledger
from vgen.store.purchase import State
from vgen.store.records import Purchase

ASSUMED = frozenset({State.FAILED, State.CANCELLED})
"""Ended without a clip; what it cost may have been assumed."""


def candidates(
    rows: Sequence[Purchase], shot: int, requests: Sequence[ShotRequest], which: str | None
) -> list[Purchase]:
    """The unfinished purchases that the user may mean: those of the shot as it is now, and as it was.

    Never what belongs to another shot of today's list, though it was bought when that one had this number.

    `which`: a job's id, or the number of a purchase without one; it is found whatever shot it was bought for.
    """
    if which is not None:
        return [row for row in rows if which == (row.job_id or str(row.id))]
    owners = {row.id: {one.number for one in requests if one.is_served_by(row)} for row in rows}
    return [row for row in rows if shot in (owners[row.id] or {row.shot_number})]


def ambiguous(rows: Sequence[Purchase], shot: int) -> list[str]:
    """Several may be meant: what each is, and how to name it."""
    return [f"{show(row.price)} at {row.provider}, {_job(row)}: {settle_command(row, number=shot)}" for row in rows]


def _job(row: Purchase) -> str:
    return f"job {row.job_id}" if row.job_id else f"purchase {row.id} without a job, {row.error or 'no answer came'}"


def settle(ledger: Ledger, row: Purchase, word: str, codec: Codec) -> str:
    """Write down what the user found out about a purchase: `charged`, `not-charged`, or the job's id.

    `codec`: of the protocol that it was bought by. Raises InputError if that can't be so.
    """
    match word:
        case "charged":
            return _charged(ledger, row)
        case "not-charged":
            return _not_charged(ledger, row)
        case _:
            return _adopted(ledger, row, word, codec)


def _charged(ledger: Ledger, row: Purchase) -> str:
    if row.state in ASSUMED:
        ledger.note(row.id, charged=row.charged, charged_by="user")
        return f"{show(row.charged)} stay booked as spent, by your word"
    told = row.charged if row.state in (State.RENDERED, State.FETCHED) else row.price
    _back_to_rendered(ledger, row)
    error = "you settled it as charged, so there is no clip"
    ledger.move(row.id, State.LOST, charged=told, charged_by="user", error=error)
    return f"booked {show(told)} as spent; `doit -a clip:{row.shot_number}` buys the shot again"


def _not_charged(ledger: Ledger, row: Purchase) -> str:
    error = "you settled it as not charged"
    if row.state in ASSUMED:
        cause = (row.error or "").partition(f"; {DOUBT}")[0]
        ledger.note(row.id, charged=0, charged_by="user", error=f"{cause}; {error}")
        return f"released {show(row.charged)}, which had been booked as spent"
    if row.state is State.UNCERTAIN:
        ledger.move(row.id, State.NOT_SENT, error=error)
        ledger.move(row.id, State.RELEASED)
    else:
        _back_to_rendered(ledger, row)
        ledger.move(row.id, State.FAILED, charged=0, charged_by="user", error=error, error_code=None)
    held = row.charged if row.state in (State.RENDERED, State.FETCHED) else row.price
    return f"released {show(held)}; the next run buys the shot"


def _back_to_rendered(ledger: Ledger, row: Purchase) -> None:
    """Bytes that could not be judged are no clip."""
    if row.state is State.FETCHED:
        ledger.move(row.id, State.RENDERED)


def _adopted(ledger: Ledger, row: Purchase, word: str, codec: Codec) -> str:
    if row.state not in (State.UNCERTAIN, State.RENDERING):
        raise InputError([f"as={word}: it is {_job(row)}, which has ended; say charged or not-charged"])
    job = codec.job_from_id(word, row.model, row.base_url)
    try:
        if row.state is State.RENDERING:
            ledger.note(row.id, job_id=job.id, urls=job.urls, error=None, error_code=None)
        else:
            ledger.move(row.id, State.RENDERING, job_id=job.id, urls=job.urls, error=None)
    except AlreadyBought as exc:
        raise InputError([f"as={word}: that job belongs to another purchase"]) from exc
    return f"adopted job {job.id}; the next run collects it, free"
