"""What fal says of a job: URLs, headers, output and errors. Knows no queue and no sockets."""

from datetime import UTC, datetime
from typing import Any

from vgen.simulator.jobs import Job
from vgen.simulator.shelf import Shelf
from vgen.simulator.web import Response, answer

FLAGGED = "The content could not be processed because it was flagged by a content checker."


def app_of(endpoint: str) -> str:
    """`owner/app` of an endpoint id: all that status, result and cancel URLs hold of it."""
    return "/".join(endpoint.split("/")[:2])


def urls(job: Job, origin: str) -> dict[str, Any]:
    """What a client needs to come back."""
    base = f"{origin}/{app_of(job.order.endpoint)}/requests/{job.id}"
    return {
        "request_id": job.id,
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
    }


def output(job: Job, origin: str, shelf: Shelf) -> dict[str, Any]:
    """The result of a job that succeeded."""
    return {
        "video": {
            "url": f"{origin}{shelf.path(job)}",
            "content_type": "video/mp4",
            "file_name": "output.mp4",
            "file_size": shelf.size_bytes(job),
        }
    }


def failure(job: Job) -> Response:
    """The error that a failed request has for a result."""
    no, yes = ("x-fal-retryable", "false"), ("x-fal-retryable", "true")
    if job.order.invalid:
        detail: Any = [dict(problem) for problem in job.order.invalid]
        return answer(422, {"detail": detail}, mark(job), no, billed(0))
    if "job_failed" in job.faults:
        kind = ("x-fal-error-type", "internal_error")
        body = {"detail": "Internal server error", "error_type": "internal_error"}
        return answer(500, body, mark(job), yes, kind, billed(0))
    kind = ("x-fal-error-type", "content_policy_violation")
    url = "https://docs.fal.ai/errors#content_policy_violation"
    problem = {"loc": ["body", "prompt"], "msg": FLAGGED, "type": "content_policy_violation", "url": url}
    return answer(422, {"detail": [problem]}, mark(job), no, kind, billed(0))


def status_code(job: Job) -> int:
    """Of its result, once it has ended."""
    return failure(job).status if job.fails else 200


def mark(job: Job) -> tuple[str, str]:
    """On every answer that comes from the application; a gateway's page has none."""
    return "x-fal-request-id", job.id


def billed(seconds: float) -> tuple[str, str]:
    """The units that the account is billed for."""
    return "x-fal-billable-units", f"{seconds:g}"


def iso(moment: float) -> str:
    """Unix seconds as fal writes a time."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
