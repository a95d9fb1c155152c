"""A row of the table from what fal publishes of an endpoint: its OpenAPI document, asked for without a key. Pure.

As of 2026-11: POST /{id} names the input's schema, GET /{id}/requests/{request_id} the output's. Unlike the list of
types it tells integers from numbers, ranges, and defaults that are false.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from vgen.providers.base import Call, CannotMake, Reply, brief
from vgen.providers.fal_table import shipped

OPENAPI_URL = "https://fal.ai"
PATH = "/api/openapi/queue/openapi.json?endpoint_id="

FIRST = ("image_url", "start_image_url", "first_image_url", "first_frame_url")
LAST = ("end_image_url", "tail_image_url", "last_frame_url")
REFERENCES = (
    "image_urls", "reference_image_urls", "input_image_urls", "image_references", "subject_reference_image_url",
    "elements",
)  # fmt: skip
SOUND = ("generate_audio", "audio", "generate_audio_switch", "bgm")
SIZE = ("video_size", "image_size", "dimensions")
FPS = ("frames_per_second", "fps", "frame_rate")

Schema = Mapping[str, Any]


def ask(model: str, base_url: str) -> Call:
    """Ask for the document. `base_url`: fal.ai, or where a rehearsal's server is."""
    return Call(method="GET", url=f"{base_url}{PATH}{quote(model, safe='/')}", step="openapi")


def row(reply: Reply, model: str) -> dict[str, Any]:
    """The row that the answer gives, without price and date. Raises CannotMake."""
    said = reply.object()
    if reply.status == 404:
        raise CannotMake(f"fal has no endpoint {model}")
    paths = said.get("paths")
    if reply.status != 200 or not isinstance(paths, Mapping):
        told = brief(said.get("detail") or said.get("error") or "no OpenAPI document")
        raise CannotMake(f"fal's answer for {model} can't be read (HTTP {reply.status}, {told}); try again later")
    document = _Document(said)
    taken = document.input(model)
    made = document.output(model)
    if taken is None or made is None:
        raise CannotMake(f"fal's OpenAPI document does not describe {model}")
    if "video" not in made["properties"]:
        raise CannotMake(f"{model} makes no video: its answer has no field video")
    return _row(document, taken, model)


def _row(document: "_Document", taken: Schema, model: str) -> dict[str, Any]:
    fields = {name: document.plain(schema) for name, schema in taken["properties"].items()}
    wanted = taken.get("required", ())
    required = sorted(name for name in wanted if name in fields) if isinstance(wanted, list) else []
    pictures = [name for name in (*FIRST, *LAST, *REFERENCES) if name in fields]
    if others := [name for name in required if name not in ("prompt", *pictures)]:
        raise CannotMake(f"{model} needs more than a prompt and a picture: {', '.join(others)}")
    found: dict[str, Any] = {"kind": kind_of(model, fields, required), "required": required}
    if "prompt" in fields:
        longest = fields["prompt"].get("maxLength")
        told = prompt_limit(str(fields["prompt"].get("description", "")))
        found["prompt"] = {"max_characters": longest} if isinstance(longest, int) else told
    for key in ("duration", "aspect_ratio", "resolution"):
        if key in fields:
            found[key] = _spec(fields[key])
    if "num_frames" in fields and "duration" not in fields:
        fps = next((fields[name].get("default") for name in FPS if name in fields), None)
        found["num_frames"] = _spec(fields["num_frames"]) | ({"fps": fps} if isinstance(fps, int) else {})
    if size := next((name for name in SIZE if name in fields), None):
        found["size"] = {"field": size, **_spec(fields[size])}
    found |= {"seed": "seed" in fields, "negative_prompt": "negative_prompt" in fields}
    sound = next((name for name in SOUND if name in fields and fields[name].get("type") == "boolean"), None)
    if sound:
        found["sound"] = {"field": sound, "default": fields[sound].get("default") is True}
    if pictures:
        found["images"] = images_of(fields)
    sibling = sibling_of(model, {name: row["kind"] for name, row in shipped().items()})
    if found["kind"] == "text" and sibling:
        found["image_endpoint"] = sibling
    return found


def sibling_of(name: str, kinds: Mapping[str, str]) -> str | None:
    """The endpoint that makes the same of a picture, by its name. `kinds`: endpoint → kind."""
    candidates = (
        name.replace("text-to-video", "image-to-video"),
        f"{name}/image-to-video",
        name.replace("t2v", "i2v"),
        f"{name}-image-to-video",
        name.removesuffix("/text-to-video"),
    )
    return next((other for other in candidates if kinds.get(other) == "image"), None)


def prompt_limit(comment: str) -> dict[str, int]:
    """The longest prompt, as the comment of its field tells it."""
    characters = re.search(r"(\d+) characters", comment)
    octets = re.search(r"(\d+) UTF-8 encoded bytes", comment)
    if characters:
        return {"max_characters": int(characters[1])}
    return {"max_bytes": int(octets[1])} if octets else {}


def kind_of(model: str, fields: Collection[str], required: Collection[str]) -> str:
    """What an endpoint makes its video of: one of fal_table.KINDS."""
    first = next((name for name in FIRST if name in fields), None)
    last = next((name for name in LAST if name in fields), None)
    if first in required and last in required:
        return "first-last"
    if re.search(r"reference|elements|ingredient|pikascenes|pikaframes", model):
        return "reference"
    if first:
        return "image"
    return "reference" if any(name in fields for name in REFERENCES if name != "elements") else "text"


def images_of(fields: Collection[str]) -> dict[str, Any]:
    """Which fields take pictures."""
    found = {
        "first": next((name for name in FIRST if name in fields), None),
        "last": next((name for name in LAST if name in fields), None),
        "references": [name for name in REFERENCES if name in fields],
    }
    return {key: value for key, value in found.items() if value}


def _spec(schema: Schema) -> dict[str, Any]:
    """A field as the table has it: its values as they are spelled, else its type and range."""
    values = [value for value in schema.get("enum", ()) if isinstance(value, int | str) and value != ""]
    kind = schema.get("type")
    spec: dict[str, Any] = {"values": values} if values else {"type": kind if kind != "object" and kind else "string"}
    for key, bound in (("min", "minimum"), ("max", "maximum")):
        limit = schema.get(bound)
        if not values and limit is not None and limit == int(limit) and limit > 0:
            spec[key] = int(limit)
    default = schema.get("default")
    if isinstance(default, int | str) and not isinstance(default, bool) and default != "":
        spec["default"] = _as_spelled(default, values)
    return spec


def _as_spelled(default: int | str, values: list[int | str]) -> int | str:
    """fal writes the default of "5" as 5 now and then, and that of 5 as "5"."""
    return next((value for value in values if str(value) == str(default)), default)


class _Document:
    """An OpenAPI document whose references can be followed."""

    def __init__(self, said: Schema) -> None:
        self._said = said

    def input(self, model: str) -> Schema | None:
        return self._schema(f"/{model}", "post", "requestBody")

    def output(self, model: str) -> Schema | None:
        return self._schema(f"/{model}/requests/{{request_id}}", "get", "responses", "200")

    def _schema(self, path: str, method: str, *way: str) -> Schema | None:
        found = _inside(self._said, "paths", path, method, *way, "content", "application/json", "schema")
        schema = self.plain(found) if isinstance(found, Mapping) else {}
        return schema if isinstance(schema.get("properties"), Mapping) else None

    def plain(self, schema: Any, depth: int = 0) -> Schema:
        """A schema without references; of alternatives, the values of all, and what the others say of them."""
        if not isinstance(schema, Mapping) or depth > 8:
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            return self.plain(self._followed(reference), depth + 1)
        parts = [self.plain(part, depth + 1) for part in _alternatives(schema) if part != {"type": "null"}]
        merged: dict[str, Any] = {}
        for part in parts:
            merged = {**part, **merged}
        values = [value for part in parts for value in part.get("enum", ())]
        own = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "allOf")}
        if "const" in own:
            values = [own["const"]]
        return {**merged, **({"enum": values} if values else {}), **own}

    def _followed(self, reference: str) -> Any:
        return _inside(self._said, *reference.removeprefix("#/").split("/"))


def _inside(value: Any, *way: str) -> Any:
    """What is at the end of a way through objects; None if there is none."""
    for key in way:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _alternatives(schema: Schema) -> Iterator[Any]:
    for key in ("anyOf", "oneOf", "allOf"):
        parts = schema.get(key)
        if isinstance(parts, list):
            yield from parts
