"""The one form that clips of a production can have, and ffmpeg's part in it. Knows no folders, no records, no shots.

Clips of one form have equal codec parameters and timebase, whole numbers of frames and of AAC packets, and pictures
and sound that start at 0. So they can be joined in any order with `-c copy`, and time only rises.
"""

import errno
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from vgen.errors import MediaError
from vgen.media.length import SHORT_BY_S, common_rate
from vgen.media.probe import MP4_NAMES, Facts, channels, fault, make, probe
from vgen.media.tools import Tools, run_tool

VERSION = 2
"""Raise it when the same source would be made differently: every clip is then made again, free."""
TIMEBASE = 120_000
"""Ticks a second: a whole number a frame at each of length.RATES."""
SIDES = (1080, 720)
"""px, the shorter side: the first one that no clip has to be enlarged for, else the last."""
SAMPLE_RATE = 48_000
AAC_FRAME = 1024
"""Samples in one AAC packet, and by how many ffmpeg's encoder begins before its input."""
PACKET_S = AAC_FRAME / SAMPLE_RATE
LIMIT_S = (120.0, 30.0)
"""Kill timer of one ffmpeg: so much, and so much more for each second of film."""
FADE_S = 2.0
"""The end of music."""
LIMITER_MS = 5
"""So far the limiter looks ahead, and all that it lets through comes so much later, less a sample."""
LENGTH_WITHIN_S = 0.02
"""A join may differ from the sum of its clips by this much: headers round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFormat:
    """What all conformed clips have in common."""

    width: int
    height: int
    fps: Fraction

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.fps} fps"

    def duration_s(self, frames: int) -> float:
        return float(frames / self.fps)


def choose_format(clips: Collection[Facts], aspect_ratio: str) -> TargetFormat:
    """The form of these clips in a production of this aspect ratio (`width:height`)."""
    across, down = (Fraction(part) for part in aspect_ratio.split(":"))
    shorter = next((side for side in SIDES if all(min(c.width, c.height) >= side for c in clips)), SIDES[-1])
    longer = 2 * round(shorter * max(across / down, down / across) / 2)
    width, height = (longer, shorter) if across > down else (shorter, longer)
    return TargetFormat(width=width, height=height, fps=common_rate(clip.fps for clip in clips))


async def encode(tools: Tools, source: Path, made: Path, clip: Facts, form: TargetFormat, frames: int) -> None:
    """Write so many frames of a clip in this form to `made`. Raises MediaError, or OSError when the disk is full."""
    its = await make(tools, source)
    taken = ffmpeg.input(
        f"file:{source}",
        format="mp4",
        protocol_whitelist="file",
        format_whitelist=MP4_NAMES,
        err_detect="explode",
        threads=1,  # the caller makes one clip a core
    )
    sound = _resampled(taken["a:0"], its.channels) if clip.has_audio else _silence()
    graph = ffmpeg.output(
        _pictures(taken["V:0"], form, frames, known_matrix=bool(its.matrix)),
        _packed(sound, packets(form.duration_s(frames))),
        f"file:{made}",
        g=round(2 * form.fps),
        **_ENCODING,
    )
    await _run(tools, graph, "does not decode", source, form.duration_s(frames))
    facts = await probe(tools, made)
    if abs(facts.duration_s - form.duration_s(frames)) > 0.5 / form.fps:
        raise MediaError(f"its pictures end at {facts.duration_s:.2f} s, though it says {clip.duration_s:.2f} s")


async def hold(tools: Tools, still: Path, made: Path, form: TargetFormat, frames: int) -> None:
    """Write so many frames of a still (raw RGB, as large as the form) to `made`. Raises MediaError, OSError."""
    across, fps = f"{form.width}x{form.height}", str(form.fps)
    taken = ffmpeg.input(f"file:{still}", format="rawvideo", pix_fmt="rgb24", s=across, framerate=fps)
    pictures = (
        taken.filter("scale", out_color_matrix="bt709", out_range="tv")
        .filter("format", "yuv420p")
        .filter("loop", loop=frames - 1, size=1)
        .filter("setsar", 1)
    )
    duration_s = form.duration_s(frames)
    sound = _packed(_silence(), packets(duration_s))
    graph = ffmpeg.output(_labelled(pictures), sound, f"file:{made}", g=round(2 * form.fps), **_ENCODING)
    await _run(tools, graph, "can't be drawn", still, duration_s)


_SOUND: Mapping[str, Any] = {"c:a": "aac", "b:a": "192k", "flags:a": "+bitexact"}
_ENCODING: Mapping[str, Any] = {
    "format": "mp4",
    "movflags": "+faststart",
    "video_track_timescale": TIMEBASE,
    "map_chapters": -1,
    "c:v": "libx264",  # its groups of pictures are closed unless open ones are asked for
    "preset": "veryfast",
    "crf": 18,
    "profile:v": "high",
    "pix_fmt": "yuv420p",
    "threads": 1,
    "color_range": "tv",
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "fflags": "+bitexact",
    "flags:v": "+bitexact",
    **_SOUND,
}


def _pictures(video: Any, form: TargetFormat, frames: int, *, known_matrix: bool) -> Any:
    """Fitted whole into the frame, with bars round them; the last one held if they end early.

    Pictures that name no matrix are taken for BT.709, as players do at this size, where swscale would say BT.601.
    """
    held = math.ceil(SHORT_BY_S * form.fps) + 2
    fitted = (
        video.filter("fps", fps=str(form.fps), start_time=0)
        .filter(
            "scale",
            w=f"2*round(min({form.width},{form.height}*dar)/2)",
            h=f"2*round(min({form.height},{form.width}/dar)/2)",
            in_color_matrix="auto" if known_matrix else "bt709",
            out_color_matrix="bt709",
            out_range="tv",
            flags="lanczos",
        )
        .filter("pad", w=form.width, h=form.height, x=-1, y=-1)
        .filter("setsar", 1)
        .filter("format", "yuv420p")
        .filter("tpad", stop=held, stop_mode="clone")
        .filter("trim", end_frame=frames)
    )
    return _labelled(fitted)


def _labelled(pictures: Any) -> Any:
    return pictures.filter("setparams", range="tv", colorspace="bt709", color_primaries="bt709", color_trc="bt709")


def _silence() -> Any:
    return ffmpeg.input(f"anullsrc=r={SAMPLE_RATE}:cl=stereo", format="lavfi").audio


def _resampled(sound: Any, count: int) -> Any:
    """As stereo of our rate, and as loud as it is: left to itself, ffmpeg makes one channel quieter by 3 dB in two."""
    if count == 1:
        sound = sound.filter("channelmap", map="0-FL|0-FR", channel_layout="stereo")
    return (
        sound.filter("aresample", SAMPLE_RATE, first_pts=0, **{"async": 1})
        .filter("aformat", sample_fmts="fltp", sample_rates=SAMPLE_RATE, channel_layouts="stereo")
        .filter("apad")
    )


def _packed(sound: Any, count: int, *, late: int = 0) -> Any:
    """So many AAC packets, the first of them at 0; the sound comes so many samples late.

    The encoder puts a packet of its own before the first sample. As a rule an edit list hides it, and joined clips
    overlap by it. Here the first 21 ms give way to it, so that nothing lies before 0 and the rest stays in sync.
    """
    return sound.filter("atrim", start_sample=AAC_FRAME + late, end_sample=count * AAC_FRAME + late)


def packets(duration_s: float) -> int:
    """How many AAC packets a clip has: the sound reaches the end of the pictures, and ends within 21 ms after it.

    Two samples may be missing: joined clips would otherwise meet in packets of the same time, after rounding.
    """
    return max(2, math.ceil((duration_s * SAMPLE_RATE - 2) / AAC_FRAME))


async def join(
    tools: Tools, clips: Sequence[Path], durations_s: Sequence[float], made: Path, *, listed: Path, comment: str = ""
) -> None:
    """Copy the streams of clips of one form, all in one folder, into one file.

    `listed`: where ffmpeg may read their names from. It works in their folder, so that no name of a folder is in the
    list: a line break in one can't be quoted there. Raises MediaError, OSError.
    """
    listed.write_bytes(concat_list([Path(clip.name) for clip in clips], durations_s))
    taken = ffmpeg.input(f"file:{listed.absolute()}", format="concat", safe=0, protocol_whitelist="file")
    options = {"metadata": f"comment={comment}"} if comment else {}
    graph = ffmpeg.output(
        taken["v:0"],
        taken["a:0"],
        f"file:{made.absolute()}",
        format="mp4",
        c="copy",
        movflags="+faststart",
        video_track_timescale=TIMEBASE,
        fflags="+bitexact",
        **options,
    )
    length_s = sum(durations_s)
    await _run(tools, graph, "the clips do not join", listed, length_s, cwd=clips[0].parent)
    await _is_as_long(tools, made, length_s)


async def add_music(tools: Tools, film: Path, music: Path, made: Path, *, length_s: float, comment: str = "") -> None:
    """Copy a film's pictures, and mix music under its sound, from the start; it fades out with the film.

    Both are as loud as they are; a limiter keeps the sum from clipping. Raises MediaError, OSError.
    """
    taken = ffmpeg.input(f"file:{film}", format="mp4", protocol_whitelist="file", format_whitelist=MP4_NAMES)
    bed = ffmpeg.input(f"file:{music}", protocol_whitelist="file")["a:0"]
    bed = _resampled(bed, await _channels_of(tools, music))
    bed = bed.filter("afade", t="out", st=max(0.0, length_s - FADE_S), d=FADE_S)
    mixed = ffmpeg.filter([taken["a:0"], bed], "amix", inputs=2, duration="first", normalize=0, dropout_transition=0)
    limited = mixed.filter("alimiter", limit=0.95, level=0, attack=LIMITER_MS).filter("apad")
    sound = _packed(limited, packets(length_s), late=LIMITER_MS * SAMPLE_RATE // 1000 - 1)
    options = {"metadata": f"comment={comment}"} if comment else {}
    graph = ffmpeg.output(
        taken["v:0"],
        sound,
        f"file:{made}",
        format="mp4",
        movflags="+faststart",
        video_track_timescale=TIMEBASE,
        map_chapters=-1,
        map_metadata=-1,
        fflags="+bitexact",
        **{"c:v": "copy"},
        **_SOUND,
        **options,
    )
    await _run(tools, graph, "can't be mixed under the film", music, length_s)
    await _is_as_long(tools, made, length_s)


async def _channels_of(tools: Tools, music: Path) -> int:
    """Raises MediaError."""
    try:
        return await channels(tools, music)
    except MediaError as exc:
        raise MediaError(f"can't be mixed under the film: {exc}") from exc


async def _is_as_long(tools: Tools, made: Path, length_s: float) -> None:
    """Raises MediaError."""
    facts = await probe(tools, made)
    if abs(facts.duration_s - length_s) > LENGTH_WITHIN_S:
        raise MediaError(f"it became {facts.duration_s:.2f} s long instead of {length_s:.2f} s")


def concat_list(clips: Sequence[Path], durations_s: Sequence[float]) -> bytes:
    """A list for ffmpeg's concat demuxer.

    It tells the lengths of the pictures, as MP4 headers have only whole ms, of the longest stream. Where the sound got
    half a packet ahead, the clip's last packet is left out: players that count samples, and do not look at times,
    would otherwise drift by up to 21 ms with each clip. No picture is decoded so late, with libx264's two of delay.
    """
    lines = [b"ffconcat version 1.0"]
    ahead_s = 0.0
    for path, duration_s in zip(clips, durations_s, strict=True):
        quoted = os.fsencode(path).replace(b"'", b"'\\''")
        lines += [b"file 'file:" + quoted + b"'", b"duration %.6f" % duration_s]
        count = packets(duration_s)
        ahead_s += count * PACKET_S - duration_s
        if ahead_s > PACKET_S / 2:
            lines.append(b"outpoint %.6f" % ((count - 1.5) * PACKET_S))
            ahead_s -= PACKET_S
    return b"\n".join(lines) + b"\n"


async def _run(tools: Tools, graph: Any, what: str, path: Path, length_s: float, cwd: Path | None = None) -> None:
    program = tools.ffmpeg if cwd is None else str(Path(tools.ffmpeg).absolute())
    argv = ffmpeg.compile(graph, cmd=[program, "-nostdin", "-v", "error", "-xerror"], overwrite_output=True)
    least_s, each_s = LIMIT_S
    ran = await run_tool(argv, limit_s=least_s + each_s * length_s, cwd=cwd)
    if ran.returncode != 0:
        if os.strerror(errno.ENOSPC).encode() in ran.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise fault(what, ran.stderr, path)
