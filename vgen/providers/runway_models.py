"""What Runway's models take, by runway_models.json: lengths, shapes, resolutions, prompts. Not by code."""

import functools
import json
import math
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from importlib import resources
from typing import Any

from vgen.providers.base import MIN_SIDE, CannotMake, Terms
from vgen.recipe import Recipe

_ASPECTS = {"9:16": Decimal(9) / 16, "16:9": Decimal(16) / 9, "1:1": Decimal(1)}
_TIERS = (360, 480, 720, 1080, 1440, 2160)
_PLAIN = {"draft": False, "outputFormat": "mp4"}
"""A draft is a preview of 480 lines, other formats have a surcharge."""
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


def text(value: str, name: str, taken: Mapping[str, Any], model: str) -> str:
    """A prompt as it is. Raises CannotMake if it is too long or too short for the model."""
    rule = taken.get(name, {})
    least, most = rule.get("minLength", 0), rule.get("maxLength")
    units = len(value.encode("utf-16-le")) // 2
    what = "negative prompts" if name == "negativePrompt" else "prompts"
    if most and units > most:
        raise CannotMake(f"{model} takes {what} of {most} UTF-16 units, this one has {units}")
    if units < least:
        raise CannotMake(f"{model} takes {what} of at least {least} characters, this one has {units}")
    return value


def seed(value: int, taken: Mapping[str, Any], model: str) -> int:
    """A seed as it is. Raises CannotMake if the model takes no such number."""
    rule = taken["seed"]
    if not rule.get("minimum", value) <= value <= rule.get("maximum", value):
        raise CannotMake(f"{model} takes seeds from {rule['minimum']} to {rule['maximum']}, not {value}")
    return value


def plain(taken: Mapping[str, Any], *, audio: bool) -> dict[str, Any]:
    """What keeps a clip whole, an MP4, and silent if no `audio` is wanted: defaults may cost more, or make another."""
    return {name: value for name, value in {**_PLAIN, "audio": audio}.items() if name in taken}


def durations(taken: Mapping[str, Any], terms: Terms) -> tuple[Decimal, ...]:
    """Seconds on offer: those that are configured, as far as the model takes them; `()` any. Raises CannotMake."""
    spec = taken.get("duration", {})
    offered = _offered(spec)
    if not terms.durations or not offered:
        return offered if terms.durations is None else terms.durations or offered
    fitting = tuple(seconds for seconds in terms.durations if seconds in offered)
    if not fitting:
        configured = ", ".join(map(str, terms.durations))
        raise CannotMake(
            f"{terms.model} makes {_told(offered)} s, the config's durations have none of these: {configured}"
        )
    return fitting


def _offered(spec: Mapping[str, Any]) -> tuple[Decimal, ...]:
    if "minimum" in spec:
        return tuple(Decimal(s) for s in range(spec["minimum"], spec["maximum"] + 1))
    listed = tuple(Decimal(s) for s in spec.get("enum", ()) if s != "auto")
    if listed or spec.get("type") != "int":
        return listed
    return tuple(Decimal(s) for s in range(1, 16))  # whole seconds whose bounds nobody has published: 15 is usual


def _told(offered: tuple[Decimal, ...]) -> str:
    if len(offered) > 3 and max(offered) - min(offered) == len(offered) - 1:
        return f"{min(offered)} to {max(offered)}"
    return ", ".join(map(str, offered))


def ratio(taken: Mapping[str, Any], aspect_ratio: str, terms: Terms, *, picture: bool) -> str | None:
    """The smallest ratio of the wanted shape with a shorter side of 720 or as configured. Raises CannotMake.

    None where the shape is the picture's. Of a model whose ratios hold the shape of the picture and a size, that size.
    """
    if "ratio" not in taken:
        if picture:
            return None
        raise CannotMake(f"{terms.model} lets nobody choose the shape of a video from text; give the shot an image")
    offered = taken["ratio"].get("enum")
    if not offered:
        return _PLAIN_RATIO[aspect_ratio]
    if aspect_ratio in offered:
        return aspect_ratio
    wanted = _wanted_side(terms)
    if terms.resolution and wanted is None:
        raise CannotMake(f"resolution {terms.resolution} is not like 720p or 1080p, as {terms.model} has it")
    if picture and any(_auto(text) for text in offered):
        # "Keyframe image-to-video requests must use auto_480p, auto_720p, or auto_1080p" (wan3, in the package's words)
        if (auto := f"auto_{wanted or MIN_SIDE}p") in offered:
            return auto
        raise CannotMake(f"{terms.model} does not offer {terms.resolution} from an image")
    fitting = [
        (width * height, text)
        for text in offered
        if (size := _size(text)) and (width := size[0]) and (height := size[1])
        if abs(Decimal(width) / height / _ASPECTS[aspect_ratio] - 1) < Decimal("0.03")
        if (wanted in (min(size), _tier(size)) if wanted else min(size) >= MIN_SIDE)
    ]
    if fitting:
        return str(min(fitting)[1])
    wish = f"{aspect_ratio} at {terms.resolution}" if terms.resolution else aspect_ratio
    raise CannotMake(f"{terms.model} does not offer {wish}")


@functools.lru_cache(maxsize=1024)
def _size(ratio: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{3,5}):(\d{3,5})", ratio)
    return (int(match[1]), int(match[2])) if match else None


def _auto(ratio: str) -> re.Match[str] | None:
    return re.fullmatch(r"auto_(\d+p)", ratio)


def side(ratio: object) -> str | None:
    """The resolution that a ratio has in the price table; None of one that is a shape only."""
    if auto := _auto(str(ratio)):
        return auto[1]
    size = _size(str(ratio))
    return f"{_tier(size)}p" if size else None


def _tier(size: tuple[int, int]) -> int:
    """By area: 960:960 has the pixels of 1280:720, and Runway's price of 720p; 848:480 is sold as 480p."""
    exact = math.sqrt(size[0] * size[1] * 9 / 16)
    return min(_TIERS, key=lambda tier: abs(math.log(exact / tier)))


def is_reference(model: str) -> bool:
    """Whether a bare picture may be taken for a reference (which may cost), not for the first picture of the clip."""
    rule = models()["image_to_video"].get(model, {}).get("fields", {}).get("promptImage", {})
    return bool(rule.get("position") == "optional")


def pictures(recipe: Recipe, taken: Mapping[str, Any], model: str) -> dict[str, str]:
    """Role → the field that takes its pictures. Raises CannotMake with what the model does not take."""
    given, positions = recipe.pictures, taken.get("promptImage", {}).get("positions", ())
    if "end_image" in given and "image" not in given:
        raise CannotMake(f"{model} takes a last picture only with a first one; give the shot an image too")
    if "end_image" in given and "last" not in positions:
        raise CannotMake(f"{model} takes no last picture; take end_image out or choose another model")
    if count := len(given.all("references")):
        _check_references(count, given.roles, taken, model)
    places = {"image": "promptImage", "end_image": "promptImage", "references": "references"}
    return {role: field for role, field in places.items() if role in given}


def _check_references(count: int, roles: Collection[str], taken: Mapping[str, Any], model: str) -> None:
    rule = taken.get("references")
    if rule is None and "image" in roles and "references" in fields("text_to_video", model):
        raise CannotMake(f"{model} takes a first picture or reference pictures, not both; take one of them out")
    if rule is None:
        raise CannotMake(f"{model} takes no reference pictures; take references out or choose another model")
    frames = sum(role != "references" for role in roles) if rule.get("counts_frames") else 0
    most = rule.get("maxItems")
    if most is not None and count + frames > most:
        counted = ", first and last picture included" if frames else ""
        raise CannotMake(f"{model} takes at most {most} reference pictures{counted}, the shot has {count + frames}")


def _wanted_side(terms: Terms) -> int | None:
    match = re.fullmatch(r"(\d+)p", (terms.resolution or "").lower())
    return int(match[1]) if match else None


def resolution(taken: Mapping[str, Any], terms: Terms, *, references: bool = False) -> str | None:
    """The resolution to order, or None if the model has no such field. Raises CannotMake."""
    rule = taken.get("resolution", {})
    offered = [str(text) for text in rule.get("enum", ())]
    if not offered:
        return None
    most = rule.get("most_with_references") if references else None
    if most in offered:
        offered = offered[: offered.index(most) + 1]
    if terms.resolution:
        if terms.resolution.lower() not in offered:
            raise CannotMake(f"{terms.model} offers {', '.join(offered)}, not {terms.resolution}")
        return terms.resolution.lower()
    return next((text for text in offered if text in ("720p", "768p")), offered[0])
