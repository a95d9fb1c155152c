"""What -a asks of a run: remembered in the ledger before anything is bought, and forgotten when it is done."""

import dataclasses
from typing import TYPE_CHECKING

from vgen.plan import retakes
from vgen.plan.decision import has_final
from vgen.plan.request import ShotRequest
from vgen.plan.retakes import Places
from vgen.store.records import Purchase, Retake

if TYPE_CHECKING:
    from vgen.production.run import Run


def ask(run: "Run") -> dict[int, Retake]:
    """Remember the new takes that this run was asked for. Shot → its retake.

    A clip of an unfinished -a continues it, and all clips of this command are then one with it.
    """
    simulated, requests = run.settings.simulated, list(run.chain.requests.values())
    known = run.ledger.retakes(simulated=simulated)
    mine = retakes.assigned(known, requests)
    policy = run.policy()
    named = [one for one in requests if one.number in run.intent.again and not has_final(one, run.rows(one), policy)]
    commands = {mine[request.number].command for request in named if request.number in mine}
    kept = {one.id: dataclasses.replace(one, command=run.id) for one in known if one.command in commands}
    new: list[Retake] = []
    newest = run.ledger.last_purchase()
    for request in named:
        rows = run.rows(request)
        old = kept.get(mine[request.number].id) if request.number in mine else None
        if old is None or (old.settled and not retakes.has_arrived(old, request, rows)):
            after = retakes.before_live(request, rows, newest)
            one = Retake(id=old.id if old else 0, command=run.id, shot_number=0, recipes=frozenset(), newest=after)
        else:
            one = old
        one = dataclasses.replace(one, shot_number=request.number, recipes=request.digests())
        if one.id:
            kept[one.id] = one
        else:
            new.append(one)
    run.ledger.ask_retakes([*kept.values(), *new], simulated=simulated)
    return retakes.assigned(run.ledger.retakes(simulated=simulated), requests)


def fresh_after(run: "Run", request: ShotRequest) -> int | None:
    """The newest purchase that does not count for a shot's -a; None: the unfinished -a has served it already."""
    retake = (run.retakes or {}).get(request.number)
    rows = run.rows(request)
    newest = max((row.id for row in rows), default=0)
    if retake is not None and retakes.is_over(retake, request, rows, _places(run)):
        return None
    return retakes.fresh_after(retake, request, rows, newest)


def follow(run: "Run", request: ShotRequest) -> None:
    """The shot that -a asks for is made from another take's frame than when it was asked for: it is remembered anew."""
    retake = (run.retakes or {}).get(request.number)
    if run.retakes is None or retake is None or retake.recipes == request.digests():
        return
    run.retakes[request.number] = dataclasses.replace(retake, recipes=request.digests())
    run.ledger.ask_retakes([run.retakes[request.number]], simulated=run.settings.simulated)


def count_as_new(run: "Run", number: int, row: Purchase) -> None:
    """An order from before the -a was found: it is collected instead of bought, as a live job is."""
    retake = (run.retakes or {}).get(number)
    if run.retakes is None or retake is None or retake.newest < row.id:
        return
    run.retakes[number] = dataclasses.replace(retake, newest=row.id - 1)
    run.ledger.ask_retakes([run.retakes[number]], simulated=run.settings.simulated)


def settled_by(run: "Run", recipes: frozenset[str]) -> list[int]:
    """The retakes of shots with these recipes: the user has chosen a take for them."""
    mine = retakes.assigned(run.ledger.retakes(simulated=run.settings.simulated), list(run.chain.requests.values()))
    return [
        mine[request.number].id
        for request in list(run.chain.requests.values())
        if request.number in mine and request.digests() & recipes
    ]


def over(run: "Run") -> list[int]:
    """The retakes of all commands that are finished."""
    known = run.ledger.retakes(simulated=run.settings.simulated)
    return retakes.standing(known, list(run.chain.requests.values()), _places(run))[1] if known else []


def _places(run: "Run") -> Places:
    return Places(placed=run.ledger.placed, purchase=run.ledger.get)
