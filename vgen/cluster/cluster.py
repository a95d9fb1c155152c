"""Hands on many machines: each job is asked of a worker, a lost one again, and in the end it is done here.

Good news is believed as far as it can be checked; bad news (a clip that is damaged, an address that is blocked) is
looked into here, so that a worker that lies can neither fail a shot nor have it bought again.
"""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, cast

import trio

from vgen.cluster import facts, plain
from vgen.cluster.order import APPEARS_S
from vgen.cluster.pool import Answer, Pool
from vgen.media.container import MP4
from vgen.media.hands import Bring, Brought, Done, Drawn, Encode, Hands, Job, Look, Made, Outcome, Poster, Put
from vgen.media.judge import Verdict, shortcomings
from vgen.media.offload import BIG_BYTES, off_loop
from vgen.store import atomic, failpoints

TRIES = 3
"""Of a job that is lost, with a pause between; then it is done here."""
TRIED_THERE = 3
"""Tries of one download that go to workers: the head's own network may be better."""
PAUSE_S = 0.5
RANKS: dict[type[Job[Any]], int] = {Put: 0, Encode: 1, Look: 1, Poster: 2, Bring: 3}
"""What makes a clip complete goes before what begins one."""


class Cluster:
    """`Hands` of a pool of workers, with `here` to fall back on. `brings`: whether they can reach the providers."""

    def __init__(self, pool: Pool, here: Hands, *, brings: bool = True) -> None:
        self._pool, self._here, self._brings = pool, here, brings
        self._cores = trio.CapacityLimiter(here.at_once)

    @property
    def at_once(self) -> int:
        """The pool itself bounds what is out."""
        return 1_000

    async def do(self, job: Job[Done]) -> Done:
        """Raises OSError."""
        elsewhere = self._brings or not isinstance(job, Bring) or job.kept
        if elsewhere and not (isinstance(job, Bring) and job.attempt > TRIED_THERE):
            async with self._pool.slots.one(RANKS[type(job)]):
                found = await self._there(job)
            if found is not None:
                return cast("Done", found)
        if RANKS[type(job)] == RANKS[Bring]:  # a judge has its own limit
            return await self._here.do(job)
        async with self._cores:
            return await self._here.do(job)

    async def _there(self, job: Job[Any]) -> Any:
        """What a worker made of it; None: it is to be done here."""
        why = ""
        for attempt in range(TRIES):
            if not await self._pool.has_workers():
                why = why or "no worker is left"
                break
            answer, stem = Answer(lost=f"a job took longer than {self._pool.timeout_s:g} s"), self._stem(job)
            with trio.move_on_after(self._pool.timeout_s):
                answer = await self._ask(job, stem)
            if not answer.lost:
                try:
                    found = await self._believed(job, answer, stem)
                except facts.Untrue as exc:
                    why = f"what {answer.worker or 'a worker'} answered is not believed ({exc})"
                    break
                except OSError as exc:  # if it is this machine's own trouble, the job will tell so here
                    why = f"a worker's file can't be taken ({exc.strerror or type(exc).__name__})"
                    break
                return self._believable(job, found)
            why = answer.lost
            if answer.killed:
                why = "a job ended its workers"
                break
            await trio.sleep(PAUSE_S * 2**attempt)
        self._pool.told(why)
        return None

    def _stem(self, job: Job[Any]) -> int:
        return job.purchase_id if isinstance(job, Bring) else self._pool.number()

    async def _ask(self, job: Job[Any], stem: int, *, avoid: str = "") -> Answer:
        said = plain.written(job, self._pool.folder, stem)
        several = len(self._pool.workers) > 1
        where = BIG_BYTES if several and isinstance(job, Bring | Put) else 0
        rank = RANKS[type(job)]
        return await self._pool.ask(
            self._pool.number(), type(job).__name__, said, priority=-rank, where=where, avoid=avoid
        )

    def _believable(self, job: Job[Any], found: Any) -> Any:
        """Good news, and what costs no more than another try; None: it is to be seen here."""
        if isinstance(found, Brought) and found.outcome is Outcome.DONE and found.judgement is not None:
            if found.judgement.verdict is Verdict.GOOD and _is_consistent(found, cast("Bring", job)):
                return found
            return None if cast("Bring", job).kept else dataclasses.replace(found, judgement=None)
        if isinstance(found, Brought | Made) and found.outcome in (Outcome.DISK, Outcome.FULL):
            by = getattr(found, "by", "") or "a worker"
            self._pool.told(f"{by} can't write to the outputs ({found.reason})")
        again = (Outcome.BROKE, Outcome.SLOW) if isinstance(found, Brought) and not cast("Bring", job).kept else ()
        is_good = isinstance(found, Drawn) or found.outcome is Outcome.DONE or found.outcome in again
        return found if is_good else None

    async def _believed(self, job: Job[Any], answer: Answer, stem: int) -> Any:
        """Facts, with their file under the job's name. Raises facts.Untrue, OSError."""
        found = await self._appeared(job, answer.said, stem)
        if isinstance(found, Brought | Made) and found.outcome is Outcome.DONE and found.part is not None:
            if isinstance(job, Bring | Put) and not await self._has(found, answer.worker):
                found.part.unlink(missing_ok=True)
                raise facts.Untrue("other bytes than it said")
            target = cast("Path", cast("Any", job).part)
            with failpoints.failpoint("part.take"):
                found.part.replace(target)
                atomic.sync_directory(target.parent)
            found = dataclasses.replace(found, part=target)
        return found

    async def _appeared(self, job: Job[Any], said: str, stem: int) -> Any:
        """What another machine has just written may be seen here a little later."""
        with trio.move_on_after(APPEARS_S):
            while True:
                with contextlib.suppress(facts.NotYet):
                    return facts.read(job, said, self._pool.folder, stem)
                await trio.sleep(0.2)
        raise facts.Untrue("no such file")

    async def _has(self, found: Brought | Made, worker: str) -> bool:
        """Whether a file has the bytes that were told: a big one is hashed by another worker, if there is one."""
        assert found.part is not None, "BUG: no file"
        if found.size_bytes > BIG_BYTES and worker and len(self._pool.workers) > 1:
            look = Look(path=found.part)
            stem = self._stem(look)
            with trio.move_on_after(self._pool.timeout_s):
                answer = await self._ask(look, stem, avoid=worker)
                if not answer.lost:
                    return bool(facts.read(look, answer.said, self._pool.folder, stem).sha256 == found.sha256)
        return bool(await off_loop(found.size_bytes, atomic.sha256, found.part) == found.sha256)


def _is_consistent(found: Brought, job: Bring) -> bool:
    """Whether what is told of a clip that is called good is a good clip: its figures are those that were asked for."""
    said = found.judgement
    if said is None or said.facts is None or said.suffix != MP4.suffix:
        return False
    same_file = job.kept or said.facts.size_bytes == found.size_bytes
    return same_file and not shortcomings(said.facts, job.wanted)
