"""What a Seedance clip costs by the token: pixels times frames / 1024, 24 frames a second, and one frame more.

Facts: ModelArk's pricing page says width x height x 24 x seconds / 1024; replies captured by others say 108,900 for 5 s
of 1280x720, at 16:9 and at 1:1 alike, which is 121 frames and not 120. So an order reserves the frame more.
"""

from collections.abc import Mapping
from decimal import Decimal

from vgen.money import MICRO, up

FPS = 24
PIXELS: Mapping[str, tuple[int, int]] = {
    "480p": (864 * 496, 992 * 432),
    "720p": (1280 * 720, 834 * 1112),
    "1080p": (1920 * 1080, 2206 * 946),
    "4k": (3840 * 2160, 4398 * 1886),
}
"""Resolution → pixels of a frame: at 16:9, 9:16 and 1:1, and the most at any other shape that the models make."""


def at_most(resolution: str, seconds: int, *, follows_picture: bool) -> Decimal | None:
    """The most tokens that a clip takes; None for a resolution of unknown size."""
    pixels = PIXELS.get(resolution)
    return (
        None if pixels is None else Decimal(max(pixels) if follows_picture else pixels[0]) * (FPS * seconds + 1) / 1024
    )


def cost(tokens: Decimal | int | None, usd_per_million: str | None) -> int | None:
    """Micro-dollars, rounded up: a dollar per million tokens is a micro-dollar a token."""
    if tokens is None or usd_per_million is None:
        return None
    return up(Decimal(tokens) * Decimal(usd_per_million) * MICRO / 10**6)
