"""The child that speaks with Dask: JSON lines with the head on stdin and stdout, jobs with workers. Holds no key.

Started as `python -m vgen.cluster.child`. Dask unpickles what workers send, so this happens here and not in the
process that holds the keys. It decides nothing: which workers may be used, and what to do about a lost job, is the
head's business. When its stdin ends, it is gone at once; the scheduler then drops what waits.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import dask
from distributed import Client, Future, KilledWorker
from distributed.security import Security

from vgen.cluster import worker
from vgen.cluster.order import Order

CONNECT_S = 3.5
"""To refuse a foreign certificate, or an address where nobody listens, within five seconds with the start-up."""
LOOK_S = 5.0
"""Between two looks at the scheduler's list of workers."""
SILENT_S = 30.0
"""A worker sends a heartbeat every 0.5 to 5 s; one that has sent none for so long is stopped or cut off."""
PROBE_S = 20.0
HELD_S = 0.05
"""So long a future may be held that nobody waits for: to let it go costs a message, unless one goes out anyway."""
MOST_CHARS = 1 << 16
"""What one job may answer."""
LINE_BYTES = 1 << 20

_SIZE = re.compile(r'"size_bytes": (\d{1,15})\b')
_LIMIT = {
    "distributed.comm.retry.count": 0,
    "distributed.comm.timeouts.connect": CONNECT_S,
    "distributed.client.scheduler-info-interval": "1h",
}


def tell(**message: Any) -> None:
    """One line for the head."""
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


class Child:
    """The jobs that are out, and the workers that are known."""

    def __init__(self, client: Any, hello: Mapping[str, Any]) -> None:
        self._client, self._probe = client, str(hello["probe"])
        self._prefix = str(hello["prefix"])
        self._out: dict[int, Future] = {}
        self._usable: dict[str, set[int]] = {}
        """Workers that the head has taken, and what was sent to them and others."""
        self._known: dict[str, tuple[float, float]] = {}
        """Worker → its last heartbeat by the scheduler's clock, and when that was first seen here."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: list[Future] = []
        """Of jobs that are done, and to be let go."""
        self._probes = 0

    # ── what the head asks ────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, message: Mapping[str, Any]) -> None:
        """A line of the head's."""
        match message["op"]:
            case "do":
                self._start(self._do(message))
            case "use":
                self._usable.setdefault(str(message["address"]), set())
            case "drop":
                future = self._out.pop(int(message["id"]), None)
                if future is not None:
                    self._start(_given_up(future))

    def _start(self, act: Any) -> None:
        task = asyncio.ensure_future(act)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, message: Mapping[str, Any]) -> None:
        number, avoid = int(message["id"]), message.get("avoid")
        workers = [address for address in self._usable if address != avoid] or list(self._usable)
        if not workers:
            tell(ev="lost", id=number, why="no worker is left", killed=False)
            return
        key = f"vgen-{message['kind'].lower()}-{self._prefix}-{number}"
        order = Order(str(message["kind"]), str(message["said"]))
        self._let_go()
        future = self._client.submit(
            worker.act, order, key=key, pure=False, priority=int(message["priority"]), workers=workers
        )
        self._out[number] = future
        for address in workers:
            self._usable[address].add(number)
        where = ""
        try:
            said = await future.result()
            if _is_big(said, message.get("where")):
                where = next(iter((await self._client.who_has([future])).get(key, ())), "")
        except Exception as exc:
            if self._out.pop(number, None) is not None:  # else it was given up
                tell(ev="lost", id=number, why=type(exc).__name__, killed=isinstance(exc, KilledWorker))
        else:
            if self._out.pop(number, None) is not None:
                answer = said if isinstance(said, str) and len(said) <= MOST_CHARS else ""
                tell(ev="done", id=number, facts=answer, worker=where)
        finally:
            self._over.append(future)  # what is held is done again when its worker dies
            asyncio.get_running_loop().call_later(HELD_S, self._let_go)
            for numbers in self._usable.values():
                numbers.discard(number)

    def _let_go(self) -> None:
        while self._over:
            self._over.pop().release()

    # ── the workers ───────────────────────────────────────────────────────────────────────────────────────────────

    async def watch(self) -> None:
        """Tell of workers that come and go, and of jobs that only those had who are gone or silent."""
        while True:
            try:
                seen = (await self._client.scheduler.identity(n_workers=-1))["workers"]
            except Exception:
                seen = {}
            self._compare(seen)
            tell(ev="count", workers=len(seen))
            await asyncio.sleep(LOOK_S)

    def _compare(self, seen: Mapping[str, Any]) -> None:
        now = time.monotonic()
        for address, found in seen.items():
            beat = float(found.get("last_seen") or 0.0)
            before = self._known.get(address)
            if before is None:
                self._known[address] = (beat, now)
                self._start(self._ask_who(address, int(found.get("nthreads") or 1)))
            elif before[0] != beat:
                self._known[address] = (beat, now)
        for address in list(self._known):
            silent = now - self._known[address][1] > SILENT_S
            if address not in seen or silent:
                del self._known[address]
                if address in self._usable:
                    self._left(address, silent=silent)

    def _left(self, address: str, *, silent: bool) -> None:
        """Jobs that no other worker may do are lost; of a silent one, all that may be with it."""
        numbers = self._usable.pop(address)
        tell(ev="gone", address=address, silent=silent)
        for number in list(numbers):
            if silent or not any(number in others for others in self._usable.values()):
                future = self._out.pop(number, None)
                if future is not None:
                    why = "a worker is silent" if silent else "its worker is gone"
                    tell(ev="lost", id=number, why=why, killed=False)
                    self._start(_given_up(future))

    async def _ask_who(self, address: str, threads: int) -> None:
        self._probes += 1
        order = Order("Probe", self._probe)
        future = self._client.submit(
            worker.act,
            order,
            key=f"vgen-probe-{self._prefix}-{self._probes}",
            pure=False,
            priority=1_000,
            workers=[address],
        )
        facts, why = "", ""
        try:
            said = await asyncio.wait_for(future.result(), PROBE_S)
            facts = said if isinstance(said, str) and len(said) <= MOST_CHARS else ""
        except Exception as exc:
            why = "does not answer" if isinstance(exc, TimeoutError) else type(exc).__name__
        finally:
            await _given_up(future)
        tell(ev="worker", address=address, threads=threads, facts=facts, why=why)


def _is_big(said: object, most_bytes: Any) -> bool:
    """Whether an answer tells of a file that another worker has to hash: only then it matters who made it."""
    size = _SIZE.search(said) if isinstance(said, str) and most_bytes else None
    return size is not None and int(size[1]) > int(most_bytes)


async def _given_up(future: Future) -> None:
    try:
        await future.cancel()
    except Exception:
        return
    finally:
        future.release()


def _security(tls: Mapping[str, str] | None, address: str) -> Security | None:
    """The certificates that were named, else those of Dask's own configuration."""
    if not address.startswith("tls://"):
        return None
    named = {
        "tls_ca_file": tls["ca"], "tls_client_cert": tls["cert"], "tls_client_key": tls["key"],
    } if tls else {}  # fmt: skip
    return Security(require_encryption=True, **named)


def _ffmpeg_version(program: str) -> str:
    """The first line that the head's ffmpeg says of itself; "" if it says nothing."""
    try:
        ran = subprocess.run(  # noqa: S603 - as the head found it
            [program, "-version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.decode("utf-8", "replace").partition("\n")[0][:300]


async def main() -> None:
    """Connect, then serve the head until its end of the pipe is closed."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    hello = json.loads(await lines.readline())
    dask.config.set(_LIMIT)
    try:
        security = _security(hello["tls"], hello["address"])
        client = await Client(
            hello["address"], security=security, asynchronous=True, timeout=CONNECT_S, set_as_default=False, name="vgen"
        )
        looked = await client.scheduler.identity(n_workers=-1)
    except Exception as exc:
        why = exc.__cause__ or exc
        tell(ev="refused", why=f"{type(why).__name__}: {why}"[:400])
        os._exit(0)
    told = {
        name: await client.run_on_scheduler(dask.config.get, f"distributed.scheduler.{name}") for name in hello["ask"]
    }
    tell(
        ev="ready",
        told=told,
        workers=len(looked["workers"]),
        ffmpeg=_ffmpeg_version(hello["ffmpeg"]) if hello["ffmpeg"] else "",
    )
    child = Child(client, hello)
    watching = asyncio.ensure_future(child.watch())
    while line := await lines.readline():
        child.heard(json.loads(line))
    watching.cancel()
    os._exit(0)  # nobody listens any more; a polite farewell would wait for the scheduler


if __name__ == "__main__":
    asyncio.run(main())
