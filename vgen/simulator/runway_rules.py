"""Judges the body of a create as Runway's validation does: every issue at once. Knows no jobs and no HTTP."""

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

TYPE_NAMES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}

Issue = dict[str, Any]

IMAGE_FORMS = (("https://", 13, 2048), ("runway://", 13, 5000), ("data:image/", 13, 5_242_880))
"""What an image may be: prefix, least and most characters."""


EXTRA = {
    "promptText": {"required": True, "type": "str", "minLength": 1},
    "duration": {"type": "float", "minimum": 1, "maximum": 600},
}
"""What is asked of models beyond the tables."""


class Bounds(NamedTuple):
    """Where a number or a length must lie; None: no bound."""

    least: float | None
    most: float | None
    noun: str
    unit: str = ""


@cache
def table() -> Mapping[str, Mapping[str, Any]]:
    """Endpoint -> model -> fields, as vgen ships them."""
    text = files("vgen.providers").joinpath("runway_models.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return {endpoint: models for endpoint, models in loaded.items() if not endpoint.startswith("_")}


def issues(endpoint: str, body: Any, extra: Collection[str]) -> list[Issue]:
    """All that is wrong with `body`; `extra` names models beyond the tables."""
    if not isinstance(body, dict):
        return [_issue("invalid_type", [], f"Invalid input: expected object, received {_kind(body)}")]
    models = table()[endpoint]
    model = body.get("model")
    if isinstance(model, str) and model in extra and model not in models:
        return [issue for name, rule in EXTRA.items() for issue in _field(name, rule, body)]
    if not isinstance(model, str) or model not in models:
        known = [*models, *sorted(extra)]
        expected = " | ".join(f"'{name}'" for name in known)
        return [
            {
                **_issue("invalid_value", ["model"], f"Invalid option: expected one of {expected}"),
                "values": known,
            }
        ]
    found: list[Issue] = []
    fields: Mapping[str, Any] = models[model]["fields"]
    for name, rule in fields.items():
        found += _image(name, rule, body) if name in ("promptImage", "references") else _field(name, rule, body)
    found += _keyframe(fields, body)
    found += _places(fields, body)
    found += _capped(fields, body)
    unknown = sorted(set(body) - set(fields) - {"model"})
    if unknown and models[model]["rejects_unknown_keys"] is True:
        keys = ", ".join(f'"{key}"' for key in unknown)
        found.append({**_issue("unrecognized_keys", [], f"Unrecognized keys: {keys}"), "keys": unknown})
    return found


def default(endpoint: str, model: str, name: str) -> Any:
    """What the table says of a field that was left out, else None."""
    rule = table()[endpoint].get(model, {}).get("fields", {}).get(name, {})
    return rule.get("default")


def rule(endpoint: str, model: str, name: str) -> Mapping[str, Any]:
    """The table's words on one field; empty for a model or a field that it does not know."""
    found: Mapping[str, Any] = table()[endpoint].get(model, {}).get("fields", {}).get(name, {})
    return found


def _issue(code: str, path: list[str | int], message: str) -> Issue:
    return {"code": code, "path": path, "message": message}


def _kind(value: Any) -> str:
    return "null" if value is None else TYPE_NAMES.get(type(value), "undefined")


def _field(name: str, rule: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Issue]:
    """Issues of one field that is no image."""
    if name not in body:
        if rule.get("required"):
            expected = _expected(rule)
            yield _issue("invalid_type", [name], f"Invalid input: expected {expected}, received undefined")
        return
    value = body[name]
    options = rule.get("enum")
    if options and not isinstance(value, bool) and value in options:
        return
    if options and (rule.get("type") not in ("int", "float") or "minimum" not in rule):
        if rule.get("type") == "int" and _is(value, "int"):
            return  # "auto" or a whole number whose bounds nobody has published
        shown = "|".join(json.dumps(option) for option in options)
        yield {
            **_issue("invalid_value", [name], f"Invalid option: expected one of {shown}"),
            "values": options,
        }
        return
    if not _is(value, rule.get("type")):
        yield _issue("invalid_type", [name], f"Invalid input: expected {_expected(rule)}, received {_kind(value)}")
        return
    yield from _within(name, value, rule)


def _expected(rule: Mapping[str, Any]) -> str:
    names = {"str": "string", "bool": "boolean", "float": "number", None: "string"}
    return names.get(rule.get("type"), str(rule.get("type")))


def _is(value: Any, kind: str | None) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match kind:
        case "int":
            return number and (isinstance(value, int) or value.is_integer())
        case "float":
            return number
        case "str":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case _:
            return True


def _within(name: str, value: Any, rule: Mapping[str, Any]) -> Iterator[Issue]:
    """Bounds of a value of the right type. Lengths count UTF-16 code units."""
    match value:
        case str():
            size: float = len(value.encode("utf-16-le", "surrogatepass")) // 2
            bounds = Bounds(rule.get("minLength"), rule.get("maxLength"), "string", " characters")
        case list():
            size = len(value)
            least, most = rule.get("array_minItems"), rule.get("array_maxItems", rule.get("maxItems"))
            bounds = Bounds(least, most, "array", " items")
        case int() | float() if not isinstance(value, bool):
            size = value
            bounds = Bounds(rule.get("minimum"), rule.get("maximum"), "number")
        case _:
            return
    verb = "to have" if bounds.unit else "to be"
    if bounds.least is not None and size < bounds.least:
        message = f"Too small: expected {bounds.noun} {verb} >={bounds.least}{bounds.unit}"
        yield {**_issue("too_small", [name], message), "origin": bounds.noun, "minimum": bounds.least}
    if bounds.most is not None and size > bounds.most:
        message = f"Too big: expected {bounds.noun} {verb} <={bounds.most}{bounds.unit}"
        yield {**_issue("too_big", [name], message), "origin": bounds.noun, "maximum": bounds.most}


def _image(name: str, rule: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Issue]:
    """Issues of `promptImage` and `references`: a URI where the table says so, or a list of {uri, position}."""
    value = body.get(name)
    if isinstance(value, str) and "str" in rule["type"]:
        if not _is_image(value):
            yield _issue("invalid_value", [name], "Invalid image: expected an https, runway or data:image URI")
    elif isinstance(value, list):
        yield from _within(name, value, rule)
        for index, one in enumerate(value):
            if not isinstance(one, dict) or not isinstance(one.get("uri"), str) or not _is_image(one["uri"]):
                yield _issue("invalid_value", [name, index, "uri"], "Invalid image URI")
    elif rule.get("required") or name in body:
        yield _issue("invalid_union", [name], "Invalid input: expected string or array")


def _keyframe(fields: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Issue]:
    """wan3's words: "Keyframe image-to-video requests must use auto_480p, auto_720p, or auto_1080p"."""
    sizes = [ratio for ratio in fields.get("ratio", {}).get("enum", ()) if ratio.startswith("auto_")]
    pictures = body.get("promptImage")
    placed = isinstance(pictures, list) and any(isinstance(one, dict) and "position" in one for one in pictures)
    if sizes and placed and body.get("ratio", sizes[0]) not in sizes:
        yield {**_issue("custom", ["ratio"], f"Keyframe requests must use one of {', '.join(sizes)}"), "values": sizes}


def _places(fields: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Issue]:
    """Positions: those that the table names, each once, and "the two modes cannot be mixed"."""
    pictures = body.get("promptImage")
    if not isinstance(pictures, list) or not all(isinstance(one, dict) for one in pictures):
        return
    rule = fields.get("promptImage", {})
    known, said = rule.get("positions", []), [one.get("position") for one in pictures]
    for index, place in enumerate(said):
        if place is None and rule.get("position") == "required":
            yield _issue("invalid_type", ["promptImage", index, "position"], "Invalid input: expected string")
        elif place is not None and place not in known:
            yield {**_issue("invalid_value", ["promptImage", index, "position"], "Invalid option"), "values": known}
    if None in said and set(said) != {None}:
        yield _issue("custom", ["promptImage"], "Keyframes and reference images cannot be mixed")
    placed = [place for place in said if place is not None]
    if len(placed) != len(set(placed)) or (placed and "first" not in placed):
        yield _issue("custom", ["promptImage"], "Expected one first image, and at most one last image")


def _capped(fields: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Issue]:
    """What the number of reference pictures bounds: "frames included", "capped at 720p"."""
    references, frames = body.get("references"), body.get("promptImage")
    if not isinstance(references, list) or not isinstance(frames, list | str | None):
        return
    rule, frames = fields.get("references", {}), frames or []
    total = len(references) + (1 if isinstance(frames, str) else len(frames))
    if references and rule.get("counts_frames") and total > rule["maxItems"]:
        yield _issue("too_big", ["references"], f"Too big: expected at most {rule['maxItems']} images, frames included")
    rule = fields.get("resolution", {})
    if references and (most := rule.get("most_with_references")) in rule.get("enum", ()):
        allowed = rule["enum"][: rule["enum"].index(most) + 1]
        if body.get("resolution", allowed[0]) not in allowed:
            yield _issue("custom", ["resolution"], f"Requests with image references are capped at {most}")


def _is_image(uri: str) -> bool:
    return any(uri.startswith(prefix) and least <= len(uri) <= most for prefix, least, most in IMAGE_FORMS)
