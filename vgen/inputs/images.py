"""The pictures that shots are made from: read, hashed, and made what a provider takes. Opens files; knows no provider.

The recipe holds the sha256 of the picture as its maker left it, never of what was prepared from it: another release of
Pillow costs nobody a clip. A picture that needs no preparing is sent byte for byte.
"""

import base64
import binascii
import functools
import hashlib
import io
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vgen.errors import InputError
from vgen.inputs.pictures import Data, File, Frame, Source, Url, short
from vgen.pictures import Accepts, Size, fitted, needs_fit

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_BYTES = 100_000_000
"""Of a file; the finest photographs have less."""
MOST_PIXELS = 178_956_970
"""Pillow's own bound: what has more is taken for an attack."""

_KINDS = {
    "JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff",
    "BMP": "image/bmp", "GIF": "image/gif", "AVIF": "image/avif",
}  # fmt: skip
"""Pillow's names. MPO is a photograph with a preview in it, as telephones make them."""
_ORIENTATION = 0x0112
_QUALITIES = (95, 90, 85)
THUMBNAIL_SIDE, THUMBNAIL_BYTES = 160, 8_000
"""Of a small picture to look at: pixels of the longer side, and at most so many bytes."""
_SMALLER = 0.8
"""By how much a picture is scaled at a time that is still too big at the lowest quality."""
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, OverflowError, MemoryError)
"""What Pillow's readers raise for hostile or damaged bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A picture at first sight. `identity`: what stands in the recipe, `sha256:…` of the content, or the https URL.

    `size`: as it is shown; None for a URL.
    """

    identity: str
    size: Size | None = None


def look(root: Path, source: Source) -> Seen:
    """What a picture is, by its head; whether all of it can be read, `refuse_broken` tells. Raises InputError."""
    match source:
        case Url(url):
            return Seen(identity=url)
        case Frame():
            return Seen(identity=source.of(None))
    content = _content(root, source)
    with _opened(content, source) as picture:
        return Seen(identity=digest(content), size=_shown(picture))


def refuse_broken(root: Path, source: Source) -> None:
    """Read all of a picture. Raises InputError for one that is cut off or damaged."""
    if isinstance(source, Url | Frame):
        return
    with _opened(_content(root, source), source) as picture:
        picture.load()


def checked(root: Path, source: Source, wanted: str) -> bytes:
    """The bytes of a picture that is read here. `wanted`: the identity that the recipe has.

    Raises InputError if the picture is another one now, or can't be read.
    """
    content = _content(root, source)
    if digest(content) != wanted:
        raise InputError([f"{_name(source)} is another picture now"])
    return content


def data_uri(kind: str, content: bytes) -> str:
    """A picture as it goes into a request."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def thumbnail(root: Path, source: Source, wanted: str) -> bytes:
    """A small JPEG of a picture of the project. `wanted` as in `uri`. Raises InputError."""
    content = _content(root, source)
    if digest(content) != wanted:
        raise InputError([f"{_name(source)} is another picture now"])
    return small(content, source)


def small(content: bytes, source: Source) -> bytes:
    """A small JPEG of a picture's bytes. Raises InputError."""
    with _opened(content, source) as picture:
        picture.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))  # a JPEG need not be decoded whole
        plain = _plain(picture)
        plain.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        plain.info = {}  # a colour profile may be larger than the rest
        return _encoded(plain, THUMBNAIL_BYTES)


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _content(root: Path, source: Source) -> bytes:
    if isinstance(source, Data):
        return _decoded(source.uri)
    assert isinstance(source, File), "BUG: the picture is at an address"
    name, path = _name(source), root / source.path
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
        # A shot list may be a language model's work: what leaves this machine lies in the project, or is linked there.
        raise InputError([f"{name} lies outside the project; copy it there, or link to it"])
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise InputError([f"{name} is not a regular file"])
        if facts.st_size > MAX_BYTES:
            raise InputError([f"{name} has {facts.st_size:,} bytes; at most {MAX_BYTES:,} are read"])
        return path.read_bytes()
    except OSError as exc:
        raise InputError([f"{name} can't be read ({exc.strerror})"]) from exc


def _decoded(text: str) -> bytes:
    head, comma, data = text.partition(",")
    if not comma or not re.fullmatch(r"data:[\w.+-]+/[\w.+-]+(;[\w.+=-]+)*;base64", head, re.IGNORECASE):
        raise InputError([f"{short(text)} is no data: URI of a picture (data:image/png;base64,…)"])
    try:
        return base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InputError([f"{short(text)}: its base64 can't be read ({exc})"]) from exc


@contextmanager
def _opened(content: bytes, source: Source) -> Iterator["Picture"]:
    """The one picture of a file, its head read. Raises InputError, also for what comes to light within."""
    from PIL import Image, UnidentifiedImageError  # only a production with pictures needs it

    name = _name(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # big pictures, odd EXIF: neither is for the user to mend
            with Image.open(io.BytesIO(content), formats=_formats()) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise InputError([f"{name} has {picture.width}x{picture.height} pixels; save a smaller one"])
                frames = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
                if frames > 1:
                    raise InputError([f"{name} holds {frames} pictures; save the one that is meant"])
                yield picture
    except UnidentifiedImageError as exc:
        raise InputError([f"{name} is no picture that can be read; save it as JPEG, PNG or WebP"]) from exc
    except Image.DecompressionBombError as exc:
        raise InputError([f"{name} has more pixels than any camera; save a smaller one"]) from exc
    except _BROKEN as exc:
        raise InputError([f"{name} is cut off or damaged ({exc}); save it again"]) from exc


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of our formats that this Pillow reads: AVIF only since 11.3."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _KINDS if name in Image.OPEN)


def _name(source: Source) -> str:
    return short(source.path if isinstance(source, File) else getattr(source, "uri", str(source)))


def _turned(picture: "Picture") -> bool:
    """Whether it is shown with its width and height exchanged."""
    return picture.getexif().get(_ORIENTATION) in (5, 6, 7, 8)


def _shown(picture: "Picture") -> Size:
    width, height = picture.size
    return (height, width) if _turned(picture) else (width, height)


# ── preparing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def prepared(
    content: bytes, source: Source, accepts: Accepts, *, shape: str = "", fit: str | None = None
) -> tuple[str, bytes]:
    """A picture's media type and bytes as a provider takes them; the same for the same arguments. Raises InputError.

    Turned as its EXIF says, in RGB, transparency on white, cropped or padded to the shape, scaled to the limit.
    """
    with _opened(content, source) as picture:
        kind = _KINDS[str(picture.format)]
        fits = not fit or not needs_fit(_shown(picture), shape)
        small = len(content) <= accepts.most_bytes and max(picture.size) <= accepts.most_side
        if fits and small and kind in accepts.kinds and _is_plain(picture):
            return kind, content
        plain = _plain(picture)
        if fit and not fits:
            plain = _fit(plain, shape, fit)
        plain.thumbnail((accepts.most_side, accepts.most_side))
        return "image/jpeg", _encoded(plain, accepts.most_bytes)


def _is_plain(picture: "Picture") -> bool:
    """Whether a picture is shown by everybody as it is: upright, in RGB or grey, without transparency."""
    if picture.getexif().get(_ORIENTATION, 1) not in (0, 1) or picture.mode not in ("RGB", "L", "P", "RGBA", "LA"):
        return False
    if "transparency" in picture.info or picture.mode in ("RGBA", "LA"):
        least, _ = picture.convert("RGBA").getchannel("A").getextrema()
        return least == 255
    return True


def _plain(picture: "Picture") -> "Picture":
    from PIL import Image, ImageOps

    profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA", "P") else None
    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I"):  # 16 bits of grey
        upright = upright.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        whole = upright.convert("RGBA")
        flat = Image.new("RGB", whole.size, "white")
        flat.paste(whole, mask=whole.getchannel("A"))
    else:
        flat = upright.convert("RGB")
    flat.info = {"icc_profile": profile} if profile else {}
    return flat


def _fit(picture: "Picture", shape: str, fit: str) -> "Picture":
    from PIL import Image

    width, height = fitted(picture.size, shape, fit)
    left, top = (width - picture.width) // 2, (height - picture.height) // 2
    if fit == "crop":
        made = picture.crop((-left, -top, width - left, height - top))
    else:
        made = Image.new("RGB", (width, height), "black")
        made.paste(picture, (left, top))
    made.info = dict(picture.info)
    return made


def _encoded(picture: "Picture", most_bytes: int) -> bytes:
    """A JPEG of at most so many bytes: less fine if need be, then smaller."""
    profile = picture.info.get("icc_profile")
    while True:
        for quality in _QUALITIES:
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality, subsampling=0, icc_profile=profile)
            if out.tell() <= most_bytes:
                return out.getvalue()
        picture = picture.resize((max(1, int(picture.width * _SMALLER)), max(1, int(picture.height * _SMALLER))))
