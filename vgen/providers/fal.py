"""The fal queue as a pure codec: bytes in, meaning out. What is ordered of its endpoints: fal_order.

Facts: `fal_client` 1.0.3, fal-js 2026-08-02, fal's docs. A failed job reads COMPLETED: its error is in the status body
or in the HTTP status of the result. Status, result and cancel URLs are used as given, if they are the API's own.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from vgen.pictures import ROLES, Pictures
from vgen.providers import fal_learn, fal_models, fal_order, fal_prices, fal_rows, fal_table, fal_uploads
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
    Cancelled,
    CannotMake,
    Done,
    Failed,
    Inconclusive,
    Job,
    Listed,
    Listing,
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
    brief,
    is_url,
)
from vgen.providers.codec import AccountCall, LostOrders, ModelTable, QuoteCall, TaggedList, Vendor
from vgen.retry import retry_after_s

BASE_URL = fal_uploads.QUEUE_URL
PLATFORM_URL = "https://api.fal.ai"
"""fal's own list of requests."""
MODEL = "fal-ai/pika/v2.2/text-to-video"

VENDOR = Vendor(
    protocol="fal",
    section="pika",
    keys=("FAL_KEY",),
    hosts=("queue.fal.run", "api.fal.ai", fal_uploads.REST_HOST),
    uploads=fal_uploads.UPLOADS,
    base_url=BASE_URL,
    model=MODEL,
    invented_hosts=("api.pika.art",),
    poll_interval_s=3.0,  # no rule is documented; the official client polls every 0.1 s, which is not worth copying
    models=ModelTable(
        as_of=fal_table.as_of,
        shipped=fal_table.shipped,
        listed=fal_models.listed,
        own_file=fal_table.OWN_FILE,
        read=fal_rows.read,
        learn_from=fal_learn.OPENAPI_URL,
        ask=fal_learn.ask,
        row=fal_learn.row,
    ),
)
ACCOUNT: AccountCall | None = None
"""No free call is known."""
QUOTE: QuoteCall | None = None

# fal's `type` and `error_type` values of its own faults (docs "errors"); all others are the request's.
_THEIR_FAULT = frozenset(
    {
        "internal_server_error", "generation_timeout", "downstream_service_error", "downstream_service_unavailable",
        "request_timeout", "startup_timeout", "runner_scheduling_failure", "runner_connection_timeout",
        "runner_disconnected", "runner_connection_refused", "runner_connection_error", "runner_incomplete_response",
        "runner_server_error", "internal_error",
    }
)  # fmt: skip

_FORM = r"missing|literal_error|\w+_type|value_error.*"
"""The types of pydantic's errors that are about the form of a request: a field that lacks, or a value not on offer."""
_SHOTS_OWN = frozenset({"prompt", "negative_prompt", "seed"})
"""Fields that another shot has otherwise: a bad value there says nothing of the next order."""


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second by the shipped table, where it does not depend on the length."""
    try:
        found = fal_table.endpoint(model, {})
        resolution = fal_order.resolution(found, resolution)
    except CannotMake:
        return None
    return fal_prices.per_second(found.price, resolution)


order = fal_order.order
"""The request for a recipe (see fal_order)."""


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request. fal's own retries are left on: they do not bill twice.

    The tag is sent as the seed, if the shot has none and the model takes one: fal's list shows it.
    """
    body = dict(order.body)
    if fal_table.endpoint(order.model, terms.own_models).seed:
        body.setdefault("seed", int(_sent_as(tag)))
    for role, field in order.pictures.items():
        is_list = ROLES[role] and field not in fal_table.ONE_PICTURE
        body[field] = list(pictures.all(role)) if is_list else pictures.get(role)
    data = json.dumps(body, ensure_ascii=False).encode()
    headers = (("Content-Type", "application/json"),)
    return Call(
        method="POST", url=terms.base_url + order.path, headers=headers, body=data, auth=f"Key {key}", step="create"
    )


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to a submit means."""
    said = reply.object()
    own = bool(said.keys() & {"detail", "error"}) or "x-fal-request-id" in reply.headers
    message = _detail(said) or f"HTTP {reply.status}"
    if reply.status // 100 == 2:
        job_id = said.get("request_id")
        if isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id):
            return Accepted(job=Job(id=job_id, urls=_urls(said, job_id, terms)))
        return Unclear(message=f"HTTP {reply.status} without a usable request id")
    match reply.status:
        case 429:
            wait_s = retry_after_s(
                reply.headers.get("retry-after"), now=reply.at, server_date=reply.headers.get("date")
            )
            return Refused(reason=RefusalReason.RATE_LIMITED, message=message, retry_after_s=wait_s)
        case 402:
            return Refused(reason=RefusalReason.CREDIT, message=message)
        case 403 if re.search(r"balance|locked|credit", message, re.IGNORECASE):
            return Refused(reason=RefusalReason.CREDIT, message=message)
        case 401 | 403:
            return Refused(reason=RefusalReason.KEY, message=message)
        case 404 | 405:
            return Refused(reason=RefusalReason.SETUP, message=message)
        case 400 | 413 | 415 | 422:
            return Refused(reason=RefusalReason.INPUT, message=message)
        case status if status >= 500 and own and said:
            return Refused(reason=RefusalReason.SERVER_ERROR, message=message)
        case status:
            return Unclear(message=f"HTTP {status}, not in fal's own words")


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the request is."""
    return Call(method="GET", url=job.urls["status"], auth=f"Key {key}", step="status")


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply means; a COMPLETED status asks for the result next."""
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    if call.step == "result":
        return _result(reply)
    said = reply.object()
    if call.step == "cancel":  # OK: removed from the queue, so never processed (docs "Cancel a request"), or billed
        removed = reply.status == 200 and said.get("status") == "OK"
        return Cancelled(charged=0) if removed else Inconclusive(message=f"HTTP {reply.status}")
    if reply.status == 404 and "detail" in said:
        return Missing()  # in fal's own words; a gateway's page says nothing about a request
    if reply.status not in (200, 202) or said.get("request_id") not in (None, job.id):
        return Inconclusive(
            message=f"HTTP {reply.status}", retry_after_s=retry_after_s(reply.headers.get("retry-after"), now=reply.at)
        )
    match said.get("status"):
        case "IN_QUEUE":
            position = said.get("queue_position")
            return Queued(position=position if isinstance(position, int) and position >= 0 else None)
        case "IN_PROGRESS":
            return Running()
        case "CANCELLED" | "CANCELED" if _names(said, reply, job):
            return Cancelled(charged=_nothing_billed(reply))
        case "COMPLETED" if said.get("error") and _type(said) in _THEIR_FAULT and _names(said, reply, job):
            # Its result is a 5xx (never charged, fal's FAQ), which from outside looks like a gateway's hiccup.
            return Failed(message=_detail(said), code=_type(said), again=True, charged=0)
        case "COMPLETED":
            return Call(method="GET", url=job.urls["response"], auth=f"Key {key}", step="result")
        case other:
            return Inconclusive(message=f"unknown status {brief(other, 40)!r}")


def _names(said: Mapping[str, Any], reply: Reply, job: Job) -> bool:
    """Whether an answer says which request it is about, and it is this one."""
    told = (said.get("request_id"), reply.headers.get("x-fal-request-id"), str(said.get("response_url")).split("/")[-1])
    return job.id in told


def _sent_as(tag: str) -> str:
    """The tag's number: a seed from 1 to 2**31 - 1, which all models take that take any."""
    return tag.rpartition("-")[2]


def list_jobs(model: str, since: float, base_url: str, key: str, cursor: str | None) -> Call:
    """Ask for the requests of an endpoint that have ended since (unix time), with their input (fal's platform API)."""
    start = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
    query = {"endpoint_id": model, "start": start, "limit": "100", "expand": "payloads"}
    if cursor:
        query["cursor"] = cursor
    host = PLATFORM_URL if base_url == BASE_URL else base_url
    url = f"{host}/v1/models/requests/by-endpoint?{urlencode(query)}"
    return Call(method="GET", url=url, auth=f"Key {key}", step="list_jobs")


def parse_job_list(reply: Reply, cursor: str | None = None) -> Listing | None:
    """What the list says, or None if it says nothing: an error or a page of another form is never "not there"."""
    said = reply.object()
    items = said.get("items", said.get("requests"))
    if reply.status != 200 or not isinstance(items, list):
        return None
    jobs = []
    for item in items:
        sent = item.get("json_input") if isinstance(item, dict) else None
        job_id = item.get("request_id") if isinstance(item, dict) else None
        if not isinstance(sent, dict) or not isinstance(job_id, str) or not re.fullmatch(JOB_ID, job_id):
            return None
        seed = str(sent.get("seed", ""))
        jobs.append(Listed(id=job_id, prompt=str(sent.get("prompt", "")), tag=seed))
    more = said.get("next_cursor") if said.get("has_more") else None
    return Listing(jobs=tuple(jobs), more=str(more) if more else None)


LOST_ORDERS: LostOrders = TaggedList(
    list_jobs=list_jobs, parse_job_list=parse_job_list, sent_as=_sent_as,
    lag_s=3600.0,  # only requests that have ended are listed: one that waits or runs must have had time to
    shows_running=False,
    shared_field="seed",
)  # fmt: skip


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """The standard addresses of a request whose submit's answer was lost."""
    return Job(id=job_id, urls=_usual_urls(job_id, model, base_url))


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Ask fal to stop; for a running job that is only a wish."""
    return Call(method="PUT", url=job.urls["cancel"], auth=f"Key {key}", step="cancel")


def _result(reply: Reply) -> Status:
    """The job's real outcome: 200 with a file, or its 4xx/5xx."""
    said = reply.object()
    charged = _nothing_billed(reply)
    if reply.status == 200:
        video = said.get("video")
        url = video.get("url") if isinstance(video, dict) else None
        if is_url(url):
            return Done(url=url)
        if "detail" not in said and not said.get("error"):
            return _without_video(reply, said)
    if reply.status in (408, 425, 429) or (reply.status >= 500 and not said):
        return Inconclusive(
            message=f"HTTP {reply.status}", retry_after_s=retry_after_s(reply.headers.get("retry-after"), now=reply.at)
        )
    own = "x-fal-request-id" in reply.headers or _type(said) != ""
    if not _detail(said) or (reply.status >= 500 and not own):  # the job may be done, and paid
        return Inconclusive(message=f"HTTP {reply.status}, not in fal's own words", ended=bool(_detail(said)))
    if reply.status >= 500:  # of the question, perhaps: a job's own failure is told by its status, at $0 (fal's FAQ)
        return Failed(message=_detail(said), code=_type(said), again=True, charged=charged, unconfirmed=True)
    if reply.status == 400 and "in progress" in _detail(said):
        return Running()
    if reply.status == 404:
        return Missing()
    if reply.status == 422 and (wrong := _wrong_fields(said)):
        return Failed(
            message="; ".join(wrong), code=_type(said), charged=charged, unconfirmed=not own, wrong_order=True
        )
    theirs = _type(said) in _THEIR_FAULT
    return Failed(message=_detail(said), code=_type(said), again=theirs, charged=charged, unconfirmed=not own)


def _nothing_billed(reply: Reply) -> int | None:
    """0 if fal says that it bills no units; None if it does not say. Other figures need a unit's price."""
    return 0 if reply.headers.get("x-fal-billable-units", "").strip() in ("0", "0.0") else None


def _wrong_fields(said: Mapping[str, Any]) -> list[str]:
    """What is wrong with the form of the order, and would be with that of every other one to this model.

    fal's queue takes any body, and its runner says only at the result that a field is missing or not on offer.
    """
    detail = said.get("detail")
    found = []
    for item in detail if isinstance(detail, list) else ():
        place, kind = (item.get("loc"), str(item.get("type", ""))) if isinstance(item, dict) else (None, "")
        if not isinstance(place, list) or not place or place[0] != "body" or not re.fullmatch(_FORM, kind):
            continue
        field = str(place[1]) if len(place) > 1 else "body"
        if not (kind.startswith("value_error") and (field in _SHOTS_OWN or field.endswith(("image_url", "frame_url")))):
            found.append(brief(f"{field}: {item.get('msg', kind)}"))
    return found


def _without_video(reply: Reply, said: Mapping[str, Any]) -> Status:
    """A 200 of another shape than `{"video": {"url": …}}`: in the application's own answer, the job's paid result.

    All video endpoints of fal's type list answer in that shape (2026-11); an endpoint of a config may be any other.
    """
    if "video" in said:
        return Done(url="", charged=_nothing_billed(reply), instead="its result names no usable video")
    names = brief(", ".join(sorted(map(str, said))), 80)
    if said and "x-fal-request-id" in reply.headers:
        return Done(url="", charged=_nothing_billed(reply), instead=f"its result holds no video, but {names}")
    return Inconclusive(message=f"its result holds {names or 'nothing'}, and no video", ended=bool(said))


def _urls(said: Mapping[str, Any], job_id: str, terms: Terms) -> dict[str, str]:
    """The URLs that fal returned; one of another origin is never called with the key, so its standard form is used."""
    usual = _usual_urls(job_id, terms.model, terms.base_url)
    return {name: _own(said.get(f"{name}_url"), terms.base_url) or usual[name] for name in usual}


def _usual_urls(job_id: str, model: str, base_url: str) -> dict[str, str]:
    app = "/".join(model.strip("/").split("/")[:2])
    standard = f"{base_url}/{app}/requests/{quote(job_id, safe='')}"
    return {"status": f"{standard}/status", "response": standard, "cancel": f"{standard}/cancel"}


def _own(url: object, base_url: str) -> str | None:
    """`url`, if it is one of the API's own origin."""
    return url if is_url(url) and urlsplit(url)[:2] == urlsplit(base_url)[:2] else None


def _detail(said: Mapping[str, Any]) -> str:
    detail = said.get("detail") or said.get("error") or said.get("message")
    if isinstance(detail, list):
        return brief("; ".join(str(item.get("msg", item)) if isinstance(item, dict) else str(item) for item in detail))
    return brief(detail) if detail else ""


def _type(said: Mapping[str, Any]) -> str:
    detail = said.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return brief(detail[0].get("type", ""), 80)
    return brief(said.get("error_type", "") or "", 80)
