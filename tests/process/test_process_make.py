"""Where vgen stands in a bigger build: called by make from another directory, and read by ffmpeg afterwards."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from workshop import RUN_S, Project, Server, clean_environment, shots

from vgen.media.probe import probe
from vgen.media.tools import find_tools

pytestmark = pytest.mark.slow

MAKEFILE = """
DOIT = {python} -m doit
all: film.mp4

by_file:
\t$(DOIT) -f project/dodo.py run clip_paths=absolute

by_cd:
\tcd project && $(DOIT) clip_paths=absolute

list.txt: {first}
\t{python} list.py project/outputs/clips.json > $@

film.mp4: list.txt
\t{ffmpeg} -nostdin -v error -f concat -safe 0 -i list.txt -c copy -y $@
"""
LIST = """
import json, sys
for clip in json.load(open(sys.argv[1])):
    if clip["success"]:
        print("file '" + clip["clip_path"] + "'")
"""

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@needs_make
@pytest.mark.parametrize("first", ["by_file", pytest.param("by_cd", marks=pytest.mark.slow)])
def test_make_calls_doit_and_ffmpeg_joins_the_clips(project: Project, serve: Callable[..., Server], first: str) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(2))
    tools = find_tools(None, None)
    desk = project.root.parent
    (desk / "list.py").write_text(LIST, "utf-8")
    (desk / "Makefile").write_text(MAKEFILE.format(python=sys.executable, ffmpeg=tools.ffmpeg, first=first), "utf-8")
    for _ in range(2):
        made = project.start(command=["make"], cwd=desk)
        assert made.ends() == 0, made.said()
    assert server.charges()["creates"] == 2
    assert "nothing to do" in made.said()
    clips = [Path(clip["clip_path"]) for clip in project.clips()]
    assert all(path.is_absolute() and path.is_file() for path in clips)
    assert not (desk / "outputs").exists(), "outputs lie beside dodo.py, wherever doit is called from"
    film = trio.run(probe, tools, desk / "film.mp4")
    single = [trio.run(probe, tools, path).duration_s for path in clips]
    assert film.duration_s == pytest.approx(sum(single), abs=0.2)


@needs_make
@pytest.mark.slow
def test_make_stops_when_a_gate_fails(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1", "--fault", "create_moderation=~shot-1")
    project.buys_at(server)
    project.write_shots(shots(2))
    desk = project.root.parent
    (desk / "Makefile").write_text(
        f"all: clips\n\ttouch $@\nclips:\n\tcd project && {sys.executable} -m doit\n", "utf-8"
    )
    made = project.start(command=["make"], cwd=desk)
    assert made.ends() == 2, made.said()
    assert "Error 1" in made.said()
    assert not (desk / "all").exists()


@pytest.mark.slow
def test_outputs_elsewhere(project: Project, serve: Callable[..., Server], tmp_path: Path) -> None:
    """An absolute outputs directory outside of the project; the report names files that are there."""
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(1))
    out = tmp_path / "else where"
    code, said = project.doit(f"outputs={out}")
    assert code == 0, said
    clips = json.loads((out / "clips.json").read_text("utf-8"))
    assert (project.root / clips[0]["clip_path"]).is_file()
    assert not project.outputs.exists()
    code, said = project.doit(f"outputs={out}")
    assert (code, "nothing to do" in said) == (0, True), said


@pytest.mark.slow
def test_no_tool_of_the_system_is_needed(project: Project, tmp_path: Path) -> None:
    """An empty PATH: ffmpeg and ffprobe come with the package."""
    if "wheel" not in find_tools(None, None).source:
        pytest.skip("the wheel with ffmpeg is not installed here")
    project.write_shots(shots(1))
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = subprocess.run(
        [sys.executable, "-m", "doit"],
        cwd=project.root,
        env=clean_environment() | {"PATH": str(empty)},
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
