"""What a video file says of its own making: C2PA credentials, and IPTC's digital source type. Checks none of it.

A walk over the boxes of an MP4 in plain Python, which skips pictures and sound: it reads a few kilobytes of a film and
opens no connection. Boxes: ISO/IEC 14496-12; C2PA's and XMP's identifiers: C2PA 2.2 A.5, XMP Specification Part 3.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
MOST_BOXES = 100_000
"""A fragmented film of an hour has 10,000."""
MOST_BYTES = 16 << 20
"""Of metadata; a cut of 50 takes has 274,000."""

_MANIFEST = b"manifest\0"
_TERM = re.compile(rb"https?://(?:cv\.iptc\.org/newscodes|c2pa\.org)/digitalsourcetype/([A-Za-z]{3,64})")
_BARE = re.compile(rb"DigitalSourceType(?:\s*=\s*[\"']|>)\s*([A-Za-z]{3,64})\s*[\"'<]")
_ELSEWHERE = re.compile(rb"\bprovenance(?:\s*=\s*[\"']|>)\s*https?://")
_LONG_TEXT = 0x78
"""CBOR: a text of 24 to 255 bytes; the next byte is its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """`c2pa_bytes`: size of the C2PA manifests in the file; `source_types`: IPTC's terms, without their address.

    `c2pa_elsewhere`: the file gives an address where a manifest is said to be. It is never opened.
    """

    c2pa_bytes: int = 0
    source_types: tuple[str, ...] = ()
    c2pa_elsewhere: bool = False

    def __bool__(self) -> bool:
        return bool(self.c2pa_bytes or self.source_types or self.c2pa_elsewhere)

    def to_json(self) -> str | None:
        """For the ledger and the report: what the file does not say is left out; None if it says nothing."""
        told = {"c2pa_bytes": self.c2pa_bytes, "digital_source_types": list(self.source_types),
                "c2pa_elsewhere": self.c2pa_elsewhere}  # fmt: skip
        return json.dumps({name: value for name, value in told.items() if value}) if self else None


def scan(path: Path) -> Claims:
    """What the file says. A file that is no MP4, or a damaged one, says what could be read of it. Raises OSError."""
    size, found, elsewhere = 0, dict[str, None](), False
    with path.open("rb") as file:
        for kind, content in _metadata(file, path.stat().st_size):
            if kind == C2PA:
                if content[4 : 4 + len(_MANIFEST)] != _MANIFEST:
                    continue
                size += len(content)
            else:
                elsewhere = elsewhere or bool(_ELSEWHERE.search(content))
                found |= dict.fromkeys(term.decode() for term in _BARE.findall(content))
            found |= dict.fromkeys(_terms(content))
    return Claims(c2pa_bytes=size, source_types=tuple(found), c2pa_elsewhere=elsewhere)


def boxes(
    file: BinaryIO, start: int, end: int, room: Iterable[int] = range(MOST_BOXES)
) -> Iterator[tuple[bytes, int, int]]:
    """Kind, beginning of the content and end of each box between two places. Ends where there is no box.

    `room`: as many boxes are looked at; an iterator is for several places together.
    """
    for _ in room:
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return
        size, content = int.from_bytes(head[:4], "big"), start + 8
        if size == 1 and len(head) == 16:
            size, content = int.from_bytes(head[8:], "big"), start + 16
        elif size == 0:  # to the end
            size = end - start
        if size < content - start or start + size > end:
            return
        yield head[4:8], content, start + size
        start += size


def _metadata(file: BinaryIO, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Which identifier, and the content, of each box with C2PA or XMP in it."""
    left = MOST_BYTES
    room = iter(range(MOST_BOXES))  # for all levels: a file may be made to have very many small ones in each other
    places = list(boxes(file, 0, end, room))
    for kind, start, stop in places:
        if kind == b"moov":  # QuickTime's place for XMP
            outer = [one for one in boxes(file, start, stop, room) if one[0] == b"udta"]
            inner = [place for one in outer for place in boxes(file, *one[1:], room)]
            found = [(XMP, place[1], place[2]) for place in inner if place[0] == b"XMP_"]
        elif kind == b"uuid":
            file.seek(start)
            found = [(file.read(16), start + 16, stop)]
        else:
            continue
        for name, begins, ends in found:
            if name in (C2PA, XMP) and 0 <= ends - begins <= left:
                left -= ends - begins
                file.seek(begins)
                yield name, file.read(ends - begins)


def _terms(content: bytes) -> Iterator[str]:
    """The terms of IPTC's list in it. In CBOR the next item may begin with a letter: there the text's length counts."""
    for match in _TERM.finditer(content):
        start = match.start()
        if start >= 2 and content[start - 2] == _LONG_TEXT:
            text = content[start : start + content[start - 1]]
            match = _TERM.fullmatch(text) or match  # noqa: PLW2901
        yield match[1].decode()
