"""Whole runs of the real executor under virtual time: `python -m benchmarks.virtual CASE` prints JSON.

doit, httpx, h11, SQLite and files are real; clock, network and the judge of clips are stand-ins (tests/studio.py).
"""

import argparse
import contextlib
import cProfile
import hashlib
import io
import json
import os
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import trio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fake_clips import fake_judge
from simulated_workers import SimulatedWorkers, on_a_cluster
from studio import Studio

from benchmarks.server import TailedCloud
from benchmarks.workload import BUDGET_USD, REBUY, RUNS, Case, ideal_s, missing, shots
from vgen.media.judge import Judgement, Verdict, Wanted
from vgen.media.probe import Facts
from vgen.plan.request import ShotRequest
from vgen.production.http import HttpClient
from vgen.production.intent import Online
from vgen.production.run import Run
from vgen.simulator.app import App
from vgen.simulator.faults import Faults
from vgen.simulator.jobs import Clip
from vgen.simulator.network import SimulatedNetwork
from vgen.simulator.renderers import plain_renderer

CLIP_BYTES = 1_000
MP4 = b"\0\0\0\x10ftypisom\0\0\2\0"
FEW = 1_000
"""The providers' books of a longer day are not printed."""
KEPT_BYTES = 100 * CLIP_BYTES


async def small_clip(clip: Clip) -> bytes:
    """A kilobyte that no other clip has, and that begins as an MP4 does."""
    return (MP4 + hashlib.sha256(clip.job_id.encode()).digest()).ljust(CLIP_BYTES, b"\0")


async def content(path: Path, wanted: Wanted) -> Judgement:
    """A judge who finds every clip good: what is measured is vgen, not ffprobe."""
    facts = Facts(
        width=720,
        height=1280,
        duration_s=wanted.duration_s,
        fps=24.0,
        codec="h264",
        has_audio=False,
        size_bytes=path.stat().st_size,
    )
    await trio.lowlevel.checkpoint()
    return Judgement(verdict=Verdict.GOOD, facts=facts)


class Forgetful(list[Any]):
    """Counts what it is given, and keeps none of it."""

    total = 0

    def append(self, _: Any) -> None:
        self.total += 1


class Day(Studio):
    """A studio that keeps nothing of what was said."""

    _small = True
    _app: App | None = None
    workers: SimulatedWorkers | None = None

    def prepare(self, case: Case) -> None:
        """The project, and a cloud with the case's weather."""
        self._small = not case.faults
        self.cloud = TailedCloud(
            now=self.now,
            faults=Faults(case.faults, case.seed),
            queue_s=case.queue_s,
            render_s=case.render_s,
            concurrency=case.cloud_at_once or 2 * case.at_once,
            seed=case.seed,
        )
        self.cloud.tail = case.tail
        self.clouds = [self.cloud]
        run_ = {"budget_usd": BUDGET_USD, "max_concurrent": case.at_once, "clip_timeout_s": 3600}
        limiter = {"max_concurrent": case.at_once} | ({"poll_interval_s": case.poll_s} if case.poll_s else {})
        self.configure(run=run_, runway=limiter, pika=limiter)
        self.write_shots(shots(case.shots))
        if case.workers:
            self.judge = content if self._small else fake_judge
            addresses = tuple(f"tcp://127.0.0.1:{number}" for number in range(1, case.workers + 1))
            self.workers = on_a_cluster(self, addresses=addresses, threads=1, asked=Forgetful(), lines=Forgetful())

    def app(self) -> App:
        """Who answers on the network; keeps few clips."""
        if self._app is None:
            self._app = App(self.cloud, small_clip if self._small else plain_renderer)
            self._app._shelf._limit_bytes = KEPT_BYTES
        return self._app

    def ended_at(self) -> float:
        """Virtual seconds from the start to the end of the run."""
        return float(self.clock.current_time())

    @contextlib.asynccontextmanager
    async def _online(self, run: Run, requests: Sequence[ShotRequest]) -> AsyncIterator[Online]:  # noqa: ARG002
        async with trio.open_nursery() as nursery:
            network = SimulatedNetwork(nursery=nursery, app=self.app())
            async with HttpClient(now=run.now, network=network, tls=run.services.tls) as http:
                yield Online(http=http, judge=content if self._small else fake_judge)
            nursery.cancel_scope.cancel()

    def _tell(self, *_: object) -> None:
        pass


def run(case: Case, *, folder: Path | None = None, profile: int = 0) -> dict[str, Any]:
    """Make the clips in one run of doit's, and tell what it took; under "runs" also what came of further ones."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-", dir=folder, ignore_cleanup_errors=True) as made:
        root = Path(made)
        os.chdir(root)
        try:
            return _played(Day(root, seed=case.seed), case, profile)
        finally:
            os.chdir(home)


def _played(studio: Day, case: Case, profile: int) -> dict[str, Any]:
    studio.prepare(case)
    profiler = cProfile.Profile() if profile else None
    before, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), profiler or contextlib.nullcontext():
        code = studio.doit(*[REBUY] * case.rebuy)
    real_s, cpu_s = time.perf_counter() - before, time.process_time() - cpu
    if profiler:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(profile)
        pstats.Stats(profiler).sort_stats("cumtime").print_stats(profile)
    assert case.faults or code == 0, code
    jobs = studio.cloud._jobs
    gaps = [
        row["placed_at"] - jobs[row["job_id"]].ended_at
        for row in studio.rows(_PLACED)
        if row["job_id"] in jobs and row["placed_at"]
    ]
    return {
        "shots": case.shots,
        "at_once": case.at_once,
        "real_s": round(real_s, 3),
        "cpu_s": round(cpu_s, 3),
        "makespan_s": round(studio.ended_at(), 3),
        "ideal_s": round(ideal_s(case), 3),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "requests": studio.requests(),
        "jobs": studio.workers.asked.total if studio.workers is not None else 0,
        "gaps_s": [round(gap, 3) for gap in sorted(gaps)],
        "runs": list(_runs(studio, case)),
    }


def _runs(studio: Day, case: Case) -> Iterator[dict[str, Any]]:
    """How things stand after the first run, and after each that it takes until no clip is missing."""
    for left in reversed(range(RUNS)):
        yield (found := _progress(studio, case))
        if not case.faults or not left or not missing(case, found["delivered"]):
            return
        with contextlib.redirect_stdout(io.StringIO()):
            studio.doit(REBUY)


def _progress(studio: Day, case: Case) -> dict[str, Any]:
    return {
        "makespan_s": round(studio.ended_at(), 3),
        "delivered": [int(path.stem.removeprefix("clip_")) for path in (studio.outputs / "clips").glob("*.mp4")],
        "charges": studio.cloud.charges() if case.shots <= FEW else {},
        "booked_usd": list(studio.booked()),
    }


_PLACED = """
    SELECT p.job_id AS job_id, max(m.at) AS placed_at FROM purchases p JOIN moves m ON m.purchase_id = p.id
    WHERE p.state = 'accepted' AND m.state = 'accepted' GROUP BY p.id
"""
"""When the ledger accepted each clip, on the studio's clock."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("case", help="JSON object, the fields of Case")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--profile", type=int, default=0, metavar="LINES")
    options = parser.parse_args()
    print(json.dumps(run(Case(**json.loads(options.case)), folder=options.folder, profile=options.profile)))
