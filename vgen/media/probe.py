"""What a video file says that it is: ffprobe's facts. Files are hostile until judged."""

import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from vgen.errors import MediaError, NotJudged
from vgen.media import decoders
from vgen.media.container import MP4, MP4_NAMES, Container
from vgen.media.tools import Tools, first_line, one_line, run_tool

PROBE_LIMIT_S = 30.0  # 9 ms as a rule, 2 s the first time
DECODE_LIMIT_S = (30.0, 900.0)  # floor and ceiling of 5 s + 10 x duration
MAX_SIDE = 16_384
MAX_DURATION_S = 24 * 3600.0

__all__ = ["MP4_NAMES", "Facts", "Make", "channels", "codecs", "decode_limit_s", "fault", "make", "probe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a clip is; width and height as displayed, after rotation. `fps` is 0.0 when not said."""

    width: int
    height: int
    duration_s: float
    fps: float
    codec: str
    has_audio: bool
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """What of a clip decides how its pictures and its sound are turned into others.

    `matrix`: of YUV, in ffmpeg's words; "" if the pictures name none. `channels`: of the first sound; 0: there is none.
    """

    matrix: str
    channels: int


# Probe


class _Stream(BaseModel):
    codec_type: str = ""
    codec_name: str = "unknown"
    width: int = 0
    height: int = 0
    avg_frame_rate: str = ""
    r_frame_rate: str = ""
    duration: float | None = None
    color_space: str = ""
    channels: int = 0
    disposition: dict[str, int] = {}
    tags: dict[str, str] = {}
    side_data_list: list[dict[str, Any]] = []

    @property
    def is_heard_or_seen(self) -> bool:
        """What a full decode goes through."""
        return self.codec_type == "audio" or (self.codec_type == "video" and not self.disposition.get("attached_pic"))


class _Format(BaseModel):
    duration: float | None = None


class _Probed(BaseModel):
    streams: list[_Stream] = []
    format: _Format = _Format()


_ENTRIES = (
    "stream=codec_type,codec_name,width,height,avg_frame_rate,r_frame_rate,duration,color_space,channels"
    ":stream_disposition=attached_pic:stream_tags=rotate:stream_side_data=rotation:format=duration"
)


async def probe(tools: Tools, path: Path, container: Container = MP4) -> Facts:
    """What the file says it is. A file that was cut off still passes: only `decode` sees that.

    Raises MediaError when it is not a readable video, NotJudged when ffprobe failed.
    """
    return _facts(await _probed(tools, path, container), path.stat().st_size)


async def make(tools: Tools, path: Path) -> Make:
    """Of an MP4 file. Raises as `probe` does."""
    probed = await _probed(tools, path)
    named = _picture(probed).color_space
    matrix = "" if named in {"unknown", "unspecified"} else one_line(named, 40)
    return Make(matrix=matrix, channels=_channels(probed))


async def channels(tools: Tools, path: Path) -> int:
    """Of the first sound in a file of any kind; 0: there is none. Raises as `probe` does."""
    return _channels(await _probed(tools, path, None))


def _channels(probed: _Probed) -> int:
    return next((stream.channels for stream in probed.streams if stream.codec_type == "audio"), 0)


async def codecs(tools: Tools, path: Path, container: Container) -> list[str]:
    """Of all that a full decode goes through. Raises as `probe` does."""
    streams = (await _probed(tools, path, container)).streams
    return [stream.codec_name for stream in streams if stream.is_heard_or_seen]


async def _probed(tools: Tools, path: Path, container: Container | None = MP4) -> _Probed:
    kind = ["-f", container.demuxer, "-format_whitelist", container.names] if container else []
    argv = [tools.ffprobe, "-v", "error", *kind, "-protocol_whitelist", "file", "-of", "json"]
    ran = await run_tool([*argv, "-show_entries", _ENTRIES, f"file:{path}"], limit_s=PROBE_LIMIT_S)
    if ran.returncode != 0:
        decoders.refuse_tools_fault(ran.stderr)
        raise fault("not a readable video" if container else "not readable", ran.stderr, path)
    try:
        return _Probed.model_validate(json.loads(ran.stdout))
    except (ValueError, ValidationError) as exc:
        raise NotJudged("ffprobe gave an answer that is not understood") from exc


def _picture(probed: _Probed) -> _Stream:
    """The first video stream that is no cover picture. Raises MediaError."""
    for stream in probed.streams:
        if stream.codec_type == "video" and not stream.disposition.get("attached_pic"):
            return stream
    raise MediaError("no video stream")


def fault(what: str, stderr: bytes, path: Path) -> MediaError:
    """The clip's fault, unless memory ran out. The path is left out: a report may travel."""
    reason = first_line(stderr.replace(os.fsencode(path), os.fsencode(path.name)))
    if b"Cannot allocate memory" in stderr:
        return NotJudged(f"out of memory: {reason}")
    return MediaError(f"{what}: {reason}")


def _facts(probed: _Probed, size_bytes: int) -> Facts:
    video = _picture(probed)
    if not (0 < video.width <= MAX_SIDE and 0 < video.height <= MAX_SIDE):
        raise MediaError(f"no usable picture size: {video.width}x{video.height}")
    width, height = (video.height, video.width) if _lies_on_its_side(video) else (video.width, video.height)
    return Facts(
        width=width,
        height=height,
        duration_s=_duration_s(video.duration, probed.format.duration),
        fps=_fps(video.avg_frame_rate, video.r_frame_rate),
        codec=one_line(video.codec_name, 40),
        has_audio=any(stream.codec_type == "audio" for stream in probed.streams),
        size_bytes=size_bytes,
    )


def _lies_on_its_side(video: _Stream) -> bool:
    angles = [side.get("rotation") for side in video.side_data_list] + [video.tags.get("rotate")]
    for angle in angles:
        with suppress(TypeError, ValueError, OverflowError):
            return round(float(angle or "")) % 180 == 90
    return False


def _duration_s(*candidates: float | None) -> float:
    for seconds in candidates:
        if seconds is not None and math.isfinite(seconds) and 0 < seconds <= MAX_DURATION_S:
            return seconds
    raise MediaError("no usable duration")


def _fps(*candidates: str) -> float:
    for text in candidates:
        with suppress(ValueError, ZeroDivisionError):
            if 0 < (rate := float(Fraction(text))) <= 1000:
                return rate
    return 0.0


# Time


def decode_limit_s(duration_s: float) -> float:
    floor, ceiling = DECODE_LIMIT_S
    return min(max(floor, 5.0 + 10.0 * duration_s), ceiling)
