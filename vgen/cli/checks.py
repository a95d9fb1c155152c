"""What is refused before a run starts: stray variables, shots nobody can make, drifted plans, too little money."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from vgen.cli import names, registry, reporting
from vgen.errors import InputError, Refusal
from vgen.inputs.album import Album
from vgen.inputs.settings import Settings
from vgen.inputs.variables import VARIABLES
from vgen.inputs.wording import shown, unknown_variable
from vgen.plan import approved_plan, plan_json, refusal
from vgen.plan.decision import Action, File
from vgen.plan.step import PURCHASES
from vgen.production import world
from vgen.ranges import ranges
from vgen.views import terminal, words

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.plan.step import Step


def refuse_strays(variables: Mapping[str, str], words: Sequence[str]) -> None:
    """Variables that the named commands do not take. Raises InputError."""
    named = set(words)
    for name, value in variables.items():
        homes = registry.owners(name, value)
        if homes and not named & set(homes):
            commands = " and ".join(f"`doit {home}`" for home in homes)
            if name in VARIABLES:
                raise InputError([f"{name}={value}: say yes or no; a file belongs to {commands}"])
            raise InputError([f"{name}: belongs to {commands}, not to this command"])
    if "wait" in variables and named and named <= registry.looks_only():
        raise InputError(["wait: belongs to a build; this command waits for nobody"])
    if "plan" in variables and named & registry.builds_nothing():
        raise InputError(["plan: belongs to a build, as in `doit plan=outputs/plan.json`"])
    alone = [command for name, command in registry.commands().items() if name in named and command.example]
    if alone and len(words) > 1:
        raise InputError([names.usage(alone[0], words)])
    for command in alone:
        problems = command.check(variables) if command.check else ()
        if problems:
            raise InputError(list(problems))


def unknown_variables(variables: Mapping[str, str]) -> list[str]:
    """A problem for each name of the command line that is no variable's."""
    known = (*VARIABLES, *registry.command_variables())
    return [unknown_variable(shown(name), name, known) for name in variables if name not in known]


def refuse_live_without_key(settings: Settings) -> None:
    """Where nothing can be bought for lack of a key. What builds nothing goes on: a plan needs none. Raises InputError.

    A film without any key, and without `mode=live`, is another matter: see `_refuse_keyless`.
    """
    if not settings.keyless:
        return
    both = [one for one in (settings.primary, settings.fallback) if one is not None]
    if settings.run.mode == "live":
        keys = world.keys_wanted(settings)
        raise InputError([f"mode=live: no provider can be used: set {keys}, or rehearse with mode=simulate"])
    if any(one.key for one in both):
        raise InputError([f"no provider can be used: {'; '.join(str(one.closed) for one in both)}"])


def before_build(session: "Session") -> None:
    """Refuse a build that can't be made or paid; tell what the user should know. Raises InputError, Refusal."""
    if problem := session.workspace.other_world():
        raise Refusal(problem, code="other_world")
    _refuse_locked(session)
    reporting.follow_shots(session)
    for number in session.plan.adrift:
        terminal.line(None, words.adrift(number))
    plan, numbers = session.plan, session.selection.numbers
    _refuse_keyless(session)
    for warning in session.workspace.warnings:
        if has_work(session):
            terminal.line(None, warning)
    if impossible := plan.impossible(numbers):
        raise InputError(impossible)
    _refuse_broken(session)
    _refuse_drift(session)
    if session.workspace.ready.simulated and any(plan.step(number).price for number in numbers):
        why = world.why_simulated(session.workspace.ready)
        terminal.line(None, f"simulated run ({why}): no real money is spent, clips are placeholder animations")
    if not fits(session) and not _has_free_work(session):
        raise refused(session)


def _refuse_locked(session: "Session") -> None:
    """-a of clips that are to stay as they are. Raises Refusal."""
    locked = sorted(session.plan.locks.keys() & session.selection.again)
    if locked:
        are = "clip {} is" if len(locked) == 1 else "clips {} are"
        raise Refusal(
            f"{are.format(ranges(locked))} locked and can't get a new take; unlock first: "
            f"`doit unlock shot={locked[0]}`" + (", and so on" if len(locked) > 1 else ""),
            code="clip_locked",
        )


def _refuse_broken(session: "Session") -> None:
    """Pictures that can't be read to their end, of shots that are to be bought. Raises InputError."""
    chosen, album = session.selection, Album(session.workspace.root)
    steps = [step for step in session.plan.steps if step.number in chosen.numbers]
    due = [one.request.shot for one in steps if one.action in (Action.BUY, Action.WAIT) or one.number in chosen.again]
    if problems := [line for shot in due for line in album.broken(shot)]:
        raise InputError([f"{session.workspace.ready.run.visual_prompts}: {problem}" for problem in problems])


def _refuse_keyless(session: "Session") -> None:
    """A live production without a key: what needs a provider is not begun. Raises Refusal."""
    settings, chosen = session.workspace.ready, session.selection
    if not settings.keyless or not has_work(session):
        return
    due = [step for step in session.plan.steps if step.number in chosen.numbers and _needs_provider(step)]
    if due or (chosen.full and session.plan.orphans):
        raise Refusal(
            f"{settings.run.outputs} holds clips that were bought for real money, so nothing is simulated there, and "
            f"no key is set: set {world.keys_wanted(settings)} to go on. Nothing was started",
            code="no_key",
        )


def _needs_provider(step: "Step") -> bool:
    """Whether a step is to be bought, or is at a provider."""
    unsold = step.action is Action.STOP and step.decision.row is None and not step.request.offers
    return unsold or not step.actions.isdisjoint((*PURCHASES, Action.COLLECT, Action.HELD))


def _refuse_drift(session: "Session") -> None:
    """`plan=FILE`: that plan, or what is left of it, and nothing else. Raises InputError, Refusal."""
    if (name := session.variables.get("plan")) is None:
        return
    try:
        then = approved_plan.read((session.workspace.root / name).read_bytes(), name)
    except OSError as exc:
        raise InputError([f"{name}: can't be read ({exc.strerror}); make it with `doit plan`"]) from exc
    now = plan_json.as_json(session.plan, expected=0)
    if found := approved_plan.drift(then, now, name):
        found = [*found, "nothing was bought; run `doit plan` to make a new plan"]
        raise Refusal("\n".join(found), code="plan_changed")
    session.approve(approved_plan.purchases(then))


def refuse_processes(session: "Session") -> None:
    """Raise InputError if clips are simulated inside vgen: each process would have providers of its own."""
    if session.selection.builds and session.workspace.ready.in_process:
        text = "-P process: the simulated providers live inside vgen, and each process would have its own; take out "
        raise InputError([f"{text}-P process, or start `python -m vgen.simulator` and set base_url"])


def has_work(session: "Session") -> bool:
    """Whether a build has anything to do."""
    plan, chosen = session.plan, session.selection
    left_over = chosen.full and (plan.orphans or any(file is not File.EDITED for file in plan.departed.values()))
    undone = any(not step.finished for step in plan.steps if step.number in chosen.numbers)
    return bool(chosen.again or left_over or undone)


def fits(session: "Session") -> bool:
    """Whether a build may begin to buy: all of it fits the budget, or the user wants what fits."""
    return session.workspace.ready.run.partial or session.plan.fits(session.selection.numbers)


def _has_free_work(session: "Session") -> bool:
    plan, chosen = session.plan, session.selection
    free = {Action.RESTORE, Action.COLLECT}
    return bool(
        any(step.number in chosen.numbers and step.actions & free for step in plan.steps)
        or (chosen.full and plan.orphans)
    )


def refused(session: "Session") -> Refusal:
    """The plan does not fit the budget."""
    text = refusal.refusal(session.plan, session.selection.numbers)
    reporting.announce(session, "cap", text)
    return Refusal(text, code="over_budget")
