"""One process that fetches files as a run does: the same client, hashing and syncs; and a task that wants its turn."""

import json
import resource
import ssl
import sys
import time
from pathlib import Path

import trio

from benchmarks.measure import Broken
from vgen.production.download import Loader
from vgen.production.http import HttpClient

TICK_S = 0.005


async def fetch(url: str, path: str, n: int, size: int, authority: str, folder: Path) -> dict[str, float]:
    """n files at once. What it took from the open client to the last synced file, and a timer's longest delay."""
    tls = ssl.create_default_context(cafile=authority)
    before, started, late_s = _cpu_s(), time.perf_counter(), 0.0

    async def ticks() -> None:
        nonlocal late_s
        while True:
            asked = trio.current_time()
            await trio.sleep(TICK_S)
            late_s = max(late_s, trio.current_time() - asked - TICK_S)

    async def one(http: HttpClient, k: int) -> None:
        got = await Loader(http, f"{url}/{path}?{k}", url, folder / f"{k}.part", None).run()
        if got.size_bytes != size:
            raise Broken(f"{got.size_bytes} of {size} bytes")

    async with HttpClient(now=time.time, tls=lambda: tls) as http, trio.open_nursery() as beside:
        beside.start_soon(ticks)
        async with trio.open_nursery() as nursery:
            for k in range(n):
                nursery.start_soon(one, http, k)
        beside.cancel_scope.cancel()
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": _cpu_s() - before,
        "start_cpu_s": before,
        "late_ms": late_s * 1000,
    }


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    about = json.loads(sys.argv[1])
    print(json.dumps(trio.run(lambda: fetch(**{**about, "folder": Path(about["folder"])}))))
