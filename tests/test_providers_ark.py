"""BytePlus ModelArk: the request that is paid for, and what each of its answers means; money by the token."""

import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st

from vgen.plan import request
from vgen.providers import ark, tables
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
from vgen.providers.codec import TaggedList
from vgen.recipe import Recipe

KEY = "ark-vgencanary0123456789abcdef"
ID = "cgt-20261128101500-ab1c2"
NOW = 1_795_824_900.0
TAG = "0066e72ce7e8-910499383"
V2_5, V2_0 = "dreamina-seedance-2-5-260628", "dreamina-seedance-2-0-260128"
URL = "https://ark-content.example/x.mp4?X-Tos-Expires=86400"
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
JOB = Job(id=ID)
TASKS = f"{ark.BASE_URL}/api/v3/contents/generations/tasks"
MODELS = tables.read("ark_models.json")["models"]
PICTURE = {"image": "sha256:0"}


def terms(model: str = V2_5, **changes: Any) -> Terms:
    return Terms(**{"provider": "ark", "base_url": ark.BASE_URL, "model": model, **changes})


def recipe(**changes: Any) -> Recipe:
    return pictured.recipe(**{"prompt": "a tin robot", "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(model: str = V2_5, *, at: dict[str, Any] | None = None, **changes: Any) -> Order:
    return ark.order(recipe(**changes), terms(model, **(at or {})))


def reply(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=data, at=NOW)


def error(code: str, message: str = "no") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "param": "", "type": "BadRequest"}}


def task(**fields: Any) -> Reply:
    return reply(200, {"id": ID, "model": V2_5, "error": None, "resolution": "720p", "ratio": "9:16", **fields})


def status(answer: Reply) -> Status | Call:
    return ark.status(ark.poll(JOB, ark.BASE_URL, KEY), answer, JOB, KEY)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SILENT = {"generate_audio": False, "watermark": False, "execution_expires_after": 7200}


@pytest.mark.parametrize(
    ("model", "changes", "at", "resolution", "seconds", "dollars"),
    [
        (V2_5, {}, {}, "720p", 5, "1.165230"),  # 1280 x 720 x 121 / 1024 = 108,900 tokens
        (V2_5, {"aspect_ratio": "1:1"}, {}, "720p", 5, "1.165230"),
        (V2_5, {"duration_s": Decimal("5.5")}, {}, "720p", 6, "1.396350"),
        (V2_5, {}, {"resolution": "1080P"}, "1080p", 5, "2.866793"),
        (V2_5, PICTURE, {}, "720p", 5, "1.172574"),  # 834 x 1112, the most that any shape has
        (V2_0, {}, {}, "720p", 5, "0.762300"),
        (V2_0, {}, {"resolution": "4k"}, "4k", 5, "3.920400"),
        ("dreamina-seedance-2-0-fast-260128", {}, {}, "720p", 5, "0.609840"),
        ("dreamina-seedance-2-0-mini-260615", {"duration_s": Decimal(1)}, {}, "720p", 4, "0.305550"),
    ],
    ids=str,
)
def test_the_request_is_exactly_this(
    model: str, changes: dict[str, Any], at: dict[str, Any], resolution: str, seconds: int, dollars: str
) -> None:
    made = order(model, at=at, **changes)
    ratio = "adaptive" if "image" in changes else changes.get("aspect_ratio", "9:16")
    content = [{"type": "text", "text": "a tin robot"}]
    body = {"model": model, "content": content, "resolution": resolution, "duration": seconds, "ratio": ratio, **SILENT}
    assert (made.body, made.path, made.bought_s) == (body, "/api/v3/contents/generations/tasks", seconds)
    assert made.price == Decimal(dollars) * 1_000_000


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("image", [None, "sha256:0"])
@pytest.mark.parametrize("shape", ["9:16", "16:9", "1:1"])
@pytest.mark.parametrize("seconds", [4, 7])
def test_every_model_can_be_ordered_and_no_length_is_left_to_it(
    model: str, image: str | None, shape: str, seconds: int
) -> None:
    made = order(model, image=image, aspect_ratio=shape, duration_s=Decimal(seconds), seed=7, negative_prompt="fog")
    assert (made.body["duration"], made.body["generate_audio"]) == (seconds, False)
    assert not made.body.keys() & {"seed", "negative_prompt", "safety_identifier"}
    assert made.price > 0
    assert made.left_out == ("negative_prompt", "seed")


@pytest.mark.parametrize("resolution", ["720p", "1080p"])
def test_what_is_reserved_covers_the_tokens_of_a_frame_more_and_not_much_more(resolution: str) -> None:
    documented = {"720p": Decimal("1.1556"), "1080p": Decimal("2.8431")}[resolution] * 1_000_000
    price = order(at={"resolution": resolution}).price
    assert documented * 121 / 120 <= price <= documented * Decimal("1.0085")


@pytest.mark.parametrize(
    ("model", "changes", "at", "expected"),
    [
        (V2_5, {"duration_s": Decimal(31)}, {}, "at most 30 s"),
        (V2_0, {"duration_s": Decimal(16)}, {}, "at most 15 s"),
        (V2_5, {"aspect_ratio": "2:1"}, {}, "offers 16:9, 4:3, 1:1, 3:4, 9:16, 21:9, not 2:1"),
        (V2_5, {}, {"resolution": "4k"}, "offers 480p, 720p, 1080p, not 4k"),
        ("dreamina-seedance-2-0-fast-260128", {}, {"resolution": "1080p"}, "offers 480p, 720p, not 1080p"),
        ("seedance-1-5-pro-251215", {}, {}, "is no model of ModelArk's that vgen knows"),
        ("ep-20261128-abc", {}, {}, "is no model of ModelArk's that vgen knows"),
    ],
    ids=str,
)
def test_what_the_model_cannot_make_is_told_with_the_limit(
    model: str, changes: dict[str, Any], at: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CannotMake, match=expected):
        order(model, at=at, **changes)


@pytest.mark.parametrize("prompt", ["a boat --dur 10", "--rs 1080p", "a boat\n--rt 16:9", "x --seed 3", "x --wm true"])
def test_a_prompt_that_would_change_the_order_is_refused(prompt: str) -> None:
    with pytest.raises(CannotMake, match=r"reads --\w+ in a prompt as a setting"):
        order(prompt=prompt)


@pytest.mark.parametrize("prompt", ["slow--motion", "a boat -- and rain", "a boat - dur 10", "—dur 10"])
def test_other_dashes_are_words(prompt: str) -> None:
    assert order(prompt=prompt).body["content"][0]["text"] == prompt


def test_the_create_call_carries_our_tag_and_the_key() -> None:
    made = order()
    call = ark.create(made, terms(), KEY, pictured.sent(), TAG)
    assert ("POST", TASKS, "create", f"Bearer {KEY}") == (call.method, call.url, call.step, call.auth)
    assert {**made.body, "safety_identifier": f"vg1-{TAG}"} == json.loads(call.body or b"")
    assert call == ark.create(made, terms(), KEY, pictured.sent(), TAG)
    assert len(f"vg1-{TAG}") <= 64


def test_a_picture_is_the_first_frame_and_gives_the_video_its_shape() -> None:
    made = order(**PICTURE)
    sent = json.loads(ark.create(made, terms(), KEY, pictured.sent(image="data:image/png;base64,AA"), TAG).body or b"")
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}, "role": "first_frame"}
    assert (sent["content"], sent["ratio"]) == ([{"type": "text", "text": "a tin robot"}, picture], "adaptive")
    with pytest.raises(CannotMake, match="which is 640x480"):
        request._refuse_foreseeable(made, None, recipe(**PICTURE), pictured.sent(image=(640, 480)))


def test_less_than_720_lines_are_refused_by_the_plan() -> None:
    with pytest.raises(CannotMake, match="480 lines"):
        request._refuse_foreseeable(order(at={"resolution": "480p"}), "480p", "9:16", lambda: None)


def test_the_key_shows_in_no_repr() -> None:
    calls = [ark.create(order(), terms(), KEY, pictured.sent(), TAG), ark.poll(JOB, "https://x", KEY),
             ark.cancel(JOB, "https://x", KEY)]  # fmt: skip
    assert ["canary" in repr(call) for call in calls] == [False] * 3


def test_poll_and_cancel_ask_for_the_task() -> None:
    poll, cancel = ark.poll(JOB, ark.BASE_URL, KEY), ark.cancel(Job(id="a/../b"), ark.BASE_URL, KEY)
    assert cancel
    assert [("GET", f"{TASKS}/{ID}"), ("DELETE", f"{TASKS}/a%2F..%2Fb")] == [
        (call.method, call.url) for call in (poll, cancel)
    ]


# ── what a create's answer means ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [b"", HTML, b"[]", {}, {"id": 7}, {"id": ""}, {"id": "a b"}, {"task_id": ID}], ids=str)
def test_an_accepting_answer_without_a_usable_id_is_none(body: Any) -> None:
    assert isinstance(ark.answer(reply(200, body), terms()), Unclear)


@pytest.mark.parametrize(
    ("status_", "code", "message", "reason"),
    [
        (429, "QuotaExceeded", "The free trial quota of the model is used up", RefusalReason.CREDIT),
        (429, "QuotaExceeded", "quota of the period", RefusalReason.CREDIT),
        (429, "QuotaExceeded", "too many tasks are queued", RefusalReason.RATE_LIMITED),
        (429, "RateLimitExceeded", "slow", RefusalReason.RATE_LIMITED),
        (403, "AccessDenied", "no", RefusalReason.KEY),
        (400, "MissingParameter", "no", RefusalReason.INPUT),
        (400, "", "no", RefusalReason.INPUT),
        (402, "", "no", RefusalReason.CREDIT),
    ],
)
def test_an_explicit_no_is_told_by_its_code(status_: int, code: str, message: str, reason: RefusalReason) -> None:
    assert ark.answer(reply(status_, error(code, message)), terms()) == Refused(reason=reason, message=message)


@pytest.mark.parametrize("status_", [301, 307, 408, 409, 500, 502, 503, 504])
@pytest.mark.parametrize("body", [b"", HTML, error("InternalServiceError"), error("AccountOverdueError")], ids=str)
def test_a_5xx_is_no_answer_whatever_it_says(status_: int, body: Any) -> None:
    assert isinstance(ark.answer(reply(status_, body), terms()), Unclear)


# ── what a poll's answer means ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "charged"),
    [
        ({"usage": {"completion_tokens": 108900}}, 1_165_230),
        ({"usage": {"completion_tokens": 108900}, "resolution": "1080p"}, 1_274_130),
        ({"usage": {"completion_tokens": 108900}, "model": "ep-2026"}, None),
        ({"usage": {"completion_tokens": 108900}, "resolution": None}, None),
        ({"usage": {"completion_tokens": "108900"}}, None),
        ({"usage": {"completion_tokens": -1}}, None),
        ({"usage": {}}, None),
        ({"usage": None}, None),
    ],
    ids=str,
)
def test_the_charge_is_the_tokens_at_the_models_rate(fields: dict[str, Any], charged: int | None) -> None:
    answer = task(status="succeeded", content={"video_url": URL}, **fields)
    assert status(answer) == Done(url=URL, charged=charged)


@pytest.mark.parametrize("content", [None, {}, {"video_url": None}, {"video_url": ""}, {"url": URL}, [URL]], ids=str)
def test_a_task_that_succeeded_is_paid_even_if_it_names_no_usable_file(content: Any) -> None:
    found = status(task(status="succeeded", content=content, usage={"completion_tokens": 108900}))
    assert found == Done(url="", charged=1_165_230)


@pytest.mark.parametrize(
    "answer",
    [
        task(status="paused"),
        task(status=None),
        reply(200, {"id": "cgt-other", "status": "succeeded"}),
        reply(200, HTML),
        reply(404, HTML),
        reply(429, error("RateLimitExceeded")),
        reply(500, error("InternalServiceError")),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:60]!r}",
)
def test_what_says_nothing_about_the_task_is_asked_again(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Inconclusive)
    assert not found.key_rejected


@pytest.mark.parametrize("status_", [401, 403])
def test_a_rejected_key_says_nothing_about_the_task(status_: int) -> None:
    found = status(reply(status_, error("AuthenticationError")))
    assert isinstance(found, Inconclusive)
    assert found.key_rejected


# ── recorded replies ──────────────────────────────────────────────────────────────────────────────────────────────────

CREATES = {
    "create": ID, "create_image": "cgt-20261128101502-ab1c3", "create_500": None,
    "create_bad_key": RefusalReason.KEY, "create_bad_value": RefusalReason.INPUT,
    "create_busy": RefusalReason.RATE_LIMITED, "create_model_closed": RefusalReason.SETUP,
    "create_moderated": RefusalReason.INPUT, "create_moderated_image": RefusalReason.INPUT,
    "create_no_credits": RefusalReason.CREDIT, "create_rate_limited": RefusalReason.RATE_LIMITED,
    "create_service_overdue": RefusalReason.CREDIT, "create_unknown_model": RefusalReason.SETUP,
}  # fmt: skip
POLLS = {
    "poll_queued": Queued(),
    "poll_running": Running(),
    "poll_succeeded": Done(url=URL, charged=1_155_600, ended_at=1_795_824_990.0),
    "poll_failed": Failed(
        message="The service encountered an unexpected internal error.",
        code="InternalServiceError", again=True, charged=0,
    ),
    "poll_failed_late": Failed(
        message="The parameter `ratio` is not valid for this type of task: only adaptive is supported.",
        code="InvalidParameter.TaskTypeConstraint", charged=0,
    ),
    "poll_failed_moderated": Failed(
        message="The request failed because the output audio may contain sensitive information.",
        code="OutputAudioSensitiveContentDetected", charged=0,
    ),
    "poll_cancelled": Cancelled(charged=0),
    "poll_expired": Failed(message="it expired before it was made", code="expired", again=True, charged=0),
    "poll_unknown": Missing(),
}  # fmt: skip
LISTS = {"list", "list_by_ids", "list_hidden_tag", "list_too_fast"}


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_create_is_understood(name: str) -> None:
    found, expected = ark.answer(wire.reply("ark", name), terms()), CREATES[name]
    if isinstance(expected, RefusalReason):
        assert isinstance(found, Refused)
        assert found.reason is expected
    else:
        assert found == Accepted(job=Job(id=expected)) if expected else isinstance(found, Unclear)


@pytest.mark.parametrize("name", POLLS)
def test_a_recorded_poll_is_understood(name: str) -> None:
    assert status(wire.reply("ark", name)) == POLLS[name]


@pytest.mark.parametrize("name", ["delete", "delete_running"])
def test_the_answer_to_a_cancel_does_not_tell_what_became_of_the_task(name: str) -> None:
    call = ark.cancel(JOB, ark.BASE_URL, KEY)
    assert call
    assert call.url.endswith(wire.recorded("ark", name)["request"]["path"])
    assert isinstance(ark.status(call, wire.reply("ark", name), JOB, KEY), Inconclusive)


def test_every_recorded_reply_is_one_of_these() -> None:
    assert wire.names("ark") == {*CREATES, *POLLS, *LISTS, "delete", "delete_running"}


@pytest.mark.parametrize("name", ["create", "create_image"])
def test_our_request_is_the_recorded_one(name: str) -> None:
    sent = wire.recorded("ark", name)["request"]
    image = "https://img.example/a.png" if name == "create_image" else None
    made = order(prompt="a tin robot waters a fern", image=image)
    call = ark.create(made, terms(), "ark-test-key", pictured.sent(image=image), TAG)
    body = {**sent["body"], "safety_identifier": f"vg1-{TAG}"}
    assert (body, ark.BASE_URL + sent["path"]) == (json.loads(call.body or b""), call.url)
    assert call.auth == sent["headers"]["authorization"]


# ── jobs that were lost ───────────────────────────────────────────────────────────────────────────────────────────────


def listing(answer: Reply, cursor: str | None = None) -> Listing | None:
    lost = ark.LOST_ORDERS
    assert isinstance(lost, TaggedList)
    return lost.parse_job_list(answer, cursor)


def test_a_list_says_whose_each_task_is() -> None:
    found = listing(wire.reply("ark", "list"))
    assert found == Listing(
        jobs=(
            Listed(id=ID, tag="vg-3f9c2b71d0e84a55", created_at=1795824900),
            Listed(id="cgt-20261128101502-ab1c3", tag="vg-52d1a06bb0c94e17", created_at=1795824902),
        )
    )


def test_a_list_may_hide_the_tags() -> None:
    found = listing(wire.reply("ark", "list_hidden_tag"))
    assert found
    assert [job.tag for job in found.jobs] == [""]


def test_pages_are_asked_for_until_the_total() -> None:
    lost = ark.LOST_ORDERS
    assert isinstance(lost, TaggedList)
    full = [{"id": f"cgt-{n}"} for n in range(500)]
    first = listing(reply(200, {"total": 501, "items": full}))
    assert first
    assert first.more == "2"
    urls = [lost.list_jobs(V2_5, NOW, ark.BASE_URL, KEY, cursor).url for cursor in (None, first.more)]
    assert urls == [f"{TASKS}?page_num={n}&page_size=500" for n in (1, 2)]
    last = listing(reply(200, {"total": 501, "items": full[:1]}), "2")
    assert last
    assert last.more is None
    assert (lost.sent_as(TAG), lost.shows_running, lost.apart_s > 1) == (f"vg1-{TAG}", True, True)


@pytest.mark.parametrize(
    ("answer", "cursor"),
    [
        (wire.reply("ark", "list_too_fast"), "2"),
        (reply(200, HTML), None),
        (reply(200, {"items": []}), None),
        (reply(200, {"total": 1}), None),
        (reply(200, {"total": 1, "items": []}), None),
        (reply(200, {"total": 501, "items": [{"id": "a"}]}), None),
        (reply(200, {"total": 502, "items": [{"id": "a"}]}), "2"),
        (reply(200, {"total": 1, "items": [7]}), None),
        (reply(200, {"total": 1, "items": [{"id": "a/b"}]}), None),
        (reply(401, {"total": 0, "items": []}), None),
    ],
    ids=str,
)
def test_a_list_that_cannot_be_read_or_is_not_whole_never_says_that_a_task_is_not_there(
    answer: Reply, cursor: str | None
) -> None:
    assert listing(answer, cursor) is None


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([ID, URL, V2_5, "720p", "succeeded", "failed", "queued", "QuotaExceeded"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "status", "content", "video_url", "usage", "completion_tokens", "error", "code",
                         "message", "items", "total", "model", "resolution", "created_at"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.sampled_from([200, 201, 302, 400, 401, 403, 404, 409, 429, 500, 503]),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30),
)
def test_any_answer_means_something(status_: int, body: bytes) -> None:
    answer = reply(status_, body)
    assert isinstance(ark.answer(answer, terms()), Accepted | Refused | Unclear)
    assert isinstance(status(answer), Queued | Running | Done | Failed | Cancelled | Missing | Inconclusive)
    assert listing(answer) is None or status_ == 200


def test_the_table_says_of_when_it_is() -> None:
    assert tables.read("ark_models.json")["_as_of"] == "2026-10-07"
    assert [ark.list_price(model, None) for model in MODELS] == [231_120, 151_200, 120_960, 75_600]
    assert (ark.list_price(V2_0, "4K"), ark.list_price("x", None)) == (777_600, None)
