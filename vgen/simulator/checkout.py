"""Takes an order or refuses it, in a vendor's own words: all that may happen at a create. Knows no protocol."""

from collections.abc import Callable, Mapping

from vgen.simulator.cloud import Cloud, NewId
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING, VENDORS_AFTER, VENDORS_BEFORE
from vgen.simulator.jobs import ENDED, Job, Order
from vgen.simulator.spoil import spoil_create
from vgen.simulator.web import Response

MONEY = ("no_credits", "create_arrears", "model_closed")
"""What a vendor says only of an order that would be a new one."""

Refusals = Mapping[str, Response]
"""What a vendor answers to a create that meets a fault, by the fault's name; the wire's own faults are not in it."""


class Checkout:
    """Where the orders of one vendor are taken."""

    def __init__(self, cloud: Cloud, protocol: str, refusals: Refusals, new_id: NewId) -> None:
        self._cloud = cloud
        self._protocol = protocol
        self._refusals = refusals
        self._new_id = new_id
        self._open: dict[str, set[str]] = {}
        for job in cloud.all_jobs(protocol):
            self._open.setdefault(job.order.model, set()).add(job.id)

    def in_flight(self, model: str) -> int:
        """How many jobs of the model have not ended, waiting ones too."""
        ids = self._open.setdefault(model, set())
        ids -= {one for one in ids if self._ended(one)}
        return len(ids)

    def troubled(self, prompt: str) -> Response | None:
        """What a server in trouble answers, whatever is ordered: nothing is accepted."""
        names = [*BEFORE_ACCEPTING, *VENDORS_BEFORE]
        return self._refused([name for name in names if name not in MONEY], prompt)

    def refused(self, order: Order) -> Response | None:
        """The vendor's own no to this order, for money's or the prompt's sake: nothing is accepted."""
        found = self._refused(MONEY, order.prompt)
        if found is None and not self._cloud.affords(order):
            found = self._refusals.get("no_credits")
        return found or self._refused(["create_moderation"], order.prompt)

    def accept(self, order: Order, good: Callable[[Job], Response], *, fate: str = "") -> Response:
        """Take the order. The answer is `good`, unless it is spoilt on its way."""
        job = self._cloud.accept(order, fate=fate, new_id=self._new_id)
        self._open.setdefault(order.model, set()).add(job.id)
        return self.sent(order, good(job))

    def sent(self, order: Order, good: Response) -> Response:
        """The answer to a create that was accepted, now or when it came first, as it arrives."""
        faults = self._cloud.faults
        fault = faults.first_of(AFTER_ACCEPTING, self._protocol, order.prompt)
        if fault:
            return spoil_create(fault, good, _no_words)
        names = [name for name in VENDORS_AFTER if name.removesuffix("_accepted") in self._refusals]
        fault = faults.first_of(names, self._protocol, order.prompt)
        return self._refusals[fault.removesuffix("_accepted")] if fault else good

    def _ended(self, job_id: str) -> bool:
        job = self._cloud.find(self._protocol, job_id)
        return job is None or self._cloud.state(job) in ENDED

    def _refused(self, names: list[str] | tuple[str, ...], prompt: str) -> Response | None:
        wire = ("create_502", "create_reset")
        known = [name for name in names if name in self._refusals or name in wire]
        fault = self._cloud.faults.first_of(known, self._protocol, prompt)
        if fault is None:
            return None
        return spoil_create(fault, None, _no_words) if fault in wire else self._refusals[fault]


def _no_words(message: str) -> dict[str, object]:
    raise AssertionError(f"BUG: no vendor's words for {message!r}")
