"""One picture of a clip as a PNG: the last that a player shows, the first, or the one on screen at a moment.

Which picture that is, the packets say (`shown.py`); that it is this one, the decoder confirms by telling the time of
each picture that it gives. docs/frames.md has what else was tried, and on which files it gave another picture, or none.
Knows no shot and no take.
"""

import contextlib
import io
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import ffmpeg
import trio

from vgen.errors import MediaError, NoDecoder, NotJudged
from vgen.media import decoders
from vgen.media.container import HEAD_BYTES, Container, sniff
from vgen.media.probe import decode_limit_s, fault
from vgen.media.shown import Position, Shown, shown
from vgen.media.tools import KEPT_BYTES, Tools, run_tool
from vgen.store import atomic

__all__ = ["Position", "frame", "luma", "picture"]

_TOLD = re.compile(rb"^frame:\s*\d+\s+pts:\s*(-?\d+)", re.MULTILINE)
_HD = (1280, 577)
"""Pictures of this width or height that name no colour matrix are BT.709, smaller ones BT.601: mpv's rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """In what form ffmpeg hands the picture over."""

    name: str
    options: dict[str, str]


_PPM = _Form(name="picture.ppm", options={"format": "image2", "update": "1", "c:v": "ppm", "pix_fmt": "rgb24"})
_LUMA = _Form(name="luma", options={"format": "rawvideo", "c:v": "rawvideo"})


# Kept pictures


def file_name(sha256: str, position: Position) -> str:
    """Where a take's picture is kept: `SHA256-last.png`, `SHA256-first.png`, `SHA256-2.5s.png` (seconds)."""
    where = f"{position.normalize() + 0:f}s" if isinstance(position, Decimal) else position
    return f"{sha256}-{where}.png"


async def frame(tools: Tools, clip: Path, position: Position, folder: Path, *, sha256: str) -> Path:
    """A PNG (8 bits RGB, turned as a player does) of the picture at `position` of a clip; made once, kept in `folder`.

    `position`: "first", "last", or seconds from the clip's beginning as a Decimal. `sha256`: of the clip's bytes, in
    hex; it names the file, and the caller vouches for it. A kept file that is damaged is made anew. The caller holds
    the run lock, as for everything in `outputs`; several calls at once within a process are fine.

    Raises NoSuchMoment (`at_s`, `length_s`) when the clip shows nothing then, MediaError when it cannot be read,
    NoDecoder and NotJudged when it is ffmpeg that failed, OSError when the folder cannot be written.
    """
    target = folder / file_name(sha256, position)
    if not await trio.to_thread.run_sync(_is_whole, target):
        png = await picture(tools, clip, position)
        atomic.make_directory(folder)
        atomic.write_whole(target, png)  # in one piece, so that two callers never write the same part
    return target


def _is_whole(path: Path) -> bool:
    """Whether it is a PNG whose every chunk has its checksum."""
    from PIL import Image  # only a production with pictures needs it

    try:
        with Image.open(path, formats=["PNG"]) as kept:
            kept.verify()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return path.read_bytes().endswith(b"IEND\xaeB`\x82")


# The picture


async def picture(tools: Tools, clip: Path, position: Position) -> bytes:
    """As `frame`, and the PNG itself; nothing is kept."""
    from PIL import Image

    drawn = await _taken(tools, clip, position, _PPM)

    def packed() -> bytes:
        png = io.BytesIO()
        with Image.open(io.BytesIO(drawn), formats=["PPM"]) as raw:
            raw.save(png, "PNG")
        return png.getvalue()

    return await trio.to_thread.run_sync(packed)


async def luma(tools: Tools, clip: Path, position: Position) -> bytes:
    """The luma of the same picture, row by row, in the clip's own depth (above 8 bits: 2 bytes, low one first).

    Raises as `frame` does. It shows, before any colour is converted, that the picture is the decoder's to the bit.
    """
    return await _taken(tools, clip, position, _LUMA)


async def _taken(tools: Tools, clip: Path, position: Position, form: _Form) -> bytes:
    with clip.open("rb") as file:
        kind = sniff(file.read(HEAD_BYTES))
    if kind is None or not kind.demuxer:
        raise MediaError("not a video" if kind is None else f"is {kind.name}, not a video")
    listed = await shown(tools, clip, kind)
    listed.time_of(position)  # raises before anything is decoded
    job = _Job(tools=tools, clip=clip, kind=kind, form=form)
    try:
        return await job.take(listed, position)
    except (NoDecoder, decoders.Unsupported):
        for program in decoders.others(tools):
            with contextlib.suppress(MediaError):
                return await replace(job, tools=replace(tools, ffmpeg=program)).take(listed, position)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One clip, one ffmpeg."""

    tools: Tools
    clip: Path
    kind: Container
    form: _Form

    async def take(self, listed: Shown, position: Position) -> bytes:
        """From the last clean start before the picture; else from the beginning; else by what the decoder tells.

        The second is for files without a clean start, or whose index leads elsewhere (and for ffmpeg 4.2, which tells
        no times); the third for files whose packets promise pictures that no decoder gives. Raises MediaError.
        """
        wanted = listed.time_of(position)
        if (entry := listed.entry(wanted, self.clip)) is not None:
            expected = [time for time in listed.times if entry <= time <= wanted]
            with contextlib.suppress(MediaError):
                drawn, told = await self._decode(listed, wanted, entry)
                if drawn and [time for time in told if time >= entry] == expected:
                    return drawn
        drawn, told = await self._decode(listed, wanted, None)
        if not drawn:
            _, told = await self._decode(listed, None, None)
            if not told:
                raise NotJudged(
                    "no such picture decodes, and this ffmpeg names no others; VGEN_FFMPEG may name a newer"
                )
            wanted = replace(listed, times=sorted(told)).time_of(position)
            drawn, told = await self._decode(listed, wanted, None)
        if not drawn:
            raise MediaError(f"its picture at {float(wanted * listed.time_base):.3f} s does not decode")
        return drawn

    async def _decode(self, listed: Shown, wanted: int | None, entry: int | None) -> tuple[bytes, Sequence[int]]:
        """The picture shown from `wanted` on (b"" if there is none), and the times of those decoded up to it.

        `entry`: the time to seek to; None: the beginning. Without `wanted`: no picture, all times. Raises MediaError.
        """
        with tempfile.TemporaryDirectory(prefix="vgen-") as folder:
            made = Path(folder) / self.form.name
            graph = self._graph(listed, wanted, entry, made)
            argv = ffmpeg.compile(graph, cmd=[self.tools.ffmpeg, "-nostdin", "-v", "error"], overwrite_output=True)
            ran = await run_tool(argv, limit_s=decode_limit_s(float(listed.end_s - listed.begin_s)))
            drawn = made.read_bytes() if made.is_file() else b""
        told = [int(time) for time in _TOLD.findall(ran.stdout)]
        if wanted is None and len(ran.stdout) >= KEPT_BYTES:
            raise NotJudged("it has more pictures than can be listed")
        if ran.returncode != 0 and not drawn and not told:
            decoders.refuse_tools_fault(ran.stderr)
            damage = fault("no picture can be read", ran.stderr, self.clip)
            raise await decoders.blame(self.tools, [listed.codec], ran.stderr, damage)
        return drawn, told

    def _graph(self, listed: Shown, wanted: int | None, entry: int | None, made: Path) -> Any:
        """Every picture's time goes to stdout. The one that is wanted is told apart by it, and ends the work."""
        sought: dict[str, Any] = {}
        if entry is not None:  # rounded up: below the time of `entry`, ffmpeg would go to an earlier one
            moment_us = -(-entry * listed.time_base * 1_000_000 // 1)
            sought = {"ss": f"{moment_us}us", "seek_timestamp": 1, "noaccurate_seek": None}
        source = ffmpeg.input(
            f"file:{self.clip}",
            format=self.kind.demuxer,
            protocol_whitelist="file",
            format_whitelist=self.kind.names,
            threads=1,
            **sought,
        )
        video = source["V:0"]
        if wanted is not None:
            video = video.filter("trim", end_pts=wanted + 1)
        video = video.filter("metadata", mode="add", key="vgen", value="1")
        video = video.filter("metadata", mode="print", key="vgen", file="-")
        if wanted is None:
            return ffmpeg.output(video, "-", format="null", copyts=None)
        video = video.filter("select", f"eq(pts,{wanted})").filter("setpts", "0")
        return ffmpeg.output(
            self._converted(video, listed),
            f"file:{made}",
            copyts=None,
            vframes=1,
            flags="bitexact",
            **self.form.options,
        )

    def _converted(self, video: Any, listed: Shown) -> Any:
        if self.form is _LUMA:
            return video.filter("extractplanes", "y")
        large = listed.width >= _HD[0] or listed.height >= _HD[1]
        return video.filter(
            "scale",
            in_color_matrix="auto" if listed.matrix else ("bt709" if large else "smpte170m"),
            flags="bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact",
        ).filter("format", "rgb24")
