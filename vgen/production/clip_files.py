"""The state of each clip's file: as vgen left it, edited by somebody, damaged, or missing. Changes no file.

A file that still has the size and time that vgen gave it is not opened. One that changed is hashed, and judged once.
"""

import concurrent.futures
import contextlib
import dataclasses
import json
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from vgen.errors import LedgerError, MediaError, NotJudged, ToolMissing
from vgen.inputs.settings import Settings
from vgen.plan.decision import File
from vgen.plan.request import ShotRequest
from vgen.production.services import Services
from vgen.store import atomic
from vgen.store.ledger import Ledger
from vgen.store.outputs import Outputs, Stat
from vgen.store.records import Placed, Snapshot, Take


class ClipFiles:
    """Looks at the clips of one project, and remembers what it found out about files that changed."""

    def __init__(self, settings: Settings, outputs: Outputs, services: Services) -> None:
        self._settings, self._outputs, self._services = settings, outputs, services
        self._seen: dict[tuple[str, int, int], File] = {}
        self._facts: dict[str, str] = {}
        self.stats: Mapping[str, Stat] = {}
        """Clip name → its file as it was looked at last."""

    def look(
        self, requests: Mapping[str, ShotRequest], snapshot: Snapshot, *, may_write: bool
    ) -> tuple[dict[str, File], bool]:
        """Clip name → the state of its file, for the names of shots and all that vgen ever filled; one stat a clip.

        `may_write`: the lock is held, so the ledger may be told. The second value: it was, and knows more than
        `snapshot` now.
        """
        learnt: list[Placed] = []

        def changed(name: str, row: Placed | None) -> File:
            return self._look(name, row, requests.get(name), snapshot, learnt)

        self.stats = self._outputs.clip_stats()
        states = inspect_names(self.stats, {*requests, *snapshot.placed}, snapshot.placed, changed)
        noted = False
        if learnt and may_write:
            with (
                contextlib.suppress(LedgerError),
                contextlib.closing(Ledger(self._outputs.ledger, now=self._services.now)) as ledger,
            ):
                for seen in learnt:
                    ledger.place(seen)
                    noted = True
        return states, noted

    def _look(
        self,
        name: str,
        row: Placed | None,
        request: ShotRequest | None,
        snapshot: Snapshot,
        learnt: list[Placed],
    ) -> File:
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
            if row is not None and self._seen[seen] is not File.DAMAGED:
                learnt.append(self._as_placed(row, digest, stat, self._seen[seen]))
        return self._seen[seen]

    def _as_placed(self, row: Placed, digest: str, stat: os.stat_result, state: File) -> Placed:
        """What was found out about a changed file, so that it need not be found out again."""
        edited = state is File.EDITED
        return dataclasses.replace(
            row,
            sha256=digest,
            size_bytes=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            edited=edited,
            facts=self._facts.get(row.name, row.facts) if edited else None,
        )

    def _judged(self, clip: Path) -> File:
        """Whether a changed file is a video still; when nobody can tell, it counts as an edit."""

        async def judge() -> None:
            facts = await self._services.inspect(self._settings, clip)
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
    rows = [row for digest in request.all_digests() for row in snapshot.by_recipe.get(digest, ())] if request else []
    return any(row.id in snapshot.takes and snapshot.takes[row.id].good for row in rows)


def _may_lie(take: Take, row: Placed | None, request: ShotRequest | None, snapshot: Snapshot) -> bool:
    """Whether vgen itself may have put a take under this name: nobody's copy of another shot's clip."""
    if row is None:
        return True
    if any(lock.purchase_id == take.purchase_id for lock in snapshot.locks):
        return True
    if request is not None:
        digests = request.digests()
        chosen = {snapshot.chosen[digest].purchase_id for digest in digests & snapshot.chosen.keys()}
        if take.recipe in request.all_digests() or take.purchase_id in chosen:
            return True
    elsewhere = any(other.purchase_id == take.purchase_id for other in snapshot.placed.values())
    return not elsewhere and snapshot.purchases[take.purchase_id].shot_number == row.shot_number


def _in_a_trio_of_its_own(act: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function in a thread of its own: the caller may stand inside a trio run."""
    import trio

    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(trio.run, act).result()


def is_as_seen(outputs: Outputs, name: str, seen: Stat | None, placed: Placed | None, take: Take | None) -> bool:
    """Whether a clip's file may be replaced or removed: nobody has touched it since the plan, and vgen's own is vgen's.

    `seen`: as the plan saw it, None if it saw none; `take`: what is to be put there.
    """
    clip = outputs.clips / name
    try:
        stat = clip.lstat()
    except FileNotFoundError:
        return True
    now = Stat(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)
    ours = placed is not None and not placed.edited
    if now == seen or (ours and placed and (placed.size_bytes, placed.mtime_ns) == (now.size_bytes, now.mtime_ns)):
        return True
    known = {take.sha256 if take else "", placed.sha256 if ours and placed else ""}
    return clip.is_file() and atomic.sha256(clip) in known


def inspect_names(
    stats: Mapping[str, Stat],
    names_: Collection[str],
    placed: Mapping[str, Placed],
    look: Callable[[str, Placed | None], File],
) -> dict[str, File]:
    """Clip name → the state of its file. One stat a clip; `look` judges only files that vgen did not leave so."""
    found: dict[str, File] = {}
    for name in names_:
        row, stat = placed.get(name), stats.get(name)
        if stat is None:
            found[name] = File.MISSING
        elif row is not None and (row.size_bytes, row.mtime_ns) == (stat.size_bytes, stat.mtime_ns):
            found[name] = File.EDITED if row.edited else File.INTACT
        else:
            found[name] = look(name, row)
    return found
