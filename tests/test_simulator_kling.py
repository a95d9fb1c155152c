"""The simulated Kling: what its own documents and the measurements of others say of it, request by request."""

from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import vendors
from vendors import like, recorded, run, world

BODY: dict[str, Any] = recorded("kling", "create_text")["request"]["body"]
T2V = "/text-to-video/kling-3.0"


def body(tag: str = "", prompt: str = "a tin robot waters a fern", **settings: Any) -> dict[str, Any]:
    """BODY with its settings changed; None leaves one out."""
    kept = {name: value for name, value in (BODY["settings"] | settings).items() if value is not None}
    return {"prompt": prompt, "settings": kept, "options": {"external_task_id": tag}}


async def made(w: vendors.World, path: str, body: Any) -> dict[str, Any]:
    """The record of a task that has ended."""
    created = await w.ask("POST", path, body)
    assert created.status_code == 200, created.text
    await trio.sleep(20)
    (task,) = (await w.ask("GET", f"/tasks?task_ids={created.json()['data']['id']}")).json()["data"]
    return dict(task)


def test_the_documents_own_text_order_from_create_to_download() -> None:
    async def story() -> None:
        async with world("kling", queue_s=1, render_s=3) as w:
            created = await w.again(recorded("kling", "create_text"))
            like(created, recorded("kling", "create_text"))
            data = created.json()["data"]
            assert int(data["id"]) > 2**53, "never to be parsed as a number"
            assert data["create_time"] == vendors.EPOCH * 1000
            path = f"/tasks?task_ids={data['id']}"
            like(await w.ask("GET", path), recorded("kling", "poll_submitted"))
            await trio.sleep(2)
            running = await w.ask("GET", path)
            like(running, recorded("kling", "poll_processing"))
            assert running.json()["data"][0]["status"] == "processing"
            assert w.charged() == 0, "charged at the end, not before"
            await trio.sleep(3)
            done = await w.ask("GET", path)
            like(done, recorded("kling", "poll_succeeded"))
            (task,) = done.json()["data"]
            assert task["billing"] == [{"charge_type": "unit", "amount": "3", "package_type": "video"}]
            assert w.charged() == 420_000
            (output,) = task["outputs"]
            assert output["duration"] == "5.041"
            facts = await w.clip(output["url"])
            assert (facts["width"], facts["height"], facts["audio"]) == (720, 1280, False)
            assert facts["duration_s"] == pytest.approx(5.0417, abs=1e-3)

    run(story)


def test_the_documents_own_image_order() -> None:
    async def story() -> None:
        async with world("kling") as w:
            created = await w.again(recorded("kling", "create_image"))
            like(created, recorded("kling", "create_image"))
            await trio.sleep(5)
            (task,) = (await w.ask("GET", f"/tasks?task_ids={created.json()['data']['id']}")).json()["data"]
            assert (await w.clip(task["outputs"][0]["url"]))["audio"] is True
            assert w.charged() == 10 * 168_000

    run(story)


@pytest.mark.parametrize(
    ("path", "settings", "micro"),
    [
        (T2V, {"audio": "off"}, 420_000),
        (T2V, {"audio": "native"}, 630_000),
        (T2V, {"resolution": "1080p", "audio": "off"}, 560_000),
        (T2V, {"resolution": "4k", "audio": "native"}, 2_100_000),
        ("/text-to-video/kling-3.0-turbo", {"duration": 3, "audio": None}, 336_000),
        ("/text-to-video/kling-2.5-turbo", {"audio": None}, 210_000),
        ("/text-to-video/kling-2.6", {"audio": "off"}, 210_000),
        ("/text-to-video/kling-2.6", {"resolution": "1080p", "audio": "native"}, 700_000),
        ("/text-to-video/kling-9", {}, 5 * 50_000),
    ],
)
def test_prices_are_those_of_the_price_page(path: str, settings: dict[str, Any], micro: int) -> None:
    async def story() -> None:
        async with world("kling", extra_models={"kling": {"kling-9": 50_000}}) as w:
            task = await made(w, path, body(**settings))
            assert w.charged() == micro
            (line,) = task["billing"]
            told = float(line["amount"]) * (140_000 if line["charge_type"] == "unit" else 1_000_000)
            assert round(told) == micro

    run(story)


def test_the_omni_model_is_billed_as_measured() -> None:
    async def story() -> None:
        async with world("kling") as w:
            order = {
                "contents": [{"type": "prompt", "text": "a fern"}],
                "settings": {"aspect_ratio": "9:16", "duration": 3},
            }
            task = await made(w, "/omni-video/kling-v3-omni", order)
            assert task["billing"][0]["amount"] == "1.8"
            order["contents"].append({"type": "base_video", "url": "https://img.example/v.mp4"})
            assert (await made(w, "/omni-video/kling-3.0-omni", order))["billing"][0]["amount"] == "2.7"
            late = order | {"settings": {"aspect_ratio": "9:16", "resolution": "480p"}}
            failed = await made(w, "/omni-video/kling-3.0-omni", late)
            assert failed["status"] == "failed", "the validator lets it pass, the generation does not"
            bare = {"contents": [{"type": "prompt", "text": "a fern"}], "settings": {}}
            refused = await w.ask("POST", "/omni-video/kling-3.0-omni", bare)
            assert (refused.status_code, refused.json()["code"]) == (400, 1201)
            assert "aspect_ratio" in refused.json()["message"]

    run(story)


def test_what_is_at_the_wrong_place_is_ignored_and_the_default_clip_is_billed() -> None:
    async def story() -> None:
        async with world("kling") as w:
            wrong = {"prompt": "a fern", "duration": 10, "aspect_ratio": "9:16", "seed": 4, "settings": {"mode": "pro"}}
            task = await made(w, T2V, wrong)
            facts = await w.clip(task["outputs"][0]["url"])
            assert (facts["width"], facts["height"]) == (1280, 720)
            assert task["outputs"][0]["duration"] == "5.041"
            assert w.charged() == 420_000
            ignored = ["aspect_ratio", "duration", "seed", "settings.mode"]
            assert sorted(w.cloud.charges()["ignored"]) == [f"kling: {name}" for name in ignored]

    run(story)


def test_turbo_has_no_audio_switch_and_makes_and_bills_sound() -> None:
    async def story() -> None:
        async with world("kling") as w:
            task = await made(w, "/text-to-video/kling-3.0-turbo", body(audio="off", multi_shot=None))
            assert (await w.clip(task["outputs"][0]["url"]))["audio"] is True
            assert w.cloud.charges()["ignored"] == {"kling: settings.audio": 1}

    run(story)


def test_lengths_out_of_range_are_taken_and_the_nearest_is_made() -> None:
    async def story() -> None:
        async with world("kling") as w:
            assert (await made(w, T2V, body(duration=20)))["outputs"][0]["duration"] == "15.041"
            assert (await made(w, T2V, body(duration=0)))["outputs"][0]["duration"] == "3.041"

    run(story)


@pytest.mark.parametrize(
    ("path", "order", "said"),
    [
        (T2V, body(resolution="480p"), "[720p, 1080p, 4k]"),
        (T2V, body(aspect_ratio="4:3"), "[16:9, 9:16, 1:1]"),
        (T2V, body(audio="on"), "[off, native]"),
        (T2V, body(duration="5"), "not an integer"),
        (T2V, body(prompt=""), "prompt"),
        (T2V, body(prompt="x" * 3073), "3072"),
        ("/text-to-video/kling-2.6", body(prompt="x" * 2501), "2500"),
        ("/text-to-video/kling-2.6", body(duration=7), "[5, 10]"),
        ("/text-to-video/kling-2.6", body(audio="native"), "1080p"),
        (T2V, {**BODY, "options": {"external_task_id": 7}}, "external_task_id"),
        (T2V, [], "object"),
        ("/image-to-video/kling-3.0", BODY, "contents"),
        ("/image-to-video/kling-3.0", {"contents": [{"type": "prompt", "text": "x"}]}, "first_frame"),
        (
            "/image-to-video/kling-3.0-turbo",
            recorded("kling", "create_image")["request"]["body"],
            "allowed: [prompt, first_frame]",
        ),
        (
            "/image-to-video/kling-2.6",
            recorded("kling", "create_image")["request"]["body"] | {"settings": {"resolution": "720p"}},
            "allowed: [1080p]",
        ),
        (
            "/image-to-video/kling-3.0",
            {
                "contents": [
                    {"type": "prompt", "text": "x"},
                    {"type": "first_frame", "url": "data:image/png;base64,AAAA"},
                ]
            },
            "without a prefix",
        ),
    ],
)
def test_values_that_do_not_exist_are_1201_and_nothing_is_created(path: str, order: Any, said: str) -> None:
    async def story() -> None:
        async with world("kling") as w:
            refused = await w.ask("POST", path, order)
            like(refused, recorded("kling", "create_bad_value"))
            assert refused.json()["code"] == 1201
            assert said in refused.json()["message"]
            assert w.creates == 0

    run(story)


def test_a_picture_gives_the_clip_its_shape() -> None:
    import base64
    import io

    from PIL import Image

    def picture(width: int, height: int) -> str:
        held = io.BytesIO()
        Image.new("RGB", (width, height)).save(held, "PNG")
        return base64.b64encode(held.getvalue()).decode()

    async def story() -> None:
        async with world("kling") as w:
            path = "/image-to-video/kling-3.0"
            parts = [{"type": "prompt", "text": "x"}, {"type": "first_frame", "url": picture(400, 800)}]
            task = await made(w, path, {"contents": parts, "settings": {"duration": 5}})
            facts = await w.clip(task["outputs"][0]["url"])
            assert (facts["width"], facts["height"]) == (720, 1440)
            for size in ((299, 299), (300, 900)):
                parts[1]["url"] = picture(*size)
                assert (await w.ask("POST", path, {"contents": parts})).json()["code"] == 1201

    run(story)


def test_a_picture_that_cannot_be_reached_fails_the_task_not_the_create() -> None:
    async def story() -> None:
        async with world("kling") as w:
            parts = [{"type": "prompt", "text": "x"}, {"type": "first_frame", "url": "https://no.invalid/a.png"}]
            task = await made(w, "/image-to-video/kling-3.0", {"contents": parts})
            assert (task["status"], task["outputs"], task["billing"]) == ("failed", [], [{"amount": "0"}])
            assert "first_frame" in task["message"]
            assert w.charged() == 0

    run(story)


# --- its own id


def test_an_external_id_is_unique_in_the_account_and_finds_the_task_at_once() -> None:
    async def story() -> None:
        async with world("kling") as w:
            first = await w.again(recorded("kling", "create_text"))
            tag = first.json()["data"]["external_id"]
            found = await w.ask("GET", f"/tasks?external_task_ids={tag}")
            like(found, recorded("kling", "poll_by_external"))
            assert found.json()["data"][0]["id"] == first.json()["data"]["id"]
            image = recorded("kling", "create_image")["request"]["body"]
            other = image | {"options": {"external_task_id": tag}}
            await trio.sleep(13 * 60)
            for path, order in ((T2V, BODY), ("/image-to-video/kling-3.0", other)):
                twice = await w.ask("POST", path, order)
                like(twice, recorded("kling", "create_duplicate"))
                assert twice.json()["code"] == 1201
                assert twice.json()["message"] == f"External_task_id {tag} already exists"
            assert w.creates == 1
            for _ in range(2):
                assert (await w.ask("POST", T2V, body(tag=""))).status_code == 200, "an empty one is none"

    run(story)


def test_the_id_of_a_failed_task_is_free_only_by_a_fault() -> None:
    async def story(faults: list[str], status: int) -> None:
        async with world("kling", ["job_failed=first:1", *faults]) as w:
            assert (await made(w, T2V, body("vg-1")))["status"] == "failed"
            again = await w.ask("POST", T2V, body("vg-1"))
            assert again.status_code == status
            if status == 200:
                (found,) = (await w.ask("GET", "/tasks?external_task_ids=vg-1")).json()["data"]
                assert found["id"] == again.json()["data"]["id"]

    run(lambda: story([], 400))
    run(lambda: story(["kling.failed_id_free=1"], 200))


def test_an_id_survives_the_death_of_the_simulator(tmp_path: Path) -> None:
    async def story() -> None:
        journal = tmp_path / "j.jsonl"
        async with world("kling", journal=journal) as w:
            first = await w.ask("POST", T2V, body("vg-1"))
        async with world("kling", journal=journal) as w:
            assert (await w.ask("POST", T2V, body("vg-1"))).status_code == 400
            (found,) = (await w.ask("GET", "/tasks?external_task_ids=vg-1")).json()["data"]
            assert found["id"] == first.json()["data"]["id"]
            await trio.sleep(5)
            (found,) = (await w.ask("GET", f"/tasks?task_ids={found['id']}")).json()["data"]
            assert found["status"] == "succeeded"
            assert (await w.clip(found["outputs"][0]["url"]))["width"] == 720

    run(story)


# --- look-ups


def test_look_ups_answer_an_array_without_the_unknown_ids() -> None:
    async def story() -> None:
        async with world("kling") as w:
            ids = [(await w.ask("POST", T2V, body())).json()["data"]["id"] for _ in range(2)]
            unknown = await w.ask("GET", "/tasks?task_ids=893700000000000099")
            like(unknown, recorded("kling", "poll_unknown"))
            two = await w.ask("GET", f"/tasks?task_ids={ids[0]},893700000000000099,{ids[1]}")
            assert [task["id"] for task in two.json()["data"]] == ids
            many = await w.again(recorded("kling", "poll_too_many"))
            like(many, recorded("kling", "poll_too_many"))
            assert many.json()["code"] == 1201
            like(await w.again(recorded("kling", "poll_both_kinds")), recorded("kling", "poll_both_kinds"))
            assert (await w.ask("GET", "/tasks")).json()["code"] == 1200

    run(story)


def test_the_cursor_list_goes_through_all_tasks_newest_first() -> None:
    async def story() -> None:
        async with world("kling", concurrency=10) as w:
            ids = []
            for _ in range(5):
                ids.append((await w.ask("POST", T2V, body())).json()["data"]["id"])
                await trio.sleep(0.1)
            window = {"start_time": int(vendors.now() * 1000) - 60_000, "end_time": str(int(vendors.now() * 1000) + 1)}
            page = (await w.ask("POST", "/tasks", {**window, "limit": 2})).json()["data"]
            assert (page["count"], page["has_more"]) == (2, True)
            seen = [task["id"] for task in page["result"]]
            while page["has_more"]:
                page = (await w.ask("POST", "/tasks", {"cursor": page["next_cursor"], "limit": 2})).json()["data"]
                seen += [task["id"] for task in page["result"]]
            assert seen == ids[::-1]
            await trio.sleep(10)
            waiting = [{"key": "status", "values": ["submitted", "processing"]}]
            none = await w.ask("POST", "/tasks", {"filters": waiting})
            assert none.json()["data"] == {"result": [], "count": 0, "next_cursor": "", "has_more": False}
            images = [{"key": "product_type", "values": ["image"]}]
            assert (await w.ask("POST", "/tasks", {"filters": images})).json()["data"]["count"] == 0
            videos = [{"key": "product_type", "values": ["video"]}]
            all_ = await w.ask("POST", "/tasks", {"filters": videos})
            assert all_.json()["data"]["count"] == 5
            for bad in ({"limit": 501}, {"filters": [{"key": "model", "values": []}]}, {"start_time": "soon"}, []):
                assert (await w.ask("POST", "/tasks", bad)).json()["code"] == 1201
            old = {"end_time": int(vendors.EPOCH * 1000)}
            assert (await w.ask("POST", "/tasks", old)).json()["data"]["count"] == 0
            assert w.creates == 5, "a POST that only reads"

    run(story)


def test_the_documents_own_list() -> None:
    async def story() -> None:
        async with world("kling", queue_s=1e6) as w:
            await w.again(recorded("kling", "create_text"))
            await trio.sleep(1)
            like(await w.again(recorded("kling", "list")), recorded("kling", "list"))

    run(story)


def test_results_are_kept_for_thirty_days() -> None:
    async def story() -> None:
        async with world("kling") as w:
            task = await made(w, T2V, body())
            url = task["outputs"][0]["url"]
            await trio.sleep(29 * 86_400)
            assert (await w.http.get(url)).status_code == 200
            await trio.sleep(2 * 86_400)
            assert (await w.http.get(url)).status_code == 403
            (task,) = (await w.ask("GET", f"/tasks?task_ids={task['id']}")).json()["data"]
            assert (task["status"], task["outputs"]) == ("succeeded", [])

    run(story)


# --- refusals


@pytest.mark.parametrize(
    ("reply", "fault", "code"),
    [
        ("create_no_credits", "no_credits=1", 1102),
        ("create_arrears", "create_arrears=1", 1101),
        ("create_too_fast", "create_429=1", 1302),
        ("create_busy", "create_busy=1", 1303),
        ("create_account", "account_closed=1", 1100),
        ("create_address", "address_refused=1", 1304),
        ("create_bad_key", "bad_key=1", 1002),
        ("create_model_closed", "model_closed=1", 1103),
        ("create_moderated", "create_moderation=1", 1301),
        ("create_500", "create_500=1", 5000),
        ("create_503", "create_503=1", 5001),
        ("create_504", "create_504=1", 5002),
    ],
)
def test_faults_speak_klings_own_words(reply: str, fault: str, code: int) -> None:
    async def story() -> None:
        async with world("kling", [fault]) as w:
            refused = await w.ask("POST", T2V, BODY)
            like(refused, recorded("kling", reply))
            assert refused.json()["code"] == code == recorded("kling", reply)["response"]["body"]["code"]
            assert w.creates == 0

    run(story)


@pytest.mark.parametrize("fault", ["create_500_accepted", "create_503_accepted", "create_504_accepted"])
def test_a_5xx_may_have_created_the_task(fault: str) -> None:
    async def story() -> None:
        async with world("kling", [f"{fault}=first:1"]) as w:
            assert (await w.ask("POST", T2V, BODY)).status_code >= 500
            assert w.creates == 1
            again = await w.ask("POST", T2V, BODY)
            assert again.json()["code"] == 1201
            (found,) = (await w.ask("GET", "/tasks?external_task_ids=vg-3f9c2b71d0e84a55")).json()["data"]
            assert found["status"] == "submitted"

    run(story)


@pytest.mark.parametrize("fault", ["create_lost", "create_cut", "create_garbage", "create_502_accepted"])
def test_a_lost_answer_leaves_a_task_that_the_id_finds(fault: str) -> None:
    async def story() -> None:
        async with world("kling", [f"{fault}=first:1"]) as w:
            try:
                await w.ask("POST", T2V, BODY)
            except httpx.RemoteProtocolError:
                assert fault in ("create_lost", "create_cut")
            assert len((await w.ask("GET", "/tasks?external_task_ids=vg-3f9c2b71d0e84a55")).json()["data"]) == 1
            assert (await w.ask("POST", T2V, BODY)).json()["code"] == 1201
            assert w.creates == 1

    run(story)


@pytest.mark.slow
def test_more_tasks_at_once_than_the_pack_allows_are_refused_until_one_ends() -> None:
    async def story() -> None:
        async with world("kling", concurrency=2, queue_s=1, render_s=5) as w:
            for tag in ("a", "b"):
                assert (await w.ask("POST", T2V, body(tag))).status_code == 200
            refused = await w.ask("POST", T2V, body("c"))
            like(refused, recorded("kling", "create_busy"))
            assert "data" not in refused.json()
            other = await w.ask("POST", "/text-to-video/kling-2.6", body("d", audio="off"))
            assert other.status_code == 200, "the limit is each model's"
            await trio.sleep(7)
            assert (await w.ask("POST", T2V, body("c"))).status_code == 200, "a refused id is free"

    run(story)


def test_an_account_without_credit_is_told_so_with_429() -> None:
    async def story() -> None:
        async with world("kling", credits_usd=1) as w:
            for _ in range(2):
                await made(w, T2V, body())
            refused = await w.ask("POST", T2V, body())
            assert (refused.status_code, refused.json()["code"]) == (429, 1102)
            assert w.charged() == 840_000

    run(story)


def test_keys() -> None:
    async def story() -> None:
        async with world("kling") as w:
            empty = await w.ask("POST", T2V, BODY, authorization="")
            like(empty, recorded("kling", "create_no_key"))
            assert empty.json()["code"] == 1001
            signed = await w.ask("GET", "/tasks?task_ids=1", authorization="Bearer eyJhbGciOiJIUzI1NiJ9.e30.x")
            assert (signed.status_code, signed.json()["code"]) == (401, 1002)

    run(story)


def test_wrong_paths_are_html_and_wrong_models_are_not() -> None:
    async def story() -> None:
        async with world("kling") as w:
            page = recorded("kling", "old_host")
            for path in ("/v1/videos/text2video", "/tasks/893700000000000001", "/", "/account/balance"):
                like(await w.ask("GET", path), page)
            old = await w.ask("GET", "/tasks?task_ids=1", host="api.klingai.com")
            like(old, page)
            unknown = await w.again(recorded("kling", "create_unknown_model"))
            like(unknown, recorded("kling", "create_unknown_model"))
            assert unknown.json()["code"] == 1203
            method = await w.ask("DELETE", "/tasks")
            assert (method.status_code, method.json()["code"]) == (404, 1202)

    run(story)


def test_a_task_that_fails_says_why_and_costs_nothing() -> None:
    async def story() -> None:
        async with world("kling", ["job_failed=~robot", "job_moderated=~fern"]) as w:
            for prompt in ("a robot", "a fern"):
                task = await made(w, T2V, body(prompt=prompt))
                assert (task["status"], task["billing"]) == ("failed", [{"amount": "0"}])
                assert task["message"]
                assert "code" not in task
            assert w.charged() == 0

    run(story)


def test_questions_that_fail() -> None:
    async def story() -> None:
        async with world("kling", ["poll_404=first:1", "poll_500=first:1", "poll_502=first:1"]) as w:
            job = (await w.ask("POST", T2V, BODY)).json()["data"]["id"]
            answers = [await w.ask("GET", f"/tasks?task_ids={job}") for _ in range(4)]
            assert sorted(one.status_code for one in answers) == [200, 200, 500, 502]
            assert [len(one.json()["data"]) for one in answers if one.status_code == 200] == [0, 1]

    run(story)


def test_the_account_tells_its_packs_once_a_second() -> None:
    async def story() -> None:
        async with world("kling", credits_usd=7) as w:
            await made(w, T2V, body())
            told = (await w.ask("GET", "/account/costs?start_time=0&end_time=1")).json()["data"]
            (pack,) = told["resource_pack_subscribe_infos"]
            assert (pack["total_quantity"], pack["remaining_quantity"]) == (50, 47)
            assert (await w.ask("GET", "/account/costs")).json()["code"] == 1302

    run(story)
