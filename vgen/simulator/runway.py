"""Speaks Runway's protocol of 2024-11-06 for the simulated cloud. Knows no sockets and no media bytes."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vgen.money import CREDIT
from vgen.simulator import given, prices, runway_rules, runway_uploads
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING, POLL
from vgen.simulator.jobs import ENDED, Billing, Job, Order, State
from vgen.simulator.picture import shape_of
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import spoil_create, spoil_poll
from vgen.simulator.storage import as_data
from vgen.simulator.web import Request, Response, answer

VERSION = "2024-11-06"
DOCS = "https://docs.dev.runwayml.com/api"
CREATES = ("/v1/text_to_video", "/v1/image_to_video")
PROTOCOL = "runway"
BILLING = Billing(unit_micro=CREDIT, tells=True, moderated=True)
"""`cost.credits` is a whole number."""
NO_CREDITS = "You do not have enough credits to run this task."
PLENTY_CREDITS = 1_000_000
"""The balance that an account without an end shows before it has spent anything."""
DEFAULT_DURATION_S = 5
MOST_DURATION_S = 600
"""For models whose bounds nobody has published."""


def error(status: int, message: str, **more: Any) -> Response:
    return answer(status, {"error": message, **more, "docUrl": DOCS})


class Runway:
    """POST text_to_video, image_to_video and uploads, GET and DELETE tasks/{id}, GET organization."""

    paths: tuple[str, ...] = ("/v1/",)

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud = cloud
        self._shelf = shelf

    def respond(self, request: Request) -> Response:
        """Answer any request below /v1/."""
        refusal = self._refusal(request)
        if refusal:
            return refusal
        path = request.path
        match request.method:
            case "POST" if path in CREATES:
                return self._create(request, path.removeprefix("/v1/"))
            case "GET" if path.startswith("/v1/tasks/"):
                return self._retrieve(request, path.removeprefix("/v1/tasks/"))
            case "DELETE" if path.startswith("/v1/tasks/"):
                return self._delete(path.removeprefix("/v1/tasks/"))
            case "GET" if path == "/v1/organization":
                return self._organization()
            case "POST" if path == runway_uploads.PATH:
                return self._upload(request)
        if path in (*CREATES, "/v1/organization", runway_uploads.PATH) or path.startswith("/v1/tasks/"):
            return error(405, f"Method {request.method} is not allowed here.")
        return error(404, f"There is no {path}.")

    def _refusal(self, request: Request) -> Response | None:
        """What is wrong with the headers."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip().startswith("key_"):
            return error(401, "No API key was provided. Send it as Authorization: Bearer key_…")
        version = request.headers.get("x-runway-version")
        if version != VERSION:
            return error(400, f"The X-Runway-Version header must be {VERSION}, not {version}.")
        return None

    def _create(self, request: Request, endpoint: str) -> Response:
        cloud = self._cloud
        cloud.requests["create"] += 1
        try:
            body = request.json()
        except ValueError:
            return error(400, "The body is not valid JSON.")
        found = runway_rules.issues(endpoint, body, cloud.extra_models[PROTOCOL])
        found = found or runway_uploads.gone(cloud, body)
        if found:
            return error(400, "Validation of body failed", issues=found)
        order = self._order(endpoint, body)
        fault = cloud.faults.first_of(BEFORE_ACCEPTING, PROTOCOL, order.prompt)
        if fault == "no_credits" or (fault is None and not cloud.affords(order)):
            return error(400, NO_CREDITS)
        if fault == "bad_key":
            return error(401, "The API key is not valid.")
        if fault:
            return spoil_create(fault, None, _words)
        if cloud.faults.pick("create_moderation", PROTOCOL, order.prompt):
            issue = {
                "code": "custom",
                "path": ["promptText"],
                "message": "The prompt did not pass moderation.",
            }
            return error(400, "Input did not pass content moderation.", issues=[issue])
        job = cloud.accept(order)
        good = answer(200, {"id": job.id, "estimatedCost": {"credits": _credits(order.estimate_micro)}})
        fault = cloud.faults.first_of(AFTER_ACCEPTING, PROTOCOL, order.prompt)
        return spoil_create(fault, good, _words) if fault else good

    def _order(self, endpoint: str, body: Mapping[str, Any]) -> Order:
        model = body["model"]
        extra = self._cloud.extra_models[PROTOCOL].get(model)
        duration_s, most_s = _duration_s(endpoint, body)
        has_sound_switch = bool(runway_rules.rule(endpoint, model, "audio"))
        audio = body.get("audio", has_sound_switch) is True  # left out is on: told of most, measured of kling3.0_pro
        if extra is not None:
            estimate, price = math.ceil(extra * most_s), math.ceil(extra * duration_s)
        else:
            per_s = prices.runway_credits_per_s(model, body, sound=audio)
            picture = prices.runway_picture_micro(model, body)
            estimate = prices.runway_micro(per_s, most_s) + picture
            price = prices.runway_micro(per_s, duration_s) + picture
        width, height = self._size(body)
        return Order(
            provider=PROTOCOL,
            endpoint=endpoint,
            model=model,
            prompt=str(body.get("promptText", "")),
            body=body,
            duration_s=duration_s,
            width=width,
            height=height,
            estimate_micro=estimate,
            price_micro=price // BILLING.unit_micro * BILLING.unit_micro,
            audio=audio,
            billing=BILLING,
            pictures=given.of_runway(body),
        )

    def _size(self, body: Mapping[str, Any]) -> tuple[int, int]:
        """Width and height; a ratio that was left out, or that names no shape, follows the picture."""
        ratio, resolution = str(body.get("ratio", "adaptive")), body.get("resolution")
        pictures = body.get("promptImage")
        first = pictures[0].get("uri") if isinstance(pictures, list) and pictures else pictures
        uploaded = runway_uploads.first(self._cloud, first)
        shape = None if ":" in ratio else shape_of(first if uploaded is None else as_data(uploaded))
        if shape and ratio.startswith("auto_"):
            resolution = ratio.removeprefix("auto_")
        return prices.pixels(shape or ratio, resolution)

    def _upload(self, request: Request) -> Response:
        self._cloud.requests["upload"] += 1
        try:
            body = request.json()
        except ValueError:
            return error(400, "The body is not valid JSON.")
        if found := runway_uploads.issues(body):
            return error(400, "Validation of body failed", issues=found)
        return answer(200, runway_uploads.begin(self._cloud, request))

    def _retrieve(self, request: Request, task_id: str) -> Response:
        cloud = self._cloud
        cloud.requests["poll"] += 1
        job = cloud.find(PROTOCOL, task_id)
        missing = error(404, "This task does not exist, or was deleted or canceled.")
        if job is None or cloud.state(job) is State.CANCELLED:
            return missing
        fault = cloud.faults.first_of(POLL, PROTOCOL, job.order.prompt)
        if fault:
            return spoil_poll(fault, missing, _words)
        return answer(200, self._task(job, request.origin))

    def _task(self, job: Job, origin: str) -> dict[str, Any]:
        state = self._cloud.state(job)
        created = datetime.fromtimestamp(job.created_at, UTC).isoformat(timespec="milliseconds")
        task: dict[str, Any] = {
            "id": job.id,
            "createdAt": created.replace("+00:00", "Z"),
            "status": state.value,
        }
        if state in ENDED:
            task["cost"] = {"credits": self._cloud.charged_micro(job) // CREDIT}
        else:
            task["estimatedCost"] = {"credits": _credits(job.order.estimate_micro)}
        match state:
            case State.RUNNING:
                task["progress"] = self._cloud.progress(job)
            case State.SUCCEEDED:
                task["output"] = [f"{origin}{self._shelf.path(job)}"]
            case State.FAILED if "job_moderated" in job.faults:
                task["failure"] = "The input was refused by moderation."
                task["failureCode"] = "SAFETY.INPUT.TEXT"
            case State.FAILED:
                task["failure"] = "An unexpected error occurred."
                task["failureCode"] = "INTERNAL.BAD_OUTPUT.CODE01"
        return task

    def _delete(self, task_id: str) -> Response:
        self._cloud.requests["cancel"] += 1
        job = self._cloud.find(PROTOCOL, task_id)
        if job is None or self._cloud.state(job) is State.CANCELLED:
            return error(404, "This task does not exist, or was deleted or canceled.")
        if self._cloud.cancel(job) in ENDED:
            self._cloud.delete(job)
        return Response(status=204)

    def _organization(self) -> Response:
        cloud = self._cloud
        cloud.requests["organization"] += 1
        mine = cloud.all_jobs(PROTOCOL)
        left = cloud.left_micro(PROTOCOL)
        if left is None:
            left = PLENTY_CREDITS * CREDIT - sum(cloud.charged_micro(job) for job in mine)
        models = {*runway_rules.table()["image_to_video"], *cloud.extra_models[PROTOCOL]}
        today = cloud.now() - 86_400
        used = [job.order.model for job in mine if job.created_at > today]
        limit = {"maxConcurrentGenerations": cloud.concurrency, "maxDailyGenerations": None}
        return answer(
            200,
            {
                "creditBalance": max(left, 0) // CREDIT,
                "tier": {
                    "maxMonthlyCreditSpend": PLENTY_CREDITS,
                    "models": dict.fromkeys(sorted(models), limit),
                },
                "usage": {"models": {model: {"dailyGenerations": used.count(model)} for model in sorted(set(used))}},
            },
        )


def _words(message: str) -> dict[str, Any]:
    """Runway's own error body."""
    return {"error": message}


def _credits(micro: int) -> float | int:
    return micro // CREDIT if micro % CREDIT == 0 else micro / CREDIT


def _duration_s(endpoint: str, body: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds that will be delivered, and the most that may be billed ("auto" is billed up front)."""
    asked = body.get("duration")
    rule = runway_rules.rule(endpoint, body["model"], "duration")
    if isinstance(asked, (int, float)) and not isinstance(asked, bool) and asked > 0:
        seconds = float(min(asked, MOST_DURATION_S))
        return seconds, seconds
    numbers = [option for option in rule.get("enum", []) if isinstance(option, (int, float))]
    usual = rule.get("default")
    if not isinstance(usual, (int, float)):
        usual = numbers[-1] if 8 in numbers else max(DEFAULT_DURATION_S, rule.get("minimum", 0))
    return float(usual), float(rule.get("maximum", 10) if asked == "auto" else usual)
