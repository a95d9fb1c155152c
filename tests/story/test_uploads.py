"""Pictures that are too big for a request: uploaded once, byte for byte, without a key, before anything is bought."""

import functools
import hashlib
import io
import itertools
import json
import random
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from faults.scripted import (
    ONLY_PIKA,
    ONLY_RUNWAY,
    PIKA_USD,
    Act,
    Forward,
    Raw,
    ScriptedStudio,
    accepts_then_sends,
    changes,
    says,
    sends,
)
from PIL import Image
from projects import checked
from studio import KEYS, shots

from vgen.pictures import Accepts
from vgen.production.uploaded import Uploads
from vgen.providers import fal, kling, runway
from vgen.simulator.web import Request, Response, answer

BUCKET = "bucket.storage.example"
I2V = {"runway": "gen4_turbo", "pika": "fal-ai/pika/v2.2/image-to-video"}
FIELD = {"runway": "promptImage", "pika": "image_url"}


def noise(size: tuple[int, int], seed: int = 0) -> bytes:
    """A PNG that nobody can make much smaller."""
    out = io.BytesIO()
    pixels = random.Random(seed).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, pixels).save(out, "PNG", compress_level=0)
    return out.getvalue()


@functools.cache
def big() -> bytes:
    """4.3 MB: fal and Runway take 3.9 within a request."""
    return noise((900, 1600))


SMALL = [noise((90, 160), seed) for seed in (1, 2, 3)]
"""43 kB, for where a request takes 20."""


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScriptedStudio]]:
    yield from checked(ScriptedStudio, monkeypatch)


@pytest.fixture
def film(studio: ScriptedStudio) -> ScriptedStudio:
    """Three shots, each made from a picture of its own; the vendors' storage has a host of its own."""
    for number, content in enumerate(SMALL, 1):
        (studio.root / f"{number}.png").write_bytes(content)
    studio.configure(run={"budget_usd": 20}, **{section: {"model": model} for section, model in I2V.items()})
    studio.write_shots([shot | {"image": f"{shot['shot_number']}.png"} for shot in shots(3)])
    return studio


@pytest.fixture
def light(film: ScriptedStudio, monkeypatch: pytest.MonkeyPatch) -> ScriptedStudio:
    """Requests that take little, so that small pictures are too big."""
    for codec in (runway, fal):
        monkeypatch.setattr(codec, "VENDOR", replace(codec.VENDOR, accepts=Accepts(most_bytes=20_000)))
    return film


def elsewhere() -> Act:
    """The API names another host for the bytes, as in reality."""

    async def act(request: Request, forward: Forward) -> Response:
        response = await forward()
        said = response.json()
        for name in ("uploadUrl", "upload_url"):
            if name in said:
                host = request.origin.partition("://")[2]
                said[name] = said[name].replace(host, BUCKET)
        return replace(response, body=json.dumps(said).encode())

    return act


def named(film: ScriptedStudio, section: str = "runway") -> list[str]:
    """What each order has for a picture."""
    protocol = "fal" if section == "pika" else section
    return [job.order.body[FIELD[section]] for job in film.cloud.all_jobs(protocol)]


def stored(film: ScriptedStudio, uri: str) -> bytes | None:
    return film.cloud.storage.find(uri, film.now())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "only", "api"),
    [("runway", ONLY_RUNWAY, "api.dev.runwayml.com"), ("pika", ONLY_PIKA, "rest.fal.ai")],
)
def test_the_picture_that_arrives_is_the_file_and_its_host_sees_no_key(
    film: ScriptedStudio, section: str, only: tuple[str, ...], api: str
) -> None:
    (film.root / "big.png").write_bytes(big())
    film.write_shots([film.read_shots()[0] | {"image": "big.png"}])
    film.on("upload", elsewhere())
    assert film.doit(*only) == 0
    [uri] = named(film, section)
    assert stored(film, uri) == big()
    assert (film.hosts("upload"), film.hosts("store")) == ([api], [BUCKET])
    [request] = film.asked("store")
    seen = (str(request.headers) + request.target).encode() + request.body.replace(big(), b"")
    assert "authorization" not in request.headers
    assert not any(key.encode() in seen for key in KEYS.values())
    assert b"big" not in seen, "nor what the file is called"
    [row] = film.rows()
    assert dict(json.loads(row["manifest"]))["image"] == "sha256:" + hashlib.sha256(big()).hexdigest()
    assert film.doit(*only) == 0
    assert film.bought() == 1
    log = (film.outputs / "vgen.log").read_text("utf-8")
    assert "uploading a picture of 4.3 MB" in log
    assert "signature" not in log
    assert film.booked() == (pytest.approx(film.charged()), 0, 0)


@pytest.mark.slow
def test_a_picture_that_fits_into_the_request_is_not_uploaded(film: ScriptedStudio) -> None:
    assert film.doit(*ONLY_RUNWAY) == 0
    assert film.asked("upload") == []


@pytest.mark.slow
@pytest.mark.parametrize("section", ["runway", "pika"])
def test_a_rehearsal_uploads_too(light: ScriptedStudio, section: str) -> None:
    light.environ.clear()
    light.write_shots(light.read_shots()[:1])
    assert light.doit(f"primary_api={section}", "fallback_api=none") == 0
    [uri] = named(light, section)
    assert stored(light, uri) == SMALL[0]
    assert light.hosts("upload") == light.hosts("store") == light.hosts("create")


@pytest.mark.slow
def test_twelve_shots_of_the_same_picture_upload_it_once(light: ScriptedStudio) -> None:
    light.write_shots([shot | {"image": "1.png"} for shot in shots(12)])
    assert light.doit(*ONLY_RUNWAY) == 0
    assert (len(light.asked("upload")), len(light.asked("store"))) == (1, 1)
    assert len(named(light)) == 12
    assert len(set(named(light))) == 1


@pytest.mark.slow
def test_all_pictures_of_a_shot_are_uploaded_in_their_places(light: ScriptedStudio) -> None:
    light.configure(runway={"model": "veo3.1"})
    light.write_shots([light.read_shots()[0] | {"image": "1.png", "end_image": "2.png"}])
    assert light.doit(*ONLY_RUNWAY) == 0
    [placed] = named(light)
    assert [(one["position"], stored(light, one["uri"])) for one in placed] == [  # type: ignore[index]
        ("first", SMALL[0]),
        ("last", SMALL[1]),
    ]


def test_what_only_needs_turning_is_uploaded_as_it_was_made(light: ScriptedStudio) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.open(io.BytesIO(noise((320, 180)))).save(out, "JPEG", quality=100, exif=exif)
    (light.root / "1.png").write_bytes(out.getvalue())
    light.write_shots(light.read_shots()[:1])
    assert light.doit(*ONLY_PIKA) == 0
    [uri] = named(light, "pika")
    made = Image.open(io.BytesIO(stored(light, uri) or b""))
    assert (made.format, made.size) == ("JPEG", (180, 320))


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "act"),
    [
        ("store", says(403, raw=b"<Error><Code>AccessDenied</Code></Error>")),
        ("store", says(307, location="https://elsewhere.example/_storage/x")),
        ("upload", says(500, {"error": "broken"})),
        ("upload", says(200, {"uploadUrl": "nowhere", "fields": {}, "runwayUri": "runway://x"})),
        ("upload", says(400, {"error": "uploads need credits that were bought"})),
    ],
    ids=["storage refuses", "storage redirects", "API fails", "no place", "API refuses"],
)
def test_an_upload_that_fails_costs_nothing_and_the_fallback_takes_the_shot(
    light: ScriptedStudio, kind: str, act: Act
) -> None:
    light.write_shots(light.read_shots()[:1])
    light.on(kind, act)
    assert light.doit(*ONLY_RUNWAY) == 1
    assert (light.creates(), light.states(), light.booked()) == (0, [], (0, 0, 0))
    [error] = light.errors()
    assert error is not None
    assert error.startswith("runway: its picture of 0.0 MB could not be uploaded (")
    assert "save it with less than 0.02 MB" in error
    light.off()
    light.on(kind, act, text="" if kind == "store" else "ephemeral", times=5)
    assert light.doit() == 0
    assert (len(named(light, "pika")), light.booked()[0]) == (1, PIKA_USD)
    assert "elsewhere.example" not in light.hosts("store")


def test_an_upload_that_fails_once_is_tried_in_a_new_place(light: ScriptedStudio) -> None:
    light.write_shots(light.read_shots()[:1])
    light.on("store", says(503), times=2)
    assert light.doit(*ONLY_RUNWAY) == 0
    assert (len(light.asked("upload")), len(light.asked("store")), light.bought()) == (3, 3, 1)
    assert len({request.target for request in light.asked("store")}) == 3
    assert light.booked() == (light.charged(), 0, 0)


def test_nobody_sits_out_a_long_pause_that_an_upload_is_asked_for(light: ScriptedStudio) -> None:
    light.on("upload", says(429, {"error": "slow down"}, retry_after="90000"))
    assert light.doit(*ONLY_RUNWAY) == 1
    times = [at for at, _, _ in light.told]
    assert max(times) - min(times) < 60
    assert light.said("runway is closed for this run: it asks to wait 86,400 s; run again later")


def test_an_order_that_appears_while_its_picture_is_uploaded_is_not_bought_again(light: ScriptedStudio) -> None:
    light.write_shots(light.read_shots()[:1])
    light.on("create", accepts_then_sends(lambda _: Raw()), times=1)
    light.on("list", says(200, {"items": [], "has_more": False}))
    assert light.doit(*ONLY_PIKA) == 1
    assert light.states() == ["uncertain"]

    async def slowly(_: Request, forward: Forward) -> Response:
        light.rules = [rule for rule in light.rules if rule.kind != "list"]
        await trio.sleep(20)
        return await forward()

    light.on("store", slowly)
    assert light.doit(*ONLY_PIKA, "on_uncertain=rebuy") == 0
    assert (light.bought(), light.states(), light.booked()) == (1, ["accepted"], (PIKA_USD, 0, 0))


@pytest.mark.parametrize(
    "url", ["http://bucket.storage.example/x", "https://bucket.storage.example:8443/x", "https://u@bucket.example/x"]
)
def test_bytes_go_only_where_a_download_may_come_from(light: ScriptedStudio, url: str) -> None:
    light.write_shots(light.read_shots()[:1])
    light.on("upload", changes(uploadUrl=url))
    assert light.doit(*ONLY_RUNWAY) == 1
    assert (len(light.asked("upload")), light.asked("store"), light.creates()) == (1, [], 0)
    assert "blocked upload address" in str(light.errors())


def test_bytes_go_to_no_host_with_a_private_address(light: ScriptedStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(host: str, port: int, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

    light.write_shots(light.read_shots()[:1])
    light.names = {}
    monkeypatch.setattr(trio.socket, "getaddrinfo", resolve)
    light.on("upload", elsewhere())
    assert light.doit(*ONLY_RUNWAY) == 1
    assert (light.asked("store"), light.creates()) == ([], 0)
    assert f"blocked upload address at {BUCKET}" in str(light.errors())


@pytest.mark.slow
def test_a_key_that_is_rejected_at_an_upload_closes_the_provider(light: ScriptedStudio) -> None:
    light.on("upload", says(401, {"error": "The API key is not valid."}))
    assert light.doit(*ONLY_RUNWAY) == 1
    assert light.creates() == 0
    assert light.said("runway is closed for this run: it refuses an upload: The API key is not valid.")


@pytest.mark.slow
def test_a_picture_that_was_replaced_after_the_plan_is_not_uploaded(light: ScriptedStudio) -> None:
    """Two are under way at once; the third waits for its turn, and is another one by then."""

    async def replaces(_: Request, forward: Forward) -> Response:
        for number in (1, 2, 3):
            (light.root / f"{number}.png").write_bytes(SMALL[number - 1] + b"another")
        return await forward()

    light.on("store", replaces, times=1)
    assert light.doit(*ONLY_PIKA) == 1
    assert (len(light.asked("store")), light.bought()) == (2, 2)
    assert {stored(light, uri) for uri in named(light, "pika")} < set(SMALL)
    assert [error for error in light.errors() if error and "its picture changed after the plan; run again" in error]


@pytest.mark.slow
def test_killed_after_its_upload_the_shot_is_uploaded_again_and_bought_once(light: ScriptedStudio) -> None:
    light.write_shots(light.read_shots()[:1])
    for k in range(1, 12):
        light.crash(k, *ONLY_RUNWAY)
    assert light.doit(*ONLY_RUNWAY, "on_uncertain=rebuy") == 0
    assert len(light.takes()) >= 1
    assert light.bought() == len([row for row in light.rows() if row["charged"]])


ONLY_KLING = ("primary_api=kling", "fallback_api=none", "budget_usd=99")


@pytest.fixture
def replayed(light: ScriptedStudio, monkeypatch: pytest.MonkeyPatch) -> ScriptedStudio:
    """One shot at a vendor whose lost orders are sent again, and that takes uploads: a new address for each."""
    vendor = replace(kling.VENDOR, accepts=Accepts(most_bytes=20_000), uploads=fal.VENDOR.uploads)
    monkeypatch.setattr(kling, "VENDOR", vendor)
    light.environ["KLING_API_KEY"] = "kling-vgencanary-0123456789abcdef"
    light.configure(kling={"model": "kling-3.0"})
    (light.root / "1.png").write_bytes(noise((160, 90)))
    light.write_shots([light.read_shots()[0] | {"aspect_ratio": "16:9"}])  # the simulator opens no address
    count = itertools.count(1)

    async def place(*_: Any) -> Response:
        return answer(
            200, {"upload_url": f"https://{BUCKET}/_storage/x", "file_url": f"https://a.example/{next(count)}"}
        )

    light.on("upload", place)
    light.on("store", says(200))
    return light


def test_an_order_that_is_sent_again_names_the_same_upload(replayed: ScriptedStudio) -> None:
    replayed.on("create", sends(Raw(then="reset")), times=1)
    assert replayed.doit(*ONLY_KLING) == 0
    first, again = replayed.asked("create")
    assert first.body == again.body
    assert b"https://a.example/1" in first.body
    assert (len(replayed.asked("upload")), replayed.bought()) == (1, 1)


@pytest.mark.slow
def test_a_later_run_does_not_send_it_again_with_another_address(replayed: ScriptedStudio) -> None:
    replayed.on("create", sends(Raw(then="reset")), times=1)
    replayed.on("other", says(500))
    replayed.on("poll", says(500))
    assert replayed.doit(*ONLY_KLING) == 1
    assert replayed.states() == ["uncertain"]
    replayed.rules = [rule for rule in replayed.rules if rule.kind in ("upload", "store")]
    assert replayed.doit(*ONLY_KLING) == 1
    assert (len(replayed.asked("create")), len(replayed.asked("upload"))) == (1, 1)
    assert "its picture was uploaded by an earlier run, and would have another address now" in str(replayed.lines)


def test_an_upload_is_forgotten_before_its_vendor_forgets_it() -> None:
    async def story() -> list[Any]:
        uploads, key = Uploads(), ("runway", "ab")
        uploads.keep(key, "runway://x", trio.current_time() + 3600)
        before = uploads.known(key)
        await trio.sleep(3600)
        return [before, uploads.known(key), uploads.known(("pika", "ab"))]

    assert trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0)) == ["runway://x", None, None]
    for codec, kept_s in ((runway, 24 * 3600), (fal, 7 * 86_400)):
        assert codec.VENDOR.uploads is not None
        assert codec.VENDOR.uploads.good_for_s <= kept_s / 2
