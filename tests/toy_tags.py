"""The made-up protocol, of a vendor that knows each order by a tag: it replays it, or refuses it and can be asked."""

import json
from types import SimpleNamespace
from typing import ClassVar

import pytest
import toy_protocol
from toy_protocol import ToyCloud

from vgen import providers
from vgen.pictures import Pictures
from vgen.providers.base import Answer, Call, Listed, Listing, Order, RefusalReason, Refused, Reply, Terms
from vgen.providers.codec import Likeness, LookUp, QuoteCall, Replay
from vgen.simulator import app
from vgen.simulator.web import Request, Response
from vgen.simulator.web import answer as answered

REMEMBERS_S = 3600.0


class TaggedToyCloud(ToyCloud):
    """`seen`: tag → what was sent with it and the answer. `replays`: else a second order of a tag is refused."""

    replays: ClassVar[bool]
    seen: ClassVar[dict[str, tuple[bytes, Response]]] = {}
    quote: ClassVar[int | None] = None
    asked_for_quotes: ClassVar[list[str]] = []

    def respond(self, request: Request) -> Response:
        if request.path == "/toy/quotes":
            self.asked_for_quotes.append(request.headers.get("authorization", ""))
            return answered(200, {"costs": self.quote}) if self.quote is not None else answered(500, {"error": "?"})
        if request.path == "/toy/tags":
            tag = json.loads(request.body)["tag"]
            known = self.seen.get(tag)
            return answered(200, {"order": json.loads(known[1].body)["order"] if known else ""})
        if request.path == "/toy/list":
            return self._listed()
        return super().respond(request)

    def _listed(self) -> Response:
        jobs = self._cloud._jobs.values()
        found = [{"id": job.id, "seconds": job.order.body["seconds"], "at": job.created_at} for job in jobs]
        return answered(200, {"orders": found})

    def _create(self, request: Request) -> Response:
        tag = request.headers["x-tag"]
        if tag in self.seen:
            body, good = self.seen[tag]
            if not self.replays or body != request.body:
                return answered(409, {"error": "that tag was used"})
            return good
        before = set(self._cloud._jobs)
        response = super()._create(request)
        for job_id in set(self._cloud._jobs) - before:
            self.seen[tag] = (request.body, answered(201, {"order": job_id}))
        return response


def _create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    return Call(
        method="POST", url=terms.base_url + order.path, body=order.text.encode(), headers=(("X-Tag", tag),),
        auth=f"Toy {key}", step="create",
    )  # fmt: skip


def _answer(reply: Reply, terms: Terms) -> Answer:
    if reply.status == 409:
        return Refused(reason=RefusalReason.DUPLICATE, message="that tag was used")
    if reply.status == 422:
        return Refused(reason=RefusalReason.INPUT, message="no")
    return toy_protocol.answer(reply, terms)


def _find(tag: str, base_url: str, key: str) -> Call:
    body = json.dumps({"tag": tag}).encode()
    return Call(method="POST", url=f"{base_url}/toy/tags", body=body, auth=f"Toy {key}", step="find")


def _found(reply: Reply, tag: str) -> str | None:
    found = reply.object().get("order")
    return found if reply.status == 200 and isinstance(found, str) else None


def _list(model: str, since: float, base_url: str, key: str, cursor: str | None) -> Call:
    return Call(method="GET", url=f"{base_url}/toy/list", auth=f"Toy {key}", step="list_jobs")


def _listing(reply: Reply, cursor: str | None) -> Listing | None:
    orders = reply.object().get("orders")
    if not isinstance(orders, list):
        return None
    return Listing(
        jobs=tuple(
            Listed(id=one["id"], created_at=float(one["at"]), fields={"seconds": one["seconds"]}) for one in orders
        )
    )


REPLAY = Replay(remembers_s=REMEMBERS_S)
LOOK_UP = LookUp(find=_find, found=_found)
LIKENESS = Likeness(list_jobs=_list, parse_job_list=_listing, fields=("seconds",))
QUOTE = QuoteCall(
    ask=lambda order, base_url: Call(method="POST", url=f"{base_url}/toy/quotes", body=order.text.encode()),
    quoted=lambda reply: reply.object().get("costs"),
)


def register(
    monkeypatch: pytest.MonkeyPatch, lost: Replay | LookUp | Likeness, quote: int | None = None
) -> type[TaggedToyCloud]:
    """The protocol `toy` of this class of finding lost orders. `quote`: what its free quotes say."""
    cloud = type(
        "Cloud",
        (TaggedToyCloud,),
        {"replays": not isinstance(lost, LookUp), "seen": {}, "quote": quote, "asked_for_quotes": []},
    )
    codec = {
        **{name: getattr(toy_protocol, name) for name in dir(toy_protocol) if not name.startswith("__")},
        "create": _create, "answer": _answer, "LOST_ORDERS": lost, "QUOTE": None if quote is None else QUOTE,
    }  # fmt: skip
    monkeypatch.setitem(providers.CODECS, "toy", SimpleNamespace(**codec))
    monkeypatch.setitem(app.PARTS, "toy", cloud)
    return cloud
