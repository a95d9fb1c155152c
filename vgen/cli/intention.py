"""What a build means to do, from its plan and the tasks that doit will run."""

from typing import TYPE_CHECKING

from vgen.plan.decision import Action
from vgen.plan.step import PURCHASES
from vgen.production.intent import Intent

if TYPE_CHECKING:
    from vgen.cli.session import Session

NEEDS_NETWORK = (*PURCHASES, Action.COLLECT, Action.HELD)


def intended(session: "Session", *, online: bool | None) -> Intent:
    """`online`: None goes online if the plan needs it."""
    plan, chosen = session.plan, session.selection
    due = [s for s in plan.steps if s.number in chosen.numbers and (not s.finished or s.number in chosen.again)]
    asks = any(not step.actions.isdisjoint(NEEDS_NETWORK) or step.may_come_back for step in plan.steps)
    needed = bool(chosen.again or plan.orphans or asks)
    requests = [step.request for step in plan.steps]
    return Intent(
        requests=requests,
        takes=plan.takes(without=chosen.again),
        wanted=chosen.numbers or frozenset(request.number for request in requests),
        done=frozenset(step.number for step in plan.steps if step.finished and step.number not in chosen.again),
        again=chosen.again,
        locked=plan.locked,
        seen=session.view().stats,
        not_started={step.number: step.buys_at for step in due},
        fits=plan.fitting() if session.workspace.ready.run.partial else None,
        approved=chosen.approved,
        online=needed if online is None else online,
        read_only=not session.workspace.holds_lock,
    )
