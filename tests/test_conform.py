"""Real clips of many kinds through real ffmpeg: made uniform, joined by copying, and only what changed made again."""

import html
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
import shared
import trio
from hypothesis import given
from hypothesis import strategies as st
from programs import ends, posix, tool_script

from vgen.errors import ClipFailed, MediaError
from vgen.media import conform, length, subtitles, target_format
from vgen.media.ai_mark import COMPOSITE, TRAINED
from vgen.media.claims import scan
from vgen.media.conform import Source, Summary
from vgen.media.conform_record import RECORD
from vgen.media.cut import Joined, Wishes, cut, cut_is_current
from vgen.media.probe import Facts, probe
from vgen.media.provenance import NOTHING, Provenance
from vgen.media.slate import Slate
from vgen.media.target_format import TargetFormat
from vgen.media.tools import Tools, find_tools, run_tool
from vgen.store import failpoints

NO_TOOLS = Tools(ffmpeg="/nonexistent/ffmpeg", ffprobe="/nonexistent/ffprobe", source="test")
LINE_BREAK = "\nnext line" if os.name == "posix" else ""
WITHIN_S = 0.03  # one frame at 30 fps; an AAC packet has 21 ms


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools(None, None)


def run(argv: list[str], *, quiet: bool = True) -> bytes:
    """What a tool printed; it must have ended well, and without a word on stderr."""
    ran = trio.run(partial(run_tool, argv, limit_s=180))
    assert ran.returncode == 0, ran.stderr.decode()
    assert not quiet or ran.stderr == b""
    return ran.stdout


# Clips of all kinds. The upper half has a colour of its own, the lower is white.


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A clip to draw: `later` takes the colour's place at `turns_s`, and there the tone begins, if there is one."""

    colour: str
    size: str = "720x1280"
    fps: str = "24"
    duration_s: str
    shot_s: str
    later: str = ""
    turns_s: str = "0"
    tone_hz: int = 0
    sample_rate: int = 48_000
    film: str = ""
    rotation: int = 0


KINDS = {
    1: Kind(colour="red", duration_s="2", shot_s="2", tone_hz=48_000, turns_s="1"),
    2: Kind(colour="lime", size="834x1112", fps="30", duration_s="1.5", shot_s="1.5"),
    3: Kind(colour="blue", size="1280x720", duration_s="1", shot_s="1", rotation=90),
    4: Kind(colour="yellow", size="540x1280", fps="30", duration_s="1", shot_s="1", film="setsar=4/3"),
    5: Kind(
        colour="cyan", later="black", turns_s="0.5", duration_s="2", shot_s="0.75", tone_hz=48_000, sample_rate=32_000
    ),
    6: Kind(colour="red", later="magenta", turns_s="0.5", duration_s="0.6", shot_s="1"),
}
SHOTS_S = [float(kind.shot_s) for kind in KINDS.values()]
STARTS_S = [sum(SHOTS_S[:i]) for i in range(len(SHOTS_S))]


def draw(tools: Tools, kind: Kind, path: Path) -> None:
    across, down = map(int, kind.size.split("x"))
    white = f"drawbox=y={down // 2}:h={down // 2}:c=white:t=fill"
    if kind.rotation:  # as it lies in the file: the colour's half becomes the upper one when it is shown
        white = f"drawbox=w={across // 2}:h={down}:c=white:t=fill"
    films = [f"color={kind.colour}:s={kind.size}:r={kind.fps}:d={kind.duration_s}"]
    if kind.later:
        films.append(f"drawbox=c={kind.later}:t=fill:enable='gte(t,{kind.turns_s})'")
    argv = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", ",".join([*films, white, kind.film or "null"])]
    if kind.tone_hz:
        tone = f"sine=frequency=440:sample_rate={kind.sample_rate}:duration={kind.duration_s}"
        argv += ["-f", "lavfi", "-i", f"{tone},volume=0:enable='lt(t,{kind.turns_s})'"]
    made = path.with_suffix(".draft.mp4")
    run([*argv, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(made)])
    if kind.rotation:
        turn = [tools.ffmpeg, "-v", "error", "-display_rotation", str(kind.rotation), "-i", str(made), "-c", "copy"]
        run([*turn, str(path)])
        made.unlink()
    else:
        made.replace(path)


@dataclass(kw_only=True)
class Production:
    """Clips in a folder, and what `conform` and `cut` make of them."""

    root: Path
    kinds: dict[int, Kind]
    aspect_ratio: str = "9:16"
    told: list[tuple[int | None, str]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.root / "conformed"

    @property
    def target(self) -> Path:
        return self.root / "cut.mp4"

    def clip(self, number: int) -> Path:
        return self.root / "clips" / f"clip_{number:03d}.mp4"

    def conformed(self, number: int) -> Path:
        return self.folder / f"clip_{number:03d}.mp4"

    def sources(self) -> list[Source]:
        return [Source(number=n, path=self.clip(n), duration_s=Decimal(k.shot_s)) for n, k in self.kinds.items()]

    def tell(self, number: int | None, text: str) -> None:
        self.told.append((number, text))

    def conform(self, tools: Tools, **options: int) -> Summary:
        work = partial(conform.conform, tools, self.sources(), self.folder, self.aspect_ratio, **options)
        return trio.run(partial(work, tell=self.tell))

    def cut(self, tools: Tools, provenance: Provenance = NOTHING, **wishes: object) -> Joined:
        work = partial(cut, tools, self.folder, self.target, list(self.kinds), Wishes(**wishes), provenance=provenance)
        return trio.run(partial(work, tell=self.tell))

    def is_current(self) -> bool:
        return conform.is_current(self.sources(), self.folder, self.aspect_ratio)

    def cut_is_current(self, **wishes: object) -> bool:
        return cut_is_current(self.folder, self.target, list(self.kinds), Wishes(**wishes))

    def files(self) -> dict[str, tuple[int, int]]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def finished(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Production:
    """All kinds, conformed and cut. Only looked at; tests that change something take a copy."""

    def make(folder: Path) -> None:
        made = Production(root=folder, kinds=dict(KINDS))
        (made.root / "clips").mkdir()
        with ThreadPoolExecutor(2) as executor:
            list(executor.map(partial(draw, tools), KINDS.values(), map(made.clip, KINDS)))
        assert not made.is_current()
        assert made.conform(tools).made == [1, 2, 3, 4, 5, 6]
        assert not made.cut_is_current()
        assert made.cut(tools).numbers == [1, 2, 3, 4, 5, 6]
        assert made.told == []

    folder = shared.once(tmp_path_factory, 'it\'s a "tëst" #1 ?x=%03d 50%' + LINE_BREAK, make)
    return Production(root=folder, kinds=dict(KINDS))


@pytest.fixture
def production(finished: Production, tmp_path: Path) -> Production:
    """A copy of the finished production, times and all."""
    shutil.copytree(finished.root, tmp_path / "outputs")
    return Production(root=tmp_path / "outputs", kinds=dict(KINDS))


@pytest.fixture
def small(finished: Production, tmp_path: Path) -> Production:
    """Shots 3 and 5 in place, nothing conformed yet."""
    made = Production(root=tmp_path / "outputs", kinds={3: KINDS[3], 5: KINDS[5]})
    (made.root / "clips").mkdir(parents=True)
    for number in made.kinds:
        shutil.copy2(finished.clip(number), made.clip(number))
    return made


# What tools see in a file


def streams(tools: Tools, path: Path) -> list[dict[str, str]]:
    entries = "stream=index,codec_type,codec_name,profile,level,width,height,sample_aspect_ratio,pix_fmt,time_base"
    entries += ",avg_frame_rate,r_frame_rate,duration,nb_frames,sample_rate,channels,has_b_frames,extradata_hash"
    entries += ",color_range,color_space,color_transfer,color_primaries,start_time"
    argv = [tools.ffprobe, "-v", "error", "-show_data_hash", "sha256", "-of", "json", "-show_entries", entries]
    return json.loads(run([*argv, str(path)]))["streams"]


def packets(tools: Tools, path: Path, stream: str) -> list[dict[str, int]]:
    argv = [tools.ffprobe, "-v", "error", "-of", "json", "-select_streams", stream, "-show_entries", "packet=pts,dts"]
    return json.loads(run([*argv, str(path)]))["packets"]


def colours(tools: Tools, path: Path, frame: int, points: int = 16) -> list[str]:
    """Colours down the middle of a frame (from 0), from top to bottom."""
    shape = f"select='eq(n,{frame})',crop=iw/3:ih,scale=1:{points}:flags=area:in_color_matrix=bt709,format=rgb24"
    argv = [tools.ffmpeg, "-v", "error", "-i", str(path), "-vf", shape, "-frames:v", "1", "-f", "rawvideo", "-"]
    pixels = run(argv)
    return [named(pixels[i : i + 3]) for i in range(0, 3 * points, 3)]


NAMES = {
    (0, 0, 0): "black", (255, 0, 0): "red", (0, 255, 0): "lime", (0, 0, 255): "blue", (255, 255, 0): "yellow",
    (0, 255, 255): "cyan", (255, 0, 255): "magenta", (255, 255, 255): "white",
}  # fmt: skip


def named(pixel: bytes) -> str:
    return NAMES[min(NAMES, key=lambda name: sum((a - b) ** 2 for a, b in zip(name, pixel, strict=True)))]


def loud_from_s(tools: Tools, path: Path, after_s: float = 0.0) -> float:
    """When sound is first heard after a time."""
    argv = [tools.ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a", "-ac", "1", "-ar", "8000"]
    raw = run([*argv, "-f", "s16le", "-"])
    samples = memoryview(raw).cast("h")
    return next(i for i in range(round(after_s * 8000), len(samples)) if abs(samples[i]) > 500) / 8000


def peak(tools: Tools, path: Path, *between_s: float) -> float:
    """The highest sample between two times, of either channel; 1.0 is full scale."""
    first, last = (round(time_s * 48_000) for time_s in between_s)
    trimmed = f"atrim=start_sample={first}:end_sample={last}"
    argv = [tools.ffmpeg, "-v", "error", "-i", str(path), "-map", "0:a", "-af", trimmed, "-c:a", "pcm_f32le"]
    return max(map(abs, memoryview(run([*argv, "-f", "f32le", "-"])).cast("f")))


# Uniform


@pytest.mark.slow
def test_all_clips_become_of_one_form_down_to_the_codec_parameters(tools, finished):
    found = [streams(tools, finished.conformed(number)) for number in KINDS]
    lengths = {"duration", "nb_frames"}
    assert all(
        [{k: v for k, v in stream.items() if k not in lengths} for stream in clip]
        == [{k: v for k, v in stream.items() if k not in lengths} for stream in found[0]]
        for clip in found
    )
    video, sound = found[0]
    assert {
        "codec_name": "h264", "profile": "High", "width": 720, "height": 1280, "sample_aspect_ratio": "1:1",
        "pix_fmt": "yuv420p", "time_base": "1/120000", "avg_frame_rate": "24/1", "color_range": "tv",
        "color_space": "bt709", "color_transfer": "bt709", "color_primaries": "bt709",
    }.items() <= video.items()  # fmt: skip
    assert {
        "codec_name": "aac",
        "sample_rate": "48000",
        "channels": 2,
        "start_time": "0.000000",
    }.items() <= sound.items()


@pytest.mark.slow
def test_each_clip_is_as_long_as_its_shot_and_its_sound_reaches_to_its_end(tools, finished):
    for number, kind in KINDS.items():
        video, sound = streams(tools, finished.conformed(number))
        assert int(video["nb_frames"]) == float(kind.shot_s) * 24
        assert 0 <= float(sound["duration"]) - float(video["duration"]) < target_format.PACKET_S


@pytest.mark.slow
def test_nothing_of_a_picture_is_lost_and_it_stands_upright(tools, finished):
    top, bottom = ["{}"] * 8, ["white"] * 8
    for number in (1, 3, 4):
        seen = colours(tools, finished.conformed(number), 2)
        assert seen == [text.format(KINDS[number].colour) for text in top] + bottom
    with_bars = colours(tools, finished.conformed(2), 2)  # 3:4 in 9:16: 160 of 1280 lines above and below
    assert with_bars == ["black"] * 2 + ["lime"] * 6 + ["white"] * 6 + ["black"] * 2


@pytest.mark.slow
def test_a_longer_clip_is_cut_and_the_last_frame_of_a_shorter_one_is_held(tools, finished):
    assert colours(tools, finished.conformed(5), 11)[0] == "cyan"
    assert colours(tools, finished.conformed(5), 12)[0] == "black"
    assert colours(tools, finished.conformed(6), 11)[0] == "red"
    assert colours(tools, finished.conformed(6), 23)[0] == "magenta"


@pytest.mark.slow
def test_a_seekable_file_begins_with_its_index(finished):
    for path in (finished.conformed(1), finished.target):
        data = path.read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("tags", "drawn_as"),
    [([], "bt709"), (["-colorspace", "bt709"], "bt709"), (["-colorspace", "smpte170m"], "bt601")],
    ids=["untagged", "bt709", "bt601"],
)
def test_colours_stay_what_the_file_says_they_are(tools, tmp_path, tags, drawn_as):
    made = Production(root=tmp_path, kinds={1: replace(KINDS[1], shot_s="0.2")})
    made.clip(1).parent.mkdir()
    film = f"color=0xC03020:s=720x1280:d=0.2,format=rgb24,scale=out_color_matrix={drawn_as}:out_range=tv,format=yuv420p"
    clear = ",setparams=colorspace=unknown" if not tags else ""
    argv = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", film + clear, "-c:v", "libx264", "-qp", "0"]
    run([*argv, "-preset", "ultrafast", *tags, str(made.clip(1))])
    made.conform(tools)
    look = [tools.ffmpeg, "-v", "error", "-i", str(made.conformed(1)), "-frames:v", "1", "-vf"]
    pixel = run([*look, "scale=1:1:in_color_matrix=bt709,format=rgb24", "-f", "rawvideo", "-"])
    assert list(pixel) == pytest.approx([0xC0, 0x30, 0x20], abs=6)


# The cut


@pytest.mark.slow
def test_the_cut_plays_through_without_a_word_from_the_decoder(tools, finished):
    run(
        [
            tools.ffmpeg,
            "-v",
            "warning",
            "-xerror",
            "-err_detect",
            "explode",
            "-i",
            str(finished.target),
            "-f",
            "null",
            "-",
        ]
    )
    assert [stream["codec_type"] for stream in streams(tools, finished.target)] == ["video", "audio"]


@pytest.mark.slow
def test_the_cut_is_as_long_as_its_shots_and_time_only_rises(tools, finished):
    video, sound = streams(tools, finished.target)
    assert float(video["duration"]) == pytest.approx(sum(SHOTS_S), abs=0.001)
    assert float(sound["duration"]) == pytest.approx(sum(SHOTS_S), abs=target_format.PACKET_S)
    for stream in ("v", "a"):
        dts = [packet["dts"] for packet in packets(tools, finished.target, stream)]
        assert all(a < b for a, b in itertools.pairwise(dts))
    shown = sorted(packet["pts"] for packet in packets(tools, finished.target, "v"))
    assert shown == pytest.approx([n * target_format.TIMEBASE / 24 for n in range(len(shown))], abs=1)


@pytest.mark.slow
def test_the_cut_shows_every_shot_from_its_first_frame_to_its_last(tools, finished):
    for start_s, kind in zip(STARTS_S, KINDS.values(), strict=True):
        first, after = round(start_s * 24), round((start_s + float(kind.shot_s)) * 24)
        below_the_bars = 4
        assert colours(tools, finished.target, first)[below_the_bars] == kind.colour
        assert colours(tools, finished.target, after - 1)[below_the_bars] == (kind.later or kind.colour)


@pytest.mark.slow
def test_sound_stays_with_its_picture(tools, finished):
    for number, start_s in ((1, STARTS_S[0]), (5, STARTS_S[4])):
        turns_s = float(KINDS[number].turns_s)
        assert loud_from_s(tools, finished.conformed(number)) == pytest.approx(turns_s, abs=WITHIN_S)
        heard_s = loud_from_s(tools, finished.target, start_s + 0.1)
        assert heard_s == pytest.approx(start_s + turns_s, abs=WITHIN_S)


TONE = "0.4*sin(2*PI*440*t)"


@pytest.fixture(scope="module")
def heard(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Production:
    """Clips whose sound is as loud, in one channel and in two, and one without sound; conformed."""

    def make(folder: Path) -> None:
        made = Production(root=folder, kinds=dict.fromkeys((1, 2, 3), Kind(colour="red", duration_s="1", shot_s="1")))
        made.clip(1).parent.mkdir()
        argv = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "color=red:s=720x1280:r=24:d=1"]
        for number, tones in ((1, TONE), (2, f"{TONE}|{TONE}"), (3, "0")):
            sound = ["-f", "lavfi", "-i", f"aevalsrc={tones}:s=48000:d=1", "-c:a", "aac", "-b:a", "192k"]
            run([*argv, *sound, "-c:v", "libx264", "-preset", "ultrafast", str(made.clip(number))])
        made.conform(tools)

    return Production(root=shared.once(tmp_path_factory, "heard", make), kinds=dict.fromkeys((1, 2, 3), KINDS[1]))


@pytest.mark.slow
def test_a_clip_with_one_channel_of_sound_is_as_loud_as_it_was_and_as_one_with_two(tools, heard):
    for number in (1, 2):
        assert peak(tools, heard.conformed(number), 0.3, 0.7) == pytest.approx(0.4, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("tones", [TONE, f"{TONE}|{TONE}"], ids=["one channel", "two channels"])
def test_music_is_as_loud_as_it_is(tools, heard, tmp_path, tones):
    music = tmp_path / "bed.flac"
    run([tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", f"aevalsrc={tones}:s=44100:d=9", str(music)])
    made = Production(root=tmp_path, kinds={3: KINDS[1]})
    shutil.copytree(heard.folder, made.folder)
    made.cut(tools, music=music)
    assert peak(tools, made.target, 0.1, 0.2) == pytest.approx(0.4 * 0.9, abs=0.04), "it fades from the start"


@pytest.mark.slow
def test_sound_stays_with_its_picture_under_music_too(tools, finished, production):
    silence = production.root / "silence.wav"
    run([tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-t", "9", str(silence)])
    production.cut(tools, music=silence)
    heard_s = [loud_from_s(tools, film.target, STARTS_S[4] + 0.1) for film in (finished, production)]
    assert heard_s[1] == pytest.approx(heard_s[0], abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize("fps", ["60", "30000/1001", "25"])
def test_clips_join_without_loss_at_any_rate(tools, tmp_path, fps):
    lengths_s = {1: "0.4", 2: "0.51", 3: "0.3", 4: "0.47"}
    kinds = {n: Kind(colour="red", fps=fps, duration_s="0.6", shot_s=length) for n, length in lengths_s.items()}
    made = Production(root=tmp_path, kinds=kinds)
    made.clip(1).parent.mkdir()
    for number, kind in kinds.items():
        draw(tools, kind, made.clip(number))
    made.conform(tools)
    made.cut(tools)
    frames = sum(round(Fraction(length) * Fraction(fps)) for length in lengths_s.values())
    shown = sorted(packet["pts"] for packet in packets(tools, made.target, "v"))
    assert shown == pytest.approx([float(n * target_format.TIMEBASE / Fraction(fps)) for n in range(frames)], abs=1)
    dts = [packet["dts"] for packet in packets(tools, made.target, "a")]
    assert all(a < b for a, b in itertools.pairwise(dts))
    assert len(dts) == pytest.approx(float(frames / Fraction(fps)) / target_format.PACKET_S, abs=1)
    run([tools.ffmpeg, "-v", "warning", "-xerror", "-i", str(made.target), "-f", "null", "-"])


@pytest.mark.slow
@pytest.mark.parametrize("late", ["sound", "pictures"])
def test_sound_and_pictures_that_do_not_begin_together_stay_as_they_were(tools, tmp_path, late):
    made = Production(root=tmp_path, kinds={1: KINDS[1]})
    made.clip(1).parent.mkdir()
    pictures, sound = ["color=red:s=720x1280:r=24:d=2"], ["sine=frequency=440:sample_rate=48000:duration=1.5"]
    argv = [tools.ffmpeg, "-v", "error"]
    for name, source in (("pictures", pictures), ("sound", sound)):
        argv += [*(["-itsoffset", "0.5"] if name == late else []), "-f", "lavfi", "-i", *source]
    run([*argv, "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", str(made.clip(1))])
    made.conform(tools)
    heard_s = loud_from_s(tools, made.conformed(1))
    assert heard_s == pytest.approx(0.5 if late == "sound" else 0.0, abs=WITHIN_S)
    assert colours(tools, made.conformed(1), 0)[0] == "red"
    found = streams(tools, made.conformed(1))
    assert found[0]["nb_frames"] == "48"
    assert [stream["start_time"] for stream in found] == ["0.000000", "0.000000"]


@pytest.mark.slow
def test_the_cut_says_in_the_file_what_it_is_told_to(tools, finished, production):
    production.target.unlink()
    production.cut(tools, comment="SIMULATED; it's a test")
    assert b"SIMULATED; it's a test" in production.target.read_bytes()
    assert b"SIMULATED" not in finished.target.read_bytes()


@pytest.mark.slow
def test_shots_without_a_clip_are_left_out_and_told(tools, production):
    production.conformed(2).unlink()
    production.kinds[9] = KINDS[1]
    joined = production.cut(tools)
    assert (joined.numbers, joined.missing) == ([1, 3, 4, 5, 6], [2, 9])
    assert joined.duration_s == pytest.approx(sum(SHOTS_S) - SHOTS_S[1])
    assert production.told == [(None, "shots 2, 9 are missing from cut.mp4 (no conformed clip)")]
    assert trio.run(probe, tools, production.target).duration_s == pytest.approx(joined.duration_s, abs=0.001)
    assert production.cut_is_current()


def test_without_any_clip_there_is_no_cut_and_an_older_one_stays(tmp_path):
    empty = Production(root=tmp_path, kinds=dict(KINDS))
    empty.target.write_bytes(b"older")
    with pytest.raises(ClipFailed):
        empty.cut(NO_TOOLS)
    assert [number for number, _ in empty.told] == [None]
    assert "no conformed clip is there; `doit` builds clips" in empty.told[0][1]
    assert empty.target.read_bytes() == b"older"


def test_clips_of_two_forms_are_not_joined(production):
    record = production.folder / RECORD
    record.write_text(record.read_text().replace("720x1280 at 24 fps", "720x1280 at 30 fps", 1))
    production.target.unlink()
    with pytest.raises(ClipFailed):
        production.cut(NO_TOOLS)
    assert production.told == [
        (None, "cut.mp4 can't be made: the conformed clips differ in form; run `doit conform` first")
    ]


def test_another_order_is_another_cut(production):
    assert production.cut_is_current()
    production.kinds = dict(reversed(production.kinds.items()))
    assert not production.cut_is_current()


def test_a_cut_that_fails_leaves_the_older_one_and_no_pieces(tools, production):
    before = production.target.read_bytes()
    production.kinds.pop(1)
    broken = Tools(ffmpeg=tools.ffprobe, ffprobe=tools.ffprobe, source="test")
    with pytest.raises(ClipFailed):
        production.cut(broken)
    assert production.told[0][1].startswith("cut.mp4 can't be made: the clips do not join: ")
    assert production.target.read_bytes() == before
    assert not [name for name in production.files() if name.endswith(".part")]


# Slates, music, subtitles


def slates(production: Production) -> dict[int, Slate]:
    return {
        number: Slate(title=f"shot {number}", words="Ein Bötchen „groß“", duration_s=Decimal(kind.shot_s))
        for number, kind in production.kinds.items()
    }


@pytest.mark.slow
def test_a_slate_of_its_shots_length_takes_the_place_of_each_missing_clip(tools, production):
    production.conformed(2).unlink()
    production.kinds = {7: KINDS[1]} | production.kinds
    wanted = slates(production)
    joined = production.cut(tools, slates=wanted)
    assert (joined.numbers, joined.slates, joined.missing) == ([1, 3, 4, 5, 6], [7, 2], [])
    assert joined.duration_s == pytest.approx(SHOTS_S[0] + sum(SHOTS_S))
    assert production.told == []
    assert trio.run(probe, tools, production.target).duration_s == pytest.approx(joined.duration_s, abs=0.001)
    run([tools.ffmpeg, "-v", "warning", "-xerror", "-i", str(production.target), "-f", "null", "-"])
    seen = [colours(tools, production.target, round(at_s * 24) + 1, points=8) for at_s in (0.5, 2, 4)]
    assert set(seen[0]) == {"black"}, "a dark slate, then the clips"
    assert "red" in seen[1]
    assert set(seen[2]) == {"black"}
    assert production.cut_is_current(slates=wanted)
    assert not production.cut_is_current(), "without slates it would be another film"
    assert not production.cut_is_current(slates=wanted | {2: replace(wanted[2], words="other words")})
    assert not production.cut_is_current(slates=wanted | {2: replace(wanted[2], duration_s=Decimal(3))})
    assert not [name for name in production.files() if name.endswith(".part")]


@pytest.mark.slow
def test_without_any_clip_slates_alone_make_the_film(tools, tmp_path):
    bare = Production(root=tmp_path, kinds={1: KINDS[1]})
    joined = bare.cut(tools, slates=slates(bare), aspect_ratio="16:9")
    assert (joined.numbers, joined.slates, joined.duration_s) == ([], [1], 2.0)
    made = trio.run(probe, tools, bare.target)
    assert (made.width, made.height, made.duration_s) == (1920, 1080, pytest.approx(2, abs=0.001))


@pytest.mark.slow
def test_music_lies_under_the_film_and_the_pictures_are_copied(tools, finished, production):
    music = production.root / "a bed's music.wav"
    tone = "aevalsrc='0.3*sin(2*PI*440*t)':d=30"
    run([tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", tone, str(music)])
    joined = production.cut(tools, music=music, comment="SIMULATED")
    assert b"SIMULATED" in production.target.read_bytes()
    facts = trio.run(probe, tools, production.target)
    assert facts.duration_s == pytest.approx(joined.duration_s, abs=0.001)
    assert packets(tools, production.target, "v:0") == packets(tools, finished.target, "v:0")
    assert loud_from_s(tools, production.target) < 0.1 < loud_from_s(tools, finished.target)
    assert production.cut_is_current(music=music)
    assert not production.cut_is_current()
    music.write_bytes(b"other music")
    assert not production.cut_is_current(music=music)
    before = production.target.read_bytes()
    with pytest.raises(ClipFailed):
        production.cut(tools, music=music)
    assert production.told[-1][1].startswith("cut.mp4 can't be made: can't be mixed under the film: ")
    assert production.target.read_bytes() == before
    assert not [name for name in production.files() if name.endswith(".part")]


@pytest.mark.slow
def test_captions_become_subtitles_in_the_times_of_the_cut(tools, production):
    production.conformed(1).unlink()
    place, before = production.root / "cut.srt", production.files()
    said = {1: "left out", 2: "Bötchen,\n\nahoi!", 4: "a --> b"}
    assert not production.cut_is_current(captions=said, subtitles=place)
    production.cut(tools, captions=said, subtitles=place)
    starts = [sum(SHOTS_S[1:i]) for i in (1, 2, 3, 4)]
    expected = [(starts[0], starts[1], "Bötchen,\nahoi!"), (starts[2], starts[3], "a → b")]
    cues = [f"{n}\n{clock(a)} --> {clock(b)}\n{text}\n" for n, (a, b, text) in enumerate(expected, 1)]
    assert place.read_text("utf-8") == "\n".join(cues)
    assert production.cut_is_current(captions=said, subtitles=place)
    place.write_text("put right by hand")
    film = production.target.stat()
    assert production.cut_is_current(captions=said, subtitles=place), "that is kept while nothing changes"
    production.cut(NO_TOOLS, captions=said | {4: "b"}, subtitles=place)
    assert place.read_text("utf-8").endswith("\nb\n")
    aside = place.with_name("cut.edited.srt")
    assert aside.read_text("utf-8") == "put right by hand", "what a hand wrote is not lost"
    assert production.told[-1][1].endswith("your own cut.srt is kept as cut.edited.srt")
    assert production.target.stat() == film, "the film itself is as it was"
    production.cut(NO_TOOLS, subtitles=place)
    assert not place.exists()
    aside.unlink()
    assert production.files().keys() == before.keys()


def clock(at_s: float) -> str:
    return f"00:00:{int(at_s):02d},{round(at_s % 1 * 1000):03d}"


def test_subtitles_count_hours_and_round_once() -> None:
    film = [("", 3599.9996), ("x", 1 / 3), ("y", 1 / 3), ("z", 1 / 3)]
    times = [line for line in subtitles.render(film).splitlines() if "-->" in line]
    assert times == [
        "01:00:00,000 --> 01:00:00,333", "01:00:00,333 --> 01:00:00,666", "01:00:00,666 --> 01:00:01,000",
    ]  # fmt: skip


@pytest.mark.slow
def test_every_word_of_a_caption_is_seen(tools, tmp_path) -> None:
    told = "a <quiet> room\nx < y, <3, 2>1\n</end>"
    place = tmp_path / "film.srt"
    place.write_text(subtitles.render([(told, 2.0)]), "utf-8")
    seen = run([tools.ffmpeg, "-v", "error", "-i", str(place), "-f", "webvtt", "-"]).decode("utf-8")
    words = [html.unescape(line) for line in seen.splitlines()[3:]]
    assert [line.replace("‹", "<") for line in words if line] == told.splitlines()


# Only what changed


def test_a_second_run_does_nothing_and_needs_no_tools(finished):
    before = finished.files()
    assert finished.is_current()
    assert finished.cut_is_current()
    assert finished.conform(NO_TOOLS).kept == [1, 2, 3, 4, 5, 6]
    assert finished.cut(NO_TOOLS).numbers == [1, 2, 3, 4, 5, 6]
    assert finished.files() == before


@pytest.mark.slow
def test_a_clip_with_other_bytes_is_made_again_and_no_other(tools, production):
    before = production.files()
    shutil.copy(production.clip(5), production.clip(1))
    assert not production.is_current()
    summary = production.conform(tools)
    assert (summary.made, summary.kept) == ([1], [2, 3, 4, 5, 6])
    changed = {name for name, seen in production.files().items() if seen != before[name]}
    assert changed == {"clips/clip_001.mp4", "conformed/clip_001.mp4", "conformed/conformed.json"}
    assert production.is_current()
    assert not production.cut_is_current()


def test_files_that_were_only_touched_are_hashed_and_kept(production):
    for path in [production.clip(1), production.conformed(2), production.target]:
        os.utime(path, ns=(1, 1))
    assert production.is_current()
    assert production.cut_is_current()
    assert production.conform(NO_TOOLS).made == []
    record = json.loads((production.folder / RECORD).read_text())
    assert record["clips"]["1"]["source"]["mtime_ns"] == 1


@pytest.mark.slow
def test_a_shot_of_another_length_is_made_again(tools, production):
    production.kinds[5] = replace(KINDS[5], shot_s="1.25")
    assert not production.is_current()
    assert production.conform(tools).made == [5]
    assert streams(tools, production.conformed(5))[0]["nb_frames"] == "30"


def test_a_damaged_conformed_clip_is_made_again(tools, production):
    production.conformed(3).write_bytes(b"rubbish")
    assert not production.is_current()
    assert not production.cut_is_current()
    assert production.conform(tools).made == [3]
    assert production.is_current()


def test_conformed_clips_of_shots_that_left_are_removed(tools, production):
    del production.kinds[2]
    note = production.folder / "notes.txt"
    note.write_text("mine")
    assert not production.is_current()
    summary = production.conform(NO_TOOLS)
    assert (summary.removed, summary.made) == (["clip_002.mp4"], [])
    assert not production.conformed(2).exists()
    assert note.exists()
    assert production.is_current()
    assert not production.cut_is_current()


@pytest.mark.parametrize("record", [b"", b"[]", b'{"version": 0, "clips": {}}', b'{"clips": {"1": {}}}', b"\xff"])
def test_a_record_that_is_not_understood_means_that_all_is_made_again(small, record):
    small.folder.mkdir()
    (small.folder / RECORD).write_bytes(record)
    assert not small.is_current()
    with pytest.raises(ClipFailed):
        small.conform(NO_TOOLS)


@pytest.mark.slow
def test_another_form_makes_all_again(tools, small):
    assert small.conform(tools).made == [3, 5]
    small.aspect_ratio = "1:1"
    assert not small.is_current()
    summary = small.conform(tools)
    assert (summary.form, summary.made) == (TargetFormat(width=720, height=720, fps=Fraction(24)), [3, 5])


def test_without_clips_there_is_nothing_to_do(tmp_path):
    empty = Production(root=tmp_path, kinds={})
    assert empty.is_current()
    assert empty.conform(NO_TOOLS) == Summary(form=None, made=[], kept=[], removed=[])


# What they say of their making


@pytest.mark.slow
def test_what_a_model_made_says_so_and_what_was_simulated_beside_it_does_not(tools, small):
    """A cut of both is a mix; the mark is an input: another makes them again, the same does not."""
    marks = Provenance(ai_mark=True)

    def conformed(**made_by: str) -> list[int]:
        sources = [replace(source, made_by=made_by[f"shot{source.number}"]) for source in small.sources()]
        work = partial(conform.conform, tools, sources, small.folder, "9:16", tell=small.tell, provenance=marks)
        return list(trio.run(work).made)

    def said() -> list[tuple[str, ...]]:
        return [scan(path).source_types for path in (small.conformed(3), small.conformed(5), small.target)]

    assert conformed(shot3="", shot5=TRAINED) == [3, 5]
    small.cut(tools, provenance=marks)
    assert said() == [(), (TRAINED,), (COMPOSITE,)]
    assert conformed(shot3="", shot5=TRAINED) == []
    assert cut_is_current(small.folder, small.target, [3, 5], provenance=marks)
    assert not cut_is_current(small.folder, small.target, [3, 5])
    assert conformed(shot3=TRAINED, shot5=TRAINED) == [3]
    small.cut(tools, provenance=marks)
    assert said() == [(TRAINED,)] * 3
    marks = Provenance()
    assert conformed(shot3="", shot5="") == [3, 5]
    small.cut(tools)
    assert said() == [()] * 3
    assert small.told == []


# When something is wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2], "does not decode: "),
        (lambda data: b"<html>Sorry</html>", "not a readable video: "),
        (lambda data: b"", "not a readable video: "),
    ],
    ids=["cut off", "a page", "empty"],
)
def test_a_broken_clip_is_told_in_a_line_and_the_others_are_done(tools, production, damage, words):
    longer = replace(KINDS[3], duration_s="3", shot_s="3", rotation=0, size="720x1280", film="noise=alls=20")
    draw(tools, longer, production.clip(3))
    production.kinds[3] = longer
    faststart = production.root / "fast.mp4"
    remux = [tools.ffmpeg, "-v", "error", "-i", str(production.clip(3)), "-c", "copy", "-movflags", "+faststart"]
    run([*remux, str(faststart)])
    production.clip(3).write_bytes(damage(faststart.read_bytes()))
    shutil.copy(production.clip(5), production.clip(1))
    with pytest.raises(ClipFailed, match="1 of 6 clips could not be conformed"):
        production.conform(tools)
    assert [number for number, _ in production.told] == [3]
    text = production.told[0][1]
    assert text.startswith(f"clip_003.mp4 can't be conformed: {words}")
    assert text.endswith("; put a whole file there, or `doit -a clip:3` buys a new take")
    assert "\n" not in text
    assert not production.conformed(3).exists()
    assert not production.is_current()
    assert production.cut(tools).numbers == [1, 2, 4, 5, 6]
    shutil.copy(faststart, production.clip(3))
    assert production.conform(tools).made == [3]


@pytest.mark.slow
def test_a_clip_that_is_much_too_short_is_used_as_long_as_it_is(tools, small):
    small.kinds = {5: replace(KINDS[5], shot_s="2.6")}
    small.conform(tools)
    assert small.told == [(5, "clip_005.mp4 has 2.00 s of 2.6 s; it is used as long as it is")]
    assert streams(tools, small.conformed(5))[0]["nb_frames"] == "48"
    assert small.is_current()


@pytest.mark.slow
def test_a_file_that_has_less_in_it_than_it_says_is_told(tools, finished, tmp_path):
    made = TargetFormat(width=720, height=1280, fps=Fraction(24))
    said = facts(duration_s=5.0)
    with pytest.raises(MediaError, match=r"its pictures end at 1.58 s, though it says 5.00 s"):
        trio.run(target_format.encode, tools, finished.clip(3), tmp_path / "made.mp4", said, made, 120)


def test_a_join_that_does_not_become_as_long_as_its_clips_is_told(tools, finished, tmp_path):
    work = partial(target_format.join, listed=tmp_path / "list.txt")
    with pytest.raises(MediaError, match=r"it became 1.00 s long instead of 3.00 s"):
        trio.run(work, tools, [finished.conformed(3)], [3.0], tmp_path / "made.mp4")


@pytest.mark.slow
def test_a_clip_that_is_gone_is_told(tools, small):
    small.clip(5).unlink()
    with pytest.raises(ClipFailed):
        small.conform(tools)
    assert small.told == [
        (5, "clip_005.mp4 can't be conformed: No such file or directory; put that right and run again")
    ]
    assert small.conformed(3).exists()


def test_tools_that_do_not_run_are_told_as_such_and_nothing_is_said_about_the_clips(small):
    with pytest.raises(ClipFailed, match="2 of 2"):
        small.conform(NO_TOOLS)
    assert sorted(number for number, _ in small.told) == [3, 5]
    assert all(text.endswith("could not be started: No such file or directory; run again, or see `doit doctor`")
               for _, text in small.told)  # fmt: skip


def test_a_folder_that_cannot_be_written_is_told_in_a_line(small):
    small.folder.write_bytes(b"a file is in the way")
    with pytest.raises(ClipFailed):
        small.conform(NO_TOOLS)
    assert len(small.told) == 1
    assert "can't be written (File exists)" in small.told[0][1]


@posix
@pytest.mark.parametrize("what", ["conform", "cut"])
def test_when_the_disk_is_full_that_is_said_and_the_clips_are_not_blamed(tools, production, tmp_path, what):
    script = tmp_path / "ffmpeg"
    script.write_text("#!/bin/sh\necho 'Error writing trailer: No space left on device' >&2\nexit 228\n")
    script.chmod(0o755)
    production.kinds[6] = replace(KINDS[6], shot_s="0.8")
    production.target.unlink()
    with pytest.raises(ClipFailed):
        getattr(production, what)(Tools(ffmpeg=str(script), ffprobe=tools.ffprobe, source="test"))
    assert [text.partition(": ")[2] for _, text in production.told] == [
        "No space left on device; put that right and run again"
    ]


def killer(place: str, when: str) -> Callable[[str, str], None]:
    def hook(name: str, moment: str) -> None:
        if (name, moment) == (place, when):
            raise KeyboardInterrupt

    return hook


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "place", ["conformed.fsync", "conformed.replace", "fsync..conformed.json.part", "replace.conformed.json"]
)
def test_killed_at_any_point_the_next_run_finishes_the_work(tools, small, place, when):
    small.kinds = {5: KINDS[5]}
    with failpoints.hooked(killer(place, when)), pytest.raises((BaseExceptionGroup, KeyboardInterrupt)):
        small.conform(tools)
    assert not small.is_current() or (place, when) == ("replace.conformed.json", "after")
    if small.conformed(5).exists():
        assert streams(tools, small.conformed(5))[0]["nb_frames"] == "18"
    (small.folder / ".clip_005.mp4.part").write_bytes(b"what a killed process leaves")
    summary = small.conform(tools)
    assert (summary.made or summary.kept, summary.removed) == ([5], [])
    assert sorted(path.name for path in small.folder.iterdir()) == ["clip_005.mp4", "conformed.json"]
    assert small.is_current()


@pytest.mark.slow
def test_what_was_done_before_ctrl_c_is_not_done_again(tools, small):
    begun: list[str] = []

    def second(name: str, moment: str) -> None:
        if (name, moment) == ("conformed.fsync", "before"):
            begun.append(name)
            if len(begun) == 2:
                raise KeyboardInterrupt

    with failpoints.hooked(second), pytest.raises(BaseExceptionGroup):
        small.conform(tools, at_once=1)
    done = [number for number in (3, 5) if small.conformed(number).exists()]
    assert len(done) == 1
    assert small.conform(tools).made == [number for number in (3, 5) if number not in done]


@pytest.fixture
def hanging(tools: Tools, tmp_path: Path) -> Iterator[tuple[Tools, Path]]:
    """An ffmpeg that writes a piece of its output, notes its process id and then hangs."""
    pids = tmp_path / "pids"
    body = f'for last; do [ "$last" = -y ] || out=$last; done; echo piece > "${{out#file:}}"; echo $$ >> "{pids}"'
    script = tool_script(tmp_path / "ffmpeg", f"{body}\nexec sleep 1000")
    return Tools(ffmpeg=script, ffprobe=tools.ffprobe, source="test"), pids


@pytest.mark.slow
@posix
def test_an_interrupted_conform_leaves_no_piece_and_no_process(tools, small, hanging):
    hangs, pids = hanging

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            work = partial(conform.conform, hangs, small.sources(), small.folder, "9:16", tell=small.tell, at_once=2)
            nursery.start_soon(work)
            while not pids.exists() or pids.read_text().count("\n") < 2:  # noqa: ASYNC110 - a file
                await trio.sleep(0.01)
            assert len(list(small.folder.iterdir())) == 2
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert list(small.folder.iterdir()) == []
    assert all(ends(int(pid)) for pid in pids.read_text().split())
    assert small.conform(tools).made == [3, 5]


@posix
def test_an_interrupted_cut_leaves_the_older_one_no_piece_and_no_process(production, hanging):
    hangs, pids = hanging
    production.kinds.pop(1)
    before = production.files()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            numbers = list(production.kinds)
            nursery.start_soon(partial(cut, hangs, production.folder, production.target, numbers, tell=production.tell))
            while not pids.exists() or not pids.read_text().endswith("\n"):  # noqa: ASYNC110 - a file
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert production.files() == before
    assert ends(int(pids.read_text()))


# The rules, without files


def facts(**changes: object) -> Facts:
    usual: dict[str, object] = {
        "width": 720, "height": 1280, "duration_s": 5.0, "fps": 24.0, "codec": "h264", "has_audio": False,
        "size_bytes": 500_000,
    }  # fmt: skip
    return Facts(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sides", "ratio", "size"),
    [
        ([], "9:16", (1080, 1920)),
        ([720], "9:16", (720, 1280)),
        ([720], "16:9", (1280, 720)),
        ([720], "1:1", (720, 720)),
        ([720], "4:3", (960, 720)),
        ([834, 1080], "9:16", (720, 1280)),
        ([1080, 1440], "9:16", (1080, 1920)),
        ([1080], "16:9", (1920, 1080)),
        ([600], "9:16", (720, 1280)),
    ],
)
def test_the_size_is_the_largest_usual_one_that_every_clip_fills(sides, ratio, size):
    made = target_format.choose_format([facts(width=side, height=side * 2) for side in sides], ratio)
    assert (made.width, made.height) == size


@pytest.mark.parametrize(
    ("rates", "fps"),
    [
        ([], "24"),
        ([30, 24, 30], "30"),
        ([30, 24], "24"),
        ([25, 30], "30"),
        ([25, 50], "50"),
        ([24.19, 24.0, 30], "24"),
        ([23.976], "24000/1001"),
        ([29.97, 29.97, 24], "30000/1001"),
        ([16, 0.0, 30], "24"),
        ([240], "60"),
    ],
)
def test_the_rate_is_that_of_most_clips(rates, fps):
    assert target_format.choose_format([facts(fps=rate) for rate in rates], "9:16").fps == Fraction(fps)


def test_a_frame_lasts_a_whole_number_of_ticks_at_every_rate():
    assert all((target_format.TIMEBASE / rate).denominator == 1 for rate in length.RATES)


@pytest.mark.parametrize(
    ("shot_s", "clip_s", "frames"),
    [("5", 5.04, 120), ("5", 10.0, 120), ("4", 3.5, 96), ("4", 3.49, 84), ("2.5", 2.5, 60), ("0.01", 1.0, 1)],
)
def test_a_clip_gets_the_frames_of_its_shot_unless_more_than_half_a_second_is_missing(shot_s, clip_s, frames):
    source = Source(number=1, path=Path("clip.mp4"), duration_s=Decimal(shot_s))
    made = TargetFormat(width=720, height=1280, fps=Fraction(24))
    assert conform._frames(source, facts(duration_s=clip_s), made) == frames


def test_names_in_the_list_for_ffmpeg_are_quoted():
    listed = target_format.concat_list([Path("/a b/it's/é\\n.mp4")], [1.6]).decode()
    assert listed == "ffconcat version 1.0\nfile 'file:/a b/it'\\''s/é\\n.mp4'\nduration 1.600000\n"


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.decimals("0.5", "12", places=2),
            st.floats(0.3, 15),
            st.sampled_from([24.0, 25.0, 30.0, 29.97, 16.0, 60.0]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_films_length_is_foretold_as_the_cut_will_have_it(clips: list[tuple[Decimal, float, float]]) -> None:
    known = [facts(duration_s=clip_s, fps=fps) for _, clip_s, fps in clips]
    made = target_format.choose_format(known, "9:16")
    sources = [Source(number=n, path=Path("clip.mp4"), duration_s=shot_s) for n, (shot_s, _, _) in enumerate(clips, 1)]
    pairs = zip(sources, known, strict=True)
    cut_s = sum(made.duration_s(conform._frames(source, clip, made)) for source, clip in pairs)
    pieces = [length.Piece(shot_s=shot_s, clip_s=clip_s, fps=fps) for shot_s, clip_s, fps in clips]
    assert length.film_s(pieces) == pytest.approx(cut_s, abs=1e-6)


def test_of_no_clips_the_film_has_no_length() -> None:
    assert length.film_s([]) == 0
    assert length.film_s([length.Piece(shot_s=Decimal(4), clip_s=None, fps=None)]) == 4


@pytest.mark.parametrize("duration_s", [5.0, 4.0, 38 / 24, 1001 / 240, 0.05])
def test_sound_never_drifts_however_many_clips_there_are(duration_s):
    count = 500
    listed = target_format.concat_list([Path("/clip.mp4")] * count, [duration_s] * count).decode()
    heard_s = (count * target_format.packets(duration_s) - listed.count("outpoint")) * target_format.PACKET_S
    assert heard_s == pytest.approx(count * duration_s, abs=target_format.PACKET_S)
