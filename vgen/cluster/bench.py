"""A worker's side: jobs from JSON, done by the functions that a lone machine uses, each into a file of its own.

Two runs of one job never write one file: the name of each has a token, and the head gives one of them its real name.
"""

import dataclasses
import functools
import json
import os
import platform
import secrets
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

import vgen
from vgen.cluster import keeper, plain
from vgen.cluster.order import APPEARS_S, PROBE, Order
from vgen.errors import VgenError
from vgen.inputs.machine import machine, mark_children
from vgen.media import hands, handwork
from vgen.media.hands import Bring, Brought, Encode, Job, Look, Looked, Made, Outcome, Poster, Put
from vgen.media.judge import Judge, Judgement, Wanted, judge
from vgen.media.tools import Tools, find_tools, one_line, verify
from vgen.production.handwork import bring
from vgen.production.http import HttpClient
from vgen.store import atomic, failpoints

_KEPT: list[Any] = []


Bringing = Callable[[Bring], Awaitable[Brought]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a worker works with. `bring`: one try of a download into the job's part, unchecked."""

    tools: Callable[[], Tools]
    judge: Judge
    bring: Bringing
    host: str

    async def done(self, order: Order) -> dict[str, Any]:
        """Do a job, and tell what came of it as plain values. Raises nothing that is expected."""
        said = json.loads(order.said)
        who = {"host": self.host, "pid": os.getpid()}
        folder = Path(said["folder"])
        if order.kind == "Probe":
            return await _probed(self.tools, folder, said["token"]) | who
        job = plain.read(order.kind, said["job"])
        own = folder / f"{int(said['stem'])}.{secrets.token_hex(8)}.part"
        try:
            return await self._told(job, own) | who
        except OSError as exc:
            own.unlink(missing_ok=True)
            outcome = Outcome.FULL if atomic.is_full(exc) else Outcome.DISK
            return {"outcome": outcome, "reason": one_line(exc.strerror or type(exc).__name__)} | who

    async def _told(self, job: Job[Any], own: Path) -> dict[str, Any]:
        match job:
            case Bring():
                return await self._bring(job, own)
            case Put():
                await _appears(job.take)
                return _plain(await handwork.put(dataclasses.replace(job, part=own)))
            case Encode():
                await _appears(job.source)
                return await _encode(self.tools(), job, own)
            case Poster():
                await _appears(job.clip)
                drawn = await handwork.draw(self.tools(), job)
                return {"outcome": Outcome.DONE, "picture": _left(own, drawn.picture)}
            case Look():
                await _appears(job.path)
                return _plain(await handwork.look(self.tools() if job.probed else None, job))
        raise AssertionError("BUG: a job of no kind")

    async def _bring(self, job: Bring, own: Path) -> dict[str, Any]:
        if job.kept:
            await _appears(job.part)
            return _judged(Brought(outcome=Outcome.DONE, judgement=await self.judge(job.part, job.wanted)), own)
        got = await self.bring(dataclasses.replace(job, part=own))
        if got.outcome is Outcome.DONE:
            got = dataclasses.replace(got, judgement=await self.judge(own, job.wanted))
        elif got.etag is None:
            own.unlink(missing_ok=True)
            got = dataclasses.replace(got, part=None)
        return _judged(got, own)


def done(order: Order) -> dict[str, Any]:
    """In a thread of a worker: do a job with what this machine has."""
    _be_kept()
    return trio.run(_of_this_machine().done, order)


@functools.cache
def _of_this_machine() -> Bench:
    async def judged(path: Path, wanted: Wanted) -> Judgement:
        return await judge(_tools(), path, wanted)

    async def brought(job: Bring) -> Brought:
        async with HttpClient(now=time.time, tls=_tls, proxy=machine().proxy) as http:
            return await bring(http, job)

    return Bench(tools=_tools, judge=judged, bring=brought, host=one_line(platform.node(), 80))


def _judged(got: Brought, own: Path) -> dict[str, Any]:
    told = _plain(dataclasses.replace(got, judgement=None))
    del told["by"]
    if got.judgement is not None:
        found = dataclasses.asdict(dataclasses.replace(got.judgement, poster=None))
        told["judgement"] = found | {"poster": _left(own, got.judgement.poster)}
    return told


async def _encode(tools: Tools, job: Encode, own: Path) -> dict[str, Any]:
    made = await handwork.encode(tools, dataclasses.replace(job, part=own))
    if made.outcome is not Outcome.DONE:
        own.unlink(missing_ok=True)
        return _plain(made)
    with own.open("rb+") as file:
        failpoints.fsync(file.fileno())
    return _plain(dataclasses.replace(made, sha256=atomic.sha256(own), size_bytes=own.stat().st_size))


def _left(own: Path, picture: bytes | None) -> str | None:
    """The name of a picture that was put beside a part: results hold no bytes."""
    if picture is None:
        return None
    beside = own.with_suffix(".jpg")
    beside.write_bytes(picture)
    return beside.name


def _plain(told: Made | Looked | Brought) -> dict[str, Any]:
    found = {name: value for name, value in dataclasses.asdict(told).items() if name != "part"}
    part = getattr(told, "part", None)
    return found if isinstance(told, Looked) else found | {"part": part.name if part is not None else None}


async def _appears(path: Path) -> None:
    """Wait a little for a file that another machine has just made; if it does not come, the job says so."""
    with trio.move_on_after(APPEARS_S):
        while True:
            try:
                path.open("rb").close()  # opened by name: that asks the server, where a look at the directory may not
            except FileNotFoundError:
                await trio.sleep(0.2)
            else:
                return


# ── who works here ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _probed(tools: Callable[[], Tools], folder: Path, token: str) -> dict[str, Any]:
    """Which vgen and ffmpeg this is, and whether it can read and write where the head does."""
    try:
        versions = await verify(tools())
        lacks = ""
    except VgenError as exc:
        versions, lacks = ("", ""), one_line(str(exc))
    await _appears(folder / PROBE)
    own = folder / f"0.{secrets.token_hex(8)}.part"
    try:
        sees = (folder / PROBE).read_text("ascii") == token
        own.write_bytes(b"vgen")
        own.unlink()
    except OSError:
        sees = False
    return {
        "vgen": vgen.__version__, "version": hands.VERSION, "ffmpeg": versions[0], "lacks": lacks, "sees": sees,
    }  # fmt: skip


@functools.cache
def _tools() -> Tools:
    here = machine()
    return find_tools(here.ffmpeg, here.ffprobe)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _be_kept() -> None:
    """Once in this process: what it starts shall not outlive it."""
    if _KEPT or sys.platform != "linux":
        return
    token = secrets.token_hex(16)
    mark_children(keeper.VARIABLE, "")
    _KEPT.append(
        subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-E", "-s", "-S", str(keeper.__file__), token],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    )
    mark_children(keeper.VARIABLE, token)
