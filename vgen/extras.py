"""What to type to add one of vgen's extras to the environment that it runs in: pip, pipx and uv differ.

Facts: pipx 1.18 writes `pipx_metadata.json`, uv 0.13 `uv-receipt.toml`, into the environment of a tool.
`uv tool install` makes the environment anew, so it must name all extras.
"""

import re
import shlex
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

PACKAGE = "vgen"


def how_to_install(extra: str) -> str:
    """A command that can be pasted."""
    environment = Path(sys.prefix)
    if (environment / "pipx_metadata.json").is_file():  # pip is not in there, and another pip would help another Python
        return f"pipx inject {PACKAGE} {shlex.join(_packages(extra))}"
    if (receipt := environment / "uv-receipt.toml").is_file():
        return f"uv tool install {shlex.quote(_again(receipt, extra))}"
    return f"pip install '{PACKAGE}[{extra}]'"


def _packages(extra: str) -> list[str]:
    """Those that the extra brings, with their versions."""
    lines = [line.partition(";") for line in requires(PACKAGE) or ()]
    return [name.strip() for name, _, marker in lines if re.search(rf"extra == [\"']{extra}[\"']", marker)]


def _again(receipt: Path, extra: str) -> str:
    """What vgen was installed from, with the extras that it has, and this one."""
    try:
        tool = tomllib.loads(receipt.read_text("utf-8"))["tool"]
        mine = next(one for one in tool["requirements"] if one["name"] == PACKAGE)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        mine = {}
    extras = ",".join(sorted({*mine.get("extras", ()), extra}))
    return f"{mine.get('path', PACKAGE)}[{extras}]"
