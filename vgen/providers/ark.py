"""BytePlus ModelArk (Seedance) as a pure codec: bytes in, meaning out. What its models take: ark_models.json.

Facts: `byteplus-python-sdk-v2` 3.0.63, ModelArk's OpenAPI revision 265 (ap-southeast-1), live checks by others of
2026-08. Unknown fields are ignored, and defaults are dear: sound on, ratio adaptive, and with 2.5 a length that the
model chooses; so all are sent. Prompts are read for settings (` --dur 10`). A lost order is found by
`safety_identifier`, which comes back as it was sent.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from sys import intern
from typing import Any

from vgen.pictures import Accepts, Pictures
from vgen.providers import content_tasks, tables, tokens
from vgen.providers.base import (
    JOB_ID,
    Accepted,
    Answer,
    Call,
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
from vgen.providers.codec import AccountCall, LostOrders, QuoteCall, TaggedList, Vendor
from vgen.providers.refusals import BY_STATUS, asked_to_wait_s, refused
from vgen.recipe import Recipe

BASE_URL = "https://ark.ap-southeast.bytepluses.com"
VERSION = "/api/v3"

VENDOR = Vendor(
    protocol="ark",
    keys=("ARK_API_KEY",),
    hosts=("ark.ap-southeast.bytepluses.com",),  # the only region that has video
    base_url=BASE_URL,
    model_names=r"(dreamina-|doubao-)?seedance-[\w.-]+",
    example="dreamina-seedance-2-5-260628",
    version=VERSION,
    accepts=Accepts(most_bytes=5_000_000, least_side=300, most_side=6000, most_ratio=2.5),
    files_kept_s=24 * 3600.0,  # the record stays for 7 days, with an address that no longer works
    poll_interval_s=5.0,  # 20 a second are allowed; a clip takes a minute or more
)
QUOTE: QuoteCall | None = None

EXPIRES_S = 7200
"""So long a task may wait at ModelArk before it expires, free; its own default is two days."""
PREFIX = "vg1-"
"""Of our tag in `safety_identifier`, a field that is meant for a user's hash, of 64 characters at most."""
PAGE = 500
"""The most that a page of the list may have; the account may ask for one page a second."""

_REASONS: tuple[tuple[str, RefusalReason], ...] = (
    ("AccountOverdueError", RefusalReason.CREDIT),  # HTTP 403, not 402
    ("ServiceOverdue", RefusalReason.CREDIT),
    ("ModelNotOpen", RefusalReason.SETUP),
    ("InvalidEndpointOrModel", RefusalReason.SETUP),
    ("AuthenticationError", RefusalReason.KEY),
    ("RateLimitExceeded", RefusalReason.RATE_LIMITED),
    ("Input", RefusalReason.INPUT),  # InputTextSensitiveContentDetected and the like
    ("InvalidParameter", RefusalReason.INPUT),
    ("MissingParameter", RefusalReason.INPUT),
)
"""How an error's code begins; of any other the HTTP status decides."""
_QUOTA = "QuotaExceeded"
_QUOTA_IS_MONEY = re.compile(r"free|trial|balance|purchase|activate|period", re.IGNORECASE)
"""HTTP 429 `QuotaExceeded` has three meanings: a quota is used up, or (wait) too many tasks are queued."""

_THE_REQUESTS_FAULT = re.compile(r"Sensitive|Privacy|^Invalid|^Missing|^Input|Copyright|Policy")


def _cost(task: Mapping[str, Any]) -> int | None:
    used = content_tasks.usage(task, "completion_tokens")
    return tokens.cost(used, content_tasks.rate(_SERVICE, task, "usd_per_million_tokens"))


_SERVICE = content_tasks.Service(
    table="ark_models.json",
    create=f"{VERSION}/contents/generations/tasks",
    tasks=f"{VERSION}/contents/generations/tasks",
    delete=f"{VERSION}/contents/generations/tasks",
    page_size=PAGE,
    video="video_url",
    cost=_cost,
    again=lambda code: not _THE_REQUESTS_FAULT.search(code),
    ended="updated_at",
    tag="safety_identifier",
)


def list_price(model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second; a clip costs one frame more."""
    row = tables.read(_SERVICE.table)["models"].get(model)
    if row is None:
        return None
    size = (resolution or "720p").lower()
    frames = tokens.at_most(size, 1, follows_picture=False)
    per_frame = None if frames is None else frames / (tokens.FPS + 1)
    return tokens.cost(None if per_frame is None else per_frame * tokens.FPS, row["usd_per_million_tokens"].get(size))


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe. Raises CannotMake with the limit that the shot breaks."""
    content_tasks.refuse_parameters(recipe.prompt, "ModelArk")
    chosen = content_tasks.choose(recipe, terms, _SERVICE.table, "ModelArk's")
    rates = chosen.row["usd_per_million_tokens"]
    made = tokens.at_most(chosen.resolution, chosen.bought_s, follows_picture="image" in chosen.pictures)
    listed = tokens.cost(made, rates.get(chosen.resolution))
    body = {
        **chosen.body,
        "generate_audio": recipe.audio,  # at one price
        "watermark": False,
        "execution_expires_after": EXPIRES_S,
    }
    return Order(
        model=terms.model,
        path=intern(_SERVICE.create),
        body=body,
        bought_s=Decimal(chosen.bought_s),
        price=tables.to_reserve(listed, chosen.bought_s, terms, terms.model),
        pictures=chosen.pictures,
        left_out=tables.left_out(recipe, takes=("audio",)),
    )


def create(order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
    """The paid request, with our tag in the field that comes back."""
    mine = {"safety_identifier": _sent_as(tag)}
    return content_tasks.create(_SERVICE, order, pictures, terms.base_url, key, mine)


def answer(reply: Reply, terms: Terms) -> Answer:
    """What the reply to a create means; a yes has an id, and nothing else."""
    said = reply.object()
    if reply.status // 100 == 2:
        job_id = said.get("id")
        if isinstance(job_id, str) and re.fullmatch(JOB_ID, job_id):
            return Accepted(job=Job(id=job_id))
        return Unclear(message=f"HTTP {reply.status} without a usable task id")
    error = _error(said)
    code, message = str(error.get("code") or ""), brief(error.get("message") or f"HTTP {reply.status}")
    reason = BY_STATUS.get(reply.status)
    if reason is None:
        return Unclear(message=f"HTTP {reply.status}: {message}")
    if code.startswith(_QUOTA):
        reason = RefusalReason.CREDIT if _QUOTA_IS_MONEY.search(message) else RefusalReason.RATE_LIMITED
    reason = next((one for start, one in _REASONS if code.startswith(start)), reason)
    return refused(reply, reason, message)


def poll(job: Job, base_url: str, key: str) -> Call:
    """Ask how the task is."""
    return content_tasks.poll(_SERVICE, job, base_url, key)


def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
    """What the reply to a poll means. A task is kept for 7 days, its file for 24 h."""
    said = reply.object()
    if call.step == "cancel":  # `{}` for a task that was cancelled, and for one whose record was erased
        return Inconclusive(message=f"HTTP {reply.status}")
    if reply.status == 404 and _error(said):
        return Missing()
    if reply.status in (401, 403):
        return Inconclusive(message=f"HTTP {reply.status}: the key was rejected", key_rejected=True)
    if reply.status != 200 or said.get("id") != job.id:
        return Inconclusive(message=f"HTTP {reply.status}", retry_after_s=asked_to_wait_s(reply))
    return content_tasks.status(_SERVICE, said)


def cancel(job: Job, base_url: str, key: str) -> Call | None:
    """Cancel a task that is queued by ModelArk's word of right now; a running one refuses (409)."""
    return content_tasks.cancel(_SERVICE, job, base_url, key)


def job_from_id(job_id: str, model: str, base_url: str) -> Job:
    """A task needs no URL but its id's."""
    return Job(id=job_id)


def _list_jobs(model: str, since: float, base_url: str, key: str, cursor: str | None) -> Call:
    return content_tasks.list_jobs(_SERVICE, base_url, key, cursor)


def _parse_job_list(reply: Reply, cursor: str | None) -> Listing | None:
    return content_tasks.parse_job_list(_SERVICE, reply, cursor)


def _sent_as(tag: str) -> str:
    return PREFIX + tag


LOST_ORDERS: LostOrders = TaggedList(
    list_jobs=_list_jobs,
    parse_job_list=_parse_job_list,
    sent_as=_sent_as,
    lag_s=120.0,  # nobody has measured how soon the list shows a task
    shows_running=True,
    apart_s=1.1,
)
ACCOUNT: AccountCall | None = AccountCall(
    ask=lambda base_url, key: _list_jobs("", 0.0, base_url, key, None),
)


def _error(said: Mapping[str, Any]) -> Mapping[str, Any]:
    error = said.get("error")
    return error if isinstance(error, dict) else {}
