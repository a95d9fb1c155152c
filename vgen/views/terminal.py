"""What the terminal shows while a run works: a live table on a TTY, else plain lines or JSON lines. Decides nothing."""

import contextlib
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import Any

from vgen.redact import redact
from vgen.views.live_table import LiveTable
from vgen.views.progress import Shown
from vgen.views.screens import JsonLines, Lines, Silent, harmless

MOMENT_S = 0.7
"""How long nobody wonders what goes on."""

_screen: Lines = Lines()
_secrets: tuple[str, ...] = ()
_advice: Callable[[str], str] = str
_watched: list[Callable[[], Shown]] = []
"""What goes on now; the last is shown."""


def choose(
    reporter: object,
    secrets: tuple[str, ...],
    stamp: Callable[[], Mapping[str, Any]] = dict,
    advice: Callable[[str], str] = str,
) -> None:
    """The screen for a run, by doit's reporter: `jsonl`, `zero`, or what suits the terminal. No key passes it.

    `stamp`: what every event has (time, run); `advice`: completes the commands in a text.
    """
    global _screen, _secrets, _advice  # noqa: PLW0603 - there is one terminal
    _secrets, _advice = secrets, advice
    if reporter == "jsonl":
        _screen = JsonLines(stamp)
    elif reporter == "zero":
        _screen = Silent()
    elif not isinstance(reporter, str) and _is_terminal(sys.stdout):
        _screen = LiveTable()
    else:
        _screen = Lines()


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
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


def shown(text: str) -> str:
    """What `out` prints of such a line where nobody asked for another screen."""
    return harmless(_advice(redact(text, _secrets)) + "\n")


def data(event: str, text: str, **facts: Any) -> None:
    """An answer for programs, beside its lines for people: only JSON lines have it."""
    if isinstance(_screen, JsonLines):
        line(None, text, event, **facts)


def error(reporter: object, problems: Iterable[str], code: str, stamp: Callable[[], Mapping[str, Any]]) -> None:
    """What is refused, for programs: an event a problem, before anything else was shown. People read stderr."""
    if reporter == "jsonl":
        if not isinstance(_screen, JsonLines):
            choose(reporter, _secrets, stamp, _advice)
        for problem in problems:
            line(None, problem, "error", code=code)


def advised(text: str) -> str:
    """A text with its commands completed for this command line."""
    return _advice(text)


def warn(text: str) -> None:
    """A line on stderr, for commands whose stdout is somebody's input."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"vgen: {redact(text, _secrets)}\n")


@contextlib.contextmanager
def patience(text: str) -> Iterator[None]:
    """Whoever waits at a terminal is told what for, on stderr, if it takes more than a moment. Leaves no trace.

    For what is done before anything can be watched: nothing runs beside it.
    """
    if _watched or not _is_terminal(sys.stderr):
        yield
        return
    shown: list[str] = []

    def show() -> None:
        shown.append(text)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"vgen: {text} ...")
            sys.stderr.flush()

    timer = threading.Timer(MOMENT_S, show)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write("\r\x1b[K" if shown else "")
            sys.stderr.flush()


def write(text: str) -> None:
    """Text of doit's own, as it is."""
    _screen.write(redact(text, _secrets))


@contextlib.asynccontextmanager
async def watching(now: Callable[[], Shown]) -> AsyncIterator[None]:
    """While it lasts, the screen shows how far something has come; of several, what began last."""
    import trio

    failed: Exception | None = None
    async with trio.open_nursery() as nursery:
        _watched.append(now)
        try:
            nursery.start_soon(_screen.watch, now, lambda: _watched[-1] is now)
            yield
        except Exception as exc:  # noqa: BLE001 - raised below, as it was: the nursery would wrap it in a group
            failed = exc
        finally:
            _watched.remove(now)
            nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


def close() -> None:
    """The process is about to end at once: leave the terminal as a shell expects it."""
    _screen.close()
