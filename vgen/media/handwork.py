"""The work on files that are there: copy, encode, draw, hash, probe. Each is one function, whoever does it, and where.

They write to the job's `part` and nowhere else; a run that is lost leaves only that.
"""

from vgen.errors import MediaError, NotJudged
from vgen.media import ai_mark, posters, probe, target_format
from vgen.media.hands import Drawn, Encode, Look, Looked, Made, Outcome, Poster, Put
from vgen.media.offload import off_loop
from vgen.media.tools import Tools
from vgen.store import atomic
from vgen.store.takes import copy_take


async def put(job: Put) -> Made:
    """Raises OSError."""
    take = job.take
    if not take.exists() or await off_loop(job.size_bytes, atomic.sha256, take) != job.sha256:
        return Made(outcome=Outcome.GONE)
    await off_loop(job.size_bytes, copy_take, take, job.part)
    return Made(outcome=Outcome.DONE, part=job.part, sha256=job.sha256, size_bytes=job.size_bytes)


async def encode(tools: Tools, job: Encode) -> Made:
    """The file is not synced. Raises OSError."""
    try:
        await target_format.encode(tools, job.source, job.part, job.clip, job.form, job.frames)
        if job.mark:
            ai_mark.append(job.part, job.mark)
    except MediaError as exc:
        return Made(outcome=_how(exc), reason=str(exc))
    return Made(outcome=Outcome.DONE, part=job.part)


async def draw(tools: Tools, job: Poster) -> Drawn:
    return Drawn(picture=await posters.poster(tools, job.clip))


async def look(tools: Tools | None, job: Look) -> Looked:
    """Raises OSError."""
    stat = job.path.stat()
    sha256 = await off_loop(stat.st_size, atomic.sha256, job.path)
    outcome, reason, facts = Outcome.DONE, "", None
    if job.probed:
        assert tools is not None, "BUG: nothing to probe with"
        try:
            facts = await probe.probe(tools, job.path)
        except MediaError as exc:
            outcome, reason = _how(exc), str(exc)
    return Looked(
        outcome=outcome,
        reason=reason,
        sha256=sha256,
        size_bytes=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        facts=facts,
    )


def _how(exc: MediaError) -> Outcome:
    return Outcome.NOT_JUDGED if isinstance(exc, NotJudged) else Outcome.FAILED


def refuse(done: Made | Looked) -> None:
    """Raise what a job ended with as the error that it was, MediaError or NotJudged, unless it is done."""
    if done.outcome is not Outcome.DONE:
        raise NotJudged(done.reason) if done.outcome is Outcome.NOT_JUDGED else MediaError(done.reason)
