"""A production on a real Dask cluster, and the end of a worker, the scheduler, the child and the head in its midst."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import thorough
from campaign.moments import DIES
from canary import CANARY
from dask_cluster import Certificates, DaskCluster, children, is_alive, kill, programs_of, recorded
from workshop import Project, Server, Started, kept_port, sha256, shots, wait_until

pytest.importorskip("distributed", reason="the extra vgen[cluster] is not installed")
pytestmark = pytest.mark.slow

HEAD_DIES = [
    (when, act)
    for act in (
        "ledger.move.rendered", "part.take", "ledger.move.fetched", "take.link", "ledger.move.accepted", "part.unlink",
        "clip.replace",
    )
    for when in ("before", "after")
]  # fmt: skip
"""Durable acts of a run whose workers are busy."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with kept_port() as port:
        made = DaskCluster(tmp_path_factory.mktemp("cluster") / "dask", port)
        yield made
        made.stop()


@pytest.fixture
def dask(shared: DaskCluster) -> DaskCluster:
    """A scheduler and two workers; what a test ends of it is started again for the next."""
    return shared.mended()


def at_work(started: Started, *workers: subprocess.Popen[bytes]) -> None:
    """Wait until a worker decodes a clip."""
    wait_until(
        lambda: any(programs_of(one.pid) for one in workers) or started.process.poll() is not None, what="ffmpeg"
    )
    assert started.process.poll() is None, started.said()
    assert programs_of(started.pid) == []  # the head decodes nothing


def filming(project: Project, serve: Callable[..., Server], count: int, *, duration: float = 2) -> Server:
    server = serve("--queue-s", "0", "--render-s", "0.2", "--concurrency", "20")
    project.buys_at(server)
    project.write_shots(shots(count, duration=duration))
    return server


def assert_all_is_well(project: Project, server: Server, count: int) -> None:
    """Each clip once, at its price, with the bytes that the report tells of; nothing of a worker's is left."""
    assert [clip["success"] for clip in project.clips()] == [True] * count
    assert server.charges()["creates"] == count
    assert server.charged_usd() == pytest.approx(project.booked()["spent"], abs=1e-9)
    project.assert_money_is_true(server)
    project.assert_report_is_true()
    project.assert_clips_are_takes()
    left = [*project.outputs.glob(".vgen/parts/*"), *project.outputs.glob(".vgen/cluster-*")]
    assert left == []


def test_a_production_on_workers_over_tls_says_nothing_that_is_secret(
    project: Project, serve: Callable[..., Server], tmp_path: Path
) -> None:
    ours = Certificates(tmp_path / "ours")
    with kept_port() as port:
        dask = DaskCluster(tmp_path / "dask", port, workers=1, tls=ours)
        try:
            made_over_tls(project, serve, dask, ours, Certificates(tmp_path / "theirs"))
        finally:
            dask.stop()


def made_over_tls(
    project: Project, serve: Callable[..., Server], dask: DaskCluster, ours: Certificates, theirs: Certificates
) -> None:
    server = filming(project, serve, 2)
    code, said = project.doit("max_concurrent=20", f"cluster={dask.url}", *ours.of_vgen())
    assert code == 0, said
    assert_all_is_well(project, server, 2)
    assert "cluster:" not in said  # nothing was lost or refused
    assert dask.said().count("Traceback") == 0
    assert CANARY not in dask.said()
    assert "/media/" not in dask.said()  # signed addresses are in no log
    assert project.leaks() == []

    project.write_shots(shots(3))
    began = time.monotonic()
    code, said = project.doit(f"cluster={dask.url}", *theirs.of_vgen())
    assert (code, server.charges()["creates"]) == (3, 2), said
    assert time.monotonic() - began < 10  # 5 s on a machine that does nothing else
    assert "nothing was bought" in said
    assert "Traceback" not in said


def test_no_key_is_in_what_the_scheduler_hears_and_conformed_bytes_are_the_same(
    project: Project, serve: Callable[..., Server], dask: DaskCluster
) -> None:
    server = filming(project, serve, 3)
    (project.root / ".env").write_text("".join(f"{name}={project.environ.pop(name)}\n" for name in ("RUNWAY_API_KEY",)))
    with recorded(int(dask.url.rpartition(":")[2])) as (port, heard):
        code, said = project.doit("max_concurrent=20", f"cluster=tcp://127.0.0.1:{port}")
        assert code == 0, said
        code, said = project.doit("conform", f"cluster=tcp://127.0.0.1:{port}")
        assert code == 0, said
        (project.outputs / "gallery.html").unlink()  # with the poster frames that came out of the checks
        code, said = project.doit("gallery", f"cluster=tcp://127.0.0.1:{port}")
        assert code == 0, said
    assert_all_is_well(project, server, 3)
    assert b"vgen-bring-" in heard
    assert b"vgen-encode-" in heard
    assert b"vgen-poster-" in heard
    assert (project.outputs / "gallery.html").read_text("utf-8").count("data:image/jpeg") >= 3
    assert CANARY.encode() not in heard
    assert b"uthorization" not in heard
    there = {path.name: sha256(path) for path in (project.outputs / "conformed").glob("*.mp4")}
    assert project.doit("clean", "conform")[0] == 0
    assert project.doit("conform")[0] == 0
    assert {path.name: sha256(path) for path in (project.outputs / "conformed").glob("*.mp4")} == there
    assert len(there) == 3


@pytest.mark.parametrize("moment", thorough.some(range(5), 5))
def test_a_worker_that_is_killed_costs_time_only_and_leaves_no_ffmpeg(
    project: Project, serve: Callable[..., Server], dask: DaskCluster, moment: int
) -> None:
    server = filming(project, serve, 4, duration=6)
    started = project.start("max_concurrent=20", "budget_usd=50", f"cluster={dask.url}")
    victim = dask.workers[0].pid
    started.says("downloading")
    at_work(started, dask.workers[0])
    time.sleep(random.Random(moment).uniform(0, 2) if moment else 0)
    orphans = programs_of(victim)
    dask.workers[0].kill()
    wait_until(lambda: not any(map(is_alive, orphans)), limit_s=2, what="the end of a dead worker's ffmpeg")
    assert started.ends() == 0, started.said()
    assert_all_is_well(project, server, 4)


@pytest.mark.parametrize("comes_back", thorough.some([False, True], 2))
def test_without_its_scheduler_a_run_is_finished_here(
    project: Project, serve: Callable[..., Server], dask: DaskCluster, *, comes_back: bool
) -> None:
    server = filming(project, serve, 4)
    started = project.start("max_concurrent=20", f"cluster={dask.url}")
    started.says("downloading")  # before that, workers are only asked for their versions
    at_work(started, *dask.workers)
    if comes_back:
        dask.restart_scheduler()
    else:
        dask.scheduler.kill()
    assert started.ends() == 0, started.said()
    assert_all_is_well(project, server, 4)
    assert "does here what was lost" in started.said()
    assert "Traceback" not in started.said()


def test_without_its_child_a_run_is_finished_here(
    project: Project, serve: Callable[..., Server], dask: DaskCluster
) -> None:
    server = filming(project, serve, 3)
    started = project.start("max_concurrent=20", f"cluster={dask.url}")
    started.says("downloading")  # before that, workers are only asked for their versions
    at_work(started, *dask.workers)
    for child in children(started.pid):
        if "vgen.cluster.child" in Path(f"/proc/{child}/cmdline").read_text("utf-8"):
            environ = Path(f"/proc/{child}/environ").read_text("utf-8")
            assert CANARY not in environ
            kill(child)
    assert started.ends() == 0, started.said()
    assert_all_is_well(project, server, 3)
    assert "does here what was lost" in started.said()


@pytest.mark.parametrize(("when", "act"), thorough.some(HEAD_DIES, 7))
def test_a_head_that_is_killed_at_a_durable_act_collects_with_its_next_run(
    project: Project, serve: Callable[..., Server], dask: DaskCluster, when: str, act: str
) -> None:
    server = filming(project, serve, 3, duration=4)
    words = ("max_concurrent=20", "budget_usd=50", f"cluster={dask.url}")
    started = project.start(*words, command=[sys.executable, str(DIES), when, act, "1"])
    assert started.ends() == -signal.SIGKILL, started.said()
    assert server.charges()["creates"] == 3
    code, said = project.doit(*words)
    assert code == 0, said
    assert_all_is_well(project, server, 3)


def test_a_head_that_is_killed_or_interrupted_collects_with_its_next_run(
    project: Project, serve: Callable[..., Server], dask: DaskCluster
) -> None:
    server = filming(project, serve, 4, duration=4)
    for signum in (signal.SIGKILL, signal.SIGINT):
        started = project.start("max_concurrent=20", "budget_usd=50", f"cluster={dask.url}")
        at_work(started, *dask.workers)
        began = time.monotonic()
        started.process.send_signal(signum)
        started.ends()
        assert time.monotonic() - began < 5  # 2 s on a machine that does nothing else
    code, said = project.doit("budget_usd=50", f"cluster={dask.url}")
    assert code == 0, said
    assert_all_is_well(project, server, 4)


def test_a_stopped_workers_job_is_done_by_another_and_its_late_part_changes_nothing(
    project: Project, serve: Callable[..., Server], dask: DaskCluster
) -> None:
    server = filming(project, serve, 4, duration=4)
    started = project.start("max_concurrent=20", "budget_usd=50", "cluster_timeout_s=6", f"cluster={dask.url}")
    stopped = dask.workers[0]
    started.says("downloading")
    at_work(started, stopped)
    stopped.send_signal(signal.SIGSTOP)
    wait_until(lambda: len(project.published()) == 4, what="all clips")
    stopped.send_signal(signal.SIGCONT)
    assert started.ends() == 0, started.said()
    assert_all_is_well(project, server, 4)


def test_workers_with_another_ffmpeg_or_vgen_are_refused_before_anything_is_bought(
    project: Project, serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = filming(project, serve, 1)
    fake = tmp_path / "ffmpeg"
    fake.write_text("#!/bin/sh\necho ffmpeg version 4.9.9 of elsewhere\n")
    fake.chmod(0o755)
    other = tmp_path / "other.py"
    other.write_text('import vgen\nvgen.__version__ = "0.0.1"\n')
    with kept_port() as port:
        dask = DaskCluster(tmp_path / "dask", port, workers=0)
        try:
            dask.worker(VGEN_FFMPEG=str(fake))
            dask.worker("--preload", str(other))
            dask.has_workers(2)
            code, said = project.doit(f"cluster={dask.url}")
            assert (code, server.charges()["creates"]) == (3, 0), said
            assert "has ffmpeg 4.9.9, here is" in said
            assert "has vgen 0.0.1, here is" in said
            code, said = project.doit("doctor", f"cluster={dask.url}")
        finally:
            dask.stop()
    assert code == 1
    assert [line for line in said.splitlines() if line.startswith("FIX") and "ffmpeg 4.9.9" in line]
    assert [line for line in said.splitlines() if line.startswith("FIX") and "vgen 0.0.1" in line]


def test_a_worker_that_sees_another_folder_is_refused_and_one_that_sees_ours_does_the_work(
    project: Project, serve: Callable[..., Server], tmp_path: Path
) -> None:
    if not can_hide(tmp_path):
        pytest.skip("this machine gives nobody a mount namespace")
    server = filming(project, serve, 2)
    project.outputs.mkdir()
    with kept_port() as port:
        dask = DaskCluster(tmp_path / "dask", port, workers=0)
        try:
            dask.worker(through=hiding(project.outputs))
            dask.has_workers(1)
            code, said = project.doit(f"cluster={dask.url}")
            assert (code, server.charges()["creates"]) == (3, 0), said
            assert f"does not see {project.outputs}" in said
            dask.worker()
            dask.has_workers(1)
            code, said = project.doit("max_concurrent=20", f"cluster={dask.url}")
        finally:
            dask.stop()
    assert code == 0, said
    assert f"does not see {project.outputs}" in said
    assert_all_is_well(project, server, 2)


def hiding(folder: Path) -> list[str]:
    """A command that shows another, empty folder in a folder's place to the program that follows."""
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
            'mount -t tmpfs none "$0" && exec "$@"', str(folder)]  # fmt: skip


def can_hide(folder: Path) -> bool:
    try:
        return not subprocess.run([*hiding(folder), "true"], capture_output=True, check=False, timeout=20).returncode
    except OSError:
        return False
