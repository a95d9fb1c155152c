"""Which pictures of a file a player shows, and when, as its packets say. Decodes nothing.

Facts (ffmpeg 4.2, 5.1, 7.0 and 8.1; docs/frames.md): headers count samples, and an edit list may hide some of them at
either end; ffprobe flags the packets of those with D. Packets come in decoding order, so the last packet of a file with
B-frames is not its last picture. A sample that a header calls a sync sample is not always one that a decoder can begin
at: x264's intra refresh marks pictures of which only a part is clean.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from vgen.errors import MediaError, NoSuchMoment, NotJudged
from vgen.media import decoders
from vgen.media.container import Container
from vgen.media.probe import PROBE_LIMIT_S, fault
from vgen.media.tools import KEPT_BYTES, Tools, run_tool

Position = Literal["first", "last"] | Decimal
"""The first or the last picture that is shown, or seconds from the clip's beginning."""

_ENTRIES = (
    "packet=pts,duration,flags,pos,size"
    ":stream=codec_name,time_base,color_space,width,height,nal_length_size:format=start_time,duration"
)
_NAL_LENGTH_BYTES = 4
_TRUSTED = frozenset({"vp9", "vp8"})
"""Codecs whose key frames refer to nothing before them, and neither does what follows."""


class _Stream(BaseModel):
    codec_name: str = "unknown"
    time_base: str = "0/1"
    color_space: str = ""
    width: int = 0
    height: int = 0
    nal_length_size: int = _NAL_LENGTH_BYTES  # ffprobe tells it of H.264 only


class _Format(BaseModel):
    start_time: Decimal = Decimal(0)
    duration: Decimal = Decimal(0)


class Packet(BaseModel):
    """One coded picture. `pts` and `duration` in the stream's time base, `pos` in bytes from the file's beginning."""

    pts: int | None = None
    duration: int = 0
    size: int = 0
    pos: int | None = None
    flags: str = ""

    @property
    def is_shown(self) -> bool:
        return self.pts is not None and "D" not in self.flags


class _Listed(BaseModel):
    packets: list[Packet] = []
    streams: list[_Stream] = Field(min_length=1)
    format: _Format = _Format()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a file shows. `times`: of the pictures as shown, ascending, in `time_base` seconds; `packets` as stored.

    `begin_s` is the file's own time of second 0; `end_s` that of its end, which may be the end of the sound.
    """

    times: Sequence[int]
    time_base: Fraction
    begin_s: Fraction
    end_s: Fraction
    codec: str
    matrix: str
    width: int
    height: int
    nal_length_size: int = _NAL_LENGTH_BYTES
    packets: Sequence[Packet] = field(default=(), repr=False)

    def time_of(self, position: Position) -> int:
        """When the picture that is on screen at `position` begins to be shown, in `time_base`.

        At a moment before the first picture (the sound began earlier) it is the first one, and after the last (the
        sound ends later) the last. Raises NoSuchMoment before second 0 and from the file's end on.
        """
        if position == "first":
            return self.times[0]
        if position == "last":
            return self.times[-1]
        length_s = self.end_s - self.begin_s
        if not position.is_finite() or position < 0 or Fraction(position) >= length_s:
            raise NoSuchMoment(at_s=position, length_s=float(length_s))
        moment = (self.begin_s + Fraction(position)) / self.time_base
        return max((time for time in self.times if time <= moment), default=self.times[0])

    def entry(self, wanted: int, path: Path) -> int | None:
        """The time of a later picture than the first from which decoding gives the one at `wanted` exactly; or None.

        What a header calls a key frame is not believed: H.264 must have an IDR picture there, HEVC an IRAP picture (and
        `wanted` is not one of its leading pictures). Raises OSError.
        """
        place = next(index for index, packet in enumerate(self.packets) if packet.pts == wanted)
        for packet in reversed(self.packets[1 : place + 1]):
            if packet.pts is None or packet.pts > wanted or not packet.is_shown or "K" not in packet.flags:
                continue
            if self._is_clean(packet, path):
                return packet.pts
        return None

    def _is_clean(self, packet: Packet, path: Path) -> bool:
        if self.codec in _TRUSTED:
            return True
        if packet.pos is None or self.nal_length_size != _NAL_LENGTH_BYTES:
            return False
        with path.open("rb") as file:
            file.seek(packet.pos)
            return is_clean_start(file.read(packet.size), self.codec)


def is_clean_start(sample: bytes, codec: str) -> bool:
    """Whether all pictures shown from this sample on decode without an earlier one, by its first slice.

    H.264 (Rec. ITU-T H.264, table 7-1): slices are types 1 to 5, of an IDR picture 5. HEVC (H.265, table 7-1): slices
    are 0 to 31, of an IRAP picture 16 to 21. Each unit has its length before it, as in MP4 (ISO/IEC 14496-15).
    """
    at = 0
    while at + _NAL_LENGTH_BYTES < len(sample):
        head = sample[at + _NAL_LENGTH_BYTES]
        if codec == "h264" and 1 <= head & 0x1F <= 5:
            return head & 0x1F == 5
        if codec == "hevc" and head >> 1 & 0x3F < 32:
            return 16 <= head >> 1 & 0x3F <= 21
        at += _NAL_LENGTH_BYTES + int.from_bytes(sample[at : at + _NAL_LENGTH_BYTES], "big")
    return False


async def shown(tools: Tools, path: Path, container: Container) -> Shown:
    """What a clip's packets say that it shows; reads the file, decodes nothing.

    Raises MediaError when there is no picture, NotJudged when ffprobe failed or its list is too long to be kept.
    """
    argv = [tools.ffprobe, "-v", "error", "-f", container.demuxer, "-protocol_whitelist", "file"]
    argv += ["-format_whitelist", container.names, "-select_streams", "V:0", "-of", "json=compact=1"]
    ran = await run_tool([*argv, "-show_entries", _ENTRIES, f"file:{path}"], limit_s=PROBE_LIMIT_S)
    if ran.returncode != 0:
        decoders.refuse_tools_fault(ran.stderr)
        raise fault("not a readable video", ran.stderr, path)
    if len(ran.stdout) >= KEPT_BYTES:
        raise NotJudged("it has more pictures than can be listed")
    try:
        return _read(_Listed.model_validate(json.loads(ran.stdout)))
    except (ValidationError, ValueError, ZeroDivisionError) as exc:
        raise MediaError("no picture in it") from exc


def _read(listed: _Listed) -> Shown:
    """Raises ValueError, ZeroDivisionError."""
    stream, time_base = listed.streams[0], Fraction(listed.streams[0].time_base)
    pictures = sorted((packet for packet in listed.packets if packet.is_shown), key=lambda packet: packet.pts or 0)
    times = [packet.pts for packet in pictures if packet.pts is not None]
    if not times or time_base <= 0:
        raise ValueError("no picture")
    begin_s = Fraction(listed.format.start_time)
    return Shown(
        times=times,
        time_base=time_base,
        begin_s=begin_s,
        end_s=max(begin_s + Fraction(listed.format.duration), (times[-1] + pictures[-1].duration) * time_base),
        codec=stream.codec_name,
        matrix="" if stream.color_space in {"unknown", "unspecified"} else stream.color_space,
        width=stream.width,
        height=stream.height,
        nal_length_size=stream.nal_length_size,
        packets=listed.packets,
    )
