"""HTTP: sends a Call, streams a download, uploads a file; httpx's errors become ours. Knows no provider, never retries.

Creates go over a fresh connection each, are never repeated by the transport, and never follow a redirect. Media come
over a client of its own that holds no header, no cookie and no key, and connects only to addresses that were checked.
"""

import contextlib
import functools
import logging
import re
import ssl
import zlib
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
import trio

from vgen.errors import BlockedAddress, NoAnswer, NotSent, WireError
from vgen.production import http_compat
from vgen.production.connections import UNSENT, Connections
from vgen.production.fetch import Sockets
from vgen.production.source import Answer, Broken, Source, Streamed, lower
from vgen.production.ssrf_guard import Blocked, GuardedBackend, check_name, check_url, is_private
from vgen.providers.base import Call, Reply

MAX_REPLY_BYTES = 1 << 20
CONNECT_S = 10.0
STALL_S = 30.0
MAX_REDIRECTS = 5
UPLOAD_PIECE_BYTES = 1 << 18
OWN_DESCRIPTORS = 32
"""File descriptors of a run besides its connections: ledger, journal, log, slips, trio's own, ffprobe's pipes."""

_TOO_LONG = f"more than {MAX_REPLY_BYTES} bytes of answer"
_HEADERS = (
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("User-Agent", f"python-httpx/{httpx.__version__}"),
)
_PATIENCE = http_compat.as_extension(httpx.Timeout(STALL_S, connect=CONNECT_S, read=None, write=60.0))
_BROKEN = (Broken, httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
_SENT_NOTHING = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(slots=True)
class HttpClient:
    """The open clients of one run. `network`: where connections lead (None: the real network); `tls`: whom to trust.

    `proxy`: of the real network, for all requests; then it resolves names, and only names and addresses as they are
    written can be checked.
    """

    now: Callable[[], float]
    network: httpcore.AsyncNetworkBackend | None = None
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    public: httpcore.AsyncNetworkBackend | None = None
    """Where media of public hosts come from; None: `network`, or the real one behind the guard of addresses."""
    proxy: str = ""
    _creates: httpx.AsyncHTTPTransport = field(init=False)
    _reads: httpx.AsyncHTTPTransport = field(init=False)
    _media: httpx.AsyncClient = field(init=False)
    _private_media: httpx.AsyncClient = field(init=False)
    _source: Source = field(init=False)
    _room: trio.Semaphore = field(init=False)

    async def __aenter__(self) -> Self:
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)  # at INFO httpx logs URLs with their query
        tls = self.tls()
        room = _room() if self.network is None else 1 << 20
        self._room = trio.Semaphore(room)
        proxy = self.proxy if self.network is None else ""
        guarded = self.public or self.network or (None if proxy else GuardedBackend())
        self._creates = _transport(tls, self.network, keep=0, proxy=proxy)
        self._reads = _transport(tls, self.network, keep=min(20, room // 2), proxy=proxy)
        self._media = _client(tls, guarded, proxy)
        self._private_media = _client(tls, self.network, proxy)
        self._source = Streamed(public=self._media, private=self._private_media)
        if self.network is None and not proxy.startswith("https:"):  # TLS within TLS is for trio's streams
            self._source = Sockets(
                tls=tls, guarded=guarded or GuardedBackend(), proxy=proxy, connect_s=CONNECT_S, stall_s=STALL_S
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for door in (self._creates, self._reads, self._media, self._private_media):
            await door.aclose()

    async def send(self, call: Call, *, timeout_s: float) -> Reply:
        """One request, one whole answer. Raises NotSent (it never left) or NoAnswer (it may have been acted upon)."""
        async with self._room:
            return await self._send(call, timeout_s)

    async def _send(self, call: Call, timeout_s: float) -> Reply:
        """Straight to the transport: redirects, cookies and auth, which httpx's client adds, are not wanted here."""
        transport = self._creates if call.step == "create" else self._reads
        headers = [*_HEADERS, *call.headers]
        unsent: list[bool] = []
        more = {"timeout": _PATIENCE, UNSENT: unsent}
        try:
            request = httpx.Request(call.method, _url(call.url), headers=headers, content=call.body, extensions=more)
        except httpx.InvalidURL as exc:
            raise NotSent(f"not a valid URL: {_reason(exc)}") from exc
        if call.auth:
            request.headers[call.auth_header] = call.auth
        try:
            with trio.fail_after(timeout_s):  # httpx has no total time-out: one byte a second would last for ever
                response = await transport.handle_async_request(request)
                try:
                    body = await _whole(response)
                finally:
                    with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                        await response.aclose()
        except trio.TooSlowError as exc:
            if unsent:
                raise NotSent(f"no connection to {_host(call.url)}: no way from the proxy in {timeout_s:g} s") from exc
            raise NoAnswer(f"no answer within {timeout_s:g} s") from exc
        except _SENT_NOTHING as exc:
            raise NotSent(f"no connection to {_host(call.url)}: {_reason(exc)}") from exc
        except _BROKEN as exc:
            raise NoAnswer(f"the answer was lost: {_reason(exc)}") from exc
        return Reply(status=response.status_code, headers=lower(response.headers), body=body, at=self.now())

    async def upload(self, call: Call, base_url: str, *, timeout_s: float) -> Reply:
        """Send a file to a storage host, without any key, and follow no redirect. One whole answer.

        Raises BlockedAddress, or WireError for everything that went wrong on the way.
        """
        assert not call.auth, "BUG: a key for a storage host"
        private = is_private(base_url) and is_private(call.url)
        self._check(call.url, private=private, what="upload")
        client, body = self._private_media if private else self._media, call.body or b""
        headers = [*call.headers, ("Content-Length", str(len(body)))]
        try:
            with trio.fail_after(timeout_s):
                async with (
                    self._room,
                    client.stream(call.method, call.url, headers=headers, content=_pieces(body)) as response,
                ):
                    said = await _whole(response)
        except trio.TooSlowError as exc:
            raise WireError(f"{_host(call.url)} did not take it within {timeout_s:g} s") from exc
        except _BROKEN as exc:
            raise _broken(exc, "upload", call.url) from exc
        return Reply(status=response.status_code, headers=lower(response.headers), body=said, at=self.now())

    def _check(self, url: str, *, private: bool, what: str) -> None:
        check_url(url, private=private, what=what)
        if self.proxy and not private:
            check_name(url, what=what)

    @contextlib.asynccontextmanager
    async def download(self, url: str, base_url: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        """GET a media URL, without any key. Redirects are followed by hand, each checked as the first.

        Raises BlockedAddress, or WireError for everything that went wrong on the way.
        """
        async with self._room, self._download(url, base_url, headers) as answer:
            yield answer

    @contextlib.asynccontextmanager
    async def _download(self, url: str, base_url: str, headers: Mapping[str, str]) -> AsyncIterator[Answer]:
        asked = {"Accept-Encoding": "identity", **headers}
        try:
            for _ in range(MAX_REDIRECTS + 1):
                private = is_private(base_url) and is_private(url)
                self._check(url, private=private, what="download")
                async with self._source.get(url, asked, private=private) as answer:
                    if 300 <= answer.status <= 399:
                        url = _joined(url, answer.headers.get("location", ""))
                        continue
                    yield answer
                    return
            raise BlockedAddress(f"{_host(url)}: more than {MAX_REDIRECTS} redirects")
        except _BROKEN as exc:
            raise _broken(exc, "download", url) from exc


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as exc:
        raise Broken("it leads to an address that can't be read") from exc


def _broken(exc: Exception, what: str, url: str) -> WireError:
    """An upload or a download (`what`) that ended before its end."""
    if isinstance(exc, httpx.HTTPError | Broken) and isinstance(blocked := http_compat.cause(exc), Blocked):
        return BlockedAddress(f"blocked {what} address at {blocked}")
    return WireError(f"the {what} {'to' if what == 'upload' else 'from'} {_host(url)} broke: {_reason(exc)}")


def _room() -> int:
    """How many requests at once the process has file descriptors for: one for the connection, one for its file."""
    try:
        import resource
    except ImportError:
        return 1 << 10
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(2, (soft - OWN_DESCRIPTORS) // 3)


def _transport(
    tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None, *, keep: int, proxy: str
) -> httpx.AsyncHTTPTransport:
    return http_compat.transport_over(Connections(tls, network, keep, proxy), tls)


def _client(tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None, proxy: str) -> httpx.AsyncClient:
    timeout = httpx.Timeout(STALL_S, connect=CONNECT_S, write=60.0)
    transport = _transport(tls, network, keep=0, proxy=proxy)
    return httpx.AsyncClient(transport=transport, timeout=timeout, follow_redirects=False, trust_env=False)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    """So that each write has its own time-out, and a slow line is no stalled one."""
    for start in range(0, len(body), UPLOAD_PIECE_BYTES):
        yield body[start : start + UPLOAD_PIECE_BYTES]


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    stream = response.stream
    assert isinstance(stream, AsyncIterable), "BUG: a body that can't be awaited"
    async for chunk in stream:
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise httpx.DecodingError(_TOO_LONG)
    label = response.headers.get("content-encoding", "")
    return _unpacked(bytes(body), label) if label else bytes(body)


def _unpacked(body: bytes, label: str) -> bytes:
    """What a packed body holds. One that is not packed is as it is: no answer is lost because its label lies."""
    window = zlib.MAX_WBITS | 32  # gzip or zlib, by its first bytes
    if not body.startswith((b"\x1f\x8b\x08", b"\x78")):
        if "deflate" not in label.lower() or body[:1] in b'{[<"':
            return body
        window = -zlib.MAX_WBITS  # without any head, as some servers understand the word
    unpacker = zlib.decompressobj(window)
    try:
        plain = unpacker.decompress(body, MAX_REPLY_BYTES + 1)
    except zlib.error as exc:
        raise httpx.DecodingError(str(exc)) from exc
    if len(plain) > MAX_REPLY_BYTES:
        raise httpx.DecodingError(_TOO_LONG)
    if not unpacker.eof:
        raise httpx.DecodingError("a packed answer ends too early")
    return plain


_url = functools.lru_cache(maxsize=4096)(httpx.URL)
"""A job is asked about many times at one address."""


def _host(url: str) -> str:
    return urlsplit(url).hostname or "nowhere"


def _reason(exc: Exception) -> str:
    text = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return re.sub(r"https?://\S+", "…", text)[:200]
