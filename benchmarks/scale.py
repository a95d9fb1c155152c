"""The real executor under virtual time: CPU and memory by clips in flight, waits, and days of up to 100,000 shots."""

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.builds import PROGRAMS, configure
from benchmarks.measure import ROOT, Broken, Cost, Row, Table, environment, interleaved, ratio, run
from benchmarks.workload import ENVIRON, Case, make_project, serving

DAYS = [
    *[(1_000, 20, 0), (1_000, 1_000, 0), (10_000, 100, 0), (10_000, 1_000, 0), (100_000, 1_000, 0)],
    *[(10_000, 1_000, 64), (100_000, 1_000, 64)],
]
"""Shots, how many at once, workers of a cluster."""
MEMORY = Path("/dev/shm")
LONGEST_S = 3600.0
"""A day that took a third of this is not tried with ten times the shots."""
REAL_RENDER_S, REAL_ROUNDS = 60.0, 3
BARE = "trio and httpx alone"


def tables(key: str, rounds: int, *, quick: bool) -> Iterator[Table]:
    """Rows (f), (h) or (i)."""
    match key:
        case "f":
            yield from _in_flight(rounds, quick=quick)
        case "h":
            yield from _waits(rounds, quick=quick)
        case _:
            yield from _days(quick=quick)


def play(case: Case, module: str = "virtual") -> dict[str, Any]:
    """One case in a process of its own."""
    folder = ["--folder", MEMORY] if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else []
    cost = run([sys.executable, "-m", f"benchmarks.{module}", json.dumps(asdict(case)), *folder], ROOT)
    found: dict[str, Any] = json.loads(cost.text.splitlines()[-1])
    return found


def _in_flight(rounds: int, *, quick: bool) -> Iterator[Table]:
    for at_once in (5,) if quick else (5, 100, 1_000):
        n = 10 if quick else max(200, at_once)
        case = Case(shots=n, at_once=at_once)
        memory: dict[str, list[float]] = {"vgen": [], BARE: []}

        def cpu(name: str, case: Case = case, memory: dict[str, list[float]] = memory) -> float:
            found = play(case, "virtual" if name == "vgen" else "bare")
            memory[name].append(found["rss_mb"])
            return float(found["cpu_s"] / case.shots * 1000)

        rows = interleaved({"vgen": lambda _, c=cpu: c("vgen"), BARE: lambda _, c=cpu: c(BARE)}, rounds, ours="vgen")
        note = "both with the simulator in the process; alone: the same requests, no ledger, no checks, no doit"
        title = f"CPU a clip, {at_once:,} in flight ({n:,} clips)"
        yield Table(key="f", title=title, unit="ms", rows=rows, note=note)
        peaks = [Row(name=name, values=found, ratio=ratio(memory["vgen"], found)) for name, found in memory.items()]
        yield Table(key="f", title=f"peak memory, {at_once:,} in flight", unit="MB", rows=peaks)
    n = 10 if quick else 1_000
    costs = [_real(n, 1.0 if quick else REAL_RENDER_S) for _ in range(min(rounds, REAL_ROUNDS))]
    title = f"`doit` as a process, the provider in another: {n:,} clips, {n:,} in flight"
    note = (
        "real sockets and SQLite with its syncs; the start of the process, report and gallery included; no media work"
    )
    cpu_ms = [cost.cpu_s / n * 1000 for cost in costs]
    yield Table(key="f", title=f"CPU a clip, {title}", unit="ms", rows=[Row(name="vgen", values=cpu_ms)], note=note)
    peak = Row(name="vgen", values=[cost.rss_mb for cost in costs])
    yield Table(key="f", title=f"peak memory, {title}", unit="MB", rows=[peak])


def _real(n: int, render_s: float) -> Cost:
    """n jobs at once over loopback; what vgen's own process took."""
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        folder = Path(made)
        make_project(folder, n, max_concurrent=n, clip_timeout_s=3600)
        with serving("--render-s", str(render_s)) as url:
            configure(folder, url, max_concurrent=n)
            cost = run([PROGRAMS / "doit"], folder, env=environment(**ENVIRON))
    if len(cost.text.splitlines()) < n:
        raise Broken(f"not {n} clips: {cost.text[-500:]}")
    return cost


def _waits(rounds: int, *, quick: bool) -> Iterator[Table]:
    requests: list[Row] = []
    waits: list[Row] = []
    for render_s in (10.0, 58.0, 178.0):
        found = [
            play(Case(shots=8 if quick else 100, at_once=8, render_s=render_s, seed=seed)) for seed in range(rounds)
        ]
        gaps = [gap for one in found for gap in one["gaps_s"]]
        name = f"a job of {render_s + 2:g} s"
        tail = statistics.quantiles(gaps, n=20)[-1]
        waits.append(
            Row(name=name, values=[statistics.median(one["gaps_s"]) for one in found], note=f"95 %: {tail:.2g}")
        )
        requests.append(Row(name=name, values=[sum(one["requests"].values()) / one["shots"] for one in found]))
    note = "virtual time; the least is half of the provider's polling interval (Runway: 5 s), were polls evenly spread"
    yield Table(
        key="h", title="from finished at the provider to in the ledger, median", unit="s", rows=waits, note=note
    )
    note = "three are needed: create, one answer that it is done, download"
    yield Table(key="h", title="requests a job", unit="requests", rows=requests, note=note)


def _days(*, quick: bool) -> Iterator[Table]:
    days = [(20, 5, 0), (20, 5, 2)] if quick else DAYS
    seconds: list[Row] = []
    memory: list[Row] = []
    each: dict[int, float] = {}
    for n, at_once, workers in days:
        name = f"{n:,} shots, {at_once:,} at once{f', a cluster of {workers:,}' if workers else ''}"
        before = each.get(n // 10)
        if before is not None and before * n * 2 > LONGEST_S:
            seconds.append(Row(name=name, skipped=f"a tenth of it took {before * n / 10:.0f} s"))
            continue
        found = play(Case(shots=n, at_once=at_once, workers=workers))
        each[n] = min(found["real_s"] / n, each.get(n, float("inf")))
        growth = f", a shot {each[n] / each[days[0][0]]:.2f} × that of {days[0][0]:,}" if n != days[0][0] else ""
        per_shot = found["cpu_s"] / n * 1000
        note = f"{per_shot:.1f} ms CPU a shot{growth}; makespan {found['makespan_s'] / found['ideal_s']:.3f} × ideal"
        note += f"; {found['jobs'] / n:.1f} jobs a shot" if workers else ""
        seconds.append(Row(name=name, values=[found["real_s"]], note=note))
        memory.append(Row(name=name, values=[found["rss_mb"]]))
    yield Table(key="i", title="a virtual day, jobs of 60 s", unit="s", rows=seconds, note="one round; files in memory")
    yield Table(key="i", title="its peak memory, simulator included", unit="MB", rows=memory)
