"""The size of a picture that came in a request: image-to-video models without a ratio of their own follow it."""

import base64
import binascii
import io
from typing import Any

from PIL import Image, ImageOps


def size_of(uri: Any) -> tuple[int, int] | None:
    """Width and height of a data URI's picture; None for a URL, which nobody here may open, and for no picture."""
    head, _, data = uri.partition(";base64,") if isinstance(uri, str) else ("", "", "")
    if not head.startswith("data:image/"):
        return None
    try:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            width, height = ImageOps.exif_transpose(picture).size
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None
    return width, height
