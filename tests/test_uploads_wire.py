"""Uploads on the wire: what the codecs send, read by another hand; and what the simulated storage refuses."""

import email
import email.policy
import json
from typing import Any

import httpx
import pictured
import pytest
import trio
from simulator_world import FAL_HEADERS, HEADERS, PIKA, RUNWAY, World, run, world

from vgen.providers import fal, runway
from vgen.providers.base import Call, RefusalReason, Refused, Reply
from vgen.providers.codec import Place, Upload, Uploads

PICTURE = pictured.png()
UPLOAD = Upload(kind="image/png", content=PICTURE)
OF = {"runway": runway.VENDOR.uploads, "fal": fal.VENDOR.uploads}
BUCKET = "https://bucket.s3.amazonaws.com/?x=1"
PLACES = {
    "runway": {
        "uploadUrl": BUCKET,
        "fields": {"key": "a/b", "policy": "p==", "x": 'q"'},
        "runwayUri": "runway://ab.cd==",
    },
    "fal": {"upload_url": BUCKET, "file_url": "https://v3b.fal.media/files/b/x.png"},
}
I2V = {"model": "gen4_turbo", "promptText": "a boat", "ratio": "720:1280", "duration": 5}


def uploads(name: str) -> Uploads:
    found = OF[name]
    assert found is not None
    return found


def reply(status: int, said: object, **headers: str) -> Reply:
    return Reply(status=status, headers=headers, body=json.dumps(said).encode(), at=0.0)


# ── the codecs


def test_runway_is_asked_for_a_place_and_gets_a_form_whose_file_is_last() -> None:
    call = uploads("runway").ask(UPLOAD, "https://api.dev.runwayml.com", "key_x")
    assert (call.method, call.url) == ("POST", "https://api.dev.runwayml.com/v1/uploads")
    assert (call.auth, dict(call.headers)["X-Runway-Version"]) == ("Bearer key_x", "2024-11-06")
    assert json.loads(call.body or b"") == {"filename": "picture.png", "type": "ephemeral"}
    place = uploads("runway").place(reply(200, PLACES["runway"]), UPLOAD)
    assert isinstance(place, Place)
    assert (place.uri, place.call.method, place.call.url, place.call.auth) == ("runway://ab.cd==", "POST", BUCKET, "")
    head = f"Content-Type: {dict(place.call.headers)['Content-Type']}\r\n\r\n".encode()
    form = email.message_from_bytes(head + (place.call.body or b""), policy=email.policy.HTTP)
    parts: list[Any] = list(form.iter_parts())
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["key", "policy", "x", "file"]
    assert [part.get_payload() for part in parts[:3]] == ["a/b", "p==", 'q"']
    assert (parts[3].get_content_type(), parts[3].get_filename()) == ("image/png", "picture.png")
    assert (place.call.body or b"").count(PICTURE) == 1


def test_fal_is_asked_for_a_place_for_a_week_and_gets_the_bare_file() -> None:
    call = uploads("fal").ask(UPLOAD, "https://queue.fal.run", "k")
    assert (call.method, call.url) == ("POST", "https://rest.fal.ai/storage/upload/initiate?storage_type=fal-cdn-v3")
    assert call.auth == "Key k"
    lifecycle = dict(call.headers)["X-Fal-Object-Lifecycle-Preference"]
    assert json.loads(lifecycle) == {"expiration_duration_seconds": 604_800}
    assert json.loads(call.body or b"") == {"file_name": "picture.png", "content_type": "image/png"}
    assert uploads("fal").ask(UPLOAD, "http://127.0.0.1:1", "k").url.startswith("http://127.0.0.1:1/storage/")
    place = uploads("fal").place(reply(200, PLACES["fal"]), UPLOAD)
    expected = Call(method="PUT", url=BUCKET, headers=(("Content-Type", "image/png"),), body=PICTURE, step="store")
    assert place == Place(call=expected, uri="https://v3b.fal.media/files/b/x.png")


@pytest.mark.parametrize("name", OF)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, RefusalReason.KEY), (404, RefusalReason.SETUP), (413, RefusalReason.INPUT), (422, RefusalReason.INPUT),
        (429, RefusalReason.RATE_LIMITED), (500, RefusalReason.SERVER_ERROR), (502, RefusalReason.SERVER_ERROR),
    ],
)  # fmt: skip
def test_a_refusal_says_whether_to_try_again(name: str, status: int, reason: RefusalReason) -> None:
    found = uploads(name).place(reply(status, {"error": "no", "detail": "no"}, **{"retry-after": "7"}), UPLOAD)
    assert found == Refused(reason=reason, message="no", retry_after_s=7.0)


@pytest.mark.parametrize("name", OF)
@pytest.mark.parametrize(
    "wrong", [None, 7, "", "nowhere", "file:///etc/passwd", ["https://x"], "runway://" + "a" * 5000]
)
def test_an_answer_that_lacks_something_is_no_place(name: str, wrong: object) -> None:
    for field in PLACES[name]:
        if field.endswith(("Url", "url")) and isinstance(wrong, str) and wrong.startswith("runway"):
            continue  # an address with a host: the engine refuses it when it is to be opened
        found = uploads(name).place(reply(200, {**PLACES[name], field: wrong}), UPLOAD)
        assert isinstance(found, Refused), (field, found)
        assert found.reason is RefusalReason.SERVER_ERROR


def test_a_field_that_no_encoding_has_is_no_place() -> None:
    for fields in ({"key": "\ud800"}, {"\ud800": "x"}):
        found = uploads("runway").place(reply(200, {**PLACES["runway"], "fields": fields}), UPLOAD)
        assert isinstance(found, Refused)


# ── the simulated storage


async def runway_place(w: World) -> dict[str, Any]:
    asked = await w.http.post(f"{RUNWAY}/v1/uploads", headers=HEADERS, json={"filename": "a.png", "type": "ephemeral"})
    assert asked.status_code == 200
    found: dict[str, Any] = asked.json()
    return found


async def fal_place(w: World, **headers: str) -> dict[str, str]:
    url = f"{PIKA}/storage/upload/initiate?storage_type=fal-cdn-v3"
    body = {"file_name": "a.png", "content_type": "image/png"}
    found: dict[str, str] = (await w.http.post(url, headers=FAL_HEADERS | headers, json=body)).json()
    return found


async def form(w: World, place: dict[str, Any], data: bytes = PICTURE, **changes: Any) -> httpx.Response:
    fields = {**place["fields"], **changes.pop("fields", {})}
    return await w.http.post(place["uploadUrl"], data=fields, files={"file": ("a.png", data)}, **changes)


async def order(w: World, uri: str) -> httpx.Response:
    return await w.http.post(f"{RUNWAY}/v1/image_to_video", headers=HEADERS, json=I2V | {"promptImage": uri})


def test_runways_storage_takes_the_form_as_it_was_promised_and_nothing_else() -> None:
    async def story() -> None:
        async with world() as w:
            place = await runway_place(w)
            uri = place["runwayUri"]
            assert (await order(w, uri)).json()["issues"][0]["path"] == ["promptImage"]
            assert (await form(w, place, headers={"authorization": "Bearer key_test"})).status_code == 400
            assert w.cloud.requests["storage_authorized"] == 1
            assert (await form(w, place, PICTURE[:511])).status_code == 400
            assert (await form(w, place, fields={"policy": "mine"})).status_code == 403
            assert (await form(w, place, fields={"more": "1"})).status_code == 403
            assert (await w.http.put(place["uploadUrl"], content=PICTURE)).status_code == 405
            assert (await w.http.post(place["uploadUrl"], content=PICTURE)).status_code == 412
            unsigned = place["uploadUrl"].partition("?")[0]
            assert (await form(w, {**place, "uploadUrl": unsigned})).status_code == 403
            assert w.cloud.storage.find(uri, w.cloud.now()) is None
            assert (await form(w, place)).status_code == 204
            assert w.cloud.storage.find(uri, w.cloud.now()) == PICTURE
            assert (await order(w, uri)).status_code == 200
            await trio.sleep(24 * 3600)
            assert "expired" in (await order(w, uri)).json()["issues"][0]["message"]

    run(story)


def test_runways_places_expire_and_are_asked_for_with_key_name_and_type() -> None:
    async def story() -> None:
        async with world() as w:
            place = await runway_place(w)
            await trio.sleep(3600)
            assert (await form(w, place)).status_code == 403
            url = f"{RUNWAY}/v1/uploads"
            assert (await w.http.post(url, json={"filename": "a", "type": "ephemeral"})).status_code == 401
            found = (await w.http.post(url, headers=HEADERS, json={"type": "eternal"})).json()["issues"]
            assert [one["path"] for one in found] == [["filename"], ["type"]]
            assert (await w.http.get(url, headers=HEADERS)).status_code == 405

    run(story)


@pytest.mark.slow
def test_fals_storage_takes_the_signed_type_without_a_key_and_keeps_it_as_long_as_asked() -> None:
    async def story() -> None:
        async with world() as w:
            place = await fal_place(w, **{"x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 60}'})
            put = {"content-type": "image/png"}
            url = place["upload_url"]
            assert (await w.http.put(url, content=PICTURE, headers=put | FAL_HEADERS)).status_code == 400
            assert (await w.http.put(url, content=PICTURE, headers={"content-type": "image/jpeg"})).status_code == 403
            assert (await w.http.get(place["file_url"])).status_code == 404
            assert (await w.http.put(url, content=PICTURE, headers=put)).status_code == 200
            assert (await w.http.get(place["file_url"])).content == PICTURE
            job = (await w.submit("fal-ai/pika/v2.2/image-to-video", image_url=place["file_url"])).json()
            await trio.sleep(60)
            assert (await w.get(job["response_url"])).status_code == 200
            assert (await w.http.get(place["file_url"])).status_code == 404
            late = (await w.submit("fal-ai/pika/v2.2/image-to-video", image_url=place["file_url"])).json()
            await trio.sleep(2)
            result = await w.get(late["response_url"])
            assert (result.status_code, result.json()["detail"][0]["type"]) == (422, "file_download_error")

    run(story)


def test_fals_places_are_asked_for_with_key_name_type_and_a_sane_lifetime() -> None:
    async def story() -> None:
        async with world() as w:
            url = f"{PIKA}/storage/upload/initiate"
            assert (await w.http.post(url, json={})).status_code == 401
            for body, query, headers in (
                ({"file_name": "a"}, "", {}),
                ({"file_name": "a", "content_type": "image/png"}, "?storage_type=floppy", {}),
                ({"file_name": "a", "content_type": "image/png"}, "", {"x-fal-object-lifecycle-preference": "{"}),
            ):
                asked = await w.http.post(url + query, headers=FAL_HEADERS | headers, json=body)
                assert asked.status_code == 422, (body, query, headers)

    run(story)
