"""The live table: it fits its terminal, leaves nothing behind, and lets others print."""

import contextlib
import io
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest
import trio
import trio.testing
from screen_model import Terminal

from vgen.store.records import Budget
from vgen.views import live_table, progress, screens, terminal
from vgen.views.live_table import MARGIN, LiveTable, table

BUDGET = Budget(cap=50_000_000, spent=12_400_000, reserved=3_200_000, uncertain=480_000)


def run_of(
    in_flight: int = 5, *, arriving: int = 2, pausing: int = 1, total: int = 40, typical_s: float | None = 95
) -> progress.Progress:
    """A run in the middle of its work."""

    def shots(first: int, count: int, text: str) -> list[progress.Shot]:
        return [progress.Shot(number=first + k, text=text, state_s=8, work_s=70 * k + 8) for k in range(count)]

    return progress.Progress(
        total=total,
        done=12,
        failed=1,
        in_flight=shots(14, in_flight, "rendering 34% at runway"),
        arriving=shots(14 + in_flight, arriving, "downloading from runway"),
        pausing=shots(14 + in_flight + arriving, pausing, "retry at runway soon"),
        budget=BUDGET,
        simulated=True,
        typical_s=typical_s,
        max_concurrent=5,
    )


def plain(lines: Sequence[object]) -> list[str]:
    return [str(line) for line in lines]


@pytest.mark.parametrize("columns", [20, 40, 80, 120, 200])
def test_counts_time_left_and_money_are_whole_at_any_width(columns: int) -> None:
    lines = plain(table(run_of(), columns=columns - MARGIN, rows=22))
    assert all(len(line) <= columns - MARGIN for line in lines)
    said = " ".join(lines).replace(";", "")
    for words in (
        "12 of 40 clips, 1 failed, 5 in flight, 2 downloading, 20 waiting",
        "about 8 min left",
        "spent $12.40, reserved $3.20, uncertain $0.48 of $50.00 (play money)",
    ):
        assert words in said


def test_a_wide_terminal_has_all_totals_on_one_line() -> None:
    assert plain(table(run_of(), columns=197, rows=22))[-1].count(";") == 2


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (40, 10), (20, 5), (10, 3), (200, 60), (1, 1)])
def test_the_table_is_never_higher_than_the_terminal(columns: int, rows: int) -> None:
    for begun in (0, 1, 5, 300):
        lines = table(run_of(begun), columns=columns, rows=rows)
        assert 1 <= len(lines) <= rows


def test_shots_that_do_not_fit_are_counted() -> None:
    lines = plain(table(run_of(30), columns=77, rows=10))
    shown = [line for line in lines if line.startswith("clip ")]
    (more,) = [line for line in lines if line.startswith("and ")]
    assert more == f"and {33 - len(shown)} more"


def test_in_flight_is_what_holds_a_slot_and_all_others_are_named_for_what_they_do() -> None:
    now = run_of(in_flight=5, arriving=3, pausing=2, total=40)
    assert progress.counts(now) == "12 of 40 clips, 1 failed, 5 in flight, 3 downloading, 19 waiting"
    assert [row.name for row in now.rows()] == [f"clip {n:03d}" for n in range(14, 24)]


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal, which `lives` makes stdout."""
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(live_table, "unbroken", contextlib.nullcontext)  # what goes wrong is to be seen
    monkeypatch.setattr(LiveTable, "_size", lambda _: (screen.columns, screen.rows))
    return screen


def lives(tty: Terminal, life: Callable[[], Awaitable[None]]) -> None:
    """It happens on this terminal."""
    before, terminal._screen = terminal._screen, LiveTable()
    try:
        with contextlib.redirect_stdout(tty):  # type: ignore[type-var]
            trio.run(life, clock=trio.testing.MockClock(autojump_threshold=0))
            assert sys.stdout is tty
    finally:
        terminal._screen = before


def watched(tty: Terminal, steps: Sequence[Callable[[], object]]) -> None:
    """A second of a run's life after each step; then the run is over."""

    async def life() -> None:
        async with terminal.watching(run_of):
            for step in (lambda: None, *steps):
                step()
                await trio.sleep(1)

    lives(tty, life)


def there(tty: Terminal, above: Sequence[str] = ()) -> list[str]:
    """What a person should see: the lines above, and the table once."""
    lines = plain(table(run_of(), columns=tty.columns - MARGIN, rows=tty.rows - live_table.ABOVE))
    return [*above, *lines]


def size(tty: Terminal, columns: int, rows: int) -> Callable[[], None]:
    def resize() -> None:
        tty.columns, tty.rows = columns, rows

    return resize


SIZES = [(100, 30), (60, 20), (33, 16), (20, 10), (120, 30), (79, 24), (200, 50), (12, 8), (80, 24)]


def test_resizing_leaves_no_row_behind(tty: Terminal) -> None:
    seen = []
    steps = [step for columns, rows in SIZES for step in (size(tty, columns, rows), lambda: seen.append(tty.shown()))]
    watched(tty, steps)
    for (columns, rows), shown in zip(SIZES, seen, strict=True):
        assert shown == there(Terminal(columns, rows)), (columns, rows)
    assert tty.shown() == [""], "the table goes when the run is over"


@pytest.mark.slow
def test_what_ctrl_c_echoes_leaves_no_row_behind(tty: Terminal) -> None:
    for columns in range(10, 101):
        tty.columns = columns
        watched(tty, [lambda: tty.write("^C")])
        assert tty.shown() == [""], columns


def test_lines_go_above_the_table_and_stay(tty: Terminal) -> None:
    said = [f"clip {n:03d}  " + "rendered at runway, charged $0.60; downloading " * 2 for n in range(1, 6)]
    seen: list[list[str]] = []
    steps = [lambda text=text: terminal.line(int(text[5:8]), text[10:]) for text in said]
    watched(tty, [*steps, lambda: seen.append(list(tty.lines))])
    assert seen == [there(tty, said)]
    assert tty.lines == [*said, ""]


def test_what_others_print_goes_above_the_table_by_whole_lines(tty: Terminal) -> None:
    seen: list[list[str]] = []
    steps = [lambda: print("a task of ", end=""), lambda: print("the user's"), lambda: seen.append(list(tty.lines))]
    watched(tty, [*steps, lambda: print("not ended", end="")])
    assert seen == [there(tty, ["a task of the user's"])]
    assert tty.lines == ["a task of the user's", "not ended"]


def test_a_process_that_ends_at_once_takes_its_table_away(tty: Terminal) -> None:
    seen: list[list[str]] = []

    def end() -> None:
        terminal.close()
        seen.append(tty.shown())

    watched(tty, [end])
    assert seen == [[""]]


def test_of_two_that_work_the_later_is_shown_and_then_the_first_again(tty: Terminal) -> None:
    seen: list[list[str]] = []

    async def life() -> None:
        work = progress.Work(clock=trio.current_time, tell=terminal.line)
        work.begin("drawing poster frames", 7)
        async with terminal.watching(run_of):
            await trio.sleep(1)
            async with terminal.watching(lambda: work):
                work.step()
                await trio.sleep(1)
                seen.append(tty.shown())
            await trio.sleep(1)
            seen.append(tty.shown())

    lives(tty, life)
    (of_the_work,), of_the_run = seen
    assert of_the_work.startswith("drawing poster frames: 1 of 7 clips; about 1")
    assert of_the_run == there(tty)


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def beats(screen: screens.Lines, now: progress.Shown, seconds: float, *, every_s: float | None = None) -> None:
    """So long a run on a screen of lines; `every_s`: how often something is said."""

    async def talk() -> None:
        while every_s is not None:
            await trio.sleep(every_s)
            screen.tell({"shot": 3, "event": "status", "text": "queued at runway"})

    async def life() -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(talk)
                await screen.watch(lambda: now)

    trio.run(life, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_screen_of_lines_says_how_far_it_is_when_nothing_else_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    beats(screens.Lines(), run_of(), 35)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert all(line.startswith("vgen: 12 of 40 clips, 1 failed, 5 in flight, ") for line in said)
    assert "clip 014 rendering 34% at runway (8 s)" in said[0]


def test_a_count_comes_by_time_however_much_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    beats(screens.Lines(), run_of(), 185, every_s=1)
    said = capsys.readouterr().out.splitlines()
    assert sum("12 of 40 clips" in line for line in said) == 3
    assert len(said) > 180


def test_other_long_work_beats_too(capsys: pytest.CaptureFixture[str]) -> None:
    work = progress.Work(clock=lambda: 30.0, tell=terminal.line, what="joining clips into cut.mp4")
    work._began = 0.0
    beats(screens.JsonLines(), work, 12)
    (beat,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert beat["text"] == "joining clips into cut.mp4; since 30 s"
    work.begin("conforming", 40)
    assert work.totals() == ["conforming: 0 of 40 clips"]


def test_a_file_that_grows_is_its_own_measure() -> None:
    now, size = [0.0], [0]
    work = progress.Work(clock=lambda: now[0], tell=terminal.line)
    work.begin("drawing slates", 2)
    work.measure("joining clips into cut.mp4", 400_000_000, lambda: size[0])
    assert work.totals() == ["joining clips into cut.mp4: 0 of 400 MB"]
    now[0], size[0] = 5.0, 100_000_000
    assert work.totals() == ["joining clips into cut.mp4: 100 of 400 MB", "about 15 s left"]
    size[0] = 500_000_000
    assert work.totals() == ["joining clips into cut.mp4: 400 of 400 MB"], "headers are no reason to pass the whole"
    work.begin("reading", 3)
    assert work.totals() == ["reading: 0 of 3 clips"]


def test_a_step_that_says_something_carries_its_count(capsys: pytest.CaptureFixture[str]) -> None:
    work = progress.Work(clock=lambda: 0.0, tell=terminal.line)
    terminal._screen.write("")
    work.begin("conforming", 40)
    for number in (7, 3):
        work.step(number, "conformed")
    work.step()
    assert capsys.readouterr().out == "[1/40] clip 007  conformed\n[2/40] clip 003  conformed\n"
    assert work.count == "[3/40] "


# ── before anything can be watched ────────────────────────────────────────────────────────────────────────


class Stderr(io.StringIO):
    """A terminal, or not, that knows when something is written."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self.isatty = lambda: is_terminal  # type: ignore[method-assign]
        self.written = threading.Event()

    def write(self, text: str) -> int:
        if text:
            self.written.set()
        return super().write(text)


def test_a_terminal_is_told_what_it_waits_for_and_keeps_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Stderr(is_terminal=True)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(terminal, "MOMENT_S", 0)
    with terminal.patience("reading the shot list"):
        assert stderr.written.wait(timeout=60)
    assert stderr.getvalue() == "vgen: reading the shot list ...\r\x1b[K"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_is_quick_or_goes_to_a_pipe_is_not_told(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    stderr = Stderr(is_terminal=is_terminal)
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(terminal, "MOMENT_S", 3600 if is_terminal else 0)
    with terminal.patience("reading the shot list"):
        pass
    assert stderr.getvalue() == ""
