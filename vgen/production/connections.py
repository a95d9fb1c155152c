"""A connection pool whose cost does not grow with the number of requests in flight."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpcore
import trio

from vgen.production import http_compat
from vgen.production.ssrf_guard import is_private

UNSENT = "unsent"
"""Extension of a request: a list, not empty if it never left, whatever ended it, its sender's own time-out too."""
_BROKEN = (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.ProxyError)


class Connections(httpcore.AsyncConnectionPool):
    """A connection for one request at a time, through `proxy` if there is one.

    Plain http is for providers on this machine only, so it goes to a proxy only if that is on this machine too: another
    one would read the key, and look for the provider on its own machine.

    Up to `keep` wait for the next request to the same origin, none to repeat one. httpcore's own pool looks at all
    connections and requests whenever one begins or ends: 1,000 at once are 10⁶ looks.
    """

    def __init__(
        self, tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None, keep: int, proxy: str = ""
    ) -> None:
        super().__init__()
        self._tls, self._network, self._keep = tls, network, keep
        self._way = http_compat.proxy_at(proxy, tls) if proxy else None
        self._way_is_here = is_private(proxy)
        self._idle: list[http_compat.Connection] = []

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        if request.url.scheme not in (b"http", b"https"):
            raise httpcore.UnsupportedProtocol(f"{request.url.scheme!r} is not HTTP")
        connection = await self._connection(request.url.origin)
        try:
            response = await connection.handle_async_request(request)
        except BaseException as exc:
            unsent = http_compat.never_left(connection)
            if unsent and UNSENT in request.extensions:
                request.extensions[UNSENT].append(True)
            await self._over(connection)
            if unsent and isinstance(exc, _BROKEN):
                raise httpcore.ConnectError(f"no way through the proxy: {exc or type(exc).__name__}") from exc
            raise
        return httpcore.Response(
            response.status,
            headers=response.headers,
            content=_Body(response.stream, lambda: self._over(connection)),
            extensions=response.extensions,
        )

    async def _connection(self, origin: httpcore.Origin) -> http_compat.Connection:
        for connection in reversed(self._idle):
            if http_compat.leads_to(connection, origin):
                self._idle.remove(connection)
                if http_compat.is_still_good(connection):
                    return connection
                await _close(connection)
        if self._way is not None and (origin.scheme == b"https" or self._way_is_here):
            return http_compat.through(self._way, origin)
        return http_compat.new_connection(origin, self._tls, self._network)

    async def _over(self, connection: http_compat.Connection) -> None:
        """A request is over; the connection is kept if both sides have said all, and there is room."""
        if http_compat.is_reusable(connection) and len(self._idle) < self._keep:
            self._idle.append(connection)
        else:
            await _close(connection)

    async def aclose(self) -> None:
        while self._idle:
            await _close(self._idle.pop())


class _Body:
    """The body of an answer; who has read it, or will not, closes it."""

    def __init__(self, stream: Any, over: Callable[[], Awaitable[None]]) -> None:
        self._stream, self._over = stream, over
        self._open = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        body: AsyncIterator[bytes] = aiter(self._stream)
        return body

    async def aclose(self) -> None:
        if self._open:
            self._open = False
            with trio.CancelScope(shield=True):
                await self._stream.aclose()
            await self._over()


async def _close(connection: http_compat.Connection) -> None:
    with trio.CancelScope(shield=True):
        await connection.aclose()
