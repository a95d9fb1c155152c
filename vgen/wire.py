"""HTTP: sends a Call, streams a download; httpx's errors become ours. Knows no provider, decides no retry.

Creates go over a fresh connection each, are never repeated by the transport, and never follow a redirect. Media come
over a client of its own that holds no header, no cookie and no key, and connects only to addresses that were checked.
"""

import contextlib
import functools
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
import trio

from vgen.addresses import Blocked, Guarded, check_url, is_private
from vgen.errors import BlockedAddress, NoAnswer, NotSent, WireError
from vgen.providers.base import Call, Reply

MAX_REPLY_BYTES = 1 << 20
CONNECT_S = 10.0
STALL_S = 30.0
KEPT_OPEN_S = 30.0
"""So long a connection waits for another request; servers close theirs after a minute or more."""
MAX_REDIRECTS = 5
READ_BYTES = 1 << 18
"""So many bytes are read, hashed and written at a time: few enough to stay in a core's cache."""
TURN_BYTES = 4 << 20
"""A body no longer than this needs no worker thread; of a longer one a thread takes so much before others' turn."""
GATHERED_BYTES = 1 << 19
"""What is handed to a worker thread by itself is at least so long."""
WORKERS = 2
"""Threads that all downloads share. Each hashes about 1 GB/s; more of them would fight for the interpreter."""

_HEADERS = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("User-Agent", f"python-httpx/{httpx.__version__}"),
)
_PATIENCE = httpx.Timeout(STALL_S, connect=CONNECT_S, read=None, write=60.0).as_dict()
_BLANK_LINE = re.compile(rb"\n\r?\n")  # ends a head, as h11 reads it
_SENT_NOTHING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

Piece = bytes | memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An open download: status and headers (lower case) are here, `pour` brings the bytes."""

    status: int
    headers: Mapping[str, str]
    _response: httpx.Response
    _workers: trio.CapacityLimiter

    async def pour(self, put: Callable[[Piece], None]) -> None:
        """Hand all bytes to `put`, in order; of a long body in worker threads, one call at a time.

        `put` keeps no view. Raises httpx's errors, which `Wire.download` translates, and what `put` raises.
        """
        if body := _plain_body(self._response):
            await self._drain(body, put)
            return
        size = gathered = 0
        held: list[bytes] = []
        try:
            async for chunk in self._response.aiter_raw():
                size += len(chunk)
                gathered += len(chunk)
                held.append(chunk)
                if gathered >= GATHERED_BYTES:
                    whole, held, gathered = b"".join(held), [], 0
                    if size <= TURN_BYTES:
                        put(whole)
                    else:
                        await trio.to_thread.run_sync(put, whole, limiter=self._workers)
        finally:
            if held:
                put(b"".join(held))

    async def _drain(self, body: "_PlainBody", put: Callable[[Piece], None]) -> None:
        """Read, hash and write in one go, past trio, httpcore and h11: none of the three holds the interpreter."""
        put(body.begun)
        size = len(body.begun)
        with socket.fromfd(body.socket.fileno(), body.socket.family, body.socket.type) as door:
            door.setblocking(False)
            while size < body.length:
                with trio.move_on_after(STALL_S) as patience:
                    await trio.lowlevel.wait_readable(body.socket)
                if patience.cancelled_caught:
                    raise httpx.ReadTimeout("")
                size += await trio.to_thread.run_sync(_take, door, put, body.length - size, limiter=self._workers)


@dataclass(slots=True)
class Wire:
    """The open clients of one run. `network`: where connections lead; None is the real network."""

    now: Callable[[], float]
    network: httpcore.AsyncNetworkBackend | None = None
    _creates: httpx.AsyncHTTPTransport = field(init=False)
    _reads: httpx.AsyncHTTPTransport = field(init=False)
    _media: httpx.AsyncClient = field(init=False)
    _private_media: httpx.AsyncClient = field(init=False)
    _workers: trio.CapacityLimiter = field(init=False)

    async def __aenter__(self) -> Self:
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)  # at INFO httpx logs URLs with their query
        tls = ssl.create_default_context()
        self._creates = _transport(tls, self.network, keep=0)
        self._reads = _transport(tls, self.network, keep=20)
        self._media = _client(tls, self.network or Guarded())
        self._private_media = _client(tls, self.network)
        self._workers = trio.CapacityLimiter(WORKERS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for door in (self._creates, self._reads, self._media, self._private_media):
            await door.aclose()

    async def send(self, call: Call, *, timeout_s: float) -> Reply:
        """One request, one whole answer. Raises NotSent (it never left) or NoAnswer (it may have been acted upon).

        Straight to the transport: redirects, cookies and auth, which httpx's client adds, are what is not wanted here.
        """
        transport = self._creates if call.step == "create" else self._reads
        headers = [*_HEADERS, *call.headers]
        try:
            request = httpx.Request(
                call.method, _url(call.url), headers=headers, content=call.body, extensions={"timeout": _PATIENCE}
            )
        except httpx.InvalidURL as exc:
            raise NotSent(f"not a URL that can be asked: {_reason(exc)}") from exc
        request.headers["Authorization"] = call.auth
        try:
            with trio.fail_after(timeout_s):  # httpx has no total time-out: one byte a second would last for ever
                response = await transport.handle_async_request(request)
                try:
                    body = await _whole(response)
                finally:
                    with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                        await response.aclose()
        except trio.TooSlowError as exc:
            raise NoAnswer(f"no answer within {timeout_s:g} s") from exc
        except _SENT_NOTHING as exc:
            raise NotSent(f"no connection to {_host(call.url)}: {_reason(exc)}") from exc
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as exc:
            raise NoAnswer(f"the answer was lost: {_reason(exc)}") from exc
        return Reply(status=response.status_code, headers=_lower(response.headers), body=body, at=self.now())

    @contextlib.asynccontextmanager
    async def download(self, url: str, base_url: str, headers: Mapping[str, str]) -> AsyncIterator[Download]:
        """GET a media URL, without any key. Redirects are followed by hand, each checked as the first.

        Raises BlockedAddress, or WireError for everything that went wrong on the way.
        """
        try:
            for _ in range(MAX_REDIRECTS + 1):
                private = is_private(base_url) and is_private(url)
                check_url(url, private=private)
                client = self._private_media if private else self._media
                asked = {"Accept-Encoding": "identity", **headers}
                async with client.stream("GET", url, headers=asked) as response:
                    if response.is_redirect:
                        url = urljoin(url, response.headers.get("location", ""))
                        continue
                    if response.headers.get("content-encoding", "identity") != "identity":
                        raise WireError(f"{_host(url)} sent an encoding that was not asked for")
                    yield Download(
                        status=response.status_code,
                        headers=_lower(response.headers),
                        _response=response,
                        _workers=self._workers,
                    )
                    return
            raise BlockedAddress(f"{_host(url)}: more than {MAX_REDIRECTS} redirects")
        except httpx.HTTPError as exc:
            if isinstance(exc.__cause__, Blocked):
                raise BlockedAddress(f"blocked download address at {exc.__cause__}") from None
            raise WireError(f"the download from {_host(url)} broke: {_reason(exc)}") from exc
        except (httpx.InvalidURL, httpx.StreamError) as exc:
            raise WireError(f"the download broke: {_reason(exc)}") from exc


class _PlainBody(NamedTuple):
    """A long body of known length that comes unencrypted over a socket; `begun` is what is here already."""

    socket: trio.socket.SocketType
    length: int
    begun: bytes


def _plain_body(response: httpx.Response) -> _PlainBody | None:
    stream = response.extensions["network_stream"]
    length = int(response.headers.get("content-length", 0))
    source = stream.get_extra_info("socket")
    if source is None or response.url.scheme != "http" or "transfer-encoding" in response.headers:
        return None
    return _PlainBody(source, length, stream.ahead) if stream.head_only and length > TURN_BYTES else None


def _take(door: socket.socket, put: Callable[[Piece], None], rest: int) -> int:
    """Hand over what has come, up to TURN_BYTES. Raises httpx.ReadError, httpx.RemoteProtocolError."""
    view = memoryview(bytearray(READ_BYTES))
    wanted = min(rest, TURN_BYTES)
    took = 0
    while took < wanted:
        try:
            count = door.recv_into(view[: wanted - took])
        except BlockingIOError:
            break
        except OSError as exc:
            raise httpx.ReadError(str(exc)) from exc
        if not count:
            raise httpx.RemoteProtocolError(f"closed {rest - took:,} bytes before its end")
        put(view[:count])
        took += count
    return took


class _Wide(httpcore.AsyncNetworkBackend):
    """Connections that hand over a head by itself, and of a body all that has come: httpcore asks for 64 KiB."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _WideStream(await self._inner.connect_tcp(*args, **kwargs))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class _WideStream(httpcore.AsyncNetworkStream):
    """`ahead`: what came behind the first head; `head_only`: httpcore has read that head, and nothing after it."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._head: bytearray | None = bytearray()
        self.ahead = b""
        self.head_only = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.head_only = False
        if self.ahead:
            data, self.ahead = self.ahead, b""
            return data
        data = await self._inner.read(max(max_bytes, READ_BYTES), timeout)
        if self._head is not None:
            known = len(self._head)
            self._head += data
            if blank := _BLANK_LINE.search(self._head, max(0, known - 2)):
                end = blank.end() - known
                data, self.ahead = data[:end], data[end:]
                self._head, self.head_only = None, True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return _WideStream(await self._inner.start_tls(*args, **kwargs))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Connections(httpcore.AsyncConnectionPool):
    """A connection for one request at a time; up to `keep` wait for the next one to the same origin, none to repeat.

    httpcore's own pool looks at all connections and requests whenever one begins or ends: 1,000 at once are 10⁶ looks.
    """

    def __init__(self, tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None, keep: int) -> None:
        super().__init__()
        self._tls, self._network, self._keep = tls, network, keep
        self._idle: list[httpcore.AsyncHTTPConnection] = []

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        if request.url.scheme not in (b"http", b"https"):
            raise httpcore.UnsupportedProtocol(f"{request.url.scheme!r} is not HTTP")
        connection = await self._connection(request.url.origin)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._over(connection)
            raise
        return httpcore.Response(
            response.status,
            headers=response.headers,
            content=_Body(response.stream, lambda: self._over(connection)),
            extensions=response.extensions,
        )

    async def _connection(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        for connection in reversed(self._idle):
            if connection.can_handle_request(origin):
                self._idle.remove(connection)
                if connection.is_idle() and not connection.has_expired():
                    return connection
                await _close(connection)
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._tls, network_backend=self._network, keepalive_expiry=KEPT_OPEN_S
        )

    async def _over(self, connection: httpcore.AsyncHTTPConnection) -> None:
        """A request is over; the connection is kept if both sides have said all, and there is room."""
        if connection.is_idle() and not connection.is_closed() and len(self._idle) < self._keep:
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


async def _close(connection: httpcore.AsyncHTTPConnection) -> None:
    with trio.CancelScope(shield=True):
        await connection.aclose()


def _transport(
    tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None, *, keep: int
) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, retries=0)
    transport._pool = _Connections(tls, network, keep)  # httpx has no public way to name a network
    return transport


def _client(tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None) -> httpx.AsyncClient:
    timeout = httpx.Timeout(STALL_S, connect=CONNECT_S, write=60.0)
    transport = _transport(tls, _Wide(network or httpcore.TrioBackend()), keep=0)
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    plain = "content-encoding" not in response.headers
    stream = response.stream if plain else response.aiter_bytes(1 << 16)
    assert isinstance(stream, AsyncIterable), "BUG: a body that can't be awaited"
    async for chunk in stream:
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise httpx.DecodingError(f"more than {MAX_REPLY_BYTES} bytes of answer")
    return bytes(body)


_url = functools.lru_cache(maxsize=4096)(httpx.URL)
"""A job is asked about many times at one address."""


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _host(url: str) -> str:
    return urlsplit(url).hostname or "nowhere"


def _reason(exc: Exception) -> str:
    text = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return re.sub(r"https?://\S+", "…", text)[:200]
