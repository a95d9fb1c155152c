"""What the terminal shows while a run works: a live table on a TTY, else plain lines or JSON lines. Decides nothing."""

import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from vgen.redact import redact
from vgen.views import progress
from vgen.views.progress import Progress

HEARTBEAT_S = 10.0
"""Nobody has to wonder for longer whether a run is alive."""
REFRESH_S = 0.25
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Lines:
    """Plain lines, and a heartbeat when nothing else was said for a while."""

    def __init__(self) -> None:
        self._said = 0

    def tell(self, record: Mapping[str, Any]) -> None:
        """One event: `shot` (or None), `event`, `text`, and its facts."""
        self._said += 1
        number = record["shot"]
        self.write(f"clip {number:03d}  {record['text']}\n" if number is not None else f"vgen: {record['text']}\n")

    def write(self, text: str) -> None:
        """Text, without what would steer the terminal: a prompt may be anybody's."""
        with unbroken():
            sys.stdout.write(_STEERING.sub("\N{REPLACEMENT CHARACTER}", text))
            sys.stdout.flush()

    async def watch(self, now: Callable[[], Progress]) -> None:
        """As long as a run works: say how it stands whenever nothing was said for `HEARTBEAT_S`."""
        import trio

        said, since = self._said, trio.current_time()
        while True:
            await trio.sleep(HEARTBEAT_S / 10)
            if self._said != said:
                said, since = self._said, trio.current_time()
            elif trio.current_time() - since >= 0.85 * HEARTBEAT_S:
                state = now()
                self.tell({"shot": None, "event": "heartbeat", "text": progress.heartbeat(state), **_facts(state)})


class JsonLines(Lines):
    """One JSON object a line."""

    def tell(self, record: Mapping[str, Any]) -> None:
        self._said += 1
        with unbroken():
            sys.stdout.write(json.dumps({**_stamp(), **record}, ensure_ascii=False, default=str) + "\n")
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


class Live(Lines):
    """A table of the shots in flight under the lines, drawn anew several times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._live: Any = None

    def write(self, text: str) -> None:
        if self._live is None:
            super().write(text)
            return
        with unbroken():
            plain = _STEERING.sub("\N{REPLACEMENT CHARACTER}", text.removesuffix("\n"))
            self._live.console.print(plain, markup=False, highlight=False, soft_wrap=True)

    async def watch(self, now: Callable[[], Progress]) -> None:
        import trio
        from rich.console import Console
        from rich.live import Live as RichLive

        console = Console(file=sys.stdout, highlight=False)
        if console.is_dumb_terminal:
            await super().watch(now)
            return
        live = RichLive(console=console, auto_refresh=False, transient=True, redirect_stderr=False)
        with live:
            self._live = live
            try:
                while True:
                    with unbroken():
                        live.update(table(now(), height=console.size.height), refresh=True)
                    await trio.sleep(REFRESH_S)
            finally:
                self._live = None
                with unbroken():
                    live.update("", refresh=True)


def table(now: Progress, *, height: int = 24) -> Any:
    """The shots in flight, one a row, and a line of totals: counts, money, time left."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 1), expand=True)
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    rows.add_column(no_wrap=True, justify="right")
    room = max(1, height - 6)
    for shot in now.in_flight[:room]:
        rows.add_row(
            Text(f"clip {shot.number:03d}", style="cyan"),
            Text(shot.text),
            Text(progress.duration(shot.work_s), style="dim"),
        )
    if (more := len(now.in_flight) - room) > 0:
        rows.add_row("", Text(f"and {more} more", style="dim"), "")
    parts = [progress.counts(now), progress.money(now.budget, simulated=now.simulated), progress.time_left(now)]
    totals = Text("; ".join(part for part in parts if part), style="bold", no_wrap=True, overflow="ellipsis")
    return Group(rows, totals)


_screen: Lines = Lines()
_secrets: tuple[str, ...] = ()
_stamp: Callable[[], Mapping[str, Any]] = dict
_advice: Callable[[str], str] = str


def choose(
    reporter: object,
    secrets: tuple[str, ...],
    stamp: Callable[[], Mapping[str, Any]] = dict,
    advice: Callable[[str], str] = str,
) -> None:
    """The screen for a run, by doit's reporter: `jsonl`, `zero`, or what suits the terminal. No key passes it.

    `stamp`: what every event has (time, run); `advice`: completes the commands in a text.
    """
    global _screen, _secrets, _stamp, _advice  # noqa: PLW0603 - there is one terminal
    _secrets, _stamp, _advice = secrets, stamp, advice
    if reporter == "jsonl":
        _screen = JsonLines()
    elif reporter == "zero":
        _screen = Silent()
    elif not isinstance(reporter, str) and _is_terminal():
        _screen = Live()
    else:
        _screen = Lines()


def _is_terminal() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def line(number: int | None, text: str, event: str = "note", **facts: Any) -> None:
    """One line of progress."""
    tell({"shot": number, "event": event, "text": text, **facts})


def tell(record: Mapping[str, Any]) -> None:
    """One event."""
    _screen.tell({**record, "text": _advice(redact(str(record["text"]), _secrets))})


def out(text: str) -> None:
    """A line of an answer (a plan, a list)."""
    _screen.write(_advice(redact(text, _secrets)) + "\n")


def warn(text: str) -> None:
    """A line on stderr, for commands whose stdout is somebody's input."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"vgen: {redact(text, _secrets)}\n")


def write(text: str) -> None:
    """Text of doit's own, as it is."""
    _screen.write(redact(text, _secrets))


@contextlib.asynccontextmanager
async def watching(now: Callable[[], Progress]) -> AsyncIterator[None]:
    """As long as a run works, the screen shows how it stands."""
    import trio

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_screen.watch, now)
        yield
        nursery.cancel_scope.cancel()


def _facts(now: Progress) -> dict[str, Any]:
    budget = now.budget
    return {
        "done": now.done,
        "total": now.total,
        "failed": now.failed,
        "in_flight": [shot.number for shot in now.in_flight],
        "spent_usd": budget.spent / 1e6,
        "reserved_usd": budget.reserved / 1e6,
        "uncertain_usd": budget.uncertain / 1e6,
    }


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
