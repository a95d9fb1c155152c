"""Kling's own API: the request that is paid for, and what each of its answers means; errors go by the body's code."""

import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from vgen.plan import request
from vgen.providers import kling, tables
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
from vgen.providers.codec import LookUp
from vgen.providers.kinds import kind_of
from vgen.recipe import Recipe

KEY = "api-key-kling-vgencanary0123456789"
ID = "893700000000000001"
NOW = 1_795_824_000.0
TAG = "0066e72ce7e8-910499383"
OWN_ID = "vg-0066e72ce7e8-910499383"
URL = "https://v15-kling-fdl.klingai.com/a.mp4?Expires=1798416093"
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
JOB = Job(id=ID)
PICTURE = {"image": "sha256:0"}
MODELS = tuple(tables.read("kling_models.json")["models"])


def terms(model: str = "kling-3.0", **changes: Any) -> Terms:
    return Terms(**{"provider": "kling", "base_url": kling.BASE_URL, "model": model, **changes})


def recipe(**changes: Any) -> Recipe:
    return pictured.recipe(**{"prompt": "a tin robot", "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(model: str = "kling-3.0", *, at: dict[str, Any] | None = None, **changes: Any) -> Order:
    return kling.order(recipe(**changes), terms(model, **(at or {})))


def reply(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=data, at=NOW)


def said(code: int, message: str = "SUCCEED", **data: Any) -> dict[str, Any]:
    return {"code": code, "message": message, "request_id": "r-81", **data}


def task(**fields: Any) -> Reply:
    record = {"id": ID, "message": "", "create_time": 1795824000123, "external_id": OWN_ID, **fields}
    return reply(200, said(0, data=[record]))


def status(answer: Reply) -> Status | Call:
    return kling.status(kling.poll(JOB, kling.BASE_URL, KEY), answer, JOB, KEY)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SINGLE = {"audio": "off", "multi_shot": False}


@pytest.mark.parametrize(
    ("model", "changes", "at", "path", "settings", "dollars"),
    [
        ("kling-3.0", {}, {}, "text-to-video", {"resolution": "720p", "duration": 5, **SINGLE}, "0.42"),
        ("kling-3.0", PICTURE, {}, "image-to-video", {"resolution": "720p", "duration": 5, **SINGLE}, "0.42"),
        ("kling-3.0", {}, {"resolution": "4K"}, "text-to-video", {"resolution": "4k", "duration": 5, **SINGLE}, "2.10"),
        ("kling-3.0-turbo", {}, {}, "text-to-video", {"resolution": "720p", "duration": 5}, "0.56"),
        ("kling-3.0-omni", PICTURE, {}, "omni-video", {"resolution": "720p", "duration": 5, **SINGLE}, "0.42"),
        ("kling-o1", {}, {}, "omni-video", {"resolution": "720p", "duration": 5, "audio": "off"}, "0.42"),
        ("kling-2.6", {}, {"resolution": "1080p"}, "text-to-video",
         {"resolution": "1080p", "duration": 5, "audio": "off"}, "0.35"),
        ("kling-2.5-turbo", {"duration_s": Decimal(6)}, {}, "text-to-video",
         {"resolution": "720p", "duration": 10}, "0.42"),
    ],
    ids=str,
)  # fmt: skip
def test_the_request_is_exactly_this(
    model: str, changes: dict[str, Any], at: dict[str, Any], path: str, settings: dict[str, Any], dollars: str
) -> None:
    made = order(model, at=at, **changes)
    text = {"contents": [{"type": "prompt", "text": "a tin robot"}]}
    words = {"prompt": "a tin robot"} if path == "text-to-video" else text
    shape = {} if changes == PICTURE else {"aspect_ratio": "9:16"}
    options = {"watermark_info": {"enabled": False}}
    assert made.body == {**words, "settings": {**settings, **shape}, "options": options}
    assert (f"/{path}/{model}", Decimal(dollars) * 1_000_000) == (made.path, made.price)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("image", [None, "sha256:0", "https://img.example/a.png"])
@pytest.mark.parametrize("shape", ["9:16", "16:9", "1:1"])
@pytest.mark.parametrize("seconds", [4, 7])
def test_every_model_can_be_ordered_with_every_field_said(
    model: str, image: str | None, shape: str, seconds: int
) -> None:
    made = order(model, image=image, aspect_ratio=shape, duration_s=Decimal(seconds), seed=7, negative_prompt="fog")
    settings = made.body["settings"]
    assert {"resolution", "duration"} <= settings.keys()
    assert made.price > 0
    assert made.left_out == ("negative_prompt", "seed")
    assert "seed" not in str(made.body)  # there is none, and an unknown field would be ignored
    assert settings["duration"] == made.bought_s >= seconds
    assert ("aspect_ratio" in settings) is (image is None)


@pytest.mark.parametrize(
    ("model", "changes", "at", "expected"),
    [
        ("kling-3.0", {"duration_s": Decimal(16)}, {}, "at most 15 s, the shot asks 16 s"),
        ("kling-2.6", {"duration_s": Decimal(11)}, {}, "at most 10 s"),
        ("kling-o1", {"duration_s": Decimal(11)}, {}, "at most 10 s"),
        ("kling-3.0", {"aspect_ratio": "21:9"}, {}, "offers 16:9, 9:16, 1:1, not 21:9"),
        ("kling-3.0", {}, {"resolution": "480p"}, "offers 720p, 1080p, 4k, not 480p"),
        ("kling-3.0-turbo", {}, {"resolution": "4k"}, "offers 720p, 1080p, not 4k"),
        ("kling-3.0", {"prompt": "x" * 3073}, {}, "3072 characters, this one has 3073"),
        ("kling-3.0-turbo", {"prompt": "x" * 2501, **PICTURE}, {}, "2500 characters"),
        ("kling-2.5-turbo", {}, {"durations": (Decimal(7),)}, "makes 5, 10 s, and its durations in the config are 7"),
        ("kling-4.0", {}, {}, "kling-4.0 is no model of Kling's that vgen knows; there are kling-3.0, "),
    ],
    ids=str,
)
def test_what_the_model_cannot_make_is_told_with_the_limit(
    model: str, changes: dict[str, Any], at: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CannotMake, match=expected):
        order(model, at=at, **changes)


def test_lengths_in_the_config_choose_from_the_models() -> None:
    assert order(at={"durations": (Decimal(8), Decimal(10), Decimal(20))}).bought_s == 8
    assert order(at={"durations": ()}).bought_s == 5


@pytest.mark.parametrize(("configured", "dollars"), [(50_000, "0.42"), (200_000, "1.00")])
def test_a_lower_configured_price_is_never_used(configured: int, dollars: str) -> None:
    assert order(at={"price": configured}).price == Decimal(dollars) * 1_000_000


def test_the_create_call_has_our_own_id_and_the_key() -> None:
    made = order()
    call = kling.create(made, terms(), KEY, pictured.sent(), TAG)
    assert ("POST", f"{kling.BASE_URL}/text-to-video/kling-3.0", "create") == (call.method, call.url, call.step)
    sent = json.loads(call.body or b"")
    options = sent.pop("options")
    assert options == {"watermark_info": {"enabled": False}, "external_task_id": OWN_ID}
    assert sent == {name: value for name, value in made.body.items() if name != "options"}
    assert (call.auth, call.auth_header) == (f"Bearer {KEY}", "Authorization")
    assert call == kling.create(made, terms(), KEY, pictured.sent(), TAG)


@pytest.mark.parametrize(
    ("image", "url"),
    [
        ("data:image/png;base64,AAAA", "AAAA"),
        ("https://img.example/a;base64,b.png", "https://img.example/a;base64,b.png"),
    ],
)
def test_a_picture_is_the_first_frame_as_url_or_plain_base64(image: str, url: str) -> None:
    call = kling.create(order(**PICTURE), terms(), KEY, pictured.sent(image=image), TAG)
    assert json.loads(call.body or b"")["contents"] == [
        {"type": "prompt", "text": "a tin robot"},
        {"type": "first_frame", "url": url},
    ]


def test_orders_of_other_nested_settings_are_other_kinds() -> None:
    made, big = order(), order(at={"resolution": "1080p"})
    assert made.kind != big.kind
    assert made.kind == kind_of(made.model, "5", json.loads(made.text))
    assert ("audio", "off") in made.kind.fields


def test_a_picture_of_another_shape_is_refused_since_the_video_has_its_shape() -> None:
    made = order(**PICTURE)
    with pytest.raises(CannotMake, match="which is 640x480"):
        request._refuse_foreseeable(made, None, recipe(**PICTURE), pictured.sent(image=(640, 480)))
    request._refuse_foreseeable(made, None, recipe(**PICTURE), pictured.sent(image=(720, 1280)))


def test_the_key_shows_in_no_repr_and_there_is_no_cancel() -> None:
    lost = kling.LOST_ORDERS
    assert isinstance(lost, LookUp)
    calls = [kling.create(order(), terms(), KEY, pictured.sent(), TAG), kling.poll(JOB, "https://x", KEY),
             lost.find(TAG, "https://x", KEY)]  # fmt: skip
    assert ["canary" in repr(call) for call in calls] == [False] * 3
    assert kling.cancel(JOB, "https://x", KEY) is None


# ── what a create's answer means ──────────────────────────────────────────────────────────────────────────────────────


def test_an_accepted_task_is_known_by_its_string_id() -> None:
    data = {"id": ID, "status": "submitted", "message": "", "external_id": OWN_ID}
    assert kling.answer(reply(200, said(0, data=data)), terms()) == Accepted(job=JOB)


@pytest.mark.parametrize(
    "body",
    [b"", HTML, b"null", said(0), said(0, data=None), said(0, data=[]), said(0, data={}), said(0, data={"id": 893}),
     said(0, data={"id": ""}), said(0, data={"id": "a b"}), {"data": {"id": ID}}, said(5000, data={"id": ID})],
    ids=lambda body: str(body)[:60],
)  # fmt: skip
def test_an_accepting_answer_without_a_usable_id_is_none(body: Any) -> None:
    assert isinstance(kling.answer(reply(200, body), terms()), Unclear)


@pytest.mark.parametrize(
    ("status_", "code", "message", "reason"),
    [
        *((401, code, "auth failed, AK/SK", RefusalReason.KEY) for code in (1000, 1001, 1002, 1003, 1004)),
        *((429, code, "account", RefusalReason.CREDIT) for code in (1100, 1101, 1102)),
        (403, 1103, "no right", RefusalReason.SETUP),
        (400, 1200, "bad", RefusalReason.INPUT),
        (400, 1201, "resolution must be one of 720p, 1080p", RefusalReason.INPUT),
        (400, 1201, f"External_task_id {OWN_ID} already exists", RefusalReason.DUPLICATE),
        (404, 1202, "method", RefusalReason.SETUP),
        (404, 1203, "no such model", RefusalReason.SETUP),
        (400, 1300, "policy", RefusalReason.INPUT),
        (400, 1301, "content policy", RefusalReason.INPUT),
        (429, 1302, "too fast", RefusalReason.RATE_LIMITED),
        (429, 1303, "parallel task over resource pack limit", RefusalReason.RATE_LIMITED),
        (429, 1304, "ip white list", RefusalReason.KEY),
        (200, 1101, "in arrears", RefusalReason.CREDIT),
    ],
)
def test_an_explicit_no_is_told_by_its_code(status_: int, code: int, message: str, reason: RefusalReason) -> None:
    found = kling.answer(reply(status_, said(code, message)), terms())
    assert isinstance(found, Refused)
    assert (found.reason, found.message, found.job) == (reason, message, None)


@pytest.mark.parametrize(
    ("status_", "reason"),
    [(400, RefusalReason.INPUT), (401, RefusalReason.KEY), (402, RefusalReason.CREDIT), (403, RefusalReason.KEY),
     (404, RefusalReason.SETUP), (413, RefusalReason.INPUT), (429, RefusalReason.RATE_LIMITED)],
)  # fmt: skip
def test_without_a_code_the_status_decides(status_: int, reason: RefusalReason) -> None:
    found = kling.answer(reply(status_, HTML), terms())
    assert isinstance(found, Refused)
    assert found.reason is reason


@pytest.mark.parametrize(
    ("code", "headers", "wait_s"),
    [(1302, {}, None), (1302, {"retry-after": "3"}, 3), (1303, {}, kling.BUSY_S), (1303, {"retry-after": "40"}, 40)],
)
def test_too_many_tasks_are_waited_for_longer_than_too_many_requests(
    code: int, headers: dict[str, str], wait_s: float | None
) -> None:
    found = kling.answer(reply(429, said(code, "slow"), headers), terms())
    assert isinstance(found, Refused)
    assert found.retry_after_s == wait_s


@pytest.mark.parametrize("status_", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", HTML, said(5000, "internal"), said(5002, "backlog"), said(1201, "bad")])
def test_a_5xx_is_no_answer_whatever_it_says(status_: int, body: Any) -> None:
    assert isinstance(kling.answer(reply(status_, body), terms()), Unclear)


@pytest.mark.parametrize("status_", [301, 302, 307, 408, 409, 418])
def test_what_is_neither_yes_nor_no_is_no_answer(status_: int) -> None:
    assert isinstance(kling.answer(reply(status_, HTML, {"location": "/x"}), terms()), Unclear)


# ── what a poll's answer means ────────────────────────────────────────────────────────────────────────────────────────

VIDEO = [{"type": "audio", "url": "https://x/a"}, {"type": "video", "id": "v-1", "url": URL, "duration": "5.041"}]
UNITS = [{"charge_type": "unit", "amount": "3", "package_type": "video"}]
CASH = {"charge_type": "cash", "cash_type": "balance", "amount": "0.378", "currency": "USD", "list_price": "0.42"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "submitted"}, Queued()),
        ({"status": "processing"}, Running()),
        ({"status": "succeeded", "outputs": VIDEO, "billing": UNITS}, Done(url=URL, charged=420_000)),
        ({"status": "succeeded", "outputs": VIDEO}, Done(url=URL, unsettled=True)),
        ({"status": "succeeded", "outputs": [], "billing": UNITS}, Done(url="", charged=420_000)),
        (
            {"status": "failed", "message": "internal", "outputs": [], "billing": [{"amount": "0"}]},
            Failed(message="internal", again=True, charged=0),
        ),
        ({"status": "failed"}, Failed(message="the task failed", again=True, unsettled=True)),
    ],
    ids=str,
)
def test_each_status_is_understood(fields: dict[str, Any], expected: Status) -> None:
    assert status(task(**fields)) == expected


@pytest.mark.parametrize(
    ("billing", "charged"),
    [
        ([CASH], 378_000),
        ([CASH, UNITS[0]], 798_000),
        ([{**CASH, "cash_type": "test_balance"}], 0),
        ([{**CASH, "currency": "CNY"}], None),
        ([{"charge_type": "unit", "amount": "2.4"}], 336_000),
        ([{"charge_type": "unit", "amount": "NaN"}], None),
        ([{"charge_type": "unit", "amount": "-1"}], None),
        ([{"charge_type": "unit"}], None),
        ([{"charge_type": "coupon", "amount": "1"}], None),
        ([CASH, "x"], None),
        ("3", None),
        ([], None),
    ],
    ids=str,
)
def test_all_lines_of_the_bill_together_are_the_charge(billing: Any, charged: int | None) -> None:
    found = status(task(status="succeeded", outputs=VIDEO, billing=billing))
    assert isinstance(found, Done)
    assert found.charged == charged


@pytest.mark.parametrize(
    ("message", "again"),
    [
        ("internal error", True),
        ("", True),
        ("timed out", True),
        ("Failure to pass the risk control system", False),
        ("content policy", False),
        ("failed to download the image url", False),
    ],
)
def test_a_failure_has_no_code_and_is_judged_by_its_words(message: str, again: bool) -> None:
    found = status(task(status="failed", message=message, billing=[{"amount": "0"}]))
    assert isinstance(found, Failed)
    assert found.again is again


def test_a_task_that_kling_does_not_know_is_left_out() -> None:
    assert status(reply(200, said(0, data=[]))) == Missing()


@pytest.mark.parametrize(
    "answer",
    [
        task(status="succeed", outputs=VIDEO),  # the legacy API's word
        task(status=None),
        task(id="893700000000000002", status="succeeded"),
        reply(200, said(0)),
        reply(200, said(0, data={"id": ID, "status": "succeeded"})),
        reply(200, said(1201, "Task not found by id", data=[])),
        reply(200, said(0, data=[7])),
        reply(200, HTML),
        reply(404, HTML),
        reply(429, said(1302, "too fast")),
        reply(500, said(5000, "internal", data=[])),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:60]!r}",
)
def test_what_says_nothing_about_the_task_is_asked_again(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Inconclusive)
    assert (found.key_rejected, found.message.isprintable()) == (False, True)


def test_a_rejected_key_says_nothing_about_the_task() -> None:
    found = status(reply(401, said(1002, "AK/SK")))
    assert isinstance(found, Inconclusive)
    assert found.key_rejected


# ── recorded replies ──────────────────────────────────────────────────────────────────────────────────────────────────

CREATES = {
    "create_text": ID, "create_image": "893700000000000002",
    "create_500": None, "create_503": None, "create_504": None,
    "create_account": RefusalReason.CREDIT, "create_arrears": RefusalReason.CREDIT,
    "create_no_credits": RefusalReason.CREDIT, "create_address": RefusalReason.KEY,
    "create_bad_key": RefusalReason.KEY, "create_no_key": RefusalReason.KEY,
    "create_bad_value": RefusalReason.INPUT, "create_moderated": RefusalReason.INPUT,
    "create_platform_policy": RefusalReason.INPUT, "create_duplicate": RefusalReason.DUPLICATE,
    "create_busy": RefusalReason.RATE_LIMITED, "create_too_fast": RefusalReason.RATE_LIMITED,
    "create_model_closed": RefusalReason.SETUP, "create_unknown_model": RefusalReason.SETUP,
    "old_host": RefusalReason.SETUP,
}  # fmt: skip
RECORDED_URL = "https://v15-kling-fdl.klingai.com/bs2/x/5f.mp4?Expires=1798416093&Signature=s"
POLLS = {
    "poll_submitted": Queued(),
    "poll_processing": Running(),
    "poll_succeeded": Done(url=RECORDED_URL, charged=420_000, ended_at=1_795_824_093.0),
    "poll_succeeded_cash": Done(url=RECORDED_URL, charged=420_000, ended_at=1_795_824_093.0),
    "poll_succeeded_test_balance": Done(url=RECORDED_URL, charged=0, ended_at=1_795_824_093.0),
    "poll_failed": Failed(message="The first frame could not be downloaded.", charged=0),
    "poll_two": Queued(),
    "poll_by_external": Queued(),
    "poll_unknown": Missing(),
}
OTHERS = ("legacy_succeed", "list", "poll_both_kinds", "poll_too_many")


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_create_is_understood(name: str) -> None:
    found, expected = kling.answer(wire.reply("kling", name), terms()), CREATES[name]
    if isinstance(expected, RefusalReason):
        assert isinstance(found, Refused)
        assert found.reason is expected
    else:
        assert found == Accepted(job=Job(id=expected)) if expected else isinstance(found, Unclear)


@pytest.mark.parametrize("name", POLLS)
def test_a_recorded_poll_is_understood(name: str) -> None:
    assert status(wire.reply("kling", name)) == POLLS[name]


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_recorded_answer_to_another_question_says_nothing_about_the_task(name: str) -> None:
    assert isinstance(status(wire.reply("kling", name)), Inconclusive)


def test_every_recorded_reply_is_one_of_these() -> None:
    assert wire.names("kling") == {*CREATES, *POLLS, *OTHERS}


def test_our_request_is_the_recorded_one() -> None:
    sent = wire.recorded("kling", "create_text")["request"]
    call = kling.create(order(prompt="a tin robot waters a fern"), terms(), "api-key-kling-test", pictured.sent(), TAG)
    sent["body"]["options"]["external_task_id"] = OWN_ID
    assert (sent["body"], kling.BASE_URL + sent["path"]) == (json.loads(call.body or b""), call.url)
    assert call.auth == sent["headers"]["authorization"]


# ── an order that was lost ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lost_order_is_asked_for_by_our_own_id() -> None:
    lost = kling.LOST_ORDERS
    assert isinstance(lost, LookUp)
    call = lost.find(TAG, kling.BASE_URL, KEY)
    assert (call.method, call.url) == ("GET", f"{kling.BASE_URL}/tasks?external_task_ids={OWN_ID}")
    assert lost.found(task(status="submitted"), TAG) == ID


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(200, said(0, data=[])), ""),
        (task(external_id="vg-other"), None),
        (task(id=893), None),
        (reply(200, said(0, data=None)), None),
        (reply(200, said(1201, "bad", data=[])), None),
        (reply(404, HTML), None),
        (reply(500, said(0, data=[])), None),
        (reply(200, b"[]"), None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_only_an_empty_list_in_klings_own_shape_says_that_there_is_none(answer: Reply, expected: str | None) -> None:
    lost = kling.LOST_ORDERS
    assert isinstance(lost, LookUp)
    assert lost.found(answer, TAG) == expected


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([ID, OWN_ID, URL, 0, 1101, 1201, 1303, 5000, "succeeded", "failed", "processing"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["code", "message", "data", "id", "status", "external_id", "outputs", "billing", "type", "url",
                         "amount", "charge_type"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.sampled_from([200, 201, 302, 400, 401, 404, 409, 429, 500, 504]),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30),
)
def test_any_answer_means_something(status_: int, body: bytes) -> None:
    answer, lost = reply(status_, body), kling.LOST_ORDERS
    assert isinstance(lost, LookUp)
    assert isinstance(kling.answer(answer, terms()), Accepted | Refused | Unclear)
    assert isinstance(status(answer), Queued | Running | Done | Failed | Missing | Inconclusive)
    assert lost.found(answer, TAG) in (None, "", ID) or status_ == 200


def test_the_table_says_where_it_is_from_and_of_when() -> None:
    table = tables.read("kling_models.json")
    assert (table["_as_of"], table["_source"][:8]) == ("2026-09-20", "kling.ai")
    assert [kling.list_price(model, None) for model in MODELS] == [84_000, 112_000, 84_000, 84_000, 42_000, 42_000]
    assert kling.list_price("kling-9", None) is None
