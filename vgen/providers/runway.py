"""Runway's developer API as a pure codec: bytes in, meaning out. Models come from runway_models.json, not from code.

Facts: `runwayml` 5.24.0, Runway's OpenAPI of 2026-08-08; api.dev.runwayml.com, version header 2024-11-06. There is no
list of tasks and no idempotency key: a lost answer stays uncertain.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from sys import intern
from typing import Any
from urllib.parse import quote

from vgen.money import CREDIT, up
from vgen.pictures import Accepts, Pictures
from vgen.providers import prices, runway_models, runway_uploads
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
    Cancelled,
    Done,
    Failed,
    Inconclusive,
    Job,
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
    next_longer,
    number,
)
from vgen.providers.codec import AccountCall, LostOrders, QuoteCall, Vendor
from vgen.recipe import Recipe
from vgen.retry import retry_after_s

BASE_URL = "https://api.dev.runwayml.com"
MODEL = "gen4.5"
VERSION = runway_uploads.VERSION

VENDOR = Vendor(
    protocol="runway",
    section="runway",
    keys=("RUNWAY_API_KEY", "RUNWAYML_API_SECRET"),
    hosts=("api.dev.runwayml.com",),
    base_url=BASE_URL,
    model=MODEL,
    invented_hosts=("api.runwayml.com",),
    accepts=Accepts(longest_url=2_048),
    uploads=runway_uploads.UPLOADS,
    quotes=True,  # `estimatedCost`
    poll_interval_s=5.0,  # "Do not expect updates more often than once every five seconds" (GET /v1/tasks/{id})
)
LOST_ORDERS: LostOrders = None
QUOTE: QuoteCall | None = None

_POSITIONS = {"image": "first", "end_image": "last"}

MAX_CREDITS = 10**9
"""Ten million dollars for one clip: not a price."""

# By the longest dotted prefix; an unknown code counts as Runway's own fault (docs errors/task-failures).
_AGAIN = {
    "SAFETY": False,
    "INPUT_PREPROCESSING.SAFETY": False,
    "ASSET.INVALID": False,
    "INPUT_PREPROCESSING.INTERNAL": True,
    "THIRD_PARTY": True,
    "INTERNAL": True,
    "": True,
}


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second without sound, from the price table."""
    rates = prices.RUNWAY.get(model)
    if rates is None:
        return None
    if resolution is None:
        resolution = next((side for side in ("720p", "768p") if side in rates.silent), None)
    return rates.per_second(resolution.lower() if resolution else None, sound=False)


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe: it says all that decides its price. Raises CannotMake with the limit that is broken."""
    pictured = "image" in recipe.pictures or "end_image" in recipe.pictures
    endpoint = "image_to_video" if pictured else "text_to_video"
    model = terms.model
    fields = runway_models.fields(endpoint, model)
    pictures = runway_models.pictures(recipe, fields, model)
    resolution = runway_models.resolution(fields, terms, references="references" in pictures)
    bought_s = next_longer(recipe.duration_s, runway_models.durations(fields, terms), model)
    body: dict[str, Any] = {
        "model": model,
        "promptText": runway_models.text(recipe.prompt, "promptText", fields, model),
    }
    if ratio := runway_models.ratio(fields, recipe.aspect_ratio, terms, picture=pictured):
        body["ratio"] = ratio
    if resolution:
        body["resolution"] = resolution
    if "duration" in fields:
        body["duration"] = number(bought_s)
    body |= runway_models.plain(fields, audio=recipe.audio)
    if recipe.seed is not None and "seed" in fields:
        body["seed"] = runway_models.seed(recipe.seed, fields, model)
    if recipe.negative_prompt and "negativePrompt" in fields:
        body["negativePrompt"] = runway_models.text(recipe.negative_prompt, "negativePrompt", fields, model)
    return Order(
        model=model,
        path=intern(f"/v1/{endpoint}"),
        body=body,
        bought_s=bought_s,
        price=_price(body, bought_s, terms, pictures=len(recipe.pictures.pairs)),
        pictures=pictures,
        left_out=_left_out(recipe, fields),
    )


def _left_out(recipe: Recipe, fields: Mapping[str, Any]) -> tuple[str, ...]:
    asked = {"seed": recipe.seed is not None, "negative_prompt": bool(recipe.negative_prompt), "audio": recipe.audio}
    spelled = {"seed": "seed", "negative_prompt": "negativePrompt", "audio": "audio"}
    return tuple(name for name, wanted in asked.items() if wanted and spelled[name] not in fields)


def _price(body: Mapping[str, Any], bought_s: Decimal, terms: Terms, *, pictures: int) -> int:
    """What exactly this body costs at most, in micro-dollars. Raises NoPrice."""
    rates = prices.RUNWAY.get(terms.model)
    resolution = body.get("resolution") or runway_models.side(body.get("ratio")) or terms.resolution
    sound = body.get("audio") is True
    listed = rates.clip(bought_s, resolution, sound=sound, pictures=pictures) if rates else None
    price = prices.agreed(listed, terms, bought_s)
    if price is None:
        raise prices.missing(terms.model)
    return price


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request. Runway takes no tag."""
    body = dict(order.body)
    frames = [(place, uri) for role, place in _POSITIONS.items() if (uri := pictures.get(role))]
    if len(frames) == 1 and not runway_models.is_reference(order.model):
        body["promptImage"] = frames[0][1]
    elif frames:
        body["promptImage"] = [{"uri": uri, "position": place} for place, uri in frames]
    if references := pictures.all("references"):
        body["references"] = [{"uri": uri} for uri in references]
    data = json.dumps(body, ensure_ascii=False).encode()
    headers = (("Content-Type", "application/json"), ("X-Runway-Version", VERSION))
    return _call("POST", terms.base_url + order.path, key, step="create", headers=headers, body=data)


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to a create means (docs errors/errors)."""
    said = reply.object()
    message = brief(said.get("error") or said.get("message") or f"HTTP {reply.status}")
    own = isinstance(said.get("error"), str)
    if reply.status // 100 == 2:
        job_id = said.get("id")
        if isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id):
            return Accepted(job=Job(id=job_id), quoted=_credits(said.get("estimatedCost")))
        return Unclear(message=f"HTTP {reply.status} without a usable task id")
    match reply.status:
        case 429:
            wait_s = retry_after_s(
                reply.headers.get("retry-after"), now=reply.at, server_date=reply.headers.get("date")
            )
            return Refused(reason=RefusalReason.RATE_LIMITED, message=message, retry_after_s=wait_s)
        case 401 | 403:
            return Refused(reason=RefusalReason.KEY, message=message)
        case 402:
            return Refused(reason=RefusalReason.CREDIT, message=message)
        case 400 if "enough credits" in message:
            return Refused(reason=RefusalReason.CREDIT, message=message)
        case 404 | 405:
            return Refused(reason=RefusalReason.SETUP, message=message)
        case 400 | 413 | 415 | 422:
            return Refused(reason=RefusalReason.INPUT, message=_with_issues(message, said))
        case 409 if own:
            return Refused(reason=RefusalReason.INPUT, message=message)
        case status if status >= 500 and own:
            return Refused(reason=RefusalReason.SERVER_ERROR, message=message)
        case status:
            return Unclear(message=f"HTTP {status}, not in Runway's own words")


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the task is. Also renews the output's URL."""
    return _call("GET", _task_url(job, base_url), key, step="status", headers=(("X-Runway-Version", VERSION),))


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply to a poll means."""
    said = reply.object()
    if reply.status == 404 and isinstance(said.get("error"), str):
        return Missing()  # in Runway's own words; a gateway's page says nothing about a task
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    if reply.status != 200 or said.get("id") != job.id:
        wait_s = retry_after_s(reply.headers.get("retry-after"), now=reply.at)
        return Inconclusive(message=f"HTTP {reply.status}", retry_after_s=wait_s)
    charged = _credits(said.get("cost"))
    match said.get("status"):
        case "PENDING" | "THROTTLED":
            return Queued()
        case "RUNNING":
            return Running(progress=_progress(said.get("progress")))
        case "SUCCEEDED":
            urls = said.get("output")
            first = urls[0] if isinstance(urls, list) and urls else None
            if is_url(first):
                return Done(url=str(first), charged=charged)
            return Done(url="", charged=charged, instead=f"its output names no file: {brief(json.dumps(urls), 80)}")
        case "FAILED":
            code = brief(said.get("failureCode") or "", 80)
            failure = brief(said.get("failure") or "the task failed")
            return Failed(message=failure, code=code, again=_worth_again(code), charged=charged)
        case "CANCELLED":
            return Cancelled(charged=charged)
        case other:
            return Inconclusive(message=f"unknown status {brief(other, 40)!r}")


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Cancel the task; 404 to a repeat is as good as 204."""
    return _call("DELETE", _task_url(job, base_url), key, step="cancel", headers=(("X-Runway-Version", VERSION),))


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A task needs no URL but its id's."""
    return Job(id=job_id)


def _call(
    method: str, url: str, key: str, *, step: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None
) -> Call:
    return Call(method=method, url=url, headers=headers, body=body, auth=f"Bearer {key}", step=step)


def _ask_account(base_url: str, key: str) -> Call:
    """Balance and limits of the organization."""
    return _call("GET", f"{base_url}/v1/organization", key, step="account", headers=(("X-Runway-Version", VERSION),))


def _credits_left(reply: Reply) -> int | None:
    return _whole(reply.object().get("creditBalance"))


def _generations_today(reply: Reply, model: str) -> int | None:
    usage = reply.object().get("usage")
    models = usage.get("models") if isinstance(usage, dict) else None
    told = models.get(model) if isinstance(models, dict) else None
    return _whole(told.get("dailyGenerations")) if isinstance(told, dict) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


ACCOUNT: AccountCall | None = AccountCall(
    ask=_ask_account, credits_left=_credits_left, generations_today=_generations_today
)


def _task_url(job: Job, base_url: str) -> str:
    return f"{base_url}/v1/tasks/{quote(job.id, safe='')}"


def _worth_again(code: str) -> bool:
    parts = code.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((_AGAIN[prefix] for prefix in prefixes if prefix in _AGAIN), _AGAIN[""])


def _credits(cost: object) -> int | None:
    """Micro-dollars of `{"credits": n}`; None if the provider did not say."""
    value = cost.get("credits") if isinstance(cost, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    amount = Decimal(value)
    return up(amount * CREDIT) if amount.is_finite() and 0 <= amount <= MAX_CREDITS else None


def _progress(value: object) -> float | None:
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    return None


def _with_issues(message: str, said: Mapping[str, Any]) -> str:
    issues = said.get("issues")
    if not isinstance(issues, list):
        return message
    told = [
        f"{'.'.join(map(str, issue.get('path') or []))}: {issue.get('message')}"
        for issue in issues
        if isinstance(issue, dict)
    ]
    return brief(f"{message} ({'; '.join(told)})" if told else message)
