"""A run's progress for the screen: counts from the plan that it began with, money from the ledger's totals."""

import contextlib
from collections.abc import AsyncIterator

from vgen.production.run import Run
from vgen.views import terminal
from vgen.views.progress import InFlight, Progress


def progress(run: Run) -> Progress:
    """How the run stands now. Called several times a second."""
    import trio

    now = trio.current_time()
    settings = run.settings
    wanted = run.intent.wanted
    done = (run.intent.done | run.in_place) & wanted
    return Progress(
        total=len(wanted),
        done=len(done),
        failed=len(run.messages.keys() - done),
        in_flight=[
            InFlight(number=number, text=doing.text, work_s=now - doing.began)
            for number, doing in sorted(run.events.in_flight.items())
            if number not in done
        ],
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
