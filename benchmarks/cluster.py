"""Row (l): what work on clips' bytes costs the head, here and on a cluster of worker processes on this machine; and
what it costs who has no cluster that vgen could use one.
"""

import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.builds import PROGRAMS, Ours, buy_at, configure
from benchmarks.measure import ROOT, Broken, Cost, Row, Table, environment, interleaved, ratio, run
from benchmarks.whole import clip_of
from benchmarks.workload import ENVIRON, make_project, serving, shots, write_shots
from vgen.media.tools import find_tools

PRELOAD = "import vgen.cluster.bench\nvgen.cluster.bench.APPEARS_S = 1.0\n"
"""Workers wait for a file that is not there: with this, for one second. That is a job that costs nothing but time."""
MISSING = "needs the extra vgen[cluster]"
START_S = 60.0


def tables(rounds: int, *, quick: bool) -> Iterator[Table]:
    """What needs Dask is skipped without it."""
    yield from _unused(10 if quick else 100, rounds)
    if find_spec("distributed") is None:
        yield Table(key="l", title="a cluster", unit="ms", rows=[Row(name="vgen: cluster=", skipped=MISSING)])
        return
    yield _production(4 if quick else 40, rounds)
    yield _conformed(2 if quick else 4, 4 if quick else 40, rounds)
    yield _big_clip(2 if quick else 31, 2 if quick else 16, rounds)
    yield _threads(2 if quick else 16, rounds)


@contextlib.contextmanager
def dask(home: Path, *, processes: int, threads: int = 1, preload: str = "") -> Iterator[str]:
    """A scheduler and workers; its address."""
    home.mkdir()
    started = []
    file = home / "scheduler.json"

    def start(*words: str) -> None:
        with (home / f"{len(started)}.log").open("wb") as log:
            command = [sys.executable, "-m", *words]
            started.append(subprocess.Popen(command, env=environment(), cwd=home, stdout=log, stderr=log))

    start("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
          "--scheduler-file", str(file))  # fmt: skip
    try:
        _until(file.exists)
        url = str(json.loads(file.read_text("utf-8"))["address"])
        more = []
        if preload:
            (home / "preload.py").write_text(preload, encoding="utf-8")
            more = ["--preload", str(home / "preload.py")]
        for number in range(processes):
            start("distributed.cli.dask_worker", url, "--nthreads", str(threads), "--no-nanny", "--no-dashboard",
                  "--memory-limit", "0", "--local-directory", str(home / f"scratch{number}"), *more)  # fmt: skip
        _until(lambda: (home / "0.log").read_text("utf-8").count("Register worker") >= processes)
        yield url
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not true():
        if time.monotonic() > deadline:
            raise Broken("Dask did not start")
        time.sleep(0.05)


# ── a production ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _production(count: int, rounds: int) -> Table:
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        url = stack.enter_context(dask(folder / "dask", processes=2))

        def produced(name: str, words: list[str], turn: int) -> float:
            project = folder / f"{name}{turn}"
            with _providers() as server:
                make_project(project, count)
                buy_at(project, server, poll_interval_s=0.5)
                write_shots(project, shots(count, duration=4))
                command = [str(PROGRAMS / "doit"), "budget_usd=1000", "max_concurrent=20", *words]
                return 1e3 * _cpu_s(command, project) / count

        contenders = {
            "here": functools.partial(produced, "here", []),
            "cluster": functools.partial(produced, "cluster", [f"cluster={url}"]),
        }
        rows = interleaved(contenders, rounds, ours="cluster")
    title = f"{count} clips with gallery: CPU of the head and its children, a clip"
    return Table(key="l", title=title, unit="ms", rows=rows, note="2 worker processes; the child's start is included")


def _conformed(few: int, many: int, rounds: int) -> Table:
    """Of many clips; what a further one costs is told by another film, of few."""
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        url = stack.enter_context(dask(folder / "dask", processes=2))
        films = {count: folder / f"film{count}" for count in (few, many)}
        for count, film in films.items():
            with _providers() as server:
                make_project(film, count)
                buy_at(film, server, poll_interval_s=0.5)
                write_shots(film, shots(count, duration=4))
                _cpu_s([str(PROGRAMS / "doit"), "budget_usd=1000", "max_concurrent=20"], film)
        marginal: list[float] = []

        def conformed(count: int, words: list[str]) -> float:
            shutil.rmtree(films[count] / "outputs/conformed", ignore_errors=True)
            return 1e3 * _cpu_s([str(PROGRAMS / "doit"), "conform", *words], films[count])

        def on_cluster(_turn: int) -> float:
            whole, part = (conformed(count, [f"cluster={url}"]) for count in (many, few))
            marginal.append((whole - part) / (many - few))
            return whole / many

        contenders = {"here": lambda _: conformed(many, []) / many, "cluster": on_cluster}
        rows = interleaved(contenders, rounds, ours="cluster")
        rows.append(Row(name=f"cluster: each further one of clips {few + 1} to {many}", values=marginal))
    title = f"conform of {many} clips: CPU of the head and its children, a clip"
    note = "start-up and the child's start are included, but for further clips"
    return Table(key="l", title=title, unit="ms", rows=rows, note=note)


@contextlib.contextmanager
def _providers() -> Iterator[str]:
    """The simulator with real clips, as a process of its own."""
    command = [sys.executable, "-m", "vgen.simulator", "--port", "0", "--anonymous", "--queue-s", "0.2"]
    command += ["--render-s", "1", "--concurrency", "20"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield "http://" + process.stdout.readline().split("http://")[1].split()[0]
        finally:
            process.terminate()


def _cpu_s(command: list[str], cwd: Path) -> float:
    """Of a process and all that it waited for."""
    with (cwd / "said.txt").open("wb") as said:
        process = subprocess.Popen(command, cwd=cwd, env=environment(**ENVIRON), stdout=said, stderr=said)
        _, status, cost = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Broken((cwd / "said.txt").read_text("utf-8")[-400:])
    return cost.ru_utime + cost.ru_stime


# ── without a cluster ─────────────────────────────────────────────────────────────────────────────────────────────────

WHOLE, WITHOUT = "vgen", "vgen with its package cluster deleted"


def _unused(count: int, rounds: int) -> Iterator[Table]:
    """Nothing to do, and clips bought on loopback; beside a copy of vgen that knows no cluster."""
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        folder = Path(made)
        shutil.copytree(ROOT / "vgen", folder / "bare/vgen", ignore=shutil.ignore_patterns("cluster", "__pycache__"))
        sources = {WHOLE: str(ROOT), WITHOUT: f"{folder / 'bare'}{os.pathsep}{ROOT}"}
        found = {name: Ours(folder / str(len(name)), 10) for name in sources}
        for name, film in found.items():
            film.env |= {"PYTHONPATH": sources[name]}
            film.settle([])
        memory: dict[str, list[float]] = {name: [] for name in sources}

        def bought(name: str, turn: int) -> float:
            cost = _bought(folder / f"{len(name)}-{turn}", count, sources[name])
            memory[name].append(cost.rss_mb)
            return cost.wall_s

        idle = {name: lambda _, film=film: film.idle(PROGRAMS / "doit") for name, film in found.items()}
        rows = interleaved(idle, rounds, ours=WHOLE)
        yield Table(key="l", title="no cluster: nothing to do, 10 shots", unit="s", rows=rows)
        rows = interleaved({name: functools.partial(bought, name) for name in sources}, rounds, ours=WHOLE)
        yield Table(key="l", title=f"no cluster: {count} clips of a second, all at once", unit="s", rows=rows)
        peaks = [Row(name=name, values=mb, ratio=ratio(memory[WHOLE], mb)) for name, mb in memory.items()]
        yield Table(key="l", title="no cluster: peak memory of that", unit="MB", rows=peaks)


def _bought(project: Path, count: int, source: str) -> Cost:
    """Clips on loopback, by the vgen of this source; they are no videos, so no other program is started."""
    make_project(project, count, max_concurrent=count)
    with serving("--render-s", "1") as url:
        configure(project, url, max_concurrent=count)
        cost = run([PROGRAMS / "doit"], project, env=environment(**ENVIRON, PYTHONPATH=source))
    if len(cost.text.splitlines()) < count:
        raise Broken(f"not {count} clips: {cost.text[-500:]}")
    return cost


# ── jobs alone ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _head(**asked: object) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.cluster_head", json.dumps(asked)]
    ran = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
    if ran.returncode or ran.stderr:
        raise Broken(ran.stderr[-400:])
    found: dict[str, float] = json.loads(ran.stdout)
    return found


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Nothing."""


def _big_clip(megabytes: int, count: int, rounds: int) -> Table:
    clip = clip_of(find_tools(None, None), 10, megabytes)
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made, contextlib.ExitStack() as stack:
        folder = Path(made)
        (folder / "www").mkdir()
        shutil.copy(clip, folder / "www/clip.mp4")
        handler = functools.partial(_Quiet, directory=str(folder / "www"))
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        media = f"http://127.0.0.1:{server.server_address[1]}"
        url = stack.enter_context(dask(folder / "dask", processes=2))

        alone: list[float] = []

        def brought(kind: str, turn: int) -> float:
            outputs = folder / f"{kind}{turn}"
            outputs.mkdir()
            found = _head(url=url, folder=str(outputs), kind=kind, jobs=count, media=media, seconds=10)
            if kind == "bring":
                alone.append(1e3 * found["self_s"] / count)
            return 1e3 * (found["self_s"] + found["child_s"]) / count

        contenders = {
            "here": functools.partial(brought, "here"),
            "cluster": functools.partial(brought, "bring"),
        }
        rows = interleaved(contenders, rounds, ours="cluster")
        rows.append(Row(name="cluster: the head without its child", values=alone))
    title = f"a clip of {megabytes} MB, downloaded, hashed, decoded: CPU of the head and its children"
    return Table(
        key="l", title=title, unit="ms", rows=rows, note="a clip is two jobs: one worker brings, another hashes"
    )


def _threads(threads: int, rounds: int) -> Table:
    """Jobs of one second on four processes; then a thousand that are out at once."""
    names = [f"{4 * threads} threads, jobs of 1 s: share of linear", "1,000 jobs out: MB more in the head"]
    values: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        folder = Path(made)
        with dask(folder / "dask", processes=4, threads=threads, preload=PRELOAD) as url:
            for turn in range(rounds):
                for name, jobs in zip(names, (16 * threads, 1_000), strict=True):
                    outputs = folder / f"{turn}-{jobs}-{len(name)}"
                    outputs.mkdir()
                    found = _head(url=url, folder=str(outputs), kind="wait", jobs=jobs, leaves=jobs == 1_000)
                    linear_s = jobs / (4 * threads)
                    values[name].append(linear_s / found["wall_s"] if jobs < 1_000 else found["grew_mb"])
    rows = [Row(name=name, values=found) for name, found in values.items()]
    return Table(key="l", title="how far a cluster carries", unit="see rows", rows=rows)
