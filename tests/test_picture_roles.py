"""Pictures by role at every vendor: what a codec orders its simulated vendor takes, at that price; or it says why not.

Two hands: what a vendor takes is read once by the codec and once by the simulator, each from its own table.
"""

import base64
import itertools
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any

import pictured
import pytest

from vgen.pictures import ROLES
from vgen.plan import request
from vgen.providers import CODECS, ark, kling, minimax, pika, runway, tables
from vgen.providers.base import CannotMake, Order, Terms
from vgen.simulator import ark_rules, kling_rules, minimax_rules, runway_rules

GIVEN = {**pictured.GIVEN, "ten references": {"references": [f"sha256:{n}" for n in range(10)]}, "none": {}}
PICTURE = "data:image/png;base64," + base64.b64encode(pictured.png()).decode()
LIMITS = (
    r"takes no (first|last|reference) picture|only with a first one|not both|at most \d+ (reference )?pictures|"
    r"makes video from an image only|lets nobody choose|does not offer"
)


def made(codec: ModuleType, model: str, pictures: Mapping[str, Any], **more: Any) -> tuple[Order, dict[str, Any]]:
    """The order for a shot of 5 s, and the body as it is sent. Raises CannotMake."""
    terms = Terms(provider="x", base_url=codec.VENDOR.base_url, model=model, **more)
    recipe = pictured.recipe(prompt="a paper boat", duration_s=Decimal(5), aspect_ratio="16:9", **pictures)
    order = codec.order(recipe, terms)
    assert set(order.pictures) == set(recipe.pictures.roles), "a picture is left out"
    call = codec.create(order, terms, "key", recipe.pictures.map(lambda *_: PICTURE), "0066e72ce7e8-1")
    return order, json.loads(call.body or b"")


def kling_takes(order: Order, body: dict[str, Any]) -> int | None:
    function, _, model = order.path.strip("/").partition("/")
    rules = kling_rules.row(f"{function}/{model}", ())
    if rules is None:  # the simulator sells fewer of Kling's models than the codec knows
        return None
    wanted = kling_rules.read(function, rules, body)
    assert (wanted.fails, wanted.ignored) == ("", ()), body
    assert wanted.units_per_s is not None
    return int(wanted.units_per_s * wanted.seconds * 140_000)


def ark_takes(order: Order, body: dict[str, Any]) -> int | None:
    rules = ark_rules.row(order.model, {})
    assert rules is not None
    wanted = ark_rules.read(rules, body)
    assert (wanted.fails, wanted.ignored) == ("", ()), body
    return None  # reserved is the most that any shape costs


def minimax_takes(order: Order, body: dict[str, Any]) -> int | None:
    rules = minimax_rules.row(order.model, {})
    assert rules is not None
    wanted = minimax_rules.read(rules, body)
    assert wanted.ignored == (), body
    return wanted.micro


def runway_takes(order: Order, body: dict[str, Any]) -> int | None:
    assert runway_rules.issues(order.path.removeprefix("/v1/"), body, ()) == [], body
    return None


VENDORS: dict[str, tuple[ModuleType, list[str], Callable[[Order, dict[str, Any]], int | None]]] = {
    "kling": (kling, list(tables.read("kling_models.json")["models"]), kling_takes),
    "ark": (ark, list(tables.read("ark_models.json")["models"]), ark_takes),
    "minimax": (minimax, list(tables.read("minimax_models.json")["models"]), minimax_takes),
    "runway": (runway, sorted(runway_rules.table()["image_to_video"]), runway_takes),
}


@pytest.mark.slow
@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_ordered_is_taken_at_its_price_and_what_is_not_says_the_limit(vendor: str) -> None:
    codec, models, takes = VENDORS[vendor]
    price = {"price": 100_000} if vendor == "runway" else {}
    taken, refused, unclear = set(), set(), list[str]()
    for model, name in itertools.product(models, GIVEN):
        try:
            order, body = made(codec, model, GIVEN[name], **price)
        except CannotMake as exc:
            refused.add(name)
            unclear += [str(exc)] if not re.search(LIMITS, str(exc)) else []
            continue
        charged = takes(order, body)
        assert charged in (None, order.price), (model, name)
        taken.add(name)
    assert {"end_image", "references", "image", "none"} <= taken
    assert {"only end_image", "ten references"} <= refused
    assert unclear == []


def test_pika_takes_a_first_picture_only() -> None:
    for name in ("end_image", "references"):
        with pytest.raises(CannotMake, match=r"https address only|takes no"):
            made(pika, "kling/kling-3.0/text-to-video", GIVEN[name])
    https = {"image": "https://x.example/a.png", "end_image": "https://x.example/b.png"}
    with pytest.raises(CannotMake, match="takes no last picture"):
        made(pika, "kling/kling-3.0/text-to-video", https)


def frame(role: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": PICTURE}, "role": role}


PAIR: dict[str, Any] = {
    "model": "MiniMax-H3", "content": [{"type": "text", "text": "x"}], "resolution": "768P", "duration": 5
}  # fmt: skip
WRONG = [["last_frame"], ["first_frame", "first_frame"], ["first_frame", "reference_image"], ["reference_image"] * 10]
KLINGS = [["last_frame"], ["first_frame", "first_frame"], ["first_frame"] + ["refer_image"] * 7, ["reference_image"]]
URIS = {"uri": PICTURE}


@pytest.mark.slow
@pytest.mark.parametrize("roles", WRONG)
def test_simulated_minimax_and_modelark_refuse_roles_that_do_not_go_together(roles: list[str]) -> None:
    content = [*PAIR["content"], *map(frame, roles)]
    ratio = "adaptive" if "first_frame" in roles else "16:9"
    with pytest.raises(minimax_rules.BadParams):
        minimax_rules.read(minimax_rules.row("MiniMax-H3", {}) or {}, {**PAIR, "content": content, "ratio": ratio})
    rules = ark_rules.row("dreamina-seedance-2-0-260128", {})
    with pytest.raises(ark_rules.BadParameter):
        ark_rules.read(rules or {}, {"model": "x", "content": content, "duration": 5})


@pytest.mark.parametrize("kinds", KLINGS)
def test_simulated_kling_refuses_contents_that_do_not_go_together(kinds: list[str]) -> None:
    rules = kling_rules.row("omni-video/kling-3.0-omni", ())
    inputs = [{"type": kind, "url": "https://x.example/a.png"} for kind in kinds]
    body = {"contents": [{"type": "prompt", "text": "x"}, *inputs], "settings": {"aspect_ratio": "16:9"}}
    with pytest.raises(kling_rules.BadValue):
        kling_rules.read("omni-video", rules or {}, body)


@pytest.mark.parametrize(
    ("endpoint", "model", "fields"),
    [
        ("image_to_video", "gen4_turbo", {"promptImage": [{**URIS, "position": "last"}]}),
        ("image_to_video", "gen4_turbo", {"promptImage": [URIS]}),
        ("image_to_video", "veo3.1", {"promptImage": [{**URIS, "position": "last"}]}),
        ("image_to_video", "veo3.1", {"promptImage": [{**URIS, "position": "first"}] * 2}),
        ("image_to_video", "seedance2", {"promptImage": [{**URIS, "position": "first"}, URIS]}),
        ("text_to_video", "seedance2", {"references": [URIS] * 10}),
        ("text_to_video", "seedance2", {"references": PICTURE}),
        ("text_to_video", "seedance2", {"references": [{"uri": "http://x.example/a.png"}]}),
        ("image_to_video", "kling_4", {"promptImage": PICTURE, "references": [URIS] * 10, "ratio": "auto_720p"}),
        ("text_to_video", "grok_imagine_1_5", {"references": [URIS], "resolution": "1080p", "ratio": "16:9"}),
    ],
)
def test_simulated_runway_refuses_pictures_that_its_types_do_not_have(
    endpoint: str, model: str, fields: dict[str, Any]
) -> None:
    body = {"model": model, "promptText": "a boat", "ratio": "1280:720", "duration": 5, **fields}
    if model == "veo3.1":
        body["duration"] = 8
    assert runway_rules.issues(endpoint, body, ())


def test_a_role_that_a_codec_has_no_place_for_is_never_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A further role in the list of roles, and codecs that were written before it: refused, by name."""
    monkeypatch.setattr("vgen.pictures.ROLES", {**ROLES, "depth_image": False})
    monkeypatch.setitem(request.WORDS, "depth_image", "depth picture")  # type: ignore[arg-type]
    shot = pictured.recipe(prompt="x", duration_s=Decimal(5), aspect_ratio="16:9")
    pictures = type(shot.pictures)((("depth_image", "sha256:0"),))
    shot = type(shot)(prompt="x", duration_s=Decimal(5), aspect_ratio="16:9", pictures=pictures)
    assert "depth_image" in dict(shot.manifest)
    for name, model in {"runway": "gen4.5", "kling": "kling-3.0", "fal": "fal-ai/pika/v2.2/text-to-video"}.items():
        codec = CODECS[name]
        terms = Terms(provider="x", base_url=codec.VENDOR.base_url, model=model)
        with pytest.raises(CannotMake, match="takes no depth picture"):
            request._refuse_left_out(codec.order(shot, terms), shot)
