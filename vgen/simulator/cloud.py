"""Holds the simulated providers' jobs and the truth about money. Knows no HTTP and no media bytes."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from vgen.money import micros, usd
from vgen.providers import CODECS
from vgen.simulator import jobs
from vgen.simulator.faults import JOB_END, JOB_EXTRA, JOB_SIZE, Faults, prefixes
from vgen.simulator.jobs import ENDED, Clip, Job, Order, State
from vgen.simulator.journal import Journal
from vgen.simulator.lane import Lane
from vgen.simulator.storage import Storage

NewId = Callable[[int, float], str]
"""A vendor's id for a job, from 128 random bits and the moment of its creation."""

SLOW_FACTOR = 10
NOTHING: frozenset[str] = frozenset()


def uuid4(bits: int, created_at: float) -> str:  # noqa: ARG001 - a NewId
    """A job id as Runway and fal have them."""
    return str(UUID(int=bits, version=4))


class Cloud:
    """All simulated providers, by protocol, with one account each.

    `now` gives Unix seconds (virtual ones will do). `journal` makes it outlive its process. `credits_usd` is
    what each account holds (None: no end). `extra_models`: a protocol or its usual section, then the
    model, then micro-dollars a second, sold besides the tables. `extra_rows`: further rows for the table of fal's
    endpoints. `label` gives the words for a prompt on its clip.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        faults: Faults | None = None,
        journal: Path | None = None,
        queue_s: float = 0.2,
        render_s: float = 1.0,
        concurrency: int = 5,
        seed: int = 0,
        extra_models: Mapping[str, Mapping[str, int]] | None = None,
        extra_rows: Mapping[str, Mapping[str, Any]] | None = None,
        credits_usd: Decimal | None = None,
        label: Callable[[str], str] | None = None,
    ) -> None:
        self._now = now
        self.faults = faults or Faults()
        self.queue_s = queue_s
        self.render_s = render_s
        self.concurrency = concurrency
        self._credits_micro = None if credits_usd is None else micros(credits_usd)
        self._label = label or (lambda _: "")
        self.extra_models: dict[str, dict[str, int]] = {protocol: {} for protocol in CODECS}
        for name, models in (extra_models or {}).items():
            for protocol in prefixes()[name]:
                self.extra_models[protocol].update(models)
        self.extra_rows = dict(extra_rows or {})
        self._jobs: dict[str, Job] = {}
        self._made: Counter[str] = Counter()
        self._versions: dict[str, int] = {}
        """Prompt → clips made of it; job → the how-manieth it is, if not the first."""
        self._lanes = {protocol: Lane(concurrency) for protocol in CODECS}
        self._unended: dict[str, set[str]] = {protocol: set() for protocol in CODECS}
        self._peak: Counter[str] = Counter(dict.fromkeys(CODECS, 0))
        self.requests: Counter[str] = Counter()
        """How many requests of each kind came in."""
        self.storage = Storage()
        self.ignored: Counter[str] = Counter()
        """Fields that clients sent and vendors ignored, as `protocol: path`: each may have bought the wrong clip."""
        self._journal = Journal(journal) if journal else None
        self._load()
        self._seed, self._tokens = seed, 0
        self._ids = random.Random(f"{seed}/{len(self._jobs)}")  # noqa: S311 - repeatable, not secret

    # --- buying

    def now(self) -> float:
        return self._now()

    def affords(self, order: Order) -> bool:
        """Whether the provider's account still holds the order's estimate."""
        left = self.left_micro(order.provider)
        return left is None or order.estimate_micro <= left

    def left_micro(self, provider: str) -> int | None:
        """What the account holds beyond what is charged or may yet be; None for no end."""
        if self._credits_micro is None:
            return None
        now = self._advance()
        mine = [job for job in self._jobs.values() if job.order.provider == provider]
        return self._credits_micro - sum(job.charged_micro(now) + job.held_micro(now) for job in mine)

    def accept(self, order: Order, *, fate: str = "", new_id: NewId = uuid4) -> Job:
        """Take the order: it runs and is charged, whatever becomes of the answer.

        `fate`: the one fault that this job has, where its vendor has decided that.
        """
        now = self._advance()
        job = Job(
            id=self._fresh_id(new_id, now),
            order=order,
            created_at=now,
            queue_s=self.queue_s,
            render_s=self.render_s,
            faults=frozenset({fate}) if fate else self._draw(order),
        )
        if "job_slow" in job.faults:
            job = replace(job, render_s=job.render_s * SLOW_FACTOR)
        self._log({"event": "create", "at": now, "job": jobs.to_json(job)})
        self._enter(job)
        return job

    def cancel(self, job: Job) -> State:
        """Cancel it if it has not ended. Returns the state that it was found in."""
        now = self._advance()
        state = self._jobs[job.id].state(now)
        if state not in ENDED:
            self._log({"event": "cancel", "at": now, "id": job.id})
            self._cancel(job.id, now)
        return state

    def delete(self, job: Job) -> None:
        """Forget it, as far as `find` is concerned."""
        now = self._advance()
        self._log({"event": "delete", "at": now, "id": job.id})
        self._jobs[job.id] = replace(self._jobs[job.id], deleted_at=now)

    # --- looking

    def find(self, provider: str, job_id: str) -> Job | None:
        """The job as it is now, unless it was deleted."""
        now = self._advance()
        job = self._jobs.get(job_id) or self._jobs.get(job_id.lower())
        return job if job and job.order.provider == provider and job.deleted_at > now else None

    def any_job(self, job_id: str) -> Job | None:
        """The job, whoever's it is; for the media host."""
        self._advance()
        job = self._jobs.get(job_id)
        return job if job and job.deleted_at == math.inf else None

    def state(self, job: Job) -> State:
        """Its state now."""
        now = self._advance()
        held_up = self._lanes[job.order.provider].is_held_up(job.id, now)
        return State.THROTTLED if held_up else self._jobs[job.id].state(now)

    def place(self, job: Job) -> int:
        """How many jobs wait in front of this one."""
        return self._lanes[job.order.provider].ahead(job.id)

    def progress(self, job: Job) -> float:
        """From 0 to 1, by the clock; a stuck job comes to 0.99."""
        done = (self.now() - job.started_at) / job.render_s if job.render_s else 1.0
        return min(max(round(done, 2), 0.0), 0.99)

    def charged_micro(self, job: Job) -> int:
        return self._jobs[job.id].charged_micro(self._advance())

    def clip(self, job: Job) -> Clip:
        """What this job delivers."""
        label, version = self._label(job.order.prompt), self._versions.get(job.id, 1)
        return jobs.clip_of(job, label, version, lambda uri: self.storage.find(uri, self.now()))

    def all_jobs(self, provider: str) -> list[Job]:
        """The provider's jobs, oldest first, deleted ones too."""
        self._advance()
        return [job for job in self._jobs.values() if job.order.provider == provider]

    def charges(self) -> dict[str, Any]:
        """The truth, as JSON: what was charged for what, and what was asked for how often."""
        now = self._advance()
        return {
            "total_usd": usd(sum(job.charged_micro(now) for job in self._jobs.values())),
            "creates": len(self._jobs),
            "jobs": [
                {
                    "id": job.id,
                    "provider": job.order.provider,
                    "model": job.order.model,
                    "prompt": job.order.prompt,
                    "state": self.state(job).value,
                    "estimate_usd": usd(job.order.estimate_micro),
                    "charged_usd": usd(job.charged_micro(now)),
                    "created_at": job.created_at,
                    "faults": sorted(job.faults),
                }
                for job in self._jobs.values()
            ],
            "requests": dict(sorted(self.requests.items())),
            "peak_in_flight": dict(self._peak),
            "faults": dict(sorted(self.faults.counts.items())),
            "ignored": dict(sorted(self.ignored.items())),
        }

    # --- within

    def _draw(self, order: Order) -> frozenset[str]:
        """What will go wrong with this job, decided once."""
        pick = self.faults.first_of
        who = (order.provider, order.prompt)
        drawn = {pick(JOB_END, *who), pick(JOB_SIZE, *who), *(pick([name], *who) for name in JOB_EXTRA)}
        if not order.billing.tells:
            drawn.discard("price_overrun")
        return frozenset(filter(None, drawn)) if any(drawn) else NOTHING

    def token(self) -> str:
        """A name that nobody can guess, for a file."""
        self._tokens += 1
        return str(UUID(int=random.Random(f"{self._seed}/{self._tokens}").getrandbits(128), version=4))  # noqa: S311

    def _fresh_id(self, new_id: NewId, now: float) -> str:
        while True:
            job_id = new_id(self._ids.getrandbits(128), now)
            if job_id not in self._jobs:
                return job_id

    def _enter(self, job: Job) -> None:
        provider = job.order.provider
        if job.fails_at_once:
            job = replace(job, ended_at=job.created_at)
        self._jobs[job.id] = job
        if not job.fails:
            self._made[job.order.prompt] += 1
            if self._made[job.order.prompt] > 1:
                self._versions[job.id] = self._made[job.order.prompt]
        if "job_queued" not in job.faults and not job.fails_at_once:
            ready_at = job.created_at + job.queue_s
            self._lanes[provider].enter(job.id, ready_at=ready_at, takes_s=job.render_s)
        unended = self._unended[provider]
        unended.add(job.id)
        unended -= {one for one in unended if self._jobs[one].state(job.created_at) in ENDED}
        self._peak[provider] = max(self._peak[provider], len(unended))

    def _cancel(self, job_id: str, at: float) -> None:
        self._jobs[job_id] = replace(self._jobs[job_id], cancelled_at=at)
        self._lanes[self._jobs[job_id].order.provider].leave(job_id, at)

    def _advance(self, until: float | None = None) -> float:
        """Start every job whose turn has come. Returns the moment up to which this is done."""
        now = self._now() if until is None else until
        for lane in self._lanes.values():
            while started := lane.next_start(now):
                job = self._jobs[started[0]]
                # A stuck job gives its place back in time: its runner is gone, only its record never learns.
                ended_at = math.inf if "job_stuck" in job.faults else started[1] + job.render_s
                self._jobs[job.id] = replace(job, started_at=started[1], ended_at=ended_at)
        return now

    def _log(self, event: Mapping[str, Any]) -> None:
        if self._journal:
            self._journal.append(event)

    def _load(self) -> None:
        """Live through the journal again: states follow from the events and the clock."""
        events = self._journal.load() if self._journal else []
        for event in events:
            self._advance(event["at"])
            match event["event"]:
                case "create":
                    self._enter(jobs.from_json(event["job"]))
                case "cancel":
                    self._cancel(event["id"], event["at"])
                case "delete":
                    self._jobs[event["id"]] = replace(self._jobs[event["id"]], deleted_at=event["at"])
                case other:
                    raise ValueError(f"the simulator's journal holds an unknown event {other!r}; move it away")
        if events:
            self.faults.reseed(len(events))
