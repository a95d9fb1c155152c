"""Processes as `python -m MODULE` starts them, without the half second that its imports take (see forks.py)."""

import atexit
import functools
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import thorough

PROGRAM = Path(__file__).with_name("forks.py")
READ_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_")
LONGEST = 1 << 17


def can_fork(environ: Mapping[str, str], started_with: Mapping[str, str]) -> bool:
    """Whether a process with this environment can be a fork of one that was started with the other.

    Never if all proofs are asked for: then each process is started as users start it.
    """
    names = {name for name in environ.keys() | started_with.keys() if name.startswith(READ_AT_START)}
    same = all(environ.get(name) == started_with.get(name) for name in names)
    return same and not thorough.ALL and hasattr(os, "pidfd_open")


class Forked:
    """Like the subprocess.Popen of a process whose streams are files."""

    def __init__(self, server: "ForkServer", pid: int) -> None:
        self.pid = pid
        self._server = server
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.code_of(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if timeout is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("a forked process", timeout)
            self._server.listen(0.05)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """The process that is forked. It ends with this one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}
        with theirs:
            command = [sys.executable, str(PROGRAM), str(theirs.fileno())]
            nothing = subprocess.DEVNULL
            self._process = subprocess.Popen(
                command, env=dict(environ), pass_fds=[theirs.fileno()], stdin=nothing, stdout=nothing
            )

    def close(self) -> None:
        self._ours.close()
        self._process.wait()

    def start(
        self, words: Sequence[str], *, environ: Mapping[str, str], cwd: Path, out: IO[bytes] | int, err: IO[bytes] | int
    ) -> Forked:
        """`python WORDS`, which begin with `-m MODULE` or with a file; nothing to read on its stdin."""
        order = {"words": list(words), "environ": dict(environ), "cwd": str(cwd)}
        files = [file if isinstance(file, int) else file.fileno() for file in (out, err)]
        with Path(os.devnull).open("rb") as nothing, self._lock:
            socket.send_fds(self._ours, [json.dumps(order).encode()], [nothing.fileno(), *files])
            while (pid := self._read().get("started")) is None:
                pass
        return Forked(self, pid)

    def code_of(self, pid: int) -> int | None:
        """The exit code of a process that has ended (negative: a signal)."""
        while self.listen(0):
            pass
        return self._codes.get(pid)

    def listen(self, seconds: float) -> bool:
        """Whether there was something to hear within so long."""
        with self._lock, selectors.DefaultSelector() as selector:
            selector.register(self._ours, selectors.EVENT_READ)
            if not selector.select(seconds):
                return False
            self._read()
            return True

    def _read(self) -> dict[str, Any]:
        message = self._ours.recv(LONGEST)
        assert message, "the process that forks has ended"
        told: dict[str, Any] = json.loads(message)
        if "ended" in told:
            self._codes[told["ended"]] = told["code"]
        return told


@functools.cache
def server(environ: frozenset[tuple[str, str]]) -> ForkServer:
    """One for each environment that it is started with."""
    started = ForkServer(dict(environ))
    atexit.register(started.close)
    return started
