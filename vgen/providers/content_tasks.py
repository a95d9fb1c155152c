"""The shape that ModelArk's and MiniMax's video APIs share: create, poll, list, delete. What differs is in a `Service`.

Both take a `content` list, ignore no required field, list tasks by page and number, and mean two things by DELETE: a
queued task is cancelled, of one that has ended the record is erased. So it is sent only for a task that is queued.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

from vgen.providers import tables
from vgen.providers.base import (
    JOB_ID,
    Call,
    Cancelled,
    CannotMake,
    Done,
    Failed,
    Inconclusive,
    Job,
    Listed,
    Listing,
    Queued,
    Reply,
    Running,
    Status,
    Terms,
    brief,
    is_url,
)
from vgen.recipe import Recipe

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What one of the two calls its own.

    `create`, `tasks`, `delete`: paths. `page_size`: the most of a page of the list. `video`: where a task's `content`
    has the file. `cost(task)`: micro-dollars of what its `usage` says, or None if it says nothing. `again(code)`:
    whether a failure is the vendor's fault. `tag`: the field of a task that has our tag; `fields`: what else it tells.
    `ended`: the field that tells when a task that has succeeded ended, in Unix seconds.
    """

    table: str
    create: str
    tasks: str
    delete: str
    page_size: int
    video: str
    cost: Callable[[Json], int | None]
    again: Callable[[str], bool]
    tag: str = ""
    ended: str = ""
    fields: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is bought for a recipe: the model's row, and the body that both services have in common."""

    row: Json
    body: dict[str, Any]
    resolution: str
    bought_s: int


def choose(recipe: Recipe, terms: Terms, table: str, vendor: str) -> Choice:
    """What to order. With a first picture the video has its shape. Raises CannotMake."""
    model = terms.model
    row = tables.row(tables.read(table), model, vendor)
    text = tables.prompt(recipe.prompt, row.get("prompt_max"), model)
    ratio = "adaptive" if recipe.image else tables.shape(recipe.aspect_ratio, row["ratios"], model)
    resolution = tables.resolution(row["resolutions"], terms.resolution, model)
    bought_s = tables.seconds(recipe.duration_s, row["durations"], terms, model)
    body = {
        "model": model,
        "content": [{"type": "text", "text": text}],
        "resolution": resolution,
        "duration": bought_s,
        "ratio": ratio,
    }
    return Choice(row=row, body=body, resolution=resolution, bought_s=bought_s)


def create(service: Service, body: Json, image: str | None, base_url: str, key: str) -> Call:
    """The paid request."""
    sent = dict(body)
    if image is not None:
        picture = {"type": "image_url", "image_url": {"url": image}, "role": "first_frame"}
        sent["content"] = [*body["content"], picture]
    data = json.dumps(sent, ensure_ascii=False).encode()
    headers = (("Content-Type", "application/json"),)
    return Call(
        method="POST", url=base_url + service.create, headers=headers, body=data, auth=f"Bearer {key}", step="create"
    )


def poll(service: Service, job: Job, base_url: str, key: str) -> Call:
    """Ask how the task is."""
    url = f"{base_url}{service.tasks}/{quote(job.id, safe='')}"
    return Call(method="GET", url=url, auth=f"Bearer {key}", step="status")


def cancel(service: Service, job: Job, base_url: str, key: str) -> Call:
    """Cancel a task that is queued. Of one that has ended this would erase the record, its file's address with it."""
    url = f"{base_url}{service.delete}/{quote(job.id, safe='')}"
    return Call(method="DELETE", url=url, auth=f"Bearer {key}", step="cancel")


def list_jobs(service: Service, base_url: str, key: str, cursor: str | None) -> Call:
    """Ask for a page of all tasks of the last 7 days: the list knows no moment to begin at, and no order."""
    query = urlencode({"page_num": cursor or "1", "page_size": str(service.page_size)})
    return Call(method="GET", url=f"{base_url}{service.tasks}?{query}", auth=f"Bearer {key}", step="list_jobs")


def parse_job_list(service: Service, reply: Reply, cursor: str | None) -> Listing | None:
    """A page of the list, or None: an error, another form, or a page that is empty before its time."""
    said = reply.object()
    items, total = said.get("items"), said.get("total")
    if reply.status != 200 or not isinstance(items, list) or not isinstance(total, int):
        return None
    jobs = []
    for item in items:
        job_id = item.get("id") if isinstance(item, dict) else None
        if not isinstance(job_id, str) or not re.fullmatch(JOB_ID, job_id):
            return None
        jobs.append(_listed(service, job_id, item))
    page = int(cursor or "1")
    more = total > page * service.page_size
    if len(items) < (service.page_size if more else total - (page - 1) * service.page_size):
        return None  # fewer than it says it has
    return Listing(jobs=tuple(jobs), more=str(page + 1) if more else None)


def status(service: Service, task: Json) -> Status:
    """What a task's own record means. Both vendors bill a task that succeeded, and no other."""
    cost = service.cost(task)
    match task.get("status"):
        case "queued":
            return Queued()
        case "running":
            return Running()
        case "succeeded":
            content = task.get("content")
            url = content.get(service.video) if isinstance(content, dict) else None
            return Done(url=url if is_url(url) else "", charged=cost, ended_at=moment(task.get(service.ended)))
        case "failed":
            error = task.get("error")
            told: Json = error if isinstance(error, dict) else {}
            code = brief(told.get("code") or "", 80)
            message = brief(told.get("message") or "the task failed")
            return Failed(message=message, code=code, again=service.again(code), charged=cost or 0)
        case "cancelled":
            return Cancelled(charged=cost or 0)
        case "expired":
            return Failed(message="it expired before it was made", code="expired", again=True, charged=cost or 0)
        case other:
            return Inconclusive(message=f"unknown status {brief(other, 40)!r}")


def usage(task: Json, name: str) -> Decimal | None:
    """A number of a task's `usage`, or None."""
    told = task.get("usage")
    value = told.get(name) if isinstance(told, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    amount = Decimal(value)
    return amount if amount.is_finite() and 0 <= amount <= 10**12 else None


def moment(told: object) -> float | None:
    """A time that is told as a number, or None."""
    return float(told) if isinstance(told, int | Decimal) and not isinstance(told, bool) else None


def rate(service: Service, task: Json, name: str) -> str | None:
    """The rate `name` of the model and resolution that a task's record tells, or None."""
    row = tables.read(service.table)["models"].get(str(task.get("model")))
    found = None if row is None else row[name].get(str(task.get("resolution")))
    return found if isinstance(found, str) else None


def refuse_parameters(prompt: str, vendor: str) -> None:
    """Refuse a prompt with ` --dur 10` or the like, which is an order of its own. Raises CannotMake."""
    if (match := re.search(r"(?:^|\s)--(\w+)", prompt)) is not None:
        raise CannotMake(
            f"{vendor} reads --{match[1]} in a prompt as a setting, which may change length and price; "
            "take it out of the prompt"
        )


def _listed(service: Service, job_id: str, item: Json) -> Listed:
    return Listed(
        id=job_id,
        tag=str(item.get(service.tag) or ""),
        created_at=moment(item.get("created_at")),
        fields={name: str(item[name]) for name in service.fields if name in item},
    )
