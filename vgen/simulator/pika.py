"""Speaks Pika's own protocol (api.dev.pika.art) for the simulated cloud. Knows no sockets and no media bytes."""

import base64
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count
from typing import Any
from urllib.parse import unquote

from vgen.money import show
from vgen.simulator import pika_rules
from vgen.simulator.checkout import Checkout
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import POLL
from vgen.simulator.jobs import ENDED, Billing, Job, Order, State
from vgen.simulator.picture import ratio, size_of
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import RETRY_AFTER_S, spoil_poll
from vgen.simulator.web import Request, Response, answer

PROTOCOL = "pika"
JOBS, UPLOADS, CREATES = "/v1/media/jobs/", "/v1/media/uploads", "/v1/media/"
PENDING_POLLS = 2
"""So many times an ended job is shown before its charge is settled."""
PLENTY_MICRO = 10**12
"""The balance that an account without an end shows before it has spent anything."""
STATES = {State.RUNNING: "running", State.SUCCEEDED: "completed", State.FAILED: "failed"}
"""Everything else is queued."""
_PLAIN = Billing(tells=True)
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ITEM = re.compile(r"/catalog/apis/(?P<id>[^/]+)(?P<quote>/quote)?")


def new_id(bits: int, created_at: float) -> str:  # noqa: ARG001 - a NewId
    return "job_" + "".join(_LETTERS[bits >> 5 * place & 31] for place in range(16))


def error(status: int, code: str, message: str) -> Response:
    return answer(status, {"error": {"code": code, "message": message}})


BAD_KEY = error(401, "unauthorized", "Missing or invalid API key")
NOT_FOUND = error(404, "not_found", "Job not found")
REFUSALS = {
    "bad_key": BAD_KEY,
    "create_arrears": error(429, "usage_limit_exceeded", "Usage limit exceeded"),
    "create_429": error(429, "rate_limited", "Too many requests"),
    "create_busy": error(429, "rate_limited", "Too many jobs in flight"),
    "create_500": error(500, "internal", "Internal error"),
    "create_503": answer(503, {"message": "Provider unavailable", "retry_after": RETRY_AFTER_S}),
    "account_closed": answer(403, {"message": "API key is inactive"}),
    "model_closed": error(403, "membership_required", "This model needs a membership"),
}


class Pika:
    """Creates by vendor/model/function, jobs, the keyless catalog with its quotes, uploads, balance and spend."""

    paths: tuple[str, ...] = (CREATES, "/catalog/", "/billing/")

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud = cloud
        self._shelf = shelf
        self._checkout = Checkout(cloud, PROTOCOL, REFUSALS, new_id)
        self._calls = count(1)
        self._shown: Counter[str] = Counter()
        self._shapes: dict[str, str | None] = {}
        """URL of an upload → the shape of the picture that came."""
        self._by_key = {job.order.key: job for job in cloud.all_jobs(PROTOCOL)}

    def respond(self, request: Request) -> Response:
        """Answer any request to Pika's host."""
        response = self._respond(request)
        headers = [*response.headers, ("x-request-id", f"req_{next(self._calls)}")]
        if response.status == 429 or response.body == REFUSALS["create_503"].body:
            headers.append(("retry-after", formatdate(self._cloud.now() + RETRY_AFTER_S, usegmt=True)))
        return replace(response, headers=tuple(headers))

    def _respond(self, request: Request) -> Response:
        path, method = request.path, request.method
        if path.startswith("/catalog/"):
            return self._catalog(request)
        if method == "PUT" and path.startswith(UPLOADS):
            return self._uploaded(request)
        if not request.headers.get("x-api-key", "").strip():
            return BAD_KEY
        match method:
            case "POST" if path == UPLOADS:
                return self._upload(request)
            case "DELETE" if path == UPLOADS:
                return Response(status=204)
            case "POST" if path.startswith(CREATES) and not path.startswith(JOBS):
                return self._create(request, path.removeprefix(CREATES))
            case "GET" if path.startswith(JOBS):
                return self._ask(request, path.removeprefix(JOBS))
            case "DELETE" if path.startswith(JOBS):
                return self._erase(path.removeprefix(JOBS))
            case "GET" if path == "/billing/balance":
                return self._balance()
            case "GET" if path == "/billing/spend/daily":
                return self._spend(request)
        return error(404, "not_found", f"There is no {method} {path}")

    # --- create

    def _create(self, request: Request, operation: str) -> Response:
        cloud = self._cloud
        cloud.requests["create"] += 1
        row = pika_rules.row(operation, cloud.extra_models[PROTOCOL])
        if row is None:
            return error(404, "not_found", f"There is no {operation}")
        body, refusal = _body(request, row)
        if refusal:
            return refusal
        key = request.headers.get("idempotency-key", "").strip()
        if not key:
            return error(400, "invalid_input", "Idempotency-Key header is required")
        order = self._order(operation, row, body, key)
        trouble = self._checkout.troubled(order.prompt)
        if trouble:
            return trouble
        first = self._by_key.get(key)
        if first is None:
            return self._buy(order)
        if (first.order.endpoint, first.order.body) != (operation, body):
            return error(409, "idempotency_conflict", "Idempotency-Key was used with another request body")
        return self._checkout.sent(order, self._replayed(first, request.origin))

    def _buy(self, order: Order) -> Response:
        faults, who = self._cloud.faults, (PROTOCOL, order.prompt)
        if faults.pick("no_credits", *who) or not self._cloud.affords(order):
            return self._checkout.accept(order, self._created, fate="no_credits")
        refusal = self._checkout.refused(order)
        if refusal:
            return refusal
        fate = faults.first_of(["failed_on_create", "create_moderation"], *who)
        return self._checkout.accept(order, self._created, fate=fate or "")

    def _order(self, operation: str, row: Mapping[str, Any], body: dict[str, Any], key: str) -> Order:
        shape = self._shapes.get(body.get(row["clip"].get("image", ""), ""), None)
        made = pika_rules.made(row, body, shape)
        return Order(
            provider=PROTOCOL,
            endpoint=operation,
            model=operation,
            prompt=str(body.get("prompt", "")),
            body=body,
            duration_s=made.seconds,
            width=made.width,
            height=made.height,
            estimate_micro=pika_rules.made(row, body, shape, most=True).micro,
            price_micro=made.micro,
            audio=made.sound,
            billing=_PLAIN,
            key=key,
        )

    def _created(self, job: Job) -> Response:
        self._by_key[job.order.key] = job
        if not job.fails_at_once:
            return answer(200, {"id": job.id, "status": "queued", "output": None, "error": None})
        return answer(403 if "no_credits" in job.faults else 200, self._job(job, ""))

    def _replayed(self, job: Job, origin: str) -> Response:
        """The job that the key made, as it is now, failed or not."""
        return answer(403 if "no_credits" in job.faults else 200, self._job(job, origin))

    # --- jobs

    def _ask(self, request: Request, tail: str) -> Response:
        cloud = self._cloud
        job_id, _, what = tail.partition("/")
        cloud.requests["result" if what else "poll"] += 1
        job = cloud.find(PROTOCOL, job_id)
        if job is None or what not in ("", "content"):
            return NOT_FOUND
        fault = cloud.faults.first_of(POLL, PROTOCOL, job.order.prompt)
        if fault:
            return spoil_poll(fault, NOT_FOUND, _words)
        if not what:
            return answer(200, self._job(job, request.origin))
        match cloud.state(job):
            case State.SUCCEEDED:
                return answer(200, {"url": f"{request.origin}{self._shelf.path(job)}"})
            case State.FAILED:
                return error(404, "not_found", "The job has no content")
        return error(409, "not_ready", "The job has no content yet")

    def _job(self, job: Job, origin: str) -> dict[str, Any]:
        state = self._cloud.state(job)
        said: dict[str, Any] = {"id": job.id, "status": STATES.get(state, "queued"), "output": None, "error": None}
        if state is State.SUCCEEDED:
            url = f"{origin}{self._shelf.path(job)}"
            said["output"] = {"media_type": "video", "video": {"url": url}}
            said["usage"] = {"seconds": int(job.order.duration_s)}
        if state is State.FAILED:
            said["error"] = _failure(job)
        if state in ENDED:
            said["billing"] = self._billing(job)
        return said

    def _billing(self, job: Job) -> dict[str, Any]:
        self._shown[job.id] += 1
        late = self._cloud.faults.pick("billing_pending", PROTOCOL, job.order.prompt)
        if late or self._shown[job.id] <= PENDING_POLLS:
            return {"state": "pending"}
        return {"state": "settled", "charge_micro_usd": self._cloud.charged_micro(job)}

    def _erase(self, job_id: str) -> Response:
        """DELETE is no cancel; 503 means that the erasure is under way."""
        self._cloud.requests["cancel"] += 1
        job = self._cloud.find(PROTOCOL, job_id)
        if job is None:
            return NOT_FOUND
        if self._cloud.state(job) not in ENDED:
            return error(409, "not_finished", "Only a finished job can be deleted")
        self._cloud.delete(job)
        return answer(503, {"message": "Deletion accepted, cleanup is still in progress"})

    # --- catalog, uploads, account

    def _catalog(self, request: Request) -> Response:
        """No key is needed. The id is one segment: its slashes are encoded."""
        self._cloud.requests["catalog"] += 1
        target = request.target.partition("?")[0]
        fresh = ("cache-control", "no-store")
        if request.method == "GET" and target == "/catalog/apis":
            return answer(200, {"apis": [_item(one) for one in pika_rules.table()]}, fresh)
        asked = _ITEM.fullmatch(target)
        operation = unquote(asked["id"]) if asked else ""
        row = pika_rules.row(operation, self._cloud.extra_models[PROTOCOL])
        if asked and row and asked["quote"] and request.method == "POST":
            body, refusal = _body(request, row)
            return refusal or _quote(pika_rules.made(row, body, None, most=True).micro)
        if asked and row and not asked["quote"] and request.method == "GET":
            shown = {"display_pricing": row["display_pricing"]}
            if request.query.get("expand") == "inputs":
                shown["input_schema"] = row["input_schema"]
            return answer(200, {**_item(operation), **shown}, fresh)
        return error(404, "not_found", f"There is no {request.method} {request.path}")

    def _upload(self, request: Request) -> Response:
        try:
            asked = request.json()
            kind, size = str(asked["content_type"]), int(asked["size_bytes"])
        except (ValueError, TypeError, KeyError):
            return error(422, "invalid_input", "content_type and size_bytes are required")
        url = f"{request.origin}{UPLOADS}/{len(self._shapes) + 1}"
        self._shapes[url] = None
        headers = {"content-type": kind, "content-length": str(size)}
        return answer(200, {"upload_url": url, "headers": headers, "url": url})

    def _uploaded(self, request: Request) -> Response:
        url = f"{request.origin}{request.path}"
        if url not in self._shapes:
            return error(404, "not_found", "There is no such upload")
        size = size_of(base64.b64encode(request.body).decode())
        self._shapes[url] = ratio(size) if size else None
        return Response(status=200)

    def _balance(self) -> Response:
        self._cloud.requests["organization"] += 1
        left = self._cloud.left_micro(PROTOCOL)
        if left is None:
            left = PLENTY_MICRO - sum(self._cloud.charged_micro(job) for job in self._cloud.all_jobs(PROTOCOL))
        return answer(200, {"balance_micro_usd": max(left, 0)})

    def _spend(self, request: Request) -> Response:
        """Micro-dollars by the day on which jobs ended, UTC."""
        self._cloud.requests["organization"] += 1
        query = request.query
        days: Counter[str] = Counter()
        for job in self._cloud.all_jobs(PROTOCOL):
            charged = self._cloud.charged_micro(job)
            if charged and query.get("model", job.order.model) == job.order.model:
                days[datetime.fromtimestamp(job.over_at, UTC).date().isoformat()] += charged
        first, last = query.get("start_date", ""), query.get("end_date", "9999")
        shown = [{"date": day, "amount_micro_usd": sum_} for day, sum_ in sorted(days.items()) if first <= day <= last]
        return answer(200, {"results": shown})


def _body(request: Request, row: Mapping[str, Any]) -> tuple[dict[str, Any], Response | None]:
    """The body of a create or a quote, and the refusal of one that does not keep to the schema."""
    try:
        body = request.json()
    except ValueError:
        return {}, error(422, "invalid_input", "body: not valid JSON")
    found = pika_rules.problems(row["input_schema"], body)
    return (body, None) if not found else ({}, error(422, "invalid_input", "; ".join(found)))


def _item(operation: str) -> dict[str, Any]:
    return {"id": operation, "call": {"path": f"{CREATES}{operation}", "method": "POST"}}


def _quote(micro: int) -> Response:
    return answer(200, {"micro_usd": micro, "sell_usd": show(micro).removeprefix("$")})


def _failure(job: Job) -> dict[str, str]:
    if job.fails_at_once:
        return {"code": "insufficient_balance", "message": "Insufficient org balance"}
    if "job_failed" in job.faults:
        return {"code": "provider_error", "message": "The provider failed"}
    return {"code": "content_moderation", "message": "The content was refused by moderation"}


def _words(message: str) -> dict[str, Any]:
    return {"error": {"code": "internal", "message": message}}
