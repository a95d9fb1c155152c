"""The fal queue: the request that is paid for, and what each answer means; failed jobs read COMPLETED."""

import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.plan import request
from vgen.providers import fal, protocol_of
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
from vgen.recipe import Recipe

KEY = "vgencanary:0123456789abcdef"
ID = "0b9c7a52-5e5c-4d0d-8f2e-5f6f5e1f2a10"
NOW = 1_795_000_000.0
ROOT = f"https://queue.fal.run/fal-ai/pika/requests/{ID}"
URLS = {"status": f"{ROOT}/status", "response": ROOT, "cancel": f"{ROOT}/cancel"}
JOB = Job(id=ID, urls=URLS)
TAG = "0066e72ce7e8-910499383"
VIDEO = "https://v3b.fal.media/files/b/tiger/AbC123_output.mp4"
HTML = b"<html><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></html>"
OWN = {"x-fal-request-id": ID}
IMAGE_MODEL = "fal-ai/pika/v2.2/image-to-video"


def terms(model: str = fal.MODEL, **changes: Any) -> Terms:
    return Terms(**{"provider": "pika", "base_url": fal.BASE_URL, "model": model, **changes})


def recipe(**changes: Any) -> Recipe:
    return pictured.recipe(**{"prompt": "a paper boat", "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(model: str = fal.MODEL, *, at: dict[str, Any] | None = None, **changes: Any) -> Order:
    return fal.order(recipe(**changes), terms(model, **(at or {})))


def reply(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=data, at=NOW)


def status(answer: Reply) -> Status | Call:
    return fal.status(fal.poll(JOB, fal.BASE_URL, KEY), answer, JOB, KEY)


def result(answer: Reply) -> Status | Call:
    """What the answer to the question for the result means."""
    asked = status(reply(200, {"status": "COMPLETED", "request_id": ID}))
    assert isinstance(asked, Call)
    return fal.status(asked, answer, JOB, KEY)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────

PIKA = {"prompt": "a paper boat", "duration": 5, "aspect_ratio": "9:16", "resolution": "720p"}


@pytest.mark.parametrize(
    ("changes", "at", "body", "dollars"),
    [
        ({}, {}, PIKA, "0.20"),
        ({"duration_s": Decimal(10)}, {}, {**PIKA, "duration": 10}, "0.40"),
        ({"duration_s": Decimal("5.5")}, {}, {**PIKA, "duration": 10}, "0.40"),
        ({"duration_s": Decimal(1)}, {}, PIKA, "0.20"),
        ({"negative_prompt": "fog", "seed": 0}, {}, {**PIKA, "negative_prompt": "fog", "seed": 0}, "0.20"),
        ({"aspect_ratio": "1:1"}, {}, {**PIKA, "aspect_ratio": "1:1"}, "0.20"),
        ({}, {"resolution": "1080p"}, {**PIKA, "resolution": "1080p"}, "0.45"),
        ({}, {"resolution": "1080P"}, {**PIKA, "resolution": "1080p"}, "0.45"),
    ],
    ids=str,
)
def test_the_request_is_exactly_this(
    changes: dict[str, Any], at: dict[str, Any], body: dict[str, Any], dollars: str
) -> None:
    made = order(at=at, **changes)
    assert (body, "/fal-ai/pika/v2.2/text-to-video", {}) == (made.body, made.path, made.pictures)
    assert Decimal(dollars) * 1_000_000 == made.price


@pytest.mark.parametrize("model", [fal.MODEL, IMAGE_MODEL])
def test_a_picture_goes_to_the_endpoint_for_pictures_and_decides_the_ratio(model: str) -> None:
    made = order(model, image="sha256:0")
    expected = {key: PIKA[key] for key in ("prompt", "duration", "resolution")}
    assert (IMAGE_MODEL, f"/{IMAGE_MODEL}", expected, {"image": "image_url"}) == (
        made.model, made.path, made.body, made.pictures
    )  # fmt: skip


def test_kling_spells_seconds_as_text_takes_no_seed_and_its_sound_is_switched_off() -> None:
    made = order("fal-ai/kling-video/v3/standard/text-to-video", duration_s=Decimal("3.2"), seed=7)
    assert made.body == {"prompt": "a paper boat", "duration": "4", "aspect_ratio": "9:16", "generate_audio": False}
    assert (made.price, made.left_out) == (336_000, ("seed",))


MINE = {"kind": "text", "prompt": {}, "duration": {"type": "number"}, "aspect_ratio": {"values": ["9:16"]}}


def test_an_endpoint_of_the_projects_own_table_is_bought_at_its_configured_price() -> None:
    made = order("me/mine", at={"price": 10_000, "own_models": {"me/mine": MINE}})
    assert (made.body, made.price) == ({"prompt": "a paper boat", "duration": 5, "aspect_ratio": "9:16"}, 50_000)


@pytest.mark.parametrize(("configured", "dollars"), [(30_000, "0.20"), (50_000, "0.25")])
def test_a_lower_configured_price_is_never_used(configured: int, dollars: str) -> None:
    assert Decimal(dollars) * 1_000_000 == order(at={"price": configured}).price


def test_a_price_is_rounded_up() -> None:
    assert order("fal-ai/veo3.1/fast", at={"price": 1}, duration_s=Decimal(4)).price == 4
    assert order("fal-ai/wan/v2.2-5b/text-to-video", at={"price": 1}, duration_s=Decimal(3)).price == 4  # of 3.375 s


@pytest.mark.parametrize(
    ("model", "changes", "at", "expected"),
    [
        (fal.MODEL, {"duration_s": Decimal("10.5")}, {}, "makes at most 10 s, the shot asks 10.5 s"),
        (fal.MODEL, {}, {"resolution": "4k"}, "offers 720p, 1080p, not 4k"),
        (IMAGE_MODEL, {}, {}, "needs an image"),
        ("fal-ai/kling-video/v3/pro/text-to-video", {}, {"resolution": "1080p"}, "takes no resolution"),
        ("fal-ai/wan/v2.2-a14b/text-to-video", {"image": "sha256:0"}, {}, "takes no image, and fal lists no endpoint"),
        ("fal-ai/minimax/hailuo-2.3/standard/text-to-video", {}, {}, "can't be told a shape"),
        ("fal-ai/minimax/hailuo-2.3/pro/image-to-video", {"image": "sha256:0"}, {}, "makes one length, which fal's"),
        ("fal-ai/veo3.1", {"aspect_ratio": "1:1"}, {}, "makes 16:9, 9:16, not 1:1"),
        ("fal-ai/veo3.1", {"duration_s": Decimal(9)}, {}, "makes at most 8 s, the shot asks 9 s"),
        ("fal-ai/veo3.1/first-last-frame-to-video", {"image": "sha256:0"}, {}, "between two pictures"),
        ("fal-ai/wan/v2.7/reference-to-video", {}, {}, "reference pictures"),
        ("fal-ai/stable-video", {"image": "sha256:0"}, {"price": 1, "durations": (Decimal(5),)}, "takes no prompt"),
        (
            "fal-ai/framepack",
            {"image": "sha256:0", "prompt": "x" * 501},
            {"durations": (Decimal(6),)},
            "prompts of 500 characters.* has 501",
        ),
        ("fal-ai/pixverse/c1/text-to-video", {"prompt": "ü" * 1025}, {}, "prompts of 2048 bytes, this one has 2050"),
        ("fal-ai/luma-dream-machine/ray-2", {}, {"durations": (Decimal(7),)}, "none of which is among its durations"),
        ("fal-ai/hunyuan-video-v1.5/text-to-video", {}, {"durations": (Decimal(5),)}, "offers 480p, and a good clip"),
        ("fal-ai/veo3.1/fast", {}, {}, "no price known for fal-ai/veo3.1/fast; look at https://fal.ai/models/fal-ai/v"),
        ("fal-ai/veo3.1/lite", {}, {}, "at 720p, 6 s; its unit price is known, but not what a unit is"),
        ("fal-ai/veo4", {}, {}, "doesn't know what fal-ai/veo4 takes.*`doit learn model=fal-ai/veo4`"),
        ("fal-ai/veo31", {}, {}, r"\(did you mean fal-ai/veo3.1\?\)"),
    ],
)
def test_what_the_model_cannot_make_is_told_with_the_limit(
    model: str, changes: dict[str, Any], at: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CannotMake, match=expected):
        order(model, at=at, **changes)


def test_the_create_call_is_a_post_with_key_and_picture() -> None:
    call = fal.create(order(image="sha256:0"), terms(), KEY, pictured.sent(image="https://x/boat.png"), TAG)
    assert ("POST", f"https://queue.fal.run/{IMAGE_MODEL}", "create") == (call.method, call.url, call.step)
    assert json.loads(call.body or b"")["image_url"] == "https://x/boat.png"
    assert f"Key {KEY}" == call.auth


def test_the_key_shows_in_no_repr() -> None:
    calls = [fal.create(order(), terms(), KEY, pictured.sent(), TAG), fal.poll(JOB, "", KEY), fal.cancel(JOB, "", KEY),
             status(reply(200, {"status": "COMPLETED"}))]  # fmt: skip
    assert ["canary" in repr(call) for call in calls] == [False] * 4


def test_the_urls_that_fal_gave_are_used_as_they_are() -> None:
    asked = status(reply(200, {"status": "COMPLETED"}))
    assert isinstance(asked, Call)
    calls = [fal.poll(JOB, "", KEY), asked, fal.cancel(JOB, "", KEY)]
    assert [("GET", URLS["status"]), ("GET", URLS["response"]), ("PUT", URLS["cancel"])] == [
        (call.method, call.url) for call in calls
    ]


def test_runway_and_pika_have_their_protocols_and_any_other_name_speaks_the_queue() -> None:
    assert [protocol_of(name) for name in ("runway", "pika", "wan", "kling")] == ["runway", "fal", "fal", "kling"]


# ── what a submit's answer means ──────────────────────────────────────────────────────────────────────────────────────


def submitted(**fields: Any) -> Reply:
    return reply(200, {"status": "IN_QUEUE", "request_id": ID, "queue_position": 0, **fields})


def test_an_accepted_request_brings_its_urls() -> None:
    given_ = {f"{name}_url": url for name, url in URLS.items()}
    assert Accepted(job=JOB) == fal.answer(submitted(**given_), terms())


@pytest.mark.parametrize(
    "elsewhere",
    [
        None,
        7,
        "",
        "/requests/1",
        "http://queue.fal.run/x",
        "https://queue.fal.run.evil.com/x",
        "https://queue.fal.run@evil.com/x",
        "https://queue.fal.run:8443/x",
        "https://evil.com/queue.fal.run",
        "https://[::1",
        "https://queue.fal.run/\n",
        "https://queue.fal.run/\ud800",
        "https://queue.fal.run/" + "a" * 70_000,
        "file:///etc/passwd",
    ],
    ids=lambda url: str(url)[:30],
)
def test_urls_of_another_origin_are_not_called_with_the_key(elsewhere: Any) -> None:
    given_ = {f"{name}_url": elsewhere for name in URLS}
    assert Accepted(job=JOB) == fal.answer(submitted(**given_), terms())


def test_urls_of_a_rehearsal_stay_there() -> None:
    here = "http://127.0.0.1:8080"
    found = fal.answer(submitted(status_url=f"{here}/s", response_url="http://127.0.0.1:9/r"), terms(base_url=here))
    assert isinstance(found, Accepted)
    assert (f"{here}/s", f"{here}/fal-ai/pika/requests/{ID}") == (found.job.urls["status"], found.job.urls["response"])


@pytest.mark.parametrize(
    "body",
    [b"", HTML, b"null", b"[]", {}, {"request_id": None}, {"request_id": 7}, {"request_id": "a/b"}, {"request_id": ""},
     {"id": ID}, {"request_id": "x" * 201}, b'{"request_id": "0b', b"\xff", b'{"a": 1e99999999999999999999}'],
    ids=lambda body: str(body)[:20],
)  # fmt: skip
def test_an_accepting_answer_without_a_usable_id_is_none(body: Any) -> None:
    assert isinstance(fal.answer(reply(200, body), terms()), Unclear)


@pytest.mark.parametrize(
    ("status_", "body", "headers", "reason", "message"),
    [
        (400, {"detail": "Bad"}, {}, RefusalReason.INPUT, "Bad"),
        (401, {"detail": "Authentication is required"}, {}, RefusalReason.KEY, "Authentication"),
        (402, {"detail": "Pay"}, {}, RefusalReason.CREDIT, "Pay"),
        (403, {"detail": "Forbidden"}, {}, RefusalReason.KEY, "Forbidden"),
        (403, {"detail": "User is locked. Reason: Exhausted balance."}, {}, RefusalReason.CREDIT, "Exhausted"),
        (404, {"detail": "Application 'x' not found"}, {}, RefusalReason.SETUP, "not found"),
        (405, {"detail": "Method"}, {}, RefusalReason.SETUP, "Method"),
        (413, {"detail": "Large"}, {}, RefusalReason.INPUT, "Large"),
        (422, {"detail": [{"loc": ["body"], "msg": "one"}, {"msg": "two"}, 3]}, {}, RefusalReason.INPUT, "one; two; 3"),
        (429, {"detail": "Slow"}, {"retry-after": "7"}, RefusalReason.RATE_LIMITED, "Slow"),
        (429, HTML, {}, RefusalReason.RATE_LIMITED, "HTTP 429"),
        (500, {"detail": "Internal"}, {}, RefusalReason.SERVER_ERROR, "Internal"),
        (503, {"message": "x"}, OWN, RefusalReason.SERVER_ERROR, "x"),
        (504, {"detail": "Timed out", "error_type": "request_timeout"}, {}, RefusalReason.SERVER_ERROR, "Timed out"),
    ],
    ids=str,
)
def test_an_explicit_no_is_understood(
    status_: int, body: Any, headers: dict[str, str], reason: RefusalReason, message: str
) -> None:
    found = fal.answer(reply(status_, body, headers), terms())
    assert isinstance(found, Refused)
    assert (reason, True) == (found.reason, message in found.message)
    assert (7 if "retry-after" in headers else None) == found.retry_after_s


@pytest.mark.parametrize(
    ("status_", "body"),
    [
        *((status_, HTML) for status_ in (500, 502, 503, 504, 408, 409, 301, 302, 307, 100)),
        (500, b""),
        (502, {"message": "a gateway's own JSON"}),
        (408, {"detail": "x"}),
        (409, {"detail": "x"}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_fals_own_word_is_no_answer(status_: int, body: Any) -> None:
    assert isinstance(fal.answer(reply(status_, body), terms()), Unclear)


# ── what a poll's answer means ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status_", [200, 202])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "IN_QUEUE", "queue_position": 2}, Queued(position=2)),
        ({"status": "IN_QUEUE", "queue_position": 0}, Queued(position=0)),
        ({"status": "IN_QUEUE"}, Queued()),
        ({"status": "IN_QUEUE", "queue_position": -1}, Queued()),
        ({"status": "IN_QUEUE", "queue_position": "2"}, Queued()),
        ({"status": "IN_PROGRESS", "logs": None}, Running()),
        ({"status": "CANCELLED"}, Cancelled()),
    ],
    ids=str,
)
def test_each_status_is_understood(status_: int, fields: dict[str, Any], expected: Status) -> None:
    assert expected == status(reply(status_, {"request_id": ID, **fields}))
    unnamed = status(reply(status_, fields))
    assert unnamed == expected or (expected == Cancelled() and isinstance(unnamed, Inconclusive)), "an end has a name"


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {"status": "FAILED"}),
        reply(200, {"status": None}),
        reply(200, {"status": ["COMPLETED"]}),
        reply(200, {}),
        reply(200, {"status": "COMPLETED", "request_id": "another"}),
        reply(200, HTML),
        reply(200, b""),
        reply(404, HTML),
        reply(404, b""),
        reply(302, b""),
        reply(400, {"detail": "x"}),
        reply(429, {"detail": "x"}),
        reply(500, {"detail": "x"}),
        reply(502, HTML),
        reply(504, HTML),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:40]!r}",
)
def test_what_says_nothing_about_the_request_is_asked_again(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Inconclusive)
    assert not found.key_rejected


@pytest.mark.parametrize("ask", [status, result])
def test_a_request_that_fal_does_not_know_is_missing(ask: Any) -> None:
    assert Missing() == ask(reply(404, {"detail": "Request not found"}))


@pytest.mark.parametrize("ask", [status, result])
@pytest.mark.parametrize("status_", [401, 403])
def test_a_rejected_key_says_nothing_about_the_request(ask: Any, status_: int) -> None:
    assert ask(reply(status_, {"detail": "x"})).key_rejected


def test_a_finished_request_brings_its_video() -> None:
    assert Done(url=VIDEO) == result(reply(200, {"video": {"url": VIDEO, "file_size": 4120933}}))


@pytest.mark.parametrize(
    ("status_", "body", "headers", "expected"),
    [
        (
            422,
            {"detail": [{"loc": ["body", "prompt"], "msg": "flagged", "type": "content_policy_violation"}]},
            {**OWN, "x-fal-billable-units": "0"},
            Failed(message="flagged", code="content_policy_violation", charged=0),
        ),
        (
            422,
            {"detail": [{"msg": "flagged", "type": "content_policy_violation"}]},
            {**OWN, "x-fal-billable-units": "5"},
            Failed(message="flagged", code="content_policy_violation"),
        ),
        (422, {"detail": "flagged"}, {}, Failed(message="flagged", unconfirmed=True)),
        (422, {"detail": [{"msg": "late", "type": "generation_timeout"}]}, {},
         Failed(message="late", code="generation_timeout", again=True)),
        (400, {"detail": "Request is still in progress"}, {}, Running()),
        (400, {"detail": "Bad"}, {}, Failed(message="Bad", unconfirmed=True)),
        (500, {"detail": [{"msg": "Oops", "type": "internal_server_error"}]}, OWN,
         Failed(message="Oops", code="internal_server_error", again=True, unconfirmed=True)),
        (500, {"detail": [{"msg": "Oops", "type": "internal_server_error"}]}, {**OWN, "x-fal-billable-units": "0"},
         Failed(message="Oops", code="internal_server_error", again=True, charged=0, unconfirmed=True)),
        (504, {"detail": "Timed out", "error_type": "request_timeout"}, OWN,
         Failed(message="Timed out", code="request_timeout", again=True, unconfirmed=True)),
        (200, {"error": "Runner disconnected", "error_type": "runner_disconnected"}, {},
         Failed(message="Runner disconnected", code="runner_disconnected", again=True)),
        (200, {"detail": "odd"}, {}, Failed(message="odd", unconfirmed=True)),
    ],
    ids=str,
)  # fmt: skip
def test_a_completed_request_may_hide_a_failure_in_its_result(
    status_: int, body: Any, headers: dict[str, str], expected: Status
) -> None:
    assert expected == result(reply(status_, body, headers))


def test_a_completed_request_may_hide_a_failure_in_its_status() -> None:
    error = {"error": "Runner disconnected", "error_type": "runner_disconnected"}
    body = {"status": "COMPLETED", "request_id": ID, **error}
    expected = Failed(message="Runner disconnected", code="runner_disconnected", again=True, charged=0)
    assert expected == status(reply(200, body))


@pytest.mark.parametrize(
    "more", [{"error": "odd"}, {"error": "x", "error_type": "content_policy_violation"}, {"error": None}]
)
def test_a_failure_that_may_be_the_requests_own_is_told_by_the_result(more: dict[str, Any]) -> None:
    asked = status(reply(200, {"status": "COMPLETED", **more}))
    assert isinstance(asked, Call)
    assert ("result", URLS["response"]) == (asked.step, asked.url)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(500, {"detail": "Internal server error"}), True),
        (reply(503, {"error": "x"}), True),
        (reply(500, HTML), False),
        (reply(500, b""), False),
        (reply(429, {"detail": "slow"}), False),
        (reply(302, b""), False),
    ],
    ids=str,
)
def test_an_unreadable_result_in_words_is_told_from_a_gateways_page(answer: Reply, expected: bool) -> None:
    assert result(answer).ended is expected
    assert status(answer).ended is False


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {"video": None}),
        reply(200, {"video": {"url": None}}),
        reply(200, {"video": {"url": ""}}),
        reply(200, {"video": {"url": "https://[::1"}}),
        reply(200, {"video": VIDEO}),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:40]!r}",
)
def test_a_result_that_names_no_usable_video_is_paid_all_the_same(answer: Reply) -> None:
    assert result(answer) == Done(url="", instead="its result names no usable video")


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        ({"images": [{"url": "https://v3.fal.media/a.png"}], "seed": 5}, "images, seed"),
        ({"videos": [VIDEO]}, "videos"),
        ({"seed": 5}, "seed"),
        ({"output": {"video": VIDEO}}, "output"),
    ],
)
def test_a_result_of_another_shape_is_the_jobs_if_the_application_says_it(body: dict[str, Any], holds: str) -> None:
    own = reply(200, body, {"x-fal-request-id": JOB.id})
    assert result(own) == Done(url="", instead=f"its result holds no video, but {holds}")
    other = result(reply(200, body))
    assert isinstance(other, Inconclusive)
    assert (other.ended, other.message) == (True, f"its result holds {holds}, and no video")


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {}),
        reply(200, HTML),
        reply(302, b""),
        reply(404, HTML),
        reply(408, HTML),
        reply(422, HTML),
        reply(429, {"detail": "slow"}),
        reply(500, HTML),
        reply(502, {"message": "a gateway's own JSON"}),
        reply(503, {"detail": "a gateway's own JSON"}),
        reply(504, b""),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:40]!r}",
)
def test_a_paid_request_is_not_failed_by_what_is_not_fals_own_word(answer: Reply) -> None:
    found = result(answer)
    assert isinstance(found, Inconclusive)
    assert not found.key_rejected


# ── jobs that were lost ───────────────────────────────────────────────────────────────────────────────────────────────


def test_an_adopted_job_has_the_standard_addresses() -> None:
    assert fal.job_from_id(ID, fal.MODEL, fal.BASE_URL) == JOB


def test_a_list_says_whose_each_job_is() -> None:
    page = {
        "items": [{"request_id": ID, "json_input": {"prompt": "a boat", "seed": 7}}],
        "has_more": True,
        "next_cursor": "c2",
    }
    assert fal.parse_job_list(reply(200, page)) == Listing(jobs=(Listed(id=ID, prompt="a boat", tag="7"),), more="c2")


@pytest.mark.parametrize(
    ("status_", "body"),
    [
        (200, HTML),
        (200, {}),
        (200, {"items": None}),
        (200, {"items": [7]}),
        (200, {"items": [{"request_id": ID}]}),
        (200, {"items": [{"request_id": "a/b", "json_input": {}}]}),
        (401, {"items": []}),
        (500, {"items": []}),
    ],
    ids=str,
)
def test_a_list_that_cannot_be_read_never_says_that_a_job_is_not_there(status_: int, body: Any) -> None:
    assert fal.parse_job_list(reply(status_, body)) is None


def test_the_key_goes_to_fals_own_list_only() -> None:
    urls = [fal.list_jobs(fal.MODEL, NOW, base, KEY, None).url for base in (fal.BASE_URL, "http://127.0.0.1:8080")]
    assert [url.split("/v1/")[0] for url in urls] == [fal.PLATFORM_URL, "http://127.0.0.1:8080"]


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([ID, VIDEO, "IN_QUEUE", "IN_PROGRESS", "COMPLETED"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["request_id", "status", "video", "url", "detail", "error", "error_type", "type", "msg",
                         "status_url", "response_url", "queue_position"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.sampled_from([200, 202, 302, 400, 401, 404, 422, 429, 500, 502, 504]),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30),
    st.sampled_from([{}, OWN]),
)
def test_any_answer_means_something(status_: int, body: bytes, headers: dict[str, str]) -> None:
    answer = reply(status_, body, headers)
    assert isinstance(fal.answer(answer, terms()), Accepted | Refused | Unclear)
    assert isinstance(status(answer), Queued | Running | Failed | Cancelled | Missing | Inconclusive | Call)
    assert isinstance(result(answer), Running | Done | Failed | Missing | Inconclusive)


def test_a_picture_that_is_too_small_is_refused_where_the_video_has_its_size() -> None:
    made = order("fal-ai/ltx-2-19b/image-to-video", at={"price": 40_000}, image="sha256:0", duration_s=Decimal(4))
    assert made.body["video_size"] == "auto"
    with pytest.raises(CannotMake, match="picture, 360x640, and a good clip has 720 lines"):
        request._refuse_foreseeable(made, None, recipe(image="sha256:0"), pictured.sent(image=(360, 640)))
    request._refuse_foreseeable(made, None, recipe(image="sha256:0"), pictured.sent(image=(720, 1280)))
