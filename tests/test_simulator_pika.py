"""The simulated first-party Pika: what is known of its API, request by request."""

import io
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import vendors
from PIL import Image
from vendors import like, recorded, run, world

KLING = "kling/kling-3.0/text-to-video"
BODY: dict[str, Any] = recorded("pika", "create")["request"]["body"]
KEY = recorded("pika", "create")["request"]["headers"]["idempotency-key"]


async def create(w: vendors.World, body: Any = BODY, key: str = KEY, operation: str = KLING) -> httpx.Response:
    return await w.ask("POST", f"/v1/media/{operation}", body, **{"idempotency-key": key})


async def ended(w: vendors.World, job_id: str) -> dict[str, Any]:
    """A job whose charge is settled."""
    await trio.sleep(10)
    for _ in range(2):
        await w.ask("GET", f"/v1/media/jobs/{job_id}")
    return dict((await w.ask("GET", f"/v1/media/jobs/{job_id}")).json())


def test_the_documents_own_order_from_quote_to_settled_charge() -> None:
    async def story() -> None:
        async with world("pika", queue_s=1, render_s=3) as w:
            created = await w.again(recorded("pika", "create"))
            like(created, recorded("pika", "create"))
            path = f"/v1/media/jobs/{created.json()['id']}"
            like(await w.ask("GET", path), recorded("pika", "poll_queued"))
            early = await w.ask("GET", f"{path}/content")
            like(early, recorded("pika", "content_early"))
            await trio.sleep(2)
            running = await w.ask("GET", path)
            like(running, recorded("pika", "poll_running"))
            assert running.json()["status"] == "running"
            await trio.sleep(3)
            for _ in range(2):
                like(await w.ask("GET", path), recorded("pika", "poll_pending_charge"))
            settled = await w.ask("GET", path)
            like(settled, recorded("pika", "poll_settled"))
            assert settled.json()["billing"] == {"state": "settled", "charge_micro_usd": 340_000}
            assert w.charged() == 340_000
            content = await w.ask("GET", f"{path}/content")
            like(content, recorded("pika", "content"))
            facts = await w.clip(content.json()["url"])
            assert (facts["width"], facts["height"], facts["audio"]) == (720, 1280, False)
            assert w.cloud.requests["media_authorized"] == 0

    run(story)


@pytest.mark.parametrize(
    ("operation", "body", "micro", "size", "sound"),
    [
        ("pika/pika-2.5/text-to-video", {"prompt": "x"}, 450_000, (1920, 1080), False),
        ("pika/pika-2.5/text-to-video", {"prompt": "x", "resolution": "720p"}, 200_000, (1280, 720), False),
        ("pika/pika-2.5/image-to-video", {"image": "https://i.example/a.png"}, 450_000, (1920, 1080), False),
        (
            "pika/pika-2.5/image-to-video",
            {"image": "https://i.example/a.png", "duration_s": 10},
            600_000,
            (1920, 1080),
            False,
        ),
        (KLING, {"prompt": "x"}, 505_000, (1280, 720), True),
        (KLING, {"prompt": "x", "resolution": "4k", "duration": 3, "audio": "off"}, 1_008_000, (3840, 2160), False),
        ("bytedance/seedance-2.5/text-to-video", {"prompt": "x", "duration": 5}, 1_213_380, (1280, 720), True),
        (
            "bytedance/seedance-2.5/text-to-video",
            {"prompt": "x", "duration": 5, "generate_audio": False, "ratio": "9:16", "resolution": "1080p"},
            2_985_255,
            (1080, 1920),
            False,
        ),
        ("minimax/h3/text-to-video", {"prompt": "x"}, 650_000, (2560, 1440), True),
        ("acme/one/text-to-video", {"prompt": "x", "aspect_ratio": "1:1"}, 50_000, (960, 960), False),
    ],
)
def test_the_quote_is_the_charge_and_the_clip_is_what_the_body_says(
    operation: str, body: dict[str, Any], micro: int, size: tuple[int, int], sound: bool
) -> None:
    async def story() -> None:
        async with world("pika", extra_models={"pika": {"acme/one/text-to-video": 10_000}}) as w:
            quote = await w.ask("POST", f"/catalog/apis/{operation.replace('/', '%2F')}/quote", body)
            assert quote.json()["micro_usd"] == micro
            done = await ended(w, (await create(w, body, operation=operation)).json()["id"])
            assert done["billing"]["charge_micro_usd"] == micro == w.charged()
            facts = await w.clip(done["output"]["video"]["url"])
            assert ((facts["width"], facts["height"]), facts["audio"]) == (size, sound)

    run(story)


def test_a_length_that_the_model_chooses_is_quoted_at_its_longest() -> None:
    async def story() -> None:
        async with world("pika") as w:
            operation, body = "bytedance/seedance-2.5/text-to-video", {"prompt": "x", "duration": "auto"}
            quote = await w.ask("POST", f"/catalog/apis/{operation.replace('/', '%2F')}/quote", body)
            done = await ended(w, (await create(w, body, operation=operation)).json()["id"])
            assert done["billing"]["charge_micro_usd"] <= quote.json()["micro_usd"] == 6 * 1_213_380

    run(story)


# --- the key


def test_the_same_key_brings_the_same_job_as_it_is_now_and_costs_nothing() -> None:
    async def story() -> None:
        async with world("pika", queue_s=1, render_s=3) as w:
            first = await create(w)
            await trio.sleep(2)
            again = await create(w)
            like(again, recorded("pika", "create_replayed"))
            assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "running")
            await trio.sleep(3)
            assert (await create(w)).json()["status"] == "completed"
            other = await create(w, {**BODY, "duration": 10})
            like(other, recorded("pika", "create_conflict"))
            assert (await create(w, {"prompt": "x"}, operation="pika/pika-2.5/text-to-video")).status_code == 409
            assert w.creates == 1
            assert (await create(w, key="another")).json()["id"] != first.json()["id"]
            assert w.creates == 2

    run(story)


def test_a_key_is_required_and_a_refused_body_does_not_use_it_up() -> None:
    async def story() -> None:
        async with world("pika") as w:
            assert (await create(w, key="")).status_code == 400
            assert (await create(w, {**BODY, "duration": 99})).status_code == 422
            assert (await create(w)).status_code == 200
            assert w.creates == 1

    run(story)


def test_a_failed_job_is_replayed_too() -> None:
    async def story() -> None:
        async with world("pika", ["job_failed=first:1"]) as w:
            job = (await create(w)).json()["id"]
            done = await ended(w, job)
            vendors_ = recorded("pika", "poll_failed")["response"]["body"]
            assert vendors.form(done) == vendors.form(vendors_)
            assert done["billing"] == {"state": "settled", "charge_micro_usd": 0}
            again = (await create(w)).json()
            assert (again["id"], again["status"]) == (job, "failed")
            assert (await create(w, key="fresh")).json()["status"] == "queued"

    run(story)


@pytest.mark.parametrize(
    "fault", ["create_lost", "create_cut", "create_garbage", "create_502_accepted", "create_500_accepted"]
)
def test_after_a_lost_answer_the_same_key_buys_nothing_twice(fault: str) -> None:
    async def story() -> None:
        async with world("pika", [f"{fault}=first:1"]) as w:
            try:
                await create(w)
            except httpx.RemoteProtocolError:
                assert fault in ("create_lost", "create_cut")
            assert w.creates == 1
            assert (await create(w)).json()["status"] == "queued"
            assert w.creates == 1

    run(story)


def test_a_key_survives_the_death_of_the_simulator(tmp_path: Path) -> None:
    async def story() -> None:
        async with world("pika", journal=tmp_path / "j.jsonl") as w:
            first = await create(w)
        async with world("pika", journal=tmp_path / "j.jsonl") as w:
            assert (await create(w)).json()["id"] == first.json()["id"]
            assert (await create(w, {**BODY, "duration": 3})).status_code == 409
            assert w.creates == 1

    run(story)


# --- money


def test_a_create_may_answer_200_with_a_job_that_has_already_failed(tmp_path: Path) -> None:
    async def story() -> None:
        async with world("pika", ["failed_on_create=first:1"], journal=tmp_path / "j.jsonl") as w:
            failed = await create(w)
            assert (failed.status_code, failed.json()["status"]) == (200, "failed")
            assert failed.json()["error"] == recorded("pika", "create_failed")["response"]["body"]["error"]
            assert (await create(w)).json()["id"] == failed.json()["id"], "the key is used up"
        async with world("pika", journal=tmp_path / "j.jsonl") as w:
            again = await ended(w, failed.json()["id"])
            assert (again["status"], again["billing"]["charge_micro_usd"]) == ("failed", 0)
            assert w.charged() == 0

    run(story)


@pytest.mark.parametrize("options", [{"faults": ["no_credits=first:1"]}, {"credits_usd": "0.1"}])
def test_a_create_without_money_is_403_with_a_failed_job(options: dict[str, Any]) -> None:
    async def story() -> None:
        from decimal import Decimal

        if "credits_usd" in options:
            options["credits_usd"] = Decimal(options["credits_usd"])
        async with world("pika", **options) as w:
            for _ in range(2):
                refused = await create(w)
                assert (refused.status_code, refused.json()["status"]) == (403, "failed")
                assert refused.json()["error"]["code"] == "insufficient_balance"
            assert w.creates == 1
            assert w.charged() == 0

    run(story)


def test_completed_does_not_mean_settled() -> None:
    async def story() -> None:
        async with world("pika", ["billing_pending=first:5"]) as w:
            job = (await create(w)).json()["id"]
            await trio.sleep(10)
            told = [(await w.ask("GET", f"/v1/media/jobs/{job}")).json()["billing"]["state"] for _ in range(7)]
            assert told == ["pending"] * 5 + ["settled"] * 2

    run(story)


def test_a_surprise_shows_in_the_settled_charge_only() -> None:
    async def story() -> None:
        async with world("pika", ["price_overrun=1"]) as w:
            done = await ended(w, (await create(w)).json()["id"])
            assert done["billing"]["charge_micro_usd"] == 3 * 340_000 == w.charged()

    run(story)


def test_balance_and_daily_spend() -> None:
    async def story() -> None:
        async with world("pika", credits_usd=2) as w:
            await ended(w, (await create(w)).json()["id"])
            balance = await w.ask("GET", "/billing/balance")
            like(balance, recorded("pika", "balance"))
            assert balance.json() == {"balance_micro_usd": 1_660_000}
            spend = await w.ask("GET", "/billing/spend/daily?start_date=2026-11-01&end_date=2026-12-01")
            like(spend, recorded("pika", "spend_daily"))
            assert [day["amount_micro_usd"] for day in spend.json()["results"]] == [340_000]
            past = await w.ask("GET", "/billing/spend/daily?start_date=2026-01-01&end_date=2026-02-01")
            assert past.json() == {"results": []}

    run(story)


# --- the catalog


def test_the_catalog_and_its_quotes_need_no_key() -> None:
    async def story() -> None:
        async with world("pika") as w:
            for name in ("quote", "catalog_item"):
                reply = await w.again(recorded("pika", name))
                like(reply, recorded("pika", name))
                assert reply.json() == recorded("pika", name)["response"]["body"]
            item = await w.ask("GET", "/catalog/apis/pika%2Fpika-2.5%2Ftext-to-video", **{"x-api-key": ""})
            assert "input_schema" not in item.json()
            assert item.headers["cache-control"] == "no-store"
            listed = (await w.ask("GET", "/catalog/apis", **{"x-api-key": ""})).json()["apis"]
            assert {"id": KLING, "call": {"path": f"/v1/media/{KLING}", "method": "POST"}} in listed
            assert (await w.ask("GET", "/catalog/apis/pika/pika-2.5/text-to-video")).status_code == 404, "not encoded"
            assert (await w.ask("GET", "/catalog/apis/pika%2Fnone")).status_code == 404
            bad = await w.ask("POST", "/catalog/apis/pika%2Fpika-2.5%2Ftext-to-video/quote", {"prompt": "x", "a": 1})
            assert bad.status_code == 422
            assert w.creates == 0

    run(story)


@pytest.mark.parametrize(
    ("operation", "body", "said"),
    [
        ("pika/pika-2.5/text-to-video", {"prompt": "x", "aspect_ratio": "9:16"}, "aspect_ratio"),
        ("pika/pika-2.5/text-to-video", {"prompt": "x", "duration_s": 10}, "duration_s"),
        ("pika/pika-2.5/text-to-video", {"prompt": "x", "duration": 5}, "duration"),
        ("pika/pika-2.5/text-to-video", {"prompt": ""}, "prompt"),
        ("pika/pika-2.5/text-to-video", {"prompt": "x", "seed": True}, "seed"),
        ("pika/pika-2.5/image-to-video", {"prompt": "x"}, "image"),
        ("pika/pika-2.5/image-to-video", {"image": "data:image/png;base64,AA"}, "image"),
        (KLING, {"prompt": "x" * 3073}, "prompt"),
        (KLING, {"prompt": "x", "duration": "5"}, "duration"),
        (KLING, {"prompt": "x", "audio": True}, "audio"),
        ("bytedance/seedance-2.5/text-to-video", {"prompt": "x"}, "duration"),
        ("bytedance/seedance-2.5/text-to-video", {"prompt": "x", "duration": 31}, "duration"),
        (
            "bytedance/seedance-2.5/text-to-video",
            {"prompt": "x", "duration": 5, "aspect_ratio": "9:16"},
            "aspect_ratio",
        ),
        ("minimax/h3/text-to-video", {"prompt": "x", "ratio": "adaptive"}, "ratio"),
        ("minimax/h3/text-to-video", {"prompt": "x", "resolution": "768p"}, "resolution"),
        (KLING, [], "object"),
    ],
)
def test_what_the_schema_does_not_have_is_refused(operation: str, body: Any, said: str) -> None:
    async def story() -> None:
        async with world("pika") as w:
            refused = await create(w, body, operation=operation)
            like(refused, recorded("pika", "create_unknown_field"))
            assert said in refused.json()["error"]["message"]
            assert w.creates == 0

    run(story)


def test_null_is_allowed_where_the_schema_says_so() -> None:
    async def story() -> None:
        async with world("pika") as w:
            assert (await create(w, {**BODY, "multi_shot": None})).status_code == 200
            assert (await create(w, {**BODY, "audio": None}, key="2")).status_code == 422

    run(story)


def test_an_upload_gives_the_clip_its_shape() -> None:
    held = io.BytesIO()
    Image.new("RGB", (400, 800)).save(held, "PNG")
    picture = held.getvalue()

    async def story() -> None:
        async with world("pika") as w:
            asked = {"content_type": "image/png", "size_bytes": len(picture)}
            upload = (await w.ask("POST", "/v1/media/uploads", asked)).json()
            put = await w.http.put(upload["upload_url"], content=picture)
            assert put.status_code == 200
            body = {"image": upload["url"], "resolution": "720p"}
            job = (await create(w, body, operation="pika/pika-2.5/image-to-video")).json()["id"]
            facts = await w.clip((await ended(w, job))["output"]["video"]["url"])
            assert (facts["width"], facts["height"]) == (720, 1440)
            assert (await w.http.put(f"{w.origin}/v1/media/uploads/99", content=picture)).status_code == 404
            assert (await w.ask("POST", "/v1/media/uploads", {})).status_code == 422

    run(story)


# --- errors


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("create_no_key", "bad_key=1"),
        ("create_usage_limit", "create_arrears=1"),
        ("create_rate_limited", "create_429=1"),
        ("create_500", "create_500=1"),
    ],
)
def test_faults_speak_pikas_own_words(reply: str, fault: str) -> None:
    async def story() -> None:
        async with world("pika", [fault]) as w:
            refused = await create(w)
            like(refused, recorded("pika", reply))
            told = recorded("pika", reply)["response"]["body"]["error"]
            assert refused.json()["error"]["code"] == told["code"]
            assert w.creates == 0

    run(story)


def test_errors_come_in_two_forms_and_retry_after_as_a_date() -> None:
    async def story() -> None:
        async with world("pika", ["create_429=first:1", "create_503=first:1"]) as w:
            limited, down = await create(w), await create(w)
            for reply in (limited, down):
                later = parsedate_to_datetime(reply.headers["retry-after"]).timestamp()
                assert later == pytest.approx(vendors.now() + 1, abs=1)
                assert reply.headers["x-request-id"]
            assert down.json()["message"]
            assert "error" not in down.json()

    run(story)


def test_an_inactive_key_is_403_without_a_job() -> None:
    async def story() -> None:
        async with world("pika", ["account_closed=1"]) as w:
            like(await create(w), recorded("pika", "create_inactive_key"))
            assert w.creates == 0

    run(story)


def test_moderation_comes_late() -> None:
    async def story() -> None:
        async with world("pika", ["create_moderation=~robot"]) as w:
            job = (await create(w)).json()["id"]
            await trio.sleep(5)
            moderated = await w.ask("GET", f"/v1/media/jobs/{job}")
            like(moderated, recorded("pika", "poll_moderated"))
            assert moderated.json()["error"]["code"] == "content_moderation"
            assert (await w.ask("GET", f"/v1/media/jobs/{job}/content")).status_code == 404
            assert w.charged() == 0

    run(story)


def test_delete_erases_what_is_finished_and_cancels_nothing() -> None:
    async def story() -> None:
        async with world("pika") as w:
            job = (await create(w)).json()["id"]
            path = f"/v1/media/jobs/{job}"
            assert (await w.ask("DELETE", path)).status_code == 409
            done = await ended(w, job)
            like(await w.ask("DELETE", path), recorded("pika", "delete_accepted"))
            like(await w.ask("GET", path), recorded("pika", "poll_unknown"))
            assert (await w.http.get(done["output"]["video"]["url"])).status_code == 404
            assert w.charged() == 340_000

    run(story)


def test_keys_and_paths() -> None:
    async def story() -> None:
        async with world("pika") as w:
            like(await w.again(recorded("pika", "create_no_key")), recorded("pika", "create_no_key"))
            bearer = await w.ask("POST", f"/v1/media/{KLING}", BODY, **{"x-api-key": "", "authorization": "Bearer k"})
            assert bearer.status_code == 401
            assert (await create(w, operation="pika/pika-9/text-to-video")).status_code == 404
            assert (await w.ask("PUT", f"/v1/media/{KLING}", BODY)).status_code == 404
            like(await w.ask("GET", "/v1/media/jobs/job_0000"), recorded("pika", "poll_unknown"))

    run(story)


def test_pika_without_a_protocol_is_still_fals() -> None:
    async def story() -> None:
        async with world("pika", ["pika.create_500=first:2"]) as w:
            fal = {"authorization": "Key any:key", "x-api-key": ""}
            submit = "/fal-ai/pika/v2.2/text-to-video"
            assert (await w.ask("POST", submit, {"prompt": "x"}, **fal)).status_code == 500
            assert (await create(w)).status_code == 500, "the prefix means both"
            assert (await w.ask("POST", submit, {"prompt": "x"}, **fal)).json()["status"] == "IN_QUEUE"
            assert (await create(w)).json()["status"] == "queued"

    run(story)
