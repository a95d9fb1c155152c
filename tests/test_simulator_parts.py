"""The simulator's parts by themselves: values of faults, the queue, sizes, bytes, and raw HTTP."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from vgen import simulator
from vgen.errors import InputError
from vgen.providers import CODECS
from vgen.simulator import fal_rules, fal_table, prices, runway_rules
from vgen.simulator.app import PARTS, App
from vgen.simulator.cloud import Cloud
from vgen.simulator.faults import KNOWN, Faults
from vgen.simulator.jobs import Order
from vgen.simulator.lane import Lane
from vgen.simulator.renderers import damaged, padded, plain_renderer
from vgen.simulator.server import serve_stream
from vgen.simulator.web import Request, Response, WireFault

# --- values of faults


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"create_lots": "1"}, "did you mean create_lost?"),
        ({"": "1"}, "there is no such fault"),
        ({"sora.create_500": "1"}, "'sora' is no provider"),
        ({"create_500": "often"}, "probability from 0 to 1"),
        ({"create_500": "1.5"}, "probability"),
        ({"create_500": "nan"}, "probability"),
        ({"create_500": ""}, "probability"),
        ({"create_500": "first:x"}, "first:N"),
    ],
)
def test_a_wrong_fault_is_refused_with_one_helpful_line(spec: dict[str, str], line: str) -> None:
    with pytest.raises(InputError) as caught:
        Faults(spec)
    (problem,) = caught.value.problems
    assert line in problem
    assert "\n" not in problem


def test_all_wrong_faults_are_told_together_and_an_argument_needs_an_equals_sign() -> None:
    with pytest.raises(InputError) as caught:
        Faults({"nonsense": "1", "poll_500": "2"})
    assert len(caught.value.problems) == 2
    with pytest.raises(InputError, match="name=value"):
        Faults(["create_500"])


def test_values_of_faults() -> None:
    faults = Faults(["job_failed=first:2~cat", "fal.poll_500=1", "job_slow=~dog", "poll_502=0"])
    cats = [faults.pick("job_failed", "runway", prompt) for prompt in ("cat", "dog", "a cat", "cat")]
    assert cats == [True, False, True, False]
    assert faults.pick("poll_500", "fal", "")
    assert not faults.pick("poll_500", "runway", "")
    assert [faults.pick("job_slow", "fal", prompt) for prompt in ("dog", "cat", "dog")] == [True, False, True]
    assert not faults.pick("poll_502", "fal", "")
    assert dict(faults.counts) == {"job_failed": 2, "poll_500": 1, "job_slow": 2}


def test_luck_depends_on_the_seed_and_not_on_the_order_of_shots() -> None:
    def decisions(seed: int, prompts: list[str]) -> dict[str, list[bool]]:
        faults = Faults({"create_500": "0.3"}, seed)
        drawn: dict[str, list[bool]] = {prompt: [] for prompt in prompts}
        for _ in range(20):
            for prompt in prompts:
                drawn[prompt].append(faults.pick("create_500", "runway", prompt))
        return drawn

    prompts = [f"shot {n}" for n in range(50)]
    assert decisions(1, prompts) == decisions(1, prompts[::-1])
    assert decisions(1, prompts) != decisions(2, prompts)
    hits = sum(map(sum, decisions(1, prompts).values()))
    assert 240 < hits < 360
    assert not any(Faults({"create_500": "0"}).pick("create_500", "runway", p) for p in prompts)


def test_every_fault_is_described_and_used() -> None:
    sources = "".join(path.read_text() for path in Path(simulator.__file__).parent.glob("*.py"))
    for name, words in KNOWN.items():
        assert sources.count(f'"{name}"') >= 2, f"{name} is known but nothing asks for it"
        assert words


# --- the queue


@pytest.mark.parametrize("seed", range(40))
def test_a_lane_keeps_its_limit_and_its_order(seed: int) -> None:
    rng = random.Random(seed)
    limit = rng.randint(1, 4)
    lane = Lane(limit)
    now, number = 0.0, 0
    spans: dict[str, list[float]] = {}
    ready: dict[str, float] = {}
    left: set[str] = set()
    started: list[str] = []
    for _ in range(300):
        now += rng.choice([0, 0, 0.3, 1, 7])
        while begun := lane.next_start(now):
            job_id, start = begun
            assert ready[job_id] <= start <= now
            assert job_id not in left
            spans[job_id] = [start, start + 2]
            started.append(job_id)
        match rng.choice(["enter", "enter", "leave"]):
            case "enter":
                ready[f"{number}"] = now + 0.5
                lane.enter(f"{number}", ready_at=now + 0.5, takes_s=2)
                number += 1
            case "leave" if number:
                job_id = f"{rng.randrange(number)}"
                left.add(job_id)
                lane.leave(job_id, now)
                if job_id in spans:
                    spans[job_id][1] = min(now, spans[job_id][1])
    assert started == sorted(started, key=int)
    for start, _ in spans.values():
        assert sum(begin <= start < end for begin, end in spans.values()) <= limit
    while begun := lane.next_start(now + 1e6):
        started.append(begun[0])
    assert set(started) >= {f"{n}" for n in range(number)} - left, "all who stay have their turn"


# --- versions of one prompt


def order(prompt: str, **changed: Any) -> Order:
    values = {"provider": "runway", "endpoint": "text_to_video", "model": "gen4.5", "body": {}, "duration_s": 5.0,
              "width": 720, "height": 1280, "estimate_micro": 600_000, "price_micro": 600_000}  # fmt: skip
    return Order(prompt=prompt, **(values | changed))


def test_each_clip_of_a_prompt_is_another_version_also_after_a_restart(tmp_path: Path) -> None:
    def cloud() -> Cloud:
        return Cloud(now=lambda: 1.0, journal=tmp_path / "cloud.jsonl")

    first = cloud()
    jobs = [first.accept(order(prompt)) for prompt in ("boat", "boat", "ship", "boat")]
    bad = first.accept(order("ship", provider="fal", invalid=({"msg": "no"},)))
    body = {"promptImage": [{"uri": "data:image/png;base64,eA=="}]}
    pictured = first.accept(order("car", body=body, pictures=(("image", ("promptImage", 0, "uri")),)))
    jobs.append(first.accept(order("ship", provider="fal")))
    versions = [first.clip(job).version for job in jobs]
    assert versions == [1, 2, 1, 3, 2], "a job that brings no clip is none"
    assert first.clip(bad).version == 1
    again = cloud()
    assert [again.clip(job).version for job in jobs] == versions
    assert again.all_jobs("runway")[-1].order == pictured.order
    assert again.clip(pictured).pictures == (("image", b"x"),)
    assert len({json.dumps(first.clip(job).facts()) for job in jobs}) == len(jobs)


# --- rules and prices


@pytest.mark.parametrize(
    ("ratio", "resolution", "size"),
    [
        ("1280:720", None, (1280, 720)),
        ("16:9", "720p", (1280, 720)),
        ("9:16", "720p", (720, 1280)),
        ("9:16", "1080p", (1080, 1920)),
        ("1:1", "720p", (960, 960)),
        ("4:5", "720p", (720, 900)),
        ("3:2", None, (1080, 720)),
        ("auto_1080p", None, (1920, 1080)),
        ("adaptive", "2k", (2560, 1440)),
        (None, "480p", (854, 480)),
        ("0:0", None, (1280, 720)),
        ("1:99999", None, (720, 4096)),
        ([], {}, (1280, 720)),
        ("9:16", "4k", (2160, 3840)),
        ("9:16", "1440p", (1440, 2560)),
        ("21:9", "1080p", (2520, 1080)),
        ("21:9", "4k", (4096, 1756)),
        ("9:21", "540p", (540, 1260)),
        ("4:3", "true_1080p", (1440, 1080)),
        ("9:16", "768P", (768, 1366)),
        ("16:9", "1920x1080", (1920, 1080)),
        (None, "768x512", (768, 512)),
        ("16:9", "portrait_16_9", (576, 1024)),
        (None, {"width": 1080, "height": 1920}, (1080, 1920)),
        (None, {"width": 10**400, "height": True}, (1280, 720)),
    ],
)
def test_pictures_have_the_size_that_was_asked_for(ratio: Any, resolution: Any, size: tuple[int, int]) -> None:
    assert prices.pixels(ratio, resolution) == size


@pytest.mark.parametrize(
    ("picture", "resolution", "size"),
    [
        ((720, 1280), "720p", (720, 1280)),
        ((1080, 1920), "720p", (720, 1280)),
        ((1000, 1777), "1080p", (1080, 1920)),
        ((1280, 720), "1080p", (1920, 1080)),
        ((4000, 1000), "720p", (2880, 720)),
    ],
)
def test_a_clip_that_follows_a_picture_has_its_shape(
    picture: tuple[int, int], resolution: str, size: tuple[int, int]
) -> None:
    assert prices.pixels(None, resolution, picture) == size
    assert prices.pixels("auto", resolution, picture) == size
    assert prices.pixels("adaptive", resolution, picture) == size
    assert prices.pixels("4:5", "720p", picture) == (720, 900), "a ratio that is given wins"


def test_every_listed_size_can_be_drawn_and_every_model_has_a_price() -> None:
    for models in runway_rules.table().values():
        for model, entry in models.items():
            for ratio in entry["fields"].get("ratio", {}).get("enum", [None]):
                width, height = prices.pixels(ratio, None)
                assert width % 2 == height % 2 == 0
                if re.fullmatch(r"\d{3,}:\d{3,}", str(ratio)):
                    assert f"{width}:{height}" == ratio
            assert prices.runway_credits_per_s(model, {}) > 0


FAL_FIELDS = (
    "prompt",
    "duration",
    "num_frames",
    "frames_per_second",
    "seed",
    "resolution",
    "aspect_ratio",
    "image_url",
)


def junk(rng: random.Random, depth: int = 0) -> Any:
    kinds: list[Any] = [
        None,
        True,
        -1,
        0,
        5,
        1e300,
        10**400,
        "",
        "5",
        "1280:720",
        "\ud800",
        "x" * 5000,
        float("nan"),
    ]
    if depth < 3 and rng.random() < 0.3:
        return rng.choice([[junk(rng, depth + 1)], {"uri": junk(rng, depth + 1)}])
    return rng.choice(kinds)


@pytest.mark.slow
def test_rules_survive_any_body() -> None:
    rng = random.Random(5)
    names = sorted({name for models in runway_rules.table().values() for e in models.values() for name in e["fields"]})
    for _ in range(4000):
        body = {name: junk(rng) for name in rng.sample(names, 5)}
        endpoint = rng.choice(["text_to_video", "image_to_video"])
        body["model"] = rng.choice([*runway_rules.table()[endpoint], "extra", junk(rng)])
        runway_rules.issues(endpoint, body, {"extra": 1})
    rows = [*fal_table.shipped().items(), ("pika-1.5", fal_table.ANY)]
    for endpoint, row in rows:
        names = [
            *FAL_FIELDS,
            *row["required"],
            *filter(None, (row.get(key, {}).get("field") for key in ("size", "sound"))),
        ]
        for _ in range(20):
            body = {name: junk(rng) for name in sorted(names)}
            fal_rules.problems(row, body)
            got = fal_table.bought(endpoint, row, body, None)
            assert 0 < got.seconds <= 600
            assert 0 < got.width <= 4096
            assert 0 < got.height <= 4096
            assert got.price_micro > 0


# --- the wire


async def talk(said: bytes, app: Any, *, pieces: int = 1) -> bytes:
    """What a server answers to raw bytes, until it closes or has nothing more to say."""
    client, server = trio.testing.memory_stream_pair()
    heard = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, server, app)
        step = max(len(said) // pieces, 1)
        for start in range(0, len(said), step):
            await client.send_all(said[start : start + step])
            await trio.sleep(0.1)
        with trio.move_on_after(1):
            while data := await client.receive_some(65_536):
                heard += data
        nursery.cancel_scope.cancel()
    return bytes(heard)


def answer_to(said: bytes, **options: Any) -> bytes:
    async def app(request: Request) -> Response:
        text = f"{request.method} {request.path} {request.origin} {len(request.body)}"
        return Response(status=200, body=text.encode())

    return trio.run(lambda: talk(said, app, **options), clock=trio.testing.MockClock(autojump_threshold=0))


def test_http_as_it_comes() -> None:
    get = b"GET /a?b=c HTTP/1.1\r\nhost: h:1\r\n\r\n"
    assert answer_to(get).endswith(b"\r\n\r\nGET /a http://h:1 0")
    assert answer_to(get, pieces=20).endswith(b"GET /a http://h:1 0")
    assert answer_to(get * 3).count(b"GET /a http://h:1 0") == 3, "pipelined"
    absolute = b"GET http://other/%41?x HTTP/1.1\r\nhost: h\r\n\r\n"
    assert answer_to(absolute).endswith(b"GET /A http://h 0")
    chunked = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    assert answer_to(chunked, pieces=9).endswith(b"POST / http://h 3")
    waits = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    assert b"HTTP/1.1 100" in answer_to(waits)
    head = answer_to(b"HEAD / HTTP/1.1\r\nhost: h\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert head.endswith(b"\r\n\r\n")
    odd = answer_to(b"GET //[ HTTP/1.1\r\nhost: evil/../x\r\n\r\n")
    assert odd.endswith(b"GET //[ http://localhost 0"), "a host that is none does not get into URLs"
    assert answer_to(b"hello\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert answer_to(b"") == b""


def test_a_body_without_end_is_refused() -> None:
    head = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n"
    assert answer_to(head + b"x" * (33 * 1024 * 1024)).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("wire", "heard"),
    [
        (WireFault.RESET, b""),
        (WireFault.CLOSE, b""),
        (WireFault.HANG, b""),
        (WireFault.CUT, b"HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nab"),
        (WireFault.STALL, b"HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nab"),
        (WireFault.CUT_NOLEN, b"HTTP/1.1 200 \r\nconnection: close\r\n\r\nab"),
    ],
)
def test_how_the_wire_spoils_an_answer(wire: WireFault, heard: bytes) -> None:
    async def app(request: Request) -> Response:
        return Response(status=200, body=b"abcd", wire=wire)

    async def story() -> None:
        assert await talk(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n", app) == heard

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


def test_the_whole_application_survives_junk() -> None:
    """No request may end a simulation: 3,000 odd ones, then a good one."""
    rng = random.Random(7)
    history = "/v1/models/requests/by-endpoint"
    paths = [
        *("/", "//[", "/v1/", "/v1/text_to_video", "/v1/tasks/", "/v1/tasks/%00", "/v1/organization"),
        *("/media/", "/media/../x.mp4", "/requests/x/status", "/_simulator/"),
        *("/fal-ai/pika/v2.2/text-to-video", "/fal-ai/x", "/fal-ai/pika/requests/x"),
        *(
            history,
            f"{history}?endpoint_id=fal-ai/x&limit=-9&cursor=-5",
            f"{history}?endpoint_id=x&start=soon",
        ),
    ]
    bodies = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b"\xff",
        b"[" * 100_000,
        b'{"model":"gen4.5"}',
        b'{"prompt":1}',
        b'{"prompt":"x"}',
    ]

    async def story() -> None:
        app = App(Cloud(now=lambda: 1e9 + trio.current_time()), plain_renderer)
        for _ in range(3000):
            headers = rng.choice(
                [
                    {},
                    {"authorization": "Key x"},
                    {"authorization": "Bearer key_x", "x-runway-version": "2024-11-06"},
                ]
            )
            method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
            request = Request(
                method=method,
                target=rng.choice(paths),
                origin="http://h",
                headers=headers,
                body=rng.choice(bodies),
            )
            response = await app(request)
            assert 200 <= response.status < 600
            assert response.status != 500
        await trio.sleep(1000)
        assert app.cloud.charges()["creates"] > 0

    trio.run(story, clock=trio.testing.MockClock(autojump_threshold=0))


# --- bytes


def test_bytes_helpers_keep_their_promises() -> None:
    assert len(padded(b"x" * 99_999)) > 100_000
    assert padded(b"x" * 200_000) == b"x" * 200_000
    movie = b"\0\0\0\x18ftypisom" + b"moov" * 100 + b"mdat" + b"\1" * 10_000
    broken = damaged(movie)
    assert len(broken) == len(movie)
    assert broken[:420] == movie[:420]
    assert broken != movie


def test_every_protocol_is_simulated() -> None:
    assert PARTS.keys() == CODECS.keys()
