"""What helps a shot that has no clip: the commands to type, the most helpful first. Pure."""

from collections.abc import Collection

from vgen.money import show
from vgen.plan.decision import Action, File, Remedy
from vgen.plan.plan import Plan
from vgen.plan.step import Step
from vgen.store.purchase import COLLECTABLE, State


def enough(plan: Plan, numbers: Collection[int] | None = None) -> str:
    """The budget that allows all purchases (of the named shots), as typed; "" if what is left allows them."""
    return "" if plan.fits(numbers) else show(plan.budget.exposure + plan.cost(numbers)).removeprefix("$")


def in_the_way(step: Step, plan: Plan) -> Step:
    """The shot that is to be helped first: of one that waits for another which a run can't make, that one."""
    sources = [plan.step(number) for number in sorted(step.sources)] if step.blocked else []
    stuck = [one for one in sources if one.blocked or one.action in (Action.STOP, Action.HELD)]
    return in_the_way(stuck[0], plan) if stuck else step


def commands(step: Step, budget: str = "") -> list[str]:
    """Commands for a shot, as typed, without the run's variables; none for a shot whose clip is up to date.

    `budget`: see `enough`. It is the same for all shots, so that their commands can be typed one after the other.
    """
    number, row = step.number, step.decision.row
    make, anew = f"doit clip:{number}", f"doit -a clip:{number}"
    match step.action:
        case Action.KEEP:
            return []
        case Action.STOP if step.locked:
            return [make] if row is not None else [f"doit unlock shot={number}"]
        case Action.HELD if row is not None and row.state is State.UNCERTAIN:
            return ["doit recover", f"doit settle shot={number} as=charged", f"doit on_uncertain=rebuy clip:{number}"]
        case Action.STOP if step.file is File.EDITED:
            return [anew, f"doit keep shot={number}"]
        case Action.STOP if row is not None:
            return [make] if row.state in COLLECTABLE else [anew]
        case Action.STOP if step.decision.remedy is Remedy.AGAIN:
            return [anew]
        case Action.STOP if step.decision.remedy is Remedy.OPEN:
            return ["doit doctor", make]
        case Action.BUY | Action.WAIT | Action.SHARE if budget:
            return [f"doit budget_usd={budget} clip:{number}"]
        case _:
            return [make]


def phrase(step: Step, budget: str = "", *, for_another: bool = False) -> tuple[str, str]:
    """The most helpful command, and what to say of it with the command in backticks; both "" where nothing is due.

    `for_another`: it is told to a shot that is made from this one, so what accepts its clip, free, is the first.
    """
    found = commands(step, budget)
    if not found:
        return "", ""
    keep = f"doit keep shot={step.number}"
    command = keep if for_another and keep in found else found[0]
    match step.action:
        case _ if command == keep:
            text = f"`{command}` accepts clip {step.number} as it is, free"
        case Action.HELD if command == "doit recover":
            text = f"`{command}` asks the provider, free"
        case Action.COLLECT | Action.RESTORE:
            text = f"`{command}` goes on with it, free"
        case Action.STOP if step.decision.row is not None and step.decision.row.state in COLLECTABLE:
            text = f"`{command}` goes on with it, free"
        case Action.BUY | Action.WAIT | Action.SHARE if not step.blocked:
            text = f"`{command}` buys it"
        case Action.STOP if step.decision.remedy is Remedy.EDIT:
            text = f"change the shot, then `{command}`"
        case Action.STOP if step.decision.remedy is Remedy.OPEN:
            text = f"mend that (`{command}` helps), then `{found[-1]}`"
        case Action.STOP if command.startswith("doit -a"):
            text = f"`{command}` buys a new take"
        case _:
            text = f"`{command}` tries again"
    return command, text
