"""fal's list of an endpoint's requests that ended, with their input. Knows no queue and no sockets."""

import math
from datetime import UTC, datetime
from typing import Any

from vgen.simulator.cloud import Cloud
from vgen.simulator.fal_answers import failure, iso, output, status_code
from vgen.simulator.jobs import Job
from vgen.simulator.shelf import Shelf
from vgen.simulator.web import Request, Response, answer

PROTOCOL = "fal"
PATH = "/v1/models/requests/by-endpoint"
BACK_S = 86_400
"""How far the list goes back unless it is asked for more."""
MOST_ITEMS = 100
_CODES = {"success": range(200, 300), "user_error": range(400, 500), "error": range(500, 600)}


class History:
    """GET of the list, newest first."""

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud = cloud
        self._shelf = shelf

    def respond(self, request: Request) -> Response:
        """One page of it."""
        self._cloud.requests["list"] += 1
        query = request.query
        if not query.get("endpoint_id"):
            return _invalid("endpoint_id is required")
        now = self._cloud.now()
        try:
            start, end = _moment(query.get("start"), now - BACK_S), _moment(query.get("end"), math.inf)
            limit, skip = int(query.get("limit", "50")), int(query.get("cursor", "0"))
        except ValueError as exc:
            return _invalid(str(exc))
        jobs = [job for job in self._asked(query) if start <= job.ended_at <= min(end, now)]
        jobs.sort(key=lambda job: job.ended_at, reverse=True)
        stop = max(skip, 0) + min(max(limit, 1), MOST_ITEMS)
        payloads = "payloads" in query.get("expand", "")
        items = [self._item(job, request.origin, payloads=payloads) for job in jobs[max(skip, 0) : stop]]
        more = len(jobs) > stop
        return answer(200, {"items": items, "has_more": more, "next_cursor": str(stop) if more else None})

    def _asked(self, query: dict[str, str]) -> list[Job]:
        """Jobs that the query asks for, but for its times; those that never ended are later than any."""
        codes = _CODES.get(query.get("status", ""), range(600))
        return [
            job
            for job in self._cloud.all_jobs(PROTOCOL)
            if job.order.endpoint == query["endpoint_id"]
            and query.get("request_id", job.id) == job.id
            and status_code(job) in codes
        ]

    def _item(self, job: Job, origin: str, *, payloads: bool) -> dict[str, Any]:
        item = {
            "request_id": job.id,
            "endpoint_id": job.order.endpoint,
            "sent_at": iso(job.created_at),
            "started_at": iso(job.started_at),
            "ended_at": iso(job.ended_at),
            "status_code": status_code(job),
            "duration": job.ended_at - job.started_at,
        }
        if payloads:
            item["json_input"] = dict(job.order.body)
            item["json_output"] = failure(job).json() if job.fails else output(job, origin, self._shelf)
        return item


def _invalid(message: str) -> Response:
    return answer(400, {"error": {"type": "validation_error", "message": message}})


def _moment(text: str | None, otherwise: float) -> float:
    """Unix seconds of an ISO 8601 date or time. Raises ValueError."""
    if not text:
        return otherwise
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
