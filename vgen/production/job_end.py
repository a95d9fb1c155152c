"""Books how a job ended, by its provider's own word, and what it cost. Asks nobody."""

from vgen.money import show
from vgen.production.address import with_output
from vgen.production.run import Run
from vgen.providers.base import Cancelled, Done, Failed
from vgen.store.purchase import SETTLED, State
from vgen.store.records import ChargedBy, Purchase

DOUBT = "probably not charged"
"""Said of a price that is booked because nobody tells it, where it most likely is zero."""


def book(run: Run, row: Purchase, number: int, status: Done | Failed | Cancelled, at: float) -> None:
    """Book the end of a job by its provider's own word. `at`: when it ended, for the time that it took."""
    match status:
        case Done():
            _book_done(run, row, number, status, at)
        case Failed():
            charged, by = cost(status.charged, row)
            error = f"{status.message} ({status.code})" if status.code else status.message
            doubt = status.wrong_order and by == "assumed"
            if doubt:
                error = f"{error}; {probably_free(row)}"
            run.ledger.move(
                row.id, State.FAILED, charged=charged, charged_by=by, error=error, error_code=status.code,
                final=not status.again, rendered_at=at,
            )  # fmt: skip
            booked = f"booked {show(charged)}, assumed" if doubt else f"charged {show(charged)}"
            run.say(number, f"failed at {row.provider}: {error} ({booked})", event="job_failed")
            if status.wrong_order:
                run.close_provider(row.provider, f"{row.model} does not take orders of this form: {status.message}")
        case Cancelled():
            charged, by = cost(status.charged, row)
            error = "cancelled at the provider"
            run.ledger.move(row.id, State.CANCELLED, charged=charged, charged_by=by, error=error)
            run.say(number, f"cancelled at {row.provider} (charged {show(charged)})", event="cancelled")


def probably_free(row: Purchase) -> str:
    """For a job that its provider refused before it began: most likely it cost nothing, but nobody says so."""
    return f"{DOUBT}; `doit settle shot={row.shot_number} as=not-charged job={row.job_id}`"


def _book_done(run: Run, row: Purchase, number: int, status: Done, at: float) -> None:
    charged, by = cost(status.charged, row)
    run.ledger.move(
        row.id, State.RENDERED, charged=charged, charged_by=by, urls=with_output(run, row, status.url), rendered_at=at,
        error=None, error_code=None,
    )  # fmt: skip
    text = f"rendered at {row.provider}, charged {show(charged)}; downloading"
    if not status.url:
        what = status.instead or "it names no file"
        text = f"finished at {row.provider}, charged {show(charged)}, but {what}; asking again"
    run.say(number, text, event="rendered")
    if charged > row.price:
        run.close_provider(row.provider, f"it charged {show(charged)} where {show(row.price)} was agreed")


def cost(charged: int | None, row: Purchase) -> tuple[int, ChargedBy]:
    """What the job cost: as the provider says, else as it was booked already, else all that was reserved."""
    if charged is not None:
        return charged, "provider"
    if row.state in SETTLED and row.charged_by is not None:
        return row.charged, row.charged_by
    return row.price, "assumed"
