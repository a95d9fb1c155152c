"""The project's own rows of fal's endpoints: whether they can be meant, in words. Reads no file.

`{"endpoints": {"fal-ai/new/text-to-video": {"kind": "text", "duration": {"values": ["5", "10"]}, …}}}`, as the shipped
table; `about` and the keys of a learned row may be missing.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from vgen.providers.fal_prices import AMOUNTS, SURE, WITH_SOUND
from vgen.providers.fal_table import KINDS, Row

Check = Callable[[Any], str]
"""What a value should be, in words; "" if it is that."""


def read(document: Any) -> tuple[dict[str, Row], list[str]]:
    """Endpoint → row, and what is wrong: a line each, which begins with where it is."""
    if not isinstance(document, Mapping):
        return {}, ['not an object; it should be {"endpoints": {"ID": {…}}}']
    problems = [f"{key}: unknown; there are about and endpoints" for key in document.keys() - {"about", "endpoints"}]
    rows = document.get("endpoints", {})
    if not isinstance(rows, Mapping):
        return {}, [*problems, "endpoints: not an object of rows by endpoint"]
    for name, row in rows.items():
        problems += [f"{name}: {problem}" for problem in _problems(name, row)]
    return {name.strip("/"): row for name, row in rows.items()}, problems


def _problems(name: str, row: Any) -> Iterator[str]:
    if not name.strip("/") or any(c.isspace() for c in name):
        yield "not the id of an endpoint, like fal-ai/veo3.1"
    if not isinstance(row, Mapping):
        yield "not an object"
        return
    yield from _object(row, _ROW, "")
    if "kind" not in row:
        yield f"kind: missing; one of {', '.join(KINDS)}"
    elif row["kind"] == "image" and not _of(row, "images").get("first"):
        yield 'images: missing; say which field takes the picture, as in {"first": "image_url"}'
    for key in ("duration", "num_frames", "aspect_ratio", "resolution", "size"):
        spec = row.get(key)
        if isinstance(spec, Mapping) and not spec.keys() & {"values", "type"}:
            yield f'{key}: give the values that can be ordered, as they are spelled, or a type ("number", "string")'
    price = row.get("price")
    if isinstance(price, Mapping) and not price.keys() & set(AMOUNTS):
        yield f"price: give {' or '.join(AMOUNTS)}"


def _object(value: Mapping[str, Any], fields: Mapping[str, Any], where: str) -> Iterator[str]:
    for key, item in value.items():
        at = f"{where}{key}"
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            yield f"{at}: unknown" + (f"; did you mean {close[0]}?" if close else f"; there are {', '.join(fields)}")
        elif isinstance(fields[key], Mapping):
            if isinstance(item, Mapping):
                yield from _object(item, fields[key], f"{at}.")
            else:
                yield f"{at}: not an object"
        elif wanted := fields[key](item):
            yield f"{at}: {item!r} is not {wanted}"


def _of(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = row.get(key)
    return found if isinstance(found, Mapping) else {}


def _one_of(*words: str) -> Check:
    return lambda value: "" if value in words else f"one of {', '.join(words)}"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value else "a word"


def _texts(value: Any) -> str:
    return "" if isinstance(value, list) and not any(map(_text, value)) else "a list of words"


def _yes(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _count(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) and value > 0 else "a whole number above 0"


def _value(value: Any) -> str:
    good = isinstance(value, int | str) and not isinstance(value, bool) and value != ""
    return "" if good else "a whole number or a word"


def _values(value: Any) -> str:
    return "" if isinstance(value, list) and value and not any(map(_value, value)) else "a list of numbers or words"


def _amount(value: Any) -> str:
    if isinstance(value, Mapping):
        good = bool(value) and not any(map(_amount, value.values()))
    else:
        good = isinstance(value, int | float | Decimal) and not isinstance(value, bool) and 0 < value < 10_000
    return "" if good else 'dollars, or dollars by resolution or length, as in {"720p": 0.1} or {"6": 0.28, "10": 0.56}'


_SPEC = {
    "values": _values, "type": _one_of("number", "integer", "string"), "min": _count, "max": _count, "default": _value,
}  # fmt: skip
_ROW: Mapping[str, Any] = {
    "kind": _one_of(*KINDS),
    "required": _texts,
    "prompt": {"max_characters": _count, "max_bytes": _count},
    "duration": _SPEC,
    "num_frames": {**_SPEC, "fps": _count},
    "aspect_ratio": _SPEC,
    "resolution": _SPEC,
    "size": {**_SPEC, "field": _text},
    "seed": _yes,
    "negative_prompt": _yes,
    "sound": {"field": _text, "default": _yes},
    "images": {"first": _text, "last": _text, "references": _texts},
    "image_endpoint": _text,
    "price": {
        **dict.fromkeys((*AMOUNTS, *WITH_SOUND), _amount),
        "source": _text, "date": _text, "sure": _one_of(*SURE),
    },
    "learned": _text,
}  # fmt: skip
