"""Holds the body of an order against the types of Runway's own package, as they are at run time."""

import collections.abc
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import typing_extensions
from runwayml.types import image_to_video_create_params, text_to_video_create_params

MODULES = {"text_to_video": text_to_video_create_params, "image_to_video": image_to_video_create_params}
UNIONS = {"text_to_video": "TextToVideoCreateParams", "image_to_video": "ImageToVideoCreateParams"}


def models(endpoint: str) -> dict[str, Any]:
    """Model → the TypedDict of its parameters."""
    members = typing.get_args(getattr(MODULES[endpoint], UNIONS[endpoint]))
    return {typing.get_args(_plain(_hints(member)["model"]))[0]: member for member in members}


def problems(endpoint: str, body: Mapping[str, Any]) -> list[str]:
    """All that is wrong with a body, in words."""
    known = models(endpoint)
    if body.get("model") not in known:
        return [f"model: {body.get('model')!r} is none of {endpoint}'s"]
    return list(_typed_dict("", known[body["model"]], body))


def _hints(kind: Any) -> dict[str, Any]:
    """Field → its annotation. get_type_hints would drop Required, which is wanted here as it is written."""
    return typing_extensions.get_type_hints(kind, include_extras=True)


def _typed_dict(where: str, kind: Any, value: Mapping[str, Any]) -> Iterator[str]:
    fields = {_alias(annotation) or name: annotation for name, annotation in _hints(kind).items()}
    required = {name for name, annotation in fields.items() if _is_required(annotation)}
    for name in sorted(required - set(value)):
        yield f"{where}{name}: missing"
    for name, given in value.items():
        if name not in fields:
            yield f"{where}{name}: no such field"
        elif not _fits(_plain(fields[name]), given):
            yield f"{where}{name}: {given!r} is not {_plain(fields[name])}"


def _is_required(annotation: Any) -> bool:
    """`__required_keys__` is empty: the package's annotations are strings when the class is made."""
    return typing.get_origin(annotation) is typing_extensions.Required


def _alias(annotation: Any) -> str | None:
    """The name on the wire: `PropertyInfo(alias=...)` anywhere in the annotation."""
    for extra in getattr(annotation, "__metadata__", ()):
        if getattr(extra, "alias", None):
            return str(extra.alias)
    return next((found for part in typing.get_args(annotation) if (found := _alias(part))), None)


def _plain(annotation: Any) -> Any:
    """Without Required and Annotated."""
    while typing.get_origin(annotation) in (typing_extensions.Required, typing.Annotated):
        annotation = typing.get_args(annotation)[0]
    return annotation


def _fits(kind: Any, value: Any) -> bool:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Union:
        return any(_fits(_plain(part), value) for part in parts)
    if origin is typing.Literal:
        return any(value == part and type(value) is type(part) for part in parts)
    if origin is collections.abc.Iterable:
        return isinstance(value, list) and all(_fits(_plain(parts[0]), one) for one in value)
    if typing_extensions.is_typeddict(kind):
        return isinstance(value, dict) and not list(_typed_dict("", kind, value))
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return kind is object or type(value) is kind
