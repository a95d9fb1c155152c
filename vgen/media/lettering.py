"""Words on pictures: letters, lines, and what fits into a width. Knows no ffmpeg."""

import bisect
import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from PIL import ImageDraw, ImageFont

FONT = Path(__file__).with_name("DejaVuSans-subset.ttf")  # Latin, Greek, Cyrillic; a box for all else
MOST_CHARS = 600  # more never fits


def face(size_px: float) -> ImageFont.FreeTypeFont:
    """Basic layout: the same pixels whether or not Pillow has libraqm."""
    return ImageFont.truetype(FONT, max(8, round(size_px)), layout_engine=ImageFont.Layout.BASIC)


def line_px(font: ImageFont.FreeTypeFont) -> int:
    """From one line to the next."""
    return round(font.size * 1.25)


def write(draw: ImageDraw.ImageDraw, at: tuple[int, int], lines: list[str], font: ImageFont.FreeTypeFont) -> None:
    """White lines, one below the other, from their upper left corner."""
    left, top = at
    for number, line in enumerate(lines):
        place = (left, top + number * line_px(font))
        draw.text(place, line, font=font, fill=(255, 255, 255, 235), stroke_width=1, stroke_fill=(0, 0, 0, 90))


def legible(text: str) -> str:
    """Composed, on one line, not longer than needed, without what has no width; a half of a pair is a box."""
    kept = (_glyph(char) for char in unicodedata.normalize("NFC", text[: 2 * MOST_CHARS]))
    return " ".join("".join(kept).split())


def _glyph(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\N{WHITE SQUARE}"
    if category == "Cc" or char.isspace():
        return " "
    return "" if category in {"Cf", "Mn", "Me"} else char


def cut(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> str:
    """What fits; with an ellipsis if that is not all."""
    if font.getlength(text) <= width_px:
        return text
    fits = bisect.bisect_right(range(len(text)), width_px, key=lambda end: math.ceil(font.getlength(text[:end] + "…")))
    return text[: max(0, fits - 1)].rstrip() + "…"


def wrap(text: str, font: ImageFont.FreeTypeFont, width_px: int, room: int) -> list[str]:
    """At most `room` lines; the last one ends in an ellipsis if there was more."""
    lines: list[str] = []
    line = ""
    for piece in _pieces(text[: MOST_CHARS + 1], font, width_px):
        longer = f"{line} {piece}" if line else piece
        if font.getlength(longer) <= width_px:
            line = longer
            continue
        lines.append(line)
        line = piece
    lines.append(line)
    if len(lines) > room or len(text) > MOST_CHARS:
        lines = lines[:room]
        lines[-1] = cut(f"{lines[-1]}…", font, width_px)
    return [line for line in lines if line]


def _pieces(text: str, font: ImageFont.FreeTypeFont, width_px: int) -> Iterator[str]:
    """Words, and the parts of words that are wider than a line."""
    for word in text.split():
        piece = ""
        for char in word:
            if piece and font.getlength(piece + char) > width_px:
                yield piece
                piece = ""
            piece += char
        yield piece
