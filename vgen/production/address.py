"""Where a finished job's file is, by its provider's present word, and whether it can still be had. Never downloads."""

from collections.abc import Mapping

import trio

from vgen import retry
from vgen.errors import ClipFailed
from vgen.plan.decision import how_to_end
from vgen.production import over
from vgen.production.client import ask, how_long, in_words, vendor_of
from vgen.production.run import Run
from vgen.providers.base import Cancelled, Done, Failed, Inconclusive, Missing, Status
from vgen.store.records import Purchase


class Gone(Exception):
    """The provider no longer has the file: paid, and not fetchable. `for_good`: by its own rules, so it won't again."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Ended(Exception):
    """The provider says now that the job ended without a file: `status`."""

    def __init__(self, status: Failed | Cancelled) -> None:
        super().__init__("ended otherwise than it first said")
        self.status = status


def kept(run: Run, row: Purchase, ended_at: float | None) -> over.Kept:
    """How old the file of a job is that ended then, by its provider's clock."""
    now = run.clocks.now(row.provider)
    return over.Kept(
        age_s=run.clocks.age_s(row),
        ended_s=None if now is None or ended_at is None else now - ended_at,
        kept_s=vendor_of(run, row).files_kept_s,
    )


def gone(row: Purchase, kept: over.Kept) -> Gone:
    """That there is no file, in words."""
    if not kept.is_over or kept.kept_s is None:
        return Gone(f"its address at {row.provider} has expired for good")
    why = f"{row.provider} keeps a video for {in_words(kept.kept_s)} only, and this one is not there any more"
    return Gone(why, for_good=True)


def with_output(run: Run, row: Purchase, url: str) -> Mapping[str, str]:
    """The addresses of a job and of its file; of a job whose base_url has moved, those that were just written down."""
    return {**run.ledger.get(row.id).urls, "output": url}


async def fresh_url(run: Run, row: Purchase) -> Done:
    """What the provider says now of a job that is done, its address written down. Raises Gone, Ended, ClipFailed."""
    status: Status = Inconclusive(message="not asked")
    missing, nameless = (over.Absence(clock=trio.current_time) for _ in range(2))
    for attempt in range(1, retry.DOWNLOAD_TRIES + 1):
        status = await ask(run, row)
        pause_s = retry.backoff_s(retry.DOWNLOAD, attempt, run.rng)
        match status:
            case Done() if status.url:
                run.ledger.note(row.id, urls=with_output(run, row, status.url))
                return status
            case Done():
                missing.broken()
                nameless.seen()
                pause_s = max(pause_s, _until_named(kept(run, row, status.ended_at), row, status, nameless, attempt))
            case Cancelled():
                raise Ended(status)
            case Failed() if not status.unconfirmed:
                raise Ended(status)
            case Missing():
                missing.seen()
                if over.forgotten(missing):
                    raise Gone(f"{row.provider} no longer knows the job")
                if attempt == retry.DOWNLOAD_TRIES - 1:
                    pause_s = max(pause_s, missing.left_s)
            case _:
                missing.broken()
        if isinstance(status, Inconclusive) and status.key_rejected:
            break
        await trio.sleep(pause_s)
    word = f" ({status.message})" if isinstance(status, Inconclusive) else ""
    raise ClipFailed(
        f"{row.provider} gives no fresh address for job {row.job_id}{word}; the clip is paid, "
        f"run again{how_long(run, row)}, or {how_to_end(row)}"
    )


def _until_named(kept: over.Kept, row: Purchase, status: Done, nameless: over.Absence, attempt: int) -> float:
    """How long to wait at least before a job that is done, and names no file, is asked again. Raises Gone, ClipFailed.

    `nameless`: so far, it named none. Seen twice where its provider keeps no file so long, it is over.
    """
    if kept.is_over and nameless.lasting:
        raise gone(row, kept)
    if attempt >= retry.FRESH_URL_TRIES + kept.is_over:
        raise ClipFailed(
            f"is finished at {row.provider} and paid, but {status.instead or 'it names no file'}; run again, "
            f"or ask it about job {row.job_id}, or {how_to_end(row)}"
        )
    return nameless.left_s if attempt == retry.FRESH_URL_TRIES else 0.0
