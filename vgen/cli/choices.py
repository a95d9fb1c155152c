"""What the user chooses when looking: which take serves a shot, which clips stay, notes. Buys nothing.

Each function checks what was asked (it raises InputError, and nothing has changed) and returns the act, for the holder
of the run lock. `doit pick`, `keep`, `lock`, `unlock` and `note` are these, and so is the review page.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vgen.cli.command import Action
from vgen.errors import InputError
from vgen.money import show
from vgen.plan import decision, review, takes
from vgen.plan.decision import File
from vgen.plan.step import PURCHASES, Step
from vgen.ranges import ranges
from vgen.recipe import is_draft
from vgen.redact import redact
from vgen.store import review as rows
from vgen.store.outputs import clip_name
from vgen.store.records import Lock, Note, Purchase
from vgen.views import next_steps, terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.production.run import Run


def pick(session: "Session", shot: int, take: str) -> Action:
    """Put a take in place, as `doit takes` labels it. The act raises ClipFailed."""
    return _choosing(session, _resolve(session, shot, take))


def keep(session: "Session", shot: int) -> Action:
    """Accept the clip in place for the changed prompt. The act raises ClipFailed."""
    return _choosing(session, _resolve(session, shot, None))


def lock(session: "Session", shot: int) -> Action:
    """The clip in place stays as it is, whatever changes, until `unlock`."""
    step = _step(session, shot)
    if step.locked:
        return _saying(shot, "is locked already")
    view = session.view()
    placed = view.snapshot.placed.get(clip_name(shot))
    row = view.snapshot.purchases.get(placed.purchase_id) if placed else None
    if row is None or row.id not in view.snapshot.takes or step.file not in (File.INTACT, File.EDITED):
        raise InputError([f"shot={shot}: has no clip to lock; `doit clip:{shot}` makes it first"])
    take = view.snapshot.takes[row.id]

    async def act() -> None:
        from vgen.production import retaking

        async with session.open(online=False) as run:
            run.start()
            bare = Lock(id=0, shot_number=shot, recipes=frozenset({row.recipe}), purchase_id=row.id)
            one = review.anchored({shot: bare}, [step.request for step in session.plan.steps])[shot]
            settles = retaking.settled_by(run, step.request.digests())
            told = rows.lock(run.ledger, one, simulated=run.settings.simulated, settles=settles)
            what = "as you edited it" if step.file is File.EDITED else f"take {take.take} at {row.provider}"
            text = f"is locked: its clip ({what}) stays as it is, whatever changes, and nothing is bought for it"
            run.say(shot, f"{text}; `doit unlock shot={shot}` undoes that", event="locked", logged={"review": told})

    return act


def unlock(session: "Session", shot: int) -> Action:
    """The clip may change again: what the next run would do is said."""
    view = session.view()
    one = view.plan.locks.get(shot)
    if one is None:
        _step(session, shot)
        return _saying(shot, "is not locked")

    async def act() -> None:
        async with session.open(online=False) as run:
            run.start()
            told = rows.unlock(run.ledger, one)
            steps = session.look_again().plan.steps
            text = "".join(("is unlocked", *(f"; {_next(step)}" for step in steps if step.number == shot)))
            run.say(shot, text, event="unlocked", logged={"review": told})

    return act


def note(session: "Session", shot: int, text: str) -> Action:
    """A remark on a shot, in the place of an earlier one; an empty one takes it away."""
    step, text = _step(session, shot), review.one_line(text)
    if len(text) > review.MOST_CHARS:
        most = f"a note holds {review.MOST_CHARS:,} characters"
        raise InputError([f"text=: {most}, this one has {len(text):,}; nothing was written"])
    if redact(text, session.workspace.ready.secrets()) != text:
        raise InputError(["text=: holds an API key, which is written nowhere; nothing was written"])
    if text == step.note:
        return _saying(shot, "has this note already" if text else "has no note")

    async def act() -> None:
        async with session.open(online=False) as run:
            run.start()
            old = session.plan.notes.get(shot)
            new = Note(id=0, shot_number=shot, text=text)
            new = replace(old, text=text) if old else new
            one = review.anchored({shot: new}, [step.request for step in session.plan.steps])[shot]
            told = rows.note(run.ledger, one)
            said = f"note: {text}" if text else "its note is removed"
            run.say(shot, said, event="noted", logged={"review": told})

    return act


def _step(session: "Session", shot: int) -> Step:
    steps = {step.number: step for step in session.view().plan.steps}
    if shot not in steps:
        raise InputError([f"shot={shot}: there is no such shot; the list has {ranges(list(steps))}"])
    return steps[shot]


def _saying(shot: int, text: str) -> Action:
    """Nothing is to be changed."""

    async def act() -> None:
        terminal.line(shot, text)

    return act


def _next(step: Step) -> str:
    """What the next build does for a shot, in words."""
    if step.action in PURCHASES:
        what = f"`doit` buys it anew, for {show(step.price)} ({step.why})"
        return f"{what}; `doit keep shot={step.number}` accepts the present clip"
    if step.action is decision.Action.RESTORE:
        return f"`doit` puts another take in place, free ({step.why})"
    return "its clip is up to date" if step.done else step.why


# ── which take serves a shot ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen: a purchase whose take is here, for a shot."""

    step: Step
    row: Purchase
    text: str


def _resolve(session: "Session", shot: int, take: str | None) -> Choice:
    """What `shot=7 take=2` means; without a take, the clip in place. Raises InputError."""
    step, view = _step(session, shot), session.view()
    if step.locked and take is not None:
        raise InputError([f"shot={shot}: is locked, so its clip stays as it is; `doit unlock shot={shot}` first"])
    if unknown := step.request.waits_for:  # a choice is for a recipe, and this one has none yet
        clips, needs = " and ".join(f"clip {n}" for n in unknown), " ".join(f"clip:{n}" for n in unknown)
        why = f"{'; '.join(step.request.comes_from())}, and there is no up-to-date {clips} yet"
        first = next_steps.in_the_way(step, view.plan)
        if first is not step:
            command, what = next_steps.phrase(first, for_another=True)
            raise InputError([f"shot={shot}: {why}; {what}" if command else f"shot={shot}: {why}"])
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


async def _carry_out(session: "Session", run: "Run", choice: Choice) -> None:
    """Write the choice down, and put the take in place if another is there. Raises ClipFailed."""
    from vgen.production import make

    request, row = choice.step.request, choice.row
    wanted = request.recipe_for(row.provider) or next(iter(request.recipes.values()))
    run.start()
    run.choose(wanted.digest, row.id, instead_of=request.digests())
    sharing = [step for step in session.look_again().plan.steps if wanted.digest in step.request.digests()]
    sharing = [step for step in sharing if not step.locked or step.number == request.number]
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


def _choosing(session: "Session", choice: Choice) -> Action:
    async def choose() -> None:
        async with session.open(online=False) as run:
            await _carry_out(session, run, choice)

    return choose
