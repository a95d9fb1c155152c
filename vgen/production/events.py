"""What a run says, and what each shot in flight is doing. Every event goes to the screen and, as JSON, to vgen.log."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import trio

from vgen.redact import redact

Tell = Callable[[Mapping[str, Any]], None]
"""Shows an event to the user: its `shot` (or None), `event`, `text` and facts."""


class Phase(StrEnum):
    """Where a shot that was begun is."""

    IN_FLIGHT = "in flight"
    """Ordered or being ordered: it holds one of the run's slots."""
    ARRIVING = "arriving"
    """Its job is over; the file is downloaded and checked."""
    WAITING = "waiting"
    """For its next attempt, or for what its provider says about a lost order."""


@dataclass(slots=True)
class Doing:
    """What a shot that was begun is doing; since when in this phase, and since when it was begun, by trio's clock."""

    text: str
    phase: Phase
    since: float
    began: float


@dataclass(slots=True, kw_only=True)
class Events:
    """The events of one run. `secrets`: the keys, none of which passes here."""

    run_id: str
    now: Callable[[], float]
    tell: Tell
    log: Path
    secrets: tuple[str, ...]
    begun: dict[int, Doing] = field(default_factory=dict)
    """Shots that were begun and are not over."""

    def say(
        self, number: int | None, text: str, *, event: str, logged: Mapping[str, Any] | None = None, **facts: Any
    ) -> None:
        """One line for the user, one JSON line for vgen.log, which alone tells `logged`."""
        text = redact(text, self.secrets)
        at = round(self.now(), 3)
        record = {"at": at, "run": self.run_id, "shot": number, "event": event, "text": text, **facts}
        self.tell(record)
        line = redact(json.dumps({**record, **(logged or {})}, ensure_ascii=False, default=str), self.secrets)
        with contextlib.suppress(OSError):
            _append(self.log, f"{line}\n".encode())

    @contextlib.contextmanager
    def working(self, number: int) -> Iterator[None]:
        """While it lasts, the shot can be shown as one that was begun."""
        try:
            yield
        finally:
            self.begun.pop(number, None)

    def begin(self, number: int, text: str) -> None:
        """The shot is in flight from now on."""
        now = trio.current_time()
        self.begun.setdefault(number, Doing(text, Phase.IN_FLIGHT, now, now))
        self.doing(number, text, Phase.IN_FLIGHT)

    def idle(self, number: int) -> None:
        """Nothing is done for the shot until it gets a slot or money."""
        self.begun.pop(number, None)

    def doing(self, number: int, text: str, phase: Phase | None = None) -> None:
        """Change what is shown of a shot that was begun, without printing a line. No `phase`: the same as before."""
        found = self.begun.get(number)
        if found is None:
            return
        found.text = text
        if phase is not None and phase is not found.phase:
            found.phase, found.since = phase, trio.current_time()


def _append(path: Path, line: bytes) -> None:
    """One write, so that two programs' lines don't mix; opened anew, as a log may be moved away at any time."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)
