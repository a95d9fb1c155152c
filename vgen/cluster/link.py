"""The pipe to the child that speaks with Dask: starts it without keys, sends and reads JSON lines, ends it."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import trio

from vgen.inputs.machine import bare_environment

LINE_BYTES = 1 << 20
"""A child that says more in one line is not listened to any more."""
FAREWELL_S = 0.5


class Link(Protocol):
    """A way to somebody who has jobs done."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Put a line on its way; nothing if the other side is gone."""
        ...

    async def receive(self) -> dict[str, Any] | None:
        """The next line from there; None: there will be no more."""
        ...


class _Pipe:
    """A `Link` to a process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._out, self._waiting = trio.open_memory_channel[bytes](1 << 20)
        self._read = bytearray()

    def send(self, message: Mapping[str, Any]) -> None:
        try:
            self._out.send_nowait(json.dumps(message).encode() + b"\n")
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def receive(self) -> dict[str, Any] | None:
        assert self._process.stdout is not None
        while (end := self._read.find(b"\n")) < 0:
            came = b"" if len(self._read) > LINE_BYTES else await self._process.stdout.receive_some(1 << 16)
            if not came:
                return None
            self._read += came
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        try:
            found = json.loads(line)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    async def write(self) -> None:
        """Carry lines to the process, for as long as it takes them."""
        assert self._process.stdin is not None
        try:
            async for line in self._waiting:
                await self._process.stdin.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._waiting.close()


@asynccontextmanager
async def child() -> AsyncIterator[Link]:
    """A child of its own process group, so that Ctrl-C is the head's to handle, and in no folder of the project."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "vgen.cluster.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=bare_environment(),
        cwd="/" if sys.platform != "win32" else None,
        process_group=0,
    )
    pipe = _Pipe(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pipe.write)
            yield pipe
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.aclose()
            with trio.move_on_after(FAREWELL_S):
                await process.wait()
            if process.returncode is None:
                process.kill()
            await process.wait()
            await process.stdout.aclose()
