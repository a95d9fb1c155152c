"""Pika's own API as a pure codec: bytes in, meaning out. What its operations take: pika_models.json.

Facts: snapshots of Pika's public catalog of 2026-10-02 and clients of its API by others; no official SDK is known, and
no call was made by us. `model` is an operation: vendor/model/function. The same create with the same Idempotency-Key
brings the first job. A create may answer a job that has failed already: its error's code decides, not the status. A
job can't be cancelled; DELETE erases its result, and is never sent.
"""

import json
import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from sys import intern
from typing import Any
from urllib.parse import quote

from vgen.pictures import Pictures
from vgen.providers import tables, tokens
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
    CannotMake,
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
)
from vgen.providers.codec import AccountCall, LostOrders, QuoteCall, Replay, Vendor
from vgen.providers.refusals import BY_STATUS, asked_to_wait_s, refused
from vgen.recipe import Recipe

BASE_URL = "https://api.dev.pika.art"

VENDOR = Vendor(
    protocol="pika",
    keys=("PIKA_API_KEY",),
    hosts=("api.dev.pika.art",),
    base_url=BASE_URL,
    invented_hosts=("devapi.pika.art",),  # much old code names it: another API, and a dead one
    model_names=r"(?!fal-ai/)[\w.-]+/[\w.-]+/[\w.-]+",
    example="kling/kling-3.0/text-to-video",
    poll_interval_s=5.0,  # no rule is documented; clients of others ask every 2 to 5 s
)
LOST_ORDERS: LostOrders = Replay(
    remembers_s=3600.0  # nobody says how long a key is kept; keys that stand against retries are kept for hours or more
)

MAX_MICRO_USD = 10**10
"""Ten thousand dollars for one clip: not a price."""
_NAMESPACE = uuid.UUID("6a2b5d0e-0f0a-5c57-9d3c-7f1f2f8f5e11")
"""Of the keys that are made from our tags."""

_KEY, _MONEY, _LATER = RefusalReason.KEY, RefusalReason.CREDIT, RefusalReason.RATE_LIMITED
_INPUT = RefusalReason.INPUT
_REASONS: Mapping[str, RefusalReason] = {
    "invalid_input": _INPUT,
    "content_moderation": _INPUT,
    "insufficient_balance": _MONEY,
    "membership_required": _MONEY,
    "cycle_limit_exceeded": _MONEY,
    "usage_limit_exceeded": _MONEY,
    "admission_suspended": _MONEY,
    "rate_limited": _LATER,
}
"""`error.code` of a no. All other codes are faults of Pika's or of the vendor behind it."""
_STATUSES = frozenset({"queued", "running", "completed", "failed"})


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second, for the shortest clip."""
    row = tables.read("pika_models.json")["models"].get(model)
    if row is None:
        return None
    size = next((one for one in row["resolutions"] if one.lower() == (resolution or "").lower()), None)
    shortest = row["duration"]["values"][0]
    listed = _listed(row, size or tables.resolution(row["resolutions"], None, model), shortest)
    return None if listed is None else -(-listed // shortest)


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe. Raises CannotMake with the limit that the shot breaks."""
    model, row = _operation(recipe, terms)
    resolution = tables.resolution(row["resolutions"], terms.resolution, model)
    bought_s = tables.seconds(recipe.duration_s, row["duration"]["values"], terms, model)
    sound = tables.sound(recipe, row, resolution, model) or {}
    body: dict[str, Any] = {
        "prompt": tables.prompt(recipe.prompt, row["prompt_max"], model),
        row["duration"]["field"]: bought_s,
        "resolution": resolution,
        **row["fixed"],
        **sound.get("fields", {}),
    }
    if "ratio" in row:
        body[row["ratio"]["field"]] = tables.shape(recipe.aspect_ratio, row["ratio"]["values"], model)
    elif "makes" in row:  # it takes no shape, and follows no picture
        tables.shape(recipe.aspect_ratio, row["makes"], model)
    if recipe.negative_prompt and row["negative_prompt"]:
        body["negative_prompt"] = recipe.negative_prompt
    if recipe.seed is not None and row["seed"]:
        least, most = row["seed"]
        if not least <= recipe.seed <= most:
            raise CannotMake(f"{model} takes seeds from {least} to {most}, not {recipe.seed}")
        body["seed"] = recipe.seed
    pictures = tables.pictures(recipe, row, model)
    for role, name in pictures.items():
        body[name] = recipe.pictures.get(role)  # a URL: the quote wants it too
    takes = [name for name in ("seed", "negative_prompt") if row[name]]
    return Order(
        model=model,
        path=intern(f"/v1/media/{model}"),
        body=body,
        bought_s=Decimal(bought_s),
        price=tables.to_reserve(_listed({**row, **sound}, resolution, bought_s), bought_s, terms, model),
        pictures=pictures,
        left_out=tables.left_out(recipe, takes=[*takes, "audio"] if tables.takes_audio(row) else takes),
    )


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request. Its key is made from the tag: the same for each repeat, another for each order."""
    own = str(uuid.uuid5(_NAMESPACE, tag))
    headers = (("Content-Type", "application/json"), ("Idempotency-Key", own))
    return _call("POST", terms.base_url + order.path, key, step="create", headers=headers, body=_data(order))


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to a create means. The body goes before the status: a refusal for money is 2xx or 403."""
    said = reply.object()
    job_id, code = said.get("id"), _code(said)
    message = _message(said) or f"HTTP {reply.status}"
    if reply.status >= 500:
        return Unclear(message=f"HTTP {reply.status}: {message}")
    is_id = isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id)
    if is_id and said.get("status") == "failed" and code in _REASONS and not _charged(said):
        reason = _REASONS[code]
        job = Job(id=str(job_id))
        return Refused(reason=reason, message=message, retry_after_s=asked_to_wait_s(reply), job=job)
    if is_id and (reply.status // 100 == 2 or said.get("status") in _STATUSES):
        return Accepted(job=Job(id=str(job_id)))  # one that has failed too: why, and at what cost, its status tells
    if (by_status := BY_STATUS.get(reply.status)) is None:  # 2xx without an id; 409: the key stands for another body
        return Unclear(message=f"HTTP {reply.status}: {message}")
    return refused(reply, _REASONS.get(code, by_status), message, at_least_s=_seconds(said.get("retry_after")))


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the job is, and what it cost."""
    return _call("GET", f"{base_url}/v1/media/jobs/{quote(job.id, safe='')}", key, step="status")


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply to a poll means. `completed` does not mean that the charge is settled."""
    said = reply.object()
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    if reply.status == 404 and said.keys() & {"error", "message"}:
        return Missing()
    if reply.status != 200 or said.get("id") != job.id:
        return Inconclusive(message=f"HTTP {reply.status}", retry_after_s=asked_to_wait_s(reply))
    billing = said.get("billing")
    unsettled = isinstance(billing, dict) and billing.get("state") == "pending"
    match said.get("status"):
        case "queued":
            return Queued()
        case "running":
            return Running()
        case "completed":
            return Done(url=_video(said.get("output")), charged=_charged(said), unsettled=unsettled)
        case "failed":
            code, message = _code(said), _message(said) or "the job failed"
            again = _REASONS.get(code) is not _INPUT
            return Failed(message=message, code=code, again=again, charged=_charged(said), unsettled=unsettled)
        case other:
            return Inconclusive(message=f"unknown status {brief(other, 40)!r}")


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Pika has no cancel."""
    return None


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A job needs no URL but its id's."""
    return Job(id=job_id)


def _ask_price(order: Order, base_url: str) -> Call:
    """The list price of exactly this request; no key is needed, so none is sent."""
    url = f"{base_url}/catalog/apis/{quote(order.model, safe='')}/quote"
    headers = (("Content-Type", "application/json"),)
    return Call(method="POST", url=url, headers=headers, body=_data(order), step="quote")


def _quoted(reply: Reply) -> int | None:
    return _micros(reply.object().get("micro_usd")) if reply.status == 200 else None


QUOTE: QuoteCall | None = QuoteCall(ask=_ask_price, quoted=_quoted)
ACCOUNT: AccountCall | None = AccountCall(
    ask=lambda base_url, key: _call("GET", f"{base_url}/billing/balance", key, step="account"),
)


def _operation(recipe: Recipe, terms: Terms) -> tuple[str, Mapping[str, Any]]:
    """The operation for a recipe: the configured one, or the one beside it for pictures. Raises CannotMake."""
    table, model = tables.read("pika_models.json"), terms.model
    row = tables.row(table, model, "Pika's")
    if not recipe.pictures:
        if "pictures" in row:
            raise CannotMake(f"{model} needs an image; give the shot one or choose another model")
        return model, row
    if any(not url.startswith("https://") for _, url in recipe.pictures.pairs):
        raise CannotMake(f"{model}: Pika takes pictures by https address only; put this one on the web, and name that")
    if "pictures" not in row and "image" in recipe.pictures:
        model = row["with_image"]
    return model, tables.row(table, model, "Pika's")


def _listed(row: Mapping[str, Any], resolution: str, bought_s: int) -> int | None:
    """Micro-dollars of a clip, by the second or by the token."""
    if "usd_per_million_tokens" in row:
        follows = "ratio" not in row
        made = tokens.at_most(resolution, bought_s, follows_picture=follows)
        return tokens.cost(made, row["usd_per_million_tokens"].get(resolution))
    rate = row["usd_per_s"].get(resolution)
    return tables.by_seconds(rate.get(str(bought_s)) if isinstance(rate, Mapping) else rate, bought_s)


def _data(order: Order) -> bytes:
    return json.dumps(order.body, ensure_ascii=False).encode()


def _call(
    method: str, url: str, key: str, *, step: str, headers: tuple[tuple[str, str], ...] = (), body: bytes | None = None
) -> Call:
    return Call(method=method, url=url, headers=headers, body=body, auth=key, auth_header="X-API-Key", step=step)


def _code(said: Mapping[str, Any]) -> str:
    error = said.get("error")
    return brief(error.get("code") or "", 80) if isinstance(error, dict) else ""


def _message(said: Mapping[str, Any]) -> str:
    error = said.get("error")
    told = (error.get("message") or error.get("code")) if isinstance(error, dict) else error
    return brief(told or said.get("message") or "")


def _charged(said: Mapping[str, Any]) -> int | None:
    billing = said.get("billing")
    if not isinstance(billing, dict) or billing.get("state") != "settled":
        return None
    return _micros(billing.get("charge_micro_usd"))


def _micros(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_MICRO_USD
    return value if whole and isinstance(value, int) else None


def _seconds(value: object) -> float | None:
    real = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return float(value) if real and isinstance(value, int | float | Decimal) and 0 < value <= 86_400 else None


def _video(output: object) -> str:
    said = output if isinstance(output, dict) else {}
    listed = said.get("videos")
    named = [said.get("video"), *(listed if isinstance(listed, list) else [])]
    urls = (one.get("url") for one in named if isinstance(one, dict))
    return next((url for url in urls if is_url(url)), "")
