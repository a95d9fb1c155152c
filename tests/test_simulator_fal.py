"""The simulated fal takes what each endpoint's row says, refuses late, and delivers and charges what was ordered."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import jsonschema
import pictured
import pytest
import trio
from simulator_world import FAL_HEADERS, PIKA, World, fake_facts, run, tall_picture, world

from vgen.providers import fal, fal_learn
from vgen.providers.base import CannotMake, Order, Reply, Terms
from vgen.recipe import has_shape
from vgen.simulator import fal_openapi, fal_rules, fal_table

ROWS = fal_table.shipped()
KLING = "fal-ai/kling-video/v3/standard/text-to-video"
KLING_IMAGE = "fal-ai/kling-video/v3/standard/image-to-video"
VEO = "fal-ai/veo3.1"
WAN = "fal-ai/wan/v2.2-a14b/text-to-video"
LUMA = "fal-ai/luma-dream-machine/ray-2"
HAPPY = "alibaba/happy-horse/text-to-video"
HAILUO = "fal-ai/minimax/hailuo-2.3/standard/text-to-video"
LTX = "fal-ai/ltx-2-19b/text-to-video"
LTX_IMAGE = "fal-ai/ltx-2-19b/image-to-video"
MAREY = "moonvalley/marey/t2v"
COSMOS = "nvidia/cosmos-3-super/image-to-video"
PIKA_TEXT = "fal-ai/pika/v2.2/text-to-video"
URL = "https://example.org/a.png"


def least(row: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest body that an endpoint takes."""
    references = row.get("images", {}).get("references", ())
    lists = {name for name in references if name != "subject_reference_image_url"}
    pictures = {name: [URL] if name in lists else URL for name in row["required"] if name != "prompt"}
    return {**({"prompt": "a paper boat"} if "prompt" in row else {}), **pictures}


async def ended(w: World, endpoint: str, body: Mapping[str, Any]) -> Any:
    """The result of a request that the queue took and that has ended."""
    submitted = await w.http.post(f"{PIKA}/{endpoint}", headers=FAL_HEADERS, json=body)
    assert submitted.status_code == 200
    job = submitted.json()
    await trio.sleep(2)
    status = await w.get(job["status_url"])
    assert (status.status_code, status.json()["status"]) == (200, "COMPLETED")
    return await w.get(job["response_url"])


# --- refused, late


ONE_OF = "literal_error"
PRESETS = "'square_hd', 'square', 'portrait_4_3', 'portrait_16_9', 'landscape_4_3'"
WRONG = [
    (VEO, {"duration": 4}, "duration", ONE_OF, "'4s', '6s' or '8s'"),
    (VEO, {"duration": "4"}, "duration", ONE_OF, "'4s', '6s' or '8s'"),
    (PIKA_TEXT, {"duration": "5"}, "duration", ONE_OF, "5 or 10"),
    (PIKA_TEXT, {"duration": 7}, "duration", ONE_OF, "5 or 10"),
    ("fal-ai/wan-25-preview/text-to-video", {"duration": 5}, "duration", ONE_OF, "'5' or '10'"),
    ("fal-ai/veo3.1/reference-to-video", {"duration": "4s", "image_urls": [URL]}, "duration", ONE_OF, "'8s'"),
    (KLING, {"aspect_ratio": "4:3"}, "aspect_ratio", ONE_OF, "'16:9', '9:16' or '1:1'"),
    (LUMA, {"resolution": "480p"}, "resolution", ONE_OF, "'540p', '720p' or '1080p'"),
    ("minimax/h3/text-to-video", {"resolution": "2k"}, "resolution", ONE_OF, "'2K'"),
    ("fal-ai/pixverse/v6/text-to-video", {"duration": 16}, "duration", "less_than_equal", "less than or equal to 15"),
    (WAN, {"num_frames": 8}, "num_frames", "greater_than_equal", "greater than or equal to 17"),
    (HAPPY, {"prompt": "x" * 2501}, "prompt", "string_too_long", "at most 2500 characters"),
    (
        KLING,
        {"generate_audio": "never"},
        "generate_audio",
        "bool_parsing",
        "unable to interpret input",
    ),
    (VEO, {"seed": 1.5}, "seed", "int_from_float", "got a number with a fractional part"),
    (VEO, {"negative_prompt": 3}, "negative_prompt", "string_type", "Input should be a valid string"),
    (VEO, {"prompt": None}, "prompt", "string_type", "Input should be a valid string"),
    (LTX, {"video_size": "portrait_9_16"}, "video_size", ONE_OF, f"{PRESETS} or 'landscape_16_9'"),
    (LTX, {"video_size": "1280x720"}, "video_size", ONE_OF, f"{PRESETS} or 'landscape_16_9'"),
    (COSMOS, {"image_size": "auto", "image_url": URL}, "image_size", ONE_OF, f"{PRESETS} or 'landscape_16_9'"),
    (
        MAREY,
        {"dimensions": "1080x1920"},
        "dimensions",
        ONE_OF,
        "'1920x1080', '1152x1152', '1536x1152' or '1152x1536'",
    ),
    (
        MAREY,
        {"dimensions": {"width": 1920, "height": 1080}},
        "dimensions",
        ONE_OF,
        "'1920x1080', '1152x1152', '1536x1152' or '1152x1536'",
    ),
    (KLING_IMAGE, {}, "start_image_url", "missing", "Field required"),
    (KLING_IMAGE, {"image_url": URL}, "start_image_url", "missing", "Field required"),
    (
        KLING_IMAGE,
        {"start_image_url": "a.png"},
        "start_image_url",
        "file_download_error",
        "Failed to download the file",
    ),
]


@pytest.mark.parametrize(("endpoint", "body", "where", "kind", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_what_the_schema_refuses_is_taken_and_refused_at_the_result(
    endpoint: str, body: dict[str, Any], where: str, kind: str, words: str
) -> None:
    async def story() -> None:
        async with world() as w:
            result = await ended(w, endpoint, {"prompt": "a paper boat", **body})
            assert result.status_code == 422
            problem, *more = result.json()["detail"]
            assert (problem["loc"], problem["type"], more) == (["body", where], kind, [])
            assert words in problem["msg"]
            assert kind != ONE_OF or problem["msg"] == f"Input should be {words}"
            assert (w.charged_usd(), result.headers["x-fal-retryable"]) == (0, "false")

    run(story)


@pytest.mark.parametrize(
    ("sides", "where", "kind"),
    [
        ({"width": "wide"}, "width", "int_parsing"),
        ({"width": 720.5}, "width", "int_from_float"),
        ({"height": None}, "height", "int_type"),
        ({"height": 0}, "height", "greater_than"),
        ({"width": -720, "height": 1280}, "width", "greater_than"),
        ({"width": 14_143, "height": 1280}, "width", "less_than_equal"),
    ],
    ids=str,
)
def test_pixels_that_are_none_are_refused_at_the_result(sides: dict[str, Any], where: str, kind: str) -> None:
    async def story() -> None:
        async with world() as w:
            result = await ended(w, LTX, {"prompt": "a paper boat", "video_size": sides})
            assert result.status_code == 422
            assert [(p["loc"], p["type"]) for p in result.json()["detail"]] == [(["body", "video_size", where], kind)]
            assert w.charged_usd() == 0

    run(story)


def test_every_endpoint_with_a_size_delivers_each_that_it_offers() -> None:
    seen = 0
    for endpoint, row in ROWS.items():
        for value in row.get("size", {}).get("values", ()):
            body = {**least(row), row["size"]["field"]: value}
            assert fal_rules.problems(row, body) == [], endpoint
            got = fal_table.bought(endpoint, row, body, None)
            if "x" in value:
                assert f"{got.width}x{got.height}" == value
            elif value != "auto":
                across, down = {"square": (1, 1), "portrait_4_3": (3, 4), "portrait_16_9": (9, 16)}.get(
                    value.removesuffix("_hd"), (4, 3) if value == "landscape_4_3" else (16, 9)
                )
                assert has_shape(got.width, got.height, f"{across}:{down}"), (endpoint, value)
            seen += 1
    assert seen > 100


def test_a_size_at_an_endpoint_that_no_row_tells_of_is_made_too() -> None:
    async def story() -> None:
        async with world(extra_models={"fal": {"somebody/new": 100_000}}) as w:
            for name, size in (("video_size", "portrait_16_9"), ("dimensions", "576x1024")):
                result = await ended(w, "somebody/new", {"prompt": "x", name: size})
                got = fake_facts((await w.http.get(result.json()["video"]["url"])).content)
                assert (got["width"], got["height"]) == (576, 1024)

    run(story)


def test_every_endpoint_takes_its_least_body_and_misses_what_it_needs() -> None:
    for endpoint, row in ROWS.items():
        assert fal_rules.problems(row, least(row)) == [], endpoint
        for name in row["required"]:
            body = {key: value for key, value in least(row).items() if key != name}
            assert [problem["loc"] for problem in fal_rules.problems(row, body)] == [["body", name]], endpoint


def test_every_endpoint_takes_all_its_values_and_none_in_another_type() -> None:
    for endpoint, row in ROWS.items():
        for field in ("duration", "num_frames", "aspect_ratio", "resolution"):
            for value in row.get(field, {}).get("values", ()):
                assert fal_rules.problems(row, {**least(row), field: value}) == [], endpoint
                for other in (str(value) if isinstance(value, int) else [value], "nothing like it"):
                    found = fal_rules.problems(row, {**least(row), field: other})
                    assert [(p["loc"], p["type"]) for p in found] == [(["body", field], ONE_OF)], endpoint


def test_a_prompt_that_is_optional_may_be_left_out_only_for_another() -> None:
    assert [p["type"] for p in fal_rules.problems(ROWS[KLING], {})] == ["value_error"]
    assert fal_rules.problems(ROWS[KLING], {"multi_prompt": [{"prompt": "x", "duration": "5"}]}) == []


@pytest.mark.parametrize("endpoint", ["fal-ai/wan/v3/text-to-video", "fal-ai/pika", "somebody/else", "fal-ai/veo3.1/"])
def test_an_endpoint_that_nobody_sells_is_not_found(endpoint: str) -> None:
    async def story() -> None:
        async with world() as w:
            refused = await w.submit(endpoint)
            known = endpoint.strip("/") in ROWS
            assert refused.status_code == (200 if known else 404)

    run(story)


# --- taken, delivered and charged as it was ordered


@pytest.mark.parametrize(
    ("endpoint", "body", "facts", "charged_usd"),
    [
        # the kind: a field that is left out has a default that costs money
        (KLING, {"duration": "4"}, (1280, 720, 4, True), 0.504),
        (KLING, {"duration": "4", "generate_audio": False}, (1280, 720, 4, False), 0.336),
        (KLING, {"aspect_ratio": "9:16", "generate_audio": False}, (720, 1280, 5, False), 0.42),
        (VEO, {}, (1280, 720, 8, True), 3.2),
        (VEO, {"duration": "4s", "generate_audio": False, "resolution": "4k"}, (3840, 2160, 4, False), 1.6),
        (HAPPY, {"duration": 4}, (1920, 1080, 4, False), 1.12),
        (HAPPY, {"duration": 4, "resolution": "720p"}, (1280, 720, 4, False), 0.56),
        (LUMA, {}, (960, 540, 5, False), None),
        (LUMA, {"resolution": "720p", "duration": "9s"}, (1280, 720, 9, False), 2.0),
        # fields that the endpoint does not have are ignored
        (WAN, {"duration": 12, "aspect_ratio": "9:16"}, (720, 1280, 81 / 16, False), 0.405),
        (WAN, {"num_frames": 161, "resolution": "480p"}, (854, 480, 161 / 16, False), 0.4025),
        (HAILUO, {"duration": "10", "aspect_ratio": "9:16"}, (1280, 720, 10, False), 0.56),
        (HAILUO, {}, (1280, 720, 6, False), 0.28),
        ("fal-ai/kling-video/v3/turbo/pro/text-to-video", {"generate_audio": True}, (1280, 720, 5, False), 0.7),
        # sizes by other names
        (LTX, {"video_size": "portrait_16_9"}, (576, 1024, None, None), None),
        (LTX, {"video_size": {"width": 1280, "height": 720}}, (1280, 720, None, None), None),
        (LTX, {"video_size": {"width": 1280}}, (1280, 512, None, None), None),
        (LTX, {}, (1024, 768, None, None), None),
        (LTX_IMAGE, {"image_url": "TALL"}, (144, 256, None, None), None),
        (LTX_IMAGE, {"image_url": "TALL", "video_size": "landscape_16_9"}, (1024, 576, None, None), None),
        (MAREY, {"dimensions": "1152x1536"}, (1152, 1536, None, None), None),
        (MAREY, {"video_size": "square_hd"}, (1920, 1080, None, None), None),
        ("fal-ai/cogvideox-5b", {}, (720, 480, None, None), None),
        (COSMOS, {"image_size": "square_hd", "image_url": "TALL"}, (1024, 1024, None, None), None),
        ("minimax/h3/text-to-video", {}, (2560, 1440, 5, False), None),
        # pictures
        (KLING_IMAGE, {"start_image_url": "TALL"}, (720, 1280, 5, True), 0.63),
        ("fal-ai/pika/v2.2/image-to-video", {"image_url": "TALL", "aspect_ratio": "16:9"}, (720, 1280, 5, False), 0.2),
        ("fal-ai/veo3.1/image-to-video", {"image_url": "TALL", "generate_audio": False}, (720, 1280, 8, False), 1.6),
        ("fal-ai/veo3.1/image-to-video", {"image_url": "TALL", "aspect_ratio": "16:9"}, (1280, 720, 8, True), 3.2),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_what_is_left_out_takes_the_default_and_is_charged(
    endpoint: str, body: dict[str, Any], facts: tuple[Any, ...], charged_usd: float | None
) -> None:
    body = {name: tall_picture() if value == "TALL" else value for name, value in body.items()}

    async def story() -> None:
        async with world() as w:
            result = await ended(w, endpoint, {"prompt": "a paper boat", **body})
            assert result.status_code == 200
            got = fake_facts((await w.http.get(result.json()["video"]["url"])).content)
            told = (got["width"], got["height"], got["duration_s"], got["audio"])
            assert tuple(want if want is None else is_ for want, is_ in zip(facts, told, strict=True)) == facts
            if charged_usd is not None:
                assert w.charged_usd() == pytest.approx(charged_usd)

    run(story)


def test_every_endpoint_delivers_each_of_its_lengths_and_charges_no_less_for_a_longer_one() -> None:
    for endpoint, row in ROWS.items():
        values = [value for value in row.get("duration", {}).get("values", ()) if value != "auto"]
        bought = [fal_table.bought(endpoint, row, {**least(row), "duration": value}, None) for value in values]
        assert [one.seconds for one in bought] == [int(str(value).removesuffix("s")) for value in values], endpoint
        prices = [one.price_micro for one in sorted(bought, key=lambda one: one.seconds)]
        assert prices == sorted(prices), endpoint


def test_the_price_of_what_the_table_does_not_price_can_be_told_and_binds_the_sibling() -> None:
    endpoint = "fal-ai/longcat-video/text-to-video/720p"
    sibling = ROWS[endpoint]["image_endpoint"]
    assert not {"price"} & {*ROWS[endpoint], *ROWS[sibling]}

    async def story() -> None:
        async with world(extra_models={"fal": {endpoint: 100_000}}) as w:
            for name in (endpoint, sibling):
                before = w.charged_usd()
                assert (await ended(w, name, least(ROWS[name]))).status_code == 200
                seconds = fal_table.duration_s(name, ROWS[name], {})
                assert w.charged_usd() - before == pytest.approx(0.1 * seconds)

    run(story)


def test_a_project_s_own_row_goes_before_the_shipped_one() -> None:
    row = {"kind": "text", "required": ["prompt"], "prompt": {}, "duration": {"values": ["3"], "default": "3"}}

    async def story() -> None:
        async with world(extra_rows={"somebody/new": row, VEO: row}) as w:
            assert (await ended(w, "somebody/new", {"prompt": "x", "duration": "3"})).status_code == 200
            assert (await ended(w, "somebody/new", {"prompt": "x", "duration": "5"})).status_code == 422
            assert (await ended(w, VEO, {"prompt": "x", "duration": "8s"})).status_code == 422

    run(story)


# --- what the codec orders


SHOTS = [
    *itertools.product(("4", "7"), ("9:16", "16:9"), ({}, pictured.GIVEN["image"]), (None, 7), (None, "fog")),
    *itertools.product(("5",), ("9:16",), pictured.GIVEN.values(), (None,), (None,)),
]


def orders(price: int | None) -> Iterator[tuple[tuple[Any, ...], Order, dict[str, Any]]]:
    """All that can be ordered of these shots, with the body as it is sent."""
    for endpoint, (seconds, shape, pictures, seed, negative) in itertools.product(ROWS, SHOTS):
        terms = Terms(provider="fal", base_url=PIKA, model=endpoint, price=price)
        recipe = pictured.recipe(
            prompt="a paper boat",
            duration_s=Decimal(seconds),
            aspect_ratio=shape,
            **pictures,
            seed=seed,
            negative_prompt=negative,
        )
        with contextlib.suppress(CannotMake):
            order = fal.order(recipe, terms)
            call = fal.create(order, terms, "key", recipe.pictures.map(lambda *_: tall_picture()), "1")
            yield (seconds, shape, "image" in pictures), order, json.loads(call.body or b"")


@pytest.mark.slow
def test_what_the_codec_orders_is_taken_and_delivered_as_it_was_asked_for() -> None:
    """The codec's reading of the table against the runner's, which is another hand's."""
    seen = set()
    for (seconds, shape, image), order, body in orders(price=100_000):
        row = ROWS[order.model]
        assert fal_rules.problems(row, body) == [], (order.model, body)
        got = fal_table.bought(order.model, row, body, None)
        assert float(seconds) <= got.seconds <= float(order.bought_s) + 0.001, (order.model, body)
        assert got.sound is False, (order.model, body)
        assert image or has_shape(got.width, got.height, shape), (order.model, body)
        if "resolution" in body:
            assert min(got.width, got.height) >= 720, (order.model, body)
        seen.add(order.model)
    assert len(seen) >= 160


@pytest.mark.slow
def test_what_the_codec_reserves_is_what_is_charged() -> None:
    seen = set()
    for _, order, body in orders(price=None):
        charged = fal_table.bought(order.model, ROWS[order.model], body, None).price_micro
        assert 0 <= order.price - charged < 1_000, (order.model, body, order.price, charged)
        seen.add(order.model)
    assert len(seen) >= 40


# --- what is published of an endpoint


def schema_of(document: Mapping[str, Any], endpoint: str) -> dict[str, Any]:
    """The input's schema, found as a client finds it."""
    body = document["paths"][f"/{endpoint}"]["post"]["requestBody"]
    name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return {**document["components"]["schemas"][name], "components": document["components"]}


def test_the_openapi_document_needs_no_key_and_no_unknown_endpoint_has_one() -> None:
    async def story() -> None:
        async with world() as w:
            url = f"{PIKA}{fal_openapi.PATH}"
            answer = await w.http.get(url, params={"endpoint_id": KLING})
            assert answer.status_code == 200
            taken = schema_of(answer.json(), KLING)["properties"]
            assert taken["duration"]["enum"] == [str(n) for n in range(3, 16)]
            assert (taken["duration"]["type"], taken["duration"]["default"]) == ("string", "5")
            assert (taken["generate_audio"]["type"], taken["generate_audio"]["default"]) == ("boolean", True)
            pika = schema_of((await w.http.get(url, params={"endpoint_id": PIKA_TEXT})).json(), PIKA_TEXT)["properties"]
            assert (pika["duration"]["type"], pika["duration"]["enum"]) == ("integer", [5, 10])
            wan = schema_of((await w.http.get(url, params={"endpoint_id": WAN})).json(), WAN)["properties"]
            assert (wan["num_frames"]["minimum"], wan["num_frames"]["maximum"]) == (17, 161)
            for missing in ("fal-ai/wan/v3/text-to-video", ""):
                assert (await w.http.get(url, params={"endpoint_id": missing})).status_code == 404
            assert (await w.http.post(url)).status_code == 405

    run(story)


@pytest.mark.slow
def test_the_openapi_documents_and_the_runner_agree() -> None:
    """Two readings of a row: what the document's schema takes, the runner takes; what it refuses is refused."""
    for endpoint, row in ROWS.items():
        document = fal_openapi.document(endpoint, row)
        schema = jsonschema.Draft202012Validator(schema_of(document, endpoint))
        for change in tries(row):
            body = {**least(row), **change}
            kinds = {problem["type"] for problem in fal_rules.problems(row, body)} - {"value_error"}
            assert schema.is_valid(body) == (not kinds), (endpoint, change, kinds)


def tries(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is good and what is bad for most endpoints, and all that this one offers."""
    found: list[dict[str, Any]] = [{}, {"seed": "x"}, {"prompt": 3}, {"prompt": "x" * 6000}]
    for field in ("duration", "num_frames", "aspect_ratio", "resolution"):
        spec = row.get(field, {})
        values = [*spec.get("values", ()), spec.get("min", 1), spec.get("max", 2), 0, 7, []]
        found += [{field: value} for value in values]
    if "size" in row:
        sides = ({}, {"width": 720}, {"width": 0}, {"height": 14_143}, {"height": "tall"}, {"width": 1.5})
        values = [*row["size"]["values"], "auto", "1280x720", 720, *sides]
        found += [{row["size"]["field"]: value} for value in values]
    return found


def test_what_is_learnt_from_a_document_is_the_row_that_it_was_made_from() -> None:
    for endpoint, row in ROWS.items():
        document = json.dumps(fal_openapi.document(endpoint, row)).encode()
        learnt = fal_learn.row(Reply(status=200, headers={}, body=document, at=0.0), endpoint)
        for field in ("kind", "prompt", "seed", "negative_prompt", "sound", "images", "size"):
            assert learnt.get(field) == row.get(field), (endpoint, field)
        for field in ("duration", "num_frames", "aspect_ratio", "resolution"):
            was, now = row.get(field, {}), learnt.get(field, {})
            only = [was["default"]] if was.get("type") == "string" and field != "aspect_ratio" else None
            assert now.get("values") == was.get("values", only), (endpoint, field)
            told = ("min", "max", "default", "fps")
            assert [now.get(key) for key in told] == [was.get(key) for key in told], (endpoint, field)
