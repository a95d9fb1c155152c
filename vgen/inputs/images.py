"""The pictures of image-to-video shots: checked, hashed, and spelled for a request. Opens files; knows no provider."""

import base64
import hashlib
import os
import re
import stat
from pathlib import Path

from vgen.errors import InputError

MAX_BYTES = 3_900_000
"""A data URI may have 5,242,880 characters (providers.md 1.4), and base64 makes 4 of 3."""
_SHOWN = 80
"""Characters of a path in a message."""

_ORIENTATION = 0x0112
_ON_ITS_SIDE = frozenset({5, 6, 7, 8})
"""EXIF's orientations of a picture that is shown with its width and height exchanged."""
_KINDS = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)


def identity(root: Path, image: str | None) -> str | None:
    """What stands in the recipe: `sha256:…` of a file's content, or the https URL itself. Raises InputError."""
    if image is None:
        return None
    if image.lower().startswith("data:"):
        size = f"{len(image):,} characters"
        raise InputError([f"image: a data: URI ({size}); save the picture in the project and give its path"])
    if "://" in image:
        if not image.startswith("https://"):
            raise InputError([f"image: {_short(image)} is neither a file nor an https URL"])
        return image
    return _digest(_content(root, image))


def size(root: Path, image: str | None) -> tuple[int, int] | None:
    """Width and height of a picture as it is shown, from its head; None for a URL, or if nobody can tell."""
    if image is None or "://" in image:
        return None
    from PIL import Image  # only a production with pictures needs it

    try:
        with Image.open(root / image) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what a hostile head may lead to
        return None
    return (height, width) if turned else (width, height)


def data_uri(root: Path, image: str | None, wanted: str | None) -> str | None:
    """What goes into the request: the URL as it is, or the file as a data URI.

    `wanted`: the identity that the recipe has. Raises InputError if the very bytes that would be sent are others.
    """
    if image is None or "://" in image:
        return image
    content = _content(root, image)
    if _digest(content) != wanted:
        raise InputError([f"image: {image!r} is another picture now"])
    return f"data:{_kind(content)};base64,{base64.b64encode(content).decode()}"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _content(root: Path, image: str) -> bytes:
    path = root / image
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
        # A shot list may be a language model's work: what leaves this machine lies in the project, or is linked there.
        raise InputError([f"image: {_short(image)} lies outside the project; copy it there, or link to it"])
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise InputError([f"image: {_short(image)} is not a regular file"])
        if facts.st_size > MAX_BYTES:
            size = f"{facts.st_size:,} bytes; at most {MAX_BYTES:,} fit into a request, or give a URL"
            raise InputError([f"image: {_short(image)} has {size}"])
        content = path.read_bytes()
    except OSError as exc:
        raise InputError([f"image: {_short(image)} can't be read ({exc.strerror})"]) from exc
    if _kind(content) is None:
        raise InputError([f"image: {_short(image)} is no JPEG, PNG or WebP picture"])
    return content


def _short(image: str) -> str:
    """A path for a message: it may be anything, a whole picture too."""
    return repr(image if len(image) <= _SHOWN else image[:_SHOWN] + "...")


def _kind(content: bytes) -> str | None:
    return next((kind for magic, kind in _KINDS if magic.match(content)), None)
