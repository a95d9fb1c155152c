"""The frames of clips: real files of many kinds, held against a whole decode of the test's own."""

import io
import subprocess
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
import trio
from PIL import Image
from programs import posix, tool_script

from scripts.frames import KINDS, SIDE, X264, Kind, Maker, number_of
from vgen.errors import MediaError, NoSuchMoment
from vgen.media import frames
from vgen.media.container import MP4
from vgen.media.shown import Shown, is_clean_start, shown
from vgen.media.tools import Tools, find_tools

QUICK = {"plain", "open", "trimmed", "cut-end", "uneven", "long-sound", "turned", "empty-end", "rolling", "hevc", "one"}
NAMED = {kind.name: kind for kind in KINDS}


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools(None, None)


def made(tools: Tools, folder: Path, name: str) -> Path:
    file = folder / f"{name}{NAMED[name].suffix}"
    NAMED[name].make(Maker(tools.ffmpeg), file)
    return file


def decoded(tools: Tools, file: Path, filters: str, size: int) -> list[bytes]:
    """Every picture that a whole decode gives, `size` bytes each."""
    argv = [tools.ffmpeg, "-v", "error", "-i", file, "-map", "0:V:0", "-vf", filters, "-fps_mode", "passthrough"]
    found = subprocess.run([*argv, "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    return [found[at : at + size] for at in range(0, len(found), size)]


def lumas(tools: Tools, file: Path, *, deep: bool = False) -> list[bytes]:
    return decoded(tools, file, "extractplanes=y", SIDE * SIDE * (2 if deep else 1))


# The very picture


@pytest.mark.parametrize(
    "kind", [pytest.param(k, id=k.name, marks=[] if k.name in QUICK else [pytest.mark.slow]) for k in KINDS]
)
def test_first_and_last_are_the_decoders_to_the_bit(tools, tmp_path, kind: Kind):
    file = made(tools, tmp_path, kind.name)
    everything = lumas(tools, file, deep=kind.name == "ten-bit")
    last = trio.run(frames.luma, tools, file, "last")
    assert number_of(last, turned=kind.turned) == kind.last  # by how the file was made, whatever a decoder says
    assert last == everything[-1]
    assert len(everything) == 1 or last != everything[-2]
    assert trio.run(frames.luma, tools, file, "first") == everything[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["open", "rolling", "trimmed", "cut-end", "copied-short", "uneven", "hevc", "vp9"])
def test_every_moment_shows_the_picture_that_is_on_screen(tools, tmp_path, name):
    file = made(tools, tmp_path, name)
    everything = lumas(tools, file)
    listed: Shown = trio.run(shown, tools, file, MP4)
    assert len(listed.times) == len(everything)
    for index, time in enumerate(listed.times):
        begins_s = time * listed.time_base - listed.begin_s
        moment = Decimal(f"{float(begins_s) + 0.002:.4f}")  # within the picture: the shortest lasts 8 ms
        assert trio.run(frames.luma, tools, file, moment) == everything[index], f"picture {index}"


def test_a_moment_at_which_a_picture_begins_shows_that_picture(tools, tmp_path):
    file = tmp_path / "clip.mp4"
    Maker(tools.ffmpeg).encode(file, 20, *X264, rate="10")
    for moment, number in (("0", 0), ("0.0999", 0), ("0.1", 1), ("1.25", 12), ("1.9", 19), ("1.999", 19)):
        assert number_of(trio.run(frames.luma, tools, file, Decimal(moment))) == number


@pytest.mark.slow
def test_sound_that_begins_earlier_or_ends_later_leaves_the_nearest_picture_on_screen(tools, tmp_path):
    late, music = made(tools, tmp_path, "late"), made(tools, tmp_path, "music")
    assert number_of(trio.run(frames.luma, tools, late, Decimal("0.2"))) == 0
    assert number_of(trio.run(frames.luma, tools, late, Decimal("0.55"))) == 1
    assert number_of(trio.run(frames.luma, tools, music, Decimal(5))) == 48


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2.05", "lasts 2.042 s"),
        ("99", "lasts 2.042 s"),
        ("-0.5", "at -0.5 s"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
    ],
)
def test_a_moment_outside_of_the_clip_is_an_error_of_one_line(tools, tmp_path, moment, words):
    file = made(tools, tmp_path, "plain")
    never = Tools(ffmpeg="/nowhere/ffmpeg", ffprobe=tools.ffprobe, source="")  # nothing is decoded for it
    with pytest.raises(NoSuchMoment, match=words) as raised:
        trio.run(frames.picture, never, file, Decimal(moment))
    assert (str(raised.value.at_s), round(raised.value.length_s, 3)) == (moment, 2.042)
    assert "\n" not in str(raised.value)


# Not more than needed, and nothing believed


@posix
@pytest.mark.parametrize(("name", "sought"), [("fragments", True), ("hevc", True), ("vp9", True), ("rolling", False)])
def test_one_decode_is_enough_and_begins_at_the_last_clean_start(tools, tmp_path, name, sought):
    file, log = made(tools, tmp_path, name), tmp_path / "log"
    watched = tool_script(tmp_path / "ffmpeg", f'echo "$@" >>"{log}"\nexec "{tools.ffmpeg}" "$@"')
    trio.run(frames.luma, Tools(ffmpeg=watched, ffprobe=tools.ffprobe, source=""), file, "last")
    asked = log.read_text().splitlines()
    assert [" -ss " in words for words in asked] == [sought]


def test_the_last_clean_start_before_a_picture_is_found(tools, tmp_path):
    file = tmp_path / "clip.mp4"
    Maker(tools.ffmpeg).encode(file, 72, *X264, "-g", "24")
    listed: Shown = trio.run(shown, tools, file, MP4)
    entries = [listed.entry(time, file) for time in listed.times]
    assert [entries.index(entry) for entry in dict.fromkeys(entries)] == [0, 24, 48]
    assert entries[0] is None  # the beginning is no seek


@pytest.mark.parametrize("name", ["rolling", "open"])
def test_a_key_frame_is_not_believed_to_be_a_clean_start(tools, tmp_path, name):
    file = made(tools, tmp_path, name)
    listed: Shown = trio.run(shown, tools, file, MP4)
    assert sum("K" in packet.flags for packet in listed.packets) > 2
    assert listed.entry(listed.times[-1], file) is None


def test_clean_starts_by_their_first_slice():
    def sample(*heads: int) -> bytes:
        return b"".join(b"\x00\x00\x00\x03" + bytes([head, 1, 2]) for head in heads)

    assert is_clean_start(sample(0x09, 0x67, 0x68, 0x06, 0x65), "h264")
    assert not is_clean_start(sample(0x06, 0x41), "h264")
    assert not is_clean_start(sample(0x06), "h264")
    assert is_clean_start(sample(32 << 1, 39 << 1, 21 << 1), "hevc")
    assert not is_clean_start(sample(1 << 1, 19 << 1), "hevc")
    assert not is_clean_start(sample(0x65), "av1")
    assert not is_clean_start(b"\xff\xff\xff\xff\x09", "h264")
    assert not is_clean_start(b"", "h264")


@posix
def test_another_ffmpeg_is_asked_where_one_has_no_decoder(tools, tmp_path):
    file = made(tools, tmp_path, "plain")
    words = "echo ' V....D mpeg4  MPEG-4' ; case $* in *-decoders*) exit 0 ;; *) echo broken >&2; exit 1 ;; esac"
    poor = Tools(ffmpeg=tool_script(tmp_path / "ffmpeg", words), ffprobe=tools.ffprobe, source="")
    assert trio.run(frames.luma, poor, file, "last") == lumas(tools, file)[-1]


# The PNG


@pytest.mark.parametrize(("name", "matrix"), [("trimmed", "smpte170m"), ("turned", "smpte170m"), ("bt709", "bt709")])
def test_the_png_has_that_pictures_colours(tools, tmp_path, name, matrix):
    file = made(tools, tmp_path, name)
    png = trio.run(frames.picture, tools, file, "last")
    flags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"
    scale = f"scale=in_color_matrix={matrix}:flags={flags},format=rgb24"
    with Image.open(io.BytesIO(png)) as drawn:
        assert (drawn.format, drawn.mode, drawn.size) == ("PNG", "RGB", (SIDE, SIDE))
        assert drawn.tobytes() == decoded(tools, file, scale, 3 * SIDE * SIDE)[-1]
    assert trio.run(frames.picture, tools, file, "last") == png


def test_large_pictures_that_name_no_matrix_are_taken_for_bt709(tools, tmp_path):
    file, named = tmp_path / "large.mp4", tmp_path / "named.mp4"
    maker = Maker(tools.ffmpeg)
    maker.encode(file, 1, *X264, "-vf", "scale=64:578")
    maker.run("-i", file, "-c", "copy", "-bsf:v", "h264_metadata=matrix_coefficients=1", named)  # the same pictures
    unnamed, bt709 = (Image.open(io.BytesIO(trio.run(frames.picture, tools, f, "last"))) for f in (file, named))
    assert unnamed.size == (64, 578)
    assert unnamed.tobytes() == bt709.tobytes()


# Kept


def kept(tools: Tools, file: Path, position: frames.Position, folder: Path) -> Path:
    async def ask() -> Path:
        return await frames.frame(tools, file, position, folder, sha256="ab" * 32)

    return trio.run(ask)


@pytest.mark.slow
def test_a_frame_is_made_once_and_a_damaged_one_anew(tools, tmp_path):
    file, folder = made(tools, tmp_path, "plain"), tmp_path / "frames"
    path = kept(tools, file, "last", folder)
    whole = path.read_bytes()
    assert path == folder / f"{'ab' * 32}-last.png"
    never = Tools(ffmpeg="/nowhere", ffprobe="/nowhere", source="")
    assert kept(never, file, "last", folder) == path
    for spoilt in (b"", whole[:-20], whole[:-4], whole[:900] + b"??" + whole[902:], b"<html>"):
        path.write_bytes(spoilt)
        with pytest.raises(MediaError):
            kept(never, file, "last", folder)
        assert kept(tools, file, "last", folder).read_bytes() == whole
    assert [found.name for found in folder.iterdir()] == [path.name]


def test_each_position_has_a_file_of_its_own(tools, tmp_path):
    file, folder = made(tools, tmp_path, "plain"), tmp_path / "frames"
    moments = [Decimal("0.50"), Decimal("0.5"), Decimal("1E+0"), Decimal("-0")]
    found = [kept(tools, file, position, folder).name[64:] for position in ("first", "last", *moments)]
    assert found == ["-first.png", "-last.png", "-0.5s.png", "-0.5s.png", "-1s.png", "-0s.png"]


def test_two_shots_that_want_the_same_frame_at_once_both_get_it(tools, tmp_path):
    file, found = made(tools, tmp_path, "plain"), []

    async def want() -> None:
        found.append(await frames.frame(tools, file, "last", tmp_path / "frames", sha256="cd" * 32))

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(want)
            nursery.start_soon(want)

    trio.run(both)
    assert len(set(found)) == 1
    with Image.open(found[0]) as drawn:
        drawn.load()


# What is no clip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html></html>", "not a video"),
        (b"\x89PNG\r\n\x1a\n", "PNG picture"),
        (b"\0\0\0\x14ftypisom", "not a readable"),
    ],
)
def test_what_is_no_clip_is_an_error_of_one_line(tools, tmp_path, content, words):
    file = tmp_path / "clip.mp4"
    file.write_bytes(content)
    with pytest.raises(MediaError, match=words) as raised:
        trio.run(frames.picture, tools, file, "last")
    assert "\n" not in str(raised.value)
    assert str(tmp_path) not in str(raised.value)


def test_sound_alone_has_no_picture(tools, tmp_path):
    file = tmp_path / "clip.mp4"
    Maker(tools.ffmpeg).run("-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "aac", file)
    with pytest.raises(MediaError, match="no picture in it"):
        trio.run(frames.picture, tools, file, "last")


def test_moments_are_counted_from_the_clips_own_beginning():
    listed = Shown(times=[1000, 1500, 2000], time_base=Fraction(1, 1000), begin_s=Fraction(1), end_s=Fraction(5, 2),
                   codec="h264", matrix="", width=64, height=64)  # fmt: skip
    assert [listed.time_of(Decimal(at)) for at in ("0", "0.49", "0.5", "1.4")] == [1000, 1000, 1500, 2000]
    with pytest.raises(NoSuchMoment):
        listed.time_of(Decimal("1.5"))
