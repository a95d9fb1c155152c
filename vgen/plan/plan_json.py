"""plan.json: a plan as other programs read it. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vgen.money import usd
from vgen.plan import takes_wanted
from vgen.plan.decision import Decision
from vgen.plan.plan import Plan
from vgen.plan.step import PURCHASES, Step

PLAN_VERSION = 1


def as_json(plan_: Plan, *, expected: float) -> dict[str, Any]:
    """plan.json."""
    budget = plan_.budget
    return {
        "plan_version": PLAN_VERSION,
        "simulated": plan_.simulated,
        "total_usd": usd(plan_.total),
        "worst_case_usd": usd(plan_.worst),
        "fits": plan_.fits(),
        "expected_time_s": round(expected, 1),
        "budget": {
            "cap_usd": None if budget.cap is None else usd(budget.cap),
            "spent_usd": usd(budget.spent),
            "reserved_usd": usd(budget.reserved),
            "uncertain_usd": usd(budget.uncertain),
            "left_usd": None if budget.left is None else usd(budget.left),
        },
        "shots": [_shot(step) for step in plan_.steps],
    }


def _shot(step: Step) -> dict[str, Any]:
    """One shot; `takes` only where more than one is wanted. What is to be bought for these counts as the shot's."""
    due = _due(step)
    told: dict[str, Any] = {
        "shot_number": step.number,
        "action": due.action.value if due is not step.decision else step.action.value,
        "why": step.why if due is step.decision else takes_wanted.text(step.request, step.takes, step.further),
        "provider": _place(due),
        "model": due.offer.order.model if due.offer and due.offer.order else None,
        "price_usd": usd(step.price),
        "worst_case_usd": usd(step.worst),
        "offers": list(_offers(step)),
        "prompt_hash": _digest(step),
    }
    if step.locked:
        told["locked"] = True
    if step.note:
        told["note"] = step.note
    if step.request.shot.sources:
        told["after"] = sorted(step.sources)
        told["text_hash"] = _digest(replace(step, request=step.request.after({})))
    if step.request.further:
        told["takes"] = {
            "wanted": step.request.takes_wanted,
            "accepted": step.takes,
            "to_buy": (step.action in PURCHASES and not step.blocked)
            + sum(one.decision.action in PURCHASES for one in step.further),
            "price_usd": usd(sum(one.price for one in step.further)),
        }
    return told


def _offers(step: Step) -> Iterator[dict[str, Any]]:
    """Where it may be bought."""
    unknown = step.request.after({})
    for offer in step.request.offers:
        if offer.order:
            told = {"text_hash": unknown.recipes[offer.provider].digest} if step.request.shot.sources else {}
            yield {
                "provider": offer.provider,
                "model": offer.order.model,
                "price_usd": usd(offer.order.price),
                "max_retries": offer.max_retries,
                "prompt_hash": step.request.recipes[offer.provider].digest,
                **told,
            }


def _due(step: Step) -> Decision:
    """The clip's decision; one about the takes wanted beside it if that is a purchase, or all that is left to do."""
    further = [one.decision for one in step.further if one.is_due]
    if step.action not in PURCHASES:
        bought = next((now for now in further if now.action in PURCHASES), None)
        if bought is not None or step.done:
            return bought or next(iter(further), step.decision)
    return step.decision


def _place(now: Decision) -> str | None:
    if now.offer:
        return now.offer.provider
    return now.row.provider if now.row else None


def _digest(step: Step) -> str | None:
    provider = _place(step.decision) or next(iter(step.request.recipes), None)
    return step.request.recipes[provider].digest if provider and provider in step.request.recipes else None
