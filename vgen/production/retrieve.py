"""Brings one output home: tries, fresh addresses, what is told. Never buys; the bytes are other hands' work."""

from pathlib import Path

import trio

from vgen import retry
from vgen.errors import ClipFailed
from vgen.media.hands import Bring, Brought, Outcome
from vgen.media.judge import Wanted
from vgen.plan.decision import how_to_end
from vgen.production import address, over
from vgen.production.client import how_long
from vgen.production.run import Run
from vgen.store import atomic
from vgen.store.records import Purchase


def wanted(run: Run, row: Purchase) -> Wanted:
    """What a purchase's file must be."""
    asked = dict(row.manifest)
    return Wanted(
        duration_s=float(asked["duration"]),
        aspect_ratio=asked["aspect_ratio"],
        min_bytes=run.settings.run.min_clip_bytes,
        sound="audio" in asked,
    )


async def retrieve(run: Run, row: Purchase, part: Path, number: int) -> Brought:
    """All bytes of the output, synced, in `part`. Raises address.Gone, address.Ended, ClipFailed."""
    expired = _Expiry(run, row)
    job = Bring(
        purchase_id=row.id,
        base_url=row.base_url,
        part=part,
        wanted=wanted(run, row),
        url=row.urls.get("output", ""),
    )
    reason = "the provider named no address"
    part.unlink(missing_ok=True)
    for attempt in range(1, retry.DOWNLOAD_TRIES + 1):
        try:
            got = await run.hands.do(job)
        except OSError as exc:
            part.unlink(missing_ok=True)
            got, reason = Brought(outcome=Outcome.BROKE), _not_written(run, exc)
        else:
            reason = got.reason or reason
        match got.outcome:
            case Outcome.DONE:
                return got
            case Outcome.EXPIRED:
                await expired.once_more()
                done = await address.fresh_url(run, row)
                expired.ended_at = done.ended_at
                job = _anew(job, done.url, attempt + 1)
                part.unlink(missing_ok=True)
                continue
            case Outcome.BLOCKED:
                raise ClipFailed(
                    f"{reason}; the clip is paid, ask {row.provider} about job {row.job_id}, or {how_to_end(row)}"
                )
        job = _anew(job, job.url, attempt + 1, got)
        expired.absence.broken()
        run.say(number, f"download: {reason}; trying again", event="download_retry", attempt=attempt)
        run.events.doing(number, f"downloading from {row.provider}, attempt {attempt + 1}")
        await trio.sleep(retry.backoff_s(retry.DOWNLOAD, attempt, run.rng))
    raise ClipFailed(
        f"could not be downloaded ({reason}); it is paid, run again{how_long(run, row)}, or {how_to_end(row)}"
    )


def _anew(job: Bring, url: str, attempt: int, last: Brought | None = None) -> Bring:
    """The next try; it goes on with what the last one left, if the server can prove that it is the same file."""
    resume = last.part if last is not None and last.etag else None
    return Bring(
        purchase_id=job.purchase_id,
        base_url=job.base_url,
        part=job.part,
        wanted=job.wanted,
        url=url,
        attempt=attempt,
        resume=resume,
        etag=last.etag if last is not None and resume is not None else None,
    )


def _not_written(run: Run, exc: OSError) -> str:
    """Why the part can't be written. Raises ClipFailed if there is no use in trying again."""
    if not atomic.is_full(exc):
        return f"writing failed: {exc.strerror}"
    run.stop_buying("the disk is full")
    raise ClipFailed("the disk is full; the clip is paid, make room and run again") from exc


class _Expiry:
    """An address that leads to no file, however often a fresh one was asked for."""

    def __init__(self, run: Run, row: Purchase) -> None:
        self._run, self._row = run, row
        self._times = 0
        self.absence = over.Absence(clock=trio.current_time)
        self.ended_at: float | None = None

    async def once_more(self) -> None:
        """Wait until a fresh address is worth asking for. Raises Gone, ClipFailed."""
        run, row = self._run, self._row
        self._times += 1
        self.absence.seen()
        kept = address.kept(run, row, self.ended_at)
        if over.file_gone(self.absence, kept):
            raise address.gone(row, kept)
        if self._times > retry.FRESH_URL_TRIES:
            if not kept.is_overdue or self._times > retry.FRESH_URL_TRIES + 1:
                raise ClipFailed(
                    f"its address at {row.provider} does not answer with a file; it is paid: run again as long as "
                    f"{row.provider} may keep it{how_long(run, row)}, or {how_to_end(row)}"
                )
            await trio.sleep(self.absence.left_s)
        elif self._times > 1:
            await trio.sleep(retry.backoff_s(retry.DOWNLOAD, self._times, run.rng))
