"""MiniMax's V2 video API (H3) as a pure codec: bytes in, meaning out. What its models take: minimax_models.json.

Facts: MiniMax's own OpenAPI of the V2 API, error numbers of its pages. Resolution, length and, without a picture, shape
are required. An error's number is in parentheses at the end of its message, and nowhere else. Nothing that we could
send comes back in the list, so a lost order is found by likeness only, and the user decides.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from sys import intern
from typing import Any

from vgen.money import micros
from vgen.pictures import Accepts, Pictures
from vgen.providers import content_tasks, tables
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
    Cancelled,
    Inconclusive,
    Job,
    Listing,
    Missing,
    Order,
    RefusalReason,
    Reply,
    Status,
    Terms,
    Unclear,
    brief,
)
from vgen.providers.codec import AccountCall, Likeness, LostOrders, QuoteCall, Vendor
from vgen.providers.refusals import BY_STATUS, asked_to_wait_s, refused
from vgen.recipe import Recipe

BASE_URL = "https://api.minimax.io"

VENDOR = Vendor(
    protocol="minimax",
    keys=("MINIMAX_API_KEY",),
    hosts=("api.minimax.io",),  # api.minimaxi.com is China's, with keys of its own
    base_url=BASE_URL,
    model_names=r"MiniMax-[\w.-]+",
    example="MiniMax-H3",
    version="/v2",
    accepts=Accepts(most_bytes=5_000_000, least_side=256, most_side=5760, most_ratio=2.5),
    poll_interval_s=10.0,
)
QUOTE: QuoteCall | None = None

PAGE = 100
"""The most that others ask for; MiniMax's own limit is not known."""

_REASONS: Mapping[int, RefusalReason] = {
    1002: RefusalReason.RATE_LIMITED,
    1004: RefusalReason.KEY,  # or a key of the other region
    1008: RefusalReason.CREDIT,
    1026: RefusalReason.INPUT,  # sensitive words
    2013: RefusalReason.INPUT,
}
_NUMBER = re.compile(r"\((\d{3,5})\)\s*$")
_THE_REQUESTS_FAULT = frozenset({"1026", "1027", "2013"})
"""`error.code` of a failed task, a string: moderation of what went in or came out, parameters."""
_NO_SUCH_TASK = re.compile(r"invalid task_?id|not found|no such|does not exist", re.IGNORECASE)


def _cost(task: Mapping[str, Any]) -> int | None:
    seconds = content_tasks.usage(task, "total_seconds")
    listed = None if seconds is None else tables.by_seconds(content_tasks.rate(_SERVICE, task, "usd_per_s"), seconds)
    pictures = content_tasks.usage(task, "input_image_count") or 0  # first and last are counted too, and always free
    return None if listed is None else listed + _references_cost(_row(str(task.get("model"))), int(pictures))


_SERVICE = content_tasks.Service(
    table="minimax_models.json",
    create="/v2/video_generation",
    tasks="/v2/query/video_generation",
    delete="/v2/video_generation",
    page_size=PAGE,
    video="url",
    cost=_cost,
    again=lambda code: code not in _THE_REQUESTS_FAULT,
    fields=("resolution", "duration", "ratio", "model"),
)


def _row(model: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = tables.read(_SERVICE.table)["models"].get(model, {})
    return found


def _references_cost(row: Mapping[str, Any], count: int) -> int:
    """Micro-dollars of the reference pictures beyond the free ones."""
    return max(0, count - int(row["free_references"])) * micros(row["usd_per_reference"])


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second."""
    row = tables.read(_SERVICE.table)["models"].get(model)
    if row is None:
        return None
    size = (resolution or tables.resolution(row["resolutions"], None, model)).upper()
    return tables.by_seconds(row["usd_per_s"].get(size), 1)


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe. Raises CannotMake with the limit that the shot breaks."""
    chosen = content_tasks.choose(recipe, terms, _SERVICE.table, "MiniMax's")
    listed = tables.by_seconds(chosen.row["usd_per_s"].get(chosen.resolution), chosen.bought_s)
    if listed is not None:
        listed += _references_cost(chosen.row, len(recipe.pictures.all("references")))
    return Order(
        model=terms.model,
        path=intern(_SERVICE.create),
        body=chosen.body,
        bought_s=Decimal(chosen.bought_s),
        price=tables.to_reserve(listed, chosen.bought_s, terms, terms.model),
        pictures=chosen.pictures,
        left_out=tables.left_out(recipe, takes=("audio",)),  # sound comes with the picture, always
    )


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request. MiniMax takes no tag."""
    return content_tasks.create(_SERVICE, order, pictures, terms.base_url, key, {})


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to a create means; of an error, first its number."""
    said = reply.object()
    if reply.status // 100 == 2:
        job_id = said.get("task_id")
        if isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id):
            return Accepted(job=Job(id=job_id))
        return Unclear(message=f"HTTP {reply.status} without a usable task id")
    message = _message(said) or f"HTTP {reply.status}"
    reason = BY_STATUS.get(reply.status)
    if reason is None:  # 529, overloaded, too: nobody knows whether the task was taken
        return Unclear(message=f"HTTP {reply.status}: {message}")
    number = _NUMBER.search(message)
    return refused(reply, _REASONS.get(int(number[1]), reason) if number else reason, message)


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the task is. Also renews the output's URL."""
    return content_tasks.poll(_SERVICE, job, base_url, key)


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply to a poll means: the task is within `task`."""
    said = reply.object()
    if call.step == "cancel":  # its words are not sure: whatever it means, the task is asked next
        cancelled = reply.status == 200 and said.get("task_id") == job.id and said.get("status") == "cancelled"
        return Cancelled(charged=0) if cancelled else Inconclusive(message=f"HTTP {reply.status}")
    if reply.status in (400, 404, 500) and _NO_SUCH_TASK.search(_message(said)):  # by its words, not by its status
        return Missing()
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    task = said.get("task")
    if reply.status != 200 or not isinstance(task, dict) or task.get("id") != job.id:
        return Inconclusive(message=f"HTTP {reply.status}", retry_after_s=asked_to_wait_s(reply))
    return content_tasks.status(_SERVICE, task)


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Cancel a task that is queued by MiniMax's word of right now."""
    return content_tasks.cancel(_SERVICE, job, base_url, key)


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A task needs no URL but its id's."""
    return Job(id=job_id)


def _list_jobs(model: str, since: float, base_url: str, key: str, cursor: str | None) -> Call:
    return content_tasks.list_jobs(_SERVICE, base_url, key, cursor)


def _parse_job_list(reply: Reply, cursor: str | None) -> Listing | None:
    return content_tasks.parse_job_list(_SERVICE, reply, cursor)


LOST_ORDERS: LostOrders = Likeness(list_jobs=_list_jobs, parse_job_list=_parse_job_list, fields=tuple(_SERVICE.fields))
ACCOUNT: AccountCall | None = AccountCall(
    ask=lambda base_url, key: _list_jobs("", 0.0, base_url, key, None),
)


def _message(said: Mapping[str, Any]) -> str:
    """An error's own words; the number is at their end, so nothing is cut off there."""
    error = said.get("error")
    text = " ".join(str(error.get("message") or "").split()) if isinstance(error, dict) else ""
    number = _NUMBER.search(text)
    return f"{brief(text[: number.start()])} {number[0]}".strip() if number else brief(text)
