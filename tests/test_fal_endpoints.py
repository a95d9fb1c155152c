"""Orders for every endpoint of fal's table, held against its full schema, which another hand took from fal's types.

data/fal_models.json: a row for each endpoint with all its fields, as of the same list that the table is made from.
"""

import itertools
import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pictured
import pytest

from vgen.providers import fal, fal_table
from vgen.providers.base import CannotMake, Order, Terms
from vgen.providers.kinds import DECIDE_PRICE

SCHEMAS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "fal_models.json").read_text("utf-8")
)["endpoints"]
PICTURE = "sha256:0"
ONE = "subject_reference_image_url"
LIMITS = (
    r"at most [\d.]+ s|one length|can't be told a shape|makes [\d:, ]+, not|none of which is|needs an image|takes no|"
    r"offers .*, and a good clip|between two pictures|reference pictures|prompts of \d+|only with a first one|"
    r"takes 1 reference picture, the shot has 2"
)


def ordered(model: str, **changes: Any) -> Order:
    recipe = pictured.recipe(**{"prompt": "a paper boat", "duration_s": Decimal(4), "aspect_ratio": "9:16", **changes})
    return fal.order(recipe, Terms(provider="x", base_url=fal.BASE_URL, model=model, price=50_000))


def wishes() -> list[dict[str, Any]]:
    """4 s and 7 s, both shapes, with and without picture, seed and negative prompt; then pictures of each role."""
    return [
        {"duration_s": Decimal(length), "aspect_ratio": shape, "image": image, "seed": seed, "negative_prompt": fog}
        for length, shape, image, seed, fog in itertools.product(
            (4, 7), ("9:16", "16:9"), (None, PICTURE), (None, 7), (None, "fog")
        )
    ] + [{"duration_s": Decimal(5), **given} for given in pictured.GIVEN.values()]


def mistakes(order: Order) -> list[str]:
    """What fal would find wrong with the body, or ignore in it, by the endpoint's whole schema."""
    schema, body = SCHEMAS[order.model], dict(order.body)
    for role, name in order.pictures.items():
        body[name] = ["https://x/boat.png"] if role == "references" and name not in ONE else "https://x/boat.png"
    required = [*schema.get("images", {}).get("required", []), *(["prompt"] if schema["prompt"]["required"] else [])]
    found = [f"{name} is missing" for name in required if name not in body]
    for name, value in body.items():
        spec = next((spec for spec in schema.values() if isinstance(spec, dict) and spec.get("field") == name), {})
        if name not in schema["fields"]:
            found.append(f"there is no field {name}")
        elif spec.get("values") and not any(value == v and type(value) is type(v) for v in spec["values"]):
            found.append(f"{name}={value!r} is not on offer")
        elif spec.get("type") == "string" and not isinstance(value, str):
            found.append(f"{name}={value!r} should be a word")
        elif spec.get("type") in ("number", "integer") and not isinstance(value, int | float):
            found.append(f"{name}={value!r} should be a number")
        elif spec.get("max") is not None and not spec["min"] <= value <= spec["max"]:
            found.append(f"{name}={value!r} is out of range")
    return found


def test_the_table_and_the_schemas_know_the_same_endpoints() -> None:
    assert fal_table.shipped().keys() == SCHEMAS.keys()


@pytest.mark.slow
def test_every_order_is_what_the_endpoint_takes_and_most_endpoints_can_be_ordered() -> None:
    wrong: list[str] = []
    can: set[str] = set()
    refusals: Counter[str] = Counter()
    for model, wish in itertools.product(SCHEMAS, wishes()):
        try:
            order = ordered(model, **wish)
        except CannotMake as exc:
            refusals[str(exc)] += 1
            continue
        can.add(model)
        wrong += [f"{model}: {problem} in {order.body}" for problem in mistakes(order)]
    assert wrong == []
    assert len([model for model in can if SCHEMAS[model]["kind"] in ("text", "image")]) >= 150
    kinds = Counter(SCHEMAS[model]["kind"] for model in can)
    assert min(kinds["first-last"] - 7, kinds["reference"] - 15) >= 0, kinds
    unclear = [text for text in refusals if not re.search(LIMITS, text)]
    assert unclear == []


def test_a_bought_clip_is_never_shorter_than_the_shot_and_sound_is_never_on() -> None:
    for model, seconds in itertools.product(SCHEMAS, ("0.5", "4", "4.2", "7", "9.9")):
        try:
            order = ordered(model, duration_s=Decimal(seconds), image=PICTURE)
        except CannotMake:
            continue
        assert order.bought_s >= Decimal(seconds), order
        sound = SCHEMAS[order.model]["audio"]
        assert sound is None or order.body[sound["field"]] is False


def test_what_a_model_does_not_take_is_told_with_the_order() -> None:
    for model in SCHEMAS:
        try:
            order = ordered(model, image=PICTURE, seed=7, negative_prompt="fog")
        except CannotMake:
            continue
        for name in ("seed", "negative_prompt"):
            assert (name in order.body) is SCHEMAS[order.model][name]
            assert (name in order.left_out) is not SCHEMAS[order.model][name]


def test_an_order_has_720_lines_wherever_lines_can_be_ordered() -> None:
    for model in SCHEMAS:
        try:
            order = ordered(model, image=PICTURE)
        except CannotMake:
            continue
        if digits := re.search(r"^(\d+)p$", str(order.body.get("resolution", "")).lower()):
            assert int(digits[1]) >= 720
            offered = SCHEMAS[order.model]["resolution"]["values"]
            lower = [value for value in offered if 720 <= int(re.sub(r"\D", "", value) or 9999) < int(digits[1])]
            assert lower == [], order


def test_whatever_may_decide_the_price_is_part_of_an_orders_kind() -> None:
    shots_own = {"prompt", "negative_prompt", "seed"}
    for model in SCHEMAS:
        try:
            order = ordered(model, image=PICTURE, seed=7)
        except CannotMake:
            continue
        assert order.body.keys() - shots_own <= set(DECIDE_PRICE), order
        assert {name for name, _ in order.kind.fields} == order.body.keys() - shots_own


def test_pika_is_ordered_as_it_always_was() -> None:
    """Word for word: the ledger of an old production compares kinds of orders by their bodies."""
    made = ordered(fal.MODEL, duration_s=Decimal(5), seed=7, negative_prompt="fog")
    assert made.text == (
        '{"aspect_ratio":"9:16","duration":5,"negative_prompt":"fog","prompt":"a paper boat","resolution":"720p",'
        '"seed":7}'
    )


PRICES = {
    # model: (seconds asked, resolution, micro-dollars); what fal's pages say of exactly that body
    "fal-ai/pika/v2.2/text-to-video": (5, None, 200_000),
    "fal-ai/kling-video/v3/pro/text-to-video": (5, None, 560_000),
    "fal-ai/kling-video/v2.6/pro/text-to-video": (7, None, 700_000),
    "fal-ai/veo3.1": (4, None, 800_000),
    "bytedance/seedance-2.0/text-to-video": (4, None, 1_213_600),
    "fal-ai/wan/v2.7/text-to-video": (4, "1080p", 600_000),
    "fal-ai/wan/v2.2-a14b/text-to-video": (5, None, 405_040),
    "fal-ai/luma-dream-machine/ray-2": (7, None, 2_000_000),
    "fal-ai/pixverse/c1/text-to-video": (4, None, 200_000),
    "fal-ai/ltx-2.3/text-to-video": (4, None, 480_000),
    "alibaba/happy-horse/text-to-video": (4, None, 560_000),
    "fal-ai/vidu/q3/text-to-video": (4, None, 616_000),
}


@pytest.mark.parametrize("model", PRICES)
def test_a_list_price_is_of_exactly_the_body_that_is_sent(model: str) -> None:
    seconds, resolution, price = PRICES[model]
    recipe = pictured.recipe(prompt="a paper boat", duration_s=Decimal(seconds), aspect_ratio="9:16")
    terms = Terms(provider="x", base_url=fal.BASE_URL, model=model, resolution=resolution)
    assert fal.order(recipe, terms).price == price


def test_hailuo_costs_by_the_length_of_the_clip() -> None:
    """0.28 for 6 s and 0.56 for 10 s; its shape is known from the config only."""
    terms = Terms(
        provider="x", base_url=fal.BASE_URL, model="fal-ai/minimax/hailuo-2.3/standard/text-to-video", ratios=("16:9",)
    )
    for asked, price in ((4, 280_000), (6, 280_000), (7, 560_000)):
        recipe = pictured.recipe(prompt="a paper boat", duration_s=Decimal(asked), aspect_ratio="16:9")
        assert fal.order(recipe, terms).price == price


def test_every_price_of_the_table_is_reserved_by_an_order_or_marked_as_unclear() -> None:
    for model, row in fal_table.shipped().items():
        if "price" not in row:
            continue
        offers = (
            Terms(provider="x", base_url="", model=model, ratios=("16:9",), durations=durations)
            for durations in (None, (Decimal(5),))
        )
        reserved = 0
        for terms in offers:
            try:
                image = PICTURE if row["kind"] == "image" else None
                shot = pictured.recipe(prompt="a boat", duration_s=Decimal(2), aspect_ratio="16:9", image=image)
                reserved = max(reserved, fal.order(shot, terms).price)
            except CannotMake:
                continue
        assert (reserved > 0) is (row["price"]["sure"] != "unit"), model
        assert {"source", "date", "sure"} <= row["price"].keys()
