"""Rows 40 to 47, 81: real files through real ffprobe and ffmpeg, and what their verdicts do to the money."""

import dataclasses
import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from fake_clips import fake_judge
from faults.scripted import ONLY_RUNWAY, RUNWAY_USD, ScriptedStudio, changes, says
from workshop import Project, shots

from vgen.errors import MediaError, NotJudged
from vgen.media import probe
from vgen.media.judge import Judge, Judgement, Verdict, Wanted, judge, judge_with
from vgen.media.tools import Tools, find_tools
from vgen.simulator.animatic import Animatic, render

pytestmark = pytest.mark.slow

PORTRAIT = Wanted(duration_s=1.0, aspect_ratio="9:16")
posix = pytest.mark.skipif(os.name != "posix", reason="the fake tool is a shell script")
PAID = (RUNWAY_USD, 0, 0)


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools(None, None)


@pytest.fixture(scope="module")
def good(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real clip of one second."""
    path = tmp_path_factory.mktemp("clip") / "good.mp4"
    shot = Animatic(
        label="Shot 1", prompt="rain", provider="runway", width=720, height=1280, duration_s=1.0, audio=True
    )
    trio.run(render, tools, shot, path)
    return path.read_bytes()


def judged(tools: Tools, path: Path, data: bytes, wanted: Wanted = PORTRAIT) -> Judgement:
    path.write_bytes(data)
    return trio.run(judge, tools, path, wanted)


def made(tools: Tools, path: Path, *words: str) -> bytes:
    """What ffmpeg makes of these words."""
    subprocess.run([tools.ffmpeg, "-y", "-v", "error", *words, str(path)], check=True, timeout=120)
    return path.read_bytes()


def tool_script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_fault_040_a_clip_that_was_cut_off_is_never_good(
    tools: Tools, good: bytes, tmp_path: Path, share: float
) -> None:
    found = judged(tools, tmp_path / "clip.mp4", good[: int(len(good) * share)])
    assert found.verdict is Verdict.DAMAGED


@pytest.mark.parametrize("damage", ["zeroed tail", "flipped"])
def test_fault_041_damaged_pictures_are_never_good(tools: Tools, good: bytes, tmp_path: Path, damage: str) -> None:
    data = bytearray(good)
    middle = slice(len(data) // 2, len(data) // 2 + len(data) // 10)
    if damage == "flipped":
        data[middle] = bytes(byte ^ 0xFF for byte in data[middle])
    else:
        data[-len(data) // 3 :] = bytes(len(data[-len(data) // 3 :]))
    assert judged(tools, tmp_path / "clip.mp4", bytes(data)).verdict is Verdict.DAMAGED


def test_fault_041_damage_on_the_way_is_downloaded_again_and_bought_once(one: ScriptedStudio) -> None:
    one.faults("media_damaged=first:1")
    assert one.doit(*ONLY_RUNWAY) == 0
    assert (one.creates(), one.booked(), one.requests()["media"]) == (1, PAID, 2)


def test_fault_041_the_same_damaged_bytes_twice_are_the_providers_own_file(one: ScriptedStudio) -> None:
    one.faults("clip_damaged=1.0")
    assert one.doit(*ONLY_RUNWAY, "max_retries=1") == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["rejected"], PAID)
    assert len(one.takes("*_rejected.mp4")) == 1, "paid, so kept"
    assert not one.clip(1).exists()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac"), "no video stream"),
        (("-f", "lavfi", "-i", "testsrc=size=480x854:duration=2", "-c:v", "mpeg4", "-b:v", "9M"), "720"),
        (("-f", "lavfi", "-i", "testsrc=size=1280x720:duration=2", "-c:v", "mpeg4", "-b:v", "9M"), "wanted 9:16"),
        (("-f", "lavfi", "-i", "testsrc=size=720x1280", "-frames:v", "1", "-c:v", "mpeg4"), "at least 1 s"),
    ],
    ids=["sound only", "small", "lying", "one frame"],
)
def test_fault_042_a_clip_that_is_not_what_was_asked_is_told_with_wanted_and_got(
    tools: Tools, tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    data = made(tools, tmp_path / "made.mp4", *words)
    found = judged(tools, tmp_path / "clip.mp4", data)
    assert found.verdict in (Verdict.BAD, Verdict.DAMAGED)
    assert reason in found.reason


def test_fault_042_a_bad_clip_is_paid_kept_and_bought_again_only_so_often(one: ScriptedStudio) -> None:
    one.faults("clip_480p=1.0")
    for _ in range(2):
        assert one.doit(*ONLY_RUNWAY, "max_retries=2") == 1
    assert (one.creates(), one.states(), one.booked()) == (2, ["rejected"] * 2, (2 * RUNWAY_USD, 0, 0))
    assert len(one.takes("*_rejected.mp4")) == 2
    assert "wanted 720" in one.errors()[0]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Where a playlist would lead."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield server


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD><BaseURL>{url}</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
}


@pytest.mark.parametrize("disguise", [b"", b"\x00\x00\x00\x18ftypisom"], ids=["plain", "as mp4"])
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_fault_043_a_playlist_named_mp4_opens_no_connection(
    tools: Tools, tmp_path: Path, listener: socket.socket, kind: str, disguise: bytes
) -> None:
    port = listener.getsockname()[1]
    text = PLAYLISTS[kind].format(url=f"http://127.0.0.1:{port}/x.ts", port=port)
    found = judged(tools, tmp_path / "clip.mp4", disguise + text.encode() * 50)
    assert found.verdict is Verdict.DAMAGED
    with pytest.raises(TimeoutError):
        listener.accept()


def test_fault_044_a_playlist_that_names_itself_hangs_nobody(tools: Tools, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{path.name}\n".encode()
    assert judged(tools, path, text).verdict is Verdict.DAMAGED
    with pytest.raises(MediaError) as caught:
        trio.run(probe.probe, tools, path)
    assert not isinstance(caught.value, NotJudged), "it ended by itself, and not because its time was up"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose providers are on a closed port: an order would be told as not sent."""
    made_ = Project(tmp_path / "project")
    made_.environ |= {"RUNWAY_API_KEY": "key_vgencanary0123456789abcdef"}
    made_.configure(runway={"base_url": "http://127.0.0.1:9"})
    made_.write_shots(shots(1))
    yield made_
    made_.close()
    assert not list(made_.leaks())


@posix
def test_fault_045_without_ffprobe_nothing_is_bought(project: Project) -> None:
    code, said = project.doit("fallback_api=none", VGEN_FFPROBE="/nonexistent/ffprobe")
    assert code == 3, said
    assert "VGEN_FFPROBE" in said
    assert "Traceback" not in said
    assert "ordering" not in said
    assert project.rows() == []


@posix
@pytest.mark.parametrize("body", ["kill -SEGV $$", 'echo "ffprobe version 3.4.2 Copyright"'], ids=["dies", "old"])
def test_fault_045_with_an_ffprobe_that_does_not_run_nothing_is_bought(
    project: Project, tmp_path: Path, body: str
) -> None:
    script = tool_script(tmp_path / "ffprobe", body)
    code, said = project.doit("fallback_api=none", "max_retries=1", VGEN_FFPROBE=script)
    assert code == 3, said
    assert "ordering" not in said
    assert project.rows() == []


@posix
@pytest.mark.parametrize(
    "body", ["exec sleep 1000", "kill -SEGV $$", "kill -KILL $$", "yes | head -c 5000000 >&2; kill -ABRT $$"]
)
def test_fault_046_an_ffprobe_that_hangs_or_dies_says_nothing_about_the_clip(
    tools: Tools, good: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(probe, "PROBE_LIMIT_S", 0.2)
    script = tool_script(tmp_path / "ffprobe", body)
    found = judged(Tools(ffmpeg=tools.ffmpeg, ffprobe=script, source="test"), tmp_path / "clip.mp4", good)
    assert found.verdict is Verdict.NOT_JUDGED


def test_fault_046_a_clip_that_nobody_could_judge_is_kept_and_never_bought_again(one: ScriptedStudio) -> None:
    async def nobody(path: Path, wanted: Wanted) -> Judgement:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason="ffprobe took longer than 30 s and was killed")

    one.judge = nobody
    for _ in range(2):
        assert one.doit() == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["fetched"], PAID)
    assert "paid and kept" in one.errors()[0]
    one.judge = fake_judge
    media_asked = len(one.asked("media"))
    assert one.doit() == 0
    assert (one.creates(), len(one.asked("media"))) == (1, media_asked), "the bytes were here"


DIRTY = "\x1b]0;owned\x07\x1b[31mred\nsecond line </script><script>alert(1)</script>"


def test_fault_047_titles_in_a_file_reach_nobody(tools: Tools, good: bytes, tmp_path: Path) -> None:
    (tmp_path / "good.mp4").write_bytes(good)
    words = (
        "-i",
        str(tmp_path / "good.mp4"),
        "-c",
        "copy",
        "-metadata",
        f"title={DIRTY}",
        "-metadata",
        "comment=" + "x" * 100_000,
    )
    data = made(tools, tmp_path / "dirty.mp4", *words)
    assert b"owned" in data
    found = judged(tools, tmp_path / "clip.mp4", data)
    assert found.verdict is Verdict.GOOD, found
    assert "owned" not in repr(found)


def test_fault_047_a_providers_words_are_made_harmless(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], new_studio: Callable[..., ScriptedStudio]
) -> None:
    one.provider_lies = True
    one.on("poll", changes(status="FAILED", failure=DIRTY * 1000, failureCode="SAFETY." + DIRTY, cost={"credits": 0}))
    assert one.doit(*ONLY_RUNWAY) == 1
    said = capfd.readouterr()
    assert "\x1b" not in said.out + said.err
    (error,) = one.errors()
    assert error is not None
    assert all(char.isprintable() for char in error)
    assert len(error) < 1000


def unable(reason: str, **more: object) -> Judge:
    """A judge that lacks a decoder."""

    async def judge(path: Path, wanted: Wanted) -> Judgement:
        facts = (await fake_judge(path, wanted)).facts
        return Judgement(**{"verdict": Verdict.NOT_JUDGED, "reason": reason, "facts": facts, **more})  # type: ignore[arg-type]

    return judge


@pytest.mark.parametrize("more", [{}, {"verdict": Verdict.DAMAGED, "lacking": True}], ids=["no decoder", "perhaps"])
def test_fault_081_what_no_ffmpeg_here_can_decode_is_paid_kept_and_never_bought_again(
    one: ScriptedStudio, more: dict[str, object]
) -> None:
    one.judge = unable("this ffmpeg has no decoder for av1; set VGEN_FFMPEG to one that has", **more)
    for args in ((), ("max_retries=9",), ("on_uncertain=rebuy",)):
        assert one.doit(*args) == 1
        assert (one.creates(), one.states(), one.booked()) == (1, ["fetched"], PAID)
        assert "paid and kept" in one.errors()[0]
        assert "VGEN_FFMPEG" in one.errors()[0]
    one.judge = fake_judge
    asked = len(one.asked("media"))
    assert one.doit() == 0
    assert (one.creates(), one.states(), len(one.asked("media"))) == (1, ["accepted"], asked)


def test_fault_081_bytes_that_were_damaged_on_the_way_are_fetched_again_though_the_codec_is_unknown(
    one: ScriptedStudio,
) -> None:
    bad = unable("does not decode", verdict=Verdict.DAMAGED, lacking=True)
    tries: list[Path] = []

    async def first_bad(path: Path, wanted: Wanted) -> Judgement:
        tries.append(path)
        return await (bad if len(tries) == 1 else fake_judge)(path, wanted)

    one.judge = first_bad
    assert one.doit() == 0
    assert (one.creates(), one.states(), len(one.asked("media"))) == (1, ["accepted"], 2)


@pytest.mark.parametrize("suffix", [".webm", ".mkv", ".mov"])
def test_fault_042_a_whole_file_in_another_container_is_downloaded_twice_and_kept_as_what_it_is(
    one: ScriptedStudio, tools: Tools, good: bytes, tmp_path: Path, suffix: str
) -> None:
    (tmp_path / "good.mp4").write_bytes(good)
    how = ("-c:v", "libvpx", "-deadline", "realtime", "-an") if suffix == ".webm" else ("-c", "copy")
    data = made(tools, tmp_path / f"made{suffix}", "-i", str(tmp_path / "good.mp4"), *how)
    one.on("media", says(200, raw=data, content_type="video/mp4"))
    one.judge = judge_with(tools)
    one.clock.autojump_threshold = 3.0  # ffmpeg works in real time
    assert one.doit(*ONLY_RUNWAY, "max_retries=1") == 1
    assert (one.creates(), one.states(), one.booked(), len(one.asked("media"))) == (1, ["rejected"], PAID, 2)
    (take,) = one.takes(f"take_001_rejected{suffix}")
    assert take.read_bytes() == data
    assert "not MP4" in one.errors()[0]
    one.outputs.joinpath("ledger.db").unlink()
    assert one.doit(*ONLY_RUNWAY) == 3, "takes that were paid for, and no ledger"
    one.provider_lies = True


async def judge_of_the_dark(path: Path, wanted: Wanted) -> Judgement:
    found = await fake_judge(path, wanted)
    return dataclasses.replace(found, remarks=("black for 3.0 s of 5.0 s",)) if wanted.duration_s == 5 else found


def test_fault_042_what_strikes_the_eye_is_told_everywhere_and_rejects_nothing(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.change_shot(2, duration=10)
    studio.configure(run={"budget_usd": 20})
    studio.judge = judge_of_the_dark
    assert studio.doit() == 0
    assert studio.states() == ["accepted"] * 3
    assert [clip.get("remarks") for clip in studio.clips()] == [["black for 3.0 s of 5.0 s"], None, [
        "black for 3.0 s of 5.0 s"
    ]]  # fmt: skip
    assert studio.said("look at it: black for 3.0 s of 5.0 s")
    assert "black for 3.0 s of 5.0 s" in (studio.outputs / "gallery.html").read_text("utf-8")
    capfd.readouterr()
    assert studio.doit("takes") == 0
    assert capfd.readouterr().out.count("ok; black for 3.0 s of 5.0 s") == 2
    before = studio.disk()
    assert studio.doit() == 0
    assert studio.disk() == before, "a run with nothing to do"
