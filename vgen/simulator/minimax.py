"""Speaks MiniMax's video protocol V2 (H3) for the simulated cloud. Knows no sockets and no media bytes."""

from collections.abc import Mapping
from typing import Any

from vgen.simulator import given, minimax_rules, prices
from vgen.simulator.jobs import Billing, Job, Order, State
from vgen.simulator.minimax_rules import BadParams, Wanted
from vgen.simulator.tasks import KEPT_S, Profile, Refusal, Tasks
from vgen.simulator.web import Response, answer

PROTOCOL = "minimax"
CREATE, QUERY = "/v2/video_generation", "/v2/query/video_generation"
URL_S = 9 * 3600
"""Known of V1 only; a further query gives a new URL."""
KINDS = {
    400: ("bad_request_error", 2013),
    401: ("authorized_error", 1004),
    402: ("insufficient_balance_error", 1008),
    404: ("bad_request_error", 2013),
    422: ("unprocessable_entity_error", 1026),
    429: ("rate_limit_error", 1002),
    500: ("server_error", 1000),
}
_PLAIN = Billing(tells=True)
SENSITIVE = "video description contains sensitive content"


def new_id(bits: int, created_at: float) -> str:  # noqa: ARG001 - a NewId
    return f"4249{bits % 10**11:011}"


def error(status: int, message: str) -> Response:
    """The code is only in the message, in parentheses; an overloaded server (529) has none."""
    kind, code = KINDS.get(status, ("overloaded_error", None))
    said = message if code is None else f"{message} ({code})"
    told = {"type": kind, "message": said, "http_code": str(status)}
    return answer(status, {"type": "error", "error": told, "request_id": "vgen-simulator"})


NOT_FOUND = error(500, "record not found")
"""litellm 1.110.2 (llms/minimax/videos): an unknown task id is answered with a 500 in these words."""

REFUSALS = {
    "bad_key": error(401, "login fail: Please carry the API secret key in the 'Authorization' field"),
    "no_credits": error(402, "insufficient balance"),
    "create_429": error(429, "rate limit, please retry later"),
    "create_busy": error(429, "rate limit, too many tasks in flight"),
    "create_500": error(500, "internal error"),
    "create_503": error(529, "service overloaded, please retry later"),
    "create_moderation": error(422, SENSITIVE),
}


class MiniMax(Tasks):
    """Create, query, list and delete of generation tasks."""

    paths: tuple[str, ...] = ("/v2/",)
    profile = Profile(
        protocol=PROTOCOL,
        created=CREATE,
        queried=QUERY,
        deleted=CREATE,
        refusals=REFUSALS,
        new_id=new_id,
        most_listed=100,
    )

    def error(self, status: int, message: str, field: str = "") -> Response:  # noqa: ARG002 - named in the message
        return error(status, f"invalid params, {message}" if status == 400 else message)

    def order(self, body: Any) -> tuple[Order, tuple[str, ...]]:
        model = body.get("model") if isinstance(body, dict) else None
        rules = minimax_rules.row(model, self.cloud.extra_models[PROTOCOL])
        if rules is None:
            raise Refusal(self.error(400, f"model {model} is not supported"))
        try:
            wanted = minimax_rules.read(rules, body)
        except BadParams as exc:
            raise Refusal(self.error(400, str(exc))) from exc
        return self._order(str(model), wanted, body), wanted.ignored

    def _order(self, model: str, wanted: Wanted, body: Mapping[str, Any]) -> Order:
        nearest = self.cloud.faults.pick("grid_nearest", PROTOCOL, wanted.prompt)
        return Order(
            provider=PROTOCOL,
            endpoint="video_generation",
            model=model,
            prompt=wanted.prompt,
            body=body,
            duration_s=prices.h3_seconds(wanted.seconds, nearest=nearest),
            width=wanted.width,
            height=wanted.height,
            estimate_micro=wanted.micro,
            price_micro=wanted.micro,
            audio=True,  # the model makes sound with the picture, and has no switch for it
            billing=_PLAIN,
            pictures=given.of_content(body),
        )

    def crowded(self, order: Order) -> Response | None:
        most = minimax_rules.table()["in_flight_most"]
        return REFUSALS["create_busy"] if self.checkout.in_flight(order.model) >= most else None

    def created(self, job: Job) -> Response:
        return answer(200, {"task_id": job.id})

    def queried(self, task: dict[str, Any]) -> Any:
        return {"task": task}

    def missing(self, job_id: str) -> Response:
        """Too old: 400 (its pages). Never heard of, or deleted: a 500 that only its words tell from trouble."""
        job = self.cloud.find(PROTOCOL, job_id)
        too_old = job is not None and self.cloud.now() >= job.created_at + KEPT_S
        return self.error(400, "invalid task_id") if too_old else NOT_FOUND

    def undeletable(self, job: Job) -> Response:
        word = "running" if self.cloud.state(job) is State.RUNNING else "cancelled"
        return self.error(400, f"task is {word} and cannot be deleted")

    def removed(self, job: Job, *, cancelled: bool) -> Any:
        done = {"action": "cancel", "status": "cancelled"} if cancelled else {"action": "delete", "status": "deleted"}
        return {"task_id": job.id, **done}

    def filtered(self, job: Job, filters: Mapping[str, list[str]]) -> bool:  # noqa: ARG002 - all are generations
        return "generation" in (filters.get("filter.task_type") or ["generation"])

    def task(self, job: Job, origin: str) -> dict[str, Any]:
        body = job.order.body
        state = self.cloud.state(job)
        asked = {"resolution": body["resolution"], "duration": body["duration"], "ratio": body.get("ratio", "adaptive")}
        task: dict[str, Any] = {"id": job.id, "model": job.order.model, "status": self.word(job), **self.times(job)}
        task |= {**asked, "usage": {}, "task_type": "generation", "modality": "video"}
        if state is State.SUCCEEDED:
            task["content"] = {"url": f"{origin}{self.shelf.path(job, self.cloud.now() + URL_S)}"}
            task["usage"] = self._usage(job)
        if state is State.FAILED:
            moderated = "job_moderated" in job.faults
            code, message = ("1026", SENSITIVE) if moderated else ("1000", "internal error")
            task["error"] = {"code": code, "message": message}
        return task

    def _usage(self, job: Job) -> dict[str, int]:
        """As charged: a surprise shows in the seconds."""
        order = job.order
        images = [one for one in order.body["content"] if one["type"] == "image_url"]
        factor = self.cloud.charged_micro(job) // order.price_micro if order.price_micro else 1
        return {
            "total_seconds": factor * order.body["duration"],
            "input_seconds": 0,
            "output_seconds": order.body["duration"],
            "input_image_count": len(images),
        }
