"""Commits that wait: for another program that has the ledger open; and, once an order was answered, until they work.

Nobody else may hold up the event loop for long: creates are on the wire, and their time runs. So a commit that finds
the ledger busy gives up at once, sleeps, and tries again; one at a time, and the others stand behind it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import trio

from vgen.errors import AlreadyBought, IllegalMove, LedgerBusy, LedgerError
from vgen.production.run import Run
from vgen.store.order_slips import Slip
from vgen.store.purchase import State
from vgen.store.records import Purchase

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

T = TypeVar("T")


async def when_free(run: Run, act: Callable[[], T]) -> T:
    """Commit as soon as no other program is in the way. Raises what else `act` raises."""
    try:
        return act()
    except LedgerBusy:
        return await _until(run, act, LedgerBusy, lambda exc: wait_told(run, exc))


async def pause(run: Run, exc: LedgerBusy) -> None:
    """Wait until the ledger can be written again: a step that found it busy is then begun anew."""
    await _until(run, run.ledger.probe, LedgerBusy, lambda _: wait_told(run, exc))


def wait_told(run: Run, exc: LedgerError) -> None:
    """Say it once while it lasts."""
    run.say(None, f"waiting: {exc}; nothing is lost, the run goes on when it is free", event="ledger_busy")


async def answered(
    run: Run, slip: Slip, row: Purchase, moves: Sequence[State], facts: Mapping[str, Any], what: str
) -> None:
    """Commit what a provider answered, until it works; before, it is written where the next run will find it.

    Call it shielded. Raises AlreadyBought. `what`: the answer in words.
    """
    slip.write({
        "ledger": run.ledger.identity, "purchase": row.id, "recipe": row.recipe, "provider": row.provider,
        "moves": [state.value for state in moves], "facts": dict(facts),
    })  # fmt: skip
    done = 0

    def act() -> None:
        nonlocal done
        for state in moves[done:]:
            run.ledger.move(row.id, state, **(facts if state is moves[0] else {}))
            done += 1

    try:
        act()
    except (AlreadyBought, IllegalMove):
        slip.booked()
        raise
    except LedgerError as exc:
        _unwritten(run, slip, row, exc, what, facts.get("job_id"))
        await _until(run, act, LedgerError, lambda _: None)
        run.say(row.shot_number, f"{what}: written down now", event="written")
    slip.booked()


def _unwritten(run: Run, slip: Slip, row: Purchase, exc: LedgerError, what: str, job: str | None) -> None:
    slip.slips.lend()
    safe = slip.sync()
    where = f"it is kept in {run.outputs.slips}" if safe else "keep this line"
    text = f"{what}, but not written down yet ({exc}); {where}, and vgen tries until it works: leave it running"
    run.say(row.shot_number, text, event="unwritten", job=job)
    if not isinstance(exc, LedgerBusy):
        run.stop_buying("the ledger can't be written")


async def _until(run: Run, act: Callable[[], T], retry_on: type[LedgerError], tell: Callable[[LedgerError], None]) -> T:
    """Retry until it works, one commit of the run at a time. Raises what is not `retry_on`, and broken state rules."""
    async with run.ledger_turn:
        seconds, told = FIRST_PAUSE_S, False
        while True:
            try:
                return act()
            except retry_on as exc:
                if isinstance(exc, AlreadyBought | IllegalMove):
                    raise
                if not told:
                    tell(exc)
                    told = True
            await trio.sleep(seconds)
            seconds = min(LONGEST_PAUSE_S, seconds * 2)
