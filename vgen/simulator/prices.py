"""List prices and picture sizes of the simulated models. Knows no jobs and no protocol."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vgen.money import CREDIT

UNKNOWN_CREDITS_PER_S = Decimal(10)
"""For Runway models whose price nobody has published."""

_RUNWAY = {
    "gen4.5": "12",
    "gen4_turbo": "5",
    "seedance2": "36",
    "seedance2_fast": "29",
    "seedance2_mini": "16",
    "seedance2_5": "30",
    "hailuo3": "10",
    "gemini_omni_flash": "10",
    "grok_imagine_1_5": "16.25",
}
"""Credits a second; 1 credit = $0.01."""

SHAPE_MOST = 64
"""16:9 is a shape, 1280:720 are pixels."""

LEAST_PIXELS, SHORT_PIXELS, MOST_PIXELS = 144, 720, 4096
"""Of either side: what nobody sells need not be drawn. No shape, however long, makes the shorter side less than 720."""

NAMED = {
    "square_hd": (1024, 1024), "square": (512, 512), "portrait_4_3": (768, 1024), "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768), "landscape_16_9": (1024, 576),
}  # fmt: skip
"""fal's names of sizes (`video_size`, `image_size`), as its client library has them."""


def runway_credits_per_s(model: str, body: Mapping[str, Any]) -> Decimal:
    """Runway's list price of one second of `model`, with what `body` asks for."""
    resolution = str(body.get("resolution", "")).lower()
    match model:
        case "veo3.1":
            return Decimal(20 if body.get("audio") is False else 40)
        case "veo3.1_fast":
            return Decimal(10 if body.get("audio") is False else 15)
        case "hailuo3" if resolution == "2k":
            return Decimal(15)
        case "grok_imagine_1_5" if resolution == "480p":
            return Decimal(11)
        case "seedance2_5" if min(pixels(body.get("ratio"), None)) < 640:
            return Decimal(20)
        case _:
            return Decimal(_RUNWAY.get(model, UNKNOWN_CREDITS_PER_S))


def runway_micro(per_s: Decimal, seconds: float) -> int:
    """Micro-dollars of `seconds` at `per_s` credits."""
    return int(per_s * CREDIT * Decimal(str(seconds)))


def fal_micro_per_s(resolution: str) -> int:
    """fal's list price of one second of Pika 2.2; other models are given Pika's."""
    return 90_000 if resolution == "1080p" else 40_000


def pixels(ratio: Any, resolution: Any, picture: tuple[int, int] | None = None) -> tuple[int, int]:
    """Width and height of what was ordered.

    `ratio`: "1280:720", "9:16", "auto_1080p", "adaptive", None; `resolution`: "1080p", "4k", "1920x1080", a name of
    NAMED, {"width": …, "height": …}. `picture`: the size of a picture that is followed where no ratio is given.
    """
    if (exact := _exact(resolution)) is not None:
        return _drawable(*exact)
    short = _short_side(None if isinstance(resolution, Mapping) else resolution)
    text = str(ratio or "")
    if text.startswith("auto_"):
        short, text = _short_side(text.removeprefix("auto_")), ""
    left, colon, right = text.partition(":")
    if not (colon and left.isdecimal() and right.isdecimal() and int(left) and int(right)):
        width, height = map(float, picture or (16, 9))
        return _drawable(width * short / min(width, height), height * short / min(width, height))
    width, height = float(left[:5]), float(right[:5])
    if min(width, height) <= SHAPE_MOST:
        # Square as Runway's 960:960 at 720p: about the area of 16:9.
        scale = short * 4 / 3 / width if width == height else short / min(width, height)
        width, height = width * scale, height * scale
    return _drawable(width, height)


def _exact(resolution: Any) -> tuple[int, int] | None:
    """Pixels that were ordered as such; None for what says how fine the picture is."""
    if isinstance(resolution, Mapping):
        sides = (resolution.get("width"), resolution.get("height"))
        whole = [side for side in sides if isinstance(side, int) and not isinstance(side, bool) and 0 < side < 10**5]
        return (whole[0], whole[1]) if len(whole) == len(sides) else None
    found = re.fullmatch(r"([1-9][0-9]{1,4})x([1-9][0-9]{1,4})", str(resolution))
    return (int(found[1]), int(found[2])) if found else NAMED.get(str(resolution))


def _short_side(resolution: Any) -> int:
    digits = "".join(char for char in str(resolution or "720") if char.isdecimal())
    named = {"2": 1440, "4": 2160}.get(digits)  # 2k, 4k
    return named or min(max(int(digits[:5] or 720), LEAST_PIXELS), 2160) // 2 * 2


def _drawable(width: float, height: float) -> tuple[int, int]:
    """Even, and of the same shape where a side would be too long, unless it is a mere line."""
    scale = min(1.0, MOST_PIXELS / max(width, height))
    least = max(LEAST_PIXELS, min(width, height, SHORT_PIXELS))
    return _even(width * scale, least), _even(height * scale, least)


def _even(length: float, least: float) -> int:
    return math.ceil(round(min(max(length, least), MOST_PIXELS), 6) / 2) * 2
