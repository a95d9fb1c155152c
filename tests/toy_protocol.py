"""A made-up protocol outside vgen's folder: a codec, its simulated vendor, and the two lines that register them."""

import json
import re
from decimal import Decimal
from typing import ClassVar

import pytest

from vgen import providers
from vgen.money import up
from vgen.pictures import Pictures
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
    CannotMake,
    Done,
    Failed,
    Inconclusive,
    Job,
    Missing,
    Order,
    Queued,
    RefusalReason,
    Refused,
    Reply,
    Running,
    Status,
    Terms,
    Unclear,
)
from vgen.providers.codec import AccountCall, Codec, LostOrders, QuoteCall, Vendor
from vgen.recipe import Recipe
from vgen.simulator import app
from vgen.simulator import jobs as simulated
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import spoil_create
from vgen.simulator.web import Request, Response
from vgen.simulator.web import answer as answered

VENDOR = Vendor(
    protocol="toy",
    keys=("TOY_SHARED_KEY",),
    hosts=("api.toy.example",),
    base_url="https://api.toy.example",
    poll_interval_s=2.0,
)
LOST_ORDERS: LostOrders = None
QUOTE: QuoteCall | None = None
ACCOUNT: AccountCall | None = None
PRICE = 10_000
"""Micro-dollars a second of the only model, `toy-1`."""


def list_price(model: str, resolution: str | None) -> int | None:
    return PRICE if model == "toy-1" else None


def order(recipe: Recipe, terms: Terms) -> Order:
    price = list_price(terms.model, None)
    if price is None or recipe.pictures:
        raise CannotMake(f"{terms.model}: there is toy-1, and it takes no image")
    body = {
        "model": terms.model,
        "text": recipe.prompt,
        "seconds": str(recipe.duration_s),
        "shape": recipe.aspect_ratio,
    }
    return Order(
        model=terms.model,
        path="/toy/orders",
        body=body,
        bought_s=recipe.duration_s,
        price=up(Decimal(price) * recipe.duration_s),
        left_out=tuple(name for name in ("seed", "negative_prompt") if getattr(recipe, name) is not None),
    )


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    return Call(
        method="POST", url=terms.base_url + order.path, body=order.text.encode(), auth=f"Toy {key}", step="create"
    )


def answer(reply: Reply, terms: Terms) -> Answer:
    said = reply.object()
    job_id = said.get("order")
    if reply.status == 201 and isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id):
        return Accepted(job=job_from_id(job_id, terms.model, terms.base_url))
    if reply.status == 401:
        return Refused(reason=RefusalReason.KEY, message="who are you?")
    return Unclear(message=f"HTTP {reply.status}")


def poll(job: Job, base_url: str, key: str) -> Call:
    return Call(method="GET", url=job.urls["self"], auth=f"Toy {key}", step="status")


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    said = reply.object()
    match reply.status, said.get("is"):
        case 404, _ if said:
            return Missing()
        case 200, "waiting":
            return Queued()
        case 200, "working":
            return Running()
        case 200, "ready":
            return Done(url=str(said["film"]))
        case 200, "broken":
            return Failed(message="it broke", again=True, charged=0)
        case _:
            return Inconclusive(message=f"HTTP {reply.status}")


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    return Call(method="DELETE", url=job.urls["self"], auth=f"Toy {key}", step="cancel")


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    return Job(id=job_id, urls={"self": f"{base_url}/toy/orders/{job_id}"})


class ToyCloud:
    """The simulated vendor. `keys`: all that clients have sent it."""

    paths: tuple[str, ...] = ("/toy/",)
    keys: ClassVar[set[str]] = set()

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud, self._shelf = cloud, shelf

    def respond(self, request: Request) -> Response:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Toy":
            return answered(401, {"error": "who are you?"})
        self.keys.add(key)
        if request.method == "POST":
            return self._create(request)
        job = self._cloud.find("toy", request.path.removeprefix("/toy/orders/"))
        if job is None:
            return answered(404, {"error": "no such order"})
        if request.method == "DELETE":
            self._cloud.cancel(job)
        words = {"RUNNING": "working", "SUCCEEDED": "ready", "FAILED": "broken", "CANCELLED": "broken"}
        said = {"is": words.get(self._cloud.state(job), "waiting")}
        return answered(200, said | {"film": f"{request.origin}{self._shelf.path(job)}"})

    def _create(self, request: Request) -> Response:
        cloud, body = self._cloud, json.loads(request.body)
        cloud.requests["create"] += 1
        price = PRICE * int(body["seconds"])
        made = simulated.Order(
            provider="toy", endpoint="orders", model=body["model"], prompt=body["text"], body=body,
            duration_s=float(body["seconds"]), width=720, height=1280, estimate_micro=price, price_micro=price,
        )  # fmt: skip
        fault = cloud.faults.first_of(BEFORE_ACCEPTING, "toy", made.prompt)
        if fault:
            return spoil_create(fault, None, lambda message: {"error": message})
        good = answered(201, {"order": cloud.accept(made).id})
        fault = cloud.faults.first_of(AFTER_ACCEPTING, "toy", made.prompt)
        return spoil_create(fault, good, lambda message: {"error": message}) if fault else good


def register(monkeypatch: pytest.MonkeyPatch, codec: Codec) -> None:
    """The two lines."""
    monkeypatch.setitem(providers.CODECS, "toy", codec)
    monkeypatch.setitem(app.PARTS, "toy", ToyCloud)
