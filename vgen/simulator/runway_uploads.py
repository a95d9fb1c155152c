"""Runway's uploads, as its documents say: POST /v1/uploads, a form to its storage, runway:// URIs for 24 hours."""

from collections.abc import Iterator, Mapping
from typing import Any

from vgen.simulator.cloud import Cloud
from vgen.simulator.runway_rules import Issue
from vgen.simulator.storage import PLACE_S, Promise
from vgen.simulator.web import Request

PATH = "/v1/uploads"
SCHEME = "runway://"
KEPT_S = 24 * 3600.0
LEAST_BYTES, MOST_BYTES = 512, 200_000_000
_MOST_NAME = 255


def issues(body: Any) -> list[Issue]:
    """What is wrong with a request for a place."""
    if not isinstance(body, dict):
        return [{"code": "invalid_type", "path": [], "message": "Invalid input: expected object"}]
    found: list[Issue] = []
    name = body.get("filename")
    if not isinstance(name, str) or not 1 <= len(name) <= _MOST_NAME:
        found.append({"code": "invalid_type", "path": ["filename"], "message": "Invalid input: expected string"})
    if body.get("type") != "ephemeral":
        message = 'Invalid input: expected "ephemeral"'
        found.append({"code": "invalid_value", "path": ["type"], "message": message, "values": ["ephemeral"]})
    return found


def begin(cloud: Cloud, request: Request) -> dict[str, Any]:
    """Promise a place, for a day."""
    token = cloud.token()
    uri, now = f"{SCHEME}{token}", cloud.now()
    fields = {"key": f"ephemeral/{token}", "policy": f"policy-of-{token}", "x-amz-signature": token}
    place = Promise(
        uri=uri, until=now + PLACE_S, fields=fields, least_bytes=LEAST_BYTES, most_bytes=MOST_BYTES, kept_s=KEPT_S
    )
    return {"uploadUrl": request.origin + cloud.storage.promise(token, place), "fields": fields, "runwayUri": uri}


def gone(cloud: Cloud, body: Mapping[str, Any]) -> list[Issue]:
    """The uploads that an order names and that are not there, or not any more."""
    return [
        {"code": "custom", "path": path, "message": "The upload does not exist or has expired"}
        for path, uri in _uris(body)
        if uri.startswith(SCHEME) and cloud.storage.find(uri, cloud.now()) is None
    ]


def first(cloud: Cloud, uri: Any) -> bytes | None:
    """The picture behind a runway:// URI."""
    return cloud.storage.find(uri, cloud.now()) if isinstance(uri, str) and uri.startswith(SCHEME) else None


def _uris(body: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str]]:
    for name in ("promptImage", "references"):
        value = body.get(name)
        if isinstance(value, str):
            yield [name], value
        for index, one in enumerate(value if isinstance(value, list) else ()):
            if isinstance(one, dict) and isinstance(one.get("uri"), str):
                yield [name, index, "uri"], one["uri"]
