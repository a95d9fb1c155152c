"""Outputs that break: a closed pipe, no terminal, a directory that can't be written, a full disk."""

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from workshop import RUN_S, Project, Server, shots

pytestmark = pytest.mark.slow

DOIT = shlex.join([sys.executable, "-m", "doit"])


def slow(value: str) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


def test_a_closed_pipe_ends_neither_the_run_nor_its_report(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.3")
    project.buys_at(server)
    project.write_shots(shots(2))
    bash = project.start("-c", f"{DOIT} | head -1; echo codes ${{PIPESTATUS[@]}}", command=["bash"])
    assert bash.ends() == 0
    assert "codes 0 0" in bash.said(), bash.said()
    assert "Traceback" not in bash.said()
    assert "BrokenPipe" not in bash.said()
    assert server.charged_usd() == 0.48 == project.booked()["spent"]
    assert [clip["success"] for clip in project.clips()] == [True, True]
    project.assert_report_is_true()


@pytest.mark.slow
@pytest.mark.parametrize("words", ["list --all --status", "plan", "help run", ""])
def test_looking_at_the_first_line_only(project: Project, words: str) -> None:
    """`doit … | head -1`, a reader who leaves: no traceback of ours."""
    project.write_shots(shots(1))
    bash = project.start("-c", f"{DOIT} {words} | head -1; echo codes ${{PIPESTATUS[@]}}", command=["bash"])
    assert bash.ends() == 0
    if words in ("plan", ""):
        assert "codes 0 0" in bash.said(), bash.said()
        assert "Traceback" not in bash.said(), bash.said()


@pytest.mark.parametrize("closed", [">&-", ">/dev/full 2>/dev/full", slow("2>&-"), slow(">&- 2>&-"), slow("<&-")])
def test_no_stream_at_all(project: Project, serve: Callable[..., Server], closed: str) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(1))
    bash = project.start(
        "-c", f"{DOIT} {closed}; echo code $? >&3", command=["bash", "-c", 'exec 3>&1; eval "$2"', "-"]
    )
    assert bash.ends() == 0
    assert "code 0" in bash.said(), bash.said()
    assert server.charged_usd() == 0.24 == project.booked()["spent"]
    assert project.clips()[0]["success"] is True


@pytest.mark.slow
def test_a_terminal_is_fine_too(project: Project) -> None:
    """On a tty of its own; Ctrl-C comes as the terminal sends it, to the whole process group."""
    project.write_shots(shots(1))
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "doit"],
        cwd=project.root,
        env=project.environ | {"TERM": "xterm"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    said = read_all(master, process)
    assert process.wait(RUN_S) == 0, said
    assert b"Traceback" not in said
    assert project.clips()[0]["success"] is True


@pytest.mark.slow
def test_a_terminal_that_goes_away(project: Project, serve: Callable[..., Server]) -> None:
    """SIGHUP kills a run as it kills every program; what it bought is collected by the next one."""
    server = serve("--queue-s", "0", "--render-s", "0.5")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(2))
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup the tests would hand down that it is ignored
    try:
        started = project.start()
    finally:
        signal.signal(signal.SIGHUP, inherited)
    started.says("rendering at", times=2)
    started.process.send_signal(signal.SIGHUP)
    started.ends()
    server.release()
    code, said = project.doit()
    assert code == 0, said
    assert server.charges()["creates"] == 2
    project.assert_money_is_true(server)


def read_all(master: int, process: subprocess.Popen[bytes]) -> bytes:
    said = b""
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None  # before the look: what it says last is there then
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            try:
                said += os.read(master, 65536)
            except OSError:
                break
        elif ended:
            break
    os.close(master)
    return said


def test_outputs_that_are_a_file(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--fast")
    project.buys_at(server)
    project.write_shots(shots(1))
    project.outputs.write_text("in the way", "utf-8")
    code, said = project.doit()
    assert code == 3
    assert "outputs" in said
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if line.strip()]) == 1, said
    assert server.charges()["creates"] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_outputs_that_are_read_only(project: Project, serve: Callable[..., Server]) -> None:
    server = serve("--fast")
    project.buys_at(server)
    project.write_shots(shots(1))
    project.outputs.mkdir()
    project.outputs.chmod(0o555)
    code, said = project.doit()
    assert code == 3
    assert "can't be written" in said
    assert server.charges()["creates"] == 0


@pytest.mark.parametrize("name", ["takes", slow("clips"), slow("ledger.db")])
def test_a_link_that_leads_out_of_the_outputs(
    project: Project, serve: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    server = serve("--fast")
    project.buys_at(server)
    project.write_shots(shots(1))
    project.outputs.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (project.outputs / name).symlink_to(tmp_path / "elsewhere")
    code, said = project.doit()
    assert code == 3, said
    assert "link" in said
    assert "Traceback" not in said
    assert server.charges()["creates"] == 0


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """The outputs on a tmpfs of 66 MiB, a little more than vgen wants to begin; where one may mount."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or not mount or not umount:
        pytest.skip("only root can mount a small disk")
    project.outputs.mkdir()
    ran = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=66m", "tmpfs", str(project.outputs)],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    if ran.returncode != 0:
        pytest.skip(f"no small disk here: {ran.stderr.strip()}")
    yield project.outputs
    subprocess.run([umount, str(project.outputs)], timeout=RUN_S, check=True)


def test_a_full_disk_is_told_before_anything_is_bought(
    project: Project, serve: Callable[..., Server], small_disk: Path
) -> None:
    server = serve("--fast")
    project.buys_at(server)
    project.write_shots(shots(1))
    (small_disk / "filler").write_bytes(bytes(10 << 20))
    code, said = project.doit()
    assert code == 3, said
    assert "free" in said
    assert "Traceback" not in said
    assert server.charges()["creates"] == 0


@pytest.mark.slow
def test_a_disk_that_fills_up_in_the_middle(project: Project, serve: Callable[..., Server], small_disk: Path) -> None:
    """What was bought stays at the provider and is collected when there is room again."""
    server = serve("--queue-s", "0", "--render-s", "0.8")
    server.hold()
    project.buys_at(server)
    project.write_shots(shots(4))
    started = project.start("max_concurrent=2", "backoff_base_s=0.05")
    started.says("rendering at", times=2)
    filler = small_disk / "filler"
    with filler.open("wb") as file:
        try:
            for _ in range(700):
                file.write(bytes(100_000))
                file.flush()
        except OSError:
            pass
    server.release()
    code = started.ends()
    project.assert_money_is_true(server)
    assert max(server.accepted().values()) == 1
    filler.unlink()
    assert project.doit("max_concurrent=2")[0] in (0, 1)
    project.assert_money_is_true(server)
    assert max(server.accepted().values()) == 1
    uncertain = project.states()["uncertain"]
    assert sum(clip["success"] for clip in project.clips()) == 4 - uncertain
    project.assert_clips_are_takes()
    assert code == 1, started.said()
    assert "Traceback" not in started.said(), started.said()
