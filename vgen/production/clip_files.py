"""What lies under the clips' names: vgen's own files, somebody's edits, damage. Puts nothing there, takes nothing away.

A file that still has the size and time that vgen gave it is not opened. One that changed is hashed, and judged once.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from vgen.errors import LedgerError, MediaError, NotJudged, ToolMissing
from vgen.inputs.settings import Settings
from vgen.plan.decision import File
from vgen.plan.request import ShotRequest
from vgen.production import run
from vgen.store import atomic
from vgen.store.ledger import Ledger
from vgen.store.outputs import Outputs
from vgen.store.records import Placed, Snapshot, Take


class ClipFiles:
    """Looks at the clips of one project. `may_write`: the lock is held, so what is found may be noted."""

    def __init__(self, settings: Settings, outputs: Outputs, now: Callable[[], float]) -> None:
        self._settings, self._outputs, self._now = settings, outputs, now
        self._seen: dict[tuple[str, int, int], File] = {}
        self._facts: dict[str, str] = {}
        self.may_write = False
        self.noted = False
        """Whether the ledger knows more of a clip than the snapshot that was looked at."""

    def states(self, requests: Mapping[str, ShotRequest], snapshot: Snapshot) -> dict[str, File]:
        """How the files stand under the names of shots and under all that vgen ever filled; one stat a clip."""

        def look(name: str, row: Placed | None) -> File:
            return self._look(name, row, requests.get(name), snapshot)

        return run.inspect(self._outputs, {*requests, *snapshot.placed}, snapshot.placed, look)

    def _look(self, name: str, row: Placed | None, request: ShotRequest | None, snapshot: Snapshot) -> File:
        """A clip's file that is not as vgen left it: touched, edited, damaged, or never vgen's."""
        clip = self._outputs.clips / name
        if clip.is_symlink() or not clip.is_file():
            return File.EDITED
        stat = clip.stat()
        seen = (name, stat.st_size, stat.st_mtime_ns)
        if seen not in self._seen:
            digest = atomic.sha256(clip)
            take = snapshot.takes.get(row.purchase_id) if row else None
            if take and digest == take.sha256:
                self._seen[seen] = File.INTACT
            elif row and digest == row.sha256:
                self._seen[seen] = File.EDITED if row.edited else File.INTACT
            elif any(
                other.sha256 == digest and _may_lie(other, row, request, snapshot) for other in snapshot.takes.values()
            ):
                self._seen[seen] = File.DAMAGED  # a run was killed between the name and its commit: may be replaced
            else:
                self._seen[seen] = self._judged(clip) if row or _has_take(request, snapshot) else File.EDITED
            self._remember(row, digest, stat, self._seen[seen])
        return self._seen[seen]

    def _remember(self, row: Placed | None, digest: str, stat: os.stat_result, state: File) -> None:
        """What was found out about a changed file need not be found out again. Only the holder of the lock writes."""
        if row is None or not self.may_write or state is File.DAMAGED:
            return
        seen = Placed(
            name=row.name,
            shot_number=row.shot_number,
            purchase_id=row.purchase_id,
            sha256=digest,
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            edited=state is File.EDITED,
            facts=self._facts.get(row.name, row.facts) if state is File.EDITED else None,
        )
        with (
            contextlib.suppress(LedgerError),
            contextlib.closing(Ledger(self._outputs.ledger, now=self._now)) as ledger,
        ):
            ledger.place(seen)
            self.noted = True

    def _judged(self, clip: Path) -> File:
        """Whether a changed file is a video still; when nobody can tell, it counts as an edit."""
        from vgen.media.probe import decode, probe
        from vgen.media.tools import find_tools

        async def judge() -> None:
            tools = find_tools(self._settings.ffmpeg, self._settings.ffprobe)
            facts = await probe(tools, clip)
            await decode(tools, clip, facts.duration_s)
            self._facts[clip.name] = json.dumps(dataclasses.asdict(facts))

        try:
            _in_a_trio_of_its_own(judge)
        except (NotJudged, ToolMissing):
            return File.EDITED
        except MediaError:
            return File.DAMAGED
        return File.EDITED


def _has_take(request: ShotRequest | None, snapshot: Snapshot) -> bool:
    """Whether the shot has a good take: a run that was killed may have put it in place already."""
    rows = [row for digest in request.digests() for row in snapshot.by_recipe.get(digest, ())] if request else []
    return any(row.id in snapshot.takes and snapshot.takes[row.id].good for row in rows)


def _may_lie(take: Take, row: Placed | None, request: ShotRequest | None, snapshot: Snapshot) -> bool:
    """Whether vgen itself may have put a take under this name: nobody's copy of another shot's clip."""
    if row is None:
        return True
    if request is not None:
        digests = request.digests()
        chosen = {snapshot.chosen[digest].purchase_id for digest in digests & snapshot.chosen.keys()}
        if take.recipe in digests or take.purchase_id in chosen:
            return True
    elsewhere = any(other.purchase_id == take.purchase_id for other in snapshot.placed.values())
    return not elsewhere and snapshot.purchases[take.purchase_id].shot_number == row.shot_number


def _in_a_trio_of_its_own(act: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function in a thread of its own: the caller may stand inside a trio run."""
    import trio

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(trio.run, act).result()
