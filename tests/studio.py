"""A studio for tests: a project directory, a simulated cloud, virtual time; `doit` runs for real, in this process."""

import contextlib
import json
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import trio
import trio.testing
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain
from fakes import fake_judge

import vgen.reporter
from vgen.batch import Batch
from vgen.plan import Wish
from vgen.project import Outside
from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import Faults
from vgen.simulator.network import SimulatedNetwork
from vgen.simulator.renderers import plain_renderer
from vgen.tasks import Tasks
from vgen.wire import Wire

EPOCH = 1_795_000_000.0
KEYS = {"RUNWAY_API_KEY": "key_vgencanary0123456789abcdef", "FAL_KEY": "vgencanary:0123456789abcdef"}
ROOT = Path(__file__).resolve().parent.parent


def shots(n: int, *, duration: float = 5) -> list[dict[str, Any]]:
    """n plain shots; the prompt of shot k holds the word `shot-k`."""
    return [
        {"shot_number": k, "duration": duration, "runway_prompt": f"shot-{k} a paper boat", "transition": "cut"}
        for k in range(1, n + 1)
    ]


class Studio:
    """One project and its providers. `doit(...)` runs a command and gives its exit code."""

    def __init__(self, root: Path, *, live: bool = True, seed: int = 0) -> None:
        self.root = root
        self.seed = seed
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        self.environ: dict[str, str] = dict(KEYS) if live else {}
        self.lines: list[str] = []
        self.cloud = self.new_cloud()
        self.network_refuses = None
        self._runs = 0
        (root / "config").mkdir(parents=True)
        shutil.copy(ROOT / "config" / "api_config.json", root / "config")
        self.write_shots(shots(3))

    def now(self) -> float:
        return EPOCH + self.clock.current_time()

    def new_cloud(self, **options: Any) -> Cloud:
        """A provider with an empty account book."""
        faults = Faults(options.pop("faults", ()), self.seed)
        options = {"queue_s": 2.0, "render_s": 30.0, "concurrency": 50} | options
        self.cloud = Cloud(now=self.now, faults=faults, seed=self.seed, **options)
        return self.cloud

    def faults(self, *faults: str, **options: Any) -> None:
        """Start over with a cloud that has these faults."""
        self.new_cloud(faults=faults, **options)

    def calm(self) -> None:
        """No more faults; the same cloud, the same jobs."""
        self.cloud.faults = Faults((), self.seed)

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
        return int(DoitMain(_Loader(self)).run(list(args)))

    @contextlib.asynccontextmanager
    async def _online(self, batch: Batch, wishes: Sequence[Wish]) -> AsyncIterator[None]:
        batch.judge = fake_judge
        async with trio.open_nursery() as nursery:
            network = SimulatedNetwork(nursery=nursery, app=App(self.cloud, plain_renderer), refuse=self.network_refuses)
            async with Wire(now=batch.now, network=network) as wire:
                batch.wire = wire
                yield
                batch.wire = None
            nursery.cancel_scope.cancel()

    def outside(self) -> Outside:
        return Outside(
            now=self.now,
            rng=random.Random(f"{self.seed}/{self._runs}"),
            online=self._online,
            tell=self._tell,
            clock=self.clock,
        )

    def _tell(self, number: int | None, text: str) -> None:
        self.lines.append(f"{number or '-'} {text}")
        vgen.reporter.line(number, text)

    # ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    def clips(self) -> list[dict[str, Any]]:
        return json.loads((self.outputs / "clips.json").read_text("utf-8"))

    def report(self) -> dict[str, Any]:
        return json.loads((self.outputs / "production_report.json").read_text("utf-8"))

    def rows(self, query: str = "SELECT * FROM purchases ORDER BY id") -> list[dict[str, Any]]:
        if not (self.outputs / "ledger.db").exists():
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

    def requests(self) -> dict[str, int]:
        return dict(self.cloud.charges()["requests"])


class _Loader(ModuleTaskLoader):  # type: ignore[misc]
    """dodo.py's tasks, made when doit has read the command line."""

    def __init__(self, studio: Studio) -> None:
        super().__init__({})
        self._studio = studio

    def setup(self, opt_values: object) -> None:
        studio = self._studio
        tasks = Tasks(studio.root, studio.environ, studio.outside())

        def task_clip() -> Any:
            yield from tasks.clips()

        self.namespace = {
            "DOIT_CONFIG": tasks.config(),
            "task_clip": task_clip,
            "task_collect": tasks.collect,
            "task_report": tasks.report,
            "task_plan": tasks.plan,
            "task_doctor": tasks.doctor,
        }
