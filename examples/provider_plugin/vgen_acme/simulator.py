"""Acme, as vgen's simulator plays it: written from Acme's documents, not from the codec."""

import json
from typing import Any

from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING, POLL
from vgen.simulator.jobs import Job, Order, State
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import spoil_create, spoil_poll
from vgen.simulator.web import Request, Response, answer

PRICE = 50_000
FIELDS = {"model", "text", "seconds", "shape", "silent"}
SIZES = {"9:16": (720, 1280), "16:9": (1280, 720), "1:1": (720, 720)}
STATES = {State.RUNNING: "working", State.SUCCEEDED: "ready", State.FAILED: "broken", State.CANCELLED: "broken"}


def problem(text: str) -> dict[str, str]:
    """Acme's way to say no."""
    return {"problem": text}


class Acme:
    """Orders and questions. `paths`: how its paths begin, where all vendors share one host."""

    paths: tuple[str, ...] = ("/clips",)

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud, self._shelf = cloud, shelf
        self._first: dict[str, tuple[bytes, str]] = {}
        """Idempotency key → the order's body and its clip."""

    def respond(self, request: Request) -> Response:
        """Answer a request of Acme's."""
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return answer(401, problem("who are you?"))
        if request.method == "POST" and request.path == "/clips":
            return self._create(request)
        job = self._cloud.find("acme", request.path.removeprefix("/clips/"))
        return self._tell(request, job) if request.method == "GET" else answer(405, problem("not allowed"))

    def _create(self, request: Request) -> Response:
        cloud, tag = self._cloud, request.headers.get("idempotency-key", "")
        cloud.requests["create"] += 1
        if tag in self._first:
            body, clip = self._first[tag]
            return answer(202, {"clip": clip}) if body == request.body else answer(409, problem("another order"))
        try:
            order = _order(json.loads(request.body))
        except (ValueError, KeyError, TypeError) as exc:
            return answer(400, problem(f"not an order: {exc}"))
        fault = cloud.faults.first_of(BEFORE_ACCEPTING, "acme", order.prompt)
        if fault == "bad_key":
            return answer(401, problem("that key is not known"))
        if fault == "no_credits" or (fault is None and not cloud.affords(order)):
            return answer(402, problem("no money left"))
        if fault:
            return spoil_create(fault, None, problem)
        clip = cloud.accept(order).id
        if tag:
            self._first[tag] = (request.body, clip)
        good = answer(202, {"clip": clip, "most_usd": f"{order.estimate_micro / 1e6:.6f}"})
        fault = cloud.faults.first_of(AFTER_ACCEPTING, "acme", order.prompt)
        return spoil_create(fault, good, problem) if fault else good

    def _tell(self, request: Request, job: Job | None) -> Response:
        cloud = self._cloud
        cloud.requests["poll"] += 1
        missing = answer(404, problem("no such clip"))
        if job is None:
            return missing
        fault = cloud.faults.first_of(POLL, "acme", job.order.prompt)
        if fault:
            return spoil_poll(fault, missing, problem)
        state = STATES.get(cloud.state(job), "waiting")
        said: dict[str, Any] = {"clip": job.id, "state": state}
        if state == "ready":
            said |= {
                "url": f"{request.origin}{self._shelf.path(job)}",
                "cost_usd": f"{job.order.price_micro / 1e6:.6f}",
            }
        if state == "broken":
            said["why"] = "the machine that made it stopped"
        return answer(200, said)


def _order(body: dict[str, Any]) -> Order:
    """Raises ValueError, KeyError or TypeError for what Acme refuses."""
    if body.keys() != FIELDS:
        raise ValueError(f"fields {sorted(body.keys() ^ FIELDS)}")
    seconds, (width, height) = int(body["seconds"]), SIZES[body["shape"]]
    if not 2 <= seconds <= 12 or body["model"] != "acme-1":
        raise ValueError("acme-1 makes 2 to 12 s")
    price = PRICE * seconds
    return Order(
        provider="acme", endpoint="clips", model=body["model"], prompt=str(body["text"]), body=body,
        duration_s=float(seconds), width=width, height=height, estimate_micro=price, price_micro=price,
    )  # fmt: skip
