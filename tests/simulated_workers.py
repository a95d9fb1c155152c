"""Workers of a cluster in this process, in virtual time: the same work, and every way in which it can go wrong.

A `Link` as vgen.cluster sees it. `lot` says what becomes of a job, by its kind and number.
"""

import contextlib
import hashlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from fake_clips import fake_judge
from fakes import TLS

import vgen
from vgen.cluster.bench import Bench
from vgen.cluster.order import Order
from vgen.media import hands
from vgen.media.hands import Bring, Brought, Outcome
from vgen.media.judge import Judgement, Verdict, Wanted
from vgen.production import handwork
from vgen.production.http import HttpClient
from vgen.simulator.network import SimulatedNetwork

WELL, LOST, KILLED, HANGS, TWICE, LIES, ENDS = "well", "lost", "killed", "hangs", "twice", "lies", "ends"
"""Done; lost on the way back; its workers died; no answer for ever; two runs of it; an untrue answer; the link ends."""


def from_cloud(studio: Any, nursery: trio.Nursery) -> Callable[[Bring], Awaitable[Brought]]:
    """Downloads over the same network as the studio's."""

    async def bring(job: Bring) -> Brought:
        network = SimulatedNetwork(nursery=nursery, app=studio.app(), refuse=studio.network_refuses)
        async with HttpClient(now=studio.now, network=network, tls=lambda: TLS) as http:
            return await handwork.bring(http, job)

    return bring


def on_a_cluster(studio: Any, **options: Any) -> "SimulatedWorkers":
    """From now on, the studio works with these workers."""
    workers = SimulatedWorkers(studio=studio, judge=studio.judge, **options)
    studio.environ["VGEN_CLUSTER"], studio.link = "tcp://127.0.0.1:8786", workers
    return workers


async def _late(order: Order) -> None:
    """Another run of the same job, slower: it has its file open, and writes when the head has the other's answer."""

    async def bring(job: Bring) -> Brought:
        with job.part.open("ab") as part:
            await trio.sleep(3.0)
            part.truncate(5)
            await trio.sleep(1.0)
        return Brought(outcome=Outcome.BROKE, reason="late", etag='"e"', part=job.part)

    with contextlib.suppress(OSError):
        await Bench(tools=_no_tools, judge=fake_judge, bring=bring, host="late").done(order)


def fates(rng: random.Random, amount: float) -> Callable[[str, int], str]:
    """What becomes of jobs; of so large a share nothing good, and rarely of all that come after."""
    bad = (LOST, KILLED, HANGS, TWICE, LIES, LIES, ENDS)

    def drawn(kind: str, number: int) -> str:
        found = rng.choice(bad) if rng.random() < amount else WELL
        return WELL if found == ENDS and rng.random() < 0.9 else found

    return drawn


def lying(rng: random.Random) -> Callable[[dict[str, Any]], Any]:
    """Answers with one thing in them changed; some liars have a habit."""
    habit = rng.choice(("", "verdict", "bytes"))

    def lie(facts: dict[str, Any]) -> Any:
        name, kind = rng.choice(sorted(facts)), habit or rng.choice(("", "", "", "verdict", "bytes"))
        value = rng.choice(["", "x" * 9, 0, -1, None, "../x", "0" * 64, [], True, "done", "blocked", "expired", "gone"])
        judgement = facts.get("judgement")
        if judgement and kind == "verdict":
            verdict = "bad" if habit else rng.choice(("bad", "damaged", "not judged", "good", "fine"))
            return facts | {"judgement": judgement | {"verdict": verdict}}
        if facts.get("sha256") and kind == "bytes":
            return facts | {"sha256": hashlib.sha256(facts["sha256"].encode()).hexdigest()}
        return facts | {name: value}

    return lie


async def nothing_comes(job: Bring) -> Brought:
    return Brought(outcome=Outcome.BROKE, reason="no network")


def _no_tools() -> Any:
    raise AssertionError("no ffmpeg in virtual time")


@dataclass(slots=True, kw_only=True)
class SimulatedWorkers:
    """Opened as a cluster's child would be. `asked`: every order that came, with its kind, number and priority."""

    bring: Callable[[Bring], Awaitable[Brought]] = nothing_comes
    lot: Callable[[str, int], str] = lambda kind, number: WELL
    lie: Callable[[dict[str, Any]], Any] = lambda facts: facts
    addresses: tuple[str, ...] = ("tcp://127.0.0.1:1", "tcp://127.0.0.1:2")
    threads: int = 2
    takes_s: float = 1.0
    probe: Mapping[str, Any] = field(default_factory=dict)
    """What they say of themselves otherwise than those that may be used."""
    judge: Any = fake_judge
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    most_out: int = 0
    lines: list[str] = field(default_factory=list)
    """All that was sent to the child."""
    out: int = 0
    studio: Any = None
    """Whose providers downloads come from, in place of `bring`."""
    praised: set[str] = field(default_factory=set)
    """SHA-256 of clips that a worker has called good although they are damaged."""

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator["SimulatedLink"]:
        async with trio.open_nursery() as nursery:
            if self.studio is not None:
                self.bring = from_cloud(self.studio, nursery)
            yield SimulatedLink(self, nursery)
            nursery.cancel_scope.cancel()


class SimulatedLink:
    def __init__(self, workers: SimulatedWorkers, nursery: trio.Nursery) -> None:
        self._workers, self._nursery = workers, nursery
        self._put, self._get = trio.open_memory_channel[dict[str, Any] | None](10_000)
        self._scopes: dict[int, trio.CancelScope] = {}
        self._usable: list[str] = []
        self._limit = trio.CapacityLimiter(max(1, workers.threads * len(workers.addresses)))
        self._hello: Mapping[str, Any] | None = None

    async def receive(self) -> dict[str, Any] | None:
        return await self._get.receive()

    def send(self, message: Mapping[str, Any]) -> None:
        line = json.dumps(message)
        self._workers.lines.append(line)
        found = json.loads(line)
        if self._hello is None:
            self._hello = found
            self._greet(found)
            return
        match found["op"]:
            case "use":
                self._usable.append(found["address"])
            case "do":
                self._workers.asked.append(found)
                self._nursery.start_soon(self._do, found)
            case "drop":
                self._workers.dropped.append(found["id"])
                if found["id"] in self._scopes:
                    self._scopes[found["id"]].cancel()

    def _greet(self, hello: Mapping[str, Any]) -> None:
        self._put.send_nowait({"ev": "ready", "told": {}, "workers": len(self._workers.addresses), "ffmpeg": ""})
        said = json.loads(hello["probe"])
        sees = (Path(said["folder"]) / "probe").read_text("ascii") == said["token"]
        who = {"vgen": vgen.__version__, "version": hands.VERSION, "ffmpeg": "7", "lacks": "", "sees": sees}
        for number, address in enumerate(self._workers.addresses):
            facts = json.dumps(who | {"host": f"host-{number}", "pid": number} | dict(self._workers.probe))
            seen = {"address": address, "threads": self._workers.threads, "facts": facts, "why": ""}
            self._put.send_nowait({"ev": "worker", **seen})

    async def _do(self, message: Mapping[str, Any]) -> None:
        workers, number = self._workers, message["id"]
        self._workers.out += 1
        workers.most_out = max(workers.most_out, workers.out)
        scope = self._scopes[number] = trio.CancelScope()
        try:
            with scope:
                async with self._limit:
                    await self._act(message, workers.lot(message["kind"], number))
        finally:
            workers.out -= 1

    async def _act(self, message: Mapping[str, Any], fate: str) -> None:
        workers, number = self._workers, message["id"]
        if fate == ENDS:
            self._put.send_nowait(None)
        if fate in (HANGS, ENDS):
            await trio.sleep_forever()
        usable = [address for address in self._usable if address != message["avoid"]] or self._usable
        where = usable[number % len(usable)]
        await trio.sleep(workers.takes_s)
        damaged: list[str] = []

        async def judge(path: Path, wanted: Wanted) -> Judgement:
            found: Judgement = await workers.judge(path, wanted)
            if found.verdict is Verdict.DAMAGED:
                damaged.append(hashlib.sha256(path.read_bytes()).hexdigest())
            return found

        bench = Bench(tools=_no_tools, judge=judge, bring=workers.bring, host=f"host-{where[-1]}")
        order = Order(message["kind"], message["said"])
        if fate == TWICE:
            self._nursery.start_soon(_late, order)
        try:
            facts = await bench.done(order)
        except Exception as exc:  # as worker.act does
            facts = {"crashed": type(exc).__name__}
        if fate in (LOST, KILLED):
            self._put.send_nowait({"ev": "lost", "id": number, "why": fate, "killed": fate == KILLED})
            return
        told = workers.lie(facts) if fate == LIES else facts
        said = told.get("judgement") if isinstance(told, dict) else None
        if isinstance(said, dict) and said.get("verdict") == "good":
            workers.praised.update(damaged)
        said = told if isinstance(told, str) else json.dumps(told)
        self._put.send_nowait({"ev": "done", "id": number, "facts": said, "worker": where if message["where"] else ""})
