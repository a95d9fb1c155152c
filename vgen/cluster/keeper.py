"""Ends the programs that a worker started when the worker itself was killed: SIGKILL leaves them to go on.

PR_SET_PDEATHSIG is no way: it fires when the *thread* ends that started a program, and here threads come and go. So
a process of its own waits until a pipe is closed whose other end only the worker holds. Whoever carries the worker's
token in the environment then is ended. Linux only, as it reads /proc; imports nothing of vgen.
"""

import os
import signal
import sys
from pathlib import Path

VARIABLE = "VGEN_KEPT_BY"
"""Names the worker, in the environment of all that it starts."""


def kept(token: str) -> list[int]:
    """Processes that a worker of this token has started."""
    mark, found = f"{VARIABLE}={token}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def main(token: str) -> None:
    """Wait for the end of stdin, then end them all; twice, for what was just being started."""
    while os.read(0, 1 << 12):
        pass
    for _ in range(2):
        for pid in kept(token):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


if __name__ == "__main__":
    main(sys.argv[1])
