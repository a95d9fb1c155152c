"""Animatics are real clips: drawn by Pillow and ffmpeg, read back by ffprobe."""

import io
import itertools
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageStat

from vgen.errors import MediaError
from vgen.media import frames, lettering
from vgen.media.judge import Verdict, Wanted, judge
from vgen.media.probe import probe
from vgen.media.tools import Tools, find_tools, run_tool
from vgen.simulator import animatic, given
from vgen.simulator.animatic import Animatic, render

SHOT = Animatic(
    label="Shot 7", prompt="a quiet harbour", provider="runway gen4", width=720, height=1280, duration_s=1.0
)


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools(None, None)


def drawn(tools: Tools, spec: Animatic, target: Path) -> Path:
    trio.run(render, tools, spec, target)
    return target


def counted_frames(tools: Tools, path: Path) -> int:
    argv = [tools.ffprobe, "-v", "error", "-count_packets", "-select_streams", "v:0", "-of", "json"]
    ran = trio.run(partial(run_tool, [*argv, "-show_entries", "stream=nb_read_packets", str(path)], limit_s=180))
    return int(json.loads(ran.stdout)["streams"][0]["nb_read_packets"])


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height", "ratio"), [(720, 1280, "9:16"), (1280, 720, "16:9"), (720, 720, "1:1")])
def test_an_animatic_of_one_second_passes_as_a_clip(tools, tmp_path, width, height, ratio):
    path = drawn(tools, replace(SHOT, width=width, height=height), tmp_path / "clip.mp4")
    verdict = trio.run(judge, tools, path, Wanted(duration_s=1.0, aspect_ratio=ratio))
    assert verdict.verdict is Verdict.GOOD, verdict.reason
    assert verdict.facts is not None
    assert (verdict.facts.width, verdict.facts.height, verdict.facts.has_audio) == (width, height, False)


@pytest.mark.slow
def test_the_same_shot_gives_the_same_bytes_and_another_prompt_other_ones(tools, tmp_path):
    first = drawn(tools, SHOT, tmp_path / "1.mp4").read_bytes()
    assert drawn(tools, SHOT, tmp_path / "2.mp4").read_bytes() == first
    assert drawn(tools, replace(SHOT, prompt="a loud harbour"), tmp_path / "3.mp4").read_bytes() != first


def test_each_version_of_a_prompt_looks_different_and_says_which_it_is():
    pictures = [animatic._background(replace(SHOT, version=n)).resize((1, 1)).getpixel((0, 0)) for n in (1, 2, 3, 4)]
    for one, other in itertools.combinations(pictures, 2):
        assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 20, "seen at a glance, in a poster too"
    captions = [animatic._caption(replace(SHOT, version=n)).tobytes() for n in (1, 2, 3)]
    assert len(set(captions)) == 3
    assert animatic._caption(replace(SHOT, provider="runway gen4 · version 2")).tobytes() == captions[1]


@pytest.mark.slow
@pytest.mark.parametrize(("duration_s", "fps", "frames"), [(1.04, 24, 25), (1.0, 30, 30), (0.01, 24, 1)])
def test_the_number_of_frames_is_exact(tools, tmp_path, duration_s, fps, frames):
    spec = replace(SHOT, duration_s=duration_s, fps=fps, audio=True)
    path = drawn(tools, spec, tmp_path / "clip.mp4")
    assert spec.frames == counted_frames(tools, path) == frames


@pytest.mark.slow
def test_sound_is_there_when_asked_for_and_as_long_as_the_picture(tools, tmp_path):
    path = drawn(tools, replace(SHOT, audio=True), tmp_path / "clip.mp4")
    assert trio.run(probe, tools, path).has_audio
    argv = [tools.ffprobe, "-v", "error", "-of", "json", "-show_entries", "stream=duration", str(path)]
    ran = trio.run(partial(run_tool, argv, limit_s=180))
    assert [float(s["duration"]) for s in json.loads(ran.stdout)["streams"]] == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.slow
def test_a_flat_animatic_is_whole_and_too_small(tools, tmp_path):
    spec = replace(SHOT, prompt="rain, neon, traffic; " * 80, duration_s=4.0, flat=True)
    path = drawn(tools, spec, tmp_path / "clip.mp4")
    verdict = trio.run(judge, tools, path, Wanted(duration_s=4.0, aspect_ratio="9:16"))
    assert verdict.verdict is Verdict.BAD
    assert verdict.reason.startswith("wanted more than 100000 bytes")


@pytest.mark.slow
def test_the_file_itself_says_simulated(tools, tmp_path):
    assert b"SIMULATED by vgen" in drawn(tools, SHOT, tmp_path / "clip.mp4").read_bytes()


def test_a_failed_drawing_leaves_nothing_and_an_older_file_as_it_was(tools, tmp_path):
    target = tmp_path / "clip.mp4"
    target.write_bytes(b"older")
    broken = Tools(ffmpeg=tools.ffprobe, ffprobe=tools.ffprobe, source="test")
    with pytest.raises(MediaError, match="animatic Shot 7: "):
        trio.run(render, broken, SHOT, target)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert target.read_bytes() == b"older"


# Made from pictures


def picture(tools: Tools, clip: Path, position: str) -> Image.Image:
    return Image.open(io.BytesIO(trio.run(frames.picture, tools, clip, position)))


def differ(one: Image.Image, other: Image.Image) -> float:
    """Levels, in the mean of all pixels."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


def scene(colour: str, size: tuple[int, int] = (720, 1280)) -> bytes:
    out = io.BytesIO()
    with Image.new("RGB", size, colour) as drawn:
        ImageDraw.Draw(drawn).ellipse((200, 800, 500, 1100), fill="orange")
        drawn.save(out, "PNG")
    return out.getvalue()


@pytest.mark.slow
def test_chained_animatics_run_into_each_other_and_end_with_their_last_picture(tools, tmp_path):
    first, end = scene("navy"), scene("teal", (1280, 1280))
    one = drawn(tools, replace(SHOT, pictures=(("image", first),)), tmp_path / "1.mp4")
    assert differ(picture(tools, one, "first"), Image.open(io.BytesIO(first))) < 2
    last = trio.run(frames.picture, tools, one, "last")
    assert differ(Image.open(io.BytesIO(last)), Image.open(io.BytesIO(first))) > 20, "it becomes a clip of its own"
    both = replace(SHOT, prompt="then", pictures=(("image", last), ("end_image", end)))
    two = drawn(tools, both, tmp_path / "2.mp4")
    assert differ(picture(tools, two, "first"), Image.open(io.BytesIO(last))) < 3, "its own mark only"
    assert picture(tools, two, "last").getpixel((10, 10)) == pytest.approx((0, 128, 128), abs=4)
    assert counted_frames(tools, two) == both.frames


@pytest.mark.slow
def test_takes_made_from_one_picture_are_each_the_same_again_and_not_the_same_as_each_other(tools, tmp_path):
    pictures = (("image", scene("navy")), ("references", scene("olive")))
    takes = [replace(SHOT, version=n, pictures=pictures) for n in (1, 2, 1)]
    one, two, again = (drawn(tools, spec, tmp_path / f"{n}.mp4").read_bytes() for n, spec in enumerate(takes))
    assert one == again != two
    assert differ(picture(tools, tmp_path / "0.mp4", "last"), picture(tools, tmp_path / "1.mp4", "last")) > 20
    short = [replace(spec, duration_s=0.01) for spec in takes]
    assert len({drawn(tools, spec, tmp_path / f"s{n}.mp4").read_bytes() for n, spec in enumerate(short)}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("data", [b"", b"no picture", scene("navy")[:300]], ids=["empty", "words", "cut off"])
def test_what_is_no_picture_is_left_out(tools, tmp_path, data):
    spec = replace(SHOT, pictures=(("image", data), ("references", data)))
    assert drawn(tools, spec, tmp_path / "1.mp4").read_bytes() == drawn(tools, SHOT, tmp_path / "2.mp4").read_bytes()


@pytest.mark.slow
def test_all_that_a_clip_is_made_from_is_in_a_row_below_its_label():
    def seen(colour: str, *roles: str) -> bool:
        layer = animatic._caption(replace(SHOT, pictures=tuple((role, scene(colour)) for role in roles)))
        return ImageColor.getrgb(colour) in {pixel[:3] for _, pixel in layer.getcolors(1 << 20)}

    assert seen("navy", "references")
    assert seen("teal", "image", "end_image")
    assert not seen("navy")


URI = "data:image/png;base64,cGljdHVyZQ=="


@pytest.mark.parametrize(
    ("places", "body", "roles"),
    [
        (given.of_runway, {"promptImage": URI}, "image"),
        (
            given.of_runway,
            {
                "promptImage": [{"uri": URI, "position": "last"}, {"uri": URI, "position": "first"}],
                "references": [{"uri": URI}],
            },
            "end_image image references",
        ),
        (
            given.of_contents,
            {"contents": [{"type": "prompt", "text": "x"}, {"type": "first_frame", "url": "cGljdHVyZQ=="}]},
            "image",
        ),
        (
            given.of_content,
            {
                "content": [
                    {"type": "text", "text": "x"},
                    {"type": "image_url", "image_url": {"url": URI}},
                    {"type": "image_url", "image_url": {"url": URI}, "role": "last_frame"},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}, "role": "last_frame"},
                ]
            },
            "image end_image",
        ),
        (
            partial(
                given.of_fal, {"first": "image_url", "last": "tail_image_url", "references": ["image_urls", "one"]}
            ),
            {"image_url": URI, "tail_image_url": URI, "image_urls": [URI, 7, URI], "one": URI, "elements": 3},
            "image end_image references references references",
        ),
    ],
    ids=["Runway's one", "Runway's several", "Kling", "ModelArk, MiniMax", "fal"],
)
def test_every_vendor_finds_the_pictures_in_its_own_bodies(places, body, roles):
    assert given.within(body, places(body), {}.get) == tuple((role, b"picture") for role in roles.split())


@pytest.mark.parametrize("body", [{}, {"promptImage": 7, "contents": "x", "content": [None], "image_urls": 3}])
def test_a_body_of_nonsense_holds_no_picture(body):
    fal = partial(given.of_fal, {"first": "promptImage", "references": ["image_urls", "content"]})
    for places in (given.of_runway, given.of_contents, given.of_content, fal):
        assert given.within(body, places(body), {}.get) == ()


# The layers, without ffmpeg


@pytest.mark.parametrize(
    "text",
    [
        "",
        "café — naïve “quotes” …",
        "Η θάλασσα το πρωί",
        "Море утром, спокойно",
        "emoji 🌊👩‍🎨 漢字 العربية \u202e\u200b",
        "line\nbreak\ttab \x1b[31mred\x07 \x00",
        "half a pair \ud83d",
        "x" * 5_000,
        "word " * 2_000,
        "e\u0301" * 50,
        "漢" * 2_000,
    ],
)
@pytest.mark.parametrize(("width", "height"), [(720, 1280), (320, 180)])
def test_any_text_can_be_drawn(text, width, height):
    spec = replace(SHOT, label=text, prompt=text, provider=text, width=width, height=height)
    layer = animatic._caption(spec)
    assert layer.size == (width, height)
    assert layer.getbbox() is not None
    assert animatic._background(spec).width > width


@pytest.mark.parametrize("text", ["Straße", "Ελλάδα", "Привет", "Łódź", "Việt"])
def test_latin_greek_and_cyrillic_are_shown_not_boxed(text):
    font = lettering.face(32)
    box = bytes(font.getmask("\U0010ffff"))
    assert all(bytes(font.getmask(char)) != box for char in text)


def test_long_words_end_in_an_ellipsis_inside_their_room():
    font = lettering.face(32)
    lines = lettering.wrap("every word of this " * 100, font, 500, 4)
    assert len(lines) == 4
    assert lines[-1].endswith("…")
    assert all(font.getlength(line) <= 500 for line in lines)
    assert lettering.wrap("short", font, 500, 4) == ["short"]


def test_the_font_is_small_and_comes_with_its_licence():
    assert lettering.FONT.stat().st_size <= 80_000
    licence = lettering.FONT.with_name("DejaVuSans-LICENSE.txt").read_text()
    assert "Bitstream Vera" in licence
    assert "Tavmjong Bah" in licence
