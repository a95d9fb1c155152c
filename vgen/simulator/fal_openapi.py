"""What fal publishes of an endpoint, without a key: its queue's OpenAPI document. Made from a row of the table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vgen.simulator.fal_table import SIDE_DEFAULT, SIDE_MOST, Row, takes_pixels

PATH = "/api/openapi/queue/openapi.json"
KEPT = {"min": "minimum", "max": "maximum", "default": "default"}

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
SIDE: Schema = {"type": "integer", "exclusiveMinimum": 0, "maximum": SIDE_MOST, "default": SIDE_DEFAULT}
QUEUE_STATUS: Schema = {
    "status": {"type": "string", "enum": ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]},
    "request_id": TEXT,
    "response_url": TEXT,
    "status_url": TEXT,
    "cancel_url": TEXT,
}


def document(endpoint: str, row: Row) -> Schema:
    """The document, in the form that FastAPI and fal's gateway give it."""
    name = "".join(word.capitalize() for word in re.split(r"\W+", endpoint))
    return {
        "openapi": "3.0.4",
        "info": {
            "title": f"Queue OpenAPI for {endpoint}",
            "version": "1.0.0",
            "x-fal-metadata": {"endpointId": endpoint, "category": f"{row['kind']}-to-video"},
        },
        "components": {
            "securitySchemes": {"apiKeyAuth": {"type": "apiKey", "in": "header", "name": "Authorization"}},
            "schemas": {
                f"{name}Input": _object(f"{name}Input", _properties(row), row["required"]),
                f"{name}Output": _object(f"{name}Output", {"video": {"$ref": "#/components/schemas/File"}}, ["video"]),
                "File": _object("File", {"url": TEXT, "content_type": TEXT, "file_name": TEXT}, ["url"]),
                "ImageSize": _object("ImageSize", {"width": SIDE, "height": SIDE}, []),
                "QueueStatus": _object("QueueStatus", QUEUE_STATUS, ["status", "request_id"]),
            },
        },
        "paths": _paths(endpoint, name),
        "servers": [{"url": "https://queue.fal.run"}],
        "security": [{"apiKeyAuth": []}],
    }


def _object(title: str, properties: Schema, required: Sequence[str]) -> Schema:
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "x-fal-order-properties": list(properties),
        "required": list(required),
    }


def _paths(endpoint: str, name: str) -> Schema:
    request_id = {"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}
    body = {"required": True, "content": _content(f"{name}Input")}
    return {
        f"/{endpoint}/requests/{{request_id}}/status": {"get": _operation("QueueStatus", request_id)},
        f"/{endpoint}/requests/{{request_id}}/cancel": {"put": _operation("QueueStatus", request_id)},
        f"/{endpoint}": {"post": {"requestBody": body, **_operation("QueueStatus")}},
        f"/{endpoint}/requests/{{request_id}}": {"get": _operation(f"{name}Output", request_id)},
    }


def _operation(schema: str, *parameters: Schema) -> Schema:
    answers = {"responses": {"200": {"description": "The request's answer.", "content": _content(schema)}}}
    return {"parameters": list(parameters), **answers} if parameters else answers


def _content(schema: str) -> Schema:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _properties(row: Row) -> Schema:
    """Field → schema: what the table knows of the endpoint."""
    found: Schema = {}
    if "prompt" in row:
        found["prompt"] = _prompt(row["prompt"])
    if row.get("negative_prompt"):
        found["negative_prompt"] = {"title": "Negative Prompt", "type": "string", "default": ""}
    for name in ("duration", "num_frames", "aspect_ratio", "resolution"):
        if name in row:
            found[name] = _spec(name, row[name])
    if fps := row.get("num_frames", {}).get("fps"):
        found["frames_per_second"] = {"title": "Frames Per Second", "type": "integer", "default": fps}
    if "size" in row:
        name = row["size"]["field"]
        sizes = [{"$ref": "#/components/schemas/ImageSize"}, _spec(name, row["size"])]
        named = {"title": name.title(), "anyOf": sizes} | _default(row["size"])
        found[name] = named if takes_pixels(row) else _spec(name, row["size"])
    if row.get("seed"):
        found["seed"] = {"title": "Seed", "type": "integer"}
    if switch := row.get("sound"):
        found[switch["field"]] = {"title": "Generate Audio", "type": "boolean", "default": switch["default"]}
    return found | _pictures(row.get("images", {}))


def _prompt(rule: Mapping[str, Any]) -> Schema:
    schema: Schema = {"title": "Prompt", "type": "string", "description": "The text prompt to make the video from."}
    if characters := rule.get("max_characters"):
        schema["maxLength"] = characters
    if octets := rule.get("max_bytes"):
        schema["description"] += f" At most {octets} UTF-8 encoded bytes."
    return schema


def _spec(name: str, rule: Mapping[str, Any]) -> Schema:
    schema: Schema = {"title": name.replace("_", " ").title()}
    values = rule.get("values")
    if values is None and rule.get("type") == "string" and name != "aspect_ratio":
        values = [rule["default"]] if "default" in rule else None
    if values is not None:
        kind = "integer" if all(isinstance(value, int) for value in values) else "string"
        return {**schema, "type": kind, "enum": list(values), **_default(rule)}
    return {**schema, "type": rule["type"], **{KEPT[key]: rule[key] for key in KEPT if key in rule}}


def _default(rule: Mapping[str, Any]) -> Schema:
    return {"default": rule["default"]} if "default" in rule else {}


def _pictures(images: Mapping[str, Any]) -> Schema:
    found: Schema = {}
    for name in (images.get("first"), images.get("last")):
        if name:
            found[name] = {"title": name.title(), "type": "string", "description": "URL of a picture."}
    for name in images.get("references", ()):
        one = {"type": "string", "description": "URL of a picture."}
        many = {"type": "array", "items": {"type": "object"} if name == "elements" else {"type": "string"}}
        found[name] = {"title": name.title(), **(one if name == "subject_reference_image_url" else many)}
    return found
