"""What a run has uploaded to its providers' storage, and under which address. Sends nothing."""

from dataclasses import dataclass, field

import trio

from vgen.pictures import Pictures

AT_ONCE = 2
"""Each upload is whole in memory, and they share one line."""

Key = tuple[str, str]
"""Provider, and the sha256 of what is sent."""


@dataclass(slots=True)
class Uploads:
    """By provider and content. `failed`: why there is none in this run. `going`: set when the upload is over.

    `unable`: shot and provider → why it is not ordered there in this run. `sent`: purchase → the pictures of its order,
    where some were uploaded: what a repeat must send again.
    """

    failed: dict[Key, str] = field(default_factory=dict)
    going: dict[Key, trio.Event] = field(default_factory=dict)
    unable: dict[tuple[int, str], str] = field(default_factory=dict)
    sent: dict[int, Pictures[str]] = field(default_factory=dict)
    room: trio.Semaphore = field(default_factory=lambda: trio.Semaphore(AT_ONCE))
    _kept: dict[Key, tuple[str, float]] = field(default_factory=dict)

    def keep(self, key: Key, uri: str, until: float) -> None:
        """An order may name `uri` until then, by trio's clock."""
        self._kept[key] = (uri, until)

    def known(self, key: Key) -> str | None:
        """The address of what was uploaded, unless that is long ago."""
        uri, until = self._kept.get(key, (None, 0.0))
        return uri if trio.current_time() < until else None
