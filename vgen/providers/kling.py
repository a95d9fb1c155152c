"""Kling's own API as a pure codec: bytes in, meaning out. What its models take: kling_models.json.

Facts: Kling's document-api pages of 2026-09-20, and what others measured with paid accounts, 2026-08 to 2026-09. A
field that Kling does not know, or that is in the wrong place, is ignored, and a clip of default length is billed: so
each field is sent, and checked against the table first. Errors are told by the body's code, never by the status alone:
429 is out of money as well as too fast. Our own task id is taken once per account, for ever: the second create is
refused, and the first is found by it.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from sys import intern
from typing import Any
from urllib.parse import urlencode

from vgen.money import micros, up
from vgen.pictures import Accepts, Pictures
from vgen.providers import tables
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
    Done,
    Failed,
    Inconclusive,
    Job,
    Missing,
    Order,
    Queued,
    RefusalReason,
    Reply,
    Running,
    Status,
    Terms,
    Unclear,
    brief,
    is_url,
)
from vgen.providers.codec import AccountCall, LookUp, LostOrders, QuoteCall, Vendor
from vgen.providers.refusals import BY_STATUS, asked_to_wait_s, refused
from vgen.recipe import Recipe

BASE_URL = "https://api-singapore.klingai.com"

VENDOR = Vendor(
    protocol="kling",
    keys=("KLING_API_KEY",),
    hosts=("api-singapore.klingai.com",),
    base_url=BASE_URL,
    invented_hosts=("api.klingai.com",),  # the old host: /v1 only, and a 404 page for all that is below
    model_names=r"kling-[a-z0-9.-]+",
    example="kling-3.0",
    accepts=Accepts(kinds=("image/jpeg", "image/png"), most_bytes=5_000_000, least_side=300, most_ratio=2.5),
    files_kept_s=30 * 86_400.0,
    poll_interval_s=5.0,  # queries are free and unlimited; a clip of 5 s takes half a minute or more
)
QUOTE: QuoteCall | None = None

BUSY_S = 15.0
"""1303, too many tasks at once: before one of them has ended there is no use in asking again."""

_KEY, _MONEY, _LATER = RefusalReason.KEY, RefusalReason.CREDIT, RefusalReason.RATE_LIMITED
_INPUT, _SETUP = RefusalReason.INPUT, RefusalReason.SETUP
_REASONS: Mapping[int, RefusalReason] = {
    1000: _KEY, 1001: _KEY, 1002: _KEY, 1003: _KEY, 1004: _KEY,
    1100: _MONEY, 1101: _MONEY, 1102: _MONEY,  # account abnormal, in arrears, pack used up or expired; all HTTP 429
    1103: _SETUP,  # no right to this model
    1200: _INPUT, 1201: _INPUT, 1202: _SETUP, 1203: _SETUP,
    1300: _INPUT, 1301: _INPUT,  # policies
    1302: _LATER, 1303: _LATER,
    1304: _KEY,  # the address is not on the account's white list: HTTP 429 too, and no wait will help
}  # fmt: skip
_TOO_MANY = 1303
_BAD_PARAMETER = 1201
_THEIRS = 5000
"""From here on a code is a fault of Kling's, after which the task may exist."""

_RULES = re.compile(
    r"polic|risk|sensitiv|prohibit|violat|moderat|illegal|copyright|image|picture|frame|url", re.IGNORECASE
)
"""In a failed task's message, which has no code: the request's fault. All else is taken for Kling's."""


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second, silent where the model has a switch."""
    row = tables.read("kling_models.json")["models"].get(model)
    if row is None:
        return None
    offered = row["usd_per_s"]
    return tables.by_seconds(offered.get((resolution or row["resolutions"][0]).lower()), 1)


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe. Raises CannotMake with the limit that the shot breaks."""
    model = terms.model
    row = tables.row(tables.read("kling_models.json"), model, "Kling's")
    pictures = tables.pictures(recipe, row, model)
    way = row["picture" if "image" in pictures else "text"]
    offered = row.get("pair_resolutions", row["resolutions"]) if "end_image" in pictures else row["resolutions"]
    resolution = tables.resolution(offered, terms.resolution, model)
    bought_s = tables.seconds(recipe.duration_s, way["durations"], terms, model)
    prompt = tables.prompt(recipe.prompt, way["prompt_max"], model)
    sound = tables.sound(recipe, row, resolution, model) or {}
    settings: dict[str, Any] = {"resolution": resolution, "duration": bought_s, **row["settings"]}
    settings |= sound.get("fields", {})
    if "image" not in pictures:  # else the video has the picture's shape
        settings["aspect_ratio"] = tables.shape(recipe.aspect_ratio, row["ratios"], model)
    in_contents = way["function"] != "text-to-video"
    body: dict[str, Any] = {"contents": [{"type": "prompt", "text": prompt}]} if in_contents else {"prompt": prompt}
    body |= {"settings": settings, "options": {"watermark_info": {"enabled": False}}}
    listed = tables.by_seconds(sound.get("usd_per_s", row["usd_per_s"]).get(resolution), bought_s)
    return Order(
        model=model,
        path=intern(f"/{way['function']}/{model}"),
        body=body,
        bought_s=Decimal(bought_s),
        price=tables.to_reserve(listed, bought_s, terms, model),
        pictures=pictures,
        left_out=tables.left_out(recipe, takes=("audio",) if tables.takes_audio(row) else ()),
    )


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request, with our own task id. A picture that is no URL goes as base64 without its data: prefix."""
    body = dict(order.body)
    body["options"] = {**order.body["options"], "external_task_id": _own_id(tag)}
    inputs = [{"type": order.pictures[role], "url": _bare(uri)} for role, uri in pictures.pairs]
    if inputs:
        body["contents"] = [*order.body["contents"], *inputs]
    data = json.dumps(body, ensure_ascii=False).encode()
    headers = (("Content-Type", "application/json"),)
    return _call("POST", terms.base_url + order.path, key, step="create", headers=headers, body=data)


def _bare(uri: str) -> str:
    return uri.partition(";base64,")[2] if uri.startswith("data:") else uri


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to a create means: 2xx and code 0 is yes, a code of the official table is no, each 5xx neither."""
    said = reply.object()
    code = said.get("code")
    message = brief(said.get("message") or f"HTTP {reply.status}")
    if reply.status // 100 == 2 and code == 0:
        data = said.get("data")
        job_id = data.get("id") if isinstance(data, dict) else None
        if isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id):
            return Accepted(job=Job(id=job_id))
        return Unclear(message=f"HTTP {reply.status} without a usable task id")
    if reply.status >= 500:
        return Unclear(message=f"HTTP {reply.status}: {message}")
    if code == _BAD_PARAMETER and re.search(r"already exists", message, re.IGNORECASE):
        return refused(reply, RefusalReason.DUPLICATE, message)
    number = code if isinstance(code, int) else 0
    reason = _REASONS.get(number, BY_STATUS.get(reply.status))
    if reason is None or number >= _THEIRS:
        return Unclear(message=f"HTTP {reply.status}: {message}")
    return refused(reply, reason, message, at_least_s=BUSY_S if number == _TOO_MANY else None)


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the task is. Also renews the output's URL."""
    return _call("GET", f"{base_url}/tasks?{urlencode({'task_ids': job.id})}", key, step="status")


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply to a poll means. A task that Kling does not know is left out of the list: 200, not 404."""
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    tasks = _tasks(reply)
    if tasks is None:
        return Inconclusive(message=f"HTTP {reply.status}", retry_after_s=asked_to_wait_s(reply))
    if not tasks:
        return Missing()
    task = next((one for one in tasks if one.get("id") == job.id), None)
    if task is None:
        return Inconclusive(message="an answer about other tasks")
    charged = _charged(task.get("billing"))
    match task.get("status"):
        case "submitted":
            return Queued()
        case "processing":
            return Running()
        case "succeeded":
            url = _video(task.get("outputs"))
            return Done(
                url=url, charged=charged, unsettled=not task.get("billing"), ended_at=_seconds(task.get("update_time"))
            )
        case "failed":
            message = brief(task.get("message") or "the task failed")
            again = not _RULES.search(message)
            return Failed(message=message, again=again, charged=charged, unsettled=not task.get("billing"))
        case other:
            return Inconclusive(message=f"unknown status {brief(other, 40)!r}")


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Kling has no cancel: none in its 50 pages."""
    return None


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A task needs no URL but its id's."""
    return Job(id=job_id)


def _find(tag: str, base_url: str, key: str) -> Call:
    return _call("GET", f"{base_url}/tasks?{urlencode({'external_task_ids': _own_id(tag)})}", key, step="find")


def _found(reply: Reply, tag: str) -> str | None:
    """The id of the task that has our own id; "" only for an empty list in Kling's own shape."""
    tasks = _tasks(reply)
    if tasks is None:
        return None
    mine = [one.get("id") for one in tasks if one.get("external_id") == _own_id(tag)]
    if len(mine) == 1 and isinstance(mine[0], str) and re.fullmatch(JOB_ID, mine[0]):
        return mine[0]
    return None if tasks else ""


LOST_ORDERS: LostOrders = LookUp(find=_find, found=_found)
"""A task is found at once: 152 of 152 look-ups, 0 to 2 s after the create (measured 2026-09)."""

ACCOUNT: AccountCall | None = AccountCall(
    ask=lambda base_url, key: _find("none", base_url, key),  # balance and costs lag by hours, this does not
)


def _own_id(tag: str) -> str:
    """Our task id: unique in the account, over all products; no commas, which part the ids of a query."""
    return f"vg-{tag}"


def _call(
    method: str, url: str, key: str, *, step: str, headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None
) -> Call:
    return Call(method=method, url=url, headers=headers, body=body, auth=f"Bearer {key}", step=step)


def _tasks(reply: Reply) -> list[Mapping[str, Any]] | None:
    """The tasks of an answer in Kling's own shape, else None."""
    said = reply.object()
    data = said.get("data")
    if reply.status != 200 or said.get("code") != 0 or not isinstance(data, list):
        return None
    return data if all(isinstance(one, dict) for one in data) else None


def _seconds(told: object) -> float | None:
    """A time in milliseconds as Unix seconds."""
    return float(told) / 1000 if isinstance(told, int | Decimal) and not isinstance(told, bool) else None


def _video(outputs: object) -> str:
    listed = outputs if isinstance(outputs, list) else []
    urls = (one.get("url") for one in listed if isinstance(one, dict) and one.get("type") == "video")
    return next((url for url in urls if is_url(url)), "")


def _charged(billing: object) -> int | None:
    """Micro-dollars of all lines together; None if there is none, or one is not understood."""
    lines = [_line(one) for one in billing] if isinstance(billing, list) else []
    known = [line for line in lines if line is not None]
    return sum(known) if lines and len(known) == len(lines) else None


def _line(said: object) -> int | None:
    """What one line of `billing` takes: dollars, units of a pack at list price, or nothing."""
    if not isinstance(said, dict):
        return None
    try:
        amount = Decimal(str(said.get("amount")))
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount <= 10**6:
        return None
    match said.get("charge_type"), said.get("cash_type"), said.get("currency"):
        case "cash", "test_balance", _:
            return 0  # not real money
        case "cash", _, "USD":
            return micros(amount)
        case "unit", _, _:
            return up(amount * micros(tables.read("kling_models.json")["usd_per_unit"]))
    return 0 if amount == 0 else None
