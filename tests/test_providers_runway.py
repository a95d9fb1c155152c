"""Runway's protocol: the request that is paid for, and what each of its answers means."""

import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.providers import prices, runway, runway_models
from vgen.providers.base import (
    Accepted,
    Call,
    Cancelled,
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
from vgen.recipe import Recipe

KEY = "key_vgencanary0123456789abcdef"
ID = "3f0d1b7e-6a52-4c1e-9d0f-2b9a5f7c1e44"
NOW = 1_795_000_000.0
URL = "https://dnznrvs05pmza.cloudfront.net/9c1e.mp4?_jwt=eyJ"
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"
JOB = Job(id=ID)
TAG = "0066e72ce7e8-910499383"


def terms(model: str = "gen4.5", **changes: Any) -> Terms:
    return Terms(**{"provider": "runway", "base_url": runway.BASE_URL, "model": model, **changes})


def recipe(**changes: Any) -> Recipe:
    return pictured.recipe(**{"prompt": "a paper boat", "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(model: str = "gen4.5", *, at: dict[str, Any] | None = None, **changes: Any) -> Order:
    return runway.order(recipe(**changes), terms(model, **(at or {})))


def reply(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, body=data, at=NOW)


def task(**fields: Any) -> Reply:
    return reply(200, {"id": ID, "createdAt": "2026-11-22T10:00:00.123Z", **fields})


def status(answer: Reply) -> Status | Call:
    return runway.status(runway.poll(JOB, runway.BASE_URL, KEY), answer, JOB, KEY)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────────────────────────

BOAT = {"promptText": "a paper boat"}
MP4 = {"outputFormat": "mp4"}
TALL, WIDE = {"ratio": "720:1280"}, {"ratio": "1280:720"}


@pytest.mark.parametrize(
    ("model", "changes", "body", "dollars"),
    [
        ("gen4.5", {}, {**BOAT, **MP4, **TALL, "duration": 5}, "0.60"),
        ("gen4.5", {"aspect_ratio": "16:9", "seed": 42}, {**BOAT, **MP4, **WIDE, "duration": 5, "seed": 42}, "0.60"),
        ("gen4.5", {"negative_prompt": "fog"}, {**BOAT, **MP4, **TALL, "duration": 5}, "0.60"),
        (
            "gen4.5",
            {"image": "sha256:0", "aspect_ratio": "1:1"},
            {**BOAT, **MP4, "ratio": "960:960", "duration": 5},
            "0.60",
        ),
        ("gen4_turbo", {"image": "sha256:0"}, {**BOAT, **TALL, "duration": 5}, "0.25"),
        ("gen4_turbo", {"image": "sha256:0", "seed": 0}, {**BOAT, **TALL, "duration": 5, "seed": 0}, "0.25"),
        ("veo3.1", {"duration_s": Decimal(4)}, {**BOAT, **TALL, "duration": 4, "audio": False}, "0.80"),
        (
            "veo3.1_fast",
            {"negative_prompt": "fog", "seed": 7},
            {**BOAT, **TALL, "duration": 6, "audio": False, "negativePrompt": "fog", "seed": 7},
            "0.60",
        ),
        ("seedance2", {}, {**BOAT, **TALL, "duration": 5, "audio": False}, "1.80"),
        (
            "seedance2_5",
            {"aspect_ratio": "1:1"},
            {**BOAT, **MP4, "ratio": "960:960", "duration": 5, "audio": False, "draft": False},
            "1.50",
        ),
        ("gemini_omni_flash", {"seed": 7, "negative_prompt": "x"}, {**BOAT, **TALL, "duration": 5}, "0.50"),
        ("hailuo3", {}, {**BOAT, "ratio": "9:16", "resolution": "768p", "duration": 5}, "0.50"),
        ("hailuo3", {"aspect_ratio": "1:1"}, {**BOAT, "ratio": "1:1", "resolution": "768p", "duration": 5}, "0.50"),
    ],
    ids=str,
)
def test_the_request_is_exactly_this(model: str, changes: dict[str, Any], body: dict[str, Any], dollars: str) -> None:
    made = order(model, **changes)
    endpoint = "image_to_video" if "image" in changes else "text_to_video"
    assert ({"model": model, **body}, f"/v1/{endpoint}", model) == (made.body, made.path, made.model)
    assert Decimal(dollars) * 1_000_000 == made.price


@pytest.mark.parametrize(
    ("model", "resolution", "body", "dollars"),
    [
        ("veo3.1", "1080p", {"ratio": "1080:1920"}, "1.20"),
        ("veo3.1", "720p", {"ratio": "720:1280"}, "1.20"),
        ("hailuo3", "2k", {"resolution": "2k", "ratio": "9:16"}, "0.75"),
        ("hailuo3", "2K", {"resolution": "2k", "ratio": "9:16"}, "0.75"),
        ("seedance2_5", "480p", {"ratio": "480:854"}, "1.00"),
        ("grok_imagine_1_5", None, {"resolution": "720p", "ratio": "9:16"}, "0.80"),
    ],
)
def test_the_resolution_decides_ratio_and_price(
    model: str, resolution: str | None, body: dict[str, str], dollars: str
) -> None:
    made = order(model, at={"resolution": resolution})
    assert body == {key: made.body[key] for key in body}
    assert Decimal(dollars) * 1_000_000 == made.price


@pytest.mark.parametrize(
    ("model", "asked", "bought", "dollars"),
    [
        ("gen4.5", "1", 2, "0.24"),
        ("gen4.5", "2", 2, "0.24"),
        ("gen4.5", "2.1", 3, "0.36"),
        ("gen4.5", "10", 10, "1.20"),
        ("veo3.1", "1", 4, "0.80"),
        ("veo3.1", "4.5", 6, "1.20"),
        ("veo3.1", "8", 8, "1.60"),
        ("hailuo3", "3", 5, "0.50"),
        ("seedance2_5", "30", 30, "9.00"),
    ],
)
def test_the_next_longer_duration_is_bought_and_paid(model: str, asked: str, bought: int, dollars: str) -> None:
    made = order(model, duration_s=Decimal(asked))
    assert (bought, bought, Decimal(dollars) * 1_000_000) == (made.bought_s, made.body["duration"], made.price)
    assert isinstance(made.body["duration"], int)


def test_configured_durations_go_before_the_models_as_far_as_it_takes_them() -> None:
    assert order(at={"durations": (Decimal(8),)}).bought_s == 8
    assert order("veo3.1", at={"durations": (Decimal(5), Decimal(8))}).bought_s == 8
    assert order(at={"durations": ()}, duration_s=Decimal("4.5")).bought_s == 5
    assert Decimal("4.5") == order("new", at={"durations": (), "price": 1}, duration_s=Decimal("4.5")).bought_s


SOUND = [
    ("veo3.1", 20, 40),
    ("veo3.1_fast", 10, 15),
    ("seedance2", 36, 36),
    ("kling3.0_pro", 12, 17),
    ("gen4.5", 12, 12),
]


@pytest.mark.parametrize(("model", "silent", "sound"), SOUND)
def test_the_price_table_tells_sound_from_silence(model: str, silent: int, sound: int) -> None:
    rates = prices.RUNWAY[model]
    seconds = Decimal(4)
    assert rates.clip(seconds, "720p", sound=False, pictures=0) == 4 * silent * 10_000
    assert rates.clip(seconds, "720p", sound=True, pictures=0) == 4 * sound * 10_000


def test_where_only_the_price_with_sound_was_told_it_is_reserved_for_silence_too() -> None:
    made = order("kling3.0_standard")
    assert (made.body["audio"], made.price) == (False, 650_000)


@pytest.mark.parametrize(
    ("model", "changes", "resolution", "charged"),
    [
        ("grok_imagine_1_5", {"image": "sha256:0", "duration_s": Decimal(4)}, None, 65),  # as measured
        ("grok_imagine_1_5", {"image": "sha256:0", "duration_s": Decimal(1)}, None, 17),
        ("grok_imagine_1_5", {"duration_s": Decimal(10)}, "1080p", 290),
        ("grok_imagine_1_5_lite", {"image": "sha256:0"}, None, 16),
        ("grok_imagine_1_5_lite", {"aspect_ratio": "16:9"}, "1080p", 70),
        ("gemini_omni_flash", {"image": "sha256:0"}, None, 51),
        ("gemini_omni_flash_1.1", {"duration_s": Decimal(7)}, "2160p", 210),
        ("wan3_prime", {"duration_s": Decimal(7), "image": "sha256:0"}, "480p", 48),  # 47.6: in whole credits
        ("wan3", {"duration_s": Decimal(7)}, "1080p", 140),
        ("seedance2", {"duration_s": Decimal(4)}, "1080p", 160),
        ("seedance2", {"duration_s": Decimal(4)}, "2160p", 600),
        ("seedance2_5", {}, "1080p", 340),
        ("seedance2_mini", {"duration_s": Decimal(4)}, None, 64),
        ("h3_max", {"image": "sha256:0"}, None, 40),
        ("happyhorse_1_0", {"image": "sha256:0"}, "1080p", 150),
    ],
    ids=str,
)
def test_the_price_is_for_exactly_this_body(
    model: str, changes: dict[str, Any], resolution: str | None, charged: int
) -> None:
    assert order(model, at={"resolution": resolution}, **changes).price == charged * 10_000


@pytest.mark.parametrize(
    ("model", "changes", "at", "expected"),
    [
        ("gen4.5", {"duration_s": Decimal("10.1")}, {}, "gen4.5 makes at most 10 s, the shot asks 10.1 s"),
        ("veo3.1", {"duration_s": Decimal(9)}, {}, "at most 8 s"),
        ("gen4.5", {"aspect_ratio": "1:1"}, {}, "gen4.5 does not offer 1:1"),
        ("veo3.1", {"aspect_ratio": "1:1", "image": "sha256:0"}, {}, "does not offer 1:1"),
        ("gen4.5", {}, {"resolution": "1080p"}, "does not offer 9:16 at 1080p"),
        ("gen4.5", {}, {"resolution": "4K"}, "resolution 4K is not like 720p"),
        ("hailuo3", {}, {"resolution": "480p"}, "offers 768p, 2k"),
        ("gen4_turbo", {}, {}, "makes video from an image only"),
        ("gen4.5", {"prompt": "x" * 1001}, {}, "prompts of 1000 UTF-16 units, this one has 1001"),
        ("gen4.5", {"prompt": "🛶" * 501}, {}, "this one has 1002"),
        ("seedance2", {"prompt": "x" * 3501}, {}, "3500"),
        ("kling_4", {}, {}, "no price known for kling_4"),
        ("nobody_knows_1", {}, {}, "no price known for nobody_knows_1; set its cost_per_second_usd"),
        ("seedance2_fast", {}, {"resolution": "1080p"}, "seedance2_fast does not offer 9:16 at 1080p"),
        ("kling3.0_4k", {}, {}, "no price known for kling3.0_4k"),
        ("happyhorse_1_0", {"prompt": "x"}, {}, "prompts of at least 2 characters, this one has 1"),
        ("veo3.1", {"negative_prompt": "x" * 1001}, {}, "negative prompts of 1000 UTF-16 units, this one has 1001"),
        ("gen4.5", {"seed": 2**32}, {}, "gen4.5 takes seeds from 0 to 4294967295, not 4294967296"),
        ("gen4.5", {"seed": -1}, {}, "not -1"),
        ("h3_max", {}, {}, "h3_max lets nobody choose the shape of a video from text; give the shot an image"),
        ("veo3.1", {}, {"durations": (Decimal(5),)}, "veo3.1 makes 4, 6, 8 s, the config's durations have none .*: 5"),
        ("gen4.5", {}, {"durations": (Decimal("4.5"),)}, "gen4.5 makes 2 to 10 s, the config's durations have none"),
        ("wan3", {"image": "sha256:0"}, {"resolution": "2160p"}, "wan3 does not offer 2160p from an image"),
    ],
    ids=str,
)
def test_what_the_model_cannot_make_is_told_with_the_limit(
    model: str, changes: dict[str, Any], at: dict[str, Any], expected: str
) -> None:
    with pytest.raises(CannotMake, match=expected):
        order(model, at=at, **changes)


@pytest.mark.parametrize("prompt", ["x" * 1000, "🛶" * 500, "é" * 1000])
def test_prompts_are_counted_in_utf16_units(prompt: str) -> None:
    assert prompt == order(prompt=prompt).body["promptText"]


def test_an_unknown_model_is_bought_at_its_configured_price() -> None:
    made = order("nobody_knows_1", at={"price": 100_000, "durations": (Decimal(4), Decimal(8))}, seed=1)
    expected = {"model": "nobody_knows_1", **BOAT, **TALL, "duration": 8, "seed": 1}
    assert (expected, 800_000) == (made.body, made.price)


@pytest.mark.parametrize(("configured", "dollars"), [(50_000, "0.60"), (120_000, "0.60"), (200_000, "1.00")])
def test_a_lower_configured_price_is_never_used(configured: int, dollars: str) -> None:
    assert Decimal(dollars) * 1_000_000 == order(at={"price": configured}).price


def test_a_price_is_rounded_up() -> None:
    assert order("new", at={"price": 1, "durations": ()}, duration_s=Decimal("0.001")).price == 1


def test_the_stored_request_is_canonical_and_holds_no_picture() -> None:
    made = order("gen4_turbo", image="sha256:0", prompt="é 🛶")
    assert made.text == '{"duration":5,"model":"gen4_turbo","promptText":"é 🛶","ratio":"720:1280"}'


def test_the_create_call_is_a_post_with_version_key_and_picture() -> None:
    made = order("gen4_turbo", image="sha256:0")
    call = runway.create(made, terms("gen4_turbo"), KEY, pictured.sent(image="data:image/png;base64,AAAA"), TAG)
    assert ("POST", f"{runway.BASE_URL}/v1/image_to_video", "create") == (call.method, call.url, call.step)
    assert dict(call.headers) == {"Content-Type": "application/json", "X-Runway-Version": "2024-11-06"}
    assert {**made.body, "promptImage": "data:image/png;base64,AAAA"} == json.loads(call.body or b"")
    assert f"Bearer {KEY}" == call.auth


def test_the_key_shows_in_no_repr() -> None:
    calls = [runway.create(order(), terms(), KEY, pictured.sent(), TAG), runway.poll(JOB, runway.BASE_URL, KEY),
             runway.cancel(JOB, runway.BASE_URL, KEY)]  # fmt: skip
    assert ["canary" in repr(call) for call in calls] == [False] * 3


def test_poll_and_cancel_ask_for_the_task() -> None:
    poll, cancel = runway.poll(JOB, "https://x", KEY), runway.cancel(Job(id="a/../b"), "https://x", KEY)
    assert ("GET", f"https://x/v1/tasks/{ID}", "status") == (poll.method, poll.url, poll.step)
    assert (cancel.method, cancel.url, cancel.step) == ("DELETE", "https://x/v1/tasks/a%2F..%2Fb", "cancel")


def test_every_priced_model_can_be_ordered() -> None:
    for model in prices.RUNWAY:
        taken = runway_models.models()["text_to_video"].get(model, {"fields": {}})["fields"]
        image = None if "ratio" in taken else "sha256:0"
        assert order(model, image=image).price > 0


# ── what a create's answer means ──────────────────────────────────────────────────────────────────────────────────────

NO_CREDIT = {"error": "You do not have enough credits to run this task.", "docUrl": "https://docs.dev.runwayml.com/api"}
INVALID = {
    "error": "Validation of body failed",
    "issues": [
        {"code": "invalid_value", "path": ["ratio"], "message": "Invalid option"},
        {"code": "too_big", "path": ["references", 0, "uri"], "message": "Too long"},
    ],
}


@pytest.mark.parametrize(
    ("estimated", "quoted"),
    [
        ({"credits": 60}, 600_000),
        ({"credits": 81.25}, 812_500),
        ({"credits": 0.00001}, 1),
        ({"credits": 0}, 0),
        (None, None),
        ({}, None),
        ({"credits": None}, None),
        ({"credits": True}, None),
        ({"credits": "60"}, None),
        ({"credits": -1}, None),
        ({"credits": 10**30}, None),
        (60, None),
    ],
    ids=str,
)
def test_an_accepted_task_may_tell_its_price(estimated: Any, quoted: int | None) -> None:
    expected = Accepted(job=Job(id=ID), quoted=quoted)
    assert expected == runway.answer(reply(200, {"id": ID, "estimatedCost": estimated}), terms())


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1e99999999999999999999", "9" * 400])
def test_a_price_beyond_all_measure_does_not_lose_the_job(number: str) -> None:
    found = runway.answer(reply(200, f'{{"id": "{ID}", "estimatedCost": {{"credits": {number}}}}}'.encode()), terms())
    assert found == Accepted(job=Job(id=ID)) or isinstance(found, Unclear)


@pytest.mark.parametrize("status_", [200, 201, 202])
@pytest.mark.parametrize(
    "body",
    [b"", HTML, b"null", b"[]", b'"x"', {}, {"id": None}, {"id": ""}, {"id": 7}, {"id": {}}, {"id": "a b"},
     {"id": "a/b"}, {"id": "a\nb"}, {"id": "x" * 201}, {"id": "é"}, {"ID": ID}, b'{"id": "3f0d', b"\xff", b"[" * 5000,
     b'{"id": ' + b"9" * 5000 + b"}"],
    ids=lambda body: str(body)[:20],
)  # fmt: skip
def test_an_accepting_answer_without_a_usable_id_is_none(status_: int, body: Any) -> None:
    assert isinstance(runway.answer(reply(status_, body), terms()), Unclear)


@pytest.mark.parametrize(
    ("status_", "body", "reason", "message"),
    [
        (400, INVALID, RefusalReason.INPUT, "ratio: Invalid option; references.0.uri: Too long"),
        (400, {"error": "Bad", "issues": [3, {"path": None}]}, RefusalReason.INPUT, "Bad"),
        (400, NO_CREDIT, RefusalReason.CREDIT, "enough credits"),
        (401, {"error": "No API key was provided."}, RefusalReason.KEY, "No API key"),
        (402, {"error": "Pay"}, RefusalReason.CREDIT, "Pay"),
        (403, {"error": "Forbidden"}, RefusalReason.KEY, "Forbidden"),
        (404, {"error": "There is no such path"}, RefusalReason.SETUP, "no such path"),
        (405, {"error": "Not so"}, RefusalReason.SETUP, "Not so"),
        (409, {"error": "Conflict"}, RefusalReason.INPUT, "Conflict"),
        (413, {"error": "Too long"}, RefusalReason.INPUT, "Too long"),
        (422, {"error": "Can't"}, RefusalReason.INPUT, "Can't"),
        (429, {"error": "Daily limit"}, RefusalReason.RATE_LIMITED, "Daily limit"),
        (429, HTML, RefusalReason.RATE_LIMITED, "HTTP 429"),
        (500, {"error": "Internal"}, RefusalReason.SERVER_ERROR, "Internal"),
        (502, {"error": "Upstream"}, RefusalReason.SERVER_ERROR, "Upstream"),
        (503, {"error": "Load shedding"}, RefusalReason.SERVER_ERROR, "Load shedding"),
    ],
    ids=str,
)
def test_an_explicit_no_is_understood(status_: int, body: Any, reason: RefusalReason, message: str) -> None:
    found = runway.answer(reply(status_, body), terms())
    assert isinstance(found, Refused)
    assert (reason, True) == (found.reason, message in found.message)


@pytest.mark.parametrize(
    ("status_", "body"),
    [
        *((status_, HTML) for status_ in (500, 502, 503, 504, 408, 409, 301, 302, 307, 308, 418, 100)),
        *((status_, b"") for status_ in (500, 504, 303)),
        (500, {"message": "not in the form of Runway's own"}),
        (500, {"error": {"nested": True}}),
        (500, []),
        (408, {"error": "Timeout"}),
        (307, {"error": "elsewhere", "id": ID}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_not_runways_own_word_is_no_answer(status_: int, body: Any) -> None:
    assert isinstance(runway.answer(reply(status_, body, {"location": "/x"}), terms()), Unclear)


@pytest.mark.parametrize(("header", "expected"), [("7", 7), ("junk", None), (None, None), ("nan", None)])
def test_retry_after_is_handed_on(header: str | None, expected: float | None) -> None:
    found = runway.answer(reply(429, {"error": "x"}, {"retry-after": header} if header else {}), terms())
    assert isinstance(found, Refused)
    assert expected == found.retry_after_s


# ── what a poll's answer means ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "PENDING", "estimatedCost": {"credits": 60}}, Queued()),
        ({"status": "THROTTLED"}, Queued()),
        ({"status": "RUNNING", "progress": 0.45}, Running(progress=0.45)),
        ({"status": "RUNNING", "progress": 0}, Running(progress=0)),
        ({"status": "RUNNING", "progress": 1}, Running(progress=1)),
        ({"status": "RUNNING"}, Running()),
        ({"status": "RUNNING", "progress": 1.5}, Running()),
        ({"status": "RUNNING", "progress": -0.1}, Running()),
        ({"status": "RUNNING", "progress": float("nan")}, Running()),
        ({"status": "RUNNING", "progress": "half"}, Running()),
        ({"status": "RUNNING", "progress": True}, Running()),
        ({"status": "SUCCEEDED", "output": [URL], "cost": {"credits": 60}}, Done(url=URL, charged=600_000)),
        ({"status": "SUCCEEDED", "output": [URL]}, Done(url=URL)),
        ({"status": "SUCCEEDED", "output": [URL, "https://x/2"], "cost": {}}, Done(url=URL)),
        ({"status": "CANCELLED", "cost": {"credits": 60}}, Cancelled(charged=600_000)),
        ({"status": "CANCELLED"}, Cancelled()),
        (
            {"status": "FAILED", "failure": "Oops", "cost": {"credits": 0}},
            Failed(message="Oops", again=True, charged=0),
        ),
        ({"status": "FAILED", "failureCode": None}, Failed(message="the task failed", again=True)),
    ],
    ids=str,
)
def test_each_status_is_understood(fields: dict[str, Any], expected: Status) -> None:
    assert expected == status(task(**fields))


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("", True),
        ("INTERNAL", True),
        ("INTERNAL.BAD_OUTPUT.CODE01", True),
        ("THIRD_PARTY.UNAVAILABLE", True),
        ("INPUT_PREPROCESSING.INTERNAL", True),
        ("INPUT_PREPROCESSING.INTERNAL.X", True),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", False),
        ("INPUT_PREPROCESSING.SAFETY.THIRD_PARTY", False),
        ("SAFETY.INPUT.TEXT", False),
        ("SAFETY.OUTPUT.VIDEO", False),
        ("SAFETY", False),
        ("SAFETYNET", True),
        ("ASSET.INVALID", False),
        ("ASSET.INVALID.SIZE", False),
        ("SOMETHING.NEW", True),
    ],
)
def test_a_failure_is_judged_by_the_longest_prefix_of_its_code(code: str, again: bool) -> None:
    found = status(task(status="FAILED", failure="x", failureCode=code, cost={"credits": 60}))
    assert Failed(message="x", code=code, again=again, charged=600_000) == found


@pytest.mark.parametrize(
    "answer",
    [
        task(status="SUCCEEDED"),
        task(status="SUCCEEDED", output=[]),
        task(status="SUCCEEDED", output=URL),
        task(status="SUCCEEDED", output=[None]),
        task(status="SUCCEEDED", output=[""]),
        task(status="SUCCEEDED", output=["https://[::1"]),
        task(status="SUCCEEDED", output=["https://x/\ud800"]),
        task(status="SUCCEEDED", output=["https://x/" + "a" * 70_000]),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:40]!r}",
)
def test_a_task_that_succeeded_is_paid_even_if_it_names_no_usable_file(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Done)
    assert (found.url, found.charged) == ("", None)
    assert found.instead.startswith("its output names no file: ")


@pytest.mark.parametrize(
    "answer",
    [
        task(status="PAUSED"),
        task(status=None),
        task(status=["SUCCEEDED"]),
        task(status="succeeded", output=[URL]),
        reply(200, {"id": "another", "status": "SUCCEEDED", "output": [URL]}),
        reply(200, HTML),
        reply(200, b""),
        reply(200, b'{"status": "SUCC'),
        reply(404, HTML),
        reply(404, b""),
        reply(302, HTML),
        reply(400, {"error": "Bad"}),
        reply(408, HTML),
        reply(429, {"error": "slow"}),
        reply(500, {"error": "Internal"}),
        reply(502, HTML),
        reply(503, HTML),
        reply(504, HTML),
    ],
    ids=lambda answer: f"{answer.status} {answer.body[:40]!r}",
)
def test_what_says_nothing_about_the_task_is_asked_again(answer: Reply) -> None:
    found = status(answer)
    assert isinstance(found, Inconclusive)
    assert (found.key_rejected, found.message.isprintable()) == (False, True)


def test_a_task_that_runway_does_not_know_is_missing() -> None:
    assert Missing() == status(reply(404, {"error": "This task does not exist, or was deleted or canceled."}))


@pytest.mark.parametrize("status_", [401, 403])
def test_a_rejected_key_says_nothing_about_the_task(status_: int) -> None:
    found = status(reply(status_, {"error": "No"}))
    assert isinstance(found, Inconclusive)
    assert found.key_rejected


def test_a_poll_that_is_throttled_says_how_long() -> None:
    assert Inconclusive(message="HTTP 429", retry_after_s=7) == status(reply(429, b"", {"retry-after": "7"}))


def test_long_and_strange_words_come_as_one_short_line() -> None:
    found = status(task(status="FAILED", failure="a\nb\x1b[31m\ud800 " + "x" * 10_000))
    assert isinstance(found, Failed)
    assert (found.message.isprintable(), len(found.message) <= 300) == (True, True)


BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
    | st.sampled_from([ID, URL, "SUCCEEDED", "FAILED", "RUNNING", "PENDING"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "status", "output", "cost", "credits", "failure", "failureCode", "progress", "error",
                         "estimatedCost", "issues", "path", "message"]), inner, max_size=5),
    max_leaves=8,
)  # fmt: skip
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 409, 422, 429, 500, 502, 504])


@pytest.mark.slow
@given(STATUSES, BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30))
def test_any_answer_means_something(status_: int, body: bytes) -> None:
    answer = reply(status_, body)
    assert isinstance(runway.answer(answer, terms()), Accepted | Refused | Unclear)
    assert isinstance(status(answer), Queued | Running | Done | Failed | Cancelled | Missing | Inconclusive)


def test_prices_carry_their_date() -> None:
    assert prices.AS_OF == "2026-11-28"
