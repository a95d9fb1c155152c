"""docs/frames.md: which way of asking ffmpeg gives the picture of a clip that a player shows last.

`python -m scripts.frames` makes one small file of each kind, asks in each way, and prints the table; `--write` puts it
into the page. VGEN_FFMPEG and VGEN_FFPROBE ask with other programs (the files are always made with the packaged ones).

Each picture has its own number in its brightness, in bars (`numbered`): what was found can be read off the picture, and
no decoder's word is needed for which one it is.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import trio

from vgen.errors import MediaError
from vgen.media import frames
from vgen.media.tools import Tools, find_tools

PAGE = Path(__file__).resolve().parent.parent / "docs" / "frames.md"
BEGIN, END = "<!-- made by scripts/frames.py -->\n", "<!-- end -->\n"

SIDE = 64
BARS = 8
LIGHT, DARK = 190, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of file. `first` and `last`: numbers of the pictures that are shown; `turned`: on its side."""

    name: str
    what: str
    make: Callable[["Maker", Path], None]
    last: int
    first: int = 0
    suffix: str = ".mp4"
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes files with ffmpeg."""

    ffmpeg: str

    def run(self, *words: str | Path) -> None:
        subprocess.run([self.ffmpeg, "-nostdin", "-v", "error", "-y", *map(str, words)], check=True)

    def encode(
        self,
        made: Path,
        count: int,
        *words: str,
        rate: str = "24",
        sound_s: float = 0,
        delay_s: float = 0,
        filters: str = "",
    ) -> None:
        """`count` numbered pictures, from `delay_s` on; `words`: encoder and muxer. `sound_s`: of sound beside them."""
        source = ["-itsoffset", str(delay_s), "-f", "lavfi", "-i", f"{numbered(rate)},trim=end_frame={count}{filters}"]
        sound = ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={sound_s}"] if sound_s else []
        coded = ["-c:a", "aac"] if sound_s else []
        self.run(*source, *sound, *words, *coded, "-fflags", "+bitexact", made)


def numbered(rate: str) -> str:
    """A lavfi source. The upper half of picture N shows N in binary: the lowest bit on the left, light for 1."""
    bit = f"if(mod(floor(N/pow(2,floor(X/{SIDE // BARS}))),2),{LIGHT},{DARK})"
    lum = f"if(lt(Y,{SIDE // 2}),{bit},lum(X,Y))"
    return f"testsrc2=size={SIDE}x{SIDE}:rate={rate},format=yuv420p,geq=lum='{lum}':cb='cb(X,Y)':cr='cr(X,Y)'"


def number_of(luma: bytes, side: int = SIDE, *, turned: bool = False) -> int:
    """The number that a picture shows, of its luma in 8 or 10 bits. `turned`: a quarter clockwise, as a player does."""
    if len(luma) == 2 * side * side:
        luma = bytes(int.from_bytes(luma[at : at + 2], "little") >> 2 for at in range(0, len(luma), 2))
    found = 0
    for bit in range(BARS):
        along, across = bit * (side // BARS) + side // BARS // 2, side // 4
        x, y = (side - 1 - across, along) if turned else (along, across)
        found |= (luma[y * side + x] > (LIGHT + DARK) // 2) << bit
    return found


X264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "20", "-threads", "1")
X265 = ("-c:v", "libx265", "-preset", "fast", "-crf", "20", "-tag:v", "hvc1")
VP9 = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-threads", "1")


def _x265(more: str) -> tuple[str, ...]:
    return (*X265, "-x265-params", f"log-level=none:pools=1:frame-threads=1:{more}")


def _encoded(count: int, *words: str, **more: object) -> Callable[[Maker, Path], None]:
    return lambda maker, made: maker.encode(made, count, *words, **more)  # type: ignore[arg-type]


def _remade(count: int, words: Sequence[str], copied: Sequence[str], before: Sequence[str] = (), **more: object):
    """Encode, then copy with further options."""

    def make(maker: Maker, made: Path) -> None:
        plain = made.with_name(f"{made.stem}.plain{made.suffix}")
        maker.encode(plain, count, *words, **more)  # type: ignore[arg-type]
        maker.run(*before, "-i", plain, "-c", "copy", *copied, "-fflags", "+bitexact", made)
        plain.unlink()

    return make


def _cut_at_the_end(maker: Maker, made: Path) -> None:
    """As editors trim without encoding: the edit list says 1.5 s, all samples are still there."""
    maker.encode(made, 49, *X264, "-g", "24")
    data = bytearray(made.read_bytes())
    for box, at in ((b"mvhd", 20), (b"tkhd", 24), (b"elst", 12)):  # version 0: duration in the movie's ms
        struct.pack_into(">I", data, data.index(box) + at, 1500)
    made.write_bytes(data)


def _empty_at_the_end(maker: Maker, made: Path) -> None:
    """The last sample is a filler (NAL unit type 12): the header counts a picture that no decoder gives."""
    maker.encode(made, 49, *X264, "-bf", "0")
    data = bytearray(made.read_bytes())
    stsz = data.index(b"stsz")
    count = int.from_bytes(data[stsz + 12 : stsz + 16], "big")
    size = int.from_bytes(data[stsz + 12 + 4 * count : stsz + 16 + 4 * count], "big")
    end = data.index(b"moov") - 4  # the pictures are stored before it
    data[end - size + 4 : end] = b"\x0c" + b"\xff" * (size - 6) + b"\x80"
    made.write_bytes(data)


def _with_cover(maker: Maker, made: Path) -> None:
    plain, cover = made.with_name("cover.plain.mp4"), made.with_name("cover.jpg")
    maker.encode(plain, 49, *X264)
    maker.run("-f", "lavfi", "-i", "color=red:size=32x32", "-frames:v", "1", "-pix_fmt", "yuvj420p", cover)
    maker.run("-i", cover, "-i", plain, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic",
              "-fflags", "+bitexact", made)  # fmt: skip
    plain.unlink()
    cover.unlink()


def _turned(maker: Maker, made: Path) -> None:
    """A matrix that says "turn a quarter clockwise", written into the track header as phones do."""
    maker.encode(made, 25, *X264)
    data = bytearray(made.read_bytes())
    struct.pack_into(">9i", data, data.index(b"tkhd") + 44, 0, 1 << 16, 0, -(1 << 16), 0, 0, SIDE << 16, 0, 1 << 30)
    made.write_bytes(data)


_UNEVEN = ",setpts='(N+0.4*mod(N,3)+8*gte(N,30))/24/TB'"

KINDS = (
    Kind(name="plain", what="H.264, B-frames", make=_encoded(49, *X264), last=48),
    Kind(name="open", what="H.264, open GOPs, 5 references, pyramid", last=72,
         make=_encoded(73, *X264, "-g", "24", "-x264-params", "open-gop=1:bframes=5:b-pyramid=normal:ref=5:b-adapt=0")),
    Kind(name="rolling", what="H.264, intra refresh (key frames only by name)", last=73,
         make=_encoded(74, *X264, "-x264-params", "intra-refresh=1:keyint=24:bframes=0")),
    Kind(name="trimmed", what="H.264, start trimmed with `-ss 0.6 -c copy` (edit list)", last=48, first=15,
         make=_remade(49, (*X264, "-g", "12"), (), ("-ss", "0.6"))),
    Kind(name="cut-end", what="H.264, edit list that ends before the samples do", last=35, make=_cut_at_the_end),
    Kind(name="copied-short", what="H.264, end trimmed with `-t 1.5 -c copy`", last=38,
         make=_remade(49, (*X264, "-g", "24", "-bf", "3"), ("-t", "1.5"))),
    Kind(name="uneven", what="H.264, variable frame rate", last=48,
         make=_encoded(49, *X264, "-fps_mode", "passthrough", filters=_UNEVEN)),
    Kind(name="long-sound", what="H.264, sound 0.5 s longer", make=_encoded(49, *X264, sound_s=2.54), last=48),
    Kind(name="music", what="H.264, sound 4 s longer", make=_encoded(49, *X264, sound_s=6.04), last=48),
    Kind(name="short-sound", what="H.264, sound 1 s shorter", make=_encoded(49, *X264, sound_s=1.04), last=48),
    Kind(name="late", what="H.264, pictures begin 0.5 s after the sound", last=48,
         make=_encoded(49, *X264, sound_s=2, delay_s=0.5)),
    Kind(name="empty-end", what="H.264, last sample holds no picture", make=_empty_at_the_end, last=47),
    Kind(name="fragments", what="H.264, fragmented", last=72,
         make=_encoded(73, *X264, "-g", "24", "-movflags", "frag_keyframe+empty_moov+default_base_moof")),
    Kind(name="long-gop", what="H.264, 10 s with one key frame", last=239, make=_encoded(240, *X264, "-g", "9999")),
    Kind(name="one", what="H.264, one picture", make=_encoded(1, *X264), last=0),
    Kind(name="ntsc", what="H.264, 30000/1001", make=_encoded(61, *X264, rate="30000/1001"), last=60),
    Kind(name="bt709", what="H.264, full range, BT.709", last=48,
         make=_encoded(49, *X264, "-color_range", "pc", "-colorspace", "bt709", "-color_primaries", "bt709",
                       "-color_trc", "bt709")),
    Kind(name="turned", what="H.264, turned by 90°", make=_turned, last=24, turned=True),
    Kind(name="cover", what="H.264, cover picture as first stream", make=_with_cover, last=48),
    Kind(name="timecode", what="H.264, timecode track", last=48, suffix=".mov",
         make=_encoded(49, *X264, "-timecode", "01:00:00:00")),
    Kind(name="hevc", what="HEVC, open GOPs", last=72,
         make=_encoded(73, *_x265("keyint=24:open-gop=1:bframes=4"))),
    Kind(name="ten-bit", what="H.264, 10 bit, B-frames", last=48,
         make=_encoded(49, *X264, "-g", "24", "-pix_fmt", "yuv420p10le")),
    Kind(name="webm", what="VP9 in WebM, hidden pictures", make=_encoded(49, *VP9), last=48, suffix=".webm"),
    Kind(name="vp9", what="VP9 in MP4", make=_encoded(49, *VP9, "-g", "24"), last=48),
    Kind(name="mkv", what="H.264 in Matroska", make=_encoded(73, *X264, "-g", "24"), last=72, suffix=".mkv"),
)  # fmt: skip


# Ways of asking


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for the last picture of a file."""

    tools: Tools
    file: Path

    def told(self, entries: str, *more: str) -> dict[str, Any]:
        """What ffprobe says of the pictures' stream."""
        argv = [self.tools.ffprobe, "-v", "error", "-select_streams", "V:0", "-of", "json", *more]
        ran = subprocess.run([*argv, "-show_entries", f"stream={entries}:format=duration", self.file],
                             capture_output=True, check=True)  # fmt: skip
        found = json.loads(ran.stdout)
        return {**found["format"], **found["streams"][0]}

    def number(self, before: Iterable[str], after: Iterable[str], filters: str = "") -> bytes | None:
        """Luma of the picture that came, None if none did."""
        made = self.file.with_suffix(".luma")
        made.unlink(missing_ok=True)
        graph = f"{filters}{',' if filters else ''}extractplanes=y"
        argv = [self.tools.ffmpeg, "-nostdin", "-v", "error", "-y", *before, "-i", self.file, "-map", "0:V:0"]
        subprocess.run([*argv, "-vf", graph, *after, "-f", "image2", "-update", "1", "-c:v", "rawvideo", made],
                       capture_output=True, check=False)  # fmt: skip
        return made.read_bytes() if made.is_file() else None

    def all(self) -> list[bytes]:
        """Luma of every picture, by a decode of the whole file that is told nothing about it."""
        argv = [self.tools.ffmpeg, "-nostdin", "-v", "error", "-i", self.file, "-map", "0:V:0", "-copyts"]
        argv += ["-vf", "extractplanes=y,setpts=N/25/TB", "-r", "25", "-f", "rawvideo", "-"]
        found = subprocess.run(argv, capture_output=True, check=True).stdout
        size = SIDE * SIDE * (2 if self.told("pix_fmt")["pix_fmt"].endswith("10le") else 1)
        return [found[at : at + size] for at in range(0, len(found), size)]


def _before_the_end(asker: Asker) -> bytes | None:
    told = asker.told("duration,avg_frame_rate")
    at = float(told["duration"]) - 1 / float(Fraction(told["avg_frame_rate"]))
    return asker.number(["-ss", f"{at:.6f}"], ["-frames:v", "1"])


def _nth(asker: Asker, entry: str, *more: str) -> bytes | None:
    count = asker.told(entry, *more).get(entry)
    return asker.number([], ["-frames:v", "1"], f"select=eq(n\\,{int(count) - 1})") if count else None


def _ours(asker: Asker) -> bytes | None:
    try:
        return trio.run(frames.luma, asker.tools, asker.file, "last")
    except MediaError:
        return None


WAYS: dict[str, Callable[[Asker], bytes | None]] = {
    "`-sseof -0.1 -frames:v 1`": lambda asker: asker.number(["-sseof", "-0.1"], ["-frames:v", "1"]),
    "`-sseof -0.1 -update 1`": lambda asker: asker.number(["-sseof", "-0.1"], []),
    "`-sseof -3 -update 1`": lambda asker: asker.number(["-sseof", "-3"], []),
    "`-ss` duration − 1 frame": _before_the_end,
    "`select` n = `nb_frames` − 1": lambda asker: _nth(asker, "nb_frames"),
    "`select` n = counted − 1": lambda asker: _nth(asker, "nb_read_frames", "-count_frames"),
    "`reverse`": lambda asker: asker.number([], ["-frames:v", "1"], "reverse"),
    "all, `-update 1`": lambda asker: asker.number([], []),
    "vgen": _ours,
}


def cell(kind: Kind, luma: bytes | None, right: bytes) -> str:
    """What came, as the table says it. `right`: the last picture of a whole decode."""
    if luma is None:
        return "none"
    late = number_of(luma, turned=kind.turned) - kind.last
    if late == 0:
        return "✓" if luma == right else "blurred"
    return f"{late:+d}".replace("-", "−")


def table(maker: Maker, tools: Tools, folder: Path) -> str:
    """The table in Markdown."""
    lines = [f"| file | {' | '.join(WAYS)} |", f"|---|{'---|' * len(WAYS)}"]
    for kind in KINDS:
        file = folder / f"{kind.name}{kind.suffix}"
        kind.make(maker, file)
        asker = Asker(tools, file)
        right = asker.all()[-1]
        assert number_of(right, turned=kind.turned) == kind.last, f"{kind.name}: not the file that it should be"
        cells = [cell(kind, way(asker), right) for way in WAYS.values()]
        lines.append(f"| {kind.what} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tools = find_tools(os.environ.get("VGEN_FFMPEG"), os.environ.get("VGEN_FFPROBE"))
        made = table(Maker(find_tools(None, None).ffmpeg), tools, Path(folder))
    if "--write" in sys.argv[1:]:
        head, rest = PAGE.read_text("utf-8").split(BEGIN)
        PAGE.write_text(head + BEGIN + made + END + rest.split(END)[1], "utf-8")
    print(made, end="")


if __name__ == "__main__":
    main()
