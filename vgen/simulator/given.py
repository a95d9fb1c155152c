"""The pictures that come with an order: where each vendor has them in a create's body, and how an animatic shows them.

Knows no jobs and no prices. What is no picture, or at an address that nobody here may open, is left out: the order's
own rules have refused what its vendor refuses.
"""

import base64
import binascii
import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageOps

Place = tuple[str | int, ...]
"""Keys and indexes that lead to a picture in a body."""
Places = tuple[tuple[str, Place], ...]
"""Role (see vgen.pictures.ROLES) and place of each, in the body's order."""
Pictures = tuple[tuple[str, bytes], ...]

FIRST, LAST, REFERENCE = "image", "end_image", "references"
MOST_SMALL = 5
"""Small pictures in a row: what a caption has room for."""
_KINDS = {"first_frame": FIRST, "last_frame": LAST, "refer_image": REFERENCE, "reference_image": REFERENCE}
_POSITIONS = {"first": FIRST, "last": LAST}


# ── where they are ────────────────────────────────────────────────────────────────────────────────────────────────────


def of_runway(body: Mapping[str, Any]) -> Places:
    """`promptImage`, one or several with a position, and `references`."""
    frames, found = body.get("promptImage"), list[tuple[str, Place]]()
    if isinstance(frames, str):
        found.append((FIRST, ("promptImage",)))
    for index, one in _objects(frames):
        found.append((_POSITIONS.get(str(one.get("position")), FIRST), ("promptImage", index, "uri")))
    return (*found, *((REFERENCE, ("references", index, "uri")) for index, _ in _objects(body.get("references"))))


def of_contents(body: Mapping[str, Any]) -> Places:
    """Kling's `contents`: the type says what each is for."""
    kinds = ((index, str(one.get("type"))) for index, one in _objects(body.get("contents")))
    return tuple((_KINDS[kind], ("contents", index, "url")) for index, kind in kinds if kind in _KINDS)


def of_content(body: Mapping[str, Any]) -> Places:
    """`content` of ModelArk and MiniMax: the role says it; without one it is the first frame."""
    images = ((index, one) for index, one in _objects(body.get("content")) if one.get("type") == "image_url")
    roles = ((index, str(one.get("role") or "first_frame")) for index, one in images)
    return tuple((_KINDS[role], ("content", index, "image_url", "url")) for index, role in roles if role in _KINDS)


def of_fal(images: Mapping[str, Any], body: Mapping[str, Any]) -> Places:
    """The fields that an endpoint's row names."""
    named = [(FIRST, images.get("first")), (LAST, images.get("last"))]
    found: list[tuple[str, Place]] = [(role, (str(name),)) for role, name in named if name in body]
    for name in images.get("references", ()):
        several = body.get(name)
        if isinstance(several, list):
            found += [(REFERENCE, (name, index)) for index in range(len(several))]
        elif name in body and name != images.get("first"):
            found.append((REFERENCE, (name,)))
    return tuple(found)


def _objects(items: Any) -> Iterable[tuple[int, Mapping[str, Any]]]:
    found = enumerate(items if isinstance(items, list) else ())
    return ((index, one) for index, one in found if isinstance(one, dict))


def within(body: Any, places: Places, stored: Callable[[str], bytes | None]) -> Pictures:
    """The bytes of those that came in the body itself, as data URIs or as Kling's bare base64, or that are `stored`."""
    named = ((role, _at(body, place)) for role, place in places)
    found = ((role, (stored(text) if isinstance(text, str) else None) or _decoded(text)) for role, text in named)
    return tuple((role, data) for role, data in found if data)


def _at(body: Any, place: Place) -> Any:
    for key in place:
        try:
            body = body[key]
        except (LookupError, TypeError):
            return None
    return body


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str) or text.startswith(("http://", "https://")):
        return b""
    data = text.partition(";base64,")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(data)
    except (ValueError, binascii.Error):
        return b""


# ── how they are shown ────────────────────────────────────────────────────────────────────────────────────────────────


def filling(given: Pictures, role: str, size: tuple[int, int]) -> Image.Image | None:
    """The picture of a role in the clip's size, cut around its centre; None if there is none."""
    data = next((data for one, data in given if one == role), None)
    picture = None if data is None else _opened(data, size)
    return picture and ImageOps.fit(picture, size, Image.Resampling.BICUBIC)


def small(given: Pictures, side: int) -> list[Image.Image]:
    """Up to MOST_SMALL of them, each within a square of `side` pixels, with a white edge."""
    opened = (_opened(data, (side, side)) for _, data in given[:MOST_SMALL])
    return [_edged(picture, side) for picture in opened if picture is not None]


def _edged(picture: Image.Image, side: int) -> Image.Image:
    shown = ImageOps.contain(picture, (side, side), Image.Resampling.BICUBIC)
    width = max(1, side // 60)
    ImageDraw.Draw(shown).rectangle((0, 0, shown.width - 1, shown.height - 1), outline="white", width=width)
    return shown


def _opened(data: bytes, size: Sequence[int]) -> Image.Image | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # big pictures, odd EXIF
            with Image.open(io.BytesIO(data)) as picture:
                picture.draft("RGB", (size[0], size[1]))
                return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        return None
