"""Speaks fal's queue protocol for the simulated cloud. Knows no sockets and no media bytes."""

import re
from collections.abc import Mapping
from typing import Any

from vgen.simulator import fal_openapi, fal_rules, fal_storage, fal_table, given
from vgen.simulator.cloud import Cloud
from vgen.simulator.fal_answers import app_of, billed, failure, iso, mark, output, urls
from vgen.simulator.fal_history import PATH as HISTORY
from vgen.simulator.fal_history import PROTOCOL, History
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING, POLL
from vgen.simulator.jobs import Job, Order, State
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import spoil_create, spoil_poll
from vgen.simulator.web import Request, Response, answer

LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
_REQUEST = re.compile(r"/(?P<app>.+?)/requests/(?P<id>[^/]+)(?P<tail>/status|/cancel)?/?")


class Fal:
    """Submit, status, result and cancel of queued requests, the list of those that ended, OpenAPI, storage."""

    paths: tuple[str, ...] = ("", HISTORY, fal_openapi.PATH, fal_storage.PATH)

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud = cloud
        self._shelf = shelf
        self._history = History(cloud, shelf)

    def respond(self, request: Request) -> Response:
        """Answer a request for any path that is fal's."""
        if request.path == fal_openapi.PATH:
            return self._openapi(request) if request.method == "GET" else _not_allowed()
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "key" or not key.strip():
            return answer(401, {"detail": "Authentication is required to access this application."})
        if request.path == HISTORY:
            return self._history.respond(request) if request.method == "GET" else _not_allowed()
        if request.path == fal_storage.PATH:
            return fal_storage.respond(self._cloud, request)
        asked = _REQUEST.fullmatch(request.path)
        if not asked:
            return self._submit(request) if request.method == "POST" else _not_allowed()
        job = self._cloud.find(PROTOCOL, asked["id"])
        if job and asked["app"] == job.order.endpoint != app_of(job.order.endpoint):
            return _not_allowed()  # as the real queue: these URLs hold owner/app only
        if job and asked["app"] != app_of(job.order.endpoint):
            job = None
        match request.method, asked["tail"]:
            case "GET", "/status":
                return self._ask(request, job, "poll")
            case "GET", None:
                return self._ask(request, job, "result")
            case "PUT", "/cancel":
                return self._cancel(job)
        return _not_allowed()

    # --- submit

    def _submit(self, request: Request) -> Response:
        cloud = self._cloud
        cloud.requests["create"] += 1
        endpoint = request.path.strip("/")
        row = self._row(endpoint)
        if row is None:
            return answer(404, {"detail": f"Application '{endpoint}' not found"})
        try:
            body = request.json()
        except ValueError:
            return answer(422, {"detail": "Invalid JSON"})
        order = self._order(endpoint, row, body)
        fault = cloud.faults.first_of(BEFORE_ACCEPTING, PROTOCOL, order.prompt)
        if fault == "no_credits" or (fault is None and not cloud.affords(order)):
            return answer(403, {"detail": LOCKED})
        if fault == "bad_key":
            return answer(401, {"detail": "The key is not valid."})
        if fault:
            return spoil_create(fault, None, _words)
        moderated = cloud.faults.pick("create_moderation", PROTOCOL, order.prompt)
        job = cloud.accept(order, fate="create_moderation" if moderated else "")
        place = {"queue_position": cloud.place(job)}
        good = answer(200, {"status": "IN_QUEUE", **urls(job, request.origin), **place}, mark(job))
        fault = cloud.faults.first_of(AFTER_ACCEPTING, PROTOCOL, order.prompt)
        return spoil_create(fault, good, _words) if fault else good

    def _row(self, endpoint: str) -> fal_table.Row | None:
        """What an endpoint takes; None if there is none of that name."""
        own = self._cloud.extra_rows.get(endpoint)
        row = fal_table.complete(own) if own else fal_table.shipped().get(endpoint)
        return fal_table.ANY if row is None and endpoint in self._cloud.extra_models[PROTOCOL] else row

    def _openapi(self, request: Request) -> Response:
        """Public: no key is asked for."""
        endpoint = request.query.get("endpoint_id", "")
        self._cloud.requests["openapi"] += 1
        row = self._row(endpoint)
        if row is None:
            return answer(404, {"detail": f"Endpoint '{endpoint}' not found"})
        return answer(200, fal_openapi.document(endpoint, row))

    def _order(self, endpoint: str, row: fal_table.Row, body: Any) -> Order:
        fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
        problems = fal_rules.problems(row, body) or fal_storage.gone(self._cloud, fields)
        bought = fal_table.bought(endpoint, row, fal_storage.seen(self._cloud, fields), self._other_price(endpoint))
        return Order(
            provider=PROTOCOL,
            endpoint=endpoint,
            model=endpoint,
            prompt=str(fields.get("prompt", "")),
            body=fields,
            duration_s=bought.seconds,
            width=bought.width,
            height=bought.height,
            estimate_micro=bought.price_micro,
            price_micro=bought.price_micro,
            audio=bought.sound,
            invalid=tuple(problems),
            brand="pika" if "pika" in endpoint else "",
            pictures=given.of_fal(row.get("images", {}), fields),
        )

    def _other_price(self, endpoint: str) -> int | None:
        """Micro-dollars a second of what the table has no price for, as the cloud was told; a sibling's counts too."""
        told = self._cloud.extra_models[PROTOCOL]
        if endpoint in told:
            return told[endpoint]
        rows = fal_table.shipped()
        return next((told[name] for name in told if rows.get(name, {}).get("image_endpoint") == endpoint), None)

    # --- status, result, cancel

    def _ask(self, request: Request, job: Job | None, kind: str) -> Response:
        cloud = self._cloud
        cloud.requests[kind] += 1
        missing = answer(404, {"detail": "Request not found"})
        if job is None or cloud.state(job) is State.CANCELLED:
            return missing  # a request that is cancelled in the queue is removed from it
        fault = cloud.faults.first_of(POLL, PROTOCOL, job.order.prompt)
        if fault:
            return spoil_poll(fault, missing, _words)
        return self._status(request, job) if kind == "poll" else self._result(request, job)

    def _status(self, request: Request, job: Job) -> Response:
        where = urls(job, request.origin)
        logs: list[Any] | None = [] if request.query.get("logs", "").lower() in ("1", "true") else None
        match self._cloud.state(job):
            case State.PENDING | State.THROTTLED:
                place = self._cloud.place(job)
                return answer(202, {"status": "IN_QUEUE", **where, "queue_position": place}, mark(job))
            case State.RUNNING:
                line = {"message": f"step {self._cloud.progress(job):.0%}", "level": "INFO", "source": "USER"}
                stamped = {**line, "timestamp": iso(self._cloud.now())}
                shown = logs if logs is None else [stamped]
                return answer(202, {"status": "IN_PROGRESS", **where, "logs": shown}, mark(job))
        status = {"status": "COMPLETED", **where, "logs": logs, "metrics": {"inference_time": job.render_s}}
        if "job_failed" in job.faults:
            status |= {"error": "Internal server error", "error_type": "internal_error"}
        return answer(200, status, mark(job))

    def _result(self, request: Request, job: Job) -> Response:
        match self._cloud.state(job):
            case State.SUCCEEDED if self._cloud.faults.pick("result_504", PROTOCOL, job.order.prompt):
                return answer(504, {"detail": "Timed out", "error_type": "request_timeout"}, mark(job))
            case State.SUCCEEDED:
                units = job.order.duration_s * job.price_micro / max(job.order.price_micro, 1)
                return answer(200, output(job, request.origin, self._shelf), mark(job), billed(units))
            case State.FAILED:
                return failure(job)
            case _:
                return answer(400, {"detail": "Request is still in progress"}, mark(job))

    def _cancel(self, job: Job | None) -> Response:
        self._cloud.requests["cancel"] += 1
        match job and self._cloud.state(job):
            case None | State.CANCELLED:
                return answer(404, {"status": "NOT_FOUND"})
            case State.SUCCEEDED | State.FAILED:
                return answer(400, {"status": "ALREADY_COMPLETED"})
            case State.RUNNING:
                pass  # a signal that the runner does not heed: it finishes and is billed
            case _:
                assert job
                self._cloud.cancel(job)
        return answer(202, {"status": "CANCELLATION_REQUESTED"})


def _words(message: str) -> dict[str, Any]:
    """fal's own error body."""
    return {"detail": message}


def _not_allowed() -> Response:
    return answer(405, {"detail": "Method Not Allowed"})
