"""Speaks BytePlus ModelArk's video protocol (Seedance) for the simulated cloud. Knows no sockets and no media bytes."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from vgen.simulator import ark_rules, given
from vgen.simulator.ark_rules import BadParameter, Wanted
from vgen.simulator.cloud import Cloud
from vgen.simulator.jobs import Billing, Job, Order, State
from vgen.simulator.shelf import Shelf
from vgen.simulator.tasks import DAY_S, Profile, Refusal, Tasks
from vgen.simulator.web import Response, answer

PROTOCOL = "ark"
PATH = "/api/v3/contents/generations/tasks"
LIST_EVERY_S = 1.0
URL_S = DAY_S
TYPES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    429: "TooManyRequests",
}
CHINA = timezone(timedelta(hours=8))
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PLAIN = Billing(tells=True)


def new_id(bits: int, created_at: float) -> str:
    """`cgt-20261128101500-ab1c2`."""
    tail = "".join(_LETTERS[(bits >> 8 * place & 255) % 36] for place in range(5))
    return f"cgt-{datetime.fromtimestamp(created_at, UTC).astimezone(CHINA):%Y%m%d%H%M%S}-{tail}"


def error(status: int, code: str, message: str, param: str = "") -> Response:
    kind = TYPES.get(status, "InternalServerError")
    return answer(status, {"error": {"code": code, "message": message, "param": param, "type": kind}})


REFUSALS = {
    "bad_key": error(401, "AuthenticationError", "The API key in the request is missing or invalid."),
    "no_credits": error(403, "AccountOverdueError", "The request failed because your account has an overdue balance."),
    "create_arrears": error(403, "ServiceOverdue", "The request failed because the service is overdue."),
    "create_429": error(429, "RateLimitExceeded.EndpointRPMExceeded", "Requests per minute of the endpoint exceeded."),
    "create_busy": error(429, "QuotaExceeded", "The number of queued tasks exceeds the quota."),
    "create_500": error(500, "InternalServiceError", "The service encountered an unexpected internal error."),
    "create_503": error(503, "InternalServiceError", "The service is temporarily unavailable."),
    "model_closed": error(404, "ModelNotOpen", "Your account has not activated the model."),
    "create_moderation": error(
        400, "InputTextSensitiveContentDetected", "The request failed because the input text may be sensitive."
    ),
}


class Ark(Tasks):
    """Create, query, list and delete of generation tasks; waiting ones are queued, not refused."""

    paths: tuple[str, ...] = ("/api/v3/",)
    profile = Profile(
        protocol=PROTOCOL,
        created=PATH,
        queried=PATH,
        deleted=PATH,
        refusals=REFUSALS,
        new_id=new_id,
        most_listed=500,
        cancelled_kept_s=DAY_S,
    )

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        super().__init__(cloud, shelf)
        self._listed_at = -math.inf
        self._wanted: dict[str, Wanted] = {}

    def error(self, status: int, message: str, field: str = "") -> Response:
        codes = {404: "InvalidAction.NotFound", 500: "InternalServiceError"}
        code = f"InvalidParameter.{field}" if field else codes.get(status, "InvalidParameter")
        return error(status, code, message, field)

    def order(self, body: Any) -> tuple[Order, tuple[str, ...]]:
        model = body.get("model") if isinstance(body, dict) else None
        rules = ark_rules.row(model, self.cloud.extra_models[PROTOCOL])
        if rules is None:
            said = f"The model or endpoint {model} does not exist or you do not have access to it."
            raise Refusal(error(404, "InvalidEndpointOrModel.NotFound", said))
        try:
            wanted = ark_rules.read(rules, body)
        except BadParameter as exc:
            raise Refusal(self.error(400, str(exc), exc.field)) from exc
        return self._order(str(model), wanted, body), wanted.ignored

    def _order(self, model: str, wanted: Wanted, body: Mapping[str, Any]) -> Order:
        return Order(
            provider=PROTOCOL,
            endpoint="tasks",
            model=model,
            prompt=wanted.prompt,
            body=body,
            duration_s=wanted.seconds,
            width=wanted.width,
            height=wanted.height,
            estimate_micro=wanted.micro(wanted.most_s),
            price_micro=wanted.micro(wanted.seconds),
            audio=wanted.sound,
            invalid=({"code": wanted.fails, "message": ark_rules.ADAPTIVE_ONLY},) if wanted.fails else (),
            billing=_PLAIN,
            expires_s=wanted.expires_s,
            pictures=given.of_content(body),
        )

    def created(self, job: Job) -> Response:
        return answer(200, {"id": job.id})

    def missing(self, job_id: str) -> Response:
        return error(404, "ResourceNotFound", f"The specified task {job_id} is not found.")

    def undeletable(self, job: Job) -> Response:
        if self.cloud.state(job) is State.RUNNING:
            return error(409, "TaskRunningCannotCancel", "The task is running and cannot be cancelled.")
        return error(409, "TaskCancelled", "The task has been cancelled already.")

    def list_refusal(self) -> Response | None:
        """Once a second and account."""
        now = self.cloud.now()
        if now - self._listed_at < LIST_EVERY_S:
            return error(429, "RateLimitExceeded", "The list may be asked for once a second.")
        self._listed_at = now
        return None

    def filtered(self, job: Job, filters: Mapping[str, list[str]]) -> bool:  # noqa: ARG002 - all are of one tier
        return "default" in (filters.get("filter.service_tier") or ["default"])

    def listed(self, tasks: list[Job], origin: str) -> list[dict[str, Any]]:
        shown = super().listed(tasks, origin)
        for task, job in zip(shown, tasks, strict=True):
            if self.cloud.faults.pick("list_hides_tag", PROTOCOL, job.order.prompt):
                task.pop("safety_identifier", None)
        return shown

    def task(self, job: Job, origin: str) -> dict[str, Any]:
        body = job.order.body
        task: dict[str, Any] = {"id": job.id, "model": job.order.model, "status": self.word(job), "error": None}
        if self.cloud.state(job) is State.SUCCEEDED:
            task |= self._made(job, origin)
        elif self.word(job) == "failed":
            task["error"] = _failure(job)
        task |= self.times(job)
        task["service_tier"] = "default"
        task["execution_expires_after"] = int(job.order.expires_s or 0)
        if body.get("safety_identifier"):
            task["safety_identifier"] = body["safety_identifier"]
        return task

    def _made(self, job: Job, origin: str) -> dict[str, Any]:
        wanted = self._wanted.get(job.id)
        if wanted is None:
            wanted = ark_rules.again(job.order.model, job.order.body, self.cloud.extra_models[PROTOCOL])
            self._wanted[job.id] = wanted
        tokens = wanted.tokens(job.order.duration_s)
        if wanted.usd_per_million:  # as charged, which a surprise may make more than the formula says
            tokens = int(Decimal(self.cloud.charged_micro(job)) / wanted.usd_per_million)
        url = f"{origin}{self.shelf.path(job, job.over_at + URL_S)}"
        return {
            "content": {"video_url": url, "last_frame_url": None},
            "usage": {"completion_tokens": tokens, "total_tokens": tokens},
            "resolution": wanted.resolution,
            "ratio": wanted.ratio,
            "duration": int(job.order.duration_s),
            "framespersecond": 24,
            "generate_audio": wanted.sound,
        }


def _failure(job: Job) -> dict[str, Any]:
    if job.order.invalid:
        return dict(job.order.invalid[0])
    if "job_moderated" in job.faults:
        said = "The request failed because the output video may contain sensitive information."
        return {"code": "OutputVideoSensitiveContentDetected", "message": said}
    return {"code": "InternalServiceError", "message": "The service encountered an unexpected internal error."}
