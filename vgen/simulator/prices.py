"""List prices and picture sizes of the simulated models. Knows no jobs and no protocol."""

import math
import random
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

MOST_PIXELS = 4096
"""Of either side: what nobody sells need not be drawn."""


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
    pictures = body.get("promptImage") or ()
    return _PICTURE.get(model, 0) * (1 if isinstance(pictures, str) else len(pictures)) * CREDIT


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


def pixels(ratio: Any, resolution: Any) -> tuple[int, int]:
    """Width and height for `ratio` ("1280:720", "9:16", "auto_1080p", "adaptive", None) and `resolution`."""
    short = _short_side(resolution)
    text = str(ratio or "16:9")
    if text.startswith("auto_"):
        short, text = _short_side(text.removeprefix("auto_")), "16:9"
    left, colon, right = text.partition(":")
    if not (colon and left.isdecimal() and right.isdecimal() and int(left) and int(right)):
        return pixels("16:9", resolution)
    width, height = float(left[:5]), float(right[:5])
    if min(width, height) <= SHAPE_MOST:
        # Square as Runway's 960:960 at 720p: about the area of 16:9.
        scale = short * 4 / 3 / width if width == height else short / min(width, height)
        width, height = width * scale, height * scale
    return _even(width), _even(height)


def _short_side(resolution: Any) -> int:
    digits = "".join(char for char in str(resolution or "720") if char.isdecimal())
    named = {"2": 1440, "4": 2160}.get(digits)  # 2k, 4k
    return named or min(max(int(digits[:5] or 720), 144), 2160) // 2 * 2


def _even(length: float) -> int:
    return min(math.ceil(round(length, 6) / 2) * 2, MOST_PIXELS)
