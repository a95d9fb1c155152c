"""fal's storage, as its documents and clients say: ask for a place, PUT the file, name its public https address."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from vgen.simulator.cloud import Cloud
from vgen.simulator.storage import PATH as STORED
from vgen.simulator.storage import PLACE_S, Promise, as_data
from vgen.simulator.web import Request, Response, answer

PATH = "/storage/upload/initiate"
LIFECYCLE = "x-fal-object-lifecycle-preference"
_TYPES = ("fal-cdn-v3", "gcs")


def respond(cloud: Cloud, request: Request) -> Response:
    """Promise a place. The key was looked at before."""
    cloud.requests["upload"] += 1
    if request.method != "POST":
        return answer(405, {"detail": "Method Not Allowed"})
    try:
        body = request.json()
        kept_s = _kept_s(request.headers.get(LIFECYCLE))
    except ValueError:
        return answer(422, {"detail": "Invalid JSON"})
    if request.query.get("storage_type", _TYPES[0]) not in _TYPES:
        return answer(422, {"detail": [{"loc": ["query", "storage_type"], "msg": "Invalid value", "type": "enum"}]})
    names = ("file_name", "content_type")
    said = body if isinstance(body, dict) else {}
    lacking = [name for name in names if not isinstance(said.get(name), str) or not said[name]]
    if lacking:
        detail = [{"loc": ["body", name], "msg": "Field required", "type": "missing"} for name in lacking]
        return answer(422, {"detail": detail})
    token = cloud.token()
    uri = f"{request.origin}{STORED}files/{token}"
    place = Promise(uri=uri, until=cloud.now() + PLACE_S, kind=said["content_type"], kept_s=kept_s)
    return answer(200, {"file_url": uri, "upload_url": request.origin + cloud.storage.promise(token, place)})


def _kept_s(said: str | None) -> float | None:
    """Seconds until the file is deleted; None: never. Raises ValueError."""
    seconds = json.loads(said).get("expiration_duration_seconds") if said else None
    if seconds is not None and (not isinstance(seconds, int) or seconds <= 0):
        raise ValueError("expiration_duration_seconds")
    return seconds


def gone(cloud: Cloud, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the runner says of addresses in fal's storage where nothing is, or nothing any more."""
    message = "Failed to download the file. Please check if the URL is accessible and try again."
    return [
        {"loc": ["body", *path], "msg": message, "type": "file_download_error", "input": uri}
        for path, uri in _stored(body)
        if cloud.storage.find(uri, cloud.now()) is None
    ]


def seen(cloud: Cloud, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The body as the runner sees it: with the pictures that it has fetched."""
    fetched = ((path, cloud.storage.find(uri, cloud.now())) for path, uri in _stored(body) if len(path) == 1)
    return {**body, **{str(path[0]): as_data(content) for path, content in fetched if content is not None}}


def _stored(body: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str]]:
    for name, value in body.items():
        if _is_stored(value):
            yield [name], value
        for index, one in enumerate(value if isinstance(value, list) else ()):
            if _is_stored(one):
                yield [name, index], one


def _is_stored(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://")) and f"{STORED}files/" in value
