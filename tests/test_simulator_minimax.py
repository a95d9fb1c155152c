"""The simulated MiniMax V2: what its OpenAPI and others' measurements say of it, request by request."""

import re
from typing import Any

import pytest
import trio
import vendors
from vendors import like, recorded, run, world

CREATE, QUERY = "/v2/video_generation", "/v2/query/video_generation"
BODY: dict[str, Any] = recorded("minimax", "create")["request"]["body"]


def body(**changes: Any) -> dict[str, Any]:
    """BODY changed; None leaves a field out."""
    return {name: value for name, value in (BODY | changes).items() if value is not None}


def content(*roles: str, prompt: str = "x", url: str = "https://img.example/a.png") -> list[dict[str, Any]]:
    images = [{"type": "image_url", "image_url": {"url": url}, "role": role} for role in roles]
    return [{"type": "text", "text": prompt}, *images]


async def create(w: vendors.World, order: Any = BODY) -> str:
    created = await w.ask("POST", CREATE, order)
    assert created.status_code == 200, created.text
    return str(created.json()["task_id"])


async def made(w: vendors.World, order: Any = BODY) -> dict[str, Any]:
    """The record of a task that has ended."""
    job = await create(w, order)
    await trio.sleep(20)
    return dict((await w.ask("GET", f"{QUERY}/{job}")).json()["task"])


def test_the_documents_own_order_from_create_to_download() -> None:
    async def story() -> None:
        async with world("minimax", queue_s=1, render_s=3) as w:
            created = await w.again(recorded("minimax", "create"))
            like(created, recorded("minimax", "create"))
            job = created.json()["task_id"]
            like(await w.ask("GET", f"{QUERY}/{job}"), recorded("minimax", "poll_queued"))
            await trio.sleep(2)
            running = await w.ask("GET", f"{QUERY}/{job}")
            like(running, recorded("minimax", "poll_running"))
            assert running.json()["task"]["usage"] == {}
            await trio.sleep(3)
            done = await w.ask("GET", f"{QUERY}/{job}")
            like(done, recorded("minimax", "poll_succeeded"))
            task = done.json()["task"]
            assert (task["id"], task["status"]) == (job, "succeeded")
            assert task["usage"]["total_seconds"] == 5
            assert task["created_at"] == vendors.EPOCH
            assert w.charged() == 400_000
            facts = await w.clip(task["content"]["url"])
            assert (facts["width"], facts["height"], facts["audio"]) == (768, 1366, True)

    run(story)


@pytest.mark.parametrize(
    ("seconds", "up", "nearest"),
    [
        (4, 107, 90),
        (5, 124, 124),
        (6, 158, 141),
        (8, 192, 192),
        (9, 226, 209),
        (10, 243, 243),
        (14, 345, 328),
        (15, 362, 362),
    ],
)
def test_clips_have_a_number_of_frames_of_the_grid_and_the_asked_seconds_are_billed(
    seconds: int, up: int, nearest: int
) -> None:
    async def story(faults: list[str], frames: int) -> None:
        async with world("minimax", faults) as w:
            task = await made(w, body(duration=seconds))
            facts = await w.clip(task["content"]["url"])
            assert round(facts["duration_s"] * 24, 6) == frames
            assert w.charged() == 80_000 * seconds

    run(lambda: story([], up))
    run(lambda: story(["grid_nearest=1"], nearest))


@pytest.mark.parametrize(
    ("changes", "micro"),
    [
        ({"resolution": "2K"}, 650_000),
        ({"model": "MiniMax-H3-Max"}, 400_000),
        ({"model": "MiniMax-H3-Max", "resolution": "480P"}, 250_000),
        ({"content": content(*["reference_image"] * 5)}, 400_000),
        ({"content": content(*["reference_image"] * 7)}, 480_000),
        ({"model": "MiniMax-H3-Max", "content": content(*["reference_image"] * 3)}, 474_000),
        ({"model": "MiniMax-H4"}, 50_000),
    ],
)
def test_prices(changes: dict[str, Any], micro: int) -> None:
    async def story() -> None:
        async with world("minimax", extra_models={"minimax": {"MiniMax-H4": 10_000}}) as w:
            task = await made(w, body(**changes))
            assert w.charged() == micro
            assert task["usage"]["output_seconds"] == 5

    run(story)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (body(resolution=None), "resolution is required"),
        (body(duration=None), "duration is required"),
        (body(ratio=None), "ratio is required"),
        (body(ratio="adaptive"), "ratio must be one of"),
        (body(resolution="768p"), "768P, 2K"),
        (body(resolution="1080P"), "768P, 2K"),
        (body(model="MiniMax-H3-Max", resolution="2K"), "480P, 768P"),
        (body(model="MiniMax-H3-Max", duration=4), "from 5 to 15"),
        (body(duration=16), "from 4 to 15"),
        (body(duration="5"), "integer"),
        (body(content=[]), "prompt is required"),
        (body(content=[*content(), *content()]), "prompt is required"),
        (body(content=content(prompt="x" * 7001)), "7000"),
        (body(content=content("last_frame"), ratio="adaptive"), "last_frame needs"),
        (body(content=content("first_frame")), "ratio must be one of adaptive"),
        (body(content=content("first_frame", url="a.png"), ratio="adaptive"), "URL"),
        (body(extra={"prompt_expansion_mode": "quality"}), "prompt_expansion_mode"),
        (body(model="MiniMax-H9"), "model"),
        ([], "model"),
    ],
)
def test_what_is_missing_or_not_on_offer_is_refused_with_2013(order: Any, said: str) -> None:
    async def story() -> None:
        async with world("minimax") as w:
            refused = await w.ask("POST", CREATE, order)
            like(refused, recorded("minimax", "create_missing"))
            told = refused.json()["error"]
            assert said in told["message"]
            assert told["message"].endswith(" (2013)")
            assert told["http_code"] == "400"
            assert w.creates == 0

    run(story)


def test_the_documents_refusals() -> None:
    async def story() -> None:
        async with world("minimax") as w:
            for name in ("create_missing", "create_bad_value"):
                like(await w.again(recorded("minimax", name)), recorded("minimax", name))
            like(await w.again(recorded("minimax", "create_image")), recorded("minimax", "create_image"))
            good = body(model="MiniMax-H3-Max", extra={"prompt_expansion_mode": "disabled"}, aigc_watermark=False)
            assert (await w.ask("POST", CREATE, good)).status_code == 200
            assert w.cloud.charges()["ignored"] == {"minimax: aigc_watermark": 1}

    run(story)


@pytest.mark.parametrize(
    ("reply", "fault", "code"),
    [
        ("create_bad_key", "bad_key=1", "(1004)"),
        ("create_no_credits", "no_credits=1", "(1008)"),
        ("create_moderated", "create_moderation=1", "(1026)"),
        ("create_rate_limited", "create_429=1", "(1002)"),
        ("create_rate_limited", "create_busy=1", "(1002)"),
        ("create_500", "create_500=1", "(1000)"),
        ("create_529", "create_503=1", "later"),
    ],
)
def test_faults_speak_minimaxs_own_words(reply: str, fault: str, code: str) -> None:
    async def story() -> None:
        async with world("minimax", [fault]) as w:
            refused = await w.ask("POST", CREATE, BODY)
            like(refused, recorded("minimax", reply))
            told = refused.json()["error"]
            assert told["type"] == recorded("minimax", reply)["response"]["body"]["error"]["type"]
            assert told["message"].endswith(code)
            assert w.creates == 0

    run(story)


@pytest.mark.parametrize("fault", ["create_500_accepted", "create_503_accepted", "create_502_accepted"])
def test_a_5xx_may_have_created_the_task(fault: str) -> None:
    async def story() -> None:
        async with world("minimax", [f"{fault}=1"]) as w:
            assert (await w.ask("POST", CREATE, BODY)).status_code >= 500
            listed = await w.ask("GET", QUERY)
            assert listed.json()["total"] == 1

    run(story)


def test_the_list_has_no_tag_and_pages() -> None:
    async def story() -> None:
        async with world("minimax") as w:
            first = await made(w)
            second = await create(w, recorded("minimax", "create_image")["request"]["body"])
            listed = await w.again(recorded("minimax", "list"))
            like(listed, recorded("minimax", "list"))
            assert [item["id"] for item in listed.json()["items"]] == [second, first["id"]]
            assert listed.json()["items"][1].keys() == first.keys()
            page = await w.ask("GET", f"{QUERY}?page_num=2&page_size=1")
            assert ([item["id"] for item in page.json()["items"]], page.json()["total"]) == ([first["id"]], 2)
            assert (await w.ask("GET", f"{QUERY}?filter.status=succeeded")).json()["total"] == 1
            assert (await w.ask("GET", f"{QUERY}?filter.task_ids={second}")).json()["total"] == 1
            assert (await w.ask("GET", f"{QUERY}?filter.task_type=regeneration")).json()["total"] == 0
            assert (await w.ask("GET", f"{QUERY}?page_size=101")).status_code == 400
            await trio.sleep(7 * 86_400)
            assert (await w.ask("GET", QUERY)).json() == {"items": [], "total": 0}
            like(await w.ask("GET", f"{QUERY}/{second}"), recorded("minimax", "poll_unknown"))

    run(story)


def test_delete_three_ways() -> None:
    async def story() -> None:
        async with world("minimax", queue_s=1, render_s=3, concurrency=1) as w:
            runs, waits = await create(w), await create(w)
            await trio.sleep(2)
            cancelled = await w.ask("DELETE", f"{CREATE}/{waits}")
            like(cancelled, recorded("minimax", "delete_queued"))
            assert cancelled.json()["status"] == "cancelled"
            like(await w.ask("GET", f"{QUERY}/{waits}"), recorded("minimax", "poll_cancelled"))
            like(await w.ask("DELETE", f"{CREATE}/{runs}"), recorded("minimax", "delete_running"))
            assert (await w.ask("DELETE", f"{CREATE}/{waits}")).status_code == 400
            await trio.sleep(5)
            deleted = await w.ask("DELETE", f"{CREATE}/{runs}")
            assert deleted.json() == {"task_id": runs, "action": "delete", "status": "deleted"}
            gone = await w.ask("GET", f"{QUERY}/{runs}")
            like(gone, recorded("minimax", "poll_not_found"))
            assert "record not found" in gone.json()["error"]["message"]
            assert (await w.ask("DELETE", f"{CREATE}/424900000000099")).json() == gone.json()
            assert w.charged() == 400_000

    run(story)


def test_a_url_lasts_for_hours_and_a_query_brings_a_new_one() -> None:
    async def story() -> None:
        async with world("minimax") as w:
            task = await made(w)
            await trio.sleep(9 * 3600)
            assert (await w.http.get(task["content"]["url"])).status_code == 403
            fresh = (await w.ask("GET", f"{QUERY}/{task['id']}")).json()["task"]["content"]["url"]
            assert (await w.http.get(fresh)).status_code == 200

    run(story)


def test_failures() -> None:
    async def story() -> None:
        async with world("minimax", ["job_failed=~robot", "job_moderated=~fern"]) as w:
            for prompt, reply in (("a robot", "poll_failed"), ("a fern", "poll_failed_moderated")):
                task = await made(w, body(content=content(prompt=prompt)))
                told = recorded("minimax", reply)["response"]["body"]["task"]
                assert vendors.form(task) == vendors.form(told)
                assert task["error"]["code"] == told["error"]["code"]
            assert w.charged() == 0

    run(story)


def test_thirty_in_flight_and_no_more() -> None:
    async def story() -> None:
        async with world("minimax") as w:
            jobs = [await create(w) for _ in range(30)]
            assert all(re.fullmatch(r"4249\d{11}", job) for job in jobs)
            assert (await w.ask("POST", CREATE, BODY)).status_code == 429
            await trio.sleep(2)
            assert (await w.ask("POST", CREATE, BODY)).status_code == 200

    run(story)


def test_keys_and_paths() -> None:
    async def story() -> None:
        async with world("minimax") as w:
            like(await w.ask("POST", CREATE, BODY, authorization=""), recorded("minimax", "create_bad_key"))
            assert (await w.ask("POST", "/v2/video_regeneration", BODY)).status_code == 404
            bad = await w.http.post(f"{w.origin}{CREATE}", headers=w.headers, content=b"{")
            assert bad.json()["error"]["message"].endswith("(2013)")

    run(story)


def test_a_surprise_shows_in_the_seconds() -> None:
    async def story() -> None:
        async with world("minimax", ["price_overrun=1"]) as w:
            assert (await made(w))["usage"]["total_seconds"] == 15
            assert w.charged() == 1_200_000

    run(story)
