"""The simulator in process: real httpx over its network, virtual time, every fault as a client sees it."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from fakes import transport
from simulator_world import (
    BOAT,
    EPOCH,
    FAL_HEADERS,
    HEADERS,
    PIKA,
    RUNWAY,
    T2V,
    UUID4,
    World,
    fake_facts,
    now,
    run,
    tall_picture,
    world,
)

from vgen.simulator import runway_rules
from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING, Faults
from vgen.simulator.jobs import Clip, Order
from vgen.simulator.network import BLACK_HOLE, SimulatedNetwork
from vgen.simulator.renderers import FAKE_MAGIC, plain_renderer

# --- Runway


def test_runway_sells_a_clip_from_create_to_download() -> None:
    async def story() -> None:
        async with world() as w:
            created = await w.create()
            assert created.status_code == 200
            task_id = created.json()["id"]
            assert UUID4.fullmatch(task_id)
            assert created.json()["estimatedCost"] == {"credits": 60}
            pending = (await w.task(task_id)).json()
            assert pending == {
                "id": task_id,
                "createdAt": "2026-09-21T14:13:20.000Z",
                "status": "PENDING",
                "estimatedCost": {"credits": 60},
            }
            await trio.sleep(0.7)
            running = (await w.task(task_id)).json()
            assert (running["status"], running["progress"]) == ("RUNNING", 0.5)
            assert w.charged_usd() == 0
            await trio.sleep(0.6)
            done = (await w.task(task_id)).json()
            assert (done["status"], done["cost"]) == ("SUCCEEDED", {"credits": 60})
            assert "estimatedCost" not in done
            (url,) = done["output"]
            assert url.startswith(f"{RUNWAY}/media/")
            media = await w.http.get(url)
            assert media.headers["content-type"] == "video/mp4"
            assert len(media.content) == int(media.headers["content-length"]) == 150_000
            facts = fake_facts(media.content)
            assert (facts["width"], facts["height"], facts["duration_s"]) == (1280, 720, 5)
            assert facts["prompt"] == "a paper boat"
            assert w.charged_usd() == 0.6

    run(story)


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"duration": 11}, [["duration"]]),
        ({"duration": 1, "ratio": "16:9", "promptText": ""}, [["duration"], ["promptText"], ["ratio"]]),
        ({"duration": "5"}, [["duration"]]),
        ({"duration": True}, [["duration"]]),
        ({"promptText": "x" * 1001}, [["promptText"]]),
        ({"promptText": "\N{PAPERCLIP}" * 999 + "\N{CLAPPER BOARD}"}, [["promptText"]]),
        ({"seed": -1}, [["seed"]]),
        ({"model": "gen9"}, [["model"]]),
        ({"model": "hailuo3", "ratio": "16:9", "surprise": 1}, [[]]),
        ({"model": "veo3.1", "duration": 5}, [["duration"]]),
        ({"model": "seedance2", "duration": 3}, [["duration"]]),
        ({"model": "seedance2", "duration": "long"}, [["duration"]]),
    ],
)
def test_runway_tells_all_issues_at_once(changes: dict[str, Any], paths: list[list[str]]) -> None:
    async def story() -> None:
        async with world() as w:
            refused = await w.create(**changes)
            assert refused.status_code == 400
            assert refused.json()["error"] == "Validation of body failed"
            assert sorted(issue["path"] for issue in refused.json()["issues"]) == paths
            assert all(issue["code"] and issue["message"] for issue in refused.json()["issues"])
            assert w.cloud.charges()["creates"] == 0

    run(story)


def test_runway_accepts_what_its_table_allows() -> None:
    async def story() -> None:
        async with world(concurrency=50) as w:
            for changes in (
                {"duration": 5.0},
                {"promptText": "\N{CLAPPER BOARD}" * 500},
                {"surprise": 1},
                {"model": "seedance2", "duration": "auto"},
                {"model": "veo3.1_fast", "duration": 8, "audio": False},
                {"model": "kling3.0_4k", "ratio": "3840:2160", "surprise": 1},
            ):
                assert (await w.create(**changes)).status_code == 200, changes

    run(story)


def test_an_unknown_model_is_told_which_there_are() -> None:
    issues = runway_rules.issues("text_to_video", {"model": "veo3"}, {"runway-gen-3"})
    assert all(f"'{name}'" in issues[0]["message"] for name in ("gen4.5", "veo3.1", "runway-gen-3"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "Bearer sk-1", "x-runway-version": "2024-11-06"}, 401),
        ({"x-runway-version": "2024-11-06"}, 401),
        ({"authorization": "Bearer key_1"}, 400),
        ({"authorization": "Bearer key_1", "x-runway-version": "2024-09-13"}, 400),
    ],
)
def test_runway_wants_its_headers(headers: dict[str, str], status: int) -> None:
    async def story() -> None:
        async with world() as w:
            for method, path in (("POST", "/v1/text_to_video"), ("GET", "/v1/organization")):
                refused = await w.http.request(method, RUNWAY + path, headers=headers, json=BOAT)
                assert refused.status_code == status
                assert "error" in refused.json()

    run(story)


def test_image_to_video_wants_an_image() -> None:
    async def story() -> None:
        async with world() as w:
            url = f"{RUNWAY}/v1/image_to_video"
            for image, status in (
                (None, 400),
                ("ftp://example.org/a.png", 400),
                ([], 400),
                ([{"uri": "https://example.org/a.png", "position": "first"}] * 2, 400),
                ("https://example.org/a.png", 200),
                ([{"uri": "data:image/png;base64,iVBORw0KGgo=", "position": "first"}], 200),
            ):
                body = {**BOAT, "ratio": "960:960"} | ({} if image is None else {"promptImage": image})
                assert (await w.http.post(url, headers=HEADERS, json=body)).status_code == status, image

    run(story)


def test_throttled_tasks_run_later_in_order() -> None:
    async def story() -> None:
        async with world(concurrency=2) as w:
            ids = [(await w.create(promptText=f"p{n}")).json()["id"] for n in range(5)]

            async def states() -> list[str]:
                return [(await w.task(one)).json()["status"] for one in ids]

            assert await states() == ["PENDING", "PENDING", "THROTTLED", "THROTTLED", "THROTTLED"]
            await trio.sleep(0.3)
            assert await states() == ["RUNNING", "RUNNING", "THROTTLED", "THROTTLED", "THROTTLED"]
            await trio.sleep(1)
            assert await states() == ["SUCCEEDED", "SUCCEEDED", "RUNNING", "RUNNING", "THROTTLED"]
            await trio.sleep(2)
            assert await states() == ["SUCCEEDED"] * 5
            assert {name: peak for name, peak in w.cloud.charges()["peak_in_flight"].items() if peak} == {"runway": 5}
            assert w.charged_usd() == 3

    run(story)


def test_a_place_that_a_cancelled_task_frees_is_not_taken_back_in_time() -> None:
    async def story() -> None:
        async with world(concurrency=1) as w:
            first, second = [(await w.create()).json()["id"] for _ in range(2)]
            await trio.sleep(0.8)
            await w.http.delete(f"{RUNWAY}/v1/tasks/{first}", headers=HEADERS)
            await trio.sleep(0.9)
            assert (await w.task(second)).json()["status"] == "RUNNING"
            await trio.sleep(0.2)
            assert (await w.task(second)).json()["status"] == "SUCCEEDED"

    run(story)


@pytest.mark.parametrize(("wait_s", "charged_usd"), [(0.1, 0), (0.7, 0.6), (2, 0.6)])
def test_deleting_refunds_only_what_has_not_started(wait_s: float, charged_usd: float) -> None:
    async def story() -> None:
        async with world() as w:
            task_id = (await w.create()).json()["id"]
            await trio.sleep(wait_s)
            url = f"{RUNWAY}/v1/tasks/{task_id}"
            deleted = await w.http.delete(url, headers=HEADERS)
            assert (deleted.status_code, deleted.content) == (204, b"")
            gone = await w.task(task_id)
            assert gone.status_code == 404
            assert "does not exist" in gone.json()["error"]
            assert (await w.http.delete(url, headers=HEADERS)).status_code == 404
            await trio.sleep(5)
            assert w.charged_usd() == charged_usd

    run(story)


def test_the_balance_goes_down_and_ends_sales() -> None:
    async def story() -> None:
        async with world(credits_usd=Decimal("1.00")) as w:
            await w.bought()
            organization = await w.http.get(f"{RUNWAY}/v1/organization", headers=HEADERS)
            assert organization.json()["creditBalance"] == 40
            assert organization.json()["usage"]["models"] == {"gen4.5": {"dailyGenerations": 1}}
            refused = await w.create()
            assert refused.status_code == 400
            assert refused.json()["error"] == "You do not have enough credits to run this task."
            assert "issues" not in refused.json()
            assert (await w.submit()).status_code == 200, "fal has an account of its own"

    run(story)


def test_auto_duration_is_estimated_at_the_most_and_charged_as_delivered() -> None:
    async def story() -> None:
        async with world() as w:
            created = await w.create(model="seedance2", duration="auto")
            assert created.json()["estimatedCost"] == {"credits": 540}
            done = await w.bought(model="seedance2", duration="auto")
            assert done["cost"] == {"credits": 180}

    run(story)


def test_fractions_of_a_credit_are_estimated_and_not_charged() -> None:
    async def story() -> None:
        async with world() as w:
            created = await w.create(model="wan3_prime", ratio="832:480", duration=7)
            assert created.json()["estimatedCost"] == {"credits": 47.6}
            await trio.sleep(2)
            assert (await w.task(created.json()["id"])).json()["cost"] == {"credits": 47}
            assert w.charged_usd() == 0.47

    run(story)


@pytest.mark.parametrize(
    ("changes", "charged"),
    [
        ({"model": "veo3.1", "duration": 4}, 160),
        ({"model": "veo3.1", "duration": 4, "audio": False}, 80),
        ({"model": "kling3.0_pro", "ratio": "1920:1080"}, 85),
        ({"model": "kling3.0_pro", "ratio": "1920:1080", "audio": False}, 60),
        ({"model": "seedance2_5", "audio": False}, 150),
        ({"model": "seedance2_5", "ratio": "1920:1080"}, 340),
        ({"model": "grok_imagine_1_5", "ratio": "9:16", "resolution": "1080p"}, 145),
        ({"model": "gen4.5", "outputFormat": "prores"}, 85),
    ],
    ids=str,
)
def test_runway_charges_for_what_was_left_out(changes: dict[str, Any], charged: int) -> None:
    """Sound is on by default and may cost more; the size and the format decide too."""

    async def story() -> None:
        async with world() as w:
            assert (await w.bought(**changes))["cost"] == {"credits": charged}

    run(story)


def test_runway_charges_for_a_picture_and_follows_its_shape() -> None:
    async def story() -> None:
        async with world() as w:
            for model, ratio, charged in (("grok_imagine_1_5", None, 81), ("wan3", "auto_720p", 50)):
                body = {
                    **BOAT,
                    "model": model,
                    "ratio": ratio,
                    "promptImage": [{"uri": tall_picture(), "position": "first"}],
                }
                body = {name: value for name, value in body.items() if value is not None}
                created = await w.http.post(f"{RUNWAY}/v1/image_to_video", headers=HEADERS, json=body)
                await trio.sleep(2)
                task = (await w.task(created.json()["id"])).json()
                assert task["cost"] == {"credits": charged}
                facts = fake_facts((await w.http.get(task["output"][0])).content)
                assert (facts["width"], facts["height"]) == (720, 1280)
            refused = await w.http.post(
                f"{RUNWAY}/v1/image_to_video", headers=HEADERS, json={**body, "ratio": "720:1280"}
            )
            assert refused.json()["issues"][0]["path"] == ["ratio"]

    run(story)


# --- fal


def test_fal_sells_a_clip_from_submit_to_download() -> None:
    async def story() -> None:
        async with world(concurrency=1) as w:
            first = await w.submit()
            assert (first.status_code, first.json()["status"]) == (200, "IN_QUEUE")
            second = await w.submit(aspect_ratio="9:16", resolution="1080p", duration=10)
            job = second.json()
            base = f"{PIKA}/fal-ai/pika/requests/{job['request_id']}"
            assert job["response_url"] == base
            assert job["status_url"] == f"{base}/status"
            assert job["cancel_url"] == f"{base}/cancel"
            assert job["queue_position"] == 1
            early = await w.get(job["response_url"])
            assert (early.status_code, early.json()["detail"]) == (400, "Request is still in progress")
            await trio.sleep(0.5)
            waiting = await w.get(job["status_url"])
            assert (waiting.status_code, waiting.json()["status"]) == (202, "IN_QUEUE")
            assert waiting.json()["queue_position"] == 0
            await trio.sleep(1)
            running = await w.get(job["status_url"] + "?logs=1")
            assert (running.status_code, running.json()["status"]) == (202, "IN_PROGRESS")
            assert running.json()["logs"][0]["message"]
            await trio.sleep(1)
            done = await w.get(job["status_url"])
            assert (done.status_code, done.json()["status"]) == (200, "COMPLETED")
            assert "error" not in done.json()
            result = await w.get(job["response_url"])
            assert result.status_code == 200
            assert result.headers["x-fal-request-id"] == job["request_id"]
            assert result.headers["x-fal-billable-units"] == "10"
            media = await w.http.get(result.json()["video"]["url"])
            facts = fake_facts(media.content)
            assert (facts["width"], facts["height"], facts["duration_s"]) == (1080, 1920, 10)
            assert facts["provider"] == "pika"
            assert w.charged_usd() == pytest.approx(0.2 + 0.9)

    run(story)


def test_fal_finds_bad_input_only_at_the_result_and_charges_nothing() -> None:
    async def story() -> None:
        async with world() as w:
            job = (await w.submit(aspect_ratio="21:9", duration=7, prompt=None, seed="x")).json()
            await trio.sleep(2)
            assert (await w.get(job["status_url"])).json()["status"] == "COMPLETED"
            result = await w.get(job["response_url"])
            assert result.status_code == 422
            where = {problem["loc"][-1]: problem["type"] for problem in result.json()["detail"]}
            assert where == {
                "aspect_ratio": "literal_error",
                "duration": "literal_error",
                "prompt": "string_type",
                "seed": "int_parsing",
            }
            assert result.headers["x-fal-retryable"] == "false"
            assert result.headers["x-fal-billable-units"] == "0"
            assert w.charged_usd() == 0

    run(story)


def test_fal_cancels_only_what_waits() -> None:
    async def story() -> None:
        async with world() as w:
            job = (await w.submit()).json()
            cancelled = await w.http.put(job["cancel_url"], headers=FAL_HEADERS)
            assert (cancelled.status_code, cancelled.json()["status"]) == (202, "CANCELLATION_REQUESTED")
            assert (await w.http.put(job["cancel_url"], headers=FAL_HEADERS)).status_code == 404
            await trio.sleep(2)
            assert w.charged_usd() == 0
            job = (await w.submit()).json()
            await trio.sleep(0.7)
            assert (await w.http.put(job["cancel_url"], headers=FAL_HEADERS)).status_code == 202
            await trio.sleep(1)
            assert (await w.get(job["response_url"])).status_code == 200
            late = await w.http.put(job["cancel_url"], headers=FAL_HEADERS)
            assert (late.status_code, late.json()["status"]) == (400, "ALREADY_COMPLETED")
            assert w.charged_usd() == 0.2

    run(story)


def test_fal_lists_ended_requests_with_their_input() -> None:
    async def story() -> None:
        async with world() as w:
            jobs = [(await w.submit(seed=n)).json() for n in range(3)]
            url = f"{PIKA}/v1/models/requests/by-endpoint"

            async def ask(**query: str) -> dict[str, Any]:
                answer = await w.http.get(url, headers=FAL_HEADERS, params={"endpoint_id": T2V, **query})
                assert answer.status_code == 200
                found: dict[str, Any] = answer.json()
                return found

            assert (await ask())["items"] == []
            await trio.sleep(2)
            await w.submit(seed=99)
            await w.submit("fal-ai/veo3.1")
            page = await ask(limit="2", expand="payloads")
            assert page["has_more"] is True
            rest = await ask(limit="2", expand="payloads", cursor=page["next_cursor"])
            assert (rest["has_more"], rest["next_cursor"]) == (False, None)
            listed = page["items"] + rest["items"]
            assert {item["request_id"] for item in listed} == {job["request_id"] for job in jobs}
            assert {item["json_input"]["seed"] for item in listed} == {0, 1, 2}
            assert {item["status_code"] for item in listed} == {200}
            assert "json_input" not in (await ask())["items"][0]
            assert len((await ask(start="2026-09-21T14:13:19Z", end="2026-09-21T14:14:00Z"))["items"]) == 3
            assert (await ask(start="2026-09-21T14:13:25Z"))["items"] == []
            assert (await ask(status="error"))["items"] == []
            await trio.sleep(80_000)
            await trio.sleep(10_000)
            assert (await ask())["items"] == []

    run(story)


def test_fal_wants_a_key_and_a_known_application() -> None:
    async def story() -> None:
        async with world(extra_models={"pika": {"pika-1.5": 30_000}}) as w:
            assert (await w.http.post(f"{PIKA}/{T2V}", json={"prompt": "x"})).status_code == 401
            wrong = {"authorization": "Bearer key_test"}
            assert (await w.http.post(f"{PIKA}/{T2V}", headers=wrong, json={})).status_code == 401
            assert (await w.submit("fal-ai/pika/v9/text-to-video")).status_code == 404
            assert (await w.submit("somebody/else")).status_code == 404
            assert (await w.submit("fal-ai/wan/v3/text-to-video")).status_code == 404
            job = (await w.submit("pika-1.5")).json()
            assert job["status_url"] == f"{PIKA}/pika-1.5/requests/{job['request_id']}/status"
            await trio.sleep(3)
            assert (await w.get(job["status_url"])).json()["status"] == "COMPLETED"
            assert w.charged_usd() == pytest.approx(0.15)
            missing = f"{PIKA}/fal-ai/pika/requests/{job['request_id']}/status"
            assert (await w.get(missing)).status_code == 404
            own = (await w.submit()).json()["request_id"]
            assert (await w.get(f"{PIKA}/{T2V}/requests/{own}/status")).status_code == 405

    run(story)


def test_extra_runway_models_are_sold_at_their_price() -> None:
    async def story() -> None:
        async with world(extra_models={"runway": {"runway-gen-3": 50_000}}) as w:
            created = await w.create(model="runway-gen-3", ratio="9:16", unheard_of=1)
            assert created.json()["estimatedCost"] == {"credits": 25}
            done = await w.bought(model="runway-gen-3")
            assert done["cost"] == {"credits": 25}
            assert (await w.create(model="runway-gen-3", promptText=3)).status_code == 400

    run(story)


# --- faults at create

NOT_ACCEPTED = [*BEFORE_ACCEPTING, "connect_refused"]
OUTCOMES: dict[str, Any] = {
    "connect_refused": httpx.ConnectError,
    "bad_key": 401,
    "create_429": 429,
    "create_500": 500,
    "create_503": 503,
    "create_502": 502,
    "create_502_accepted": 502,
    "create_reset": httpx.ReadError,
    "create_lost": httpx.RemoteProtocolError,
    "create_hang": httpx.ReadTimeout,
    "create_cut": httpx.RemoteProtocolError,
    "create_garbage": 200,
}


@pytest.mark.parametrize("provider", ["runway", "fal"])
@pytest.mark.parametrize("fault", [*NOT_ACCEPTED, *AFTER_ACCEPTING])
def test_a_create_fault_comes_once_and_means_what_it_says(fault: str, provider: str) -> None:
    async def story() -> None:
        async with world([f"{fault}=first:1"]) as w:
            create = w.create if provider == "runway" else w.submit
            expected = OUTCOMES.get(fault, 400 if provider == "runway" else 403)
            if isinstance(expected, int):
                answer = await create()
                assert answer.status_code == expected
                own_words = {"error", "detail"}
                if fault in ("create_502", "create_502_accepted", "create_garbage"):
                    assert answer.headers["content-type"] == "text/html"
                else:
                    assert own_words & set(answer.json())
                if fault == "create_429":
                    assert answer.headers["retry-after"] == "1"
            else:
                with pytest.raises(expected) as caught:
                    await create()
                assert type(caught.value) is expected
            accepted = fault in AFTER_ACCEPTING
            assert w.cloud.charges()["creates"] == accepted
            assert (await create()).status_code == 200
            await trio.sleep(5)
            assert w.charged_usd() == pytest.approx((0.6 if provider == "runway" else 0.2) * (1 + accepted))
            assert w.cloud.charges()["faults"] == {fault: 1}

    run(story)


def test_a_black_hole_swallows_connections() -> None:
    async def story() -> None:
        async with world(refuse=lambda host, port: BLACK_HOLE) as w:
            with pytest.raises(httpx.ConnectTimeout):
                await w.create()
        async with world(refuse=lambda host, port: "no" if host == "pika.simulated" else None) as w:
            assert (await w.create()).status_code == 200
            with pytest.raises(httpx.ConnectError):
                await w.submit()

    run(story)


def test_moderation_at_create() -> None:
    async def story() -> None:
        async with world(["create_moderation=~boat"]) as w:
            refused = await w.create()
            assert refused.status_code == 400
            assert "moderation" in refused.json()["error"]
            assert (await w.create(promptText="a cat")).status_code == 200
            job = (await w.submit()).json()
            await trio.sleep(2)
            result = await w.get(job["response_url"])
            assert result.status_code == 422
            assert result.json()["detail"][0]["type"] == "content_policy_violation"
            assert w.charged_usd() == 0.6

    run(story)


# --- faults of jobs


@pytest.mark.parametrize(
    ("fault", "status", "charged_usd"),
    [
        ("job_failed", "FAILED", 0),
        ("job_moderated", "FAILED", 0.6),
        ("job_stuck", "RUNNING", 0),
        ("job_queued", "PENDING", 0),
        ("price_overrun", "SUCCEEDED", 1.8),
    ],
)
def test_runway_jobs_end_as_their_fault_says(fault: str, status: str, charged_usd: float) -> None:
    async def story() -> None:
        async with world([f"runway.{fault}=1"]) as w:
            task_id = (await w.create()).json()["id"]
            await trio.sleep(10_000)
            task = (await w.task(task_id)).json()
            assert task["status"] == status
            if status in ("FAILED", "SUCCEEDED"):
                assert task["cost"]["credits"] == round(charged_usd * 100)
            if status == "FAILED":
                code = "INTERNAL.BAD_OUTPUT.CODE01" if fault == "job_failed" else "SAFETY.INPUT.TEXT"
                assert task["failureCode"] == code
                assert task["failure"]
            assert w.charged_usd() == charged_usd
            assert (await w.submit()).status_code == 200
            await trio.sleep(5)
            assert w.charged_usd() == pytest.approx(charged_usd + 0.2), "fal is not meant"

    run(story)


@pytest.mark.parametrize(
    ("fault", "status", "result_status", "charged_usd"),
    [
        ("job_failed", "COMPLETED", 500, 0),
        ("job_moderated", "COMPLETED", 422, 0),
        ("job_stuck", "IN_PROGRESS", 400, 0),
        ("job_queued", "IN_QUEUE", 400, 0),
    ],
)
def test_fal_jobs_end_as_their_fault_says(fault: str, status: str, result_status: int, charged_usd: float) -> None:
    async def story() -> None:
        async with world([f"fal.{fault}=1"]) as w:
            job = (await w.submit()).json()
            await trio.sleep(10_000)
            told = (await w.get(job["status_url"])).json()
            assert told["status"] == status
            result = await w.get(job["response_url"])
            assert result.status_code == result_status
            assert result.headers["x-fal-request-id"] == job["request_id"]
            if fault == "job_failed":
                assert told["error_type"] == result.json()["error_type"] == "internal_error"
                assert result.json()["detail"]
                assert result.headers["x-fal-retryable"] == "true"
            if fault == "job_moderated":
                assert result.json()["detail"][0]["type"] == "content_policy_violation"
                assert result.headers["x-fal-billable-units"] == "0"
            assert w.charged_usd() == pytest.approx(charged_usd)

    run(story)


def test_slow_jobs_take_ten_times_as_long_and_stuck_ones_hold_nobody_up() -> None:
    async def story() -> None:
        async with world(["job_slow=first:1", "job_stuck=~stuck"], concurrency=1) as w:
            slow = (await w.create()).json()["id"]
            stuck = (await w.create(promptText="stuck")).json()["id"]
            last = (await w.create()).json()["id"]
            await trio.sleep(10)
            assert (await w.task(slow)).json()["status"] == "RUNNING"
            await trio.sleep(3)
            assert [(await w.task(one)).json()["status"] for one in (slow, stuck, last)] == [
                "SUCCEEDED",
                "RUNNING",
                "SUCCEEDED",
            ]

    run(story)


@pytest.mark.parametrize(
    ("fault", "ratio", "facts"),
    [
        ("clip_short", "1280:720", (1280, 720, 0.5)),
        ("clip_480p", "720:1280", (480, 854, 5)),
        ("clip_landscape", "720:1280", (1280, 720, 5)),
        ("clip_landscape", "1280:720", (720, 1280, 5)),
    ],
)
def test_clip_faults_change_what_is_delivered(fault: str, ratio: str, facts: tuple[float, ...]) -> None:
    async def story() -> None:
        async with world([f"{fault}=1"]) as w:
            media = await w.http.get((await w.bought(ratio=ratio))["output"][0])
            told = fake_facts(media.content)
            assert (told["width"], told["height"], told["duration_s"]) == facts
            assert w.charged_usd() == 0.6

    run(story)


def test_a_small_clip_is_small_and_whole() -> None:
    async def story() -> None:
        async with world(["clip_small=1"]) as w:
            media = await w.http.get((await w.bought())["output"][0])
            assert len(media.content) == 50_000
            assert is_whole(media.content)

    run(story)


# --- faults of polls and downloads


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("poll_500", 500),
        ("poll_502", 502),
        ("poll_404", 404),
        ("poll_garbage", 200),
        ("poll_reset", httpx.ReadError),
        ("poll_hang", httpx.ReadTimeout),
    ],
)
@pytest.mark.parametrize("provider", ["runway", "fal"])
def test_poll_faults_pass(fault: str, outcome: Any, provider: str) -> None:
    async def story() -> None:
        async with world([f"{fault}=first:1"]) as w:
            if provider == "runway":
                url, headers = f"{RUNWAY}/v1/tasks/{(await w.create()).json()['id']}", HEADERS
            else:
                url, headers = (await w.submit()).json()["status_url"], FAL_HEADERS
            if isinstance(outcome, int):
                spoilt = await w.http.get(url, headers=headers)
                assert spoilt.status_code == outcome
                assert "x-fal-request-id" not in spoilt.headers
                if fault in ("poll_502", "poll_garbage"):
                    with pytest.raises(ValueError):
                        json.loads(spoilt.content)
            else:
                with pytest.raises(outcome):
                    await w.http.get(url, headers=headers)
            assert (await w.http.get(url, headers=headers)).status_code in (200, 202)

    run(story)


def is_whole(data: bytes) -> bool:
    """What a judge of fakes does."""
    import hashlib

    head, _, payload = data.partition(b"\n")
    return head.startswith(FAKE_MAGIC) and (
        hashlib.sha256(payload).hexdigest() == json.loads(head.removeprefix(FAKE_MAGIC))["sha256"]
    )


@pytest.mark.parametrize("fault", ["media_500", "media_html", "media_damaged", "media_cut_nolen"])
def test_media_faults_with_an_answer(fault: str) -> None:
    async def story() -> None:
        async with world([f"{fault}=first:1"]) as w:
            (url,) = (await w.bought())["output"]
            spoilt = await w.http.get(url)
            assert spoilt.status_code == (500 if fault == "media_500" else 200)
            assert not is_whole(spoilt.content)
            if fault == "media_cut_nolen":
                assert "content-length" not in spoilt.headers
                assert len(spoilt.content) == 75_000
            if fault == "media_damaged":
                assert len(spoilt.content) == 150_000
            assert is_whole((await w.http.get(url)).content)

    run(story)


@pytest.mark.parametrize(
    ("fault", "error"), [("media_cut", httpx.RemoteProtocolError), ("media_stall", httpx.ReadTimeout)]
)
def test_a_download_that_breaks_off_can_be_resumed(fault: str, error: type[Exception]) -> None:
    async def story() -> None:
        async with world([f"{fault}=first:1"]) as w:
            (url,) = (await w.bought())["output"]
            half = bytearray()
            with pytest.raises(error):  # noqa: PT012 - the body is what breaks
                async with w.http.stream("GET", url) as answer:
                    assert answer.headers["content-length"] == "150000"
                    etag = answer.headers["etag"]
                    async for chunk in answer.aiter_raw():
                        half += chunk
            assert len(half) == 75_000
            wanted = {"range": f"bytes={len(half)}-", "if-range": etag}
            rest = await w.http.get(url, headers=wanted)
            assert rest.status_code == 206
            assert rest.headers["content-range"] == "bytes 75000-149999/150000"
            assert is_whole(bytes(half) + rest.content)
            assert (await w.http.get(url, headers={**wanted, "if-range": '"other"'})).status_code == 200
            assert (await w.http.get(url, headers={"range": "bytes=150000-"})).status_code == 416
            assert (await w.http.get(url, headers={"range": "bytes=0-9"})).content == bytes(half[:10])

    run(story)


def test_a_damaged_clip_is_the_same_at_every_download() -> None:
    async def story() -> None:
        async with world(["clip_damaged=1"]) as w:
            (url,) = (await w.bought())["output"]
            first, second = await w.http.get(url), await w.http.get(url)
            assert first.content == second.content
            assert not is_whole(first.content)

    run(story)


@pytest.mark.parametrize("provider", ["runway", "fal"])
def test_an_expired_url_is_renewed_by_asking_again(provider: str) -> None:
    async def story() -> None:
        async with world(["url_expired=first:1"]) as w:
            if provider == "runway":
                task_id = (await w.create()).json()["id"]
            else:
                job = (await w.submit()).json()

            async def fresh() -> str:
                await trio.sleep(2)
                if provider == "runway":
                    return str((await w.task(task_id)).json()["output"][0])
                return str((await w.get(job["response_url"])).json()["video"]["url"])

            old = await fresh()
            assert (await w.http.get(old)).status_code == 403
            assert (await w.http.get(old)).status_code == 403
            new = await fresh()
            assert new != old
            assert (await w.http.get(new)).status_code == 200

    run(story)


def test_media_needs_a_finished_job_and_tells_when_a_key_was_shown() -> None:
    async def story() -> None:
        async with world() as w:
            task_id = (await w.create()).json()["id"]
            assert (await w.http.get(f"{RUNWAY}/media/{task_id}-0.mp4")).status_code == 404
            await trio.sleep(2)
            url = f"{RUNWAY}/media/{task_id}-0.mp4"
            assert (await w.http.get(url)).status_code == 200
            assert w.cloud.charges()["requests"].get("media_authorized") is None
            await w.http.get(url, headers=HEADERS)
            assert w.cloud.charges()["requests"]["media_authorized"] == 1

    run(story)


def test_a_clip_is_rendered_once_however_many_ask() -> None:
    rendered: list[Clip] = []

    async def slow_renderer(clip: Clip) -> bytes:
        rendered.append(clip)
        await trio.sleep(3)
        return await plain_renderer(clip)

    async def story() -> None:
        cloud = Cloud(now=now, label=lambda prompt: f"shot of {prompt}")
        async with trio.open_nursery() as nursery:
            network = SimulatedNetwork(nursery=nursery, app=App(cloud, slow_renderer))
            async with httpx.AsyncClient(transport=transport(network), timeout=30) as http:
                (url,) = (await World(cloud, http).bought())["output"]
                async with trio.open_nursery() as many:
                    for _ in range(5):
                        many.start_soon(http.get, url)
            nursery.cancel_scope.cancel()

    run(story)
    assert [clip.label for clip in rendered] == ["shot of a paper boat"]


# --- memory


def test_a_killed_process_finds_its_provider_as_it_was(tmp_path: Path) -> None:
    journal = tmp_path / "state" / "cloud.jsonl"
    moment = [EPOCH]

    def cloud() -> Cloud:
        return Cloud(now=lambda: moment[0], journal=journal, concurrency=2, seed=3)

    async def story(first: bool) -> None:
        async with trio.open_nursery() as nursery:
            made = cloud()
            network = SimulatedNetwork(nursery=nursery, app=App(made, plain_renderer))
            async with httpx.AsyncClient(transport=transport(network), timeout=30) as http:
                w = World(made, http)
                if first:
                    await scene_one(w)
                else:
                    await scene_two(w)
            nursery.cancel_scope.cancel()

    ids: list[str] = []
    before: list[dict[str, Any]] = []

    async def scene_one(w: World) -> None:
        assert not journal.exists()
        ids.extend([(await w.create(promptText=f"p{n}")).json()["id"] for n in range(5)])
        await w.http.delete(f"{RUNWAY}/v1/tasks/{ids[4]}", headers=HEADERS)
        moment[0] += 0.6
        await w.http.delete(f"{RUNWAY}/v1/tasks/{ids[0]}", headers=HEADERS)
        moment[0] += 1.0
        await w.http.delete(f"{RUNWAY}/v1/tasks/{ids[1]}", headers=HEADERS)
        before.append(w.cloud.charges())

    async def scene_two(w: World) -> None:
        after = w.cloud.charges()
        assert after["jobs"] == before[0]["jobs"]
        assert after["total_usd"] == before[0]["total_usd"] > 0
        statuses = [(await w.task(one)).status_code for one in ids]
        assert statuses == [404, 404, 200, 200, 404]
        new = (await w.create()).json()["id"]
        assert new not in ids
        assert len(w.cloud.charges()["jobs"]) == 6

    trio.run(story, True)
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"v":1,"event":"cre')
    assert cloud().charges()["jobs"] == before[0]["jobs"]
    assert journal.read_bytes().startswith(whole), "looking does not write"
    trio.run(story, False)
    lines = journal.read_bytes().splitlines()
    assert all(json.loads(line)["v"] == 1 for line in lines)
    assert len(lines) == 5 + 3 + 1


def test_a_provider_that_is_started_again_does_not_repeat_its_luck(tmp_path: Path) -> None:
    def failed_at_first_try(run_number: int) -> list[bool]:
        cloud = Cloud(
            now=lambda: EPOCH + run_number,
            faults=Faults({"job_failed": "0.5"}, 1),
            journal=tmp_path / "cloud.jsonl",
        )
        order = {"provider": "runway", "endpoint": "text_to_video", "model": "gen4.5", "body": {}}
        money = {"duration_s": 5, "width": 16, "height": 9, "estimate_micro": 1, "price_micro": 1}
        jobs = [cloud.accept(Order(**order, **money, prompt=f"p{n}")) for n in range(20)]  # type: ignore[arg-type]
        return ["job_failed" in job.faults for job in jobs]

    assert failed_at_first_try(1) != failed_at_first_try(2)


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "cloud.jsonl"
    journal.write_text('{"v":99,"event":"create"}\n')
    with pytest.raises(ValueError, match="version 1"):
        Cloud(now=lambda: EPOCH, journal=journal)


def test_the_same_seed_gives_the_same_ids() -> None:
    async def ids(seed: int) -> list[str]:
        async with world(seed=seed) as w:
            return [(await w.create()).json()["id"] for _ in range(3)]

    first, again, other = trio.run(ids, 1), trio.run(ids, 1), trio.run(ids, 2)
    assert first == again != other


# --- truth and wire


def test_the_truth_is_told_without_a_key() -> None:
    async def story() -> None:
        async with world() as w:
            await w.bought(promptText="Käse \N{CLAPPER BOARD}")
            truth = (await w.http.get(f"{RUNWAY}/_simulator/charges")).json()
            assert truth["total_usd"] == 0.6
            (job,) = truth["jobs"]
            assert (job["provider"], job["state"], job["charged_usd"]) == ("runway", "SUCCEEDED", 0.6)
            assert job["prompt"] == "Käse \N{CLAPPER BOARD}"
            assert truth["requests"] == {"create": 1, "poll": 1}
            assert (await w.http.get(f"{RUNWAY}/_simulator/health")).json() == {"ok": True}

    run(story)


def test_https_urls_work_and_stay_https() -> None:
    async def story() -> None:
        async with world() as w:
            url = "https://api.example:443/v1/text_to_video"
            task_id = (await w.http.post(url, headers=HEADERS, json=BOAT)).json()["id"]
            await trio.sleep(2)
            task = await w.http.get(f"https://api.example/v1/tasks/{task_id}", headers=HEADERS)
            assert task.json()["output"][0].startswith("https://api.example/media/")

    run(story)


def test_a_connection_is_used_again() -> None:
    connections: list[str] = []

    def note(host: str, port: int) -> None:
        connections.append(f"{host}:{port}")

    async def story() -> None:
        async with world(refuse=note) as w:
            for _ in range(3):
                await w.bought()
            assert connections == ["runway.simulated:80"]

    run(story)


def test_what_is_no_request_is_answered_in_kind() -> None:
    async def story() -> None:
        async with world() as w:
            bad = await w.http.post(f"{RUNWAY}/v1/text_to_video", headers=HEADERS, content=b"{")
            assert bad.status_code == 400
            assert (await w.http.put(f"{RUNWAY}/v1/text_to_video", headers=HEADERS)).status_code == 405
            assert (await w.http.get(f"{RUNWAY}/v1/nothing", headers=HEADERS)).status_code == 404
            assert (await w.task("%2e%2e%2fetc")).status_code == 404
            for body in (b"[]", b'"x"', b"null", b"1", b'{"model":[]}', b'{"model":"gen4.5","ratio":[]}'):
                url = f"{RUNWAY}/v1/text_to_video"
                assert (await w.http.post(url, headers=HEADERS, content=body)).status_code == 400, body
                queued = await w.http.post(f"{PIKA}/{T2V}", headers=FAL_HEADERS, content=body)
                assert queued.status_code == 200, body
            await trio.sleep(10)
            assert w.charged_usd() == 0

    run(story)
