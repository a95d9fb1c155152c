"""Every Runway model is ordered as the types of Runway's own package want it, or refused with the limit that is hit."""

import copy
import itertools
import json
from decimal import Decimal
from typing import Any

import pictured
import pytest
import runway_types

from scripts import runway_models as script
from vgen.providers import runway, runway_models
from vgen.providers.base import CannotMake, Order, Terms

TABLE = json.loads(script.TABLE.read_text("utf-8"))
MODELS = sorted({name for endpoint in script.ENDPOINTS for name in runway_types.models(endpoint)})
PICTURE = "data:image/png;base64,AAAA"
PICTURE_LIMITS = ("takes no", "only with a first one", "not both")
COSTS_BY_DEFAULT = {"audio": False, "draft": False, "outputFormat": "mp4"}
SHOTS = [
    *itertools.product(
        ("4", "7"), ("9:16", "16:9"), (None, pictured.GIVEN["image"]), (None, 7), (None, "fog"), (None, "720p", "1080p")
    ),
    *itertools.product(("7",), ("9:16",), pictured.GIVEN.values(), (None,), (None,), (None, "1080p")),
]
"""Seconds, shape, picture, seed, negative prompt, configured resolution."""


def ordered(model: str, shot: tuple[Any, ...]) -> tuple[Order, dict[str, Any]]:
    """The order for a shot and the body that goes over the wire. Raises CannotMake."""
    seconds, shape, image, seed, negative, resolution = shot
    terms = Terms(provider="runway", base_url=runway.BASE_URL, model=model, resolution=resolution, price=100_000)
    recipe = pictured.recipe(
        prompt="a paper boat",
        duration_s=Decimal(seconds),
        aspect_ratio=shape,
        **(image or {}),
        seed=seed,
        negative_prompt=negative,
    )
    order = runway.order(recipe, terms)
    call = runway.create(order, terms, "key_x", recipe.pictures.map(lambda *_: PICTURE), "")
    return order, json.loads(call.body or b"")


def every_order(model: str) -> list[tuple[tuple[Any, ...], Order | str, dict[str, Any]]]:
    """For each shot: the order or the refusal, and the body."""
    made: list[tuple[tuple[Any, ...], Order | str, dict[str, Any]]] = []
    for shot in SHOTS:
        try:
            made.append((shot, *ordered(model, shot)))
        except CannotMake as exc:
            made.append((shot, str(exc), {}))
    return made


def endpoint_of(shot: tuple[Any, ...]) -> str:
    return "image_to_video" if "image" in (shot[2] or {}) else "text_to_video"


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_order_is_what_the_package_takes(model: str) -> None:
    for shot, order, body in every_order(model):
        if isinstance(order, Order):
            assert runway_types.problems(endpoint_of(shot), body) == [], shot


@pytest.mark.parametrize("model", MODELS)
def test_every_refusal_says_the_model_or_the_value_and_the_limit(model: str) -> None:
    limits = ("does not offer", "from an image only", "choose the shape", "offers", "makes at most", *PICTURE_LIMITS)
    for shot, order, _ in every_order(model):
        if isinstance(order, str):
            assert model in order, shot
            assert any(limit in order for limit in limits), (shot, order)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_every_body_says_what_decides_its_price(model: str) -> None:
    """No field that the package's types name and that costs by default is left out: sound, size, length, format."""
    for shot, order, body in every_order(model):
        if isinstance(order, Order):
            taken = set(TABLE[endpoint_of(shot)][model]["fields"])
            decide = taken & {"audio", "duration", "resolution", "ratio", "draft", "outputFormat"}
            assert decide - set(body) == set(), shot
            assert {name: body[name] for name in COSTS_BY_DEFAULT if name in taken} == {
                name: value for name, value in COSTS_BY_DEFAULT.items() if name in taken
            }
            assert order.bought_s == body["duration"]


@pytest.mark.slow
def test_each_model_can_be_ordered_for_some_shot() -> None:
    refused = [model for model in MODELS if not any(isinstance(order, Order) for _, order, _ in every_order(model))]
    assert refused == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"duration": "4"}, "duration"),
        ({"duration": 5}, "duration"),
        ({"ratio": "9:16"}, "ratio"),
        ({"ratio": None}, "ratio: missing"),
        ({"resolution": "720p"}, "resolution: no such field"),
        ({"audio": "no"}, "audio"),
        ({"promptImage": [{"uri": PICTURE, "position": "middle"}]}, "promptImage"),
        ({"promptImage": [{"position": "first"}]}, "promptImage"),
        ({"promptImage": None}, "promptImage: missing"),
        ({"prompt_text": "a boat"}, "prompt_text: no such field"),
        ({"model": "veo3"}, "model"),
    ],
    ids=str,
)
def test_a_wrong_body_is_noticed(change: dict[str, Any], told: str) -> None:
    """So the tests above can fail."""
    _, body = ordered("veo3.1", ("4", "9:16", pictured.GIVEN["image"], None, None, None))
    assert runway_types.problems("image_to_video", body) == []
    wrong = {name: value for name, value in {**body, **change}.items() if value is not None}
    assert [told in problem for problem in runway_types.problems("image_to_video", wrong)] == [True]


@pytest.mark.parametrize("model", ["hailuo3", "seedance2", "seedance2_5", "wan3", "wan3_prime", "kling_4"])
def test_a_first_picture_is_not_taken_for_a_reference(model: str) -> None:
    """Of these models a picture without a position is a reference, or may be one; references may cost more."""
    _, body = ordered(model, ("7", "9:16", pictured.GIVEN["image"], None, None, None))
    assert body["promptImage"] == [{"uri": PICTURE, "position": "first"}]


@pytest.mark.parametrize("model", ["wan3", "wan3_prime", "kling_4", "grok_imagine_1_5_lite"])
def test_where_the_shape_is_the_pictures_only_the_size_is_asked_for(model: str) -> None:
    _, plain = ordered(model, ("7", "9:16", pictured.GIVEN["image"], None, None, None))
    _, large = ordered(model, ("7", "9:16", pictured.GIVEN["image"], None, None, "1080p"))
    assert (plain["ratio"], large["ratio"]) == ("auto_720p", "auto_1080p")


# ── the table against the package ─────────────────────────────────────────────────────────────────────────────────────


def differences(table: dict[str, Any]) -> list[str]:
    return [
        line
        for endpoint in script.ENDPOINTS
        for line in script.differences(endpoint, table[endpoint], script.package(endpoint))
    ]


@pytest.mark.slow
def test_the_table_is_what_the_installed_package_says() -> None:
    """If only new things are told: a newer package is installed; `python -m scripts.runway_models --write`."""
    found = differences(TABLE)
    if script.version() != script.of(TABLE):
        found = [line for line in found if ": new" not in line]
    assert found == []


@pytest.mark.slow
def test_the_script_and_the_types_at_run_time_name_the_same_models_and_fields() -> None:
    for endpoint in script.ENDPOINTS:
        read, typed = script.package(endpoint), runway_types.models(endpoint)
        assert set(read) == set(typed)
        for model, fields in read.items():
            required = {name for name, rule in fields.items() if rule["required"]}
            assert [f"{name}: missing" for name in sorted(required)] == runway_types.problems(
                endpoint, {"model": model}
            )


@pytest.mark.slow
def test_each_difference_is_told_and_writing_takes_it_away() -> None:
    table = copy.deepcopy(TABLE)
    fields = table["text_to_video"]["veo3.1"]["fields"]
    del fields["seed"], fields["ratio"]["enum"][0], table["image_to_video"]["wan3"]
    fields["audio"]["required"], fields["size"] = True, {"required": False}
    table["text_to_video"]["veo4"] = {"fields": {}}
    table["image_to_video"]["gemini_omni_flash_1.1"]["fields"]["duration"]["maximum"] = 12
    assert [line.split(": ")[0] for line in differences(table)] == [
        "text_to_video veo3.1 audio required",
        "text_to_video veo3.1 ratio enum",
        "text_to_video veo3.1 seed",
        "text_to_video veo3.1 size",
        "text_to_video veo4",
        "image_to_video gemini_omni_flash_1.1 duration maximum",
        "image_to_video wan3",
    ]
    assert differences(json.loads(script.document(table))) == []


@pytest.mark.slow
def test_writing_keeps_what_the_package_does_not_tell() -> None:
    assert script.document(TABLE) == script.TABLE.read_text("utf-8")
    assert json.loads(script.document(TABLE))["text_to_video"]["gen4.5"]["fields"]["seed"]["maximum"] == 2**32 - 1


def test_the_codec_reads_the_same_table() -> None:
    assert runway_models.models() == TABLE
