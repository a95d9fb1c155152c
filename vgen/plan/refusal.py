"""What a plan that does not fit its budget says. Pure."""

from collections.abc import Collection

from vgen.money import show
from vgen.plan.decision import Action
from vgen.plan.plan import Plan


def refusal(plan_: Plan, numbers: Collection[int] | None = None) -> str:
    """Why the plan does not fit the budget, with the figures and the commands that would help."""
    wanted = [step for step in plan_.steps if numbers is None or step.number in numbers]
    buying = [step for step in wanted if step.action in (Action.BUY, Action.SHARE)]
    needed = plan_.cost(numbers)
    budget = plan_.budget
    held = f" ({show(budget.spent)} spent, {show(budget.reserved)} reserved, {show(budget.uncertain)} uncertain)"
    cap, left = budget.cap or 0, budget.left or 0
    enough = show(budget.exposure + needed).removeprefix("$")
    further = len(plan_.orders(numbers)) - len(buying)
    counted = ((len(buying), "clip"), (further, "further take"))
    parts = [f"{count} {what}" if count == 1 else f"{count} {what}s" for count, what in counted if count > 0]
    costs = "costs" if len(buying) + max(0, further) == 1 else "cost"
    return (
        f"{' and '.join(parts)} {costs} {show(needed)} at list price, "
        f"but {show(left)} is left of the budget of {show(cap)}{held}; nothing was bought. "
        f"`doit budget_usd={enough}` allows it, `doit partial=yes` buys what fits, `doit plan` shows each shot"
    )
