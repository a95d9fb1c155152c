"""The command line of the campaign: how many kills, from which seed, how many rounds at once, what to print."""

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from campaign.round import KILLS, Kill, Outcome, play


@dataclass(slots=True)
class Tally:
    """What came of many rounds. `bad`: those that broke a promise."""

    rounds: int = 0
    runs: int = 0
    kills: list[Kill] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    bad: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.rounds += 1
        self.runs += outcome.runs
        self.kills += outcome.kills
        self.injected += outcome.injected
        if outcome.violation:
            self.bad.append(outcome)

    def states(self) -> Counter[str]:
        """State → how many kills found a purchase in it; a kill may count for several."""
        return Counter(state for kill in self.kills for state in kill.states or {"nothing under way"})

    def lines(self) -> Iterator[str]:
        """The figures, in words."""
        by_kind, by_weather = Counter(kill.kind for kill in self.kills), Counter(kill.weather for kill in self.kills)
        yield f"{len(self.kills):,} kills in {self.rounds:,} rounds of {self.runs:,} runs, {len(self.bad)} violations"
        yield "they hit purchases that were: " + _counts(self.states())
        yield "moments: " + _counts(by_kind) + f"; of two runs at once: {sum(kill.pair for kill in self.kills):,}"
        yield "rounds: " + _counts(by_weather)
        yield f"faults: {self.injected.total():,}"


def campaign(kills: int, *, seed: int = 0, jobs: int = 1) -> Iterator[Outcome]:
    """Rounds from that seed on, with so many kills in all; each comes with its story."""
    whole, rest = divmod(kills, KILLS)
    shares = [KILLS] * whole + [rest] * (rest > 0)
    rounds = list(enumerate(shares, seed))
    if jobs == 1:
        yield from map(_play, rounds)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(_play, rounds)


def main(args: Sequence[str]) -> int:
    """0 if every promise held, else 1."""
    asked = _parser().parse_args(args)
    began_s = time.monotonic()
    tally = Tally()
    outcomes = (
        [play(asked.round)] if asked.round is not None else campaign(asked.kills, seed=asked.seed, jobs=asked.jobs)
    )
    for outcome in outcomes:
        tally.add(outcome)
        if outcome.violation or asked.trace:
            print("\n".join(outcome.story))
        if outcome.violation:
            print(f"round {outcome.seed}: {outcome.violation}")
            print(f"    again: python -m tests.campaign --round {outcome.seed} --trace", flush=True)
    print("\n".join(tally.lines()))
    elapsed_s = time.monotonic() - began_s
    print(f"{elapsed_s:.0f} s, {elapsed_s / max(len(tally.kills), 1):.2f} s a kill; first seed {asked.seed}")
    return 1 if tally.bad else 0


def _play(round_: tuple[int, int]) -> Outcome:
    return play(*round_)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=main.__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how many (50)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round (0)")
    parser.add_argument("--jobs", type=int, default=1, help="rounds at once (1)")
    parser.add_argument("--round", type=int, help="play this one")
    parser.add_argument("--trace", action="store_true", help="print the story of every round")
    return parser
