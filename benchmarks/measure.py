"""Measuring: processes and their cost, interleaved rounds, medians and spread. Knows no vgen and no peer."""

import math
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

EQUAL = 0.005
"""Ratios that differ less from 1 are none."""


class Broken(Exception):
    """A contender did not do what it was asked to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one process took."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One contender's values in one comparison; `ratio`: ours over its, round by round, the median."""

    name: str
    values: Sequence[float] = ()
    ratio: float | None = None
    note: str = ""
    skipped: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    def as_json(self) -> dict[str, Any]:
        found = {"name": self.name, "note": self.note}
        if self.skipped:
            return found | {"skipped": self.skipped}
        return found | {
            "median": self.median,
            "low": min(self.values),
            "high": max(self.values),
            "values": list(self.values),
            "ratio": self.ratio,
        }


@dataclass(slots=True, kw_only=True)
class Table:
    """One comparison. `more`: of what is measured, more is better."""

    key: str
    title: str
    unit: str
    rows: list[Row] = field(default_factory=list)
    note: str = ""
    more: bool = False

    def behind(self) -> Iterator[str]:
        """Those that ours falls short of, in words."""
        for row in self.rows:
            short = row.ratio is not None and not row.name.startswith("vgen")
            if short and (row.ratio < 1 - EQUAL if self.more else row.ratio > 1 + EQUAL):
                yield f"({self.key}) {self.title}: {row.ratio:.3g} of {row.name}"

    def as_json(self) -> dict[str, Any]:
        rows = [row.as_json() for row in self.rows]
        return {"key": self.key, "title": self.title, "unit": self.unit, "note": self.note, "rows": rows}


def environment(**more: str) -> dict[str, str]:
    """What a process needs and nothing that could steer it; Python may keep what it compiled."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | more


def run(
    command: Sequence[str | Path], cwd: Path, *, env: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)
) -> Cost:
    """One process from its start to its end; CPU and memory with those of its children. Raises Broken.

    The resident size is at least that of this process: the kernel counts it from the fork on.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=cwd,
        env=environment() if env is None else dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    text = process.stdout.read().decode("utf-8", "replace")
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise Broken(f"{Path(command[0]).name} ended with {process.returncode}: {text[-2000:]}")
    scale = 1024 if sys.platform != "darwin" else 1024 * 1024
    cpu_s = usage.ru_utime + usage.ru_stime
    return Cost(wall_s=wall_s, cpu_s=cpu_s, rss_mb=usage.ru_maxrss / scale, text=text)


def interleaved(
    contenders: Mapping[str, Callable[[int], float]],
    rounds: int,
    *,
    ours: str,
    patience: float = math.inf,
    seed: int = 0,
) -> list[Row]:
    """Every contender once a round, in an order that is drawn anew; a contender gets the round's number.

    One whose value passed `patience` has had its last round.
    """
    rng = random.Random(seed)
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = [name for name, found in values.items() if not found or found[-1] <= patience]
        rng.shuffle(names)
        for name in names:
            values[name].append(contenders[name](number))
    return [Row(name=name, values=found, ratio=ratio(values[ours], found)) for name, found in values.items()]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Ours over theirs, the median over the rounds."""
    pairs = [one / other for one, other in zip(ours, theirs, strict=False) if other]
    return statistics.median(pairs) if pairs else None


def machine() -> dict[str, Any]:
    """What the figures were measured on; no names."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None
