"""Screens that show lines: plain ones, JSON, none. Each says what happens, and how far it has come when it is due."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from vgen.views import progress
from vgen.views.progress import Shown

HEARTBEAT_S = 10.0
"""Nobody has to wonder for longer whether a run is alive."""
COUNTED_S = 60.0
"""However much is said: how far all of it has come is told at least this often."""
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Lines:
    """Plain lines, and a heartbeat when nothing else was said for a while, or much without a count."""

    def __init__(self) -> None:
        self._said = 0

    def tell(self, record: Mapping[str, Any]) -> None:
        """One event: `shot` (or None), `event`, `text`, and its facts."""
        self._said += 1
        number = record["shot"]
        who = "vgen: " if number is None else f"clip {number:03d}  "
        count = f"[{record['finished']}/{record['total']}] " if "finished" in record else ""
        self.write(f"{count}{who}{record['text']}\n")

    def write(self, text: str) -> None:
        """Text, without what would steer the terminal: a prompt may be anybody's."""
        with unbroken():
            sys.stdout.write(harmless(text))
            sys.stdout.flush()

    def close(self) -> None:
        """The process ends at once: leave the terminal as a shell expects it."""

    async def watch(self, now: Callable[[], Shown], on_top: Callable[[], bool] = lambda: True) -> None:
        """While something goes on: say how far it has come. `on_top`: no other work that began later is shown."""
        import trio

        said, heard = self._said, trio.current_time()
        counted = heard
        while True:
            await trio.sleep(HEARTBEAT_S / 10)
            at = trio.current_time()
            if self._said != said:
                said, heard = self._said, at
            elif at - heard >= 0.85 * HEARTBEAT_S and on_top():
                counted = self._beat(now())
                continue
            if at - counted >= COUNTED_S and on_top():
                counted = self._beat(now())

    def _beat(self, state: Shown) -> float:
        import trio

        text = progress.heartbeat(state)
        self.tell({"shot": None, "event": "heartbeat", "text": text, **state.facts()})
        return trio.current_time()


class JsonLines(Lines):
    """One JSON object a line. `stamp`: what every event has."""

    def __init__(self, stamp: Callable[[], Mapping[str, Any]] = dict) -> None:
        super().__init__()
        self._stamp = stamp

    def tell(self, record: Mapping[str, Any]) -> None:
        self._said += 1
        with unbroken():
            sys.stdout.write(json.dumps({**self._stamp(), **record}, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.strip():
                self.tell({"shot": None, "event": "text", "text": line})


class Silent(Lines):
    """Nothing at all (`-r zero`)."""

    def tell(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def write(self, text: str) -> None:
        """Nothing."""


def harmless(text: str) -> str:
    """Text without what would steer a terminal."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


@contextlib.contextmanager
def unbroken() -> Iterator[None]:
    """Nobody reads (`doit | head`, `doit >&-`, a full device): go on in silence; what is shown decides nothing."""
    try:
        yield
    except (OSError, ValueError, AttributeError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, sys.stdout.fileno())
            os.close(silence)
