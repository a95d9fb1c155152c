"""plan.json: a plan as others read it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vgen.money import usd
from vgen.plan.plan import Plan, Step

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
        "shots": [
            {
                "shot_number": step.number,
                "action": step.action.value,
                "why": step.why,
                "provider": _place(step),
                "model": step.decision.offer.order.model if step.decision.offer and step.decision.offer.order else None,
                "price_usd": usd(step.price),
                "worst_case_usd": usd(step.worst),
                "offers": list(_offers(step)),
                "prompt_hash": _digest(step),
                **_chained(step),
            }
            for step in plan_.steps
        ],
    }


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


def _chained(step: Step) -> dict[str, Any]:
    """Of a shot that is made from others' frames: from which, and what it would be whichever takes they have."""
    if not step.request.shot.sources:
        return {}
    return {
        "after": sorted(step.request.shot.sources),
        "text_hash": _digest(replace(step, request=step.request.after({}))),
    }


def _place(step: Step) -> str | None:
    if step.decision.offer:
        return step.decision.offer.provider
    return step.decision.row.provider if step.decision.row else None


def _digest(step: Step) -> str | None:
    provider = _place(step) or next(iter(step.request.recipes), None)
    return step.request.recipes[provider].digest if provider and provider in step.request.recipes else None
