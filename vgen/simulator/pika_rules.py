"""Pika's catalog: what each operation takes, by its JSON Schema, and what exactly that body costs. Knows no jobs."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from vgen.simulator import prices

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "null": (type(None),),
}
MILLION = 1_000_000
BEYOND: Mapping[str, Any] = {
    "input_schema": {
        "type": "object",
        "additionalProperties": True,
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string", "minLength": 1},
            "duration": {"type": "integer", "minimum": 1, "maximum": 60},
        },
    },
    "clip": {"seconds": "duration", "shape": "aspect_ratio", "sound": {"audio": "native"}},
}
"""Operations beyond the table; their price is a number of micro-dollars a second."""
USUAL_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a valid body orders: the clip, and its price in micro-dollars."""

    seconds: float
    billed_s: int
    width: int
    height: int
    sound: bool
    micro: int


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """Operation → its row of pika.json."""
    loaded: dict[str, Any] = json.loads(files("vgen.simulator").joinpath("pika.json").read_text(encoding="utf-8"))
    operations: dict[str, Mapping[str, Any]] = loaded["operations"]
    return operations


def row(operation: str, extra: Mapping[str, int]) -> Mapping[str, Any] | None:
    """The table's row; for operations in `extra` one that takes anything, at that price a second; else None."""
    if operation in table():
        return table()[operation]
    if operation not in extra:
        return None
    price = {"when": {}, "micro_usd": extra[operation], "unit": "second"}
    return {**BEYOND, "display_pricing": [price]}


def problems(schema: Mapping[str, Any], body: Any) -> list[str]:
    """All that a body has against its operation's schema, each as `field: what is wrong`."""
    if not isinstance(body, dict):
        return ["body: expected an object"]
    known = schema["properties"]
    found = [f"{name}: required" for name in schema.get("required", ()) if name not in body]
    for name, value in body.items():
        if name in known:
            found += [f"{name}: {problem}" for problem in _value(known[name], value)]
        elif not schema["additionalProperties"]:
            found.append(f"{name}: unexpected property")
    return found


def made(operation: Mapping[str, Any], body: Mapping[str, Any], shape: str | None, *, most: bool = False) -> Made:
    """What a valid body orders, defaults included. `shape`: its picture's. `most`: the longest if Pika may choose."""
    clip = operation["clip"]
    properties = operation["input_schema"]["properties"]
    fields = {name: rule["default"] for name, rule in properties.items() if "default" in rule} | dict(body)
    asked = fields.get(clip["seconds"], USUAL_S)
    if "auto_s" in clip and asked == "auto":
        asked = clip["auto_s"][1] if most else prices.chosen_s(str(fields.get("prompt")), *clip["auto_s"])
    width, height = prices.pixels(shape or fields.get(clip.get("shape")), fields.get("resolution"))
    delivered = prices.h3_seconds(asked, nearest=False) if clip.get("grid") else asked
    return Made(
        seconds=delivered + clip.get("frames_more", 0) / prices.FPS,
        billed_s=asked,
        width=width,
        height=height,
        sound=clip.get("always_sound", False) or _sounds(clip.get("sound", {}), fields),
        micro=_micro(operation, fields, prices.tokens(width, height, asked), asked),
    )


def _sounds(switch: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether the one switch that an operation may have is on."""
    return any(fields.get(name) == value for name, value in switch.items())


def _micro(operation: Mapping[str, Any], fields: Mapping[str, Any], tokens: int, seconds: int) -> int:
    """The first price whose conditions hold. Raises StopIteration if a row has none: a bug of the table."""
    price = next(
        one
        for one in operation["display_pricing"]
        if all(fields.get(name) == value for name, value in one["when"].items())
    )
    units = Decimal(tokens) / MILLION if price["unit"] == "million_tokens" else Decimal(seconds)
    return math.ceil(units * int(price["micro_usd"]))


def _value(rule: Mapping[str, Any], value: Any) -> Iterator[str]:
    """What is wrong with one value. Only the words of JSON Schema that the catalog uses."""
    if "anyOf" in rule:
        if all(any(_value(one, value)) for one in rule["anyOf"]):
            yield "matches none of the allowed forms"
        return
    if "type" in rule and not _is(rule["type"], value):
        yield f"expected {rule['type']}"
        return
    if "const" in rule and (value != rule["const"] or isinstance(value, bool)):
        yield f"must be {json.dumps(rule['const'])}"
    if "enum" in rule and (value not in rule["enum"] or isinstance(value, bool)):
        yield f"must be one of {json.dumps(rule['enum'])}"
    if isinstance(value, str):
        yield from _words(rule, value)
    elif isinstance(value, (int, float)) and not _within(rule, value):
        yield f"must be {rule.get('minimum')} to {rule.get('maximum')}"


def _words(rule: Mapping[str, Any], value: str) -> Iterator[str]:
    if not rule.get("minLength", 0) <= len(value) <= rule.get("maxLength", math.inf):
        yield "too short or too long"
    if "pattern" in rule and not re.search(rule["pattern"], value):
        yield f"must match {rule['pattern']}"


def _within(rule: Mapping[str, Any], value: float) -> bool:
    return bool(rule.get("minimum", -math.inf) <= value <= rule.get("maximum", math.inf))


def _is(types: str | list[str], value: Any) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in names
    return any(isinstance(value, TYPES[name]) for name in names)
