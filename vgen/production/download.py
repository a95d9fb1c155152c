"""One GET of an output into its part: resume, limits, unpacking. Knows no purchase, and tries once."""

import gzip
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from vgen.errors import WireError
from vgen.media.container import HEAD_BYTES, is_page
from vgen.media.offload import off_loop
from vgen.production.http import HttpClient
from vgen.production.source import Answer, Piece
from vgen.store import atomic, failpoints

MAX_BYTES = 1 << 30
"""Cap of one download: clips have 5 to 50 MB."""
WHOLE_DOWNLOAD_S = 1800.0
UNPACKED_BYTES = 64 << 20
"""What came packed may be so long, or four times as long as it came: video hardly packs, and a bomb is none."""
_GZIP = b"\x1f\x8b\x08"


class TooLong(Exception):
    """More bytes than are ever fetched."""


class Expired(Exception):
    """The URL is no longer good; the job can be asked for a fresh one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """What one whole download brought. `told`: the server said how many bytes; `one_piece`: no connection broke."""

    sha256: str
    size_bytes: int
    told: bool
    one_piece: bool = True


class Loader:
    """One GET into the part, continued where the last one broke if the server can prove that it is the same file."""

    def __init__(self, http: HttpClient, url: str, base_url: str, part: Path, etag: str | None) -> None:
        self._http, self._url, self._base_url, self._part = http, url, base_url, part
        self.etag = etag

    async def run(self) -> Downloaded:
        if not self._url:
            raise Expired
        offset = self._part.stat().st_size if self.etag and self._part.exists() else 0
        headers = {"Range": f"bytes={offset}-", "If-Range": self.etag} if offset and self.etag else {}
        async with self._http.download(self._url, self._base_url, headers) as answer:
            if answer.status in (401, 403, 404, 410):
                raise Expired
            total = _content_range(answer.headers.get("content-range"), offset) if answer.status == 206 else None
            if answer.status == 206 and total is None:
                self._forget()
                raise WireError("the server answered with another part of the file than was asked for")
            if answer.status not in (200, 206):
                if answer.status == 416:
                    self._forget()
                raise WireError(f"HTTP {answer.status}")
            if answer.status == 200:
                offset = 0
                self.etag = _strong(answer.headers.get("etag"))
            length = _length(answer.headers.get("content-length"))
            expected = total if total is not None else length
            if expected is not None and expected > MAX_BYTES:
                raise TooLong(f"is {expected:,} bytes long, more than {MAX_BYTES:,} are not fetched")
            digest, size = await self._write(answer, offset, expected)
            packed = "gzip" in answer.headers.get("content-encoding", "").lower()
        head = await off_loop(0, _beginning, self._part)
        if packed and head.startswith(_GZIP):
            digest, size = await off_loop(size, self._unpack, size)
            head = await off_loop(0, _beginning, self._part)
        if is_page(head):
            self._forget()
            raise WireError("a page came instead of the file")
        return Downloaded(sha256=digest, size_bytes=size, told=expected is not None, one_piece=not offset)

    async def _write(self, answer: Answer, offset: int, expected: int | None) -> tuple[str, int]:
        digest = hashlib.sha256()
        size = offset
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | (0 if offset else os.O_TRUNC)
        if offset:
            await off_loop(offset, _hash_beginning, self._part, offset, digest)
        with os.fdopen(os.open(self._part, flags, 0o666), "wb", buffering=0) as file:
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
            with failpoints.failpoint("part.fsync"):
                await off_loop(size, failpoints.fsync, file.fileno())
        await off_loop(size, atomic.sync_directory, self._part.parent)
        return digest.hexdigest(), size

    def _unpack(self, size: int) -> tuple[str, int]:
        """Put what a gzip of this size holds in its place: packed though nobody asked for it. Raises WireError."""
        plain = self._part.with_suffix(".plain.part")
        plain.unlink(missing_ok=True)
        most = min(MAX_BYTES, max(UNPACKED_BYTES, 4 * size))
        try:
            with gzip.open(self._part) as packed, plain.open("xb") as file:
                found = _poured(packed, file, most)
                with failpoints.failpoint("part.fsync"):
                    failpoints.fsync(file.fileno())
            plain.replace(self._part)
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            self._forget()
            raise WireError(f"it came packed, and damaged ({exc})") from exc
        finally:
            plain.unlink(missing_ok=True)
        atomic.sync_directory(self._part.parent)
        return found

    def _forget(self) -> None:
        self.etag = None
        self._part.unlink(missing_ok=True)


def _poured(source: gzip.GzipFile, target: IO[bytes], most: int) -> tuple[str, int]:
    """Copy, and tell digest and size. Raises EOFError past `most` bytes: no video packs so well."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(atomic.CHUNK_BYTES):
        size += len(chunk)
        if size > most:
            raise EOFError(f"more than {most:,} bytes")
        digest.update(chunk)
        target.write(chunk)
    target.flush()
    return digest.hexdigest(), size


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _hash_beginning(path: Path, size: int, digest: Any) -> None:
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, atomic.CHUNK_BYTES))):
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
