"""Downloads over TLS on loopback: vgen's own way, hashed and synced, beside `curl --parallel` of the same files."""

import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Cost, Row, Table, interleaved, ratio, run
from benchmarks.tls_host import Host, hosting

MEMORY = Path("/dev/shm")
FILES, SIZE = 32, 20_000_000
BIG = 200_000_000
AT_ONCE = 4
"""Of big files, so that they fit in memory."""
CURL = "curl --parallel"


def tables(rounds: int, *, quick: bool) -> Iterator[Table]:
    """Row (g)."""
    files, size, big = (4, 1_000_000, 4_000_000) if quick else (FILES, SIZE, BIG)
    with contextlib.ExitStack() as stack:
        where = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
        served = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vgen-benchmark-", dir=where)))
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vgen-benchmark-")))
        (served / "www").mkdir()
        for name, length in (("clip.mp4", size), ("big.mp4", big)):
            _write(served / "www" / name, length)
        host = stack.enter_context(hosting(served, served / "www"))
        yield from _beside_curl(host, made, files, size, rounds)
        yield _memory(host, made, size, big, rounds)


def _beside_curl(host: Host, made: Path, files: int, size: int, rounds: int) -> Iterator[Table]:
    costs: dict[str, list[float]] = {"vgen": [], CURL: []}
    late: list[float] = []
    starts: list[float] = []

    def ours(_: int) -> float:
        found, _cost = _fetched(host, made, "clip.mp4", files, size)
        costs["vgen"].append(found["cpu_s"])
        late.append(found["late_ms"])
        starts.append(found["start_cpu_s"])
        return float(found["wall_s"])

    def theirs(_: int) -> float:
        cost = _curled(host, made, files)
        costs[CURL].append(cost.cpu_s)
        return cost.wall_s

    curl = shutil.which("curl")
    rows = interleaved({"vgen": ours, **({CURL: theirs} if curl else {})}, rounds, ours="vgen")
    absent = [] if curl else [Row(name=CURL, skipped="curl is not installed")]
    what = f"{files} files of {size / 1e6:g} MB over TLS"
    note = f"from {host.server}; vgen hashes and syncs each file, curl does not; vgen's start is left out"
    yield Table(key="g", title=f"{what}, all at once", unit="s", rows=[*rows, *absent], note=note)
    used = [Row(name=name, values=found, ratio=ratio(costs["vgen"], found)) for name, found in costs.items() if found]
    note = (
        f"vgen's start takes {min(starts):.2f} s or more of CPU, which is not in it: a run fetches when it has started"
    )
    yield Table(key="g", title=f"CPU of {what}", unit="s", rows=[*used, *absent], note=note)
    note = f"a timer that rings every 5 ms, beside {what}: the longest of a round"
    yield Table(
        key="g", title="what a poll waits for its turn", unit="ms", rows=[Row(name="vgen", values=late)], note=note
    )


def _memory(host: Host, made: Path, size: int, big: int, rounds: int) -> Table:
    peaks: dict[str, list[float]] = {}
    for _ in range(min(rounds, 3)):
        for name, length in (("clip.mp4", size), ("big.mp4", big)):
            _found, cost = _fetched(host, made, name, AT_ONCE, length)
            peaks.setdefault(f"vgen, files of {length / 1e6:g} MB", []).append(cost.rss_mb)
    rows = [Row(name=name, values=found) for name, found in peaks.items()]
    return Table(key="g", title=f"peak memory, {AT_ONCE} downloads at once", unit="MB", rows=rows)


def _fetched(host: Host, made: Path, name: str, files: int, size: int) -> tuple[dict[str, Any], Cost]:
    with tempfile.TemporaryDirectory(dir=made) as folder:
        about = {
            "url": host.url,
            "path": name,
            "n": files,
            "size": size,
            "authority": str(host.authority),
            "folder": folder,
        }
        cost = run([sys.executable, "-m", "benchmarks.fetching", json.dumps(about)], ROOT)
    found: dict[str, Any] = json.loads(cost.text.splitlines()[-1])
    return found, cost


def _curled(host: Host, made: Path, files: int) -> Cost:
    with tempfile.TemporaryDirectory(dir=made) as folder:
        words = ["curl", "--disable", "--silent", "--show-error", "--fail", "--cacert", host.authority, "--parallel"]
        words += ["--parallel-max", str(files), "--parallel-immediate", "--output", "#1.part"]
        return run([*words, f"{host.url}/clip.mp4?[1-{files}]"], Path(folder))


def _write(path: Path, size: int) -> None:
    """No video, but no page either; nothing that could be packed."""
    data = b"\0\0\0\x18ftypmp42" + random.Random(size).randbytes(1 << 20)
    with path.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(data[:left])
