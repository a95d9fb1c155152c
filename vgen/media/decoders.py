"""Whether a decode failed because the tool has no decoder, which says nothing about the file. Knows no verdicts.

Facts (the wheel's ffmpeg 8.1.2): for AV1 video it lists a decoder `av1` that works only with a graphics card, and fails
with "Your platform doesn't support hardware accelerated AV1 decoding" and ENOSYS, exit code 218.
"""

import os
import re
import shutil

from vgen.errors import MediaError, NoDecoder, NotJudged
from vgen.media.tools import Tools, first_line, in_wheel, run_tool

LIST_LIMIT_S = 30.0

_LINE = re.compile(r"^ [VAS][F.][S.][X.][B.][D.] (\S+) .*?(?:\(codec (\S+)\))?$", re.MULTILINE)
_HARDWARE = re.compile(r"_(amf|cuvid|d3d\w*|mediacodec|mmal|omx|qsv|rkmpp|v4l2m2m|vaapi|vdpau|videotoolbox)$")
_ONLY_WITH_HARDWARE = frozenset({"av1"})
"""libavcodec's own decoders that hand every picture to a graphics card; libdav1d and libaom-av1 need none."""
_NEEDS_HARDWARE = (b"hardware accelerated", b"Function not implemented")
_NOT_WRITTEN_YET = b"Not yet implemented in FFmpeg"
_TOOLS_FAULT = (
    b"Unknown input format",
    b"Unrecognized option",
    b"Option not found",
    b"Protocol not found",
    b"Too many open files",
    b"Resource temporarily unavailable",
)
"""What ffmpeg says when it lacks a part, memory or threads. None of it comes from a file's bytes."""


class Unsupported(MediaError):
    """The file is damaged, or ffmpeg does not know how to read it: if the bytes are whole, it is the latter."""


def refuse_tools_fault(stderr: bytes) -> None:
    """A tool that tells of a fault of its own or of this machine has judged nothing. Raises NotJudged."""
    if any(words in stderr for words in _TOOLS_FAULT):
        raise NotJudged(f"the tool failed: {first_line(stderr)}")


def others(tools: Tools) -> list[str]:
    """Further ffmpegs that may have a decoder which this one lacks: the wheel's, then each on PATH."""
    found = [in_wheel("ffmpeg"), *(shutil.which("ffmpeg", path=folder) for folder in os.get_exec_path() if folder)]
    tried = {os.path.realpath(tools.ffmpeg)}
    further: list[str] = []
    for program in found:
        if program is not None and (real := os.path.realpath(program)) not in tried:
            tried.add(real)
            further.append(program)
    return further


async def blame(tools: Tools, codecs: list[str], stderr: bytes, damage: MediaError) -> MediaError:
    """Whose fault a failed decode is: NoDecoder (the tool's), Unsupported (either), or `damage` (the file's)."""
    if isinstance(damage, NotJudged):
        return damage
    try:
        known = await _software_decoders(tools)
    except NotJudged:
        return damage
    for codec in codecs:
        names = known.get(codec, frozenset())
        bare = names <= _ONLY_WITH_HARDWARE and any(words in stderr for words in _NEEDS_HARDWARE)
        if codec in ("unknown", "none"):
            return Unsupported(f"{damage}; this ffmpeg does not know the codec")
        if not names or bare:
            return NoDecoder(f"this ffmpeg has no decoder for {codec}; set VGEN_FFMPEG to one that has")
    if _NOT_WRITTEN_YET in stderr:
        return Unsupported(str(damage))
    return damage


async def _software_decoders(tools: Tools) -> dict[str, frozenset[str]]:
    """Codec → its decoders that need no hardware, as this ffmpeg lists them. Raises NotJudged."""
    ran = await run_tool([tools.ffmpeg, "-hide_banner", "-v", "error", "-decoders"], limit_s=LIST_LIMIT_S)
    found: dict[str, set[str]] = {}
    for name, codec in _LINE.findall(ran.stdout.decode("utf-8", "replace")):
        if not _HARDWARE.search(name):
            found.setdefault(codec or name, set()).add(name)
    if not found:
        raise NotJudged("ffmpeg does not list its decoders")
    return {codec: frozenset(names) for codec, names in found.items()}
