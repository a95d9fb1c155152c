"""The workers that may be used, and the jobs that are out. Knows no Dask, no purchase and nothing of what a job is."""

import itertools
import secrets
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

import vgen
from vgen.cluster import facts
from vgen.cluster.link import Link, child
from vgen.cluster.order import PROBE
from vgen.errors import Refusal
from vgen.media import hands
from vgen.media.tools import one_line, tool_version
from vgen.production.limits import PrioritySemaphore
from vgen.redact import exactly
from vgen.store import atomic

HELLO_S = 30.0
"""To start the child, on a busy machine; it tells at once that it is refused, and after 3.5 s that nobody answers."""
FIRST_WORKER_S = 10.0
"""So long a cluster without workers is waited for at the start; later, each time that the last one left."""
PROBES_S = 25.0
SPARE = 8
"""Jobs that may be out beyond two a thread: the next one must be there when one ends, and little is lost by Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a cluster's scheduler is. `tls`: files `ca`, `cert` and `key`, or None: as Dask is configured."""

    url: str
    tls: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One that may be used."""

    address: str
    host: str
    threads: int
    said: facts.Probed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for a job: `said`, by which worker if asked; or why it is `lost`. `killed`: its workers."""

    said: str = ""
    worker: str = ""
    lost: str = ""
    killed: bool = False


@dataclass(slots=True)
class _Box:
    came: trio.Event = field(default_factory=trio.Event)
    answer: Answer | None = None


class Pool:
    """The workers of a cluster, for one command. Nothing is started before it is needed, and then in `nursery`."""

    def __init__(
        self,
        address: Address,
        private: Path,
        run_id: str,
        *,
        ffmpeg: str,
        keys: tuple[str, ...],
        tell: Callable[[str], None],
        timeout_s: float,
        nursery: trio.Nursery,
        ask: tuple[str, ...] = (),
        opened: Callable[[], AbstractAsyncContextManager[Link]] = child,
    ) -> None:
        self.address, self.timeout_s = address, timeout_s
        self.folder = private / f"cluster-{run_id}"
        self.workers: dict[str, Worker] = {}
        self.refused: dict[str, str] = {}
        """Worker → why it is not used."""
        self.slots = PrioritySemaphore(SPARE)
        self._tell, self._keys, self._ffmpeg, self._opened = tell, keys, ffmpeg, opened
        self._ask = ask
        self._token = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._boxes: dict[int, _Box] = {}
        self._link: Link | None = None
        self._nursery = nursery
        self._opening = trio.Lock()
        self._changed = trio.Event()
        self._refusal = ""
        self._hello: Mapping[str, Any] | None = None
        self._over = self._began = self._alone = False
        self._told: set[str] = set()

    # ── from start to end ─────────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Nobody needs it any more: what is out may go on, and finds no place to put anything."""
        gone = self.folder.with_name(f"{self.folder.name}.gone")
        with suppress(OSError):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    @property
    def scheduler_says(self) -> Mapping[str, str]:
        """Its settings that were asked for."""
        told = (self._hello or {}).get("told")
        return {str(name): one_line(str(value), 40) for name, value in told.items()} if isinstance(told, dict) else {}

    async def ready(self) -> None:
        """Start the child, connect, and look at the workers, once. Raises Refusal if none can be used."""
        async with self._opening:
            if self._began:
                return
            self._began = True
            atomic.make_directory(self.folder)
            (self.folder / PROBE).write_text(self._token, "ascii")
            await self._nursery.start(self._talk)
            where = f"cluster={self.address.url}"
            with trio.move_on_after(HELLO_S):
                while self._hello is None and not self._over:
                    await self._changed.wait()
            if self._hello is None:
                why = self._refusal or "no answer"
                raise Refusal(
                    f"{where}: {why}; nothing was bought. Is `dask scheduler` there, with these certificates?"
                )
            await self._first_workers(int(self._hello.get("workers") or 0))
            for worker, why in self.refused.items():
                self._tell(f"cluster: {worker} is not used: {why}")
            if not self.workers:
                found = "; ".join(sorted(set(self.refused.values())))
                found = found or ("its connection ended" if self._over else "none is there, start `dask worker`")
                raise Refusal(f"{where}: no worker can be used: {found}; nothing was bought")

    async def _first_workers(self, expected: int) -> None:
        with trio.move_on_after(PROBES_S if expected else FIRST_WORKER_S):
            while not self._over and len(self.workers) + len(self.refused) < max(1, expected):
                await self._changed.wait()

    async def _talk(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        async with self._opened() as link:
            self._link = link
            probe = _json({"folder": str(self.folder), "token": self._token})
            link.send(
                {
                    "address": self.address.url,
                    "tls": self.address.tls,
                    "prefix": self._token,
                    "probe": probe,
                    "ffmpeg": self._ffmpeg,
                    "ask": self._ask,
                }
            )
            task_status.started()
            while (message := await link.receive()) is not None:
                try:
                    self._heard(message)
                except (KeyError, TypeError, ValueError, AttributeError):
                    break  # a child that is not understood is not believed
                self._wake()
        self._over, self._link = True, None
        self.workers.clear()
        for box in self._boxes.values():
            self._answer(box, Answer(lost="the link to the cluster ended"))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # ── what the child says ───────────────────────────────────────────────────────────────────────────────────────

    def _heard(self, message: Mapping[str, Any]) -> None:
        match message["ev"]:
            case "ready":
                self._hello = message
            case "refused":
                self._refusal = one_line(str(message["why"]), 300)
            case "worker":
                self._meet(message)
            case "gone":
                self.workers.pop(str(message["address"]), None)
                self.refused.pop(str(message["address"]), None)
                self._resize()
            case "done" if (box := self._boxes.get(int(message["id"]))) is not None:
                self._answer(box, Answer(said=str(message["facts"]), worker=str(message["worker"])))
            case "lost" if (box := self._boxes.get(int(message["id"]))) is not None:
                lost = one_line(str(message["why"]), 80) or "lost"
                self._answer(box, Answer(lost=lost, killed=bool(message["killed"])))

    def _answer(self, box: _Box, answer: Answer) -> None:
        if box.answer is None:
            box.answer = answer
            box.came.set()

    def _meet(self, message: Mapping[str, Any]) -> None:
        """A worker that was asked who it is."""
        address, why = one_line(str(message["address"]), 80), one_line(str(message["why"]), 80)
        try:
            said = facts.probed(str(message["facts"])) if not why else None
        except facts.Untrue as exc:
            said, why = None, f"its answer is not understood ({exc}); has it this vgen?"
        if said is not None:
            why = self._differs(said)
        if said is None or why:
            self.refused[address] = why
            return
        threads = max(1, min(int(message["threads"]), 1_000))
        self.workers[address] = Worker(address=address, host=said.host, threads=threads, said=said)
        self._alone = False
        self._resize()
        self._send({"op": "use", "address": address})

    def _differs(self, said: facts.Probed) -> str:
        if (said.vgen, said.version) != (vgen.__version__, hands.VERSION):
            return f"{said.host} has vgen {said.vgen}, here is {vgen.__version__}; install the same there"
        mine = tool_version(str((self._hello or {}).get("ffmpeg", "")))
        if said.lacks:
            return f"{said.host}: {said.lacks}"
        if mine and said.ffmpeg != mine:
            return f"{said.host} has ffmpeg {said.ffmpeg}, here is {mine}; install the same there"
        if not said.sees:
            return (
                f"{said.host} does not see {self.folder.parent.parent}, or can't write there; mount it at the same path"
            )
        return ""

    def _resize(self) -> None:
        self.slots.resize(2 * sum(one.threads for one in self.workers.values()) + SPARE)

    # ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def has_workers(self) -> bool:
        """Whether there is a worker, or comes one soon. Told once if not."""
        if not self.workers and not self._over and not self._alone:
            with trio.move_on_after(FIRST_WORKER_S):
                while not self.workers and not self._over and not self._alone:
                    await self._changed.wait()
        if not self.workers and not self._alone:
            self._alone = True
            self._wake()
        return bool(self.workers)

    def number(self) -> int:
        """A new job's."""
        return next(self._numbers)

    async def ask(self, number: int, kind: str, said: str, *, priority: int, where: int = 0, avoid: str = "") -> Answer:
        """Have a job done. `where`: of a file with more bytes, tell who made it; `avoid`: by another, if possible."""
        if exactly(said, self._keys, min_length=8) != said:
            return Answer(lost="BUG: a key in a job", killed=True)
        box = self._boxes[number] = _Box()
        order = {"op": "do", "id": number, "kind": kind, "said": said, "priority": priority}
        try:
            self._send(order | {"where": where, "avoid": avoid})
            await box.came.wait()
        finally:
            del self._boxes[number]
            if box.answer is None:
                self._send({"op": "drop", "id": number})
        assert box.answer is not None, "BUG: woken without an answer"
        return box.answer

    def _send(self, message: Mapping[str, Any]) -> None:
        if self._link is not None:
            self._link.send(message)
        elif "id" in message and (box := self._boxes.get(int(message["id"]))) is not None:
            self._answer(box, Answer(lost="the link to the cluster ended"))

    def told(self, why: str) -> None:
        """Say once a run that something which a cluster should do is done here."""
        if why not in self._told:
            self._told.add(why)
            self._tell(f"cluster: {why}; vgen does here what was lost")


def _json(value: Mapping[str, Any]) -> str:
    import json

    return json.dumps(value)
