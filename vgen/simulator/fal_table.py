"""What a body orders at an endpoint of fal's, by the shipped table: length, size, sound, price. Knows no jobs, no HTTP.

Read here once more, and not by the codec's own code: what the codec gets wrong must show.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from vgen.money import MICRO, up
from vgen.simulator import prices
from vgen.simulator.picture import pixels_of, shape_of

Row = Mapping[str, Any]

ANY: Row = {"kind": "text", "required": ["prompt"], "prompt": {}}
"""Of what is sold besides the table: nobody knows what it takes, so it takes everything."""

OTHER_SECONDS = (("minimax", 6), ("cogvideox", 6), ("svd", 4), ("stable-video", 4), ("vidu/q1", 5), ("vidu", 4))
"""Of endpoints whose one length no field tells, by a part of their ids; 5 of all others."""
USUAL_S = 5
USUAL_FPS = 24
MOST_S = 600

SIZES = ("video_size", "image_size", "dimensions")
"""Fields that say width and height in one, at endpoints that no row tells of."""
OWN_SIZES = (("cogvideox", {"width": 720, "height": 480}),)
"""Defaults that are no word, which fal's list of types leaves out, by a part of their ids (fal's llms.txt, 2026-11)."""
SIDE_DEFAULT, SIDE_MOST = 512, 14_142
"""Of ImageSize's width and height, in pixels (fal's OpenAPI documents)."""

FOLLOWS = (None, "auto", "adaptive")
"""Values of `aspect_ratio` with which the picture decides."""


@cache
def shipped() -> Mapping[str, Row]:
    """Endpoint → row, as vgen ships them."""
    text = files("vgen.providers").joinpath("fal_endpoints.json").read_text(encoding="utf-8")
    rows: dict[str, Row] = json.loads(text)["endpoints"]
    return rows


def complete(row: Row) -> Row:
    """A row that somebody wrote by hand, with what it may leave out."""
    first = row.get("images", {}).get("first")
    required = ["prompt", first] if first and row["kind"] != "text" else ["prompt"]
    found = {"required": required, "seed": False, "negative_prompt": False, **row}
    return {**found, "sound": {"default": True, **row["sound"]}} if "sound" in row else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """The clip that a body gets, and its price in micro-dollars."""

    seconds: float
    width: int
    height: int
    sound: bool
    price_micro: int


def bought(endpoint: str, row: Row, body: Mapping[str, Any], other_micro_per_s: int | None) -> Bought:
    """What `body` gets: fields that it leaves out take the endpoint's own values.

    `other_micro_per_s`: the price of a second where the table has none.
    """
    seconds = duration_s(endpoint, row, body)
    sound = _sound(row, body)
    width, height = _size(endpoint, row, body)
    resolution = str(_value(row, "resolution", body) or "")
    price = _listed(row.get("price", {}), resolution, seconds, sound=sound)
    if price is None:
        per_s = prices.fal_micro_per_s(resolution) if other_micro_per_s is None else other_micro_per_s
        price = math.ceil(per_s * seconds)
    return Bought(seconds=seconds, width=width, height=height, sound=sound, price_micro=price)


def duration_s(endpoint: str, row: Row, body: Mapping[str, Any]) -> float:
    """Seconds that the clip will last; of input that will be refused, the usual ones."""
    if "num_frames" in row:
        frames = number(body.get("num_frames")) or number(row["num_frames"].get("default"))
        fps = next(
            (found for name in ("frames_per_second", "fps", "frame_rate") if (found := number(body.get(name)))), 0
        )
        seconds = (frames or 0) / (fps or row["num_frames"].get("fps", USUAL_FPS))
    elif "duration" in row or row is ANY:
        default = row.get("duration", {}).get("default")
        seconds = number(body.get("duration")) or number(default) or USUAL_S  # "auto": the model chooses
    else:
        seconds = next((seconds for part, seconds in OTHER_SECONDS if part in endpoint), USUAL_S)
    return seconds if 0 < seconds <= MOST_S else float(USUAL_S)


def number(value: Any) -> float | None:
    """A number, also written as text ("5", "5s"); None of anything else, and of what is not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(str(value).removesuffix("s"))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _value(row: Row, field: str, body: Mapping[str, Any]) -> Any:
    """What a body says of a field, else the endpoint's default; what has no such field ignores it."""
    if field not in row and row is not ANY:
        return None
    said = body.get(field)
    return row.get(field, {}).get("default") if said is None else said


def _sound(row: Row, body: Mapping[str, Any]) -> bool:
    switch = row.get("sound")
    if not switch:
        return False
    said = body.get(switch["field"])
    return bool(switch["default"]) if said is None else said not in (False, 0, "false", "False", "0", "off", "no")


def takes_pixels(row: Row) -> bool:
    """Whether the row's size may also be {"width": …, "height": …}: as where the sizes have names (ImageSize)."""
    return any(value in prices.NAMED for value in row.get("size", {}).get("values", ()))


def _size(endpoint: str, row: Row, body: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height. What has no shape of its own, or "auto", follows the picture."""
    ratio, picture = _value(row, "aspect_ratio", body), _first_picture(row, body)
    size = _ordered_size(endpoint, row, body)
    if size is None:
        follows = ratio in FOLLOWS
        return prices.pixels(shape_of(picture) if follows else ratio, _value(row, "resolution", body))
    if isinstance(size, Mapping):
        sides = {name: number(size.get(name)) or SIDE_DEFAULT for name in ("width", "height")}
        return prices.pixels(None, {name: int(side) for name, side in sides.items()})
    if size in FOLLOWS:  # "Use 'auto' to match the input image dimensions"
        own = pixels_of(picture) or (1280, 720)
        scale = max(1, prices.LEAST_PIXELS / min(own))  # as small as can be drawn
        return prices.pixels(None, {"width": int(own[0] * scale), "height": int(own[1] * scale)})
    return prices.pixels(ratio, size)


def _ordered_size(endpoint: str, row: Row, body: Mapping[str, Any]) -> Any:
    """What a body says of width and height in one, else the endpoint's default; None where there is no such field."""
    if row is ANY:
        return next((body[name] for name in SIZES if body.get(name)), None)
    if "size" not in row:
        return None
    own = next((size for part, size in OWN_SIZES if part in endpoint), "auto")
    return body.get(row["size"]["field"]) or row["size"].get("default", own)


def _first_picture(row: Row, body: Mapping[str, Any]) -> Any:
    images = row.get("images", {})
    names = [images.get("first") or "image_url", *images.get("references", ())]
    found = next((body[name] for name in names if body.get(name)), None)
    return found[0] if isinstance(found, list) and found else found


def _listed(price: Mapping[str, Any], resolution: str, seconds: float, *, sound: bool) -> int | None:
    """Micro-dollars of the clip by the table, or None if it has no price."""
    for unit, factor in (("second", seconds), ("clip", 1)):
        table = price.get(f"per_{unit}_with_sound_usd") if sound else None
        amount = price.get(f"per_{unit}_usd") if table is None else table
        dollars = _amount(amount, resolution, seconds)
        if dollars is not None:
            return up(Decimal(str(dollars)) * MICRO * Decimal(str(factor)))
    return None


def _amount(amount: Any, resolution: str, seconds: float) -> float | None:
    """Of a number, of a price for each resolution, or of a ladder of lengths; the dearest where none fits."""
    if not isinstance(amount, dict):
        return float(amount) if isinstance(amount, (int, float, Decimal)) else None
    steps: list[tuple[float, float]] = sorted(
        (float(key), value) for key, value in amount.items() if key.replace(".", "", 1).isdecimal()
    )
    if len(steps) == len(amount):
        return next((value for length, value in steps if seconds <= length), steps[-1][1])
    if resolution in amount:
        return _amount(amount[resolution], resolution, seconds)
    found = [_amount(value, resolution, seconds) for value in amount.values()]
    return max((value for value in found if value is not None), default=None)
