"""The words of plans and of gates. Decides nothing."""

from vgen.money import show
from vgen.plan import review, takes_wanted
from vgen.plan.decision import Action, File
from vgen.plan.plan import Plan
from vgen.plan.step import Step
from vgen.views.report import Gate

_WORDS = {
    Action.KEEP: "keep",
    Action.RESTORE: "put back",
    Action.COLLECT: "collect",
    Action.BUY: "buy",
    Action.WAIT: "buy",
    Action.SHARE: "share",
    Action.HELD: "HELD",
    Action.STOP: "stop",
}


def plan_lines(plan: Plan, *, expected_s: float) -> list[str]:
    """`doit plan` in words: a line a shot, then the money."""
    lines = []
    for step in plan.steps:
        where = step.decision.offer.provider if step.action in (Action.BUY, Action.WAIT) and step.decision.offer else ""
        own = step.price - sum(one.price for one in step.further)
        price = show(own) if own else ""
        lines.append(f"shot {step.number:>3}  {_WORDS[step.action]:<8}  {where:<8} {price:>7}  {step.why}".rstrip())
        if step.request.further and not step.locked:
            lines.append(_takes(step))
    lines += [
        f"          collect             job {row.job_id} at {row.provider}, {review.whose(row, plan.locks)}"
        for row in plan.orphans
    ]
    lines += [_departed(name, file) for name, file in plan.departed.items() if file is not File.MISSING]
    lines += [f"          {adrift(number)}" for number in plan.adrift]
    lines.append(_money(plan, expected_s))
    return lines


def _departed(name: str, file: File) -> str:
    if file is File.EDITED:
        why = "its shot has left the list, but it was edited by hand; delete it yourself"
        return f"          keep                {name}: {why}"
    return f"          remove              {name}: its shot has left the list"


def adrift(number: int) -> str:
    """Of a lock whose shot is not in the list any more, as far as that can be told."""
    return (
        f"no shot of this list is the one that was locked as shot {number}: its take is kept, and the lock waits for "
        "its prompt; `doit lock` locks another"
    )


def _takes(step: Step) -> str:
    """The takes wanted of a shot, below its own line."""
    bought = [one.decision for one in step.further if one.decision.action is Action.BUY]
    where = bought[0].offer.provider if bought and bought[0].offer else ""
    price = show(sum(one.price for one in step.further)) if bought else ""
    text = takes_wanted.text(step.request, step.takes, step.further)
    return f"          {'buy' if bought else '':<8}  {where:<8} {price:>7}  {text}".rstrip()


def _money(plan: Plan, expected_s: float) -> str:
    budget = plan.budget
    play = " of play money" if plan.simulated else ""
    if not plan.total:
        text = "nothing to buy"
    else:
        text = f"total {show(plan.total)}{play} at list price, at worst {show(plan.worst)} with retries and fallbacks"
    if budget.cap is not None:
        text += f"; {show(budget.left or 0)} is left of the budget of {show(budget.cap)}"
    if plan.total:
        text += f"; about {expected_s / 60:.0f} min" if expected_s >= 90 else f"; about {expected_s:.0f} s"
    if not plan.fits():
        enough = show(budget.exposure + plan.cost()).removeprefix("$")
        text += f". Over budget by {show(plan.cost() - (budget.left or 0))}: "
        text += f"`doit budget_usd={enough}` allows it, `doit partial=yes` buys what fits"
    return text


def failed_gate(gate: Gate) -> str:
    """What a gate that failed says."""
    match gate.name:
        case "success_rate":
            return f"{gate.value or 0:.0%} of the clips are good, {gate.threshold or 0:.0%} required"
        case "resolution":
            return f"a clip's shorter side has {gate.value} pixels, {gate.threshold} required"
        case _:
            return f"${gate.value or 0:.2f} are spent or uncertain, the budget is ${gate.threshold or 0:.2f}"
