"""Buying the same clips from the same simulated providers: vgen, the specification's runner, the official package."""

import functools
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.builds import PROGRAMS, configure
from benchmarks.measure import ROOT, Broken, Row, Table, environment, interleaved, run
from benchmarks.peers import Peer
from benchmarks.workload import ENVIRON, Case, charges, ideal_s, make_project, serving, shots

AT_ONCE = 8
RENDER_S = 10.0
SCALE = 0.25
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
SPECIFICATION = "the specification's two passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one contender made of one case. Dollars are the provider's own figures, but for `held_usd`, which is vgen's:
    perhaps charged, kept reserved; `held_and_billed_usd` of it was."""

    over_ideal: float
    clips: int
    billed_usd: float
    needed_usd: float
    bought_again: int
    held_usd: float
    held_and_billed_usd: float


def tables(key: str, rounds: int, *, quick: bool) -> Iterator[Table]:
    """Rows (d) or (e)."""
    if key == "e":
        yield _dollars(8 if quick else 48, rounds, install=not quick)
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
        yield _makespan(8 if quick else 48, rounds, tail, faults, poll_s, install=not quick)
    if not quick:
        yield _makespan(480, 1, False, (), OFTEN_S, install=True)
        yield _makespan(480, 1, True, FAULTS, OFTEN_S, install=True)


def _makespan(n: int, rounds: int, tail: bool, faults: Sequence[str], poll_s: float, *, install: bool) -> Table:
    contenders, skipped = _contenders(install=install)
    if not poll_s:
        del contenders[VGEN]  # on loopback its own pace would meet jobs that take a quarter of their time
    rows = interleaved(
        {
            name: lambda k, play=play: play(_case(n, k, tail, faults, poll_s)).over_ideal
            for name, play in contenders.items()
        },
        rounds,
        ours=VGEN if poll_s else VIRTUAL,
    )
    words = f"{n} jobs of {RENDER_S:g} s, {'long-tailed' if tail else 'even'}, {'with' if faults else 'no'} faults"
    pace = f"asked about every {poll_s:g} s" if poll_s else "asked about at each one's own pace"
    note = (
        "" if poll_s else "vgen and the specification's script keep to Runway's rule of 5 s, the package asks every 6 s"
    )
    title = f"makespan over the ideal schedule: {words}, {pace}"
    return Table(key="d", title=title, unit="×", rows=rows + skipped, note=note)


def _dollars(n: int, rounds: int, *, install: bool) -> Table:
    contenders, skipped = _contenders(install=install)
    outcomes: dict[str, list[Outcome]] = {name: [] for name in contenders}

    def play(name: str, number: int) -> float:
        outcome = contenders[name](_case(n, number, False, FAULTS, OFTEN_S))
        outcomes[name].append(outcome)
        return (outcome.billed_usd - outcome.held_and_billed_usd) / outcome.needed_usd

    rows = interleaved({name: functools.partial(play, name) for name in contenders}, rounds, ours=VGEN)
    noted = [Row(name=row.name, values=row.values, ratio=row.ratio, note=_note(outcomes[row.name], n)) for row in rows]
    note = "needed: one generation of each clip delivered; held is kept reserved until the user decides, and left aside"
    title = f"dollars billed over dollars needed, {n} shots on a bad day"
    return Table(key="e", title=title, unit="×", rows=noted + skipped, note=note)


def _note(found: Sequence[Outcome], n: int) -> str:
    clips = statistics.median(one.clips for one in found)
    billed = statistics.median(one.billed_usd for one in found)
    again = statistics.median(one.bought_again for one in found)
    held = statistics.median(one.held_usd for one in found)
    return f"{clips:g} of {n} clips, ${billed:.2f} billed, {again:g} bought again, ${held:.2f} held"


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


def _contenders(*, install: bool) -> tuple[dict[str, Callable[[Case], Outcome]], list[Row]]:
    found: dict[str, Callable[[Case], Outcome]] = {VIRTUAL: _virtual, VGEN: _vgen}
    peer = peers.find("runwayml", install=install)
    if isinstance(peer, str):
        return found, [Row(name=SPECIFICATION, skipped=peer), Row(name="runwayml", skipped=peer)]
    found[SPECIFICATION] = functools.partial(_script, peer, "specification_script", SPECIFICATION_POLL_S)
    found[f"runwayml {peer.version}"] = functools.partial(_script, peer, "runwayml_script", PACKAGE_POLL_S)
    return found, []


@functools.cache
def _virtual(case: Case) -> Outcome:
    """The real executor at true speed, on a clock that jumps."""
    cost = run([sys.executable, "-m", "benchmarks.virtual", json.dumps(asdict(case))], ROOT)
    told = json.loads(cost.text.splitlines()[-1])
    return _outcome(case, told["makespan_s"], told["charges"], told["delivered"], sum(told["booked_usd"][1:]))


@functools.cache
def _vgen(case: Case) -> Outcome:
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
        return [str(PROGRAMS / "doit")]

    return _played(case, begin, "outputs/clips")


@functools.cache
def _script(peer: Peer, script: str, poll_s: float, case: Case) -> Outcome:
    """A peer's script as a process, in an environment of its own."""

    def begin(folder: Path, url: str) -> list[str]:
        prompts = folder / "shots.json"
        prompts.write_text(json.dumps(shots(case.shots)), encoding="utf-8")
        (folder / "clips").mkdir()
        words = [url, prompts, folder / "clips", case.at_once, (case.poll_s or poll_s) * SCALE, SCALE]
        return [str(word) for word in (peer.tool("python"), ROOT / "benchmarks" / f"{script}.py", *words)]

    return _played(case, begin, "clips")


def _played(case: Case, begin: Callable[[Path, str], list[str]], clips: str) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="vgen-benchmark-") as made:
        folder = Path(made)
        begun = folder / "begun"
        words = ["--render-s", str(case.render_s * SCALE), "--seed", str(case.seed), "--begun", str(begun)]
        words += ["--tail"] if case.tail else []
        words += [word for fault in case.faults for word in ("--fault", fault)]
        with serving(*words) as url:
            cost = run(begin(folder, url), folder, env=environment(**ENVIRON), codes=(0, 1, 2))
            found = {int(path.stem.removeprefix("clip_")): path for path in (folder / clips).glob("clip_*.mp4")}
            if not found or (not case.faults and len(found) != case.shots):
                raise Broken(f"{len(found)} of {case.shots} clips: {cost.text[-500:]}")
            ended_at = max(path.stat().st_mtime for path in found.values())
            makespan_s = ended_at - float(begun.read_text("utf-8"))
            held_usd = _held(folder / "outputs" / "production_report.json")
            return _outcome(case, makespan_s / SCALE, charges(url), found, held_usd)


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
