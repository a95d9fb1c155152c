"""What goes on, for the screen: a run by its plan and the ledger's totals, other long work by its steps."""

import contextlib
from collections.abc import AsyncIterator

from vgen.production.events import Phase
from vgen.production.run import Run
from vgen.views import terminal
from vgen.views.progress import Progress, Shot, Work


def progress(run: Run) -> Progress:
    """How far the run has come. Called several times a second."""
    import trio

    now = trio.current_time()
    settings = run.settings
    failed = run.over & run.messages.keys()
    shots: dict[Phase, list[Shot]] = {phase: [] for phase in Phase}
    for number, doing in sorted(run.events.begun.items()):
        if number not in run.over:
            shot = Shot(number=number, text=doing.text, state_s=now - doing.since, work_s=now - doing.began)
            shots[doing.phase].append(shot)
    return Progress(
        total=len(run.intent.wanted),
        done=len(run.over) - len(failed),
        failed=len(failed),
        in_flight=shots[Phase.IN_FLIGHT],
        arriving=shots[Phase.ARRIVING],
        pausing=shots[Phase.WAITING],
        budget=run.ledger.budget(settings.simulated, settings.cap),
        simulated=settings.simulated,
        typical_s=run.ledger.typical_s(simulated=settings.simulated),
        max_concurrent=settings.run.max_concurrent,
    )


@contextlib.asynccontextmanager
async def watching(run: Run) -> AsyncIterator[None]:
    """While a run works, the screen shows its progress."""
    async with terminal.watching(lambda: progress(run)):
        yield


@contextlib.asynccontextmanager
async def working(what: str, total: int = 0, *, steps: str = "clips") -> AsyncIterator[Work]:
    """While it lasts, the screen shows how far this work has come."""
    import trio

    work = Work(clock=trio.current_time, tell=terminal.line, what=what, total=total, steps=steps)
    async with terminal.watching(lambda: work):
        yield work
