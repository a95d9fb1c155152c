"""A studio whose provider tells what really happened, with crashes, disk errors and clocks that can be set."""

import errno
import math
import os
import random
import re
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import trio
from fake_clips import fake_judge
from studio import Crash, Studio

from simulation import vendors
from simulation.powerloss import Disk
from simulation.world import OddApp, World, image_sent
from vgen.media.judge import Judgement, Verdict, Wanted
from vgen.production.services import Services
from vgen.simulator.faults import AFTER_ACCEPTING, Faults
from vgen.simulator.jobs import Job, State
from vgen.simulator.renderers import damaged, plain_renderer

IDLE_S = 20.0
"""Real seconds that a run may have nothing to do and nothing to wait for: threads are never that long."""
DISK_ERRORS = ("database or disk is full", "database is locked", "disk I/O error")
LONGEST_ANSWER_S = 120.0
MOST_ERRORS = 4000
PATIENCE_S = 45 * 60.0
"""A disk that stays bad for so long: the user ends the run; after twice that, kills it."""


@dataclass(slots=True)
class Trouble:
    """A `durable.Hook`: at the `crash`-th point the process dies for good; acts fail with the chance `disk`.

    `power`: the machine loses its power, and what was not synced is gone; `late`: at the first fsync from there on.
    """

    stage: "Stage"
    rng: random.Random
    crash: float = math.inf
    disk: float = 0.0
    power: bool = False
    late: bool = False
    seen: int = 0
    dead: str = ""
    errors: int = 0
    names: list[str] = field(default_factory=list)
    synced: list[int] = field(default_factory=list)
    """How many points had been passed at each fsync."""
    also: Callable[[str], Exception | None] | None = None
    """Asked before every act besides; may give what a disk would raise."""
    no_room: bool = True
    """Whether what fails are not only commits: then an id may be lost with the process that could write it nowhere."""
    unwritten_since: float = math.inf
    """Since when no commit has worked."""
    just_over: tuple[float, float] = (math.inf, -math.inf)
    """The last time without commits, up to the first that worked: others stood behind that one."""
    bad_since: float = math.inf
    ended: bool = False

    def __call__(self, name: str, when: str) -> None:
        self.seen += 1
        self.names.append(name)
        if self.dead:
            raise Crash(self.dead)
        if self.seen >= self.crash and not self.late:
            self._die(f"{when} {name}")
        if when == "after" and name.startswith("ledger."):
            if self.unwritten_since < math.inf:
                self.just_over = self.unwritten_since, self.stage.now()
            self.unwritten_since = math.inf
            self.stage.safe.sync_names(self.stage.outputs)  # SQLite syncs the directory of its journal
        if when == "before" and (error := self._disk_error(name)):
            self._fail(name, error)

    def _fail(self, name: str, error: Exception) -> None:
        stage = self.stage
        self.errors += 1
        stage.injected["disk_error"] += 1
        stage.note(f"at {name}: {error}")
        now = stage.now()
        if name.startswith("ledger."):
            self.unwritten_since = min(self.unwritten_since, now)
        self.bad_since = min(self.bad_since, now)
        if now - self.bad_since > PATIENCE_S and not self.ended:
            self.ended = True
            stage.note("the user presses Ctrl-C")
            signal.raise_signal(signal.SIGINT)
        if now - self.bad_since > 2 * PATIENCE_S or self.errors > MOST_ERRORS:
            self._die(f"before {name}, by the user")
        raise error

    def fsync(self, fd: int) -> None:
        """In the place of the system's."""
        if self.dead:
            raise Crash(self.dead)
        self.synced.append(self.seen)
        if self.seen >= self.crash:
            self._die(f"in an fsync after {self.names[-1]}")
        self.stage.safe.sync(os.fstat(fd).st_ino)

    def _die(self, where: str) -> None:
        self.dead = f"{'the power fails' if self.power else 'killed'} at point {self.seen}: {where}"
        self.stage.deaths.add(self.stage.now())
        if self.no_room:
            self.stage.unwritable.append((self.unwritten_since, self.stage.now()))
            if self.just_over[1] == self.stage.now():  # the next one's turn was in the very same moment
                self.stage.unwritable.append(self.just_over)
        self.stage.note(self.dead)
        raise Crash(self.dead)

    def _disk_error(self, name: str) -> Exception | None:
        if self.also and (error := self.also(name)):
            return error
        if self.disk and self.rng.random() < self.disk:
            return disk_error(name, self.rng.randrange(5))
        return None


def disk_error(name: str, kind: int) -> Exception:
    """What SQLite or the operating system would say at a durable act."""
    if name.startswith("ledger."):
        return sqlite3.OperationalError(DISK_ERRORS[kind % len(DISK_ERRORS)])
    code = (errno.ENOSPC, errno.EIO)[kind % 2]
    return OSError(code, {errno.ENOSPC: "No space left on device", errno.EIO: "Input/output error"}[code])


class _Watched(Faults):
    """Tells the stage of every job whose answer was sent whole."""

    def __init__(self, spec: Iterable[str], seed: int, stage: "Stage") -> None:
        super().__init__(spec, seed)
        self._stage = stage
        self.counts = stage.injected

    def first_of(self, names: Iterable[str], provider: str, prompt: str) -> str | None:
        found = super().first_of(names, provider, prompt)
        if names is AFTER_ACCEPTING and found is None and provider in ("runway", "fal"):  # the others: OddApp
            self._stage.answered.add(next(reversed(self._stage.cloud._jobs)))
        return found


_RANDOM = re.compile(r"(?<=cluster-)[0-9a-f]{12}|(?<=\.)[0-9a-f]{16}(?=\.part)")


class Stage(Studio):
    """One project, one cloud. `answered`: jobs whose id was sent back whole; `injected`: faults so far, by name."""

    def __init__(self, root: Path, seed: int, **options: Any) -> None:
        self.answered: set[str] = set()
        self.injected: Counter[str] = Counter()
        self.story: list[str] = []
        self.deaths: set[float] = set()
        self.wall_s = 0.0
        self.meddled: set[str] = set()
        self.world = World()
        self.calm_runs: list[tuple[float, frozenset[str]]] = []
        """When runs of all shots began that nothing disturbed, not even a want of money, and where they might buy."""
        self.unwritable: list[tuple[float, float]] = []
        """From when to when a process that was killed had been unable to write anything."""
        self.unread: list[tuple[float, float]] = []
        """From when to when one that was killed could not commit: what it wrote beside is for the next run to read."""
        self.outages = 0
        """Power losses so far."""
        self.safe = Disk(root)
        self._weathers = 0
        self._bytes: dict[str, tuple[bytes, bytes]] = {}
        super().__init__(root, seed=seed)
        self.judge = self._judge
        self.hung = False
        self._idle_since = math.inf
        self.clock._autojump = self._jump_or_give_up  # trio's own hook for a clock that may jump
        self.clouds.clear()
        self.new_cloud(**options)
        self.weather(())

    def _jump_or_give_up(self) -> None:
        """To the next deadline. If nobody waits for any, nothing will ever happen again: a person presses Ctrl-C."""
        seconds = trio.lowlevel.current_statistics().seconds_to_next_deadline
        if 0 < seconds < math.inf:
            self._idle_since = math.inf
            self.clock.jump(seconds)
            return
        self._idle_since = min(self._idle_since, time.monotonic())
        if time.monotonic() - self._idle_since > IDLE_S and not self.hung:
            self.hung = True
            self.note("everybody waits for ever")
            signal.raise_signal(signal.SIGINT)

    def weather(self, faults: Iterable[str]) -> None:
        """Other faults from now on; with none, stuck jobs come to their end."""
        self._weathers += 1
        faults = tuple(faults)
        self.cloud.faults = _Watched(faults, self.seed * 1000 + self._weathers, self)
        if not faults:
            self.heal_jobs()

    def services(self) -> Services:
        """The machine's own clock may be wrong; the provider's is not."""
        return replace(super().services(), now=lambda: self.now() + self.wall_s)

    def app(self) -> OddApp:
        return OddApp(self)

    async def _judge(self, path: Path, wanted: Wanted) -> Judgement:
        """The tools that are here: they may lack a decoder, and then say nothing of the clip."""
        found = await fake_judge(path, wanted)
        if not self.world.lacking or found.facts is None:
            return found
        self.injected["no_decoder"] += 1
        unsure = self.world.lacking == "perhaps"
        verdict = Verdict.DAMAGED if unsure else Verdict.NOT_JUDGED
        return Judgement(verdict=verdict, reason="no decoder for av1", facts=found.facts, lacking=unsure)

    def note(self, text: str) -> None:
        """A line of the story, with the virtual time, and without the random names of folders and files."""
        text = _RANDOM.sub("…", text)
        self.story.append(f"{self.clock.current_time():10,.1f} s  {text}")

    def _tell(self, record: Mapping[str, Any]) -> None:
        super()._tell(record)
        self.note(f"    {record['shot'] or '-'}: {record['text']}")

    # ── the truth ─────────────────────────────────────────────────────────────────────────────────────────────────

    def truth(self) -> "list[Bought]":
        """All jobs that the provider accepted, oldest first."""
        now = self.cloud._advance()
        told = self.answered
        found = []
        for job in self.cloud._jobs.values():
            one = Bought.of(job, now, answered=job.id in told, factor=self._untold_factor(job))
            if one.provider == "runway" and self.world.factor > 1:
                estimate = job.order.estimate_micro
                one = replace(one, surprise=estimate - estimate // self.world.factor)
            found.append(one)
        return found

    def _untold_factor(self, job: Job) -> int:
        """By how much the job costs more than anybody could know: its quote never came."""
        told = job.id in self.answered and job.created_at not in self.deaths
        return 1 if told or job.order.provider != "runway" else self.world.factor

    def id_may_be_lost(self, job: "Bought") -> bool:
        """Whether its answer did not come whole, or the process died before it could be written anywhere."""
        return (
            not job.answered
            or job.created_at in self.deaths
            or any(start - LONGEST_ANSWER_S <= job.created_at <= end for start, end in (*self.unwritable, *self.unread))
        )

    def kept_aside(self) -> bytes:
        """Answers that wait to be written into the ledger, as they lie on the disk."""
        path = self.outputs / ".vgen/orders"
        return path.read_bytes() if path.exists() else b""

    def true_bytes(self, job_id: str) -> tuple[bytes, bytes]:
        """A job's file as it was rendered, and as it would look damaged."""
        if job_id not in self._bytes:
            data = _at_once(plain_renderer(self.cloud.clip(self.cloud._jobs[job_id])))
            self._bytes[job_id] = data, damaged(data)
        return self._bytes[job_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """One accepted job as the provider knows it; money in micro-dollars. `open`: it may still come to cost `limit`."""

    id: str
    provider: str
    prompt: str
    seconds: float
    charged: int
    limit: int
    open: bool
    state: State
    faults: frozenset[str]
    created_at: float
    answered: bool
    wasted_s: float
    """How long it had been running, or done, when it was cancelled or deleted; 0 if it was not."""
    surprise: int = 0
    """By how much its quote was above the list."""
    quoted: bool = True
    """Whether its quote came when it was ordered."""
    gone: bool = False
    """Its video is not at the provider any more."""
    image: str | None = None
    """The picture that it was ordered with, as a recipe names it."""

    @classmethod
    def of(cls, job: Job, now: float, *, answered: bool, factor: int = 1) -> "Bought":
        ended = job.state(now) in (State.SUCCEEDED, State.FAILED, State.CANCELLED)
        stopped_at = min(job.cancelled_at, job.deleted_at)
        wasted_s = stopped_at - job.started_at if stopped_at < math.inf else 0.0
        return cls(
            id=job.id,
            provider=vendors.SECTION_OF[job.order.provider],
            prompt=job.order.prompt,
            seconds=vendors.ordered_s(job.order),
            charged=job.charged_micro(now),
            limit=job.order.estimate_micro // factor,
            open=not ended,
            state=job.state(now),
            faults=job.faults,
            created_at=job.created_at,
            answered=answered,
            wasted_s=wasted_s,
            quoted=factor == 1,
            gone=now >= vendors.kept_until(job),
            image=image_sent(job.order),
        )

    @property
    def agreed(self) -> int:
        """What it has cost or may come to cost, without an overrun that nobody could know of."""
        return self.limit if self.open else min(self.charged, self.limit)

    @property
    def overrun(self) -> int:
        return max(0, self.charged - self.limit)


def _at_once(made: Any) -> bytes:
    """The result of a coroutine that never waits."""
    try:
        made.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")
