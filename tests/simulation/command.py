"""The command line of the simulation: which seeds, how many at once, what to print."""

import argparse
import functools
import itertools
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from simulation import chain_mutants, cluster_mutants, lock_mutants, odd, odd_mutants, vendor_mutants
from simulation.mutants import MUTANTS, mutated
from simulation.play import Outcome, play
from simulation.regressions import REGRESSIONS

MORE_MUTANTS = (odd_mutants, vendor_mutants, chain_mutants, lock_mutants, cluster_mutants)
"""They have put theirs into the table."""


def main(args: Sequence[str]) -> int:
    """0 if every promise held (with --mutant: if the mutant was caught), else 1."""
    asked = _parser().parse_args(args)
    if asked.mutants:
        return _table()
    seeds: Sequence[int] = range(asked.start, asked.start + asked.count)
    if asked.seed is not None:
        seeds = [asked.seed]
    if asked.regressions:
        seeds = list(REGRESSIONS)
    began_s = time.monotonic()
    total, bad = _play_all(seeds, asked)
    elapsed_s = time.monotonic() - began_s
    played, runs, crashes, outages = (total.pop(name) for name in ("schedules", "runs", "crashes", "outages"))
    print(
        f"{played:,} schedules (from {seeds[0]}), {runs:,} runs, {crashes:,} kills ({outages:,} of them power losses), "
        f"{total.total():,} faults, {len(bad)} violations, {elapsed_s:.0f} s, {played / elapsed_s:.1f} a second"
    )
    if asked.faults:
        print("\n".join(f"{count:8,}  {name}" for name, count in total.most_common()))
    if asked.mutant:
        return 0 if bad else 1
    return 1 if bad else 0


def caught_by(name: str, count: int) -> bool:
    """Whether the count-th schedule catches a mutant."""
    mutant = MUTANTS[name]
    seed = next(itertools.islice(seeds_for(mutant.draws), count - 1, None))
    with mutated(name):
        return mutant.caught(play(seed, mutant.draws).violation)


def seeds_for(draws: frozenset[str]) -> Iterator[int]:
    """All seeds, or those that draw one of these odd days."""
    for seed in itertools.count():
        if not draws or odd.kinds_of(seed, quiet=seed % 10 == 9, draws=draws):
            yield seed


def caught_after(name: str) -> tuple[int, str]:
    """By which schedule a mutant is caught, and what it violates. Raises LookupError if it is not within its number."""
    mutant = MUTANTS[name]
    with mutated(name):
        for count, seed in enumerate(itertools.islice(seeds_for(mutant.draws), mutant.within), 1):
            if mutant.caught(violation := play(seed, mutant.draws).violation):
                return count, violation
    raise LookupError(f"the harness is broken: {mutant.what} is not caught within {mutant.within} schedules")


def _table() -> int:
    """All mutants, as docs/proof.md shows them."""
    print("| bug | put in by | caught by | after schedules | at most |\n|---|---|---|---:|---:|")
    missed = 0
    for name, mutant in MUTANTS.items():
        try:
            count, violation = caught_after(name)
        except LookupError as exc:
            count, violation, missed = "**never**", str(exc), missed + 1
        print(f"| {mutant.what} | `{name}` | {violation.partition(':')[0]} | {count} | {mutant.within} |", flush=True)
    return 1 if missed else 0


def _play_all(seeds: Sequence[int], asked: argparse.Namespace) -> tuple[Counter[str], list[int]]:
    total: Counter[str] = Counter(schedules=0, runs=0, crashes=0, outages=0)
    bad: list[int] = []
    for outcome in _outcomes(seeds, asked.mutant, asked.jobs, _draws(asked)):
        total += Counter(schedules=1, runs=outcome.runs, crashes=outcome.crashes, outages=outcome.outages)
        total += outcome.injected
        if asked.trace:
            print("\n".join(outcome.story))
        if outcome.violation:
            bad.append(outcome.seed)
            again = f"python -m tests.simulation --seed {outcome.seed} --trace"
            again += f" --draws {asked.draws}" if asked.draws else ""
            again += f" --mutant {asked.mutant}" if asked.mutant else ""
            print(f"seed {outcome.seed}: {outcome.violation}\n    again: {again}", flush=True)
            if asked.mutant and MUTANTS[asked.mutant].caught(outcome.violation):
                print(f"mutant {asked.mutant} is caught by schedule {total['schedules']}")
                break
    for name in ("schedules", "runs", "crashes", "outages"):
        total.setdefault(name, 0)
    return total, bad


def _draws(asked: argparse.Namespace) -> frozenset[str]:
    """The kinds of odd days to draw: those asked for, a mutant's own, or all that are on."""
    if asked.draws:
        return frozenset(asked.draws.split(",")) & odd.KINDS.keys()
    return MUTANTS[asked.mutant].draws if asked.mutant else odd.DRAWS


def _outcomes(seeds: Sequence[int], mutant: str | None, jobs: int, draws: frozenset[str]) -> Iterator[Outcome]:
    play_one = functools.partial(play, draws=draws)
    if jobs == 1 or len(seeds) < 2 or mutant:
        with mutated(mutant):
            yield from map(play_one, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=2000) as pool:
        yield from pool.imap(functools.partial(_quietly, draws=draws), seeds, chunksize=8)


def _quietly(seed: int, draws: frozenset[str]) -> Outcome:
    """Without the story: it is long, and a seed gives it again."""
    outcome = play(seed, draws)
    outcome.story = []
    return outcome


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=main.__doc__)
    parser.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--start", type=int, default=0, help="first seed (0)")
    parser.add_argument("--count", type=int, default=200, help="how many seeds (200)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--draws", default="", help="draw these odd days only (a,b,c; none)")
    parser.add_argument("--trace", action="store_true", help="print the story of every schedule")
    parser.add_argument("--faults", action="store_true", help="print how often each fault came")
    parser.add_argument("--regressions", action="store_true", help="play the seeds that once failed")
    parser.add_argument(
        "--mutants", action="store_true", help="put in every bug, and print after how many it is caught"
    )
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="play with this bug put in, until it is caught")
    return parser
