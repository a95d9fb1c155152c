"""Shots made from pictures, for tests: recipes and what is sent, by the keys of a shot; and pictures that are real."""

import io
from typing import Any

from PIL import Image

from vgen.pictures import ROLES, Pictures
from vgen.recipe import Recipe

GIVEN = {
    "image": {"image": "sha256:0"},
    "end_image": {"image": "sha256:0", "end_image": "sha256:1"},
    "only end_image": {"end_image": "sha256:1"},
    "references": {"references": ["sha256:2", "sha256:3"]},
    "image, references": {"image": "sha256:0", "references": ["sha256:2"]},
    "all": {"image": "sha256:0", "end_image": "sha256:1", "references": ["sha256:2", "sha256:3"]},
}
"""Which pictures a shot may have."""


def sent(**by_role: Any) -> Pictures[str]:
    return Pictures[str].of(by_role)


def recipe(**facts: Any) -> Recipe:
    """`image`, `end_image`, `references` beside the fields of a recipe."""
    pictures = sent(**{role: facts.pop(role) for role in ROLES if role in facts})
    return Recipe(pictures=pictures, **facts)


def uris(given: Pictures[str]) -> Pictures[str]:
    """An address for each picture of a recipe, with its name in it."""
    return given.map(lambda name, _: f"https://pictures.example/{name.replace('[', '-').strip(']')}.png")


def png(size: tuple[int, int] = (720, 1280), colour: Any = "navy", kind: str = "PNG", **facts: Any) -> bytes:
    """The bytes of a picture."""
    out = io.BytesIO()
    mode = facts.pop("mode", "RGB")
    Image.new(mode, size, colour).save(out, kind, **facts)
    return out.getvalue()
