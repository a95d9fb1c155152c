"""Plays one schedule against the real program and judges it. The same seed gives the same story, line by line."""

import contextlib
import io
import json
import math
import os
import random
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from doit import cmd_run
from studio import Crash

from simulation import chains, invariants, promises, schedule, tiers
from simulation.again import LIVE, Again
from simulation.invariants import Books
from simulation.locks import Locks
from simulation.odd import DRAWS, Odd
from simulation.odd_days import OddDays
from simulation.promises import Violation, require
from simulation.schedule import Doit, Meddle, Schedule, Settle, Step, Wait, Weather, Write
from simulation.stage import Stage, Trouble
from vgen.store import failpoints

MEMORY = Path("/dev/shm")
"""Where there is one, projects live in memory: a schedule is not about the disk's pace."""
WORK_S = 10
"""Seconds of the processor for one schedule; one takes about 0.1."""
PATIENCE_S = 300
"""Real seconds for one schedule, however busy the machine is."""
RUN_S = 30 * 3600.0
"""Virtual seconds within which any run ends, however bad the day: 8 downloads of 30 min, 4 times, and some."""
CALM_S = 2 * 3600.0
"""The same in calm weather."""

HANGS_AT_MOST_S = 43_200.0
"""A provider ends a job that hangs within half a day."""
REFUSED = 3
"""doit's exit code for a run that was not begun."""
REST_RUNS = 14
"""So many calm runs bring everything to its end: in a chain, with a time-out of a minute, one makes a shot or two."""


@dataclass(slots=True)
class Outcome:
    """What came of one schedule. `violation` is "" if every promise held."""

    seed: int
    violation: str = ""
    story: list[str] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    creates: int = 0
    runs: int = 0
    crashes: int = 0
    outages: int = 0
    cancelled: int = 0
    """Purchases that ended cancelled."""
    points: set[str] = field(default_factory=set)


def play(seed: int, draws: frozenset[str] = DRAWS) -> Outcome:
    """Draw and play a schedule, and what follows from it."""
    drawn = schedule.draw(seed, draws)
    outcome = perform(drawn, drawn.steps)
    if drawn.quiet and not outcome.violation:
        calm = perform(drawn, schedule.without_faults(drawn.steps))
        if calm.violation:
            outcome.violation = f"on a good day: {calm.violation}"
        elif _differ(outcome, calm):
            outcome.violation = f"M13: {outcome.creates} purchases with bad polls and downloads, {calm.creates} without"
    return outcome


def _differ(outcome: Outcome, calm: Outcome) -> bool:
    """Bad polls may buy less, by the jobs that are cancelled: only if their word at the time-out is `queued`."""
    return not calm.creates - calm.cancelled <= outcome.creates <= calm.creates


def perform(drawn: Schedule, steps: Sequence[Step]) -> Outcome:
    """Play these steps, and judge after each."""
    outcome = Outcome(drawn.seed)
    with project() as root, patience():
        stage = Stage(root, drawn.seed, **drawn.cloud)
        player = Player(stage, drawn, outcome)
        try:
            stage.configure(**drawn.config)
            for step in steps:
                stage.note(schedule.told(step))
                player.take(step)
            player.finish()
        except (Violation, Hung) as broken:
            outcome.violation = str(broken)
        except Exception as exc:
            outcome.violation = f"BUG: {type(exc).__name__}: {exc}"
        if outcome.violation:
            stage.note(f"VIOLATION {outcome.violation}")
        outcome.story, outcome.injected = stage.story, stage.injected
        outcome.creates = stage.bought()
    return outcome


class Hung(BaseException):
    """A run found no end. Not an Exception, so that nothing in between makes a message of it."""


class Player:
    """Takes the steps of one schedule."""

    def __init__(self, stage: Stage, drawn: Schedule, outcome: Outcome) -> None:
        self.stage, self.drawn, self.outcome = stage, drawn, outcome
        self.odd = OddDays(stage)
        self.again = Again(stage)
        self.locks = Locks(stage)
        self.caps: list[int] = []
        self.books = Books([], [], [], {}, [])
        """As they were after the last run."""
        self.calm = False
        self.last: Doit | None = None
        self.code: int | None = None
        """How the last full run ended."""

    def take(self, step: Step) -> None:
        stage = self.stage
        match step:
            case Write():
                stage.write_shots([dict(shot) for shot in step.shots])
                if not (stage.root / "config" / "boat.png").exists():
                    self.odd.new_picture()
                stage.safe.settle()
                self.locks.listed()
            case Weather():
                stage.weather(step.faults)
                self.calm = not step.faults
            case Wait():
                stage.pass_time(step.seconds)
                if step.seconds >= HANGS_AT_MOST_S:
                    stage.heal_jobs()
                stage.wall_s += step.wall_s
                stage.safe.settle()
            case Meddle():
                self._meddle(step)
                stage.safe.settle()
            case Settle():
                if not self.odd.ledger_is_old:
                    self._settle()
            case Odd():
                self._begin(step)
            case Doit():
                self._doit(step)

    def _begin(self, step: Odd) -> None:
        """From here on the world is odd; or, where a clip is locked, somebody does something to it."""
        if step.kind == "locks" and step.how:
            self._meddle(Meddle(how=step.how, number=step.at))
            self.stage.safe.settle()
            return
        self.odd.begin(step)
        if self.odd.ledger_is_old:
            self._with_an_old_ledger()

    def finish(self) -> None:
        """M11, and all that must hold when everything has come to rest."""
        stage = self.stage
        assert self.last is not None
        now = self._at_rest()
        self.outcome.cancelled = sum(row["state"] == "cancelled" for row in now.rows)
        unserved = {shot["shot_number"] for shot in stage.read_shots()}
        if self.code in (0, 1):  # else the report is an older one, or there is none
            missing = {entry["shot_number"] for entry in stage.report()["clips"] if not entry["success"]}
            unserved = missing | set(tiers.lacking(stage, now))
        promises.at_the_end(stage, now, unserved)
        if self.code in (0, 1):  # else the report is an older one
            chains.at_the_end(stage, now)
        invariants.at_the_end(stage, now, max_retries=self.drawn.max_retries, ample=self.drawn.ample)
        tiers.at_the_end(stage, now, ample=self.drawn.ample)
        before, requests, moves = stage.disk(), stage.requests(), len(now.moves)
        code = self._doit(self.last)
        require(
            stage.requests().get("create", 0) == requests.get("create", 0), "M11", "bought again, with nothing to do"
        )
        require(len(self.books.moves) == moves, "M11", "money moved, with nothing to do")
        held = any(row["state"] == "uncertain" for row in now.rows)  # asked about for free, in each run
        if code in (0, 1) and all(stage.successes()) and not tiers.lacking(stage, now, edited=True) and not held:
            require(stage.requests() == requests, "M11", "asked", stage.requests(), "after", requests)
            changed = {name for name, state in stage.disk().items() if before.get(name) != state}
            if code:  # a gate that fails is judged by every run, and doit remembers having done so
                changed.discard(".doit.db")
            require(not changed, "M11", "written:", changed)

    def _at_rest(self) -> Books:
        """The books when nothing changes any more, and the user has settled what was left to them."""
        self._run_until_calm()
        mine = [
            row
            for row in self.books.rows
            if invariants.is_for_the_user(self.stage, row, self.books.owned.get(row["id"]))
        ]
        for row in mine:
            self._type("settle", f"shot={row['shot_number']}", "as=not-charged", f"job={row['job_id']}")
        if mine:  # then the shot is free to be bought
            self._run_until_calm()
        return self.books

    def _run_until_calm(self) -> None:
        """Until a calm run has changed nothing more: jobs are collected, lost ones found, providers open."""
        assert self.last is not None
        stage = self.stage
        for _ in range(REST_RUNS):
            moves = len(self.books.moves)
            self.take(Wait(seconds=4000.0))
            self.take(Weather())
            self._doit(self.last)
            if promises.theirs(stage, self.books):
                if promises.may_be_found(self.books) and stage.injected["poll_404"]:  # lost to the right key too
                    self.odd.with_their_key(self._recover)
                self.odd.with_their_key(lambda: self._doit(self.last))
            if promises.may_be_found(self.books):
                self._recover()
            if len(self.books.moves) == moves:
                break

    def _recover(self) -> None:
        """`doit recover`: lost jobs are looked for."""
        assert self.last is not None
        words = [word for word in self.last.args if "=" in word]
        self._doit(replace(self.last, args=("recover", *words), full=False))

    def _with_an_old_ledger(self) -> None:
        """M17: nothing is bought beside it, and `doit recover` finds what there are receipts for."""
        stage = self.stage
        self.again.forget()
        self.locks.forget()
        run = self.last or next(step for step in self.drawn.steps if isinstance(step, Doit) and step.full)
        run = replace(run, crash=math.inf, disk=0.0, dark=(), power=False, late=False)
        creates = stage.requests().get("create", 0)
        if self.odd.more_was_known:
            code = self._run(run, Trouble(stage, random.Random(0)))
            require(code == 3, "M17", "a run beside an old ledger ended with", code)
            require(stage.requests().get("create", 0) == creates, "M17", "bought beside an old ledger")
        words = [word for word in run.args if "=" in word]
        self._run(replace(run, args=("recover", *words)), Trouble(stage, random.Random(0)))
        self.odd.ledger_is_old = False
        sent = sum(row["submitted_at"] is not None for row in self.books.rows)
        stage.world.forgotten_orders = max(0, creates - stage.world.watch.repeats - sent)
        promises.recovered(stage, self.books)
        invariants.at_every_moment(stage, self.books, self.caps)

    # ── steps ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _doit(self, step: Doit) -> int | None:
        stream = random.Random(f"disk {self.drawn.seed}/{len(self.caps)}")
        trouble = Trouble(self.stage, stream, step.crash, step.disk, step.power, step.late)
        self.odd.disturb(trouble)
        return self.run(step, trouble)

    def run(self, step: Doit, trouble: Trouble) -> int | None:
        """One run in that trouble, judged. The exit code, or None if the process was killed."""
        stage = self.stage
        self.outcome.runs += 1
        cap = round(step.cap_usd * 1e6)
        self.caps.append(cap)
        rows, last = len(self.books.rows), max((row["id"] for row in self.books.rows), default=0)
        began_s, began_at = stage.clock.current_time(), stage.now()
        self.again.asked(step.args, self.books)
        self.locks.asked(self.books)
        if "-a" in step.args:
            stage.world.wishes.update(word for word in step.args if word.startswith("clip:"))
        code = self._run(step, trouble)
        self.outcome.points |= set(trouble.names)
        self.outcome.crashes += bool(trouble.dead)
        now = self.books
        self.odd.after_run()
        if trouble.dead and trouble.unwritten_since < math.inf:
            stage.unread.append((trouble.unwritten_since, stage.now()))
        elif step.full and code in (0, 1) and not trouble.errors:
            stage.unread.clear()
        if trouble.ended and not trouble.dead and trouble.no_room and trouble.unwritten_since < math.inf:
            stage.unwritable.append((trouble.unwritten_since, stage.now()))
        invariants.at_every_moment(stage, now, self.caps)
        promises.at_every_moment(stage, now)
        tiers.at_every_moment(stage, now)
        if "drafts" in {one.kind for one in self.drawn.steps if isinstance(one, Odd)} and not stage.world.ledgers_lost:
            tiers.bought(stage, now, last, step.args)
            tiers.made_from(stage, now, last, step.args)
        self.again.judge(now, None if trouble.dead else code)
        whole = step.full and not trouble.errors and not step.dark
        self.locks.judge(now, step.args, None if trouble.dead else code, whole=whole)
        chains.after_a_run(stage, now, last)
        if len(now.rows) > rows:
            invariants.bought_within(stage, now, cap)
        if trouble.dead:
            return None
        require(code in (0, 1, 3) or (trouble.ended and code == 130), "M7", "exit code", code)
        took_s = stage.clock.current_time() - began_s
        require(took_s <= (CALM_S if self.calm else RUN_S), "M14", f"the run took {took_s:,.0f} s")
        if step.full and code in (0, 1) and not trouble.errors:
            invariants.told_truth(stage, now, code)
            tiers.told_truth(stage, now, step.args)
        if step.full:
            self.last, self.code = step, code
            if self.calm and not trouble.errors and not step.dark and code != REFUSED:
                places = {
                    word.partition("=")[2] for word in step.args if word.startswith(("primary_api", "fallback_api"))
                }
                stage.calm_runs.append((began_at, frozenset(places)))
        return code

    def _run(self, step: Doit, trouble: Trouble) -> int | None:
        """The exit code, or None if the process was killed."""
        stage = self.stage
        start_s = stage.clock.current_time()

        def dark(host: str, port: int) -> str | None:
            at_s = stage.clock.current_time() - start_s
            if any(begin <= at_s < end for begin, end in step.dark):
                stage.injected["dark"] += 1
                return "the network is unreachable"
            return None

        stage.network_refuses = dark if step.dark else None
        stage.fsync = trouble.fsync
        said = io.StringIO()
        cmd_run.opt_outfile["default"] = said  # doit keeps the stdout of its import
        code: int | None = None
        with failpoints.hooked(trouble), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                code = stage.doit(*step.args)
            except BaseException as exc:
                if not trouble.dead or not _is_crash(exc):
                    raise
        if trouble.dead and trouble.power:
            self.outcome.outages += 1
            stage.outages += 1
            for loss in stage.safe.lose(trouble.rng):
                stage.note(f"    {loss}")
        self.books = now = invariants.books(stage)
        stage.note(f"exit {code}, at {len(now.jobs)} jobs, charged {stage.charged()}, booked {now.told}")
        require(not stage.hung, "M14", "everybody waits for ever")
        words = said.getvalue()
        if not trouble.dead:
            require("Traceback" not in words, "M7", "a traceback was shown:", words[-2000:])
        return None if trouble.dead else code

    def _meddle(self, step: Meddle) -> None:
        stage = self.stage
        clip = stage.clip(step.number)
        if step.how == "forget":
            (stage.root / ".doit.db").unlink(missing_ok=True)
        elif clip.exists() and step.how == "delete":
            clip.unlink()
            stage.meddled.discard(clip.name)
            self._forgo_edits(clip.name)
        elif clip.exists() and step.how == "edit":
            self._forgo_edits(clip.name)
            self.odd.edit(clip)
        elif clip.exists():
            clip.write_bytes(b"no video any more")
            stage.meddled.add(clip.name)
            self._forgo_edits(clip.name)

    def _forgo_edits(self, name: str) -> None:
        """Somebody has done away with their own work."""
        edits = self.stage.world.edits
        for digest in [digest for digest, clip in edits.items() if clip == name]:
            del edits[digest]

    def _settle(self) -> None:
        """What a user finds at the dashboard, told by the shot of today's list: the job, or that there is none."""
        stage = self.stage
        now = invariants.books(stage)
        for row in now.rows:
            provider, prompt, *_ = invariants.key_of(row)
            wanted = prompt, dict(json.loads(row["manifest"]))["duration"]
            numbers = [
                shot["shot_number"]
                for shot in stage.read_shots()
                if (shot.get(f"{provider}_prompt", shot["prompt"]), str(shot["duration"])) == wanted
            ]
            if row["state"] != "uncertain" or row["superseded"] or not numbers:
                continue
            mine = [job for job in now.unowned if invariants.key_of_job(job) == invariants.key_of(row)]
            mine.sort(key=lambda job: job.id in stage.world.excused)  # one of another ledger's time is not taken for it
            word = mine[0].id if mine else "not-charged"
            others = [one for one in now.rows if one["id"] != row["id"] and one["state"] in (*LIVE, "uncertain")]
            named = [f"job={row['job_id'] or row['id']}"] if others else []  # as the message says
            self._type("settle", f"shot={numbers[0]}", f"as={word}", *named)
            return

    def _type(self, *words: str) -> None:
        """A command of the user's that buys nothing, in a process that lives."""
        stage = self.stage
        stage.fsync = Trouble(stage, random.Random(0)).fsync
        said = io.StringIO()
        cmd_run.opt_outfile["default"] = said
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            stage.doit(*words)
        self.books = invariants.books(stage)
        invariants.at_every_moment(stage, self.books, self.caps)


def _is_crash(exc: BaseException) -> bool:
    if isinstance(exc, BaseExceptionGroup):
        return any(map(_is_crash, exc.exceptions))
    return isinstance(exc, Crash)


@contextlib.contextmanager
def project() -> Iterator[Path]:
    """An empty directory to stand in, gone afterwards."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(
        prefix="vgen-simulation-", dir=MEMORY if MEMORY.is_dir() else None, ignore_cleanup_errors=True
    ) as folder:
        root = Path(folder) / "project"
        root.mkdir()
        os.chdir(root)
        try:
            yield root
        finally:
            os.chdir(here)


@contextlib.contextmanager
def patience() -> Iterator[None]:
    """A schedule that finds no end is a violation of M14, not a stuck test."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def enough(*_: object) -> None:
        raise Hung(f"M14: no end after {WORK_S} s of work, or {PATIENCE_S} s of waiting")

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, WORK_S), (signal.ITIMER_REAL, signal.SIGALRM, PATIENCE_S))
    before = [signal.signal(signum, enough) for _, signum, _ in timers]
    try:
        for timer, _, seconds in timers:
            signal.setitimer(timer, seconds)
        yield
    finally:
        for timer, _, _ in timers:
            signal.setitimer(timer, 0)
        for (_, signum, _), handler in zip(timers, before, strict=True):
            signal.signal(signum, handler)
