"""What a run says, and what each shot in flight is doing. Every event goes to the screen and, as JSON, to vgen.log."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from vgen.redact import redact

Tell = Callable[[Mapping[str, Any]], None]
"""Shows an event to the user: its `shot` (or None), `event`, `text` and facts."""


@dataclass(slots=True)
class Doing:
    """What a shot in flight is doing, and since when it is in flight, by trio's clock."""

    text: str
    began: float


@dataclass(slots=True, kw_only=True)
class Events:
    """The events of one run. `secrets`: the keys, none of which passes here."""

    run_id: str
    now: Callable[[], float]
    tell: Tell
    log: Path
    secrets: tuple[str, ...]
    in_flight: dict[int, Doing] = field(default_factory=dict)

    def say(
        self, number: int | None, text: str, *, event: str, logged: Mapping[str, Any] | None = None, **facts: Any
    ) -> None:
        """One line for the user, one JSON line for vgen.log, which alone tells `logged`."""
        text = redact(text, self.secrets)
        at = round(self.now(), 3)
        record = {"at": at, "run": self.run_id, "shot": number, "event": event, "text": text, **facts}
        self.tell(record)
        if number is not None:
            self.doing(number, text)
        line = redact(json.dumps({**record, **(logged or {})}, ensure_ascii=False, default=str), self.secrets)
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    @contextlib.contextmanager
    def working(self, number: int) -> Iterator[None]:
        """While it lasts, the shot can be shown as in flight."""
        try:
            yield
        finally:
            self.in_flight.pop(number, None)

    def begin(self, number: int, text: str) -> None:
        """The shot is in flight from now on."""
        self.in_flight.setdefault(number, Doing(text, trio.current_time()))
        self.doing(number, text)

    def doing(self, number: int, text: str) -> None:
        """Change the state that is shown for a shot in flight, without saying a line."""
        if (found := self.in_flight.get(number)) is not None:
            found.text = text
