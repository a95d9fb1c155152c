"""A head for row (l): jobs for a cluster's workers, and what they cost here, the child that speaks with Dask included.

`python -m benchmarks.cluster_head JSON`: url, folder, kind (bring, wait, here), jobs, leaves, media, seconds.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import trio

from vgen.cluster.cluster import Cluster
from vgen.cluster.pool import Address, Pool
from vgen.media.hands import Bring, Hands, Job, Outcome, Put
from vgen.media.here import Here
from vgen.media.judge import Wanted, judge_with
from vgen.media.tools import find_tools
from vgen.production.handwork import bring
from vgen.production.http import HttpClient

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s() -> tuple[float, float]:
    """Of this process and its children that have ended; of those that run."""
    told = os.times()
    running = 0.0
    for thread in Path("/proc/self/task").glob("*/children"):
        for child in thread.read_text("ascii").split():
            said = Path(f"/proc/{child}/stat").read_text("utf-8").rpartition(")")[2].split()
            running += (int(said[11]) + int(said[12])) / TICKS
    return told.user + told.system + told.children_user + told.children_system, running


def rss_mb() -> float:
    """Of this process."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


async def main(asked: dict[str, Any]) -> None:
    """Do the jobs all at once, and print what it took."""
    folder, tools = Path(asked["folder"]), find_tools(None, None)
    (folder / ".vgen").mkdir(exist_ok=True)
    async with trio.open_nursery() as nursery, HttpClient(now=time.time) as http:

        async def bring_here(job: Bring) -> Any:
            return await bring(http, job)

        hands: Hands = Here(tools=tools, judge=judge_with(tools), bring=bring_here)
        pool = None
        if asked["kind"] != "here":
            pool = Pool(
                Address(url=asked["url"]), folder / ".vgen", "bench", ffmpeg=tools.ffmpeg, keys=(), timeout_s=600,
                tell=lambda text: print(text, file=sys.stderr), nursery=nursery,
            )  # fmt: skip
            await pool.ready()
            hands = Cluster(pool, hands)
        ended: list[float] = []

        async def one(number: int) -> None:
            part = folder / f"{number}.part"
            job: Job[Any] = Put(take=folder / "none", part=part, sha256="0" * 64, size_bytes=1)
            if asked["kind"] != "wait":
                wanted = Wanted(duration_s=asked["seconds"], aspect_ratio="9:16")
                url = f"{asked['media']}/clip.mp4"
                job = Bring(purchase_id=number, base_url=asked["media"], url=url, part=part, wanted=wanted)
            found = await hands.do(job)
            if found.outcome is Outcome.DONE and isinstance(job, Bring) and found.judgement is None:
                await hands.do(Bring(purchase_id=number, base_url="", part=part, wanted=job.wanted, kept=True))
            assert found.outcome is (Outcome.GONE if asked["kind"] == "wait" else Outcome.DONE), found
            ended.append(time.perf_counter())

        before, began, grew = cpu_s(), time.perf_counter(), rss_mb()
        most = grew
        async with trio.open_nursery() as jobs:
            for number in range(1, asked["jobs"] + 1):
                jobs.start_soon(one, number)
            await trio.sleep(1.0)
            most = rss_mb()
            if asked.get("leaves"):
                jobs.cancel_scope.cancel()
        wall_s, after = time.perf_counter() - began, cpu_s()
        if pool is not None:
            pool.close()
        mine, childs = (now - then for now, then in zip(after, before, strict=True))
        print(json.dumps({"wall_s": wall_s, "self_s": mine, "child_s": childs, "grew_mb": most - grew}), flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))
