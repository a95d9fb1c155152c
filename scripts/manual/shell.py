"""A bash that plays the commands of a page one after another, as a reader would type them."""

import os
import re
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from workshop import clean_environment

LIMIT_S = 180.0


def environment() -> dict[str, str]:
    """A user's, with the virtual environment's programs first."""
    found = clean_environment()
    return found | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{found['PATH']}", "LANG": "C.UTF-8"}


class Shell:
    """One bash; what commands leave (directory, variables, background jobs) is there for the next."""

    def __init__(self, cwd: Path, environ: Mapping[str, str]) -> None:
        self._mark = f"end-{secrets.token_hex(8)}"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End everything that was started, background jobs too."""
        with self._process as process:
            os.killpg(process.pid, signal.SIGKILL)

    def run(self, command: str, *, limit_s: float = LIMIT_S) -> tuple[int, str]:
        """Exit code and output. `$?` of the next command is this one's."""
        assert self._process.stdin is not None
        line = f"{command}\ncode=$?; printf '\\n%s %d\\n' {self._mark} $code; (exit $code)\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()
        said = self._read_to_mark(time.monotonic() + limit_s, command)
        text, _, code = said.rpartition(f"\n{self._mark} ")
        return int(code), text.removesuffix("\n")

    def _read_to_mark(self, deadline: float, command: str) -> str:
        assert self._process.stdout is not None
        said = b""
        ended = re.compile(rb"\n%s \d+\n" % self._mark.encode())
        while not ended.search(said):
            ready, _, _ = select.select([self._process.stdout], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"still running: {command}\n{said.decode('utf-8', 'replace')}"
            more = os.read(self._process.stdout.fileno(), 65536)
            assert more, f"the shell ended at: {command}\n{said.decode('utf-8', 'replace')}"
            said += more
        return said.decode("utf-8", "replace").rstrip("\n")
