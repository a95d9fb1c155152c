"""The gallery, the rough cut, and choices between takes, as a user has them: real processes, real films."""

import contextlib
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from workshop import RUN_S, Project, Server, everything, shots

from vgen.media.tools import Tools, find_tools

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tools() -> Tools:
    return find_tools(None, None)


def ffmpeg(tools: Tools, *args: str) -> None:
    subprocess.run([tools.ffmpeg, "-nostdin", "-v", "error", "-y", *args], check=True, timeout=RUN_S)


def duration_s(tools: Tools, film: Path) -> float:
    argv = [tools.ffprobe, "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(film)]
    return float(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=RUN_S).stdout)


def film_s(project: Project, which: str = " of film") -> float:
    """How long the gallery says that the film is."""
    page = (project.outputs / "gallery.html").read_text("utf-8")
    (said,) = re.findall(rf"([0-9.]+) s{which}", page)
    return float(said)


def test_a_build_makes_the_gallery_and_a_second_one_leaves_it(project: Project) -> None:
    project.write_shots(shots(2))
    assert project.doit()[0] == 0
    page = (project.outputs / "gallery.html").read_text("utf-8")
    for k in (1, 2):
        assert f"shot-{k} a paper boat" in page
        assert f"clips/clip_00{k}.mp4" in page
    assert page.count("data:image/jpeg;base64,") >= 2
    assert "no real money spent" in page
    before = everything(project.outputs)
    assert project.doit()[0] == 0
    assert everything(project.outputs) == before


def test_the_gallery_follows_choices_and_edits(project: Project) -> None:
    project.write_shots(shots(2))
    project.doit()
    project.doit("-a", "clip:2")
    clips = [take.read_bytes() for take in project.outputs.glob("takes/*/*.mp4")]
    assert len(set(clips)) == len(clips) == 3, "simulated takes of one prompt can be told apart"
    code, said = project.doit("-s", "gallery")
    assert code == 0, said
    page = (project.outputs / "gallery.html").read_text("utf-8")
    assert "doit pick shot=2 take=1" in page
    assert project.doit("pick", "shot=2", "take=1")[0] == 0
    page = (project.outputs / "gallery.html").read_text("utf-8")
    assert "doit pick shot=2 take=2" in page
    assert "doit pick shot=2 take=1" not in page
    edited = shots(2)
    edited[0]["runway_prompt"] = "shot-1 a paper boat in the snow"
    project.write_shots(edited)
    assert project.doit("-s", "gallery")[0] == 0
    page = (project.outputs / "gallery.html").read_text("utf-8")
    assert "doit keep shot=1" in page
    assert "stale" in page


def test_a_gallery_of_a_build_that_failed_shows_why(project: Project, serve: Callable[..., Server]) -> None:
    project.buys_at(serve("--queue-s", "0", "--render-s", "0", "--fault", "job_moderated=~shot-2"))
    project.write_shots(shots(2))
    assert project.doit("fallback_api=none")[0] == 1
    page = (project.outputs / "gallery.html").read_text("utf-8")
    assert project.clips()[1]["error"] in re.sub(r"&#39;", "'", page)
    assert "Success rate" in page


def test_clean_removes_what_can_be_made_again_and_nothing_else(project: Project) -> None:
    project.write_shots(shots(2))
    project.doit()
    project.doit("cut")
    assert project.doit("clean")[0] == 0
    assert project.doit("clean", "conform", "cut")[0] == 0
    left = {path.name for path in project.outputs.iterdir()}
    assert not left & {"gallery.html", "clips.json", "production_report.json", "cut.mp4", "conformed"}
    assert {"ledger.db", "takes"} <= left
    code, said = project.doit("cut")
    assert code == 1, "there are no clips"
    assert "`doit` builds clips" in said


def test_a_rough_cut_of_clips_of_every_kind(project: Project, serve: Callable[..., Server], tools: Tools) -> None:
    """Clips of both providers, 24 and 30 fps, with and without sound, one of 834x1112."""
    server = serve("--queue-s", "0", "--render-s", "0")
    project.buys_at(server)
    project.write_shots(shots(6))
    assert project.doit("clip:1", "clip:2", "clip:3", "budget_usd=9")[0] == 0
    assert project.doit("clip:4", "clip:5", "clip:6", "primary_api=pika", "budget_usd=9")[0] == 0
    clips = project.outputs / "clips"
    half = "testsrc2=s=834x1112:r=30:d=2"
    ffmpeg(tools, "-f", "lavfi", "-i", half, "-pix_fmt", "yuv420p", "-c:v", "libx264", str(clips / "clip_002.mp4"))
    ffmpeg(
        tools, "-f", "lavfi", "-i", "testsrc2=s=720x1280:r=30:d=2", "-f", "lavfi", "-i", "sine=f=440:d=2",
        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "aac", str(clips / "clip_005.mp4"),
    )  # fmt: skip
    creates = server.charges()["creates"]
    code, said = project.doit("cut")
    assert code == 0, said
    assert server.charges()["creates"] == creates, "it never buys"
    cut = project.outputs / "cut.mp4"
    for k in range(1, 7):
        assert abs(duration_s(tools, project.outputs / "conformed" / f"clip_00{k}.mp4") - 2) <= 1 / 24
    assert abs(duration_s(tools, cut) - 12) <= 6 / 24
    assert film_s(project) == pytest.approx(duration_s(tools, cut), abs=0.05), "Pika's clips have 5 s, their shots 2"
    ffmpeg(tools, "-xerror", "-i", str(cut), "-f", "null", "-")
    before = everything(project.outputs)
    code, said = project.doit("cut")
    assert (code, said) == (0, "vgen: nothing to do\n")
    assert everything(project.outputs) == before
    with contextlib.suppress(FileNotFoundError):
        (clips / "clip_003.mp4").unlink()
    code, said = project.doit("cut")
    assert code == 0, said
    assert "shot 3 is missing from cut.mp4" in said
    assert abs(duration_s(tools, cut) - 10) <= 5 / 24
    assert project.doit("-s", "gallery")[0] == 0
    assert film_s(project) == pytest.approx(duration_s(tools, cut), abs=0.05)
    code, said = project.doit("cut", "slates=yes")
    assert code == 0, said
    assert "5 of 6 shots, a slate for shot 3, 12.0" in said
    assert film_s(project, " with slates") == pytest.approx(duration_s(tools, cut), abs=0.05)


def test_help_names_the_commands_without_a_project(project: Project) -> None:
    code, said = project.doit("help", "vgen")
    assert code == 0
    assert "doit pick shot=7 take=2" in said
    assert "budget_usd" in said
