"""`doit pick` (and the code of `doit keep`): the user's word which take serves a shot. Buys nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems
from vgen.errors import InputError
from vgen.money import show
from vgen.plan import decision, takes
from vgen.plan.decision import File
from vgen.plan.step import Step
from vgen.ranges import ranges
from vgen.recipe import is_draft
from vgen.store.records import Purchase

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.production.run import Run

EXAMPLE = "doit pick shot=7 take=2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen: a purchase whose take is here, for a shot."""

    step: Step
    row: Purchase
    text: str


def resolve(session: "Session", shot: int, take: str | None) -> Choice:
    """What `shot=7 take=2` means; without a take, the clip in place. Raises InputError."""
    view = session.view()
    numbers = [step.number for step in view.plan.steps]
    if shot not in numbers:
        raise InputError([f"shot={shot}: there is no such shot; the list has {ranges(numbers)}"])
    step = view.step(shot)
    if unknown := step.request.waits_for:  # a choice is for a recipe, and this one has none yet
        clips, needs = " and ".join(f"clip {n}" for n in unknown), " ".join(f"clip:{n}" for n in unknown)
        why = f"{'; '.join(step.request.comes_from())}, and there is no up-to-date {clips} yet"
        raise InputError([f"shot={shot}: {why}; build that first (`doit {needs}`), then choose"])
    alternatives = next(found for other, found in takes.of_all(view.plan, view.snapshot) if other is step)
    if take is not None:
        if step.file is File.EDITED:
            raise InputError(
                [f"clip {shot:03d} was edited by hand, and there is no other copy; move it elsewhere, then pick"]
            )
        one = takes.found(take, shot, alternatives)
    else:
        placed = [one for one in alternatives if one.in_place]
        if not placed or step.file not in (File.INTACT, File.EDITED):
            raise InputError([f"shot={shot}: has no clip to keep; `doit takes` shows what there is"])
        (one,) = placed
    what = f"take {one.label} at {one.row.provider}, paid {show(one.row.charged)}"
    return Choice(step=step, row=one.row, text=what)


async def carry_out(session: "Session", run: "Run", choice: Choice) -> None:
    """Write the choice down, and put the take in place if another is there. Raises ClipFailed."""
    from vgen.production import make

    request, row = choice.step.request, choice.row
    wanted = request.recipe_for(row.provider) or next(iter(request.recipes.values()))
    run.start()
    run.choose(wanted.digest, row.id, instead_of=request.digests())
    sharing = [step for step in session.look_again().plan.steps if wanted.digest in step.request.digests()]
    for step in sharing:
        if step.action is decision.Action.RESTORE:
            await make.make(run, step.request, step.file)
    others = [step.number for step in sharing if step.number != request.number]
    but = "it is a draft" if is_draft(row.manifest) and request.tier is None else "the prompt has changed"
    if row.provider in request.recipes and request.other_frames(row.manifest, row.provider):
        but = "a clip that it is made from has another take"
    until = f". It will be kept even though {but}, until you buy a new take"
    kept = "" if request.is_served_by(row) else until
    run.say(request.number, f"{choice.text}, is now in use{kept}", event="chosen", job=row.job_id)
    if others:
        numbers = ", ".join(map(str, others))
        run.say(request.number, f"shots with the same recipe use it too: {numbers}", event="chosen")


def begin(session: "Session") -> Action:
    """Resolve what was typed; the action carries it out."""
    choice = resolve(session, shot_number(session.variables), session.variables.get("take"))

    async def choose() -> None:
        async with session.open(online=False) as run:
            await carry_out(session, run, choice)

    return choose


def _check(variables: Mapping[str, str]) -> list[str]:
    problems = list(shot_problems(variables, EXAMPLE))
    if "take" not in variables:
        problems.append(f"take=: say which, as in `{EXAMPLE}`; `doit takes` shows them")
    return problems


COMMAND = Command(
    name="pick",
    doc="put an earlier take of a shot in its place, free: shot=7 take=2",
    usage=((EXAMPLE, "put an earlier take in place, free"),),
    variables=("shot", "take"),
    example=EXAMPLE,
    check=_check,
    begin=begin,
)
