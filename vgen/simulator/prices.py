"""List prices and picture sizes of the simulated models. Knows no jobs and no protocol."""

import math
import random
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vgen.money import CREDIT

UNKNOWN_CREDITS_PER_S = Decimal(10)
"""For Runway models whose price nobody has published."""

_RUNWAY: Mapping[str, Mapping[str, str]] = {
    "gen4.5": {"": "12"},
    "gen4_turbo": {"": "5"},
    "veo3.1": {"": "20", "sound": "40"},
    "veo3.1_fast": {"": "10", "sound": "15"},
    "seedance2": {"": "36", "1080": "40", "2160": "150"},
    "seedance2_fast": {"": "29"},
    "seedance2_mini": {"": "16"},
    "seedance2_5": {"480": "20", "": "30", "1080": "68"},
    "hailuo3": {"": "10", "1440": "15"},
    "h3_max": {"480": "5", "": "8"},
    "happyhorse_1_0": {"": "15", "1080": "30"},
    "gemini_omni_flash": {"": "10"},
    "gemini_omni_flash_1.1": {"360": "3.4", "": "10", "1080": "15", "2160": "30"},
    "grok_imagine_1_5": {"480": "10", "": "16", "1080": "29"},
    "grok_imagine_1_5_lite": {"480": "2", "": "3", "1080": "14"},
    "wan3": {"480": "5", "": "10", "1080": "20"},
    "wan3_prime": {"480": "6.8", "": "14", "1080": "28"},
    "kling3.0_pro": {"": "12", "sound": "17"},
    "kling3.0_standard": {"": "9", "sound": "13"},
}
"""Credits a second by lines of picture ("": any others, silent), and with sound; 1 credit = $0.01."""

_PICTURE = {
    "hailuo3": 2,
    "gemini_omni_flash": 1,
    "gemini_omni_flash_1.1": 1,
    "grok_imagine_1_5": 1,
    "grok_imagine_1_5_lite": 1,
}
"""Credits for a picture to start from."""

_OTHER_FORMAT = (5, 20)
"""Credits a second for ProRes or PNG, and for more than 8 bits."""

_LINES = (360, 480, 720, 1080, 1440, 2160)

FPS = 24
GRID, GRID_OFFSET = 17, 5
"""MiniMax H3 makes 17 n + 5 frames (h3check 0.1.0, from the open model's nodes)."""

SHAPE_MOST = 64
"""16:9 is a shape, 1280:720 are pixels."""

LEAST_PIXELS, SHORT_PIXELS, MOST_PIXELS = 144, 720, 4096
"""Of either side: what nobody sells need not be drawn. No shape, however long, makes the shorter side less than 720."""

NAMED = {
    "square_hd": (1024, 1024), "square": (512, 512), "portrait_4_3": (768, 1024), "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768), "landscape_16_9": (1024, 576),
}  # fmt: skip
"""fal's names of sizes (`video_size`, `image_size`), as its client library has them."""


def runway_credits_per_s(model: str, body: Mapping[str, Any], *, sound: bool = False) -> Decimal:
    """Runway's list price of one second of `model`, with what `body` asks for."""
    rates = _RUNWAY.get(model, {"": str(UNKNOWN_CREDITS_PER_S)})
    short = min(pixels(body.get("ratio"), body.get("resolution")))
    lines = str(min(_LINES, key=lambda lines: abs(lines - short)))
    rate = Decimal(rates["sound"] if sound and "sound" in rates else rates.get(lines, rates[""]))
    file_format = body.get("outputFormat", "mp4")
    return rate if file_format == "mp4" else rate + _OTHER_FORMAT[file_format not in ("prores", "png_sequence")]


def runway_picture_micro(model: str, body: Mapping[str, Any]) -> int:
    """What the pictures of a request cost."""
    given = [body.get(name) or () for name in ("promptImage", "references")]
    return _PICTURE.get(model, 0) * sum(1 if isinstance(one, str) else len(one) for one in given) * CREDIT


def runway_micro(per_s: Decimal, seconds: float) -> int:
    """Micro-dollars of `seconds` at `per_s` credits."""
    return int(per_s * CREDIT * Decimal(str(seconds)))


def fal_micro_per_s(resolution: str) -> int:
    """fal's list price of one second of Pika 2.2; other models are given Pika's."""
    return 90_000 if resolution == "1080p" else 40_000


def tokens(width: int, height: int, seconds: float) -> int:
    """What Seedance is billed by: width * height * frames / 1024."""
    return math.ceil(width * height * FPS * seconds / 1024)


def h3_seconds(asked_s: int, *, nearest: bool) -> float:
    """How long an H3 clip of `asked_s` is: the next point of the grid, or the nearest one (sources disagree)."""
    points = (asked_s * FPS - GRID_OFFSET) / GRID
    return (GRID * (round(points) if nearest else math.ceil(points)) + GRID_OFFSET) / FPS


def chosen_s(prompt: str, least_s: int, most_s: int) -> int:
    """The length that a model chooses for a prompt when it may."""
    return random.Random(ascii(prompt)).randint(least_s, most_s)  # noqa: S311 - repeatable, not secret


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
