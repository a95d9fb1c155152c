"""Acme's protocol. Every order carries an `Idempotency-Key`: sent again, it brings the first job, unpaid.

    POST /clips {"model", "text", "seconds", "shape", "silent"}  → 202 {"clip": ID, "most_usd": "0.25"}
    GET  /clips/ID  → {"clip": ID, "state": "waiting" | "working" | "ready" | "broken", "url", "cost_usd", "why"}

An error is `{"problem": TEXT}`. A 5xx says nothing about an order.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from vgen.pictures import Pictures
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
from vgen.providers.codec import AccountCall, LostOrders, QuoteCall, Replay, Vendor
from vgen.recipe import Recipe

BASE_URL = "https://api.acme.example"
VENDOR = Vendor(
    protocol="acme",
    keys=("ACME_API_KEY",),
    hosts=("api.acme.example",),
    base_url=BASE_URL,
    model="acme-1",
    poll_interval_s=2.0,
    quotes=True,  # `most_usd`
)
SIMULATOR = "vgen_acme.simulator:Acme"
"""Who plays the vendor, as MODULE:CLASS."""

LOST_ORDERS: LostOrders = Replay(remembers_s=24 * 3600)
ACCOUNT: AccountCall | None = None
QUOTE: QuoteCall | None = None

PRICES: Mapping[str, int] = {"acme-1": 50_000}
"""Micro-dollars a second; Acme's price page of 2026-11-28."""
LENGTHS = tuple(map(Decimal, range(2, 13)))
SHAPES = ("9:16", "16:9", "1:1")


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second, by the dated table."""
    return PRICES.get(model)


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe: everything that decides the price is in it. Raises CannotMake with the limit."""
    price = terms.price or list_price(terms.model, None)
    if price is None:
        raise NoPrice(f"no price known for {terms.model}; set its cost_per_second_usd in the config")
    if recipe.pictures:
        raise CannotMake(f"{terms.model} takes no picture")
    if recipe.aspect_ratio not in SHAPES:
        raise CannotMake(f"{terms.model} makes {', '.join(SHAPES)}, not {recipe.aspect_ratio}")
    seconds = next_longer(recipe.duration_s, LENGTHS if terms.durations is None else terms.durations, terms.model)
    body = {
        "model": terms.model, "text": recipe.prompt, "seconds": number(seconds), "shape": recipe.aspect_ratio,
        "silent": True,
    }  # fmt: skip
    asked = {"seed": recipe.seed is not None, "negative_prompt": recipe.negative_prompt, "audio": recipe.audio}
    return Order(
        model=terms.model, path="/clips", body=body, bought_s=seconds, price=int(price * seconds),
        left_out=tuple(name for name, wanted in asked.items() if wanted),
    )  # fmt: skip


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request."""
    headers = (("Content-Type", "application/json"), ("Idempotency-Key", tag))
    return Call(
        method="POST", url=terms.base_url + order.path, headers=headers, body=json.dumps(order.body).encode(),
        auth=f"Bearer {key}", step="create",
    )  # fmt: skip


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to an order means. A refusal is believed only in Acme's own words."""
    said = reply.object()
    clip, problem = said.get("clip"), said.get("problem")
    if reply.status == 202 and isinstance(clip, str) and re.fullmatch(JOB_ID, clip):
        return Accepted(job=Job(id=clip), quoted=_micros(said.get("most_usd")))
    reason = _REFUSALS.get(reply.status)
    if reason is None or not isinstance(problem, str):
        return Unclear(message=f"HTTP {reply.status}, not in Acme's own words")
    return Refused(reason=reason, message=brief(problem))


_REFUSALS = {
    400: RefusalReason.INPUT,
    401: RefusalReason.KEY,
    402: RefusalReason.CREDIT,
    404: RefusalReason.SETUP,
    409: RefusalReason.DUPLICATE,
    429: RefusalReason.RATE_LIMITED,
}


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the clip is."""
    return Call(method="GET", url=f"{base_url}/clips/{quote(job.id, safe='')}", auth=f"Bearer {key}", step="status")


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply to a poll means."""
    said = reply.object()
    if reply.status == 404 and isinstance(said.get("problem"), str):
        return Missing()
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    if reply.status != 200 or said.get("clip") != job.id:
        return Inconclusive(message=f"HTTP {reply.status}")
    match said.get("state"):
        case "waiting":
            return Queued()
        case "working":
            return Running()
        case "ready":
            url = said.get("url")
            return Done(url=url if is_url(url) else "", charged=_micros(said.get("cost_usd")))
        case "broken":
            return Failed(message=brief(said.get("why") or "the clip failed"), again=True, charged=0)
        case other:
            return Inconclusive(message=f"unknown state {brief(other, 40)!r}")


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Acme can't cancel."""
    return None


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A clip needs no URL but its id's."""
    return Job(id=job_id)


def _micros(dollars: Any) -> int | None:
    """Micro-dollars of a decimal string; None if there is none."""
    try:
        amount = Decimal(dollars) if isinstance(dollars, str) else None
    except InvalidOperation:
        return None
    return int(amount * 1_000_000) if amount is not None and amount.is_finite() and amount >= 0 else None
