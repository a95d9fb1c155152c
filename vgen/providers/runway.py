"""Runway's developer API as a pure codec: bytes in, meaning out. Models come from runway_models.json, not from code.

Facts: `runwayml` 5.24.0, Runway's OpenAPI of 2026-08-08; api.dev.runwayml.com, version header 2024-11-06. There is no
list of tasks and no idempotency key: a lost answer stays uncertain.
"""

import functools
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from sys import intern
from typing import Any
from urllib.parse import quote

from vgen.money import CREDIT, up
from vgen.providers import prices
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
    Missing,
    NoPrice,
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
from vgen.recipe import Recipe
from vgen.retry import retry_after_s

BASE_URL = "https://api.dev.runwayml.com"
MODEL = "gen4.5"
VERSION = "2024-11-06"
POLL_INTERVAL_S = 5.0
"""\"Do not expect updates more often than once every five seconds\" (GET /v1/tasks/{id})."""
LATE_BODIES = False
MIN_SIDE = 720
MAX_CREDITS = 10**9
"""Ten million dollars for one clip: not a price."""

_ASPECTS = {"9:16": Decimal(9) / 16, "16:9": Decimal(16) / 9, "1:1": Decimal(1)}
_PLAIN_RATIO = {"9:16": "720:1280", "16:9": "1280:720", "1:1": "960:960"}

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


@functools.cache
def models() -> Mapping[str, Mapping[str, Any]]:
    """Endpoint → model → what it takes (runway_models.json)."""
    text = resources.files("vgen.providers").joinpath("runway_models.json").read_text("utf-8")
    loaded: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return loaded


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second, from the price table."""
    if resolution is None:
        resolution = next((side for side in ("720p", "768p") if side in prices.RUNWAY.get(model, {})), None)
    return prices.per_second(prices.RUNWAY, model, resolution)


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe. Raises CannotMake with the limit that the shot breaks."""
    endpoint = "image_to_video" if recipe.image else "text_to_video"
    fields = _fields(endpoint, terms.model)
    resolution = _resolution(fields, terms)
    bought_s = next_longer(recipe.duration_s, _durations(fields, terms), terms.model)
    body: dict[str, Any] = {"model": terms.model, "promptText": _prompt(recipe.prompt, fields, terms.model)}
    if ratio := _ratio(fields, recipe.aspect_ratio, terms):
        body["ratio"] = ratio
    if "resolution" in fields and resolution:
        body["resolution"] = resolution
    if "duration" in fields:
        body["duration"] = number(bought_s)
    if "audio" in fields:
        body["audio"] = False
    if recipe.seed is not None and "seed" in fields:
        body["seed"] = recipe.seed
    if recipe.negative_prompt and "negativePrompt" in fields:
        body["negativePrompt"] = recipe.negative_prompt
    price = prices.settled(list_price(terms.model, resolution or _side(body.get("ratio"))), terms.price)
    if price is None:
        raise NoPrice(f"no price known for {terms.model}; set its cost_per_second_usd in the config")
    return Order(
        model=terms.model,
        path=intern(f"/v1/{endpoint}"),
        body=body,
        image_field="promptImage" if recipe.image else None,
        bought_s=bought_s,
        price=up(price * bought_s),
    )


def create(order: Order, terms: Terms, key: str, image: str | None) -> Call:
    """The paid request."""
    body = dict(order.body)
    if order.image_field:
        body[order.image_field] = image
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
    if reply.status == 404 and said:
        return Missing()  # in Runway's own words; a gateway's page says nothing about a task
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    if reply.status != 200 or said.get("id") not in (None, job.id):
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
            return Done(url=str(first) if is_url(first) else "", charged=charged)
        case "FAILED":
            code = brief(said.get("failureCode") or "", 80)
            failure = brief(said.get("failure") or "the task failed")
            return Failed(message=failure, code=code, again=_worth_again(code), charged=charged)
        case "CANCELLED":
            return Cancelled(charged=charged)
        case other:
            return Inconclusive(message=f"unknown status {brief(other, 40)!r}")


def cancel(job: Job, base_url: str, key: str) -> Call:
    """Cancel the task; 404 to a repeat is as good as 204."""
    return _call("DELETE", _task_url(job, base_url), key, step="cancel", headers=(("X-Runway-Version", VERSION),))


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A task needs no URL but its id's."""
    return Job(id=job_id)


def account(base_url: str, key: str) -> Call:
    """The free call that shows whether the key works: balance and limits of the organization."""
    return _call("GET", f"{base_url}/v1/organization", key, step="account", headers=(("X-Runway-Version", VERSION),))


def generations_today(reply: Reply, model: str) -> int | None:
    """How many generations the organization counts in its last 24 h, from the reply to `account`."""
    usage = reply.object().get("usage")
    models_ = usage.get("models") if isinstance(usage, dict) else None
    told = models_.get(model) if isinstance(models_, dict) else None
    made = told.get("dailyGenerations") if isinstance(told, dict) else None
    return made if isinstance(made, int) and not isinstance(made, bool) else None


def _call(
    method: str, url: str, key: str, *, step: str, headers: tuple[tuple[str, str], ...], body: bytes | None = None
) -> Call:
    return Call(method=method, url=url, headers=headers, body=body, auth=f"Bearer {key}", step=step)


def _task_url(job: Job, base_url: str) -> str:
    return f"{base_url}/v1/tasks/{quote(job.id, safe='')}"


def _fields(endpoint: str, model: str) -> Mapping[str, Any]:
    known: Mapping[str, Any] | None = models()[endpoint].get(model)
    if known is not None:
        fields: Mapping[str, Any] = known["fields"]
        return fields
    if model in models()["image_to_video"]:
        raise CannotMake(f"{model} makes video from an image only; give the shot an image or choose another model")
    return {"promptText": {}, "duration": {}, "ratio": {}, "seed": {}}


def _prompt(text: str, fields: Mapping[str, Any], model: str) -> str:
    limit = fields.get("promptText", {}).get("maxLength")
    units = len(text.encode("utf-16-le")) // 2
    if limit and units > limit:
        raise CannotMake(f"{model} takes prompts of {limit} UTF-16 units, this one has {units}")
    return text


def _durations(fields: Mapping[str, Any], terms: Terms) -> tuple[Decimal, ...]:
    if terms.durations is not None:
        return terms.durations
    spec = fields.get("duration", {})
    if "minimum" in spec:
        return tuple(Decimal(s) for s in range(spec["minimum"], spec["maximum"] + 1))
    listed = tuple(Decimal(s) for s in spec.get("enum", ()) if s != "auto")
    if listed or spec.get("type") != "int":
        return listed
    return tuple(Decimal(s) for s in range(1, 16))  # an int without known bounds; no model makes more than 15 s


def _ratio(fields: Mapping[str, Any], aspect_ratio: str, terms: Terms) -> str | None:
    """The smallest ratio of the wanted shape with a shorter side of 720 or as configured."""
    if "ratio" not in fields:
        return None
    offered = fields["ratio"].get("enum")
    if not offered:
        return _PLAIN_RATIO[aspect_ratio]
    if aspect_ratio in offered:
        return aspect_ratio
    side = _wanted_side(terms)
    if terms.resolution and side is None:
        raise CannotMake(f"resolution {terms.resolution} is not like 720p or 1080p, as {terms.model} has it")
    fitting = [
        (width * height, text)
        for text in offered
        if (size := _size(text)) and (width := size[0]) and (height := size[1])
        if abs(Decimal(width) / height / _ASPECTS[aspect_ratio] - 1) < Decimal("0.03")
        if (side in (min(size), _tier(size)) if side else min(size) >= MIN_SIDE)
    ]
    if fitting:
        return str(min(fitting)[1])
    auto = [text for text in offered if text == f"auto_{side or MIN_SIDE}p"]
    if auto:
        return str(auto[0])
    wish = f"{aspect_ratio} at {terms.resolution}" if terms.resolution else aspect_ratio
    raise CannotMake(f"{terms.model} does not offer {wish}")


def _size(ratio: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{3,5}):(\d{3,5})", ratio)
    return (int(match[1]), int(match[2])) if match else None


def _side(ratio: object) -> str | None:
    size = _size(str(ratio))
    return f"{_tier(size)}p" if size else None


def _tier(size: tuple[int, int]) -> int:
    """By area: 960:960 has the pixels of 1280:720, and Runway's price of 720p."""
    return math.isqrt(size[0] * size[1] * 9 // 16)


def _wanted_side(terms: Terms) -> int | None:
    match = re.fullmatch(r"(\d+)p", (terms.resolution or "").lower())
    return int(match[1]) if match else None


def _resolution(fields: Mapping[str, Any], terms: Terms) -> str | None:
    offered = [str(text) for text in fields.get("resolution", {}).get("enum", ())]
    if not offered:
        return None
    if terms.resolution:
        if terms.resolution.lower() not in offered:
            raise CannotMake(f"{terms.model} offers {', '.join(offered)}, not {terms.resolution}")
        return terms.resolution.lower()
    return next((text for text in offered if text in ("720p", "768p")), offered[0])


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
