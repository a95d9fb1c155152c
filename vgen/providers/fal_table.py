"""What the endpoints of fal take: rows of the shipped table, or of the project's own. Knows no shot and no price.

The shipped table, fal_endpoints.json, is made by scripts/fal_endpoints.py from the types in fal's JavaScript client; a
project's rows have the same form. Values are kept as they are spelled: 5, "5" and "5s" are three ways to say a length.
"""

import difflib
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from importlib import resources
from typing import Any

from vgen.providers.base import CannotMake

OWN_FILE = "config/fal_endpoints.json"
"""The project's own rows, which go before the shipped ones."""

Row = Mapping[str, Any]
FORMS = ("duration", "num_frames", "aspect_ratio", "resolution", "size")
KINDS = ("text", "image", "reference", "first-last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What one field of an order takes: `values` as they are spelled; without them, whatever is of its `type`."""

    name: str
    values: tuple[int | str, ...] = ()
    type: str = ""
    least: int | None = None
    most: int | None = None
    default: int | str | None = None

    @property
    def known(self) -> tuple[int | str, ...]:
        """The values that certainly can be ordered."""
        return self.values or (() if self.default is None else (self.default,))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Endpoint:
    """One row; equal to itself only.

    `prompt_most`: characters, or bytes of UTF-8 if `prompt_in_bytes`. `sound`: the name of its switch, `sounds` its
    default. `images`: role of a picture → the field that takes it. `required`: fields.
    """

    id: str
    kind: str
    takes_prompt: bool = True
    prompt_most: int | None = None
    prompt_in_bytes: bool = False
    duration: Field | None = None
    frames: Field | None = None
    fps: int | None = None
    ratio: Field | None = None
    resolution: Field | None = None
    size: Field | None = None
    seed: bool = False
    negative_prompt: bool = False
    sound: str | None = None
    sounds: bool = False
    images: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    image_endpoint: str | None = None
    price: Mapping[str, Any] | None = None

    @property
    def page(self) -> str:
        """Where fal tells the endpoint's price and fields."""
        return f"https://fal.ai/models/{self.id}"


def shipped() -> Mapping[str, Row]:
    """The shipped rows by endpoint."""
    rows: Mapping[str, Row] = _document()["endpoints"]
    return rows


@functools.cache
def _document() -> Mapping[str, Any]:
    """The table as it is shipped: `about` (source, commit, date) and `endpoints`."""
    text = resources.files("vgen.providers").joinpath("fal_endpoints.json").read_text("utf-8")
    loaded: Mapping[str, Any] = json.loads(text, parse_float=Decimal)
    return loaded


def as_of() -> str:
    """The table's date and source, for people."""
    about = _document()["about"]
    return f"{len(shipped())} endpoints of fal as of {about['date']} (fal-js {about['commit'][:7]})"


def endpoint(name: str, own: Mapping[str, Row]) -> Endpoint:
    """The row of an endpoint; the project's own rows go first. Raises CannotMake if there is none."""
    name = name.strip("/")
    if name in own:
        return _read(name, own[name])
    found = _shipped(name)
    if found is None:
        raise CannotMake(f"vgen doesn't know what {name} takes{_meant(name)}; `doit learn model={name}` asks fal")
    return found


def every(own: Mapping[str, Row]) -> Iterator[Endpoint]:
    """All endpoints by name: the shipped ones, with the project's own in their place or beside them."""
    for name in sorted({*shipped(), *own}):
        yield endpoint(name, own)


@functools.cache
def _shipped(name: str) -> Endpoint | None:
    row = shipped().get(name)
    return None if row is None else _read(name, row)


def _meant(name: str) -> str:
    close = difflib.get_close_matches(name, shipped(), n=1, cutoff=0.8)
    return f" (did you mean {close[0]}?)" if close else ""


def _read(name: str, row: Row) -> Endpoint:
    """A row without problems (see `problems`) as a value."""
    prompt = row.get("prompt")
    frames = row.get("num_frames", {})
    return Endpoint(
        id=name,
        kind=row["kind"],
        takes_prompt=prompt is not None,
        prompt_most=(prompt or {}).get("max_characters", (prompt or {}).get("max_bytes")),
        prompt_in_bytes="max_bytes" in (prompt or {}),
        duration=_field("duration", row),
        frames=_field("num_frames", row),
        fps=frames.get("fps"),
        ratio=_field("aspect_ratio", row),
        resolution=_field("resolution", row),
        size=_field("size", row),
        seed=row.get("seed", False),
        negative_prompt=row.get("negative_prompt", False),
        sound=row.get("sound", {}).get("field"),
        sounds=row.get("sound", {}).get("default", False),
        images=_images(row.get("images", {})),
        required=tuple(row.get("required", ())),
        image_endpoint=row.get("image_endpoint"),
        price=row.get("price"),
    )


ONE_PICTURE = frozenset({"subject_reference_image_url"})
"""Fields for references that hold one address, not a list."""
_OBJECTS = frozenset({"elements", "image_references"})
"""Fields whose references are objects with names and views of a thing: more than a picture is."""


def _images(row: Mapping[str, Any]) -> Mapping[str, str]:
    references = next((name for name in row.get("references", ()) if name not in _OBJECTS), None)
    found = {"image": row.get("first"), "end_image": row.get("last"), "references": references}
    return {role: name for role, name in found.items() if name}


def _field(key: str, row: Row) -> Field | None:
    spec = row.get(key)
    if spec is None:
        return None
    return Field(
        name=spec.get("field", key),
        values=tuple(spec.get("values", ())),
        type=spec.get("type", ""),
        least=spec.get("min"),
        most=spec.get("max"),
        default=spec.get("default"),
    )
