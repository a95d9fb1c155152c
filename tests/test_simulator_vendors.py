"""The four further vendors of the simulator together: one host, the same faults, any input, recorded replies."""

import json
import random
import re
from typing import Any

import httpx
import pytest
import trio
import vendors
from vendors import WIRE, names, recorded, run, world

from vgen.simulator.app import App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import AFTER_ACCEPTING, BEFORE_ACCEPTING, POLL, VENDORS_AFTER, VENDORS_BEFORE
from vgen.simulator.renderers import plain_renderer
from vgen.simulator.web import Request, Response, WireFault

CREATES = {"kling": "create_text", "pika": "create", "ark": "create", "minimax": "create"}
"""A good order of each vendor's."""


def asked(exchange: dict[str, Any], origin: str = "http://127.0.0.1:8080", **headers: str) -> Request:
    """The request of a recorded exchange, without a network."""
    request = exchange["request"]
    body = json.dumps(request["body"]).encode() if "body" in request else b""
    return Request(
        method=request["method"],
        target=request["path"],
        origin=origin,
        headers=request["headers"] | headers,
        body=body,
    )


def job_of(vendor: str, created: Any) -> str:
    """The id in the answer to a good create."""
    match vendor:
        case "kling":
            return str(created["data"]["id"])
        case "minimax":
            return str(created["task_id"])
    return str(created["id"])


POLLS = {
    "kling": "/tasks?task_ids={}",
    "pika": "/v1/media/jobs/{}",
    "ark": "/api/v3/contents/generations/tasks/{}",
    "minimax": "/v2/query/video_generation/{}",
}


# --- recorded replies


@pytest.mark.parametrize("vendor", CREATES)
def test_recorded_replies_say_where_they_are_from(vendor: str) -> None:
    assert len(names(vendor)) >= 20
    for name in names(vendor):
        exchange = recorded(vendor, name)
        assert exchange["about"], name
        assert any(mark in exchange["source"] for mark in ("[V]", "[C]", "[T]", "[U]", "official")), name
        assert ("body" in exchange["response"]) != ("text" in exchange["response"]), name
    assert (WIRE / "README.md").exists()


@pytest.mark.parametrize("vendor", CREATES)
def test_every_recorded_request_is_answered_with_a_status_of_its_kind(vendor: str) -> None:
    """Requests whose exchange is a success or a refusal of the request itself: those that need no fault and no past."""
    needs = {
        "kling": ("poll_", "create_duplicate", "legacy", "old_host"),
        "pika": ("poll_", "content", "delete", "create_"),
        "ark": ("poll_", "delete", "list_", "create_moderated", "create_bad_key", "create_no", "create_s"),
        "minimax": ("poll_", "delete", "create_bad_key", "create_no", "create_moderated"),
    }[vendor]
    trouble = ("create_5", "create_rate", "create_busy", "create_model_closed", "create_inactive")

    async def story() -> None:
        for name in names(vendor):
            exchange = recorded(vendor, name)
            if "request" not in exchange or name.startswith((*needs, *trouble)):
                continue
            app = App(Cloud(now=vendors.now), plain_renderer)
            assert (await app(asked(exchange))).status == exchange["response"]["status"], name

    run(story)


# --- one host


def test_all_vendors_share_one_host() -> None:
    async def story() -> None:
        app = App(Cloud(now=vendors.now), plain_renderer)
        for vendor, name in CREATES.items():
            assert (await app(asked(recorded(vendor, name)))).status == 200, vendor
        quote = recorded("pika", "quote")
        assert (await app(asked(quote))).json() == quote["response"]["body"]
        v1 = {"authorization": "Bearer key_x", "x-runway-version": "2024-11-06"}
        runway = Request(method="GET", target="/v1/organization", origin="http://h", headers=v1)
        assert (await app(runway)).status == 200
        fal = Request(
            method="POST",
            target="/fal-ai/pika/v2.2/text-to-video",
            origin="http://h",
            headers={"authorization": "Key k"},
            body=b'{"prompt":"x"}',
        )
        assert (await app(fal)).json()["status"] == "IN_QUEUE"
        made = {job["provider"] for job in app.cloud.charges()["jobs"]}
        assert made == {"kling", "pika", "ark", "minimax", "fal"}

    run(story)


@pytest.mark.parametrize("vendor", CREATES)
def test_a_vendors_own_host_serves_nobody_elses_paths(vendor: str) -> None:
    async def story() -> None:
        for origin in (f"https://{vendor}.simulated", f"https://{vendors.HOSTS[vendor]}"):
            app = App(Cloud(now=vendors.now), plain_renderer)
            for other in CREATES:
                response = await app(asked(recorded(other, CREATES[other]), origin))
                assert (response.status == 200) == (other == vendor), (origin, other)

    run(story)


# --- faults


@pytest.mark.parametrize("vendor", CREATES)
@pytest.mark.parametrize("fault", [*BEFORE_ACCEPTING, *VENDORS_BEFORE, *AFTER_ACCEPTING, *VENDORS_AFTER])
def test_every_fault_of_a_create_accepts_or_not_as_it_says(vendor: str, fault: str) -> None:
    async def story() -> None:
        cloud = Cloud(now=vendors.now, faults=vendors.Faults([f"{vendor}.{fault}=1"]))
        app = App(cloud, plain_renderer)
        response = await app(asked(recorded(vendor, CREATES[vendor]), f"https://{vendor}.simulated"))
        unknown = cloud.faults.counts[fault] == 0
        assert unknown == (response.status == 200 and response.wire is None and fault != "create_garbage")
        if unknown:
            assert fault in (*VENDORS_BEFORE, *VENDORS_AFTER), "only a fault for which the vendor has no words"
        await trio.sleep(100)
        accepted = unknown or fault in (*AFTER_ACCEPTING, *VENDORS_AFTER)
        assert (cloud.charges()["total_usd"] > 0) == accepted
        if not accepted and (vendor, fault) != ("pika", "no_credits"):
            assert cloud.charges()["creates"] == 0

    run(story)


@pytest.mark.parametrize("vendor", CREATES)
@pytest.mark.parametrize("fault", POLL)
def test_every_fault_of_a_question(vendor: str, fault: str) -> None:
    async def story() -> None:
        app = App(Cloud(now=vendors.now, faults=vendors.Faults([f"{fault}=1"])), plain_renderer)
        origin = f"https://{vendor}.simulated"
        created = await app(asked(recorded(vendor, CREATES[vendor]), origin))
        target = POLLS[vendor].format(job_of(vendor, created.json()))
        headers = recorded(vendor, CREATES[vendor])["request"]["headers"]
        spoilt = await app(Request(method="GET", target=target, origin=origin, headers=headers))
        missing = recorded(vendor, "poll_not_found" if vendor == "minimax" else "poll_unknown")
        _is_spoilt(spoilt, fault, missing["response"]["status"])

    run(story)


def _is_spoilt(response: Response, fault: str, missing: int) -> None:
    match fault:
        case "poll_reset":
            assert response.wire is WireFault.RESET
        case "poll_hang":
            assert response.wire is WireFault.HANG
        case "poll_garbage":
            with pytest.raises(ValueError):
                response.json()
        case "poll_404":
            assert response.status == missing
            assert response.json()
        case _:
            assert response.status == int(fault.removeprefix("poll_"))


@pytest.mark.parametrize("vendor", CREATES)
def test_media_faults_and_keys_at_the_media_host(vendor: str) -> None:
    async def story() -> None:
        async with world(vendor, ["url_expired=first:1", "clip_480p=1"]) as w:
            created = await w.again(recorded(vendor, CREATES[vendor]))
            await trio.sleep(10)
            path = POLLS[vendor].format(job_of(vendor, created.json()))

            async def url() -> str:
                found = re.search(r"https://[^\"]*/media/[^\"]*", (await w.ask("GET", path)).text)
                assert found
                return found[0]

            assert (await w.http.get(await url())).status_code == 403
            facts = await w.clip(await url())
            assert min(facts["width"], facts["height"]) == 480
            assert w.cloud.requests["media_authorized"] == 0

    run(story)


# --- any input


def junk(rng: random.Random, depth: int = 0) -> Any:
    kinds: list[Any] = [None, True, -1, 0, 5, 1e300, 10**400, float("inf"), float("nan"), "", "5", "9:16", "\ud800"]
    kinds += ["x" * 9000, "data:image/png;base64,AAAA", "https://no.invalid/a.png", "a fern --dur 8 --rt 1:1"]
    if depth < 3 and rng.random() < 0.4:
        return rng.choice([[junk(rng, depth + 1)], {"url": junk(rng, depth + 1), "type": "text", "text": junk(rng)}])
    return rng.choice(kinds)


def spoilt(rng: random.Random, value: Any) -> Any:
    """A good body with something in it exchanged."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        return value | {name: spoilt(rng, value[name])} | ({"odd": junk(rng)} if rng.random() < 0.2 else {})
    if isinstance(value, list) and value and rng.random() < 0.9:
        return [*value[:-1], spoilt(rng, value[-1])]
    return junk(rng)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", CREATES)
def test_a_vendor_survives_any_body_and_any_question(vendor: str) -> None:
    """No request may end a simulation: 1,500 odd ones, then whatever was accepted is looked at to its end."""
    rng = random.Random(11)
    paths = [
        *("/", "//[", "/tasks", "/tasks?task_ids=,", "/tasks?external_task_ids=%00", "/account/costs"),
        *("/v1/media/jobs/", "/v1/media/jobs/x/y", "/v1/media/", "/v1/media/uploads", "/v1/media/uploads/9"),
        *("/catalog/apis", "/catalog/apis/%2F/quote", "/catalog/apis//", "/billing/spend/daily?start_date=z"),
        *("/api/v3/", "/api/v3/contents/generations/tasks?page_num=%00", "/api/v3/contents/generations/tasks/"),
        *("/v2/query/video_generation?page_size=99999999999", "/v2/query/video_generation/", "/v2/video_generation/x"),
    ]

    async def story() -> None:
        cloud = Cloud(now=vendors.now, concurrency=10_000)
        app, origin = App(cloud, plain_renderer), f"https://{vendor}.simulated"
        exchanges = [recorded(vendor, name) for name in names(vendor)]
        exchanges = [one for one in exchanges if "request" in one]
        for number in range(1500):
            request = asked(rng.choice(exchanges), origin, **{"idempotency-key": f"{number}"})
            if request.body:
                body = json.dumps(spoilt(rng, json.loads(request.body))).encode()
                request = Request(
                    method=request.method, target=request.target, origin=origin, headers=request.headers, body=body
                )
            elif rng.random() < 0.5:
                method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
                body = rng.choice([b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
                request = Request(
                    method=method, target=rng.choice(paths), origin=origin, headers=request.headers, body=body
                )
            response = await app(request)
            fine = 200 <= response.status < 500 or response.status == 503 or b"record not found" in response.body
            assert fine, (request, response)
        await trio.sleep(5000)
        jobs = cloud.charges()["jobs"]
        assert jobs
        for job in jobs:
            headers = exchanges[0]["request"]["headers"]
            target = POLLS[vendor].format(job["id"])
            assert (await app(Request(method="GET", target=target, origin=origin, headers=headers))).status == 200

    run(story)


def test_a_real_client_sees_a_lost_answer() -> None:
    async def story() -> None:
        for vendor, name in CREATES.items():
            async with world(vendor, ["create_lost=1"]) as w:
                with pytest.raises(httpx.RemoteProtocolError):
                    await w.again(recorded(vendor, name))
                assert w.creates == 1

    run(story)
