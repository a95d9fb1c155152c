"""Sends clips and takes, whole or in ranges, and nothing else of the outputs.

A browser holds few connections to one host, and a video that has enough keeps its own waiting. So an open range is
answered with at most RANGE_BYTES, as RFC 9110 allows (15.3.7); the browser asks for the rest when it wants it.
"""

import re
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

FOLDERS = ("clips", "takes")
KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm"}
RANGE_BYTES = 2 << 20
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


class Media(FileResponse):
    """One video file. Raises nothing: an absurd range is answered with 416."""

    chunk_size = 256 << 10

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = [(name, _bounded(value) if name == b"range" else value) for name, value in scope["headers"]]
        await super().__call__({**scope, "headers": headers}, receive, send)


def _bounded(asked: bytes) -> bytes:
    """The range, at most RANGE_BYTES of it. What is no single range can't be satisfied."""
    match = _RANGE.fullmatch(asked.decode("latin-1").strip().lower().replace(" ", ""))
    if match is None:
        return b"bytes=999999999999999999-"
    if match[3] is not None:
        return asked
    first = int(match[1])
    last = min(int(match[2]), first + RANGE_BYTES - 1) if match[2] else first + RANGE_BYTES - 1
    return f"bytes={first}-{last}".encode() if last >= first else b"bytes=999999999999999999-"


def find(outputs: Path, folder: str, name: str) -> Path:
    """The file that is meant. Raises HTTPException: nothing that is no video, and nothing outside of its folder."""
    relative = Path(name)
    if folder not in FOLDERS or relative.is_absolute() or ".." in relative.parts or "\0" in name or "\\" in name:
        raise HTTPException(404)
    try:
        home = (outputs / folder).resolve(strict=True)
        found = (home / relative).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise HTTPException(404) from None
    hidden = any(part.startswith(".") for part in relative.parts)
    if hidden or not home.is_relative_to(outputs.resolve()) or not found.is_relative_to(home) or not found.is_file():
        raise HTTPException(404)
    if found.suffix.lower() not in KINDS:
        raise HTTPException(404)
    return found


def respond(outputs: Path, folder: str, name: str) -> Media:
    """The answer to a request for a file. Raises HTTPException."""
    found = find(outputs, folder, name)
    headers: dict[str, Any] = {"cache-control": "private, no-cache"}  # asked again each time, by ETag
    return Media(found, media_type=KINDS[found.suffix.lower()], headers=headers)
