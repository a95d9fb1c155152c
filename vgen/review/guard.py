"""Who may ask the review's server: whoever has its token, and only its own page."""

import secrets
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from vgen.review.server import HOST, Application, Message, Receive, Send

TOKEN_BYTES = 32
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
)
"""Of every answer that does not say otherwise."""


def new_token() -> str:
    """The secret of one review."""
    return secrets.token_urlsafe(TOKEN_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """The rules of one review, on its port."""

    app: Application
    port: int
    token: str

    @property
    def address(self) -> str:
        """What the user opens."""
        return f"http://{HOST}:{self.port}/?token={self.token}"

    @property
    def cookie(self) -> str:
        """Its name: cookies know no ports, and two reviews may run."""
        return f"vgen_review_{self.port}"

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI. Answers 403 in one line, or lets the application answer."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        query = parse_qs(scope["query_string"].decode("latin-1"))
        if why := self.refusal(headers, query):
            body = f"{why}\n".encode()
            plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": [*plain, *HEADERS]})
            await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})
            return
        first = self._is(*query.get("token", ()))
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict".encode()

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {bytes(name).lower() for name, _ in message["headers"]}
                more = [(name, value) for name, value in HEADERS if name not in said]
                more += [(b"set-cookie", cookie)] if first else []
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self.app(scope, receive, send_guarded)

    def refusal(self, headers: Iterable[tuple[bytes, bytes]], query: Mapping[str, list[str]]) -> str:
        """Why a request is refused, in words; "" if it is not."""
        found: dict[str, list[str]] = {}
        for name, value in headers:
            found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        if found.get("host") not in self._own(""):
            return f"this review answers only as {HOST}:{self.port}"
        if "origin" in found and found["origin"] not in self._own("http://"):
            return "this review answers only to its own page"
        opened = self._is(*query.get("token", ()))
        if not opened and not {"same-origin", "none"}.issuperset(found.get("sec-fetch-site", ())):
            return "this review answers only to its own page"
        if not (opened or self._is(*found.get("x-vgen-token", ())) or self._is(*self._cookies(found))):
            return "open the address that `doit review` printed: it holds the token"
        return ""

    def _own(self, scheme: str) -> list[list[str]]:
        """How the server's own name may be spelled."""
        bare = [[f"{scheme}{HOST}"]] if self.port == 80 else []
        return [[f"{scheme}{HOST}:{self.port}"], *bare]

    def _is(self, *given: str) -> bool:
        """Whether one of them is the token, in constant time."""
        return any(secrets.compare_digest(one.encode(), self.token.encode()) for one in given)

    def _cookies(self, found: Mapping[str, list[str]]) -> list[str]:
        cookies = []
        for text in found.get("cookie", ()):
            try:
                jar = SimpleCookie(text)
            except CookieError:
                continue
            cookies += [jar[self.cookie].value] if self.cookie in jar else []
        return cookies
