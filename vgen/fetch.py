"""From a finished job to a take: download, check, publish. Nothing here buys, and no failure leads back to a create."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from vgen import durable, files, retry
from vgen.batch import Batch
from vgen.errors import BlockedAddress, ClipFailed, WireError
from vgen.media import Judgement, Verdict, Wanted
from vgen.money import show
from vgen.providers import codec
from vgen.providers.base import Call, Done, Job, Missing, NoWord, Reply, Status
from vgen.purchase import State
from vgen.redact import exactly
from vgen.rows import Purchase
from vgen.wire import Download, Piece

BIG_BYTES = 4 << 20
"""From here on, reading a file takes so long that others would notice."""
MAX_BYTES = 1 << 30
"""Cap of one download: clips have 5 to 50 MB."""
WHOLE_DOWNLOAD_S = 1800.0
ASK_S = 30.0
KEPT_S = 48 * 3600.0
"""Runway keeps outputs for 24 to 48 h, fal for a week: until then a file that is not there may come back."""
REAL_KEY_LENGTH = 12
"""Shorter "keys" are test words, which may stand in any answer."""
_PAGES = ("text/", "application/json", "application/xml", "application/problem+json")


class Gone(Exception):
    """The provider has the file no more: paid, and not fetchable."""


class TooLong(Exception):
    """More bytes than are ever fetched."""


class _Expired(Exception):
    """The URL is no longer good; the job can be asked for a fresh one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bytes:
    """What one whole download brought. `told`: the server said how many bytes; `one_piece`: no connection broke."""

    sha256: str
    size_bytes: int
    told: bool
    one_piece: bool = True


async def bring_home(batch: Batch, row: Purchase, number: int) -> None:
    """Take a purchase that is rendered or fetched to its end: accepted, rejected or lost.

    Raises ClipFailed if that is not possible now; the next run goes on from the same place.
    """
    part = batch.outputs.part(row.id)
    last: str | None = None
    for _ in range(retry.DAMAGED_TRIES + 1):
        row = batch.ledger.get(row.id)
        if row.state is State.RENDERED:
            try:
                got = await _download(batch, row, part, number)
            except Gone as exc:
                batch.ledger.move(row.id, State.LOST, error=str(exc))
                batch.say(number, f"paid {show(row.charged)}, but {exc}", event="lost", job=row.job_id)
                return
            batch.ledger.move(row.id, State.FETCHED, sha256=got.sha256, size_bytes=got.size_bytes)
        elif not part.exists() or await beside(row.size_bytes or 0, files.sha256, part) != row.sha256:
            batch.ledger.move(row.id, State.RENDERED)  # the bytes did not survive; the provider has them
            continue
        else:
            got = _Bytes(sha256=row.sha256 or "", size_bytes=row.size_bytes or 0, told=True)
        batch.now_doing(number, "checking")
        judgement = await _judge(batch, row, part)
        # The same bytes twice: it came whole. Of damaged bytes that is believed only if they came in one piece, with a
        # length and a container.
        believable = judgement.verdict is Verdict.BAD or (got.told and got.one_piece and judgement.container)
        again = judgement.verdict is Verdict.DAMAGED or (judgement.verdict is Verdict.BAD and not got.told)
        if judgement.verdict is Verdict.NOT_JUDGED:
            raise ClipFailed(f"could not be checked ({judgement.reason}); it is paid and kept, run again")
        if again and not (got.sha256 == last and believable):
            last = got.sha256
            batch.say(
                number,
                f"came damaged ({judgement.reason}); downloading again",
                event="damaged",
                job=row.job_id,
            )
            batch.ledger.move(row.id, State.RENDERED)
            files.discard(part)
            continue
        _publish(batch, row, part, judgement, got, number)
        return
    raise ClipFailed(
        f"came damaged {retry.DAMAGED_TRIES} times from {row.provider}; it is paid and kept there, run again"
    )


async def ask(batch: Batch, row: Purchase) -> Status:
    """How the job is, in one question or two. Never raises: what is no answer comes as NoWord."""
    provider = batch.provider_of(row)
    if provider is None or provider.key is None:
        return NoWord(message=f"no key for {row.provider}", key_rejected=True)
    protocol = codec(row.provider)
    job = job_of(row)
    call: Call = protocol.poll(job, row.base_url, provider.key)
    for _ in range(3):
        try:
            reply = await send(batch, call, provider.timeout_s or ASK_S)
        except WireError as exc:
            return NoWord(message=str(exc))
        meant: Status | Call = protocol.status(call, reply, job, provider.key)
        if not isinstance(meant, Call):
            return meant
        call = meant
    return NoWord(message="the provider sends from one address to another")


async def send(batch: Batch, call: Call, timeout_s: float) -> Reply:
    """One call of the run's wire. A key that the answer repeats goes no further than here."""
    assert batch.wire is not None, "BUG: a call without an open wire"
    reply = await batch.wire.send(call, timeout_s=timeout_s)
    text = reply.body.decode("utf-8", "surrogateescape")
    clean = exactly(text, batch.settings.secrets(), min_length=REAL_KEY_LENGTH)
    if clean == text:
        return reply
    return dataclasses.replace(reply, body=clean.encode("utf-8", "surrogateescape"))


async def beside(size_bytes: int, act: Callable[..., Any], *args: Any) -> Any:
    """Work on a big file's bytes beside the event loop; a small one's is done at once. Not cancelled in between."""
    if size_bytes < BIG_BYTES:
        return act(*args)
    return await trio.to_thread.run_sync(act, *args)


def job_of(row: Purchase) -> Job:
    """The job as it was written down when it was bought."""
    assert row.job_id is not None, "BUG: a job without an id"
    return Job(id=row.job_id, urls=row.urls)


# ── download ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _download(batch: Batch, row: Purchase, part: Path, number: int) -> _Bytes:
    """All bytes of the output, synced. Raises Gone, ClipFailed."""
    fresh = 0
    etag: str | None = None
    url = row.urls.get("output", "")
    reason = "the provider named no address"
    part.unlink(missing_ok=True)
    for attempt in range(1, retry.DOWNLOAD_TRIES + 1):
        loader = _Loader(batch, url, row.base_url, part, etag)
        try:
            with trio.fail_after(WHOLE_DOWNLOAD_S):
                return await loader.run()
        except _Expired:
            fresh += 1
            if fresh > retry.FRESH_URL_TRIES:
                if batch.now() - (row.rendered_at or batch.now()) > KEPT_S:
                    raise Gone(f"its address at {row.provider} has expired for good") from None
                raise ClipFailed(
                    f"its address at {row.provider} does not answer with a file; it is paid and kept there, run again"
                ) from None
            if fresh > 1:
                await trio.sleep(retry.backoff_s(retry.DOWNLOAD, fresh, batch.rng))
            url = await _fresh_url(batch, row)
            part.unlink(missing_ok=True)
            continue
        except (BlockedAddress, TooLong) as exc:
            raise ClipFailed(f"{exc}; the clip is paid, ask {row.provider} about job {row.job_id}") from exc
        except trio.TooSlowError:
            reason = f"took longer than {WHOLE_DOWNLOAD_S:g} s"
        except WireError as exc:
            reason = str(exc)
            etag = loader.etag
        except OSError as exc:
            part.unlink(missing_ok=True)
            if exc.errno in (errno.ENOSPC, errno.EDQUOT):
                batch.stop_buying("the disk is full")
                raise ClipFailed(
                    "the disk is full; the clip is paid and waits at the provider, make room and run again"
                ) from exc
            reason = f"writing failed: {exc.strerror}"
        batch.say(number, f"download: {reason}; trying again", event="download_retry", attempt=attempt)
        await trio.sleep(retry.backoff_s(retry.DOWNLOAD, attempt, batch.rng))
    raise ClipFailed(f"could not be downloaded ({reason}); it is paid and waits at {row.provider}, run again")


async def _fresh_url(batch: Batch, row: Purchase) -> str:
    """The job's present address, written down. Raises Gone, ClipFailed."""
    status: Status = NoWord(message="not asked")
    for attempt in range(1, retry.DOWNLOAD_TRIES + 1):
        status = await ask(batch, row)
        if isinstance(status, Done) and status.url:
            batch.ledger.note(row.id, urls={**row.urls, "output": status.url})
            return status.url
        if isinstance(status, Done) and attempt >= retry.FRESH_URL_TRIES:
            raise ClipFailed(
                f"is finished and paid, but {row.provider} names no file; run again, or ask it about job {row.job_id}"
            )
        if isinstance(status, Missing):
            raise Gone(f"{row.provider} does not know the job any more")
        if isinstance(status, NoWord) and status.key_rejected:
            break
        await trio.sleep(retry.backoff_s(retry.DOWNLOAD, attempt, batch.rng))
    raise ClipFailed(f"{row.provider} gives no fresh address for job {row.job_id}; the clip is paid, run again")


class _Loader:
    """One GET into the part, continued where the last one broke if the server can prove that it is the same file."""

    def __init__(self, batch: Batch, url: str, base_url: str, part: Path, etag: str | None) -> None:
        self._batch, self._url, self._base_url, self._part = batch, url, base_url, part
        self.etag = etag

    async def run(self) -> _Bytes:
        if not self._url:
            raise _Expired
        offset = self._part.stat().st_size if self.etag and self._part.exists() else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": self.etag} if offset and self.etag else {}
        assert self._batch.wire is not None, "BUG: a download without an open wire"
        async with self._batch.wire.download(self._url, self._base_url, headers) as answer:
            if answer.status in (401, 403, 404, 410):
                raise _Expired
            total = _content_range(answer.headers.get("content-range"), offset) if answer.status == 206 else None
            if answer.status == 206 and total is None:
                self._forget()
                raise WireError("the server answered with another part of the file than was asked for")
            if answer.status not in (200, 206):
                if answer.status == 416:
                    self._forget()
                raise WireError(f"HTTP {answer.status}")
            if answer.headers.get("content-type", "").startswith(_PAGES):
                raise WireError("a page came instead of the file")
            if answer.status == 200:
                offset = 0
                self.etag = _strong(answer.headers.get("etag"))
            length = _length(answer.headers.get("content-length"))
            expected = total if total is not None else length
            if expected is not None and expected > MAX_BYTES:
                raise TooLong(f"is {expected:,} bytes long, more than {MAX_BYTES:,} are not fetched")
            digest, size = await self._write(answer, offset, expected)
        return _Bytes(sha256=digest, size_bytes=size, told=expected is not None, one_piece=not offset)

    async def _write(self, answer: Download, offset: int, expected: int | None) -> tuple[str, int]:
        digest = hashlib.sha256()
        size = offset
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | (0 if offset else os.O_TRUNC)
        if offset:
            await beside(offset, _hash_beginning, self._part, offset, digest)
        with os.fdopen(os.open(self._part, flags, 0o600), "wb", buffering=0) as file:
            file.seek(offset)

            def put(data: Piece) -> None:
                nonlocal size
                size += len(data)
                if size > MAX_BYTES:
                    raise TooLong(f"is longer than {MAX_BYTES:,} bytes, the download was stopped")
                digest.update(data)
                while data:
                    data = data[file.write(data) :]

            await answer.pour(put)
            if expected is not None and size != expected:
                raise WireError(f"{size:,} of {expected:,} bytes came")
            with durable.point("part.fsync"):
                await beside(size, os.fsync, file.fileno())
        files.sync_directory(self._part.parent)
        return digest.hexdigest(), size

    def _forget(self) -> None:
        self.etag = None
        self._part.unlink(missing_ok=True)


def _hash_beginning(path: Path, size: int, digest: Any) -> None:
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, files.CHUNK_BYTES))):
            digest.update(chunk)
            size -= len(chunk)


def _content_range(value: str | None, offset: int) -> int | None:
    """The total of `bytes offset-end/total`, or None unless it continues exactly where the part ends."""
    match = re.fullmatch(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})", (value or "").strip(), re.ASCII)
    if match is None:
        return None
    start, end, total = (int(group) for group in match.groups())
    return total if start == offset and end == total - 1 and start <= end else None


def _length(value: str | None) -> int | None:
    return int(value) if value and re.fullmatch(r"\d{1,15}", value.strip(), re.ASCII) else None


def _strong(etag: str | None) -> str | None:
    return etag if etag and etag.startswith('"') else None


# ── check and publish ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _judge(batch: Batch, row: Purchase, part: Path) -> Judgement:
    assert batch.judge is not None, "BUG: nobody to judge a clip"
    recipe = dict(row.manifest)
    wanted = Wanted(duration_s=float(recipe["duration"]), aspect_ratio=recipe["aspect_ratio"])
    return await batch.judge(part, wanted)


def _publish(batch: Batch, row: Purchase, part: Path, judgement: Judgement, got: _Bytes, number: int) -> None:
    """Among the takes, and booked: accepted, or rejected and kept."""
    good = judgement.verdict is Verdict.GOOD
    take = batch.ledger.next_take(row.recipe, simulated=row.simulated)
    path = batch.outputs.take(row.recipe, take, simulated=row.simulated, good=good)
    while path.exists() and files.sha256(path) != got.sha256:  # left by a run that was killed before its commit
        take += 1
        path = batch.outputs.take(row.recipe, take, simulated=row.simulated, good=good)
    if (twin := batch.ledger.same_bytes(got.sha256, row.recipe)) is not None:
        text = f"{row.provider} delivers the very video of shot {twin.shot_number}; look at both"
        batch.say(number, text, event="same_bytes", job=row.job_id)
    files.publish_take(part, path, got.sha256)
    facts = judgement.facts
    generation_s = (row.rendered_at or 0) - (row.submitted_at or 0)
    batch.ledger.book_take(
        {
            "purchase_id": row.id,
            "recipe": row.recipe,
            "simulated": row.simulated,
            "take": take,
            "path": path.relative_to(batch.outputs.root).as_posix(),
            "good": good,
            "reason": None if good else judgement.reason,
            "sha256": got.sha256,
            "size_bytes": got.size_bytes,
            "width": facts.width if facts else None,
            "height": facts.height if facts else None,
            "duration_s": facts.duration_s if facts else None,
            "fps": facts.fps if facts else None,
            "codec": facts.codec if facts else None,
            "has_audio": facts.has_audio if facts else None,
            "generation_s": round(max(0.0, generation_s), 3),
        },
        State.ACCEPTED if good else State.REJECTED,
        error=None if good else judgement.reason,
    )
    files.discard(part)
    if not good:
        text = f"rejected: {judgement.reason} (paid {show(row.charged)}, kept as {path.name})"
        batch.say(number, text, event="rejected", take=take, job=row.job_id)
    with contextlib.suppress(OSError):
        _receipt(row, path)


def _receipt(row: Purchase, take: Path) -> None:
    """What was bought, beside the take: enough to tell where it came from should the ledger ever be lost."""
    told = {
        "recipe": row.recipe,
        "manifest": [list(pair) for pair in row.manifest],
        "provider": row.provider,
        "model": row.model,
        "job_id": row.job_id,
        "request": json.loads(row.request),
        "charged_usd": row.charged / 1_000_000,
        "simulated": row.simulated,
    }
    files.write_whole(take.with_suffix(".json"), json.dumps(told, ensure_ascii=False, indent=1).encode())
