"""The request and response values between the wire and the protocols. Knows no provider and opens nothing."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from sys import intern
from typing import Any
from urllib.parse import parse_qs, unquote

HTML_PAGE = b"<html>\r\n<head><title>%s</title></head>\r\n<body><center><h1>%s</h1></center></body>\r\n</html>\r\n"


class WireFault(StrEnum):
    """How the wire spoils a response."""

    RESET = "reset"  # nothing is sent, the connection is reset
    CLOSE = "close"  # nothing is sent, the connection is closed
    HANG = "hang"  # nothing is ever sent
    CUT = "cut"  # Content-Length of the whole, half of the body, closed
    CUT_NOLEN = "cut_nolen"  # no Content-Length, half of the body, closed
    STALL = "stall"  # Content-Length of the whole, half of the body, then nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request. Header names are lower case; `path` is decoded; `origin` is scheme://host[:port]."""

    method: str
    target: str
    origin: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def path(self) -> str:
        path = self.target.partition("?")[0]
        _, absolute, rest = path.partition("://")
        return unquote("/" + rest.partition("/")[2] if absolute else path)

    @property
    def query(self) -> dict[str, str]:
        """The query's last value of each name."""
        return {name: values[-1] for name, values in parse_qs(self.target.partition("?")[2]).items()}

    @property
    def queries(self) -> dict[str, list[str]]:
        """All values of each name in the query, empty ones too."""
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        try:
            return json.loads(self.body, object_pairs_hook=_object)
        except RecursionError as exc:
            raise ValueError("too deep") from exc


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """All bodies have the same few names: each is kept once."""
    return {intern(name): value for name, value in pairs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP response, whole; `wire` says how it will be spoilt on its way."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    wire: WireFault | None = None

    def json(self) -> Any:
        return json.loads(self.body)

    def spoilt(self, wire: WireFault) -> "Response":
        return replace(self, wire=wire)


def answer(status: int, value: Any, *headers: tuple[str, str]) -> Response:
    """A JSON response."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")
    return Response(status=status, headers=(("content-type", "application/json"), *headers), body=body)


def page(status: int, title: str) -> Response:
    """What a gateway in front of the provider says: HTML, not the provider's own words."""
    text = title.encode()
    return Response(
        status=status,
        headers=(("content-type", "text/html"), ("server", "nginx")),
        body=HTML_PAGE % (text, text),
    )


def nothing(wire: WireFault) -> Response:
    """No answer at all, in the manner that `wire` says."""
    return Response(status=200, wire=wire)
