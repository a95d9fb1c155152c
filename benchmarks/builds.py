"""Builds: nothing to do, one prompt changed, one clip named; vgen against build tools of every kind."""

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import peers, productions
from benchmarks.measure import ROOT, Broken, Row, Table, environment, interleaved, run
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
        self.env = environment(**ENVIRON)
        run([sys.executable, "-m", "benchmarks.finished", root, str(n)], ROOT)
        time.sleep(SETTLED_S)
        for words in ([PROGRAMS / "doit"], [sys.executable, "-m", "vgen"]):  # what else they write; nothing is bought
            run(words, root, env=self.env)

    def idle(self, *words: str | Path) -> float:
        """A run that has nothing to do, and says so. Raises Broken if it did anything."""
        before = self._state()
        cost = run(words, self.root, env=self.env)
        if "nothing to do" not in cost.text or self._state() != before:
            raise Broken(f"a finished production was not left alone: {cost.text[-500:]}")
        return cost.wall_s

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
        contenders |= {name: _rebuilder(production, n) for name, production in others.items()}
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


def _rebuilder(production: Production, n: int) -> Contender:
    def rebuilt(number: int) -> float:
        production.write(_edited(n, number))
        before = _stamps(production.root)
        seconds = run(production.build, production.root).wall_s
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
