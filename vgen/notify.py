"""A word to the outside when a run ends, a gate fails, the cap is reached or an order is uncertain. Never waited for.

`send` starts a process of its own (`python -m vgen.notify`), which runs the command and posts to the address; what
goes wrong there is a line in `outputs/.vgen/notify.log`, and no run ever sees it.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVENTS = frozenset({"end", "gate", "cap", "uncertain"})
COMMAND_S = 60.0
POST_S = 15.0

_sent: list[subprocess.Popen[bytes]] = []


def send(message: Mapping[str, Any], *, command: str, url: str, log: Path, environment: Mapping[str, str]) -> None:
    """Hand a message (`event`, `text`, facts) to a process of its own. `environment`: what it may see; no keys."""
    if not command and not url:
        return
    order = json.dumps({"message": dict(message), "command": command, "url": url, "log": str(log)}).encode()
    with contextlib.suppress(OSError):
        child = subprocess.Popen(
            [sys.executable, "-m", "vgen.notify"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=dict(environment),
        )
        _sent.append(child)
        assert child.stdin is not None
        with child.stdin as order_in:
            order_in.write(order)


def deliver(order: Mapping[str, Any]) -> list[str]:
    """Run the command with the message as JSON on stdin, and post it as JSON. What went wrong, a line each."""
    message = order["message"]
    body = json.dumps(message, ensure_ascii=False).encode()
    wrong = []
    if order["command"]:
        names = {"VGEN_EVENT": str(message["event"]), "VGEN_TEXT": str(message["text"])}
        try:
            done = subprocess.run(  # noqa: S602 - the user's own command line, from the user's own config
                order["command"], shell=True, input=body, env=os.environ | names, timeout=COMMAND_S, check=False,  # noqa: TID251
            )  # fmt: skip
            wrong += [f"{order['command']}: ended with {done.returncode}"] if done.returncode else []
        except (OSError, subprocess.TimeoutExpired) as exc:
            wrong.append(f"{order['command']}: {exc}")
    if order["url"]:
        import httpx

        try:
            answer = httpx.post(
                order["url"], content=body, headers={"Content-Type": "application/json"}, timeout=POST_S
            )
            wrong += [f"{order['url']}: HTTP {answer.status_code}"] if answer.is_error else []
        except httpx.HTTPError as exc:
            wrong.append(f"{order['url']}: {exc or type(exc).__name__}")
    return wrong


def main() -> None:
    """What the process of its own does."""
    order = json.load(sys.stdin)
    for line in deliver(order):
        with contextlib.suppress(OSError), Path(order["log"]).open("a", encoding="utf-8") as log:
            log.write(f"{order['message']['event']}: {line}\n")


if __name__ == "__main__":
    main()
