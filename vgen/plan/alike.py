"""Whether two orders are the same, and two rejections of one kind: a second try would end like the first. Pure."""

import json
import re
from collections.abc import Sequence

from vgen.providers.base import Order
from vgen.store.purchase import State
from vgen.store.records import Purchase

_DIGITS = re.compile(r"[0-9.]+")
"""What an earlier vgen wrote as a rejection's reason, without its sizes, tells the kind."""


def is_same(request: str, order: Order) -> bool:
    """Whether an order of the ledger is today's; a later vgen may say besides what it leaves switched off."""
    if request == order.text:
        return True
    try:
        then = json.loads(request)
    except ValueError:
        return False
    if not isinstance(then, dict) or any(order.body.get(name) != value for name, value in then.items()):
        return False
    added = {name: value for name, value in order.body.items() if name not in then}
    return all(value is False or name == "outputFormat" for name, value in added.items())


def rejected_twice(here: Sequence[Purchase], request: str) -> Purchase | None:
    """The second take of the very order that was rejected for the same kind of reason: a third would be no better."""
    seen: set[str] = set()
    for row in here:
        if row.state is State.REJECTED and row.request == request:
            kinds = set((row.error_code or _DIGITS.sub("", row.error or "")).split(","))
            if (kinds & seen) - {""}:
                return row
            seen |= kinds
    return None
