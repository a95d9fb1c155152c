"""What Runway's models take, by runway_models.json: lengths, shapes, resolutions, prompts. Not by code."""

import functools
import json
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from importlib import resources
from typing import Any

from vgen.providers.base import MIN_SIDE, CannotMake, Terms

_ASPECTS = {"9:16": Decimal(9) / 16, "16:9": Decimal(16) / 9, "1:1": Decimal(1)}
_PLAIN_RATIO = {"9:16": "720:1280", "16:9": "1280:720", "1:1": "960:960"}


@functools.cache
def models() -> Mapping[str, Mapping[str, Any]]:
    """Endpoint → model → what it takes (runway_models.json)."""
    text = resources.files("vgen.providers").joinpath("runway_models.json").read_text("utf-8")
    loaded: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return loaded


def fields(endpoint: str, model: str) -> Mapping[str, Any]:
    """The fields of a model's request; of a model that is not listed, the usual ones. Raises CannotMake."""
    known: Mapping[str, Any] | None = models()[endpoint].get(model)
    if known is not None:
        listed: Mapping[str, Any] = known["fields"]
        return listed
    if model in models()["image_to_video"]:
        raise CannotMake(f"{model} makes video from an image only; give the shot an image or choose another model")
    return {"promptText": {}, "duration": {}, "ratio": {}, "seed": {}}


def prompt(text: str, taken: Mapping[str, Any], model: str) -> str:
    """The prompt as it is. Raises CannotMake if it is too long for the model."""
    limit = taken.get("promptText", {}).get("maxLength")
    units = len(text.encode("utf-16-le")) // 2
    if limit and units > limit:
        raise CannotMake(f"{model} takes prompts of {limit} UTF-16 units, this one has {units}")
    return text


def durations(taken: Mapping[str, Any], terms: Terms) -> tuple[Decimal, ...]:
    """Seconds on offer: as configured, else the model's; `()` any."""
    if terms.durations is not None:
        return terms.durations
    spec = taken.get("duration", {})
    if "minimum" in spec:
        return tuple(Decimal(s) for s in range(spec["minimum"], spec["maximum"] + 1))
    listed = tuple(Decimal(s) for s in spec.get("enum", ()) if s != "auto")
    if listed or spec.get("type") != "int":
        return listed
    return tuple(Decimal(s) for s in range(1, 16))  # an int without known bounds; no model makes more than 15 s


def ratio(taken: Mapping[str, Any], aspect_ratio: str, terms: Terms) -> str | None:
    """The smallest ratio of the wanted shape with a shorter side of 720 or as configured. Raises CannotMake."""
    if "ratio" not in taken:
        return None
    offered = taken["ratio"].get("enum")
    if not offered:
        return _PLAIN_RATIO[aspect_ratio]
    if aspect_ratio in offered:
        return aspect_ratio
    wanted = _wanted_side(terms)
    if terms.resolution and wanted is None:
        raise CannotMake(f"resolution {terms.resolution} is not like 720p or 1080p, as {terms.model} has it")
    fitting = [
        (width * height, text)
        for text in offered
        if (size := _size(text)) and (width := size[0]) and (height := size[1])
        if abs(Decimal(width) / height / _ASPECTS[aspect_ratio] - 1) < Decimal("0.03")
        if (wanted in (min(size), _tier(size)) if wanted else min(size) >= MIN_SIDE)
    ]
    if fitting:
        return str(min(fitting)[1])
    auto = [text for text in offered if text == f"auto_{wanted or MIN_SIDE}p"]
    if auto:
        return str(auto[0])
    wish = f"{aspect_ratio} at {terms.resolution}" if terms.resolution else aspect_ratio
    raise CannotMake(f"{terms.model} does not offer {wish}")


def _size(ratio: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{3,5}):(\d{3,5})", ratio)
    return (int(match[1]), int(match[2])) if match else None


def side(ratio: object) -> str | None:
    """The resolution that a ratio of pixels has in the price table."""
    size = _size(str(ratio))
    return f"{_tier(size)}p" if size else None


def _tier(size: tuple[int, int]) -> int:
    """By area: 960:960 has the pixels of 1280:720, and Runway's price of 720p."""
    return math.isqrt(size[0] * size[1] * 9 // 16)


def _wanted_side(terms: Terms) -> int | None:
    match = re.fullmatch(r"(\d+)p", (terms.resolution or "").lower())
    return int(match[1]) if match else None


def resolution(taken: Mapping[str, Any], terms: Terms) -> str | None:
    """The resolution to order, or None if the model has no such field. Raises CannotMake."""
    offered = [str(text) for text in taken.get("resolution", {}).get("enum", ())]
    if not offered:
        return None
    if terms.resolution:
        if terms.resolution.lower() not in offered:
            raise CannotMake(f"{terms.model} offers {', '.join(offered)}, not {terms.resolution}")
        return terms.resolution.lower()
    return next((text for text in offered if text in ("720p", "768p")), offered[0])
