"""A plan that was agreed on (`doit plan=outputs/plan.json`), held against the plan of now. Pure."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from vgen.errors import InputError
from vgen.money import show
from vgen.plan.decision import Action
from vgen.plan.plan_json import PLAN_VERSION

PAID = frozenset({Action.BUY.value, Action.SHARE.value, Action.WAIT.value})
FREE_NOW = frozenset({Action.KEEP.value, Action.RESTORE.value, Action.COLLECT.value})


def read(data: bytes, where: str) -> dict[str, Any]:
    """plan.json. Raises InputError."""
    again = "make a new one with `doit plan`"
    try:
        found = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise InputError([f"{where}: is not JSON; {again}"]) from exc
    if not isinstance(found, dict) or not isinstance(found.get("shots"), list):
        raise InputError([f"{where}: is not a plan made by vgen; {again}"])
    if found.get("plan_version") != PLAN_VERSION:
        raise InputError([f"{where}: plan_version is {found.get('plan_version')!r}, not {PLAN_VERSION}; {again}"])
    return found


def drift(then: Mapping[str, Any], now: Mapping[str, Any], where: str) -> list[str]:
    """What is not as it was agreed on, a line each; none if the run would do that plan or what is left of it."""
    try:
        found = [*_shots(then, now), *_money(then, now)]
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as exc:
        return [f"{where}: is not a plan made by vgen ({exc!r}); make a new one with `doit plan`"]
    return [f"{where}: {text}" for text in found]


def purchases(then: Mapping[str, Any]) -> frozenset[int]:
    """The shots that the plan may buy."""
    return frozenset(shot["shot_number"] for shot in then["shots"] if shot["action"] in PAID)


def _shots(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    agreed = {shot["shot_number"]: shot for shot in then["shots"]}
    present = {shot["shot_number"]: shot for shot in now["shots"]}
    if then["simulated"] != now["simulated"]:
        yield f"was made for a {_world(then)} run, and this run is {_world(now)}"
    yield from (f"shot {number} is new since then" for number in present.keys() - agreed.keys())
    for number, was in agreed.items():
        if number not in present:
            yield f"shot {number} has left the list"
        else:
            yield from (f"shot {number}: {text}" for text in _shot(was, present[number]))


def _shot(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if now.get("locked"):
        return  # its clip stays as it is, whatever the plan says: nothing is bought for it
    came = was["action"] == Action.WAIT.value and now["action"] != Action.WAIT.value
    same_text = "text_hash" in now and was.get("text_hash") == now["text_hash"]
    what = "the take of another shot that it is made from" if same_text else "its prompt"
    changed = was["prompt_hash"] != now["text_hash" if came and "text_hash" in now else "prompt_hash"]
    if now["action"] in FREE_NOW and was["action"] in FREE_NOW | PAID:
        if changed and was["provider"] == now["provider"]:
            yield f"{what} has changed since then"
        return
    if changed:
        yield f"{what} has changed since then"
    elif was["action"] != now["action"] and not (came and now["action"] in PAID):
        yield f"the plan says {_word(was['action'])}, now it is {now['action']} ({now['why']})"
    elif (was["provider"], was["model"]) != (now["provider"], now["model"]):
        before = f"{_word(was['model'])} at {_word(was['provider'])}"
        yield f"the plan says {before}, now it is {now['model']} at {now['provider']}"
    elif was["price_usd"] != now["price_usd"] and not _fewer_takes(was, now):
        yield f"its price was {_dollars(was['price_usd'])} and is {_dollars(now['price_usd'])} now"
    elif _offers(was, came=came) != _offers(now, came=came):
        worst = f"at worst {_dollars(was['worst_case_usd'])}, now {_dollars(now['worst_case_usd'])}"
        yield f"the plan has other retries or another fallback ({worst})"


def _offers(shot: Mapping[str, Any], *, came: bool) -> list[dict[str, Any]]:
    """`came`: the frames that a shot waited for are known now, and were not when the plan was made."""
    return [{k: v for k, v in offer.items() if not came or k != "prompt_hash"} for offer in shot["offers"]]


def _fewer_takes(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether some of the takes that were to be bought are here, and no more than the others is left to buy."""
    then, today = was.get("takes"), now.get("takes")
    if not then or not today or then["wanted"] != today["wanted"]:
        return False
    return bool(today["to_buy"] < then["to_buy"] and now["price_usd"] < was["price_usd"])


def _money(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    before, today = then["budget"], now["budget"]
    if before["cap_usd"] != today["cap_usd"]:
        yield f"the budget was {_dollars(before['cap_usd'])} and is {_dollars(today['cap_usd'])} now"
    elif before["left_usd"] is not None:
        agreed = before["left_usd"] - then["total_usd"]
        after = today["left_usd"] - now["total_usd"]
        if not math.isfinite(agreed):
            raise ValueError(agreed)
        if after < agreed - 1e-9:
            yield f"{_dollars(round(agreed - after, 6))} of the budget was spent elsewhere since then"


def _word(value: object) -> str:
    """Text of a file, for a terminal."""
    return "".join(c for c in str(value)[:80] if c.isprintable())


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number")


def _world(plan: Mapping[str, Any]) -> str:
    return "simulated" if plan["simulated"] else "live"


def _dollars(value: float | None) -> str:
    return "none" if value is None else show(round(value * 1_000_000))
