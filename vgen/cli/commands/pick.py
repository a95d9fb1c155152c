"""`doit pick` and `doit keep`: the user's word which take serves a shot. Buys nothing."""

from dataclasses import dataclass

from vgen.errors import InputError
from vgen.money import show
from vgen.plan import takes
from vgen.plan.decision import Action, File
from vgen.plan.plan import Step
from vgen.production.run import Batch
from vgen.production.workspace import Project
from vgen.store.records import Purchase


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen: a purchase whose take is here, for a shot."""

    step: Step
    row: Purchase
    text: str


def resolve(project: Project, shot: int, take: str | None) -> Choice:
    """What `shot=7 take=2` means; without a take, the clip in place. Raises InputError."""
    plan, snapshot = project.plan(), project.snapshot()
    numbers = [step.number for step in plan.steps]
    if shot not in numbers:
        raise InputError([f"shot={shot}: the list has no such shot; it has {_ranges(numbers)}"])
    step = plan.step(shot)
    alternatives = next(found for other, found in takes.of_all(plan, snapshot) if other is step)
    if take is not None:
        if step.file is File.EDITED:
            raise InputError([f"clip {shot:03d} was edited by hand and exists only here; move it away, then pick"])
        one = takes.found(take, shot, alternatives)
    else:
        placed = [one for one in alternatives if one.in_place]
        if not placed or step.file not in (File.INTACT, File.EDITED):
            raise InputError([f"shot={shot}: has no clip in its place to keep; `doit takes` shows what there is"])
        (one,) = placed
    what = f"take {one.label} at {one.row.provider}, paid {show(one.row.charged)}"
    return Choice(step=step, row=one.row, text=what)


async def carry_out(project: Project, batch: Batch, choice: Choice) -> None:
    """Write the choice down, and put the take in its place if another lies there. Raises ClipFailed."""
    from vgen.production import make

    request, row = choice.step.request, choice.row
    wanted = request.recipe_for(row.provider) or next(iter(request.recipes.values()))
    batch.start()
    batch.ledger.choose(wanted.digest, row.id, instead_of=request.digests(), simulated=row.simulated)
    batch.chosen = batch.ledger.chosen(simulated=row.simulated)
    sharing = [step for step in project.replan().steps if wanted.digest in step.request.digests()]
    for step in sharing:
        if step.action is Action.RESTORE:
            await make.make(batch, step.request, step.file)
    others = [step.number for step in sharing if step.number != request.number]
    kept = "" if request.matches(row) else "; it serves the changed prompt until a new take is bought"
    batch.say(request.number, f"{choice.text}, is its clip now{kept}", event="chosen", job=row.job_id)
    if others:
        numbers = ", ".join(map(str, others))
        batch.say(request.number, f"shots of the same recipe have it too: {numbers}", event="chosen")


def _ranges(numbers: list[int]) -> str:
    """`1-6, 9`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found) or "none"
