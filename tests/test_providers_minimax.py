"""MiniMax's V2 video API: the request that is paid for, and what each of its answers means; errors by their number."""

import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from vgen.plan import request
from vgen.providers import minimax, tables
from vgen.providers.base import (
    Accepted,
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
)
from vgen.providers.codec import Likeness
from vgen.recipe import Recipe

KEY = "mm-vgencanary0123456789abcdef"
ID = "424900000000001"
NOW = 1_795_825_200.0
TAG = "0066e72ce7e8-910499383"
H3, MAX = "MiniMax-H3", "MiniMax-H3-Max"
URL = "https://video-product.cdn.minimax.io/inference_output/x/output.mp4"
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
JOB = Job(id=ID)
MODELS = tables.read("minimax_models.json")["models"]
PICTURE = {"image": "sha256:0"}


def terms(model: str = H3, **changes: Any) -> Terms:
    return Terms(**{"provider": "minimax", "base_url": minimax.BASE_URL, "model": model, **changes})


def recipe(**changes: Any) -> Recipe:
    return pictured.recipe(**{"prompt": "a tin robot", "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(model: str = H3, *, at: dict[str, Any] | None = None, **changes: Any) -> Order:
    return minimax.order(recipe(**changes), terms(model, **(at or {})))


def reply(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=data, at=NOW)


def error(message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "x_error", "message": message, "http_code": "400"}, "request_id": "02"}


def task(**fields: Any) -> Reply:
    return reply(200, {"task": {"id": ID, "model": H3, "resolution": "768P", "duration": 5, "usage": {}, **fields}})


def status(answer: Reply) -> Status | Call:
    return minimax.status(minimax.poll(JOB, minimax.BASE_URL, KEY), answer, JOB, KEY)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "changes", "at", "resolution", "seconds", "dollars"),
    [
        (H3, {}, {}, "768P", 5, "0.40"),
        (H3, {"duration_s": Decimal("5.5"), "aspect_ratio": "1:1"}, {}, "768P", 6, "0.48"),
        (H3, {}, {"resolution": "2k"}, "2K", 5, "0.65"),
        (H3, PICTURE, {"resolution": "768p"}, "768P", 5, "0.40"),
        (MAX, {"duration_s": Decimal(4)}, {}, "768P", 5, "0.40"),
        (MAX, {}, {"resolution": "480p"}, "480P", 5, "0.25"),
    ],
    ids=str,
)
def test_the_request_is_exactly_this(
    model: str, changes: dict[str, Any], at: dict[str, Any], resolution: str, seconds: int, dollars: str
) -> None:
    made = order(model, at=at, **changes)
    ratio = "adaptive" if "image" in changes else changes.get("aspect_ratio", "9:16")
    content = [{"type": "text", "text": "a tin robot"}]
    body = {"model": model, "content": content, "resolution": resolution, "duration": seconds, "ratio": ratio}
    assert (made.body, made.path, made.bought_s) == (body, "/v2/video_generation", seconds)
    assert made.price == Decimal(dollars) * 1_000_000


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("image", [None, "sha256:0"])
@pytest.mark.parametrize("shape", ["9:16", "16:9", "1:1"])
@pytest.mark.parametrize("seconds", [4, 7])
def test_every_model_can_be_ordered(model: str, image: str | None, shape: str, seconds: int) -> None:
    made = order(model, image=image, aspect_ratio=shape, duration_s=Decimal(seconds), seed=7, negative_prompt="fog")
    assert made.body.keys() == {"model", "content", "resolution", "duration", "ratio"}
    assert made.price > 0
    assert made.left_out == ("negative_prompt", "seed")


@pytest.mark.parametrize(
    ("model", "changes", "at", "expected"),
    [
        (H3, {"duration_s": Decimal(16)}, {}, "at most 15 s"),
        (H3, {"aspect_ratio": "2:1"}, {}, "offers 21:9|offers 16:9"),
        (H3, {}, {"resolution": "720p"}, "offers 768P, 2K, not 720p"),
        (MAX, {}, {"resolution": "2K"}, "offers 480P, 768P, not 2K"),
        (H3, {"prompt": "x" * 7001}, {}, "7000 characters, this one has 7001"),
        ("MiniMax-H4", {}, {}, "is no model of MiniMax's that vgen knows; there are MiniMax-H3, MiniMax-H3-Max"),
    ],
    ids=str,
)
def test_what_the_model_cannot_make_is_told_with_the_limit(
    model: str, changes: dict[str, Any], at: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CannotMake, match=expected):
        order(model, at=at, **changes)


def test_the_create_call_has_the_key_and_no_tag() -> None:
    made = order()
    call = minimax.create(made, terms(), KEY, pictured.sent(), TAG)
    assert ("POST", f"{minimax.BASE_URL}/v2/video_generation", "create") == (call.method, call.url, call.step)
    assert (made.body, f"Bearer {KEY}") == (json.loads(call.body or b""), call.auth)
    assert call == minimax.create(made, terms(), KEY, pictured.sent(), "other")


def test_a_picture_of_another_shape_or_less_than_720_lines_are_refused_by_the_plan() -> None:
    with pytest.raises(CannotMake, match="which is 640x480"):
        request._refuse_foreseeable(order(**PICTURE), None, recipe(**PICTURE), pictured.sent(image=(640, 480)))
    with pytest.raises(CannotMake, match="480 lines"):
        request._refuse_foreseeable(order(MAX, at={"resolution": "480P"}), "480P", "9:16", lambda: None)
    request._refuse_foreseeable(order(), None, recipe(), pictured.sent())


def test_the_key_shows_in_no_repr() -> None:
    calls = [minimax.create(order(), terms(), KEY, pictured.sent(), TAG), minimax.poll(JOB, "https://x", KEY),
             minimax.cancel(JOB, "https://x", KEY)]  # fmt: skip
    assert ["canary" in repr(call) for call in calls] == [False] * 3


def test_poll_and_cancel_ask_for_the_task_at_two_addresses() -> None:
    poll, cancel = minimax.poll(JOB, "https://x", KEY), minimax.cancel(JOB, "https://x", KEY)
    assert cancel
    assert (poll.method, poll.url) == ("GET", f"https://x/v2/query/video_generation/{ID}")
    assert (cancel.method, cancel.url) == ("DELETE", f"https://x/v2/video_generation/{ID}")


# ── what a create's answer means ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body", [b"", HTML, b"[]", {}, {"task_id": 4249}, {"task_id": ""}, {"id": ID}, {"base_resp": {"status_code": 0}}],
    ids=str,
)  # fmt: skip
def test_an_accepting_answer_without_a_usable_id_is_none(body: Any) -> None:
    assert isinstance(minimax.answer(reply(200, body), terms()), Unclear)


@pytest.mark.parametrize(
    ("status_", "message", "reason"),
    [
        (400, "invalid params, bad (2013)", RefusalReason.INPUT),
        (400, "insufficient balance (1008)", RefusalReason.CREDIT),
        (400, "wait (1002) ", RefusalReason.RATE_LIMITED),
        (400, "a number (1008) in the middle is none", RefusalReason.INPUT),
        (403, "no", RefusalReason.KEY),
        (404, "no such path", RefusalReason.SETUP),
        (429, "slow", RefusalReason.RATE_LIMITED),
        (422, "x" * 400 + " (1026)", RefusalReason.INPUT),
    ],
)
def test_an_explicit_no_is_told_by_its_number(status_: int, message: str, reason: RefusalReason) -> None:
    found = minimax.answer(reply(status_, error(message)), terms())
    assert isinstance(found, Refused)
    assert (found.reason, found.message[:3]) == (reason, message[:3])


@pytest.mark.parametrize("status_", [301, 307, 408, 409, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("body", [b"", HTML, error("server error (1000)"), error("insufficient (1008)")], ids=str)
def test_a_5xx_is_no_answer_whatever_it_says(status_: int, body: Any) -> None:
    assert isinstance(minimax.answer(reply(status_, body), terms()), Unclear)


# ── what a poll's answer means ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "charged"),
    [
        ({"usage": {"total_seconds": 5}}, 400_000),
        ({"usage": {"total_seconds": 5.5}, "resolution": "2K"}, 715_000),
        ({"usage": {"total_seconds": 5}, "model": MAX}, 400_000),
        ({"usage": {"total_seconds": 5}, "model": "new"}, None),
        ({"usage": {"total_seconds": 5}, "resolution": "768p"}, None),
        ({"usage": {"total_seconds": True}}, None),
        ({"usage": {}}, None),
    ],
    ids=str,
)
def test_the_charge_is_the_seconds_at_the_models_rate(fields: dict[str, Any], charged: int | None) -> None:
    assert status(task(status="succeeded", content={"url": URL}, **fields)) == Done(url=URL, charged=charged)


@pytest.mark.parametrize(
    "answer",
    [
        task(status="paused"),
        task(id="4249", status="succeeded"),
        reply(200, {"task_id": ID, "status": "succeeded"}),
        reply(200, {"task": [ID]}),
        reply(200, HTML),
        reply(400, error("invalid params, page (2013)")),
        reply(404, HTML),
        reply(429, error("slow (1002)")),
        reply(500, error("server (1000)")),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:60]!r}",
)
def test_what_says_nothing_about_the_task_is_asked_again(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Inconclusive)
    assert not found.key_rejected


def test_a_rejected_key_says_nothing_about_the_task() -> None:
    found = status(reply(401, error("login fail (1004)")))
    assert isinstance(found, Inconclusive)
    assert found.key_rejected


@pytest.mark.parametrize(
    "message", ["invalid task_id", "record not found (2013)", "invalid params, no such task (2013)"]
)
@pytest.mark.parametrize("status_", [400, 404, 500])
def test_a_task_that_minimax_does_not_know_is_missing(status_: int, message: str) -> None:
    assert status(reply(status_, error(message))) == Missing()


# ── recorded replies ──────────────────────────────────────────────────────────────────────────────────────────────────

CREATES = {
    "create": ID, "create_image": "424900000000002", "create_500": None, "create_529": None,
    "create_bad_key": RefusalReason.KEY, "create_bad_value": RefusalReason.INPUT,
    "create_missing": RefusalReason.INPUT, "create_moderated": RefusalReason.INPUT,
    "create_no_credits": RefusalReason.CREDIT, "create_rate_limited": RefusalReason.RATE_LIMITED,
}  # fmt: skip
POLLS = {
    "poll_queued": Queued(),
    "poll_running": Running(),
    "poll_succeeded": Done(url=URL, charged=400_000),
    "poll_failed": Failed(message="internal error", code="1000", again=True, charged=0),
    "poll_failed_moderated": Failed(message="video description contains sensitive content", code="1026", charged=0),
    "poll_cancelled": Cancelled(charged=0),
    "poll_unknown": Missing(),
    "poll_not_found": Missing(),
}


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_create_is_understood(name: str) -> None:
    found, expected = minimax.answer(wire.reply("minimax", name), terms()), CREATES[name]
    if isinstance(expected, RefusalReason):
        assert isinstance(found, Refused)
        assert found.reason is expected
    else:
        assert found == Accepted(job=Job(id=expected)) if expected else isinstance(found, Unclear)


@pytest.mark.parametrize("name", POLLS)
def test_a_recorded_poll_is_understood(name: str) -> None:
    assert status(wire.reply("minimax", name)) == POLLS[name]


@pytest.mark.parametrize(
    ("name", "cancelled"), [("delete_queued", True), ("delete_ended", False), ("delete_running", False)]
)
def test_the_answer_to_a_cancel_tells_a_task_that_was_queued(name: str, cancelled: bool) -> None:
    call = minimax.cancel(JOB, minimax.BASE_URL, KEY)
    assert call
    assert call.url.endswith(wire.recorded("minimax", name)["request"]["path"])
    found = minimax.status(call, wire.reply("minimax", name), JOB, KEY)
    assert found == Cancelled(charged=0) if cancelled else isinstance(found, Inconclusive)


def test_every_recorded_reply_is_one_of_these() -> None:
    deletes = {"delete_ended", "delete_queued", "delete_running"}
    assert wire.names("minimax") == {*CREATES, *POLLS, *deletes, "list"}


@pytest.mark.parametrize("name", ["create", "create_image"])
def test_our_request_is_the_recorded_one(name: str) -> None:
    sent = wire.recorded("minimax", name)["request"]
    image = "https://img.example/a.png" if name == "create_image" else None
    text, seconds = sent["body"]["content"][0]["text"], sent["body"]["duration"]
    made = order(prompt=text, image=image, duration_s=Decimal(seconds))
    call = minimax.create(made, terms(), "mm-test-key", pictured.sent(image=image), TAG)
    assert (sent["body"], minimax.BASE_URL + sent["path"]) == (json.loads(call.body or b""), call.url)
    assert call.auth == sent["headers"]["authorization"]


# ── jobs that were lost ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_list_shows_what_makes_a_task_look_like_an_order() -> None:
    lost = minimax.LOST_ORDERS
    assert isinstance(lost, Likeness)
    same = {"resolution": "768P", "model": H3}
    assert lost.parse_job_list(wire.reply("minimax", "list"), None) == Listing(
        jobs=(
            Listed(id="424900000000002", created_at=1795825210, fields={**same, "duration": "8", "ratio": "adaptive"}),
            Listed(id=ID, created_at=1795825200, fields={**same, "duration": "5", "ratio": "9:16"}),
        )
    )
    assert set(lost.fields) <= order().body.keys()
    url = lost.list_jobs(H3, NOW, minimax.BASE_URL, KEY, "3").url
    assert url == f"{minimax.BASE_URL}/v2/query/video_generation?page_num=3&page_size=100"


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([ID, URL, H3, "768P", "succeeded", "failed", "queued", "bad (2013)"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "task", "task_id", "status", "content", "url", "usage", "total_seconds", "error", "code",
                         "message", "items", "total", "model", "resolution", "created_at"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.sampled_from([200, 201, 302, 400, 401, 402, 404, 409, 422, 429, 500, 529]),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30),
)
def test_any_answer_means_something(status_: int, body: bytes) -> None:
    answer, lost = reply(status_, body), minimax.LOST_ORDERS
    assert isinstance(lost, Likeness)
    assert isinstance(minimax.answer(answer, terms()), Accepted | Refused | Unclear)
    assert isinstance(status(answer), Queued | Running | Done | Failed | Cancelled | Missing | Inconclusive)
    assert lost.parse_job_list(answer, None) is None or status_ == 200


def test_the_table_says_of_when_it_is() -> None:
    assert tables.read("minimax_models.json")["_as_of"] == "2026-10-31"
    assert [minimax.list_price(H3, None), minimax.list_price(H3, "2k"), minimax.list_price(MAX, None)] == [
        80_000,
        130_000,
        80_000,
    ]
    assert minimax.list_price("x", None) is None
