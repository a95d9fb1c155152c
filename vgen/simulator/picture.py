"""The shape of a picture that came in a request: image-to-video models without a ratio of their own follow it."""

import base64
import binascii
import io
from typing import Any

from PIL import Image, ImageOps

_PARTS = 64
"""The longer side of the ratio that is told; what is shorter counts in these parts."""


def shape_of(uri: Any) -> str | None:
    """`36:64` for a data URI's picture; None for a URL, which nobody here may open, and for what is no picture."""
    size = pixels_of(uri)
    return size and ratio(size)


def pixels_of(uri: Any) -> tuple[int, int] | None:
    """Width and height of a data URI's picture; None as of `shape_of`."""
    head, _, data = uri.partition(";base64,") if isinstance(uri, str) else ("", "", "")
    return size_of(data) if head.startswith("data:image/") else None


def size_of(data: str) -> tuple[int, int] | None:
    """Width and height of a picture in base64; None for what is no picture."""
    try:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            return ImageOps.exif_transpose(picture).size
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None


def ratio(size: tuple[int, int]) -> str:
    """`34:60`: the shape of a picture of this size."""
    width, height = size
    longer = max(width, height)
    return f"{max(1, round(_PARTS * width / longer))}:{max(1, round(_PARTS * height / longer))}"
