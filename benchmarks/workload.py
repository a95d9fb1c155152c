"""What is built and bought: shot lists, projects, cases, and the server that sells. Imports nothing of vgen's."""

import contextlib
import heapq
import json
import math
import random
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, environment

ENVIRON = {"RUNWAY_API_KEY": "key_benchmark0123456789abcdef", "FAL_KEY": "benchmark:0123456789abcdef"}
"""Keys that no provider knows: a run that had anything to buy would fail."""
BUDGET_USD = 1_000_000
EVEN, TAILED = 0.05, 0.8
"""Sigma of the log-normal latencies round their median. Tailed: one in a hundred takes more than six times as long;
even: hardly differing, so that no poll falls on the very end of a job by luck."""

RUNS = 6
"""Whoever misses clips after so many runs has not got them."""
REBUY = "on_uncertain=rebuy"
"""The word of a user who wants every clip now: what was perhaps bought is bought again."""
REFUSED = "create_moderation=~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is to be made, and in what weather. Without faults clips are a kilobyte, and every one is good."""

    shots: int
    at_once: int
    queue_s: float = 2.0
    render_s: float = 58.0
    tail: bool = False
    faults: Sequence[str] = ()
    seed: int = 0
    cloud_at_once: int = 0
    poll_s: float = 0.0
    """Seconds between two questions about a job; 0: each contender's own pace."""
    rebuy: bool = False
    """vgen's user says so from the first run on."""
    workers: int = 0
    """Simulated ones of a cluster, with a thread each, that work on the clips' bytes; 0: no cluster."""


def shots(n: int, *, duration: float = 5) -> list[dict[str, Any]]:
    """n shots with prompts of a usual length (about 250 characters)."""
    scene = (
        "golden hour light, a slow dolly towards the subject, shallow depth of field, drifting dust in the air, "
        "muted teal and amber palette, 35 mm film grain, cinematic composition with the horizon in the lower third"
    )
    return [
        {
            "shot_number": k,
            "duration": duration,
            "runway_prompt": f"shot-{k} a paper boat turns round lamp post {k * 7919 % 10007}; {scene}",
            "transition": "cut",
        }
        for k in range(1, n + 1)
    ]


def make_project(root: Path, n: int, **run: Any) -> None:
    """dodo.py, config and a shot list in `root`."""
    (root / "config").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dodo.py", root)
    config = json.loads((ROOT / "config" / "api_config.json").read_text("utf-8"))
    config["run"] = {"budget_usd": BUDGET_USD, "max_concurrent": 20} | run
    (root / "config" / "api_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    write_shots(root, shots(n))


def write_shots(root: Path, value: object) -> None:
    """The shot list, as stage 3 writes it."""
    (root / "config" / "visual_prompts.json").write_text(json.dumps(value, indent=1), encoding="utf-8")


def factor(prompt: str, *, tail: bool) -> float:
    """How many times the median a prompt takes to render: the same whoever asks."""
    return math.exp(random.Random(prompt).gauss(0, TAILED if tail else EVEN))


def ideal_s(case: Case) -> float:
    """The list schedule: each job, in shot order, where a place is free first; no faults, no polls, no downloads."""
    free = [0.0] * case.at_once
    for shot in shots(case.shots):
        start = heapq.heappop(free)
        longer = factor(shot["runway_prompt"], tail=case.tail)
        heapq.heappush(free, start + case.queue_s + case.render_s * longer)
    return max(free)


def missing(case: Case, delivered: Collection[int]) -> bool:
    """Whether a clip is not there that can be made; a prompt that moderation refuses can't."""
    refused = [fault.removeprefix(REFUSED) for fault in case.faults if fault.startswith(REFUSED)]
    return any(
        shot["shot_number"] not in delivered and not any(text in shot["runway_prompt"] for text in refused)
        for shot in shots(case.shots)
    )


@contextlib.contextmanager
def serving(*options: str) -> Iterator[str]:
    """A server with these options; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", *options], env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        process.stdout.close()


def charges(url: str) -> dict[str, Any]:
    """The provider's own books."""
    with urllib.request.urlopen(f"{url}/_simulator/charges", timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
