"""Programs that tests put in a media tool's place, and whether a process has ended."""

import os
import stat
import time
from pathlib import Path

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="the fake tool is a shell script")


def tool_script(path: Path, body: str) -> str:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def ends(pid: int) -> bool:
    """A killed process ends when the kernel comes round to it: wait for it, for a minute at most."""
    for _ in range(6000):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except ProcessLookupError:
            return True
        except FileNotFoundError:  # gone meanwhile, or a system without /proc
            pass
        time.sleep(0.01)
    return False
