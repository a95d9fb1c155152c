"""The project as shipped, without keys: real MP4s, told as simulated; and a second run that touches nothing."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from workshop import ROOT, RUN_S, Project, clean_environment, everything

from vgen.media.decode import decode
from vgen.media.probe import Facts, probe
from vgen.media.tools import find_tools

TOOLS = find_tools(None, None)


def facts(path: Path) -> Facts:
    async def look() -> Facts:
        found = await probe(TOOLS, path)
        await decode(TOOLS, path, found.duration_s)
        return found

    return trio.run(look)


def recorder(folder: Path, name: str, real: str) -> tuple[Path, Path]:
    """A program that writes down that it was called, and then is the real one. And where it writes."""
    calls = folder / f"{name}.calls"
    script = folder / name
    script.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\nexec "{real}" "$@"\n', "utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script, calls


def said_simulated(value: Any) -> list[bool]:
    if isinstance(value, dict):
        found = [value["simulated"]] if "simulated" in value else []
        return found + [flag for item in value.values() for flag in said_simulated(item)]
    return [flag for item in value for flag in said_simulated(item)] if isinstance(value, list) else []


@pytest.mark.slow
def test_the_shipped_project(project: Project, tmp_path: Path) -> None:
    ffprobe, probed = recorder(tmp_path, "ffprobe", TOOLS.ffprobe)
    ffmpeg, decoded = recorder(tmp_path, "ffmpeg", TOOLS.ffmpeg)
    project.environ |= {"VGEN_FFPROBE": str(ffprobe), "VGEN_FFMPEG": str(ffmpeg)}

    code, said = project.doit()
    assert code == 0, said
    assert "simulated run (no API key is set)" in said
    assert [clip["success"] for clip in project.clips()] == [True] * 3
    for clip, asked_s in zip(project.clips(), (3, 4, 4), strict=True):
        path = project.root / clip["clip_path"]
        found = facts(path)
        assert found.width < found.height, "9:16 is upright"
        assert found.width >= 720
        assert found.codec == "h264"
        assert found.size_bytes > 100_000
        assert asked_s <= found.duration_s < asked_s + 1.1
    report = project.report()
    flags = said_simulated(report)
    assert len(flags) >= 4
    assert all(flags)
    assert all(row["simulated"] for row in project.rows())
    project.assert_report_is_true()
    project.assert_clips_are_takes()
    assert len(probed.read_text().splitlines()) >= 3
    assert len(decoded.read_text().splitlines()) >= 3
    assert "-ss" not in decoded.read_text().split(), "the poster frames came out of the checks"
    assert (project.root / "outputs" / "gallery.html").read_text("utf-8").count("data:image/jpeg") >= 3
    assert not (project.root / "outputs" / ".vgen" / "posters").exists()

    probed.unlink()
    decoded.unlink()
    before = everything(project.root)
    code, said = project.doit()
    assert code == 0, said
    assert "nothing to do" in said
    assert everything(project.root) == before, "a run with nothing to do leaves every file as it is"
    assert not probed.exists()
    assert not decoded.exists()


HOOK = """
import sys
def hook(event, args):
    if event in ('socket.connect', 'socket.getaddrinfo', 'os.fork', 'os.posix_spawn', 'os.exec', 'os.system') \
            or event == 'subprocess.Popen' and 'ldconfig' not in str(args[0]):
        open(SEEN, 'a').write(f'{event} {args}\\n')
sys.addaudithook(hook)
"""
"""`ldconfig -p` is how trio 0.35 looks for the name of a thread, at import."""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["doit", "vgen"])
def test_nothing_to_do_starts_no_process_and_asks_nobody(project: Project, tmp_path: Path, module: str) -> None:
    """As python's own audit hooks see it, whatever the program is called."""
    project.write_shots([{"shot_number": 1, "duration": 2, "runway_prompt": "one"}])
    assert project.doit()[0] == 0
    watch, seen = tmp_path / "watch", tmp_path / "seen.txt"
    watch.mkdir()
    (watch / "sitecustomize.py").write_text(f"SEEN = {str(seen)!r}\n{HOOK}", "utf-8")
    started = project.start(command=[sys.executable, "-m", module], PYTHONPATH=f"{watch}{os.pathsep}{ROOT}")
    assert started.ends() == 0, started.said()
    assert "nothing to do" in started.said()
    assert not seen.exists(), seen.read_text()
    (project.outputs / "clips" / "clip_001.mp4").unlink()
    project.write_shots([{"shot_number": 1, "duration": 2, "runway_prompt": "two"}])
    started = project.start(command=[sys.executable, "-m", module], PYTHONPATH=f"{watch}{os.pathsep}{ROOT}")
    assert started.ends() == 0, started.said()
    assert "subprocess.Popen" in seen.read_text(), "the hook sees nothing at all"


@pytest.mark.slow
def test_one_clip_by_name_and_by_target(project: Project) -> None:
    code, said = project.doit("clip:2")
    assert code == 0, said
    assert [path.name for path in project.published()] == ["clip_002.mp4"]
    (project.outputs / "clips" / "clip_002.mp4").unlink()
    code, said = project.doit("outputs/clips/clip_002.mp4")
    assert code == 0, said
    assert [path.name for path in project.published()] == ["clip_002.mp4"]
    assert len(project.rows()) == 1, "the take is put back, nothing is ordered again"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["doit", "vgen"])
def test_a_lost_doit_database_costs_nothing(project: Project, module: str) -> None:
    project.write_shots([{"shot_number": 1, "duration": 2, "runway_prompt": "one"}])
    assert project.doit()[0] == 0
    (project.root / ".doit.db").unlink()
    started = project.start(command=[sys.executable, "-m", module])
    assert started.ends() == 0, started.said()
    assert len(project.rows()) == 1
    (project.root / ".doit.db").write_text("{ not json", "utf-8")
    started = project.start(command=[sys.executable, "-m", module])
    assert started.ends() == 0, started.said()
    assert "Traceback" not in started.said()
    assert len(project.rows()) == 1


@pytest.mark.slow
def test_live_takes_no_simulated_clip(project: Project) -> None:
    """Simulated clips never satisfy mode=live: a plan with keys wants to buy all three."""
    assert project.doit()[0] == 0
    code, said = project.doit("plan", RUNWAY_API_KEY="key_vgencanary0123456789abcdef")
    assert code == 0, said
    assert said.count(" buy ") == 3, said


@pytest.mark.slow
def test_the_simulator_says_no_in_one_line(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "vgen.simulator", "--fault", "creat_429=1"],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
        cwd=tmp_path,
        env=clean_environment(),
    )
    assert ran.returncode == 3
    assert "create_429" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
