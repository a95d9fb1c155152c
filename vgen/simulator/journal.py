"""The simulated providers' memory on disk: JSON lines, appended. Knows nothing of what the events mean."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VERSION = 1


class Journal:
    """Events of one file. Nothing is written before the first `append`.

    What was appended outlives the process, killed or not; it is not synced, so a power cut may take the last
    events: the money is play money. A half-written last line is ignored, and cut off by the next `append`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn_at: tuple[int, int] | None = None
        """Where the half line begins and ends that `load` found."""

    def load(self) -> list[dict[str, Any]]:
        """All events, oldest first. Raises ValueError if a line before the last one is no event of ours."""
        events: list[dict[str, Any]] = []
        if not self._path.exists():
            return events
        whole_bytes = 0
        for number, line in enumerate(self._path.read_bytes().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                self._torn_at = whole_bytes, whole_bytes + len(line)
                break
            event = json.loads(line)
            if not isinstance(event, dict) or event.get("v") != VERSION:
                raise ValueError(f"{self._path}:{number}: expected an event of version {VERSION}; move the file away")
            events.append(event)
            whole_bytes += len(line)
        return events

    def append(self, event: Mapping[str, Any]) -> None:
        """Add one event: it is with the operating system when this returns."""
        line = json.dumps({"v": VERSION, **event}, separators=(",", ":")).encode() + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab", buffering=0) as file:
            if self._torn_at and file.tell() == self._torn_at[1]:
                file.truncate(self._torn_at[0])
            self._torn_at = None
            file.write(line)
