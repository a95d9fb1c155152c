"""One round: a production whose runs are killed again and again, judged after each kill, then left in peace."""

import contextlib
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulation import invariants
from simulation.promises import Violation, require
from workshop import KEYS, RUN_S, Started

from campaign import moments
from campaign.moments import Moment
from campaign.provider import Served
from campaign.stand import Stand

KILLS = 8
"""Of a round, unless told otherwise."""
WEATHERS = ("calm", "faults", "faults", "simulate")
"""Of the rounds, in turn."""
REST_RUNS = 6
"""So many calm runs bring everything to its end."""
MAX_RETRIES = 3
STAMP = "outputs/.vgen/finished"
"""Where vgen notes what was typed when there was nothing to do."""
SECONDS = {"runway": 2, "pika": 5}
"""The shortest clip of each."""
EDITS = {"change": 5, "undo": 2, "renumber": 1, "delete": 1, "damage": 1, "forget": 1}
"""How often each is made, in proportion."""
FAULTS = (
    "create_429", "create_500", "create_503", "create_502", "create_502_accepted", "create_reset", "create_lost",
    "create_hang", "create_garbage", "create_cut", "create_moderation", "job_failed", "job_moderated", "job_slow",
    "poll_500", "poll_502", "poll_reset", "poll_garbage", "poll_404", "url_expired", "media_500", "media_html",
    "media_cut", "media_cut_nolen", "media_damaged", "clip_damaged", "clip_small", "clip_short", "clip_480p",
    "clip_landscape",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """One SIGKILL that landed. `states`: where the purchases under way stood; `pair`: one of two at once."""

    kind: str
    states: frozenset[str]
    pair: bool
    weather: str


@dataclass(slots=True)
class Outcome:
    """What came of one round. `violation` is "" if every promise held."""

    seed: int
    violation: str = ""
    kills: list[Kill] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    runs: int = 0


def play(seed: int, kills: int = KILLS) -> Outcome:
    """The round that the seed draws. Only the moments of real processes differ from one time to the next."""
    outcome = Outcome(seed)
    with tempfile.TemporaryDirectory(prefix="vgen-campaign-", ignore_cleanup_errors=True) as folder:
        weather = WEATHERS[seed % len(WEATHERS)]
        with _served(seed, weather) as served:
            stand = Stand(Path(folder) / "project", served)
            try:
                Round(stand, outcome, weather).play(kills)
            except Violation as broken:
                outcome.violation = str(broken)
            except Exception as exc:
                outcome.violation = f"BUG: {type(exc).__name__}: {exc}"
            finally:
                stand.close()
            outcome.injected = Counter(stand.injected)
    return outcome


@contextlib.contextmanager
def _served(seed: int, weather: str) -> Iterator[Served | None]:
    if weather == "simulate":
        yield None
        return
    rng = random.Random(f"provider {seed}")
    served = Served(seed, queue_s=rng.choice((0, 0.1)), render_s=rng.uniform(0.02, 0.3), concurrency=rng.randint(1, 5))
    try:
        yield served
    finally:
        served.stop()


class Round:
    """Draws what happens next, does it, and judges."""

    def __init__(self, stand: Stand, outcome: Outcome, weather: str) -> None:
        self.stand, self.outcome, self.weather = stand, outcome, weather
        self.rng = random.Random(f"round {outcome.seed}")
        self.edits = 0
        self.now = invariants.Books([], [], [], {}, [])
        primary = self.rng.choice(("runway", "runway", "pika"))
        self.fallback = self.rng.choice(("pika" if primary == "runway" else "runway", "none"))
        ample = self.rng.random() < 0.75
        self.cap_usd = 60.0 if ample else self.rng.choice((1.0, 1.5, 2.0))
        self.ample = ample
        self.words = (
            f"primary_api={primary}",
            f"fallback_api={self.fallback}",
            f"partial={'no' if ample else 'yes'}",
            f"max_retries={MAX_RETRIES}",
            f"on_uncertain={self.rng.choice(('hold', 'hold', 'rebuy'))}",
            f"max_concurrent={self.rng.randint(1, 4)}",
            "backoff_base_s=0.02",
            "backoff_max_s=0.2",
        )
        self.shots = [
            self._shot(k, primary) for k in range(1, (3 if weather == "simulate" else self.rng.randint(2, 5)))
        ]
        if len(self.shots) > 1 and self.rng.random() < 0.3:
            self.shots[1]["prompt"] = self.shots[0]["prompt"]

    @property
    def caps(self) -> list[int]:
        return [round(self.cap_usd * 1e6)]

    def play(self, kills: int) -> None:
        """Kill so many processes, then see everything come to its end."""
        self._prepare()
        for _ in range(5 * kills):
            if len(self.outcome.kills) >= kills:
                break
            if not self._pending():
                self._edit("change")
            elif self.rng.random() < 0.2:
                self._edit(self.rng.choices(list(EDITS), list(EDITS.values()))[0])
            if self._turn(most=kills - len(self.outcome.kills)):
                self.cap_usd += 0 if self.ample else 0.5  # or else all would wait for money
                self._edit("change")
        require(len(self.outcome.kills) >= kills, "the campaign is broken: only", len(self.outcome.kills), "kills")
        self._rest()

    def _prepare(self) -> None:
        stand, served = self.stand, self.stand.served
        if served:
            stand.environ |= KEYS
            common = {"base_url": served.url, "poll_interval_s": 0.05, "timeout_seconds": 20}
            stand.configure(runway=common, pika=common)
        if served and self.weather == "faults":
            drawn = self.rng.sample(FAULTS, self.rng.randint(3, 8))
            served.weather([f"{name}={self.rng.choice((0.1, 0.3))}" for name in drawn])
        elif served:
            served.weather(())
        stand.write_shots(self.shots)
        self.note(f"{self.weather}, {len(self.shots)} shots, doit {' '.join(self.words)}")

    def note(self, text: str) -> None:
        self.outcome.story.append(text)

    def _pending(self) -> int:
        """Shots that have no good take of their own."""
        texts = Counter(shot["prompt"] for shot in self.shots)
        done = [dict(json.loads(row["manifest"]))["prompt"] for row in self.now.rows if row["state"] == "accepted"]
        return sum(count for text, count in texts.items() if text not in done)

    def _unplaced(self) -> bool:
        """Whether a good take of a shot does not lie under its clip's name yet."""
        texts = {row["id"]: dict(json.loads(row["manifest"]))["prompt"] for row in self.now.rows}
        takes = {texts[take["purchase_id"]]: take["size_bytes"] for take in self.now.takes if take["good"]}
        for shot in self.shots:
            clip, wanted = self.stand.clip(shot["shot_number"]), takes.get(shot["prompt"])
            if wanted and not (clip.exists() and clip.stat().st_size == wanted):
                return True
        return False

    # ── one turn ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, most: int) -> bool:
        """One run, or two at once, killed at some moment. Whether it came to its end instead."""
        stand, rng = self.stand, self.rng
        moment = moments.draw(rng, max(self._pending(), 1))
        words = [*self.words, f"budget_usd={self.cap_usd:g}"]
        more = self._more()
        pair = rng.random() < 0.25
        both = pair and most > 1 and rng.random() < 0.5
        wait = rng.random() < 0.6
        began_at = time.time()
        started = [stand.start(*words, *more, command=moment.command())]
        if pair:
            time.sleep(rng.choice((0.0, 0.02, 0.2)))
            started.append(stand.start(*words, *(["wait=yes"] if wait else [])))
        self.note(f"doit {' '.join(more)}{' twice' if pair else ''}, to be killed at: {moment}")
        processes = [one.process for one in started]
        moments.await_(moment, stand.root, processes, lambda: "".join(one.said() for one in started))
        for one in started if both else rng.sample(started, 1):
            one.kill()
        codes = [one.ends() for one in started]
        landed = codes.count(-9)
        if landed:
            stand.killed(began_at)
        self._judge(started, codes, full=not more and not pair)
        self._count(moment, landed, pair=pair)
        return not landed

    def _more(self) -> list[str]:
        """What else stands on the command line, now and then."""
        number = self.rng.choice(self.shots)["shot_number"]
        match self.rng.choices(("", "one", "again", "recover"), (80, 7, 7, 6))[0]:
            case "one":
                return [f"clip:{number}"]
            case "again":
                return ["-a", f"clip:{number}"]
            case "recover":
                return ["recover"]
        return []

    def _count(self, moment: Moment, landed: int, *, pair: bool) -> None:
        states = frozenset(row["state"] for row in self.now.rows if row["state"] not in invariants.END)
        if self._unplaced():
            states |= {"accepted, clip not in place"}
        self.note(f"    {landed} killed; under way: {', '.join(sorted(states)) or 'nothing'}")
        self.outcome.kills += [Kill(kind=moment.kind, states=states, pair=pair, weather=self.weather)] * landed

    def _judge(self, started: Sequence[Started], codes: Sequence[int], *, full: bool) -> None:
        """All that must hold at any moment, and what a run that came to its end must have told."""
        stand = self.stand
        self.outcome.runs += len(started)
        for one, code in zip(started, codes, strict=True):
            said = one.said()
            self.note("\n".join(f"    | {line}" for line in [*said.splitlines(), f"exit {code}"]))
            require("Traceback" not in said, "M7", "a traceback was shown:", said[-2000:])
            require(code in (0, 1, 3, -9), "M7", "exit code", code)
        stand.look()
        self.now = invariants.books(stand)  # type: ignore[arg-type]
        invariants.at_every_moment(stand, self.now, self.caps)  # type: ignore[arg-type]
        invariants.bought_within(stand, self.now, self.caps[0])  # type: ignore[arg-type]
        if full and codes[0] in (0, 1):
            invariants.told_truth(stand, self.now, codes[0])  # type: ignore[arg-type]

    # ── between ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _shot(self, number: int, primary: str) -> dict[str, Any]:
        seconds = SECONDS[primary] if self.fallback == "none" else self.rng.choice((2, 2, 5))
        return {"shot_number": number, "duration": seconds, "prompt": f"shot-{number} a paper boat in the rain"}

    def _edit(self, how: str) -> None:
        """Somebody edits the list, or meddles with the files."""
        rng, stand = self.rng, self.stand
        shot = rng.choice(self.shots)
        clip = stand.clip(shot["shot_number"])
        match how:
            case "undo":
                shot["prompt"] = f"shot-{shot['shot_number']} a paper boat in the rain"
            case "renumber":
                numbers = [one["shot_number"] for one in self.shots]
                for one, number in zip(self.shots, [*numbers[1:], numbers[0]], strict=True):
                    one["shot_number"] = number
            case "delete":
                clip.unlink(missing_ok=True)
                stand.meddled.discard(clip.name)
            case "damage" if clip.exists():
                clip.write_bytes(b"no video any more")
                stand.meddled.add(clip.name)
            case "forget":
                (stand.root / ".doit.db").unlink(missing_ok=True)
            case _:
                how = "change"
                for one in self.shots if rng.random() < 0.6 else [shot]:
                    self.edits += 1
                    one["prompt"] = f"edit-{self.edits} a lighthouse in the fog"
        stand.write_shots(self.shots)
        self.note(f"{how} shot {shot['shot_number']}")

    # ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _rest(self) -> None:
        """In calm weather: everything ends, all of it holds, and one run more has nothing to do."""
        stand = self.stand
        if stand.served:
            stand.served.weather(())
        self._calm()
        for _ in range(REST_RUNS):
            files, requests, moves = stand.disk(), stand.requests(), len(self.now.moves)
            code = self._calm()
            if len(self.now.moves) == moves:
                break
        require(len(self.now.moves) == moves, "M14", "no end after", REST_RUNS, "calm runs")
        invariants.at_the_end(stand, self.now, max_retries=MAX_RETRIES, ample=self.ample)  # type: ignore[arg-type]
        report = stand.report()
        require(report["simulated"] is (stand.served is None), "M7", "simulated:", report["simulated"])
        if all(clip["success"] for clip in report["clips"]):
            require(stand.requests() == requests, "M11", "asked", stand.requests(), "after", requests)
            changed = self._changed(files, code)
            if changed == {STAMP}:  # that these words find nothing to do is written down once
                files = stand.disk()
                changed = self._changed(files, self._calm())
            require(not changed, "M11", "written:", changed)
        code, said = stand.doit("audit")
        require(code == 0 or stand.meddled, "M7", "doit audit:", code, said)  # a damaged clip differs

    def _changed(self, before: Mapping[str, Any], code: int) -> set[str]:
        """Names of files that a run has written since; with a failed gate doit remembers having judged it."""
        after = self.stand.disk()
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        return changed - {".doit.db"} if code else changed

    def _calm(self) -> int:
        """One run in peace, judged; its exit code."""
        run = self.stand.start(*self.words, f"budget_usd={self.cap_usd:g}")
        code = run.ends(within_s=RUN_S)
        self._judge([run], [code], full=True)
        require(code in (0, 1), "M14", "exit code", code, "in calm weather:", run.said()[-2000:])
        return code
