"""Serves an ASGI application on 127.0.0.1 with h11 and trio. Knows no page and no film.

Why not hypercorn or anycorn: decision 0018. A request is cancelled when its client has gone, and a client that does not
read keeps nobody from ending.
"""

import functools
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

import h11
import trio

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

HOST = "127.0.0.1"
READ_BYTES = 65_536
MOST_BODY_BYTES = 65_536
"""A choice and a note are far smaller."""
MOST_CONNECTIONS = 256
"""Held at once; those that come beyond them are closed. Fewer where the process may not open many files."""
IDLE_S = 75.0
"""How long a connection may say nothing between two requests."""


def listen(port: int) -> socket.socket:
    """A socket that listens on this machine only; 0: on a free port. Raises OSError."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # where it would let two programs listen on one port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
        made.listen(128)
    except BaseException:
        made.close()
        raise
    return made


def port_of(listening: socket.socket) -> int:
    """The port that it listens on."""
    return int(listening.getsockname()[1])


def most_connections() -> int:
    """How many are held at once: a quarter of the files that may be open; a video needs two, the ledger others."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(MOST_CONNECTIONS, max(8, files // 4))


async def serve(app: Application, listening: socket.socket) -> None:
    """Answer until cancelled. Closes the socket."""
    listening.setblocking(False)
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    held = trio.CapacityLimiter(most_connections())
    await trio.serve_listeners(functools.partial(_converse, app, held), [listener])


async def _converse(app: Application, held: trio.CapacityLimiter, stream: trio.SocketStream) -> None:
    try:
        held.acquire_nowait()
    except trio.WouldBlock:
        await trio.aclose_forcefully(stream)
        return
    try:
        await _Conversation(stream, app).run()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client has gone
    except Exception:  # noqa: BLE001 - one bad conversation must not end the others
        traceback.print_exc(file=sys.stderr)
    finally:
        held.release()
        await trio.aclose_forcefully(stream)


class _Conversation:
    """One connection: requests one after the other."""

    def __init__(self, stream: trio.SocketStream, app: Application) -> None:
        self._stream, self._app = stream, app
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        while True:
            try:
                request, body = await self._read()
            except h11.RemoteProtocolError as exc:
                await self._refuse(exc.error_status_hint or 400)
                return
            if request is None:
                return
            if not await self._answer(request, body):
                return
            self._http.start_next_cycle()

    async def _read(self) -> tuple[h11.Request | None, bytes]:
        """The next request, whole; None when there will be none. Raises h11.RemoteProtocolError."""
        with trio.move_on_after(IDLE_S):
            head = await self._next()
            if not isinstance(head, h11.Request):
                return None, b""
            body = bytearray()
            while not isinstance(event := await self._next(), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    return None, b""
                body += event.data
                if len(body) > MOST_BODY_BYTES:
                    raise h11.RemoteProtocolError("body too large", error_status_hint=413)
            return head, bytes(body)
        return None, b""

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(bytes(await self._stream.receive_some(READ_BYTES)))
        return event

    async def _answer(self, request: h11.Request, body: bytes) -> bool:
        """Whether the connection may be used again."""
        exchange = _Exchange(self._send, body, head=request.method == b"HEAD")
        scope, gone = _scope(request), False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_when_gone, nursery.cancel_scope)
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                gone = True
            except Exception:  # noqa: BLE001 - a bug in one answer must not end the server
                traceback.print_exc(file=sys.stderr)
            nursery.cancel_scope.cancel()
        if self._http.our_state is h11.SEND_RESPONSE and not gone:
            await self._refuse(500)
        return not gone and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _cancel_when_gone(self, scope: trio.CancelScope) -> None:
        """While a request is answered, the client says nothing more, or goes."""
        try:
            data = await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if data:
            self._http.receive_data(bytes(data))  # the next request, sent early
        else:
            self._http.receive_data(b"")
            scope.cancel()

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    async def _refuse(self, status: int) -> None:
        """Answer what can't be answered otherwise, if there still is somebody to answer."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [("content-length", "0"), ("connection", "close")]
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.EndOfMessage())


class _Exchange:
    """One request as ASGI sees it."""

    def __init__(self, send: Callable[[h11.Event], Awaitable[None]], body: bytes, *, head: bool) -> None:
        self._send_event, self._head = send, head
        self._body: bytes | None = body

    async def receive(self) -> Message:
        if self._body is None:
            await trio.sleep_forever()  # the application is cancelled when the client has gone
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
            await self._send_event(h11.Response(status_code=message["status"], headers=headers))
        elif message["type"] == "http.response.body":
            if (body := message.get("body", b"")) and not self._head:
                await self._send_event(h11.Data(data=bytes(body)))
            if not message.get("more_body", False):
                await self._send_event(h11.EndOfMessage())


def _scope(request: h11.Request) -> MutableMapping[str, Any]:
    target = bytes(request.target)
    raw_path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version.decode("ascii"),
        "method": request.method.decode("ascii"),
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(bytes(name).lower(), bytes(value)) for name, value in request.headers],
        "client": None,
        "server": None,
    }
