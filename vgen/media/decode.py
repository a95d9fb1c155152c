"""Decodes a whole file: whether it is damaged, what strikes the eye, and its poster frame. Files are hostile."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vgen.errors import MediaError, NoDecoder, NotJudged
from vgen.media import decoders, posters, remarks
from vgen.media.container import MP4, Container
from vgen.media.decoders import Unsupported
from vgen.media.probe import codecs, decode_limit_s, fault
from vgen.media.tools import Tools, run_tool

_QUICKLY = frozenset({"h264"})
"""Where a pass without the loop filter saves time, and finds all damage: parsing never looks at pictures. Of 3,240
H.264 files damaged by chance (nine kinds; cut, zeros, flipped bits, misplaced pieces) neither pass passed what the
other did not. In HEVC and VP9 it saves nothing; AV1 was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a whole file showed. `poster`: a JPEG as `posters.poster` draws it, if it was to be had on the way."""

    remarks: tuple[str, ...] = ()
    poster: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """A file to decode, and what is to be told of it."""

    path: Path
    duration_s: float
    container: Container
    remark: bool
    sound: bool

    @property
    def heard(self) -> list[str]:
        return ["-af", remarks.sound_filters(self.duration_s)] if self.sound else []

    @property
    def filters(self) -> list[str]:
        return [*(["-vf", remarks.picture_filters(self.duration_s)] if self.remark else []), *self.heard]


async def decode(
    tools: Tools,
    path: Path,
    duration_s: float,
    container: Container = MP4,
    *,
    codec: str = "",
    remark: bool = False,
    sound: bool = False,
) -> Decoded:
    """Decode every frame; with `remark`, tell what strikes the eye (with `sound`, the ear). What ffmpeg has no decoder
    for is tried with the next ffmpeg. `codec`: that of the pictures as `probe` told it, if it did.

    Raises MediaError at the first fault, NoDecoder when no ffmpeg can read it, NotJudged when ffmpeg itself failed.
    """
    check = _Check(path=path, duration_s=duration_s, container=container, remark=remark, sound=sound)
    if container is MP4 and codec and (whole := await _in_one_pass(tools, check, quick=codec in _QUICKLY)):
        return whole
    try:
        return await _decode(tools, check, check.filters)
    except (NoDecoder, Unsupported) as exc:
        for program in decoders.others(tools):
            try:
                return await _decode(replace(tools, ffmpeg=program), check, check.filters)
            except (NotJudged, Unsupported):
                continue
            except MediaError:
                if isinstance(exc, NoDecoder):
                    raise  # this one has a decoder, and it says that the file is damaged
        raise


async def _decode(tools: Tools, check: _Check, filters: Sequence[str]) -> Decoded:
    argv = _argv(tools, check, outputs=["-map", "0:V", *_SOUND, *filters, *_NOWHERE])
    ran = await run_tool(argv, limit_s=decode_limit_s(check.duration_s))
    if ran.returncode == 0:
        return Decoded(remarks=remarks.read(ran.stdout, check.duration_s))
    if filters:  # the filters look, and judge nothing: their fault is never the file's
        return await _decode(tools, check, [])
    decoders.refuse_tools_fault(ran.stderr)
    named = await codecs(tools, check.path, check.container)
    raise await decoders.blame(tools, named, ran.stderr, fault("does not decode", ran.stderr, check.path))


_SOUND = ("-map", "0:a?")
_NOWHERE = ("-f", "null", "-")


def _argv(tools: Tools, check: _Check, *, quicker: Sequence[str] = (), outputs: Sequence[str]) -> list[str]:
    """Without -xerror ffmpeg returns 0 for a file that was cut off. V: no attached pictures."""
    kind = check.container
    argv = [tools.ffmpeg, "-nostdin", "-y", "-v", "error", "-xerror"]  # without -y, a file there ends it with 0
    if kind is MP4:  # what its index says need not be found out: that would decode some pictures twice
        argv.append("-nofind_stream_info")
    argv += ["-f", kind.demuxer, "-protocol_whitelist", "file", "-format_whitelist", kind.names]
    argv += ["-err_detect", "explode", "-threads", "1"]  # `judge_with` runs one check a core
    return [*argv, *quicker, "-i", f"file:{check.path}", *outputs]


async def _in_one_pass(tools: Tools, check: _Check, *, quick: bool) -> Decoded | None:
    """All there is to tell of a whole file, with its poster frame; None if anything is wrong. Raises NotJudged.

    `quick`: pictures without the loop filter differ a little, so the detectors of remarks see more than they must; what
    they see, a pass with it decides. A poster frame is so small that nobody sees a difference (40 to 43 dB).
    """
    eye, quicker = (remarks.WARY_EYE, ["-skip_loop_filter", "all"]) if quick else (remarks.EYE, [])
    with tempfile.TemporaryDirectory(prefix="vgen-") as folder:
        stills = [Path(folder) / f"{quality}.jpg" for quality in posters.POSTER_QUALITIES]
        argv = _argv(tools, check, quicker=quicker, outputs=_looked_at(check, eye, stills))
        ran = await run_tool(argv, limit_s=decode_limit_s(check.duration_s))
        poster = posters.smallest([still.read_bytes() for still in stills if still.exists()])
    if ran.returncode != 0:
        return None
    seen = remarks.read(ran.stdout, check.duration_s, eye)
    return await _in_one_pass(tools, check, quick=False) if quick and seen else Decoded(remarks=seen, poster=poster)


def _looked_at(check: _Check, eye: remarks.Eye, stills: Sequence[Path]) -> list[str]:
    """Where everything goes: nowhere, and with remarks a picture of the middle to `stills`, in falling quality."""
    if not check.remark:
        return ["-map", "0:V", *_SOUND, *check.heard, *_NOWHERE]
    seen = remarks.picture_filters(check.duration_s, eye)
    middle = f"select='gte(t,{check.duration_s / 2:.3f})*isnan(prev_selected_t)',{posters.SMALL},split={len(stills)}"
    drawn = [f"[still{number}]" for number in range(len(stills))]
    graph = f"[0:V]split[all][middle];[all]{seen}[seen];[middle]{middle}{''.join(drawn)}"
    outputs = ["-filter_complex_threads", "1", "-filter_complex", graph]
    outputs += ["-map", "[seen]", *_SOUND, *check.heard, *_NOWHERE]
    for name, still, quality in zip(drawn, stills, posters.POSTER_QUALITIES, strict=True):
        outputs += ["-map", name, "-frames:v", "1", *posters.JPEG, "-q:v", str(quality), "-f", "image2"]
        outputs += ["-update", "1", f"file:{still}"]
    return outputs
