"""The least that buying takes: the same requests as vgen's, with trio and httpx alone.

`python -m benchmarks.bare CASE`. No ledger, no checks, no retries, no doit: a floor, not a tool.
"""

import argparse
import json
import random
import resource
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import httpcore
import httpx
import trio
import trio.testing

from benchmarks.server import TailedCloud
from benchmarks.virtual import KEPT_BYTES, small_clip
from benchmarks.workload import Case, shots
from vgen.production import http_compat
from vgen.simulator.app import App
from vgen.simulator.network import SimulatedNetwork

POLL_S = (5.0, 7.5)
"""vgen's own interval at Runway, as long as it knows nothing."""
HEADERS = {"authorization": "Bearer key_test", "x-runway-version": "2024-11-06"}


async def _clip(http: httpx.AsyncClient, shot: dict[str, Any], folder: Path) -> None:
    body = {"model": "gen4.5", "promptText": shot["runway_prompt"], "ratio": "720:1280", "duration": shot["duration"]}
    answer = await http.post("https://runway.simulated/v1/text_to_video", headers=HEADERS, json=body)
    url = f"https://runway.simulated/v1/tasks/{answer.json()['id']}"
    while True:
        await trio.sleep(random.uniform(*POLL_S))
        task = (await http.get(url, headers=HEADERS)).json()
        if task["status"] == "SUCCEEDED":
            break
    answer = await http.get(task["output"][0])
    (folder / f"clip_{shot['shot_number']:03d}.mp4").write_bytes(answer.content)


async def _all(case: Case, folder: Path) -> None:
    cloud = TailedCloud(
        now=trio.current_time, queue_s=case.queue_s, render_s=case.render_s, concurrency=2 * case.at_once
    )
    app = App(cloud, small_clip)
    app._shelf._limit_bytes = KEPT_BYTES
    slots = trio.CapacityLimiter(case.at_once)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def one(shot: dict[str, Any]) -> None:
        async with slots:
            await _clip(http, shot, folder)

    async with trio.open_nursery() as server:
        pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            network_backend=SimulatedNetwork(nursery=server, app=app),
            max_connections=None,
            max_keepalive_connections=20,  # httpcore's pool looks at every connection for every request
        )
        line = http_compat.transport_over(pool, tls)
        async with httpx.AsyncClient(transport=line) as http, trio.open_nursery() as nursery:
            for shot in shots(case.shots):
                nursery.start_soon(one, shot)
        server.cancel_scope.cancel()


def run(case: Case, *, folder: Path | None = None) -> dict[str, Any]:
    """Make the clips, and tell what it took."""
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-", dir=folder) as made:
        before, cpu = time.perf_counter(), time.process_time()
        trio.run(_all, case, Path(made), clock=trio.testing.MockClock(autojump_threshold=0))
        real_s, cpu_s = time.perf_counter() - before, time.process_time() - cpu
        assert len(list(Path(made).iterdir())) == case.shots
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"real_s": real_s, "cpu_s": cpu_s, "rss_mb": rss_mb}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("case", help="JSON object, the fields of Case")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    print(json.dumps(run(Case(**json.loads(options.case)), folder=options.folder)))
