"""Speaks Kling's own protocol (the nested API of 2026) for the simulated cloud. Knows no sockets and no media bytes."""

import math
from decimal import Decimal
from itertools import count
from typing import Any

from vgen.money import MICRO
from vgen.providers import host_of
from vgen.simulator import given, kling_rules, prices
from vgen.simulator.checkout import Checkout
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import POLL
from vgen.simulator.jobs import ENDED, Billing, Job, Order, State
from vgen.simulator.kling_rules import BadValue, Wanted
from vgen.simulator.shelf import Shelf
from vgen.simulator.spoil import spoil_poll
from vgen.simulator.web import Request, Response, answer, page

PROTOCOL = "kling"
FUNCTIONS = ("/text-to-video/", "/image-to-video/", "/omni-video/")
OLD_HOST = "api.klingai.com"
"""It serves the legacy API only."""
MOST_IDS = 20
LIST_LIMIT, MOST_LISTED = 100, 500
KEPT_S = 30 * 86_400
FRAME_S = 1 / 24
"""Clips are a frame longer than was asked for: "5.041" (measured)."""
STATES = {State.RUNNING: "processing", State.SUCCEEDED: "succeeded", State.FAILED: "failed"}
"""Everything else is submitted."""
UNIT_MICRO: int = kling_rules.table()["unit_micro"]
_PLAIN = Billing(tells=True)


def new_id(bits: int, created_at: float) -> str:  # noqa: ARG001 - a NewId
    """A decimal number beyond 2**53."""
    return f"8937{bits % 10**14:014}"


def error(status: int, code: int, message: str) -> Response:
    """Kling's own error: without data."""
    return answer(status, {"code": code, "message": message, "request_id": "vgen-simulator"})


BAD_KEY = error(401, 1002, "Authorization is invalid: access key not found")
REFUSALS = {
    "bad_key": BAD_KEY,
    "no_credits": error(429, 1102, "Resource pack depleted or expired"),
    "create_arrears": error(429, 1101, "Account in arrears"),
    "create_429": error(429, 1302, "API request too fast, over rate limit"),
    "create_busy": error(429, 1303, "parallel task over resource pack limit"),
    "create_500": error(500, 5000, "Internal server error"),
    "create_503": error(503, 5001, "Service temporarily unavailable"),
    "create_504": error(504, 5002, "Server internal timeout, backlog"),
    "model_closed": error(403, 1103, "Unauthorized to access the requested api or model"),
    "account_closed": error(429, 1100, "Account exception"),
    "address_refused": error(429, 1304, "Request ip is not in the whitelist"),
    "create_moderation": error(400, 1301, "Failure to pass the risk control system"),
}


class Kling:
    """POST function/model, GET tasks by either id, POST tasks (a list), GET account/costs."""

    paths: tuple[str, ...] = (*FUNCTIONS, "/tasks", "/account/costs")

    def __init__(self, cloud: Cloud, shelf: Shelf) -> None:
        self._cloud = cloud
        self._shelf = shelf
        self._checkout = Checkout(cloud, PROTOCOL, REFUSALS, new_id)
        self._calls = count(1)
        self._by_tag: dict[str, Job] = {}
        self._costs_asked_at = -math.inf
        for job in cloud.all_jobs(PROTOCOL):
            self._remember(job)

    def respond(self, request: Request) -> Response:
        """Answer any request to Kling's host."""
        path = request.path
        function = next((one for one in FUNCTIONS if path.startswith(one)), None)
        if host_of(request.origin) == OLD_HOST or (function is None and path not in ("/tasks", "/account/costs")):
            return page(404, "404 Not Found")
        refusal = _refusal(request)
        if refusal:
            return refusal
        match request.method:
            case "POST" if function:
                return self._create(request, function.strip("/"), path.removeprefix(function))
            case "POST" if path == "/tasks":
                return self._list(request)
            case "GET" if path == "/tasks":
                return self._look_up(request)
            case "GET" if path == "/account/costs":
                return self._costs()
        return error(404, 1202, f"Method {request.method} is not supported")

    def _good(self, data: Any) -> Response:
        said = {"code": 0, "message": "SUCCEED", "request_id": f"vgen-simulator-{next(self._calls)}", "data": data}
        return answer(200, said)

    # --- create

    def _create(self, request: Request, function: str, name: str) -> Response:
        cloud = self._cloud
        cloud.requests["create"] += 1
        rules = kling_rules.row(f"{function}/{name}", cloud.extra_models[PROTOCOL])
        if rules is None:
            return error(404, 1203, f"The requested resource does not exist: model {name}")
        try:
            body = request.json()
        except ValueError:
            return error(400, 1200, "The request body is not valid JSON")
        try:
            wanted = kling_rules.read(function, rules, body)
        except BadValue as exc:
            return error(400, 1201, str(exc))
        order = self._order(function, name, wanted, body)
        refusal = self._checkout.troubled(order.prompt) or self._taken(wanted.tag) or self._checkout.refused(order)
        if refusal:
            return refusal
        if self._checkout.in_flight(name) >= cloud.concurrency:
            return REFUSALS["create_busy"]
        cloud.ignored.update(f"{PROTOCOL}: {field}" for field in wanted.ignored)
        return self._checkout.accept(order, self._created)

    def _order(self, function: str, name: str, wanted: Wanted, body: dict[str, Any]) -> Order:
        if wanted.units_per_s is None:
            price = math.ceil(self._cloud.extra_models[PROTOCOL].get(name, 0) * wanted.seconds)
        else:
            price = int(wanted.units_per_s * wanted.seconds * UNIT_MICRO)
        width, height = prices.pixels(wanted.shape, wanted.resolution)
        return Order(
            provider=PROTOCOL,
            endpoint=function,
            model=name,
            prompt=wanted.prompt,
            body=body,
            duration_s=wanted.seconds + FRAME_S,
            width=width,
            height=height,
            estimate_micro=price,
            price_micro=price,
            audio=wanted.sound,
            invalid=({"message": wanted.fails},) if wanted.fails else (),
            billing=_PLAIN,
            pictures=given.of_contents(body),
        )

    def _created(self, job: Job) -> Response:
        self._remember(job)
        return self._good(_record(job, "submitted", job.created_at))

    def _taken(self, tag: str) -> Response | None:
        """The refusal of an external_task_id that this account has used for whatever product."""
        job = self._by_tag.get(tag)
        if job is None:
            return None
        failed = self._cloud.state(job) is State.FAILED
        if failed and self._cloud.faults.pick("failed_id_free", PROTOCOL, job.order.prompt):
            return None
        return error(400, 1201, f"External_task_id {tag} already exists")

    def _remember(self, job: Job) -> None:
        if _tag(job):
            self._by_tag[_tag(job)] = job

    # --- questions

    def _look_up(self, request: Request) -> Response:
        self._cloud.requests["poll"] += 1
        asked = {name: request.query.get(name, "") for name in ("task_ids", "external_task_ids")}
        if all(asked.values()) or not any(asked.values()):
            return error(400, 1200, "One of task_ids and external_task_ids is required, not both")
        ids = [one for one in "".join(asked.values()).split(",") if one]
        if len(ids) > MOST_IDS:
            return error(400, 1201, f"The number of task ids exceeds {MOST_IDS}")
        found = [self._cloud.find(PROTOCOL, one) if asked["task_ids"] else self._by_tag.get(one) for one in ids]
        shown = []
        for job in filter(None, found):
            if asked["external_task_ids"] and self._cloud.faults.pick("find_late", PROTOCOL, job.order.prompt):
                continue
            fault = self._cloud.faults.first_of(POLL, PROTOCOL, job.order.prompt)
            if fault and fault != "poll_404":
                return spoil_poll(fault, page(404, "404 Not Found"), _words)
            if not fault:
                shown.append(self._task(job, request.origin))
        return self._good(shown)

    def _list(self, request: Request) -> Response:
        """One page of the cursor list, newest first."""
        self._cloud.requests["list"] += 1
        try:
            start, end, skip, limit, wanted = self._window(request.json())
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as exc:
            return error(400, 1201, f"Bad list parameters: {exc}")
        jobs = [
            job
            for job in reversed(self._cloud.all_jobs(PROTOCOL))
            if start <= _ms(job.created_at) < end and (wanted is None or self._word(job) in wanted)
        ]
        shown = [self._task(job, request.origin) for job in jobs[skip : skip + limit]]
        more = len(jobs) > skip + limit
        cursor = f"{start}-{end}-{skip + limit}" if more else ""
        return self._good({"result": shown, "count": len(shown), "next_cursor": cursor, "has_more": more})

    def _window(self, body: Any) -> tuple[int, int, int, int, set[str] | None]:
        """Start, end (ms), how many to skip, how many to show, and the states asked for (None: all)."""
        now = _ms(self._cloud.now())
        limit = int(body.get("limit") or LIST_LIMIT)
        if not 1 <= limit <= MOST_LISTED:
            raise ValueError(f"limit must be 1 to {MOST_LISTED}")
        end = int(body.get("end_time") or now + 1)
        start, skip = int(body.get("start_time") or end - KEPT_S * 1000), 0
        if body.get("cursor"):
            start, end, skip = (int(part) for part in body["cursor"].split("-"))
        wanted: set[str] | None = None
        for one in body.get("filters") or []:
            if one["key"] not in ("status", "product_type"):
                raise ValueError(f"filter key {one['key']}")
            if one["key"] == "status":
                wanted = set(one["values"])
            elif "video" not in one["values"]:
                wanted = set()
        return start, end, skip, limit, wanted

    def _word(self, job: Job) -> str:
        return STATES.get(self._cloud.state(job), "submitted")

    def _task(self, job: Job, origin: str) -> dict[str, Any]:
        state, now = self._cloud.state(job), self._cloud.now()
        job = self._cloud.find(PROTOCOL, job.id) or job
        updated = max(moment for moment in (job.created_at, job.started_at, job.over_at) if moment <= now)
        task = _record(job, self._word(job), updated)
        if state in ENDED:
            kept = state is State.SUCCEEDED and now < job.over_at + KEPT_S
            task["outputs"] = [self._output(job, origin)] if kept else []
            task["billing"] = _billing(job, self._cloud.charged_micro(job))
        if state is State.FAILED:
            task["message"] = _reason(job)
        return task

    def _output(self, job: Job, origin: str) -> dict[str, Any]:
        url = f"{origin}{self._shelf.path(job, job.over_at + KEPT_S)}"
        length = Decimal(math.floor(job.order.duration_s * 1000)) / 1000
        return {"type": "video", "id": f"v-{job.id}", "url": url, "duration": f"{length:f}"}

    def _costs(self) -> Response:
        """The account's resource pack; at most one question a second."""
        self._cloud.requests["organization"] += 1
        now = self._cloud.now()
        if now - self._costs_asked_at < 1:
            return REFUSALS["create_429"]
        self._costs_asked_at = now
        spent = sum(self._cloud.charged_micro(job) for job in self._cloud.all_jobs(PROTOCOL))
        left = self._cloud.left_micro(PROTOCOL)
        total = 10_000 * UNIT_MICRO if left is None else left + spent
        pack = {
            "resource_pack_name": f"Simulated-Video-{total // UNIT_MICRO}Units-{self._cloud.concurrency}Con-1Months",
            "resource_pack_type": "decreasing_total",
            "total_quantity": total / UNIT_MICRO,
            "remaining_quantity": max(total - spent, 0) / UNIT_MICRO,
            "status": "online" if spent < total else "runOut",
        }
        return self._good({"code": 0, "msg": "SUCCEED", "resource_pack_subscribe_infos": [pack]})


def _record(job: Job, status: str, updated_at: float) -> dict[str, Any]:
    """What every record of a task has; the message of one that did not fail is empty."""
    return {
        "id": job.id,
        "status": status,
        "message": "",
        "create_time": _ms(job.created_at),
        "update_time": _ms(updated_at),
        "external_id": _tag(job),
    }


def _refusal(request: Request) -> Response | None:
    """What is wrong with the key: the legacy API's signed tokens are refused like any garbage."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not key.strip():
        return error(401, 1001, "Authorization is empty")
    return BAD_KEY if scheme.lower() != "bearer" or key.startswith("eyJ") else None


def _billing(job: Job, charged: int) -> list[dict[str, str]]:
    """What was taken for it: units of a pack, or cash for a model that has no price in units."""
    if not charged:
        return [{"amount": "0"}]
    if kling_rules.model(f"{job.order.endpoint}/{job.order.model}"):
        units = (Decimal(charged) / UNIT_MICRO).normalize()
        return [{"charge_type": "unit", "amount": f"{units:f}", "package_type": "video"}]
    usd = f"{(Decimal(charged) / MICRO).normalize():f}"
    cash = {"charge_type": "cash", "cash_type": "balance", "amount": usd, "currency": "USD", "list_price": usd}
    return [{**cash, "package_type": "video"}]


def _reason(job: Job) -> str:
    if job.order.invalid:
        return str(job.order.invalid[0]["message"])
    moderated = "job_moderated" in job.faults
    return "Failure to pass the risk control system" if moderated else "Generation failed, please try again"


def _tag(job: Job) -> str:
    options = job.order.body.get("options", {})
    return str(options.get("external_task_id", ""))


def _ms(moment: float) -> int:
    return round(moment * 1000)


def _words(message: str) -> dict[str, Any]:
    return {"code": 5000, "message": message, "request_id": "vgen-simulator"}
