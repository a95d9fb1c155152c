"""The simulated ModelArk: what its pages, its SDK and others' measurements say of it, request by request."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import vendors
from PIL import Image
from vendors import like, recorded, run, world

PATH = "/api/v3/contents/generations/tasks"
BODY: dict[str, Any] = recorded("ark", "create")["request"]["body"]
V2 = "dreamina-seedance-2-0-260128"
TAG = BODY["safety_identifier"]


def body(**changes: Any) -> dict[str, Any]:
    """BODY changed; None leaves a field out."""
    return {name: value for name, value in (BODY | changes).items() if value is not None}


def text(prompt: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": prompt}]


def framed(url: str = "https://img.example/a.png", role: str = "first_frame") -> list[dict[str, Any]]:
    return [*text("x"), {"type": "image_url", "image_url": {"url": url}, "role": role}]


async def create(w: vendors.World, order: Any = BODY) -> str:
    created = await w.ask("POST", PATH, order)
    assert created.status_code == 200, created.text
    return str(created.json()["id"])


async def made(w: vendors.World, order: Any = BODY) -> dict[str, Any]:
    """The record of a task that has ended."""
    job = await create(w, order)
    await trio.sleep(20)
    return dict((await w.ask("GET", f"{PATH}/{job}")).json())


def test_the_documents_own_order_from_create_to_download() -> None:
    async def story() -> None:
        async with world("ark", queue_s=1, render_s=3) as w:
            created = await w.again(recorded("ark", "create"))
            like(created, recorded("ark", "create"))
            path = f"{PATH}/{created.json()['id']}"
            assert re.fullmatch(r"cgt-\d{14}-[a-z0-9]{5}", created.json()["id"])
            like(await w.ask("GET", path), recorded("ark", "poll_queued"))
            await trio.sleep(2)
            running = await w.ask("GET", path)
            like(running, recorded("ark", "poll_running"))
            assert running.json()["status"] == "running"
            await trio.sleep(3)
            done = await w.ask("GET", path)
            like(done, recorded("ark", "poll_succeeded"))
            task = done.json()
            assert task["usage"]["completion_tokens"] == 108_000
            assert (task["resolution"], task["ratio"], task["duration"]) == ("720p", "9:16", 5)
            assert task["safety_identifier"] == TAG
            assert task["created_at"] == vendors.EPOCH
            assert w.charged() == 1_155_600
            facts = await w.clip(task["content"]["video_url"])
            assert (facts["width"], facts["height"], facts["audio"]) == (720, 1280, False)
            assert facts["duration_s"] == 5

    run(story)


@pytest.mark.parametrize(
    ("changes", "tokens", "micro"),
    [
        ({"resolution": "480p"}, 48_038, 514_007),
        ({"resolution": "1080p"}, 243_000, 2_843_100),
        ({"resolution": None}, 108_000, 1_155_600),
        ({"duration": 30}, 648_000, 6_933_600),
        ({"model": V2, "resolution": "4k"}, 972_000, 3_888_000),
        ({"model": V2, "duration": None}, 108_000, 756_000),
        ({"model": "dreamina-seedance-2-0-fast-260128"}, 108_000, 604_800),
        ({"model": "dreamina-seedance-2-0-mini-260615"}, 108_000, 378_000),
        ({"model": "my-own"}, 108_000, 250_000),
    ],
)
def test_tokens_and_charge_by_the_formula(changes: dict[str, Any], tokens: int, micro: int) -> None:
    async def story() -> None:
        async with world("ark", extra_models={"ark": {"my-own": 50_000}}) as w:
            task = await made(w, body(**changes))
            assert task["usage"] == {"completion_tokens": tokens, "total_tokens": tokens}
            assert w.charged() == micro

    run(story)


def test_what_is_left_out_or_misspelt_becomes_a_default_and_is_billed() -> None:
    async def story() -> None:
        async with world("ark") as w:
            bare = {"model": BODY["model"], "content": text("a fern"), "aspect_ratio": "9:16", "seconds": 5, "seed": 1}
            task = await made(w, bare)
            assert 4 <= task["duration"] <= 30, "the model chose"
            assert (task["generate_audio"], task["resolution"]) == (True, "720p")
            assert "safety_identifier" not in task
            assert task["execution_expires_after"] == 172_800
            facts = await w.clip(task["content"]["video_url"])
            assert (facts["width"], facts["height"], facts["audio"]) == (1280, 720, True)
            assert facts["duration_s"] == task["duration"]
            assert w.charged() == 21_600 * task["duration"] * 107 // 10
            assert sorted(w.cloud.charges()["ignored"]) == ["ark: aspect_ratio", "ark: seconds", "ark: seed"]

    run(story)


def test_null_is_nothing_as_the_vendors_own_sdk_sends_it() -> None:
    """byteplussdkarkruntime 3.0.63 names every parameter, those that were left out with null."""

    async def story() -> None:
        async with world("ark") as w:
            nulls = dict.fromkeys(("callback_url", "watermark", "seed", "draft", "priority", "service_tier", "frames"))
            task = await made(w, {**BODY, **nulls, "resolution": None})
            assert (task["status"], task["resolution"]) == ("succeeded", "720p")
            assert w.cloud.charges()["ignored"] == {}

    run(story)


def test_the_model_chooses_different_lengths_for_different_prompts() -> None:
    async def story() -> None:
        async with world("ark", queue_s=0, render_s=0) as w:
            lengths = set()
            for n in range(6):
                lengths.add((await made(w, body(content=text(f"p{n}"), duration=-1)))["duration"])
            assert len(lengths) > 1
            refused = await w.ask("POST", PATH, body(model=V2, duration=-1))
            assert refused.json()["error"]["code"] == "InvalidParameter.duration"

    run(story)


def test_parameters_in_the_prompt_are_obeyed() -> None:
    async def story() -> None:
        async with world("ark") as w:
            task = await made(w, body(content=text("a fern --dur 10 --rs 480p --rt 1:1 --dur nonsense")))
            assert (task["resolution"], task["ratio"]) == ("480p", "1:1")
            assert task["duration"] == 5, "the last one counts, and is no length"
            task = await made(w, body(content=text("a fern --dur 10")))
            assert task["duration"] == 10
            assert task["usage"]["completion_tokens"] == 216_000

    run(story)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resolution": "4k"}, "InvalidParameter.resolution"),
        ({"model": V2, "resolution": "2k"}, "InvalidParameter.resolution"),
        ({"model": "dreamina-seedance-2-0-fast-260128", "resolution": "1080p"}, "InvalidParameter.resolution"),
        ({"ratio": "4:5"}, "InvalidParameter.ratio"),
        ({"duration": 3}, "InvalidParameter.duration"),
        ({"duration": 31}, "InvalidParameter.duration"),
        ({"duration": "5"}, "InvalidParameter.duration"),
        ({"model": V2, "duration": 16}, "InvalidParameter.duration"),
        ({"generate_audio": "no"}, "InvalidParameter.generate_audio"),
        ({"safety_identifier": "x" * 65}, "InvalidParameter.safety_identifier"),
        ({"execution_expires_after": 60}, "InvalidParameter.execution_expires_after"),
        ({"service_tier": "flex"}, "InvalidParameter.service_tier"),
        ({"content": []}, "InvalidParameter.content"),
        ({"content": text("")}, "InvalidParameter.content"),
        ({"content": framed(role="last_frame")}, "InvalidParameter.content"),
        ({"content": framed(url="img/a.png")}, "InvalidParameter.content"),
        ({"content": framed(url="data:image/png;base64,AAAA")}, "InvalidParameter.content"),
    ],
)
def test_bad_values_are_refused_at_create(changes: dict[str, Any], code: str) -> None:
    async def story() -> None:
        async with world("ark") as w:
            refused = await w.ask("POST", PATH, body(**changes))
            like(refused, recorded("ark", "create_bad_value"))
            assert refused.json()["error"]["code"] == code
            assert refused.json()["error"]["param"] == code.partition(".")[2]
            assert w.creates == 0

    run(story)


def test_a_frame_with_a_fixed_ratio_fails_late_at_seedance_25() -> None:
    async def story() -> None:
        async with world("ark") as w:
            assert (await w.again(recorded("ark", "create_image"))).status_code == 200
            task = await made(w, body(content=framed()))
            reply = recorded("ark", "poll_failed_late")["response"]["body"]
            assert vendors.form(task) == vendors.form(reply)
            assert task["error"]["code"] == reply["error"]["code"]
            assert w.charged() == 1_155_600, "of the one with adaptive"
            assert (await made(w, body(model=V2, content=framed())))["status"] == "succeeded"
            reference = framed(role="reference_image")
            assert (await made(w, body(content=reference)))["status"] == "succeeded"

    run(story)


def test_adaptive_follows_the_picture() -> None:
    held = io.BytesIO()
    Image.new("RGB", (400, 800)).save(held, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"

    async def story() -> None:
        async with world("ark") as w:
            task = await made(w, body(content=framed(url), ratio=None))
            facts = await w.clip(task["content"]["video_url"])
            assert (facts["width"], facts["height"]) == (720, 1440)
            assert task["usage"]["completion_tokens"] == 720 * 1440 * 24 * 5 / 1024

    run(story)


# --- the list


def test_the_list_brings_the_tag_back() -> None:
    async def story() -> None:
        async with world("ark") as w:
            first = await made(w)
            second = await create(w, body(safety_identifier="vg-2", model=V2))
            page = await w.ask("GET", f"{PATH}?page_num=1&page_size=500")
            assert page.json()["total"] == 2
            assert [item["id"] for item in page.json()["items"]] == [second, first["id"]]
            assert page.json()["items"][1].keys() == first.keys()
            assert [item["safety_identifier"] for item in page.json()["items"]] == ["vg-2", TAG]
            await trio.sleep(1)
            one = await w.ask("GET", f"{PATH}?filter.model={BODY['model']}&filter.service_tier=default&filter.status=")
            like(one, recorded("ark", "list"))
            assert [item["id"] for item in one.json()["items"]] == [first["id"]]

    run(story)


def test_the_list_by_status_ids_and_pages() -> None:
    async def story() -> None:
        async with world("ark", queue_s=1) as w:
            ids = [await create(w, body(safety_identifier=f"vg-{n}")) for n in range(25)]

            async def page(query: str) -> tuple[int, list[str]]:
                await trio.sleep(1)
                listed = (await w.ask("GET", f"{PATH}?{query}")).json()
                return listed["total"], [item["id"] for item in listed["items"]]

            newest = ids[::-1]
            assert await page("") == (25, newest[:20])
            assert await page("page_num=2&page_size=20") == (25, newest[20:])
            assert await page("page_num=3&page_size=20") == (25, [])
            joined = f"filter.task_ids={ids[0]},{ids[1]}"
            assert await page(joined) == (0, []), "repeated, not joined by commas"
            repeated = f"filter.task_ids={ids[0]}&filter.task_ids={ids[1]}"
            assert await page(repeated) == (2, [ids[1], ids[0]])
            await trio.sleep(60)
            assert (await page("filter.status=succeeded&page_size=500"))[0] == 25
            assert (await page("filter.status=queued"))[0] == 0
            assert (await page("filter.service_tier=flex"))[0] == 0
            for bad in ("page_size=501", "page_size=0", "page_num=501", "page_num=x"):
                await trio.sleep(1)
                assert (await w.ask("GET", f"{PATH}?{bad}")).status_code == 400

    run(story)


def test_one_list_a_second() -> None:
    async def story() -> None:
        async with world("ark") as w:
            assert (await w.ask("GET", PATH)).status_code == 200
            like(await w.ask("GET", PATH), recorded("ark", "list_too_fast"))
            await trio.sleep(1)
            assert (await w.ask("GET", PATH)).status_code == 200

    run(story)


def test_the_list_can_hide_the_tag_and_the_query_still_tells_it() -> None:
    async def story() -> None:
        async with world("ark", ["list_hides_tag=1"]) as w:
            task = await made(w)
            listed = await w.ask("GET", PATH)
            like(listed, recorded("ark", "list_hidden_tag"))
            assert "safety_identifier" not in listed.json()["items"][0]
            assert (await w.ask("GET", f"{PATH}/{task['id']}")).json()["safety_identifier"] == TAG

    run(story)


def test_records_are_kept_for_seven_days_videos_for_one() -> None:
    async def story() -> None:
        async with world("ark") as w:
            task = await made(w)
            url = task["content"]["video_url"]
            await trio.sleep(23 * 3600)
            assert (await w.http.get(url)).status_code == 200
            await trio.sleep(3600)
            assert (await w.http.get(url)).status_code == 403
            again = (await w.ask("GET", f"{PATH}/{task['id']}")).json()
            assert (await w.http.get(again["content"]["video_url"])).status_code == 403, "not renewed"
            await trio.sleep(6 * 86_400)
            like(await w.ask("GET", f"{PATH}/{task['id']}"), recorded("ark", "poll_unknown"))
            assert (await w.ask("GET", PATH)).json() == {"items": [], "total": 0}

    run(story)


# --- DELETE


def test_delete_cancels_what_waits_refuses_what_runs_and_erases_what_ended() -> None:
    async def story() -> None:
        async with world("ark", queue_s=1, render_s=3, concurrency=1) as w:
            runs, waits = await create(w), await create(w, body(safety_identifier="vg-2"))
            await trio.sleep(2)
            like(await w.ask("DELETE", f"{PATH}/{waits}"), recorded("ark", "delete"))
            cancelled = await w.ask("GET", f"{PATH}/{waits}")
            like(cancelled, recorded("ark", "poll_cancelled"))
            assert cancelled.json()["status"] == "cancelled"
            assert (await w.ask("DELETE", f"{PATH}/{waits}")).status_code == 409
            running = await w.ask("DELETE", f"{PATH}/{runs}")
            like(running, recorded("ark", "delete_running"))
            assert running.json()["error"]["code"] == "TaskRunningCannotCancel"
            await trio.sleep(5)
            url = (await w.ask("GET", f"{PATH}/{runs}")).json()["content"]["video_url"]
            assert w.charged() == 1_155_600, "it went on, and is billed"
            like(await w.ask("DELETE", f"{PATH}/{runs}"), recorded("ark", "delete"))
            like(await w.ask("GET", f"{PATH}/{runs}"), recorded("ark", "poll_unknown"))
            assert (await w.http.get(url)).status_code == 404
            assert w.charged() == 1_155_600, "and stays so"
            await trio.sleep(86_400)
            assert (await w.ask("GET", f"{PATH}/{waits}")).status_code == 404, "cancelled ones go after a day"

    run(story)


# --- ends


@pytest.mark.parametrize("fault", ["job_stuck", "job_queued"])
def test_a_task_without_an_end_expires_free_of_charge(fault: str) -> None:
    async def story() -> None:
        async with world("ark", [f"{fault}=1"]) as w:
            job = await create(w, body(execution_expires_after=3600))
            await trio.sleep(3599)
            assert (await w.ask("GET", f"{PATH}/{job}")).json()["status"] in ("running", "queued")
            await trio.sleep(2)
            expired = await w.ask("GET", f"{PATH}/{job}")
            like(expired, recorded("ark", "poll_expired"))
            assert expired.json()["status"] == "expired"
            assert expired.json()["updated_at"] == vendors.EPOCH + 3600
            assert w.charged() == 0
            listed = await w.ask("GET", f"{PATH}?filter.status=expired")
            assert listed.json()["total"] == 1

    run(story)


def test_a_task_that_is_done_in_time_does_not_expire() -> None:
    async def story() -> None:
        async with world("ark") as w:
            task = await made(w, body(execution_expires_after=3600))
            await trio.sleep(4000)
            again = await w.ask("GET", f"{PATH}/{task['id']}")
            assert again.json()["status"] == "succeeded"
            assert w.charged() == 1_155_600

    run(story)


def test_failures_say_why_and_cost_nothing() -> None:
    async def story() -> None:
        async with world("ark", ["job_failed=~robot", "job_moderated=~fern"]) as w:
            failed = await made(w, body(content=text("robot")))
            reply = recorded("ark", "poll_failed")["response"]["body"]
            assert vendors.form(failed) == vendors.form(reply)
            assert failed["error"]["code"] == reply["error"]["code"]
            moderated = await made(w, body(content=text("fern")))
            assert moderated["error"]["code"] == "OutputVideoSensitiveContentDetected"
            assert w.charged() == 0

    run(story)


def test_above_the_limit_tasks_wait() -> None:
    async def story() -> None:
        async with world("ark", queue_s=0, render_s=5, concurrency=2) as w:
            jobs = [await create(w) for _ in range(3)]
            await trio.sleep(1)
            states = [(await w.ask("GET", f"{PATH}/{job}")).json()["status"] for job in jobs]
            assert states == ["running", "running", "queued"]

    run(story)


# --- refusals


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("create_bad_key", "bad_key=1"),
        ("create_no_credits", "no_credits=1"),
        ("create_service_overdue", "create_arrears=1"),
        ("create_model_closed", "model_closed=1"),
        ("create_rate_limited", "create_429=1"),
        ("create_busy", "create_busy=1"),
        ("create_moderated", "create_moderation=1"),
        ("create_500", "create_500=1"),
    ],
)
def test_faults_speak_modelarks_own_words(reply: str, fault: str) -> None:
    async def story() -> None:
        async with world("ark", [fault]) as w:
            refused = await w.ask("POST", PATH, BODY)
            like(refused, recorded("ark", reply))
            told = recorded("ark", reply)["response"]["body"]["error"]
            assert refused.json()["error"]["code"] == told["code"]
            assert w.creates == 0

    run(story)


@pytest.mark.parametrize("fault", ["create_lost", "create_cut", "create_502_accepted", "create_500_accepted"])
def test_a_lost_order_is_found_by_its_tag(fault: str, tmp_path: Path) -> None:
    async def story() -> None:
        journal = tmp_path / "j.jsonl"
        async with world("ark", [f"{fault}=first:1"], journal=journal) as w:
            try:
                await w.ask("POST", PATH, BODY)
            except httpx.RemoteProtocolError:
                assert fault in ("create_lost", "create_cut")
        async with world("ark", journal=journal) as w:
            items = (await w.ask("GET", f"{PATH}?page_size=500")).json()["items"]
            assert [item["safety_identifier"] for item in items] == [TAG]
            await trio.sleep(5)
            found = (await w.ask("GET", f"{PATH}/{items[0]['id']}")).json()
            assert found["usage"]["completion_tokens"] == 108_000

    run(story)


def test_a_second_create_is_a_second_task() -> None:
    async def story() -> None:
        async with world("ark") as w:
            assert await create(w) != await create(w)
            assert w.creates == 2, "nothing here is idempotent"

    run(story)


def test_models_keys_and_paths() -> None:
    async def story() -> None:
        async with world("ark") as w:
            unknown = await w.again(recorded("ark", "create_unknown_model"))
            like(unknown, recorded("ark", "create_unknown_model"))
            assert unknown.json()["error"]["code"] == "InvalidEndpointOrModel.NotFound"
            stopped = await w.ask("POST", PATH, body(model="seedance-1-5-pro-251215"))
            assert stopped.status_code == 404
            assert (await w.ask("GET", PATH, authorization="")).status_code == 401
            assert (await w.ask("GET", "/api/v3/models")).status_code == 404
            assert (await w.ask("POST", PATH, [])).status_code == 404

    run(story)


def test_a_surprise_shows_in_the_tokens() -> None:
    async def story() -> None:
        async with world("ark", ["price_overrun=1"]) as w:
            assert (await made(w))["usage"]["completion_tokens"] == 324_000
            assert w.charged() == 3 * 1_155_600

    run(story)
