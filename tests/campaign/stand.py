"""One project of the campaign and its provider, in the shape that the simulation's invariants ask for."""

import contextlib
import hashlib
import json
import shutil
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

from simulation.stage import Bought, _at_once
from simulation.world import World
from workshop import Project

from campaign.provider import Served, tagged, told_by
from vgen.simulator.cloud import Cloud
from vgen.simulator.renderers import damaged


class _Damaged(Counter[str]):
    """The server does not count what it damages on the way: where it damages at all, any job may have come so twice."""

    def __init__(self, stand: "Stand") -> None:
        super().__init__()
        self._stand = stand

    def __missing__(self, job: str) -> int:
        return 2 if self._stand.injected["media_damaged"] else 0


class Stand(Project):
    """A directory as a user has it. `served` is None in simulate mode: there each run brings its provider along.

    `outputs` is a view for the judge: the ledger's files are copies, so that a journal which a killed process left
    is rolled back by vgen and by nobody else.
    """

    def __init__(self, root: Path, served: Served | None) -> None:
        super().__init__(root)
        self.served = served
        self.meddled: set[str] = set()
        self.link = None
        """No workers of a cluster are asked here."""
        self.world = World(damaged=_Damaged(self))
        self.deaths: frozenset[float] = frozenset()
        self._killed: list[tuple[float, float]] = []
        self._view = root.parent / "view"
        self._bytes: dict[str, tuple[bytes, bytes]] = {}

    def kept_aside(self) -> bytes:
        """Answers that wait to be written into the ledger, as they lie on the disk."""
        path = self.root / "outputs" / ".vgen" / "orders"
        return path.read_bytes() if path.exists() else b""

    def id_may_be_lost(self, job: Bought) -> bool:
        """Whether the answer that told it did not come whole, or came to a process that was killed."""
        return not job.answered

    # ── what happened ─────────────────────────────────────────────────────────────────────────────────────────────────

    def killed(self, began_at: float) -> None:
        """A process that began then was killed: what it was told since may be lost, also what was still on its way."""
        if self.served:
            self.served.drain()
        self._killed.append((began_at, time.time()))

    # ── the truth ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def injected(self) -> Counter[str]:
        return self.served.injected if self.served else Counter()

    def requests(self) -> dict[str, int]:
        return dict(self.served.ask(lambda: dict(self.served.cloud.requests))) if self.served else {}

    def truth(self) -> list[Bought]:
        """All jobs that the provider accepted, oldest first."""
        return self.served.ask(lambda: self._told(self.served.cloud)) if self.served else self._told(self._own_cloud())

    def _told(self, cloud: Cloud) -> list[Bought]:
        now = cloud._advance()
        return [Bought.of(job, now, answered=self._answered(job.id, job.created_at)) for job in cloud._jobs.values()]

    def _answered(self, job_id: str, at: float) -> bool:
        whole = self.served is None or job_id in self.served.answered
        return whole and not any(begin <= at <= end for begin, end in self._killed)

    def _own_cloud(self) -> Cloud:
        """The provider of simulate mode, as its journal tells."""
        copy = self._view / "simulator.jsonl"
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(self.root / "outputs" / ".vgen" / "simulator.jsonl", copy)
        return Cloud(now=time.time, journal=copy)

    def true_bytes(self, job_id: str) -> tuple[bytes, bytes]:
        """A job's file as it was rendered, and as it would look damaged. In simulate mode: as it first came."""
        if job_id not in self._bytes:
            if self.served:
                cloud = self.served.cloud
                data = _at_once(tagged(cloud.clip(cloud._jobs[job_id])))
            else:
                query = "SELECT takes.path FROM takes JOIN purchases ON id = purchase_id WHERE job_id = ?"
                with contextlib.closing(sqlite3.connect(self.outputs / "ledger.db")) as db:
                    data = (self.outputs / db.execute(query, [job_id]).fetchone()[0]).read_bytes()
            self._bytes[job_id] = data, damaged(data)
        return self._bytes[job_id]

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outputs(self) -> Path:
        return self._view

    def look(self) -> None:
        """See the outputs as they are now."""
        real = self.root / "outputs"
        self._view.mkdir(exist_ok=True)
        for name in ("ledger.db", "ledger.db-journal"):
            (self._view / name).unlink(missing_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(real / name, self._view / name)
        for name in ("clips", "takes", "clips.json", "production_report.json"):
            if not (self._view / name).is_symlink():
                (self._view / name).symlink_to(real / name)

    def clip(self, number: int) -> Path:
        return self.root / "outputs" / "clips" / f"clip_{number:03d}.mp4"

    def shown_clip(self, number: int) -> str:
        """The prompt of the film that lies under a clip's name."""
        data = self.clip(number).read_bytes()
        if self.served:
            return told_by(data)
        query = "SELECT manifest FROM purchases WHERE sha256 = ?"
        with contextlib.closing(sqlite3.connect(self.outputs / "ledger.db")) as db:
            return str(dict(json.loads(db.execute(query, [hashlib.sha256(data).hexdigest()]).fetchone()[0]))["prompt"])

    def read_shots(self) -> list[dict[str, Any]]:
        value: list[dict[str, Any]] = json.loads((self.root / "config" / "visual_prompts.json").read_text("utf-8"))
        return value

    def disk(self) -> dict[str, tuple[int, bytes]]:
        """Every file of the project with its time and content, but for the lock and compiled Python."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.name != "run.lock" and "__pycache__" not in path.parts:
                found[str(path.relative_to(self.root))] = (path.stat().st_mtime_ns, path.read_bytes())
        return found
