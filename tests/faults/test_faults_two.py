"""Rows 72 to 75: two runs, one directory; one account, two directories."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.scripted import ScriptedStudio

from vgen.store import atomic
from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs

pytestmark = pytest.mark.slow

HOLD = """
import sys
from pathlib import Path
from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs
with run_lock(Outputs(Path(sys.argv[1])), wait=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(studio: ScriptedStudio) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the outputs."""
    root = str(Path(atomic.__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(studio.outputs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "held"
        yield process
    finally:
        process.kill()
        process.wait(60)
        process.stdin.close()
        process.stdout.close()


def assert_locked_out(studio: ScriptedStudio, capfd: pytest.CaptureFixture[str], pid: int) -> None:
    before = studio.disk()
    capfd.readouterr()
    assert studio.doit() == 3
    said = capfd.readouterr().err
    assert "another vgen run" in said
    assert "wait=yes" in said
    assert f"process {pid}" in said or sys.platform != "linux"
    assert (studio.creates(), studio.disk()) == (0, before)


def test_fault_072_a_second_run_is_told_who_holds_the_outputs_and_changes_nothing(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_lock(Outputs(studio.outputs), wait=False):
        assert_locked_out(studio, capfd, os.getpid())
    assert studio.doit() == 0
    assert studio.creates() == 3


def test_fault_073_a_holder_that_is_killed_holds_nothing(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    with holder(studio) as process:
        assert_locked_out(studio, capfd, process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert studio.doit() == 0
    assert studio.creates() == 3


@pytest.mark.skipif(os.name != "posix", reason="an open file can't be deleted there")
def test_fault_074_a_lock_file_that_is_deleted_lets_nobody_in(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    with run_lock(Outputs(studio.outputs), wait=False):
        (studio.outputs / ".vgen" / "run.lock").unlink()
        assert studio.doit() == 3
        assert "another vgen run" in capfd.readouterr().err
        assert studio.creates() == 0
    assert studio.doit() == 0


def test_fault_075_each_outputs_directory_has_a_budget_of_its_own(new_studio: Callable[..., ScriptedStudio]) -> None:
    """One account, two directories: the cap is over one `outputs`, and not over the account."""
    studio = new_studio()
    assert studio.doit("outputs=first", "budget_usd=1.80") == 0
    assert studio.doit("outputs=second", "budget_usd=1.80") == 0
    assert studio.bought() == 6
    assert studio.charged() == 3.6
    studio.provider_lies = True  # the books are in two other places
