"""A studio for tests: a project, a simulated cloud, virtual time; `doit` runs for real, in this process."""

import contextlib
import copy
import errno
import functools
import gc
import hashlib
import importlib.metadata
import inspect
import io
import itertools
import json
import math
import os
import random
import shutil
import sqlite3
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import canary
import trio
import trio.testing
from doit import plugin
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from fake_clips import FAKE_MAGIC, fake_judge

from vgen.cli.session import Session
from vgen.errors import MediaError
from vgen.inputs.settings import Settings
from vgen.media.judge import Judge, Wanted
from vgen.media.probe import Facts
from vgen.plan.request import ShotRequest
from vgen.production.http import HttpClient
from vgen.production.intent import Online
from vgen.production.run import Run
from vgen.production.services import Services
from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import Faults
from vgen.simulator.network import SimulatedNetwork
from vgen.simulator.renderers import plain_renderer
from vgen.store import atomic, failpoints
from vgen.views import terminal

TLS = ssl.create_default_context()
"""Made once: loading certificates takes longer than a whole simulated run."""
EPOCH = 1_795_000_000.0
KEYS = {"RUNWAY_API_KEY": "key_vgencanary0123456789abcdef", "FAL_KEY": "vgencanary:0123456789abcdef"}
ROOT = Path(__file__).resolve().parent.parent


def shots(n: int, *, duration: float = 5) -> list[dict[str, Any]]:
    """n plain shots; the prompt of shot k holds the word `shot-k`."""
    return [
        {
            "shot_number": k,
            "duration": duration,
            "runway_prompt": f"shot-{k} a paper boat",
            "transition": "cut",
        }
        for k in range(1, n + 1)
    ]


class Crash(BaseException):
    """The process is killed: nothing that comes after it is written any more."""


@dataclass(slots=True)
class CrashAt:
    """A `durable.Hook` that kills at the k-th point; nothing durable happens from then on. Counts points."""

    k: float = math.inf
    seen: int = 0
    names: list[str] | None = None

    def __call__(self, name: str, when: str) -> None:
        self.seen += 1
        if self.names is not None:
            self.names.append(f"{name} {when}")
        if self.seen >= self.k:
            raise Crash(f"{self.k}: {when} {name}")


@dataclass(slots=True)
class DiskErrorAt:
    """A `durable.Hook`: the k-th durable act fails as on a broken disk; `for_ever`: all after it too."""

    k: int
    for_ever: bool = False
    seen: int = 0

    def __call__(self, name: str, when: str) -> None:
        if when != "before":
            return
        self.seen += 1
        if self.seen == self.k or (self.for_ever and self.seen > self.k):
            if name.startswith("ledger."):
                raise sqlite3.OperationalError("disk I/O error")
            raise OSError(errno.EIO, "Input/output error")


@dataclass(frozen=True, slots=True)
class Kept:
    """A project on a shelf: its files, its cloud, its time."""

    files: Mapping[str, tuple[bytes, int]]
    cloud: Mapping[str, Any]
    at: float
    runs: int


RUNS_A_COLLECTION = 25
"""A run freezes what the collector has seen, to end with its process: thousands in one would pile up."""
_RUNS_HERE = itertools.count(1)


class Studio:
    """One project and its providers. `doit(...)` runs a command and gives its exit code."""

    def __init__(self, root: Path, *, live: bool = True, seed: int = 0) -> None:
        self.root = root
        self.seed = seed
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        self.environ: dict[str, str] = dict(KEYS) if live else {}
        self.lines: list[str] = []
        self.told: list[tuple[float, int | None, str]] = []
        self.clouds: list[Cloud] = []
        self.lines_of_credit = 1  # outputs directories that bought the same
        self.cloud = self.new_cloud()
        self.network_refuses = None
        self.judge: Judge = fake_judge
        self.link: Any = None
        self.fsync: Callable[[int], None] = lambda fd: None  # a disk's pace is its own
        self._runs = 0
        (root / "config").mkdir(parents=True)
        shutil.copy(ROOT / "config" / "api_config.json", root / "config")
        self.write_shots(shots(3))

    def now(self) -> float:
        return EPOCH + self.clock.current_time()

    def new_cloud(self, **options: Any) -> Cloud:
        """A provider with an empty account book."""
        faults = Faults(options.pop("faults", ()), self.seed)
        options = {"queue_s": 2.0, "render_s": 12.0, "concurrency": 50} | options
        self.cloud = Cloud(now=self.now, faults=faults, seed=100 * self.seed + len(self.clouds), **options)
        self.clouds.append(self.cloud)
        return self.cloud

    def faults(self, *faults: str, **options: Any) -> None:
        """Start over with a cloud that has these faults."""
        self.new_cloud(faults=faults, **options)

    def calm(self) -> None:
        """No more faults; the same cloud, the same jobs."""
        self.cloud.faults = Faults((), self.seed)

    def worsen(self, *faults: str) -> None:
        """Other faults from now on; the same cloud, the same jobs."""
        self.cloud.faults = Faults(faults, self.seed)

    def heal_jobs(self) -> None:
        """Jobs that would stay stuck or queued for ever end well, now."""
        now = self.now()
        self.cloud._advance()
        for job_id, job in self.cloud._jobs.items():
            if job.faults & {"job_stuck", "job_queued"} and job.cancelled_at > now:
                faults = job.faults - {"job_stuck", "job_queued"}
                started_at = min(job.started_at, now)
                if job.started_at > now and "job_queued" not in job.faults:  # it waits for its turn, and has had it now
                    self.cloud._lanes[job.order.provider].leave(job_id, now)
                self.cloud._jobs[job_id] = replace(job, faults=faults, started_at=started_at, ended_at=now)

    def pass_time(self, seconds: float) -> None:
        """Nobody works; the providers' clocks go on."""
        self.clock.jump(seconds)

    def write_shots(self, value: object) -> None:
        (self.root / "config" / "visual_prompts.json").write_text(json.dumps(value, indent=1), encoding="utf-8")

    def read_shots(self) -> list[dict[str, Any]]:
        return json.loads((self.root / "config" / "visual_prompts.json").read_text("utf-8"))

    def configure(self, **sections: Mapping[str, Any]) -> None:
        """Change sections of api_config.json."""
        path = self.root / "config" / "api_config.json"
        config = json.loads(path.read_text("utf-8"))
        for name, values in sections.items():
            config[name] = config.get(name, {}) | dict(values)
        path.write_text(json.dumps(config), encoding="utf-8")

    def doit(self, *args: str) -> int:
        """`doit ARGS` in this project."""
        self._runs += 1
        with _quick(random.Random(f"order {self.seed}/{self._runs}")), failpoints.hooked(fsync=self.fsync):
            code = int(DoitMain(_Loader(self)).run(list(args)) or 0)
        if next(_RUNS_HERE) % RUNS_A_COLLECTION == 0:
            gc.collect()
        return code

    def crash(self, k: float, *args: str) -> CrashAt:
        """`doit ARGS`, killed at the k-th durable point."""
        hook = CrashAt(k)
        with failpoints.hooked(hook), contextlib.suppress(Crash):
            self.doit(*args)
        return hook

    def app(self) -> App:
        """Who answers on the network."""
        return App(self.cloud, plain_renderer)

    @contextlib.asynccontextmanager
    async def _online(self, run: Run, requests: Sequence[ShotRequest]) -> AsyncIterator[Online]:
        async with trio.open_nursery() as nursery:
            network = SimulatedNetwork(nursery=nursery, app=self.app(), refuse=self.network_refuses)
            async with HttpClient(now=run.now, network=network, tls=run.services.tls) as http:
                yield Online(http=http, judge=self.judge)
            nursery.cancel_scope.cancel()

    def services(self) -> Services:
        return Services(
            now=self.now,
            rng=random.Random(f"{self.seed}/{self._runs}"),
            online=self._online,
            tell=self._tell,
            inspect=inspect_fake,
            frame=fake_frame,
            tls=lambda: TLS,
            link=self.link,
            clock=self.clock,
        )

    def _tell(self, record: Mapping[str, Any]) -> None:
        number, text = record["shot"], record["text"]
        self.lines.append(f"{number or '-'} {text}")
        self.told.append((self.clock.current_time(), number, text))
        terminal.tell(record)

    def keep(self) -> "Kept":
        """The project and its cloud as they are now, for `become`."""
        files = {name: state for name, state in self.disk().items() if not name.startswith("config")}
        return Kept(files, copy.deepcopy(vars(self.cloud) | {"_now": None}), self.clock.current_time(), self._runs)

    def become(self, kept: "Kept") -> None:
        """Stand where another project of the same config stood."""
        for name, (data, mtime_ns) in kept.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o444 if "/takes/" in name and name.endswith(".mp4") else 0o644)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        vars(self.cloud).update(copy.deepcopy(kept.cloud) | {"_now": self.now})
        self.clock.jump(kept.at - self.clock.current_time())
        self._runs = kept.runs

    # ── looking ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    def clips(self) -> list[dict[str, Any]]:
        return json.loads((self.outputs / "clips.json").read_text("utf-8"))

    def report(self) -> dict[str, Any]:
        return json.loads((self.outputs / "production_report.json").read_text("utf-8"))

    def rows(self, query: str = "SELECT * FROM purchases ORDER BY id") -> list[dict[str, Any]]:
        ledger = self.outputs / "ledger.db"
        if not ledger.exists() or not ledger.stat().st_size:
            return []
        with contextlib.closing(sqlite3.connect(self.outputs / "ledger.db")) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(query)]

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows()]

    def booked(self) -> tuple[float, float, float]:
        """Spent, reserved, uncertain, in dollars, from the ledger."""
        rows = self.rows("SELECT spent, reserved, uncertain FROM budget")
        if not rows:
            return (0.0, 0.0, 0.0)
        return tuple(round(sum(row[name] for row in rows) / 1e6, 6) for name in ("spent", "reserved", "uncertain"))  # type: ignore[return-value]

    def charged(self) -> float:
        """What the provider charged: the truth."""
        return float(self.cloud.charges()["total_usd"])

    def bought(self) -> int:
        """Jobs that the provider accepted."""
        return int(self.cloud.charges()["creates"])

    def creates(self) -> int:
        """Creates that the provider read, accepted or not."""
        return self.requests().get("create", 0)

    def jobs(self, provider: str | None = None) -> list[dict[str, Any]]:
        """The providers' own records, oldest first."""
        return [job for job in self.cloud.charges()["jobs"] if provider in (None, job["provider"])]

    def said(self, words: str) -> bool:
        """Whether a line of progress held these words."""
        return any(words in line for line in self.lines)

    def when(self, number: int | None, words: str) -> float:
        """Virtual seconds at which a clip first said these words."""
        return next(at for at, who, text in self.told if who == number and words in text)

    def clip(self, number: int) -> Path:
        return self.outputs / "clips" / f"clip_{number:03d}.mp4"

    def takes(self, pattern: str = "*.mp4") -> list[Path]:
        return sorted((self.outputs / "takes").rglob(pattern))

    def shown_clip(self, number: int) -> str:
        """The prompt of the video that lies under a clip's name ("" if none lies there)."""
        if not self.clip(number).exists():
            return ""
        head = self.clip(number).read_bytes().partition(b"\n")[0]
        return str(json.loads(head.removeprefix(FAKE_MAGIC)).get("prompt", ""))

    def successes(self) -> list[bool]:
        return [entry["success"] for entry in self.clips()]

    def errors(self) -> list[str | None]:
        return [entry["error"] for entry in self.clips()]

    def disk(self) -> dict[str, tuple[bytes, int]]:
        """Every file of the project, with its bytes and mtime, but for the lock."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and path.name not in ("run.lock", "holder.json"):
                found[path.relative_to(self.root).as_posix()] = (path.read_bytes(), path.stat().st_mtime_ns)
        return found

    def change_shot(self, number: int, **values: Any) -> None:
        """Edit one shot of the list."""
        found = self.read_shots()
        for shot in found:
            if shot["shot_number"] == number:
                shot |= values
        self.write_shots(found)

    # ── promises ───────────────────────────────────────────────────────────────────────────────────────────

    def check_money(self) -> None:
        """spent ≤ charged ≤ spent + reserved + uncertain, over all clouds; assumed charges left aside."""
        charged = sum(round(float(cloud.charges()["total_usd"]) * 1e6) for cloud in self.clouds)
        spent, reserved, uncertain = (round(value * 1e6 * self.lines_of_credit) for value in self.booked())
        assumed = sum(row["charged"] for row in self.rows() if row["state"] in ("cancelled", "lost"))
        assert spent - assumed <= charged <= spent + reserved + uncertain, (
            spent,
            charged,
            reserved,
            uncertain,
        )

    def check_secrets(self) -> None:
        """No key in any file, and none ever sent to a media host."""
        assert not list(canary.leaks(self.root))
        self.check_keys_sent()

    def check_keys_sent(self) -> None:
        """No key was ever sent to a media or storage host. (Files are searched by `no_key_on_disk` before they go.)"""
        for cloud in self.clouds:
            assert cloud.requests["media_authorized"] == cloud.requests["storage_authorized"] == 0

    def check_clips(self) -> None:
        """Every clip that the report calls good is there, whole, and its take's bytes."""
        takes = {row["sha256"] for row in self.rows("SELECT sha256 FROM takes WHERE good")}
        for entry in self.report()["clips"] if (self.outputs / "production_report.json").exists() else ():
            if entry["success"] and not entry.get("edited"):
                assert entry["sha256"] in takes
        for row in self.rows("SELECT path, sha256 FROM takes"):
            path = self.outputs / row["path"]
            assert not path.exists() or atomic.sha256(path) == row["sha256"]

    def requests(self) -> dict[str, int]:
        return dict(self.cloud.charges()["requests"])


@contextlib.contextmanager
def _quick(rng: random.Random) -> Iterator[None]:
    """Without what only a real machine has: chance."""

    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # trio's own hook for Hypothesis
    trio._core._run._r = rng
    plugin.entry_points_impl = lambda: _entry_points
    sourcelines, inspect.getsourcelines = inspect.getsourcelines, _line_only
    try:
        yield
    finally:
        inspect.getsourcelines = sourcelines


_entry_points = functools.cache(importlib.metadata.entry_points)
"""doit reads the metadata of all installed packages three times a run."""


def _line_only(creator: Any) -> tuple[list[str], int]:
    """Where a task creator begins: all that doit asks, for which inspect reads the whole file."""
    return [], creator.__code__.co_firstlineno


PROBED: list[Path] = []
"""Files that runs asked about though they are no downloads."""


async def inspect_fake(settings: Settings, path: Path) -> Facts:
    """Where a run asks about a file that is no download: what ffprobe would say of a fake clip."""
    PROBED.append(path)
    judgement = await fake_judge(path, Wanted(duration_s=0.1, aspect_ratio="9:16"))
    if judgement.facts is None:
        raise MediaError(judgement.reason or "no video")
    return judgement.facts


async def fake_frame(settings: Settings, clip: Path, at: Decimal | str, folder: Path, sha256: str) -> Path:
    """A picture that tells of which clip it is, and of what moment. Raises OSError."""
    assert hashlib.sha256(clip.read_bytes()).hexdigest() == sha256, "a frame of another file than the recipe names"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sha256}-{at}.png"
    path.write_bytes(frame_picture(sha256, at))
    return path


def frame_picture(sha256: str, at: Decimal | str) -> bytes:
    """The PNG of a take's moment: each has a colour of its own."""
    from PIL import Image

    red, green, blue = hashlib.sha256(f"{sha256}-{at}.png".encode()).digest()[:3]
    made = io.BytesIO()
    Image.new("RGB", (360, 640), (red, green, blue)).save(made, "PNG", compress_level=1)
    return made.getvalue()


class _Loader(ModuleTaskLoader):  # type: ignore[misc]
    """dodo.py's tasks, made when doit has read the command line."""

    def __init__(self, studio: Studio) -> None:
        super().__init__({})
        self._studio = studio

    def setup(self, opt_values: object) -> None:
        studio = self._studio
        session = Session(studio.root, studio.environ, studio.services())
        self.namespace = {"DOIT_CONFIG": session.config(), **session.tasks()}
