"""Builds: nothing to do, one prompt changed, one clip named; vgen against build tools of every kind."""

import contextlib
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import peers, productions
from benchmarks.measure import ROOT, Broken, Row, Table, environment, interleaved, ratio, run
from benchmarks.productions import MAKERS, SMALL, Production
from benchmarks.workload import ENVIRON, charges, serving, shots, write_shots

Contender = Callable[[int], float]
"""Given the round's number, does its work and returns the seconds that it took."""
MANY = 1_000
PATIENCE_S = 15.0
"""A tool that takes longer has one round."""
PROGRAMS = Path(sys.executable).parent
SETTLED_S = 3.0
"""What changed less than 2 s before a run may change again unseen, so vgen looks properly."""
DOIT = "vgen: doit"
MODULE = "vgen: python -m vgen"
EMPTY = "doit with an empty dodo.py"
BUDGET = "budget_usd=50"
"""More than ten clips cost, so that the gates hold."""
NO_FFMPEG = "/nowhere/ffmpeg"
"""The clips are no videos: each page of the gallery would try to draw 600 frames of them again, for two minutes."""
DODO = """\
from pathlib import Path

from benchmarks.loopback import unjudged
from vgen.cli.session import Session

session = Session(Path(__file__).resolve().parent, None, unjudged({scale}))
DOIT_CONFIG = session.config()
globals().update(session.tasks())
"""
"""As `vgen.film` makes it, with clips that are judged by what they say."""


class Ours:
    """A finished production of vgen's, and the two ways to build it."""

    def __init__(self, root: Path, n: int) -> None:
        self.root = root
        self.n = n
        self.env = environment(**ENVIRON, VGEN_FFMPEG=NO_FFMPEG)
        run([sys.executable, "-m", "benchmarks.finished", root, str(n)], ROOT)
        time.sleep(SETTLED_S)
        for words in ([PROGRAMS / "doit"], [sys.executable, "-m", "vgen"]):  # what else they write; nothing is bought
            run(words, root, env=self.env)

    def idle(self, *words: str | Path) -> float:
        """A run that has nothing to do, and says so. Raises Broken if it did anything."""
        before = self._state()
        cost = run(words, self.root, env=self.env)
        if not ("nothing to do" in cost.text or "nothing to buy" in cost.text) or self._state() != before:
            raise Broken(f"a finished production was not left alone: {cost.text[-500:]}")
        return cost.wall_s

    def settle(self, *commands: Sequence[str]) -> None:
        """These commands of doit have done what there is to do, and have seen that nothing changed since."""
        for _ in range(2):
            for words in commands:
                run([PROGRAMS / "doit", *words], self.root, env=self.env)
            time.sleep(SETTLED_S)
        for words in commands:
            run([PROGRAMS / "doit", *words], self.root, env=self.env)

    def _state(self) -> list[tuple[str, int, int]]:
        """The outputs that a build would touch. No request is sent: no key here is good anywhere."""
        found = [self.root / "outputs" / name for name in ("ledger.db", "clips.json", "production_report.json")]
        return [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in found]


def nothing_to_do(n: int, rounds: int, names: list[str]) -> Table:
    """Row (a)."""
    with _projects(n, names) as (ours, others, skipped):
        contenders: dict[str, Contender] = {
            DOIT: lambda _: ours.idle(PROGRAMS / "doit"),
            MODULE: lambda _: ours.idle(sys.executable, "-m", "vgen"),
        }
        contenders |= {name: _builder(production, production.build) for name, production in others.items()}
        rows = interleaved(contenders, rounds, ours=DOIT, patience=PATIENCE_S)
    return Table(key="a", title=f"nothing to do, {n:,} shots", unit="s", rows=rows + skipped)


def nothing_to_do_with_words(n: int, rounds: int, names: list[str]) -> Table:
    """Row (a) as a parent Makefile calls vgen: variables, one clip, a plan. The report tells of one budget at a time,
    so a budget has a production of its own.
    """
    with _projects(n, [name for name in names if name == "doit"]) as (ours, others, skipped):
        other = Ours(ours.root.parent / "budget", n)
        ours.settle(["plan"], [])
        other.settle([BUDGET])
        contenders: dict[str, Contender] = {
            f"{DOIT} {BUDGET}": lambda _: other.idle(PROGRAMS / "doit", BUDGET),
            f"{DOIT} clip:2": lambda _: ours.idle(PROGRAMS / "doit", "clip:2"),
            f"{DOIT} plan": lambda _: ours.idle(PROGRAMS / "doit", "plan"),
            f"{MODULE} {BUDGET}": lambda _: other.idle(sys.executable, "-m", "vgen", BUDGET),
            MODULE: lambda _: ours.idle(sys.executable, "-m", "vgen"),
        }
        contenders |= {name: _builder(production, production.build) for name, production in others.items()}
        rows = interleaved(contenders, rounds, ours=MODULE, patience=PATIENCE_S)
    return Table(key="a", title=f"nothing to do, with words, {n:,} shots", unit="s", rows=_beside(rows) + skipped)


def _beside(rows: list[Row]) -> list[Row]:
    """Each way to call vgen beside what it is held against: an empty dodo.py, or the module without words."""
    values = {row.name: row.values for row in rows}
    found = []
    for row in rows:
        floor = MODULE if row.name.startswith(MODULE) else EMPTY
        times = ratio(row.values, values.get(floor, ()))
        ours = row.name.startswith("vgen") and row.name != floor and times is not None
        note = f"{times:.2f} times {floor}" if ours else ""
        found.append(dataclasses.replace(row, ratio=None, note=note))
    return found


def one_named(n: int, rounds: int, names: list[str]) -> Table:
    """Row (c): one clip is named, and it is up to date."""
    clip = f"clip:{productions.NAMED}"
    with _projects(n, [name for name in names if name not in SMALL]) as (ours, others, skipped):
        contenders: dict[str, Contender] = {
            DOIT: lambda _: ours.idle(PROGRAMS / "doit", clip),
            MODULE: lambda _: ours.idle(sys.executable, "-m", "vgen", clip),
        }
        contenders |= {name: _builder(production, production.one) for name, production in others.items()}
        rows = interleaved(contenders, rounds, ours=DOIT, patience=PATIENCE_S)
    return Table(key="c", title=f"{clip} among {n:,}, up to date", unit="s", rows=rows + skipped)


def one_named_stale(n: int, rounds: int, names: list[str]) -> Table:
    """Row (c) with another prompt each time. vgen buys the clip on loopback, where a job takes no time."""
    clip = f"clip:{productions.NAMED}"
    few = [name for name in names if name not in SMALL]
    with serving("--queue-s", "0", "--render-s", "0") as url, _projects(n, few) as (ours, others, skipped):
        configure(ours.root, url, poll_interval_s=0.01)

        def stale(number: int) -> float:
            write_shots(ours.root, _named_edited(n, number))
            cost = run([PROGRAMS / "doit", clip], ours.root, env=ours.env)
            if charges(url)["creates"] != number + 1:
                raise Broken(f"not one clip was bought: {cost.text[-800:]}")
            return cost.wall_s

        empty = others.pop(EMPTY, None)
        contenders: dict[str, Contender] = {DOIT: stale}
        contenders |= {name: _rebuilder(p, p.one, lambda k: _named_edited(n, k)) for name, p in others.items()}
        if empty is not None:
            contenders[EMPTY] = _builder(empty, empty.one)
        rows = interleaved(contenders, rounds, ours=DOIT, patience=PATIENCE_S)
    return Table(key="c", title=f"{clip} among {n:,}, its prompt changed", unit="s", rows=rows + skipped)


def one_changed(n: int, rounds: int, names: list[str]) -> Table:
    """Row (b): one prompt of N is another. vgen buys its clip on loopback, where a job takes no time."""
    with serving("--queue-s", "0", "--render-s", "0") as url, _projects(n, names) as (ours, others, skipped):
        others.pop(EMPTY, None)
        configure(ours.root, url, poll_interval_s=0.01)

        def changed(number: int) -> float:
            write_shots(ours.root, _edited(n, number))
            cost = run([PROGRAMS / "doit"], ours.root, env=ours.env)
            if charges(url)["creates"] != number + 1:
                raise Broken(f"not one clip was bought: {cost.text[-800:]}")
            return cost.wall_s

        contenders: dict[str, Contender] = {DOIT: changed}
        contenders |= {
            name: _rebuilder(production, production.build, lambda k: _edited(n, k))
            for name, production in others.items()
        }
        rows = interleaved(contenders, rounds, ours=DOIT, patience=PATIENCE_S)
    note = "vgen's purchase is a whole one: order, poll, download, every move committed to disk; the peers copy a file"
    return Table(key="b", title=f"one prompt of {n:,} changed", unit="s", rows=rows + skipped, note=note)


def configure(root: Path, url: str, *, scale: float = 1.0, **runway: object) -> None:
    """The project buys at this address, whose seconds take so much of one; clips are judged by what they say."""
    buy_at(root, url, **runway)
    (root / "dodo.py").write_text(DODO.format(scale=scale), encoding="utf-8")


def buy_at(root: Path, url: str, **runway: object) -> None:
    """The project buys at this address."""
    config = root / "config" / "api_config.json"
    values = json.loads(config.read_text("utf-8"))
    values["runway"] |= {"base_url": url, **runway}
    values["pika"] |= {"base_url": url}
    config.write_text(json.dumps(values), encoding="utf-8")


def _builder(production: Production, words: Sequence[str]) -> Contender:
    return lambda _: run(words, production.root).wall_s


def _rebuilder(
    production: Production, words: Sequence[str], made: Callable[[int], list[dict[str, object]]]
) -> Contender:
    def rebuilt(number: int) -> float:
        production.write(made(number))
        before = _stamps(production.root)
        seconds = run(words, production.root).wall_s
        if len(_stamps(production.root) - before) != 1:
            raise Broken(f"{production.build[0]}: not one clip was made")
        return seconds

    return rebuilt


def _edited(n: int, number: int) -> list[dict[str, object]]:
    """The list after so many edits: each round one more prompt is another."""
    made = shots(n)
    for k in range(number + 1):
        made[k % n]["runway_prompt"] += f", edit {k}"
    return made


def _named_edited(n: int, number: int) -> list[dict[str, object]]:
    """The list in which the named clip's prompt is another each round."""
    made = shots(n)
    made[productions.NAMED - 1]["runway_prompt"] += f", edit {number}"
    return made


def _stamps(root: Path) -> set[tuple[str, int]]:
    return {(path.name, path.stat().st_mtime_ns) for path in (root / "clips").iterdir()}


@contextlib.contextmanager
def _projects(n: int, names: list[str]) -> Iterator[tuple[Ours, dict[str, Production], list[Row]]]:
    """Ours and the peers' productions by their shown names, built once; and who is left out, with the reason."""
    found: dict[str, Production] = {}
    skipped: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-", ignore_cleanup_errors=True) as folder:
        for name in names:
            peer = peers.find(name)
            if isinstance(peer, str):
                skipped.append(Row(name=name, skipped=peer))
                continue
            shown = f"{peer.name} {peer.version}"
            if name in SMALL and n > MANY:
                skipped.append(Row(name=shown, skipped="minutes at this size"))
                continue
            found[shown] = MAKERS[name](Path(folder) / name, n, peer)
            run(found[shown].build, found[shown].root)
            if name == "doit":
                found[EMPTY] = productions.empty(Path(folder) / "empty", peer)
        yield Ours(Path(folder) / "vgen", n), found, skipped
