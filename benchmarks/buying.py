"""Buying the same clips from the same simulated providers: vgen, the specification's runner, the official package."""

import functools
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.builds import PROGRAMS, configure
from benchmarks.measure import ROOT, Broken, Row, Table, environment, interleaved, ratio, run
from benchmarks.peers import Peer
from benchmarks.workload import ENVIRON, REBUY, RUNS, Case, charges, ideal_s, make_project, missing, serving, shots

AT_ONCE = 8
RENDER_S = 10.0
SCALE = 0.5
"""On loopback a second of a provider's takes so much of a real one; waits between polls and tries are scaled too,
what the contenders do themselves is not."""
SPECIFICATION_POLL_S, PACKAGE_POLL_S = 5.0, 6.0
"""What Runway asks for at least, the official package's default."""
OFTEN_S = 0.5
"""As often as a provider without such a rule may be asked; then the pauses between questions decide nothing."""
FAULTS = (
    "create_500=0.04",
    "create_lost=0.03",
    "create_moderation=~shot-13 ",
    "poll_500=0.02",
    "poll_reset=0.01",
    "job_failed=0.03",
    "url_expired=0.04",
    "media_500=0.04",
    "media_cut=0.04",
)
"""An ordinary bad day: some creates refused, a few accepted with the answer lost, one prompt moderated, jobs that fail
free of charge, polls and downloads that break."""
VIRTUAL = "vgen, virtual time"
VGEN = "vgen, loopback"
REBUYING = "vgen, loopback, on_uncertain=rebuy"
SPECIFICATION = "the specification's two passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one contender has made of one case by the end of a run, earlier runs included.

    Dollars are the provider's own figures, but for `held_usd`, which is vgen's: perhaps charged, kept reserved;
    `held_and_billed_usd` of it was.
    """

    makespan_s: float
    over_ideal: float
    clips: int
    billed_usd: float
    needed_usd: float
    bought_again: int
    held_usd: float
    held_and_billed_usd: float


Runs = Sequence[Outcome]
"""One contender's first run, and those that it took until every clip was there that can be made."""


def tables(key: str, rounds: int, *, quick: bool) -> Iterator[Table]:
    """Rows (d) or (e)."""
    n = 8 if quick else 48
    if key == "e":
        yield from _dollars(n, rounds, install=not quick)
        return
    weather: list[tuple[bool, Sequence[str], float]] = [
        (False, (), OFTEN_S),
        (False, FAULTS, OFTEN_S),
        (True, (), OFTEN_S),
        (True, FAULTS, OFTEN_S),
        (False, (), 0.0),
        (False, FAULTS, 0.0),
    ]
    for tail, faults, poll_s in weather[1:2] if quick else weather:
        yield from _makespan(n, rounds, tail, faults, poll_s, install=not quick)
    if not quick:
        yield from _makespan(480, 1, False, (), OFTEN_S, install=True)
        yield from _makespan(480, 1, True, FAULTS, OFTEN_S, install=True)


class _Days:
    """What all contenders made of the same days, in interleaved rounds; each table is another look at it."""

    def __init__(self, n: int, rounds: int, tail: bool, faults: Sequence[str], poll_s: float, *, install: bool) -> None:
        contenders, self._skipped = _contenders(install=install)
        if not faults:
            del contenders[REBUYING]
        if not poll_s:
            del contenders[VGEN]  # on loopback its own pace would meet jobs that take half of their time
            contenders.pop(REBUYING, None)
        self._ours = VGEN if poll_s else VIRTUAL
        self._played: dict[str, list[Runs]] = {name: [] for name in contenders}

        def play(name: str, number: int) -> float:
            self._played[name].append(contenders[name](_case(n, number, tail, faults, poll_s)))
            return 0.0

        interleaved({name: functools.partial(play, name) for name in contenders}, rounds, ours=self._ours)

    def table(
        self,
        key: str,
        title: str,
        unit: str,
        value: Callable[[Runs], float],
        told: Callable[[Sequence[Runs]], str],
        *,
        note: str = "",
        more: bool = False,
    ) -> Table:
        """`value` of each round; beside its row what is `told` of all rounds."""
        found = {name: [value(runs) for runs in played] for name, played in self._played.items()}
        rows = [
            Row(name=name, values=values, ratio=ratio(found[self._ours], values), note=told(self._played[name]))
            for name, values in found.items()
        ]
        return Table(key=key, title=title, unit=unit, rows=rows + self._skipped, note=note, more=more)


def _makespan(
    n: int, rounds: int, tail: bool, faults: Sequence[str], poll_s: float, *, install: bool
) -> Iterator[Table]:
    days = _Days(n, rounds, tail, faults, poll_s, install=install)
    words = f"{n} jobs of {RENDER_S:g} s, {'long-tailed' if tail else 'even'}, {'with' if faults else 'no'} faults"
    words += f", asked about every {poll_s:g} s" if poll_s else ", asked about at each one's own pace"
    note = (
        "" if poll_s else "vgen and the specification's script keep to Runway's rule of 5 s, the package asks every 6 s"
    )
    title = f"makespan over the ideal schedule: {words}"
    yield days.table("d", title, "×", lambda runs: runs[0].over_ideal, lambda played: _clips(played, 0), note=note)
    if not faults:
        return
    title = f"clips by the end of that run: {words}"
    yield days.table("d", title, "clips", lambda runs: runs[0].clips, lambda _: "", more=True)
    title = f"makespan over the clips delivered: {words}"
    yield days.table("d", title, "s", lambda runs: runs[0].makespan_s / runs[0].clips, lambda _: "")
    title = f"run again until every clip is there, time over the ideal schedule: {words}"
    note = (
        f"at once, at most {RUNS} runs; a moderated prompt is not waited for; "
        "from the second run on vgen is told to buy again what was perhaps bought"
    )
    yield days.table("d", title, "×", lambda runs: runs[-1].over_ideal, _until_all, note=note)


def _dollars(n: int, rounds: int, *, install: bool) -> Iterator[Table]:
    days = _Days(n, rounds, False, FAULTS, OFTEN_S, install=install)
    title = f"dollars billed over dollars needed, {n} shots on a bad day"
    note = "needed: one generation of each clip delivered; held is kept reserved until the user decides, and left aside"
    yield days.table("e", title, "×", _billed_over_needed, _first, note=note)
    title = f"run again until every clip is there, dollars billed over dollars needed, {n} shots on a bad day"
    note = "all that was billed, also what vgen's user had bought a second time"
    yield days.table("e", title, "×", lambda runs: runs[-1].billed_usd / runs[-1].needed_usd, _until_all, note=note)


def _billed_over_needed(runs: Runs) -> float:
    return (runs[0].billed_usd - runs[0].held_and_billed_usd) / runs[0].needed_usd


def _first(played: Sequence[Runs]) -> str:
    held_usd = statistics.median(runs[0].held_usd for runs in played)
    return f"{_clips(played, 0)}, {_bill(played, 0)}, ${held_usd:.2f} held"


def _until_all(played: Sequence[Runs]) -> str:
    return f"runs: {_span([len(runs) for runs in played])}, {_clips(played, -1)}, {_bill(played, -1)}"


def _bill(played: Sequence[Runs], which: int) -> str:
    billed_usd = statistics.median(runs[which].billed_usd for runs in played)
    again = statistics.median(runs[which].bought_again for runs in played)
    return f"${billed_usd:.2f} billed, {again:g} bought again"


def _clips(played: Sequence[Runs], which: int) -> str:
    return f"{_span([runs[which].clips for runs in played])} clips"


def _span(values: Sequence[int]) -> str:
    return f"{min(values)}–{max(values)}" if min(values) < max(values) else str(values[0])


def _case(n: int, number: int, tail: bool, faults: Sequence[str], poll_s: float) -> Case:
    return Case(
        shots=n,
        at_once=AT_ONCE,
        queue_s=0.0,
        render_s=RENDER_S,
        tail=tail,
        faults=tuple(faults),
        seed=number,
        poll_s=poll_s,
    )


def _contenders(*, install: bool) -> tuple[dict[str, Callable[[Case], Runs]], list[Row]]:
    found: dict[str, Callable[[Case], Runs]] = {VIRTUAL: _virtual, VGEN: _vgen, REBUYING: _rebuying}
    peer = peers.find("runwayml", install=install)
    if isinstance(peer, str):
        return found, [Row(name=SPECIFICATION, skipped=peer), Row(name="runwayml", skipped=peer)]
    found[SPECIFICATION] = functools.partial(_script, peer, "specification_script", SPECIFICATION_POLL_S)
    found[f"runwayml {peer.version}"] = functools.partial(_script, peer, "runwayml_script", PACKAGE_POLL_S)
    return found, []


@functools.cache
def _virtual(case: Case) -> Runs:
    """The real executor at true speed, on a clock that jumps."""
    cost = run([sys.executable, "-m", "benchmarks.virtual", json.dumps(asdict(case))], ROOT)
    told = json.loads(cost.text.splitlines()[-1])
    return [
        _outcome(case, one["makespan_s"], one["charges"], one["delivered"], sum(one["booked_usd"][1:]))
        for one in told["runs"]
    ]


@functools.cache
def _vgen(case: Case) -> Runs:
    """`doit` as a process, over real sockets, with the disk's own pace."""

    def begin(folder: Path, url: str) -> list[str]:
        make_project(
            folder,
            case.shots,
            max_concurrent=case.at_once,
            clip_timeout_s=3600,
            backoff_base_s=SCALE,
            backoff_max_s=60 * SCALE,
        )
        pace = {"poll_interval_s": case.poll_s * SCALE} if case.poll_s else {}
        configure(folder, url, scale=SCALE, max_concurrent=case.at_once, **pace)
        return [str(PROGRAMS / "doit"), *([REBUY] if case.rebuy else [])]

    return _played(case, begin, "outputs/clips", *([] if case.rebuy else [REBUY]))


def _rebuying(case: Case) -> Runs:
    """The same for a user who wants every clip in the first run, at the price of some that are paid twice."""
    return _vgen(replace(case, rebuy=True))


@functools.cache
def _script(peer: Peer, script: str, poll_s: float, case: Case) -> Runs:
    """A peer's script as a process, in an environment of its own."""

    def begin(folder: Path, url: str) -> list[str]:
        prompts = folder / "shots.json"
        prompts.write_text(json.dumps(shots(case.shots)), encoding="utf-8")
        (folder / "clips").mkdir()
        words = [url, prompts, folder / "clips", case.at_once, (case.poll_s or poll_s) * SCALE, SCALE]
        return [str(word) for word in (peer.tool("python"), ROOT / "benchmarks" / f"{script}.py", *words)]

    return _played(case, begin, "clips")


def _played(case: Case, begin: Callable[[Path, str], list[str]], clips: str, *again: str) -> Runs:
    """The first run, and others (with the words `again`) as long as a clip is missing; one server sees them all."""
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        folder = Path(made)
        begun = folder / "begun"
        words = ["--render-s", str(case.render_s * SCALE), "--seed", str(case.seed), "--begun", str(begun)]
        words += ["--tail"] if case.tail else []
        words += [word for fault in case.faults for word in ("--fault", fault)]
        runs: list[Outcome] = []
        before_s = 0.0
        with serving(*words) as url:
            command = begin(folder, url)
            while True:
                started_at = time.time()
                cost = run(command, folder, env=environment(**ENVIRON), codes=(0, 1, 2))
                over_at = time.time()
                found = {int(path.stem.removeprefix("clip_")): path for path in (folder / clips).glob("clip_*.mp4")}
                if not found or (not case.faults and len(found) != case.shots):
                    raise Broken(f"{len(found)} of {case.shots} clips: {cost.text[-500:]}")
                ordered_at = float(begun.read_text("utf-8")) if begun.exists() else started_at
                if runs:
                    before_s += ordered_at - started_at  # a start is a start: it is not scaled
                ended_at = max(path.stat().st_mtime for path in found.values())
                ended_at = ended_at if ended_at > started_at else over_at  # a run that brought nothing took its time
                makespan_s = before_s + (ended_at - ordered_at) / SCALE
                held_usd = _held(folder / "outputs" / "production_report.json")
                runs.append(_outcome(case, makespan_s, charges(url), found, held_usd))
                if not case.faults or len(runs) == RUNS or not missing(case, found):
                    return runs
                before_s += (over_at - ordered_at) / SCALE
                begun.unlink(missing_ok=True)
                command += again if len(runs) == 1 else []


def _outcome(
    case: Case, makespan_s: float, told: dict[str, Any], delivered: Collection[int], held_usd: float
) -> Outcome:
    """From the provider's own books: all that it charged, and the least that the delivered clips could have cost."""
    least: dict[str, float] = {}
    bought: Counter[str] = Counter()
    prompts = {shot["runway_prompt"] for shot in shots(case.shots) if shot["shot_number"] in delivered}
    elsewhere = 0.0
    for job in told["jobs"]:
        if job["charged_usd"]:
            bought[job["prompt"]] += 1
            least[job["prompt"]] = min(job["charged_usd"], least.get(job["prompt"], job["charged_usd"]))
            elsewhere += job["charged_usd"] if job["prompt"] not in prompts else 0.0
    return Outcome(
        makespan_s=makespan_s,
        over_ideal=makespan_s / ideal_s(case),
        clips=len(delivered),
        billed_usd=float(told["total_usd"]),
        needed_usd=sum(least.get(prompt, 0.0) for prompt in prompts),
        bought_again=sum(count - 1 for count in bought.values()),
        held_usd=held_usd,
        held_and_billed_usd=min(held_usd, elsewhere),
    )


def _held(report: Path) -> float:
    """What vgen keeps aside because nobody knows whether it was charged; the scripts know no such thing."""
    if not report.exists():
        return 0.0
    budget = json.loads(report.read_text("utf-8"))["budget"]
    return float(budget["reserved_usd"] + budget["uncertain_usd"])
