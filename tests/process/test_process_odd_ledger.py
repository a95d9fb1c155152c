"""Another program holds the ledger, the disk fills, file descriptors run out: real processes, one order a shot."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workshop import Project, Server, shots, wait_until

READS = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT count(*) FROM purchases").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def reader(ledger: Path) -> Iterator[None]:
    """Another program that reads the ledger, as long as it lasts."""
    with subprocess.Popen(
        [sys.executable, "-c", READS, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"reading\n"
        yield
        process.communicate()


def all_is_well(project: Project, server: Server, count: int) -> None:
    """Every shot bought once, and nothing uncertain."""
    assert server.accepted().total() == count, server.accepted()
    assert set(server.accepted().values()) == {1}
    assert project.booked()["uncertain"] == project.booked()["reserved"] == 0
    assert set(project.states()) <= {"accepted", "released", "not_sent"}
    project.assert_money_is_true(server)
    project.assert_clips_are_takes()


@pytest.mark.slow
def test_a_program_that_reads_the_ledger_for_seven_seconds_while_creates_are_on_the_wire(
    project: Project, serve: Callable[..., Server]
) -> None:
    """At ed70e81: an id was lost, $0.24 stayed uncertain; the next run said "killed", and offered to buy again."""
    server = serve("--queue-s", "0", "--render-s", "0.2")
    project.buys_at(server)
    project.write_shots(shots(5))
    assert project.doit("clip:1")[0] == 0, "the first order of a kind goes alone"
    server.process.send_signal(signal.SIGSTOP)
    started = project.start()
    wait_until(lambda: project.states()["submitting"] == 4, what="orders on the wire")
    with reader(project.outputs / "ledger.db"):
        server.process.send_signal(signal.SIGCONT)
        wait_until(lambda: server.accepted().total() == 5, what="the orders are accepted")
        time.sleep(7)
    started.ends()
    code, again = project.doit()
    all_is_well(project, server, 5)
    assert "killed" not in again
    assert (started.ends(), code) == (0, 0), started.said()
    assert "not written down yet (another program has ledger.db open)" in started.said()


@pytest.mark.slow
def test_forty_at_once_with_sixty_four_file_descriptors(project: Project, serve: Callable[..., Server]) -> None:
    """At ed70e81: 29 of 40 clips, the others paid and not checked."""
    server = serve("--queue-s", "0", "--render-s", "0.2", "--concurrency", "100")
    project.buys_at(server)
    project.write_shots(shots(40))
    limited = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", sys.executable, "-m", "doit"]
    started = project.start("max_concurrent=40", "budget_usd=20", command=limited)
    code = started.ends()
    assert code == 0, started.said()[-3000:]
    all_is_well(project, server, 40)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", place], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"no tmpfs here: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=False)


@pytest.mark.slow
def test_a_disk_that_fills_while_orders_are_on_the_wire_and_is_emptied_later(
    tmp_path: Path, small_disk: Path, serve: Callable[..., Server]
) -> None:
    """At ed70e81: both ids were lost, $0.48 stayed uncertain."""
    server = serve("--queue-s", "0", "--render-s", "0.2")
    project = Project(small_disk / "project")
    try:
        project.journal = tmp_path
        project.buys_at(server)
        project.write_shots(shots(3))
        assert project.doit("clip:1", "fallback_api=none")[0] == 0, "the first order of a kind goes alone"
        server.process.send_signal(signal.SIGSTOP)
        started = project.start("fallback_api=none")
        wait_until(lambda: project.states()["submitting"] == 2, what="orders on the wire")
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        server.process.send_signal(signal.SIGCONT)
        started.says("not written down yet")
        time.sleep(2)
        filler.unlink()
        started.ends()
        assert "written down now" in started.said()
        code, said = project.doit("fallback_api=none")
        assert code == 0, said
        all_is_well(project, server, 3)
    finally:
        project.close()
