"""The simulated vendors' storage: places that an API promised, and the files that came. Knows no protocol, no socket.

It takes no key: as S3 and Google's storage, it refuses a signed request that names a second way of proving itself.
"""

import base64
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from vgen.simulator.web import Request, Response

PATH = "/_storage/"
PLACE_S = 3600.0
"""How long a signed address can be sent to."""
_TYPES = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n", "image/webp": b"RIFF"}
_PART = re.compile(rb'Content-Disposition: form-data; name="([^"\r\n]*)"(; filename="[^"\r\n]*")?', re.IGNORECASE)
_BOUNDARY = re.compile(r'multipart/form-data; *boundary="?([0-9A-Za-z\'()+_,./:=?-]{1,70})"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A place: what may come there, and under which URI orders name it. `fields`: of a form; None: the bare file.

    `kept_s`: how long the file is there; None: for ever. `until`: when the place is gone.
    """

    uri: str
    until: float
    kind: str | None = None
    fields: Mapping[str, str] | None = None
    least_bytes: int = 1
    most_bytes: int = 500_000_000
    kept_s: float | None = None


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes = field(repr=False)
    until: float | None


class Storage:
    """All vendors' files, by URI."""

    def __init__(self) -> None:
        self._places: dict[str, Promise] = {}
        self._files: dict[str, _File] = {}

    def promise(self, token: str, place: Promise) -> str:
        """Path and query of the signed address that takes the file."""
        self._places[token] = place
        return f"{PATH}{token}?signature=vgen{token}"

    def find(self, uri: str, now: float) -> bytes | None:
        """The file that an order names; None if it never came, or is gone."""
        file = self._files.get(uri)
        return None if file is None or (file.until is not None and now >= file.until) else file.content

    def respond(self, request: Request, now: float, counted: Counter[str]) -> Response:
        """Take a file, or give it to whoever knows its address."""
        if request.method == "GET":
            found = self.find(f"{request.origin}{request.path}", now)
            return _error(404, "NoSuchKey") if found is None else Response(status=200, body=found)
        counted["store"] += 1
        if not {"authorization", "x-api-key", "x-runway-version"}.isdisjoint(request.headers):
            counted["storage_authorized"] += 1
            return _error(400, "InvalidArgument: Only one auth mechanism allowed")
        token = request.path.removeprefix(PATH)
        place = self._places.get(token)
        if place is None or request.query.get("signature") != f"vgen{token}":
            return _error(403, "SignatureDoesNotMatch")
        if now >= place.until:
            return _error(403, "AccessDenied: Request has expired")
        wanted = "PUT" if place.fields is None else "POST"
        if request.method != wanted:
            return _error(405, f"MethodNotAllowed: {wanted}")
        if "content-length" not in request.headers:
            return _error(411, "MissingContentLength")
        content = _bare(request, place) if place.fields is None else _form(request, place.fields)
        if isinstance(content, Response):
            return content
        if not place.least_bytes <= len(content) <= place.most_bytes:
            return _error(400, "EntityTooLarge" if len(content) > place.most_bytes else "EntityTooSmall")
        self._files[place.uri] = _File(content, None if place.kept_s is None else now + place.kept_s)
        return Response(status=200 if place.fields is None else 204)


def as_data(content: bytes) -> str:
    """A picture that was uploaded, as it would be in a request."""
    kind = next((kind for kind, magic in _TYPES.items() if content.startswith(magic)), "image/jpeg")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _error(status: int, code: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>'.encode()
    return Response(status=status, headers=(("content-type", "application/xml"),), body=body)


def _bare(request: Request, place: Promise) -> bytes | Response:
    """The type is part of what was signed."""
    if request.headers.get("content-type") != place.kind:
        return _error(403, "SignatureDoesNotMatch: content-type")
    return request.body


def _form(request: Request, fields: Mapping[str, str]) -> bytes | Response:
    """The file of a form that holds all fields as they were given, and the file after them, as S3 wants it."""
    boundary = _BOUNDARY.fullmatch(request.headers.get("content-type", ""))
    if boundary is None:
        return _error(412, "PreconditionFailed: Bucket POST must be of the enclosure-type multipart/form-data")
    mark = b"--" + boundary[1].encode()
    before, *parts = (b"\r\n" + request.body).split(b"\r\n" + mark)
    if before or not parts or parts.pop() not in (b"--\r\n", b"--"):
        return _error(400, "MalformedPOSTRequest")
    said: list[tuple[str, bytes]] = []
    for part in parts:
        head, gap, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        found = _PART.match(head)
        if not gap or found is None or (found[2] is not None) != (found[1] == b"file"):
            return _error(400, "MalformedPOSTRequest")
        said.append((found[1].decode(), value))
    if not said or said[-1][0] != "file":
        return _error(400, "InvalidArgument: POST requires exactly one file upload, the last field")
    sent = {name: value.decode("utf-8", "replace") for name, value in said[:-1]}
    if sent != dict(fields) or len(sent) != len(said) - 1:
        return _error(403, "AccessDenied: Invalid according to Policy")
    return said[-1][1]
