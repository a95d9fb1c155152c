"""Runway's ephemeral uploads: ask for a place, send a form to its storage, name a runway:// URI. Pure.

Facts: `runwayml` 5.24.0 (resources/uploads.py), docs.dev.runwayml.com/assets/uploads and /assets/inputs (2026-11): 200
MB in place of 5 MB within a request, gone after 24 hours; for each attempt a place of its own.
"""

import json
import re
from typing import TypeGuard

from vgen.providers.base import Call, RefusalReason, Refused, Reply, brief, is_url
from vgen.providers.codec import Place, Upload, Uploads
from vgen.providers.multipart import form
from vgen.providers.refusals import no_place

VERSION = "2024-11-06"
"""X-Runway-Version."""
_URI = r"runway://[\x21-\x7e]{1,4991}"
"""Runway's OpenAPI: 13 to 5,000 characters."""
_KNOWN = {403: RefusalReason.INPUT}  # not documented; "needs purchased credits"


def _ask(upload: Upload, base_url: str, key: str) -> Call:
    body = json.dumps({"filename": upload.name, "type": "ephemeral"}).encode()
    headers = (("Content-Type", "application/json"), ("X-Runway-Version", VERSION))
    url = f"{base_url}/v1/uploads"
    return Call(method="POST", url=url, headers=headers, body=body, auth=f"Bearer {key}", step="upload")


def _place(reply: Reply, upload: Upload) -> Place | Refused:
    said = reply.object()
    if reply.status // 100 != 2:
        return no_place(reply, brief(said.get("error") or said.get("message") or f"HTTP {reply.status}"), known=_KNOWN)
    url, uri, fields = said.get("uploadUrl"), said.get("runwayUri"), said.get("fields")
    if not is_url(url) or not isinstance(uri, str) or not re.fullmatch(_URI, uri) or not _is_form(fields):
        return Refused(reason=RefusalReason.SERVER_ERROR, message="its answer names no place for an upload")
    kind, body = form(fields.items(), name="file", file_name=upload.name, kind=upload.kind, content=upload.content)
    call = Call(method="POST", url=url, headers=(("Content-Type", kind),), body=body, step="store")
    return Place(call=call, uri=uri)


def _is_form(fields: object) -> TypeGuard[dict[str, str]]:
    return isinstance(fields, dict) and all(isinstance(value, str) for value in fields.values()) and _is_text(fields)


def _is_text(fields: dict[str, str]) -> bool:
    """Half a surrogate pair is a string in JSON, and in no encoding."""
    try:
        "".join((*fields, *fields.values())).encode()
    except UnicodeEncodeError:
        return False
    return True


UPLOADS = Uploads(
    most_bytes=200_000_000,
    good_for_s=12 * 3600.0,  # of 24 h, so that a task that is throttled for hours finds its picture too
    ask=_ask,
    place=_place,
)
