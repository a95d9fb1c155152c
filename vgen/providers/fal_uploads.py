"""fal's storage: ask its REST API for a place, PUT the file there, name the file's https address in an order. Pure.

Facts: fal-js main, libs/client/src/storage.ts (`storage_type=fal-cdn-v3`), `fal_client` 1.0.3 (the same with `gcs`, for
when fal's CDN fails), docs.fal.ai "fal CDN" and "Data Retention" (2026-11). An address there is public for those who
know it, and kept for ever unless the upload says otherwise: vgen asks for a week.
"""

import json

from vgen.providers.base import Call, RefusalReason, Refused, Reply, brief, is_url
from vgen.providers.codec import Place, Upload, Uploads
from vgen.providers.refusals import no_place

QUEUE_URL = "https://queue.fal.run"
"""Where orders go by default."""
REST_HOST = "rest.fal.ai"
KEPT_S = 7 * 86_400
"""A request may wait long in fal's queue, and its runner fetches the picture only then."""


def _ask(upload: Upload, base_url: str, key: str) -> Call:
    host = f"https://{REST_HOST}" if base_url == QUEUE_URL else base_url
    lifecycle = json.dumps({"expiration_duration_seconds": KEPT_S})
    return Call(
        method="POST",
        url=f"{host}/storage/upload/initiate?storage_type=fal-cdn-v3",
        headers=(("Content-Type", "application/json"), ("X-Fal-Object-Lifecycle-Preference", lifecycle)),
        body=json.dumps({"file_name": upload.name, "content_type": upload.kind}).encode(),
        auth=f"Key {key}",
        step="upload",
    )


def _place(reply: Reply, upload: Upload) -> Place | Refused:
    said = reply.object()
    if reply.status // 100 != 2:
        return no_place(reply, brief(said.get("detail") or said.get("error") or f"HTTP {reply.status}"))
    url, uri = said.get("upload_url"), said.get("file_url")
    if not is_url(url) or not is_url(uri) or not uri.startswith(("https://", "http://")):
        return Refused(reason=RefusalReason.SERVER_ERROR, message="its answer names no place for an upload")
    headers = (("Content-Type", upload.kind),)
    return Place(call=Call(method="PUT", url=url, headers=headers, body=upload.content, step="store"), uri=uri)


UPLOADS = Uploads(
    most_bytes=8_000_000,  # fal names no bound for all; of what its models' pages name this is the lowest (Veo 3.1)
    good_for_s=86_400.0,
    ask=_ask,
    place=_place,
)
