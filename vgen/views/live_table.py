"""A live table under the lines of a run, drawn anew several times a second. It fits any width, and its resizing.

Its lines are only as long as what they say, so that a narrower terminal wraps few of them, and always shorter than the
terminal is wide: a `^C` that it echoes behind the last one wraps nothing. The cursor is never hidden: whoever kills a
run finds it.
"""

import contextlib
import math
import os
import signal
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from vgen.views import progress
from vgen.views.progress import Shown
from vgen.views.screens import Lines, harmless, unbroken

REFRESH_S = 0.25
MARGIN = 3
"""Columns that stay free behind every line."""
ABOVE = 2
"""Lines of the terminal that stay free above the table."""


class LiveTable(Lines):
    """What is at work, one a row, and the totals; what is said meanwhile goes above."""

    def __init__(self) -> None:
        super().__init__()
        self._console: Any = None
        self._stdout: _Above | None = None
        """What `sys.stdout` is while there is a table."""
        self._watches = 0
        self._lines: list[Any] = []
        self._drawn: list[int] = []
        """The widths of the table's lines that are on the screen."""
        self._columns = 0
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Above the table, if there is one."""
        self.above(harmless(text))

    def above(self, text: str) -> None:
        """Text as it is, above the table."""
        with self._lock, unbroken():
            self._put(text if text.endswith("\n") or self._stdout is None else f"{text}\n")

    def close(self) -> None:
        """The table goes: a shell's prompt comes next."""
        with unbroken():
            self._lines = []
            self._put("")

    async def watch(self, now: Callable[[], Shown], on_top: Callable[[], bool] = lambda: True) -> None:
        """While something goes on: show how far it has come. `on_top`: no other work that began later is shown."""
        import trio
        from rich.console import Console

        self._console = self._console or Console(file=sys.stdout, highlight=False)
        if self._console.is_dumb_terminal or self._console.legacy_windows:
            await super().watch(now, on_top)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow_suspension)
            with self._up():
                while True:
                    if on_top():
                        self._draw(now())
                    await trio.sleep(REFRESH_S)

    async def _follow_suspension(self) -> None:
        """After Ctrl-Z and `fg` the cursor is elsewhere: what was drawn before can't be erased any more."""
        import trio

        if threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCONT"):
            with trio.open_signal_receiver(signal.SIGCONT) as received:
                async for _ in received:
                    self._drawn = []

    @contextlib.contextmanager
    def _up(self) -> Iterator[None]:
        """While it lasts, the table is there, and what others print goes above it."""
        self._watches += 1
        if self._stdout is None:
            sys.stdout = self._stdout = _Above(self, sys.stdout)
        try:
            yield
        finally:
            self._watches -= 1
            self._draw(None)
            if not self._watches:
                ours, self._stdout = self._stdout, None
                ours.end()

    def _draw(self, state: Shown | None) -> None:
        """The table as things are now; None: no table."""
        columns, rows = self._size()
        lines = table(state, columns=columns - MARGIN, rows=rows - ABOVE) if state is not None else []
        with self._lock, unbroken():
            if lines != self._lines or columns != self._columns or not self._drawn:
                self._lines = lines
                self._put("")

    def _put(self, text: str) -> None:
        """Erase the table, write the text, and draw the table again, in one write."""
        out = self._stdout.real if self._stdout is not None else sys.stdout
        self._columns, _ = self._size()
        height = sum(max(1, math.ceil(width / self._columns)) for width in self._drawn)
        up = f"\x1b[{height - 1}A" if height > 1 else ""
        erase = f"\r{up}\x1b[J" if height else ""
        out.write(erase + text + "\n".join(self._styled(line) for line in self._lines))
        self._drawn = [line.cell_len for line in self._lines]
        out.flush()

    def _styled(self, line: Any) -> str:
        with self._console.capture() as got:
            self._console.print(line, end="", soft_wrap=True)
        return str(got.get())

    def _size(self) -> tuple[int, int]:
        """Columns and rows of the terminal, as they are now."""
        try:
            columns, rows = os.get_terminal_size((self._stdout.real if self._stdout else sys.stdout).fileno())
        except (OSError, ValueError, AttributeError):
            columns, rows = 0, 0
        return columns or 80, rows or 24


class _Above:
    """`sys.stdout` while there is a table: whole lines go above it. It works afterwards too, if somebody kept it."""

    def __init__(self, screen: LiveTable, real: TextIO) -> None:
        self._screen, self.real, self._begun = screen, real, ""

    def write(self, text: str) -> int:
        """Print what is whole, keep the rest."""
        whole, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self._screen.above(whole + newline)
        return len(text)

    def end(self) -> None:
        """The table is gone: `sys.stdout` is what it was."""
        if self._begun:
            self.real.write(self._begun)
        self._begun = ""
        if sys.stdout is self:
            sys.stdout = self.real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def table(now: Shown, *, columns: int = 77, rows: int = 22) -> list[Any]:
    """Lines of at most so many columns, at most so many: what is at work, then counts, time left, money."""
    from rich.text import Text

    columns, rows = max(columns, 1), max(rows, 1)
    totals = _folded(now.totals(), columns)[:rows]
    found = now.rows()
    room = rows - len(totals)
    hidden = 0 if len(found) <= room else len(found) - max(0, room - 1)
    shown = found[: len(found) - hidden]
    times = [progress.duration(row.work_s) for row in shown]
    wide = max(map(len, times), default=0)
    lines = [
        Text.assemble((row.name, "cyan"), "  ", (time.rjust(wide), "dim"), "  ", harmless(row.text))
        for row, time in zip(shown, times, strict=True)
    ]
    if hidden and room:
        lines.append(Text(f"and {hidden} more", style="dim"))
    lines += [Text(line, style="bold") for line in totals]
    for line in lines:
        line.truncate(columns, overflow="ellipsis")
    return lines


def _folded(parts: Sequence[str], columns: int) -> list[str]:
    """Parts joined to lines that fit; broken within a part only where a part alone is too long."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= columns:
            lines[-1] += f"; {part}"
        else:
            lines += textwrap.wrap(part, columns)
    return lines
