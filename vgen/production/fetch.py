"""Downloads over real sockets: trio waits, and a few threads decrypt, hash and write what has come (decision 0016).

A thread never waits for a server: it takes what is there and comes back. So two are enough for any number of
downloads, a silent server holds none, and a cancelled one ends as soon as its thread has put away what it had.
"""

import base64
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import h11
import httpcore
import httpx
import trio

from vgen.production.source import Answer, Broken, Piece, lower
from vgen.production.ssrf_guard import Blocked, is_private

THREADS = 2
"""All downloads share them: about 350 MB/s each. Four are no faster on two cores, and the event loop waits longer."""
PIECE_BYTES = 1 << 18
"""Hashed and written at once: long enough that the interpreter is free meanwhile."""
TURN_BYTES = 4 << 20
"""After so much it is the turn of the next download that has something to read."""
GATHER_S = 0.05
"""After a turn that did not fill a piece, more is let come: a turn costs as much however little it brings."""
HEAD_BYTES = 100 << 10
"""A head that is longer is none, as in httpcore."""

_WAITS = (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError)
_NO_WAY = (httpcore.NetworkError, httpcore.TimeoutException)


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a connection leads: host and port, and by which proxy ("": straight)."""

    host: str
    port: int
    proxy: str


class _Desk:
    """The threads that all downloads share, and a place for each to put what it reads."""

    def __init__(self) -> None:
        self.threads = trio.CapacityLimiter(THREADS)
        self._rooms = [bytearray(PIECE_BYTES) for _ in range(THREADS)]

    @contextlib.contextmanager
    def room(self) -> Iterator[memoryview]:
        """In a thread: PIECE_BYTES for the time of a turn."""
        room = self._rooms.pop()
        try:
            yield memoryview(room)
        finally:
            self._rooms.append(room)


class Sockets:
    """A `Source` over sockets of this machine. Plain http goes to a proxy only if that is on this machine too."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext,
        guarded: httpcore.AsyncNetworkBackend,
        proxy: str,
        connect_s: float,
        stall_s: float,
    ) -> None:
        tls.set_alpn_protocols(["http/1.1"])
        self._tls, self._guarded, self._proxy = tls, guarded, proxy
        self._open = httpcore.TrioBackend()
        self._connect_s, self._stall_s = connect_s, stall_s
        self._desk = _Desk()

    @contextlib.asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str], *, private: bool) -> AsyncIterator[Answer]:
        target = httpx.URL(url)
        over_tls = target.scheme == "https"
        way = _Way(
            target.raw_host.decode("ascii"),
            target.port or (443 if over_tls else 80),
            self._proxy if over_tls or is_private(self._proxy) else "",
        )
        line = _Line(await self._connected(way, private=private), self._stall_s)
        try:
            if over_tls:
                if way.proxy:
                    await self._tunnel(line, way)
                await line.encrypt(self._tls, way.host, self._desk, self._connect_s)
            whole = b"http://" + target.netloc + target.raw_path  # as a proxy wants it
            asked = [
                ("Host", target.netloc.decode("ascii")),
                ("Accept", "*/*"),
                ("Connection", "close"),
                ("User-Agent", f"python-httpx/{httpx.__version__}"),
                *headers.items(),
                *([] if over_tls else _credentials(way.proxy)),
            ]
            head = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
            response = await line.ask(head, "GET", target.raw_path if over_tls or not way.proxy else whole, asked)
            yield _Fetched(line, head, response, self._desk)
        finally:
            line.close()

    async def _connected(self, way: _Way, *, private: bool) -> socket.socket:
        """A connection to the proxy, or to an address that was checked."""
        network, host, port = self._open if private else self._guarded, way.host, way.port
        if way.proxy:
            parts = urlsplit(way.proxy)
            network, host, port = self._open, parts.hostname or "", parts.port or 80
        try:
            stream = await network.connect_tcp(host, port, timeout=self._connect_s)
        except Blocked as exc:
            raise Broken(str(exc)) from exc
        except _NO_WAY as exc:
            raise Broken(f"no connection: {exc or type(exc).__name__}") from exc
        mine = socket.socket(fileno=stream.get_extra_info("socket").detach())
        mine.setblocking(False)
        return mine

    async def _tunnel(self, line: "_Line", way: _Way) -> None:
        host = f"[{way.host}]" if ":" in way.host else way.host
        there = f"{host}:{way.port}"
        asked = [("Host", there), ("Accept", "*/*"), *_credentials(way.proxy)]
        head = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        response = await line.ask(head, "CONNECT", there, asked)
        if not 200 <= response.status_code <= 299 or head.trailing_data[0]:
            said = f"{response.status_code} {response.reason.decode('ascii', 'replace')}"
            raise Broken(f"no way through the proxy: {said}")


def _credentials(proxy: str) -> list[tuple[str, str]]:
    """What the proxy wants to know, if it does."""
    parts = urlsplit(proxy)
    if not parts.username:
        return []
    who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return [("Proxy-Authorization", f"Basic {base64.b64encode(who.encode()).decode('ascii')}")]


class _Line:
    """A socket that does not block, and its patience."""

    def __init__(self, plain: socket.socket, stall_s: float) -> None:
        self.socket, self._stall_s = plain, stall_s

    def close(self) -> None:
        trio.lowlevel.notify_closing(self.socket)
        self.socket.close()

    async def ready(self, why: OSError, *, sending: bool = False, patience_s: float | None = None) -> None:
        """Until the socket can do what it could not. Raises Broken if the server does nothing for too long."""
        writes = isinstance(why, ssl.SSLWantWriteError) or (sending and isinstance(why, BlockingIOError))
        patience_s = self._stall_s if patience_s is None else patience_s
        try:
            with trio.fail_after(patience_s):
                await (trio.lowlevel.wait_writable if writes else trio.lowlevel.wait_readable)(self.socket)
        except trio.TooSlowError as exc:
            raise Broken(f"nothing came for {patience_s:g} s") from exc

    async def encrypt(self, tls: ssl.SSLContext, host: str, desk: _Desk, patience_s: float) -> None:
        """TLS, with a certificate for this host. The work of it is done in a thread: it takes milliseconds."""
        try:
            encrypted = tls.wrap_socket(self.socket, server_hostname=host, do_handshake_on_connect=False)
            self.socket = encrypted
            while True:
                try:
                    return await trio.to_thread.run_sync(encrypted.do_handshake, limiter=desk.threads)
                except _WAITS as exc:
                    await self.ready(exc, patience_s=patience_s)
        except ssl.SSLCertVerificationError as exc:
            raise Broken(f"its certificate is not good: {exc.verify_message}") from exc
        except (OSError, ValueError) as exc:
            raise Broken(f"no TLS: {exc}") from exc

    async def ask(
        self, head: h11.Connection, method: str, target: str | bytes, headers: Sequence[tuple[str, str]]
    ) -> h11.Response:
        """Send it and wait for the head of the answer; what came of the body with it is in `head`."""
        try:
            request = h11.Request(method=method, target=target, headers=list(headers))
            sent = (head.send(request) or b"") + (head.send(h11.EndOfMessage()) or b"")
            with contextlib.suppress(OSError):  # who closes early may have said why
                await self._send(sent)
            while True:
                event = head.next_event()
                if isinstance(event, h11.Response):
                    return event
                if event is h11.NEED_DATA:
                    data = await self._receive()
                    if not data and head.their_state is h11.SEND_RESPONSE:
                        raise Broken("it was closed without an answer")
                    head.receive_data(data)
        except h11.ProtocolError as exc:
            raise Broken(str(exc)) from exc
        except OSError as exc:
            raise Broken(str(exc) or type(exc).__name__) from exc

    async def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[self.socket.send(data) :]
            except _WAITS as exc:
                await self.ready(exc, sending=True)

    async def _receive(self) -> bytes:
        while True:
            try:
                return self.socket.recv(1 << 16)
            except _WAITS as exc:
                await self.ready(exc)


class _Fetched:
    """An `Answer` whose body is on a socket."""

    def __init__(self, line: _Line, head: h11.Connection, response: h11.Response, desk: _Desk) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = lower(httpx.Headers(list(response.headers)))
        self._line, self._head, self._desk = line, head, desk

    async def pour(self, put: Callable[[Piece], None]) -> None:
        body = _Body(self._line.socket, self._head, self.headers, put)
        while not body.over:
            wanting = await trio.to_thread.run_sync(body.turn, self._desk, limiter=self._desk.threads)
            if wanting is None:
                continue
            if body.took < PIECE_BYTES:
                await trio.sleep(GATHER_S)
            await self._line.ready(wanting)


class _Closed(ConnectionError):
    """The other side has said all that it will."""


class _Body:
    """A body on its way from a socket to `put`, in turns; a turn that has begun is waited for, cancelled or not."""

    def __init__(
        self, sock: socket.socket, head: h11.Connection, headers: Mapping[str, str], put: Callable[[Piece], None]
    ) -> None:
        self.over, self.took = False, 0
        self._socket, self._put = sock, put
        self._chunks = head if "transfer-encoding" in headers else None
        length = headers.get("content-length")
        self._left = int(length) if length and self._chunks is None else None
        self._early = head.trailing_data[0] if self._chunks is None else b""

    def turn(self, desk: _Desk) -> OSError | None:
        """Take what has come, up to TURN_BYTES. What the socket waits for, None: there may be more. Raises Broken."""
        self._take(self._early if self._left is None else self._early[: self._left])
        self._early, self.took = b"", 0
        with desk.room() as room:
            for _ in range(TURN_BYTES // PIECE_BYTES):
                if self.over:
                    break
                size, end = self._fill(room if self._left is None else room[: self._left])
                self._take(room[:size])
                self.took += size
                if self.over or end is None:
                    continue
                if isinstance(end, _WAITS):
                    return end
                self._end(end)
        return None

    def _fill(self, room: memoryview) -> tuple[int, OSError | None]:
        """How many bytes came, and what kept the rest from coming: _Closed if that was the end."""
        size = 0
        try:
            while size < len(room):
                if not (came := self._socket.recv_into(room[size:])):
                    return size, _Closed()
                size += came
        except OSError as exc:
            return size, exc
        return size, None

    def _take(self, data: Piece) -> None:
        if self._chunks is None:
            if data:
                self._put(data)
            if self._left is not None:
                self._left -= len(data)
                self.over = not self._left
            return
        if data:
            self._chunks.receive_data(bytes(data))
        self._unwrap(self._chunks)

    def _unwrap(self, chunks: h11.Connection) -> None:
        try:
            while (event := chunks.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Data):
                    self._put(event.data)
                else:
                    self.over = True
                    return
        except h11.ProtocolError as exc:
            raise Broken(str(exc)) from exc

    def _end(self, why: OSError) -> None:
        """The connection is at its end; that may be the body's end too. Raises Broken if not."""
        if not isinstance(why, _Closed):
            raise Broken(str(why) or type(why).__name__) from why
        if self._left is not None:
            raise Broken(f"it was closed {self._left:,} bytes before the end")
        if self._chunks is not None:
            raise Broken("it was closed before the last chunk")
        self.over = True
