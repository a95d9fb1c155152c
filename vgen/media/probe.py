"""What a video file is: ffprobe's facts, and a full decode. Files are hostile until judged."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg
from pydantic import BaseModel, ValidationError

from vgen.errors import MediaError, NoDecoder, NotJudged
from vgen.media import decoders, remarks
from vgen.media.container import MP4, MP4_NAMES, Container
from vgen.media.decoders import Unsupported
from vgen.media.tools import Tools, first_line, one_line, run_tool

PROBE_LIMIT_S = 30.0  # 9 ms as a rule, 2 s the first time
DECODE_LIMIT_S = (30.0, 900.0)  # floor and ceiling of 5 s + 10 x duration
MAX_SIDE = 16_384
MAX_DURATION_S = 24 * 3600.0

__all__ = ["MP4_NAMES", "Facts", "colour_matrix", "decode", "decode_limit_s", "fault", "probe"]


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
    "stream=codec_type,codec_name,width,height,avg_frame_rate,r_frame_rate,duration,color_space"
    ":stream_disposition=attached_pic:stream_tags=rotate:stream_side_data=rotation:format=duration"
)


async def probe(tools: Tools, path: Path, container: Container = MP4) -> Facts:
    """What the file says it is. A file that was cut off still passes: only `decode` sees that.

    Raises MediaError when it is not a readable video, NotJudged when ffprobe failed.
    """
    return _facts(await _probed(tools, path, container), path.stat().st_size)


async def colour_matrix(tools: Tools, path: Path) -> str:
    """The YUV matrix that the pictures name, in ffmpeg's words; "" if they name none. Raises as `probe` does."""
    named = _picture(await _probed(tools, path)).color_space
    return "" if named in {"unknown", "unspecified"} else one_line(named, 40)


async def _probed(tools: Tools, path: Path, container: Container = MP4) -> _Probed:
    argv = [tools.ffprobe, "-v", "error", "-f", container.demuxer, "-protocol_whitelist", "file"]
    argv += ["-format_whitelist", container.names, "-of", "json", "-show_entries", _ENTRIES, f"file:{path}"]
    ran = await run_tool(argv, limit_s=PROBE_LIMIT_S)
    if ran.returncode != 0:
        decoders.refuse_tools_fault(ran.stderr)
        raise fault("not a readable video", ran.stderr, path)
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


# Decode


async def decode(
    tools: Tools,
    path: Path,
    duration_s: float,
    container: Container = MP4,
    *,
    codec: str = "",
    remark: bool = False,
    sound: bool = False,
) -> tuple[str, ...]:
    """Decode every frame; with `remark`, tell what strikes the eye (with `sound`, the ear). What ffmpeg has no decoder
    for is tried with the next ffmpeg. `codec`: that of the pictures as `probe` told it, if it did.

    Raises MediaError at the first fault, NoDecoder when no ffmpeg can read it, NotJudged when ffmpeg itself failed.
    """
    check = _Check(path=path, duration_s=duration_s, container=container, remark=remark, sound=sound)
    if container is MP4 and codec in _QUICKLY and await _is_clean(tools, check):
        return ()
    try:
        return await _decode(tools, check)
    except (NoDecoder, Unsupported) as exc:
        for program in decoders.others(tools):
            try:
                return await _decode(replace(tools, ffmpeg=program), check)
            except (NotJudged, Unsupported):
                continue
            except MediaError:
                if isinstance(exc, NoDecoder):
                    raise  # this one has a decoder, and it says that the file is damaged
        raise


_QUICKLY = frozenset({"h264"})
"""Where a pass without the loop filter saves time, and finds all damage: parsing never looks at pictures. Of 3,240
H.264 files damaged by chance (nine kinds; cut, zeros, flipped bits, misplaced pieces) neither pass passed what the
other did not. In HEVC and VP9 it saves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """A file to decode, and what is to be told of it."""

    path: Path
    duration_s: float
    container: Container
    remark: bool
    sound: bool

    def filters(self, eye: remarks.Eye = remarks.EYE) -> dict[str, str]:
        found: dict[str, str] = {}
        if self.remark:
            found["vf"] = remarks.picture_filters(self.duration_s, eye)
        if self.sound:
            found["af"] = remarks.sound_filters(self.duration_s)
        return found


async def _is_clean(tools: Tools, check: _Check) -> bool:
    """Whether a quick pass finds nothing at all; if it does, a whole one decides. Raises NotJudged if it is too slow.

    Pictures without the loop filter differ a little, so the detectors of remarks see more than they must.
    """
    argv = _argv(tools, check, check.filters(remarks.WARY_EYE), skip_loop_filter="all")
    ran = await run_tool(argv, limit_s=decode_limit_s(check.duration_s))
    return ran.returncode == 0 and not remarks.read(ran.stdout, check.duration_s, remarks.WARY_EYE)


async def _decode(tools: Tools, check: _Check, *, plain: bool = False) -> tuple[str, ...]:
    filters = {} if plain else check.filters()
    ran = await run_tool(_argv(tools, check, filters), limit_s=decode_limit_s(check.duration_s))
    if ran.returncode == 0:
        return remarks.read(ran.stdout, check.duration_s)
    if filters:  # the filters look, and judge nothing: their fault is never the file's
        return await _decode(tools, check, plain=True)
    decoders.refuse_tools_fault(ran.stderr)
    streams = (await _probed(tools, check.path, check.container)).streams
    codecs = [stream.codec_name for stream in streams if stream.is_heard_or_seen]
    raise await decoders.blame(tools, codecs, ran.stderr, fault("does not decode", ran.stderr, check.path))


def _argv(tools: Tools, check: _Check, filters: Mapping[str, str], **quicker: str) -> list[str]:
    source = ffmpeg.input(
        f"file:{check.path}",
        format=check.container.demuxer,
        protocol_whitelist="file",
        format_whitelist=check.container.names,
        err_detect="explode",
        threads=1,  # `judge_with` runs one check a core
        **quicker,
    )
    graph = ffmpeg.output(source["V"], source["a?"], "-", format="null", **filters)  # V: no attached pictures
    # Without -xerror ffmpeg returns 0 for a file that was cut off. What an MP4's index says need not be found out.
    known = ["-nofind_stream_info"] if check.container is MP4 else []
    argv: list[str] = ffmpeg.compile(graph, cmd=[tools.ffmpeg, "-nostdin", "-v", "error", "-xerror", *known])
    return argv


def decode_limit_s(duration_s: float) -> float:
    floor, ceiling = DECODE_LIMIT_S
    return min(max(floor, 5.0 + 10.0 * duration_s), ceiling)
