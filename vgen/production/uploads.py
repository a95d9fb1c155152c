"""A picture that is too big for a request goes to its provider's storage, once a run, before anything is bought.

The API is asked for a place with the key; the place gets the bytes and no key, at an address that was checked as a
download's is. Knows no vendor: codecs say both calls (providers/codec.py, Uploads).
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from vgen import retry
from vgen.errors import BlockedAddress, WireError
from vgen.inputs.settings import Provider
from vgen.media.offload import off_loop
from vgen.production import client
from vgen.production.run import Run
from vgen.providers import codec
from vgen.providers.base import RefusalReason, Refused

TRIES = 5
BASE_S, SLOWEST_BYTES_PER_S = 60.0, 50_000
"""How long an upload may take: this, and its size by this pace."""

_LATER = (RefusalReason.RATE_LIMITED, RefusalReason.SERVER_ERROR)
_CLOSES = (RefusalReason.KEY, RefusalReason.CREDIT)


class UploadFailed(Exception):
    """There is no upload of this picture in this run; `str()` says why, and what helps. Nothing was bought."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Big:
    """A picture that is too big for a request, as its provider takes it: its media type, hash and size.

    `read()` brings these very bytes, from where they are; it raises InputError if they are others by now.
    """

    kind: str
    sha256: str
    size_bytes: int
    read: Callable[[], bytes]


async def uri(run: Run, number: int, provider: Provider, big: Big) -> str:
    """What an order of the shot names for the picture: uploaded by the first who asks, and the others wait.

    Raises UploadFailed, and InputError as `Big.read`.
    """
    uploads, key = run.uploads, (provider.name, big.sha256)
    while True:
        if (known := uploads.known(key)) is not None:
            return known
        if key in uploads.failed:
            raise UploadFailed(uploads.failed[key])
        if (going := uploads.going.get(key)) is not None:
            await going.wait()
            continue
        mine = uploads.going[key] = trio.Event()
        try:
            async with uploads.room:
                return await _upload(run, number, provider, big)
        except UploadFailed as exc:
            uploads.failed[key] = str(exc)
            raise
        finally:
            del uploads.going[key]
            mine.set()


async def _upload(run: Run, number: int, provider: Provider, big: Big) -> str:
    theirs = provider.codec.VENDOR.uploads
    assert theirs is not None, "BUG: an upload to a vendor that takes none"
    upload = codec.Upload(kind=big.kind, content=await off_loop(big.size_bytes, big.read))
    size = f"{big.size_bytes / 1e6:.1f} MB"
    run.say(number, f"{provider.name}: uploading a picture of {size}", event="upload", bytes=big.size_bytes)
    attempt = 0
    while True:
        began, attempt = trio.current_time(), attempt + 1
        try:
            found = await _try(run, provider, theirs, upload)
        except _Failed as exc:
            if not exc.again or attempt == TRIES:
                less = f"save it with less than {provider.codec.VENDOR.accepts.most_bytes / 1e6:g} MB, or run again"
                raise UploadFailed(f"its picture of {size} could not be uploaded ({exc}); {less}") from exc
            await trio.sleep(retry.backoff_s(retry.DOWNLOAD, attempt, run.rng, at_least_s=exc.wait_s))
        else:
            run.uploads.keep((provider.name, big.sha256), found, began + theirs.good_for_s)
            return found


class _Failed(Exception):
    """One attempt failed. `again`: another one, in a place of its own, may work, after `wait_s` at least."""

    def __init__(self, why: str, *, again: bool = True, wait_s: float = 0.0) -> None:
        super().__init__(why)
        self.again, self.wait_s = again, wait_s


async def _try(run: Run, provider: Provider, theirs: codec.Uploads, upload: codec.Upload) -> str:
    base_url = provider.terms.base_url
    call = theirs.ask(upload, base_url, provider.key or "")
    try:
        reply = await client.send(run, call, provider.timeout_s or client.ASK_S, provider.name)
        place = theirs.place(reply, upload)
        if isinstance(place, Refused):
            raise _refused(run, provider, place)
        limit_s = BASE_S + len(upload.content) / SLOWEST_BYTES_PER_S
        stored = await run.http.upload(place.call, base_url, timeout_s=limit_s)
    except BlockedAddress as exc:
        raise _Failed(str(exc), again=False) from exc
    except WireError as exc:
        raise _Failed(str(exc)) from exc
    if stored.status // 100 != 2:
        raise _Failed(f"its storage answers HTTP {stored.status}")
    return place.uri


def _refused(run: Run, provider: Provider, answer: Refused) -> _Failed:
    if answer.reason in _CLOSES:
        run.close_provider(provider.name, f"it refuses an upload: {answer.message}")
    wait_s = answer.retry_after_s or 0.0
    again = answer.reason in _LATER and not client.close_if_long(run, provider.name, wait_s)
    return _Failed(answer.message, again=again, wait_s=wait_s)
