"""Poster frames: one small JPEG of a clip."""

from collections.abc import Sequence
from pathlib import Path

import ffmpeg

from vgen.errors import MediaError
from vgen.media.probe import MP4_NAMES, fault, probe
from vgen.media.tools import Tools, run_tool

POSTER_LIMIT_S = 30.0  # 0.1 s as a rule
POSTER_SIDE = 352  # px, the longer side; 16:9 of it is whole
POSTER_BYTES = 15_000  # a page carries sixty of them
POSTER_QUALITIES = (5, 12, 31)  # ffmpeg's -q:v, the best first

SMALL = f"scale=w={POSTER_SIDE}:h={POSTER_SIDE}:force_original_aspect_ratio=decrease:out_range=pc"
JPEG = ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-flags", "bitexact")


def smallest(drawn: Sequence[bytes]) -> bytes | None:
    """The first that is small enough of pictures in falling quality, else the last; None if there is none."""
    return next((picture for picture in drawn if len(picture) <= POSTER_BYTES), drawn[-1] if drawn else None)


async def poster(tools: Tools, path: Path) -> bytes | None:
    """A small JPEG of the clip's middle frame, as a rule under POSTER_BYTES; None if there is none to be had."""
    try:
        middle_s = (await probe(tools, path)).duration_s / 2
        for quality in POSTER_QUALITIES:
            drawn = await _still(tools, path, middle_s, quality)
            if len(drawn) <= POSTER_BYTES:
                break
    except (MediaError, OSError):
        return None
    return drawn


async def _still(tools: Tools, path: Path, at_s: float, quality: int) -> bytes:
    source = ffmpeg.input(
        f"file:{path}", format="mp4", protocol_whitelist="file", format_whitelist=MP4_NAMES, threads=1, ss=f"{at_s:.3f}"
    )
    small = source["V"].filter(
        "scale", w=POSTER_SIDE, h=POSTER_SIDE, force_original_aspect_ratio="decrease", out_range="pc"
    )
    graph = ffmpeg.output(
        small, "-", format="mjpeg", vframes=1, pix_fmt="yuvj420p", flags="bitexact", **{"q:v": quality}
    )
    argv = ffmpeg.compile(graph, cmd=[tools.ffmpeg, "-nostdin", "-v", "error"])
    ran = await run_tool(argv, limit_s=POSTER_LIMIT_S)
    if ran.returncode != 0 or not ran.stdout.startswith(b"\xff\xd8"):
        raise fault("no poster frame", ran.stderr, path)
    return ran.stdout
