"""Notifications: a command or a webhook told when a run ends, a gate fails, the cap is reached, an order is uncertain.

Fire and forget: `send` starts a process of its own (`python -m vgen.cli.notify`), which runs the command and posts to
the address. Its errors are lines of `outputs/.vgen/notify.log`; no run waits for it or fails by it.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVENTS = frozenset({"end", "gate", "cap", "uncertain"})
COMMAND_S = 60.0
POST_S = 15.0

_sent: list[subprocess.Popen[bytes]] = []


def send(
    message: Mapping[str, Any], *, command: str, url: str, proxy: str, log: Path, environment: Mapping[str, str]
) -> None:
    """Hand a message (`event`, `text`, facts) to a process of its own. `environment`: what it may see; no keys."""
    if not command and not url:
        return
    order = json.dumps(
        {"message": dict(message), "command": command, "url": url, "proxy": proxy, "log": str(log)}
    ).encode()
    with contextlib.suppress(OSError):
        child = subprocess.Popen(
            [sys.executable, "-m", "vgen.cli.notify"],
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
            code = _run(order["command"], body, os.environ | names)  # noqa: TID251 - as it was handed down
            wrong += [f"{order['command']}: ended with {code}"] if code else []
        except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
            wrong.append(f"{order['command']}: {exc}")
    if order["url"]:
        import httpx

        try:
            answer = httpx.post(
                order["url"], content=body, headers={"Content-Type": "application/json"}, timeout=POST_S,
                proxy=order["proxy"] or None, trust_env=False,
            )  # fmt: skip
            wrong += [f"{order['url']}: HTTP {answer.status_code}"] if answer.is_error else []
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            wrong.append(f"{order['url']}: {exc or type(exc).__name__}")
    return wrong


def _run(command: str, body: bytes, environment: Mapping[str, str]) -> int:
    """The user's own command line, from the user's own config; it and all that it started end after COMMAND_S."""
    with subprocess.Popen(  # noqa: S602
        command, shell=True, stdin=subprocess.PIPE, env=environment, start_new_session=True
    ) as child:
        try:
            child.communicate(body, timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            if os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            child.kill()
            raise
        return child.returncode


def main() -> None:
    """What the process of its own does."""
    order = json.load(sys.stdin)
    for line in deliver(order):
        with contextlib.suppress(OSError), Path(order["log"]).open("a", encoding="utf-8") as log:
            log.write(f"{order['message']['event']}: {line}\n")


if __name__ == "__main__":
    main()
