"""Pika's own API: the request that is paid for, and what each answer means; a create may answer a failed job."""

import json
import uuid
from decimal import Decimal
from typing import Any

import pictured
import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from vgen.plan import request
from vgen.providers import pika, tables
from vgen.providers.base import (
    Accepted,
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
)
from vgen.providers.codec import QuoteCall, Replay
from vgen.recipe import Recipe

KEY = "pk_vgencanary0123456789abcdef"
ID = "job_7F2K"
NOW = 1_795_824_000.0
TAG = "0066e72ce7e8-910499383"
KLING = "kling/kling-3.0/text-to-video"
PIKA = "pika/pika-2.5/text-to-video"
SEEDANCE = "bytedance/seedance-2.5/text-to-video"
H3 = "minimax/h3/text-to-video"
URL = "https://cdn.pika.art/x/7F2K.mp4"
PICTURE = "https://img.example/a.png"
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
JOB = Job(id=ID)
MODELS = tables.read("pika_models.json")["models"]


def terms(model: str = KLING, **changes: Any) -> Terms:
    return Terms(**{"provider": "pika", "base_url": pika.BASE_URL, "model": model, **changes})


def recipe(**changes: Any) -> Recipe:
    return pictured.recipe(**{"prompt": "a tin robot", "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(model: str = KLING, *, at: dict[str, Any] | None = None, **changes: Any) -> Order:
    return pika.order(recipe(**changes), terms(model, **(at or {})))


def reply(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=data, at=NOW)


def job(**fields: Any) -> dict[str, Any]:
    return {"id": ID, "status": "queued", "output": None, "error": None, **fields}


def status(answer: Reply) -> Status | Call:
    return pika.status(pika.poll(JOB, pika.BASE_URL, KEY), answer, JOB, KEY)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────

ROBOT = {"prompt": "a tin robot"}
KLINGS = {"duration": 5, "resolution": "720p", "audio": "off", "multi_shot": False}
SEEDANCES = {"duration": 5, "resolution": "720p", "draft": False, "generate_audio": False, "watermark": False,
             "output_format": "mp4"}  # fmt: skip
H3S = {"duration": 5, "resolution": "768P", "aigc_watermark": False}


@pytest.mark.parametrize(
    ("model", "changes", "at", "path", "body", "dollars"),
    [
        (KLING, {}, {}, KLING, {**KLINGS, "aspect_ratio": "9:16"}, "0.34"),
        (KLING, {"seed": 3, "negative_prompt": "fog"}, {"resolution": "1080P"}, KLING,
         {**KLINGS, "aspect_ratio": "9:16", "resolution": "1080p"}, "0.45"),
        (KLING, {"image": PICTURE}, {}, "kling/kling-3.0/image-to-video",
         {**KLINGS, "watermark": False, "image_url": PICTURE}, "0.34"),
        (PIKA, {"aspect_ratio": "16:9", "seed": 3, "negative_prompt": "fog"}, {}, PIKA,
         {"duration_s": 5, "resolution": "720p", "seed": 3, "negative_prompt": "fog"}, "0.20"),
        (PIKA, {"image": PICTURE, "duration_s": Decimal(6)}, {"resolution": "1080p"}, "pika/pika-2.5/image-to-video",
         {"duration_s": 10, "resolution": "1080p", "image": PICTURE}, "0.60"),
        (PIKA, {"image": PICTURE}, {"resolution": "1080p"}, "pika/pika-2.5/image-to-video",
         {"duration_s": 5, "resolution": "1080p", "image": PICTURE}, "0.45"),
        (SEEDANCE, {}, {}, SEEDANCE, {**SEEDANCES, "ratio": "9:16"}, "1.223492"),
        (SEEDANCE, {"image": PICTURE}, {}, "bytedance/seedance-2.5/image-to-video",
         {**SEEDANCES, "ratio": "adaptive", "image_url": PICTURE}, "1.231203"),
        (H3, {"seed": 7}, {}, H3, {**H3S, "ratio": "9:16", "seed": 7}, "0.40"),
        (H3, {"image": PICTURE}, {"resolution": "2k"}, "minimax/h3/image-to-video",
         {**H3S, "resolution": "2K", "first_frame_image": PICTURE}, "0.65"),
    ],
    ids=str,
)  # fmt: skip
def test_the_request_is_exactly_this(
    model: str, changes: dict[str, Any], at: dict[str, Any], path: str, body: dict[str, Any], dollars: str
) -> None:
    made = order(model, at=at, **changes)
    assert ({**ROBOT, **body}, f"/v1/media/{path}", path) == (made.body, made.path, made.model)
    assert made.price == Decimal(dollars) * 1_000_000


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("shape", ["9:16", "16:9", "1:1"])
@pytest.mark.parametrize("seconds", [4, 7])
@pytest.mark.parametrize("image", [None, PICTURE])
def test_an_order_has_only_what_its_operation_takes_or_is_refused(
    model: str, shape: str, seconds: int, image: str | None
) -> None:
    own = MODELS[model]
    possible = image or (
        "pictures" not in own and shape in own.get("makes", [shape]) and seconds <= max(own["duration"]["values"])
    )
    if not possible:
        with pytest.raises(CannotMake):
            order(model, aspect_ratio=shape, duration_s=Decimal(seconds), image=image)
        return
    made = order(model, aspect_ratio=shape, duration_s=Decimal(seconds), image=image, seed=1, negative_prompt="x")
    row = MODELS[made.model]
    fields = {"prompt", "resolution", row["duration"]["field"], *row["fixed"]}
    fields |= {row["ratio"]["field"]} if "ratio" in row else set()
    fields |= {row["pictures"]["image"]} if image else set()
    assert fields <= made.body.keys() <= fields | {"seed", "negative_prompt"}
    assert made.body[row["duration"]["field"]] == made.bought_s >= seconds
    assert made.price > 0
    asked = {"seed", "negative_prompt"}
    assert asked & made.body.keys() == asked - set(made.left_out)


@pytest.mark.parametrize(
    ("model", "changes", "at", "expected"),
    [
        (PIKA, {}, {}, "pika-2.5/text-to-video offers 16:9, not 9:16"),
        (PIKA, {"aspect_ratio": "16:9", "duration_s": Decimal(6)}, {}, "at most 5 s"),
        (KLING, {"duration_s": Decimal(16)}, {}, "at most 15 s"),
        (KLING, {"aspect_ratio": "21:9"}, {}, "offers 16:9, 9:16, 1:1"),
        (KLING, {"prompt": "x" * 3073}, {}, "3072 characters"),
        (KLING, {}, {"resolution": "480p"}, "offers 720p, 1080p, 4k, not 480p"),
        (KLING, {"image": "sha256:0"}, {}, "pictures by https address only; put this one on the web"),
        ("kling/kling-3.0/image-to-video", {}, {}, "needs an image"),
        (H3, {"seed": -2}, {}, "takes seeds from -1 to 4294967295, not -2"),
        ("kling/kling-9/text-to-video", {}, {}, "is no model of Pika's that vgen knows"),
    ],
    ids=str,
)
def test_what_the_operation_cannot_make_is_told_with_the_limit(
    model: str, changes: dict[str, Any], at: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CannotMake, match=expected):
        order(model, at=at, **changes)


@pytest.mark.parametrize("model", [KLING, SEEDANCE, H3, PIKA])
def test_with_a_picture_the_video_has_its_shape(model: str) -> None:
    made = order(model, image=PICTURE)
    with pytest.raises(CannotMake, match="which is 640x480"):
        request._refuse_foreseeable(made, None, recipe(image=PICTURE), pictured.sent(image=(640, 480)))


def test_less_than_720_lines_are_refused_by_the_plan() -> None:
    with pytest.raises(CannotMake, match="480 lines"):
        request._refuse_foreseeable(order(SEEDANCE, at={"resolution": "480p"}), "480p", "9:16", lambda: None)


def test_the_create_call_has_a_key_of_its_own_for_each_order() -> None:
    made = order()
    call = pika.create(made, terms(), KEY, pictured.sent(), TAG)
    headers = dict(call.headers)
    assert ("POST", f"{pika.BASE_URL}/v1/media/{KLING}", "create") == (call.method, call.url, call.step)
    assert made.body == json.loads(call.body or b"")
    assert (call.auth, call.auth_header) == (KEY, "X-API-Key")
    assert uuid.UUID(headers["Idempotency-Key"]).version == 5
    assert call == pika.create(made, terms(), KEY, pictured.sent(), TAG)
    assert dict(pika.create(made, terms(), KEY, pictured.sent(), TAG + "1").headers) != headers


def test_the_picture_goes_as_its_address() -> None:
    call = pika.create(order(image=PICTURE), terms(), KEY, pictured.sent(image=PICTURE), TAG)
    assert json.loads(call.body or b"")["image_url"] == PICTURE


def test_the_key_shows_in_no_repr_and_nothing_is_ever_deleted() -> None:
    calls = [pika.create(order(), terms(), KEY, pictured.sent(), TAG), pika.poll(JOB, "https://x", KEY)]
    assert ["canary" in repr(call) for call in calls] == [False] * 2
    assert pika.cancel(JOB, "https://x", KEY) is None


def test_a_quote_asks_for_exactly_the_request_and_sends_no_key() -> None:
    quote, made = pika.QUOTE, order(image=PICTURE)
    assert isinstance(quote, QuoteCall)
    call = quote.ask(made, pika.BASE_URL)
    assert call.url == f"{pika.BASE_URL}/catalog/apis/kling%2Fkling-3.0%2Fimage-to-video/quote"
    assert (call.auth, call.body) == ("", pika.create(made, terms(), KEY, pictured.sent(image=PICTURE), TAG).body)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(200, {"micro_usd": 200000, "sell_usd": "0.20"}), 200_000),
        (reply(200, {"micro_usd": "200000"}), None),
        (reply(200, {"micro_usd": True}), None),
        (reply(200, {"micro_usd": -1}), None),
        (reply(200, {"micro_usd": 10**20}), None),
        (reply(200, {}), None),
        (reply(422, {"micro_usd": 1}), None),
    ],
)
def test_a_quote_is_read_or_says_nothing(answer: Reply, expected: int | None) -> None:
    assert isinstance(pika.QUOTE, QuoteCall)
    assert pika.QUOTE.quoted(answer) == expected


def test_a_key_is_believed_for_an_hour() -> None:
    assert Replay(remembers_s=3600) == pika.LOST_ORDERS


# ── what a create's answer means ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status_", [200, 201, 202])
@pytest.mark.parametrize("word", ["queued", "running", "completed", "something new"])
def test_a_job_is_accepted_whatever_has_become_of_it(status_: int, word: str) -> None:
    assert pika.answer(reply(status_, job(status=word)), terms()) == Accepted(job=JOB)


@pytest.mark.parametrize("status_", [200, 202, 403])
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("insufficient_balance", RefusalReason.CREDIT),
        ("membership_required", RefusalReason.CREDIT),
        ("cycle_limit_exceeded", RefusalReason.CREDIT),
        ("usage_limit_exceeded", RefusalReason.CREDIT),
        ("admission_suspended", RefusalReason.CREDIT),
        ("invalid_input", RefusalReason.INPUT),
        ("content_moderation", RefusalReason.INPUT),
        ("rate_limited", RefusalReason.RATE_LIMITED),
    ],
)
def test_a_job_that_failed_at_once_was_refused_and_each_repeat_is_told_so(
    status_: int, code: str, reason: RefusalReason
) -> None:
    body = job(status="failed", error={"code": code, "message": "Insufficient org balance"})
    found = pika.answer(reply(status_, body), terms())
    assert found == Refused(reason=reason, message="Insufficient org balance", job=Job(id=body["id"]))


@pytest.mark.parametrize("status_", [200, 403])
@pytest.mark.parametrize("code", ["provider_error", "timed_out", "internal", "brand_new"])
def test_a_job_that_failed_for_another_reason_is_asked_what_it_cost(status_: int, code: str) -> None:
    body = job(status="failed", error={"code": code, "message": "x"}, billing={"state": "pending"})
    assert pika.answer(reply(status_, body), terms()) == Accepted(job=JOB)


def test_a_failed_job_that_was_charged_is_booked_as_a_job() -> None:
    error = {"code": "content_moderation", "message": "x"}
    body = job(status="failed", error=error, billing={"state": "settled", "charge_micro_usd": 5})
    assert pika.answer(reply(200, body), terms()) == Accepted(job=JOB)


@pytest.mark.parametrize(
    ("status_", "body", "reason", "message"),
    [
        (401, {"error": {"code": "unauthorized", "message": "No key"}}, RefusalReason.KEY, "No key"),
        (403, {"message": "The key is inactive"}, RefusalReason.KEY, "The key is inactive"),
        (403, {"error": {"code": "insufficient_balance", "message": "pay"}}, RefusalReason.CREDIT, "pay"),
        (404, {"message": "no such operation"}, RefusalReason.SETUP, "no such operation"),
        (413, HTML, RefusalReason.INPUT, "HTTP 413"),
        (415, {"message": "not JSON"}, RefusalReason.INPUT, "not JSON"),
        (422, {"error": {"code": "invalid_input", "message": "ratio"}}, RefusalReason.INPUT, "ratio"),
        (429, {"error": {"code": "rate_limited", "message": "slow"}}, RefusalReason.RATE_LIMITED, "slow"),
        (429, {"error": {"code": "usage_limit_exceeded", "message": "cap"}}, RefusalReason.CREDIT, "cap"),
    ],
    ids=str,
)
def test_an_explicit_no_is_understood(status_: int, body: Any, reason: RefusalReason, message: str) -> None:
    assert pika.answer(reply(status_, body), terms()) == Refused(reason=reason, message=message)


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({"retry-after": "7"}, {}, 7),
        ({"retry-after": "Sat, 28 Nov 2026 10:00:30 GMT", "date": "Sat, 28 Nov 2026 10:00:00 GMT"}, {}, 30),
        ({}, {"retry_after": 9}, 9),
        ({"retry-after": "7"}, {"retry_after": 9.5}, 9.5),
        ({}, {"retry_after": "soon"}, None),
    ],
    ids=str,
)
def test_the_wait_stands_in_a_header_or_in_the_body(
    headers: dict[str, str], body: dict[str, Any], wait_s: float | None
) -> None:
    found = pika.answer(reply(429, {"message": "slow", **body}, headers), terms())
    assert isinstance(found, Refused)
    assert found.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status_", "body"),
    [
        *((status_, HTML) for status_ in (500, 502, 503, 504, 408, 409, 301, 307)),
        (409, {"message": "the key stands for another body"}),
        (503, {"error": {"code": "provider_unavailable", "message": "x"}}),
        (503, job(status="failed", error={"code": "insufficient_balance", "message": "x"})),
        *((200, body) for body in (b"", HTML, b"[]", {}, {"id": 7}, {"id": ""}, {"id": "a b"}, {"status": "queued"})),
    ],
    ids=str,
)
def test_what_is_neither_yes_nor_no_is_no_answer(status_: int, body: Any) -> None:
    assert isinstance(pika.answer(reply(status_, body), terms()), Unclear)


# ── what a poll's answer means ────────────────────────────────────────────────────────────────────────────────────────

OUTPUT = {"media_type": "video", "video": {"url": URL}}
PENDING = {"state": "pending"}
SETTLED = {"state": "settled", "charge_micro_usd": 340000}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Queued()),
        ({"status": "running"}, Running()),
        ({"status": "completed", "output": OUTPUT, "billing": SETTLED}, Done(url=URL, charged=340_000)),
        ({"status": "completed", "output": OUTPUT, "billing": PENDING}, Done(url=URL, unsettled=True)),
        ({"status": "completed", "output": OUTPUT, "billing": {"state": "unavailable"}}, Done(url=URL)),
        ({"status": "completed", "output": {"videos": [{"url": URL}]}}, Done(url=URL)),
        ({"status": "completed", "output": None, "billing": SETTLED}, Done(url="", charged=340_000)),
        (
            {"status": "failed", "error": {"code": "content_moderation", "message": "no"}, "billing": PENDING},
            Failed(message="no", code="content_moderation", unsettled=True),
        ),
        (
            {"status": "failed", "error": {"code": "provider_timeout"}, "billing": {**SETTLED, "charge_micro_usd": 0}},
            Failed(message="provider_timeout", code="provider_timeout", again=True, charged=0),
        ),
        ({"status": "failed"}, Failed(message="the job failed", again=True)),
    ],
    ids=str,
)  # fmt: skip
def test_each_status_is_understood(fields: dict[str, Any], expected: Status) -> None:
    assert status(reply(200, job(**fields))) == expected


@pytest.mark.parametrize("charge", ["340000", True, -1, 0.5, 10**12, None])
def test_a_charge_that_is_no_amount_is_none(charge: Any) -> None:
    billing = {"state": "settled", "charge_micro_usd": charge}
    assert status(reply(200, job(status="completed", output=OUTPUT, billing=billing))) == Done(url=URL)


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, job(status="erased")),
        reply(200, job(id="job_other", status="completed")),
        reply(200, HTML),
        reply(404, HTML),
        reply(409, {"message": "premature"}),
        reply(429, {"message": "slow"}),
        reply(503, {"message": "x"}),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:60]!r}",
)
def test_what_says_nothing_about_the_job_is_asked_again(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Inconclusive)
    assert not found.key_rejected


@pytest.mark.parametrize("body", [{"error": {"code": "not_found", "message": "no such job"}}, {"message": "no job"}])
def test_a_job_that_pika_does_not_know_is_missing(body: Any) -> None:
    assert status(reply(404, body)) == Missing()


@pytest.mark.parametrize("status_", [401, 403])
def test_a_rejected_key_says_nothing_about_the_job(status_: int) -> None:
    found = status(reply(status_, {"message": "no"}))
    assert isinstance(found, Inconclusive)
    assert found.key_rejected


# ── recorded replies ──────────────────────────────────────────────────────────────────────────────────────────────────

CREATES = {
    "create": ID, "create_replayed": ID, "create_500": None, "create_503": None, "create_conflict": None,
    "create_failed": RefusalReason.CREDIT, "create_forbidden_failed": RefusalReason.CREDIT,
    "create_usage_limit": RefusalReason.CREDIT, "create_inactive_key": RefusalReason.KEY,
    "create_no_key": RefusalReason.KEY, "create_rate_limited": RefusalReason.RATE_LIMITED,
    "create_unknown_field": RefusalReason.INPUT,
}  # fmt: skip
POLLS = {
    "poll_queued": Queued(),
    "poll_running": Running(),
    "poll_settled": Done(url=URL, charged=340_000),
    "poll_videos": Done(url=URL, charged=340_000),
    "poll_pending_charge": Done(url=URL, unsettled=True),
    "poll_unavailable_charge": Done(url=URL),
    "poll_failed": Failed(message="The provider failed", code="provider_error", again=True, charged=0),
    "poll_moderated": Failed(
        message="The content was refused by moderation", code="content_moderation", unsettled=True
    ),
    "poll_unknown": Missing(),
}
OTHERS = ("balance", "catalog_item", "content", "content_early", "delete_accepted", "quote", "spend_daily")


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_create_is_understood(name: str) -> None:
    found, expected = pika.answer(wire.reply("pika", name), terms()), CREATES[name]
    if isinstance(expected, RefusalReason):
        assert isinstance(found, Refused)
        assert (found.reason, found.job is not None) == (expected, "failed" in name)
    else:
        assert found == Accepted(job=Job(id=expected)) if expected else isinstance(found, Unclear)


@pytest.mark.parametrize("name", POLLS)
def test_a_recorded_poll_is_understood(name: str) -> None:
    assert status(wire.reply("pika", name)) == POLLS[name]


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_recorded_answer_to_another_question_says_nothing_about_the_job(name: str) -> None:
    assert isinstance(status(wire.reply("pika", name)), Inconclusive)


def test_every_recorded_reply_is_one_of_these() -> None:
    assert wire.names("pika") == {*CREATES, *POLLS, *OTHERS}


def test_a_recorded_quote_is_the_tables_price() -> None:
    sent = wire.recorded("pika", "quote")["request"]
    made = order(PIKA, prompt="a tin robot waters a fern", aspect_ratio="16:9")
    assert isinstance(pika.QUOTE, QuoteCall)
    call = pika.QUOTE.ask(made, pika.BASE_URL)
    assert (sent["body"], pika.BASE_URL + sent["path"]) == (json.loads(call.body or b""), call.url)
    assert pika.QUOTE.quoted(wire.reply("pika", "quote")) == made.price


def test_our_request_is_the_recorded_one_with_nothing_left_to_defaults() -> None:
    sent = wire.recorded("pika", "create")["request"]
    call = pika.create(order(prompt="a tin robot waters a fern"), terms(), "pk_test_1", pictured.sent(), TAG)
    assert {**sent["body"], "multi_shot": False} == json.loads(call.body or b"")
    assert (pika.BASE_URL + sent["path"], call.auth) == (call.url, sent["headers"]["x-api-key"])


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([ID, URL, "queued", "completed", "failed", "pending", "settled", "insufficient_balance"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "status", "output", "video", "videos", "url", "error", "code", "message", "billing",
                         "state", "charge_micro_usd", "retry_after", "micro_usd"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.sampled_from([200, 201, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503]),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30),
)
def test_any_answer_means_something(status_: int, body: bytes) -> None:
    answer = reply(status_, body)
    assert isinstance(pika.QUOTE, QuoteCall)
    assert isinstance(pika.answer(answer, terms()), Accepted | Refused | Unclear)
    assert isinstance(status(answer), Queued | Running | Done | Failed | Missing | Inconclusive)
    assert pika.QUOTE.quoted(answer) is None or status_ == 200


def test_the_table_says_of_when_it_is() -> None:
    assert tables.read("pika_models.json")["_as_of"] == "2026-10-02"
    assert pika.list_price("pika/pika-2.5/image-to-video", "1080P") == 90_000
    assert pika.list_price(KLING, None) == 68_000
    assert pika.list_price("x/y/z", None) is None
