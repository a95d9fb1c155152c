"""One provider's queue: first in, first out, so many at once. Knows ids and moments, no jobs and no clock."""

import math


class Lane:
    """Who waits and who runs. Moments are Unix seconds, and must not go back."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._waiting: dict[str, tuple[float, float]] = {}
        self._frees_at: dict[str, float] = {}
        self._last_start = -math.inf

    def enter(self, job_id: str, *, ready_at: float, takes_s: float) -> None:
        """Queue up; it may start at `ready_at`, and holds a place for `takes_s`."""
        self._waiting[job_id] = (ready_at, takes_s)

    def leave(self, job_id: str, at: float) -> None:
        """Wait or run no longer: its place is free from `at`."""
        self._waiting.pop(job_id, None)
        if job_id in self._frees_at:
            self._frees_at[job_id] = min(at, self._frees_at[job_id])

    def next_start(self, now: float) -> tuple[str, float] | None:
        """Start the one whose turn it is, if its turn came by `now`: its id and the moment it started."""
        if not self._waiting:
            return None
        job_id, (ready_at, takes_s) = next(iter(self._waiting.items()))
        start = max(ready_at, self._last_start)
        if len(self._frees_at) >= self._concurrency:
            start = max(start, sorted(self._frees_at.values())[-self._concurrency])
        if start > now:
            return None
        del self._waiting[job_id]
        self._frees_at = {one: frees_at for one, frees_at in self._frees_at.items() if frees_at > start}
        self._frees_at[job_id] = start + takes_s
        self._last_start = start
        return job_id, start

    def ahead(self, job_id: str) -> int:
        """How many wait in front of it; 0 if it does not wait."""
        return list(self._waiting).index(job_id) if job_id in self._waiting else 0

    def is_held_up(self, job_id: str, now: float) -> bool:
        """Whether it waits because of the limit, not only for its start."""
        if job_id not in self._waiting:
            return False
        running = sum(frees_at > now for frees_at in self._frees_at.values())
        return running + self.ahead(job_id) >= self._concurrency
