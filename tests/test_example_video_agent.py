"""examples/video_agent: make calls vgen as stage 4, wherever it is called from; what is up to date stays."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from workshop import everything

from scripts.manual.pages import ROOT
from scripts.manual.shell import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here"),
]


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    home = tmp_path / "pipeline" / "vgen"
    shutil.copytree(ROOT / "examples", home / "examples", ignore=shutil.ignore_patterns("outputs"))
    shutil.copy(ROOT / "dodo.py", home)
    return home / "examples" / "video_agent"


def make(agent: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`make -C` from another directory, the example's path relative to it."""
    there = os.path.relpath(agent, cwd)
    return subprocess.run(
        ["make", "-C", there, *args],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_make_builds_the_film_and_then_only_what_is_stale(agent: Path, tmp_path: Path) -> None:
    first = make(agent, cwd=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    film = agent / "film.mp4"
    assert film.stat().st_size > 100_000

    before = everything(agent)
    again = make(agent, cwd=agent)
    assert again.returncode == 0
    assert "vgen: nothing to do, 2 clips are up to date" in again.stdout
    assert everything(agent) == before

    storyboard = agent / "storyboard.txt"
    storyboard.write_text(storyboard.read_text("utf-8").replace("dawn", "night"), "utf-8")
    changed = make(agent, cwd=agent.parent)
    assert changed.returncode == 0
    assert (changed.stdout.count("ordering, attempt"), changed.stdout.count("ready: take 1")) == (1, 1)
    assert everything(agent)["film.mp4"] != before["film.mp4"]


def test_make_takes_absolute_paths_and_passes_failure_on(agent: Path, tmp_path: Path) -> None:
    prompts, outputs, film = tmp_path / "shots.json", tmp_path / "elsewhere", tmp_path / "film.mp4"
    prompts.write_text(json.dumps([{"shot_number": 1, "duration": 2, "prompt": "a paper boat"}]), "utf-8")
    paths = (f"PROMPTS={prompts}", f"OUTPUTS={outputs}", f"FILM={film}")

    refused = make(agent, *paths, "VGEN_BUDGET_USD=0.1", cwd=tmp_path)
    assert refused.returncode == 2
    assert "Error 3" in refused.stderr
    assert not film.exists()

    made = make(agent, *paths, cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    assert film.stat().st_size > 100_000
    assert not (agent / "outputs").exists()

    failed = make(agent, *paths, "VGEN_MIN_SUCCESS_RATE=2", cwd=tmp_path)
    assert (failed.returncode, "Error 3" in failed.stderr) == (2, True)
