"""`python -m scripts.release`: the figures of a release, as Markdown for docs/proof.md.

Thousands of simulated schedules, then real kills. Takes hours; with --schedules and --kills, as long as you like.
"""

import argparse
import multiprocessing
import platform
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from campaign.command import Tally, campaign
from simulation.play import Outcome, play

SCHEDULES, KILLS = 10_000, 1_000
INVARIANTS = tuple(f"M{number}" for number in range(1, 26))
TOLD_EVERY = 1_000
WIDTH = 120


@dataclass(slots=True)
class Figures:
    """What came of the schedules. `bad`: seed → what broke."""

    schedules: int = 0
    runs: int = 0
    crashes: int = 0
    outages: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    bad: dict[int, str] = field(default_factory=dict)


def schedules(count: int, *, first: int, jobs: int) -> Figures:
    """Play so many schedules of the simulation."""
    found = Figures()
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=2000) as pool:
        for outcome in pool.imap(_schedule, range(first, first + count), chunksize=8):
            found.schedules += 1
            found.runs += outcome.runs
            found.crashes += outcome.crashes
            found.outages += outcome.outages
            found.injected += outcome.injected
            if outcome.violation:
                found.bad[outcome.seed] = outcome.violation
                _tell(f"python -m tests.simulation --seed {outcome.seed} --trace: {outcome.violation}")
            if found.schedules % TOLD_EVERY == 0:
                _tell(f"{found.schedules:,} schedules")
    return found


def kills(count: int, *, first: int, jobs: int) -> Tally:
    """Kill so many real processes."""
    tally = Tally()
    for outcome in campaign(count, seed=first, jobs=jobs):
        tally.add(outcome)
        if outcome.violation:
            _tell("\n".join(outcome.story))
            _tell(f"python -m tests.campaign --round {outcome.seed} --trace: {outcome.violation}")
    return tally


def markdown(played: Figures, tally: Tally, *, first: int, elapsed_s: float) -> Iterator[str]:
    """The block for docs/proof.md, line by line."""
    broken = Counter(_invariant(text) for text in [*played.bad.values(), *(bad.violation for bad in tally.bad)])
    yield (
        f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()} on {platform.system()}, "
        f"first seed {first}, {elapsed_s / 60:.0f} minutes:"
    )
    yield ""
    yield "| | |"
    yield "|---|---:|"
    yield f"| schedules | {played.schedules:,} |"
    yield f"| their runs of `doit` | {played.runs:,} |"
    yield f"| their kills at durable points | {played.crashes:,} |"
    yield f"| of these, power losses | {played.outages:,} |"
    yield f"| their faults | {played.injected.total():,} |"
    yield f"| real kills (`SIGKILL`) | {len(tally.kills):,} |"
    yield f"| of these, with two runs at once | {sum(kill.pair for kill in tally.kills):,} |"
    yield f"| processes started for them | {tally.runs:,} |"
    yield f"| violations of M1 to M25 | {sum(broken.values())} |"
    yield ""
    if broken:
        yield f"Violations: {_counts(broken)}."
    yield f"Kills found purchases that were: {_counts(tally.states())}."
    yield f"They came at: {_counts(Counter(kill.kind for kill in tally.kills))}."
    yield ""
    yield f"Faults of the schedules: {_counts(played.injected)}."
    yield ""
    yield f"Faults between the kills: {_counts(tally.injected)}."


def main(args: Sequence[str]) -> int:
    """0 if every promise held, else 1."""
    asked = _parser().parse_args(args)
    began_s = time.monotonic()
    played = schedules(asked.schedules, first=asked.first_seed, jobs=asked.jobs)
    tally = kills(asked.kills, first=asked.first_seed, jobs=asked.jobs)
    elapsed_s = time.monotonic() - began_s
    for line in markdown(played, tally, first=asked.first_seed, elapsed_s=elapsed_s):
        print(textwrap.fill(line, WIDTH))
    return 1 if played.bad or tally.bad else 0


def _schedule(seed: int) -> Outcome:
    """Without the story: it is long, and a seed gives it again."""
    outcome = play(seed)
    outcome.story = []
    return outcome


def _invariant(violation: str) -> str:
    """Which promise broke: M1 to M25, or "other" (an error in vgen or in the harness)."""
    named = re.search(r"\bM\d+\b", violation)
    return named[0] if named and named[0] in INVARIANTS else "other"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common()) or "none"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.release", description=main.__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES, help=f"simulated schedules ({SCHEDULES})")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"real kills ({KILLS})")
    parser.add_argument("--first-seed", type=int, default=0, help="of both (0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
