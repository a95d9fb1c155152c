"""Serves an application over any stream with h11, spoilt as its responses ask. Knows no provider."""

import re
import socket
import struct
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

import h11
import trio

from vgen.simulator.storage import PATH as STORED
from vgen.simulator.web import Request, Response, WireFault

Application = Callable[[Request], Awaitable[Response]]

CHUNK_BYTES = 65_536
MOST_BODY_BYTES = 32 * 1024 * 1024
MOST_UPLOAD_BYTES = 224 * 1024 * 1024
_HOST = re.compile(r"[A-Za-z0-9.\-_]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?")


@runtime_checkable
class Resettable(Protocol):
    """A stream that can be broken off, so that the other end sees a reset."""

    def reset(self) -> None: ...


async def serve_stream(stream: trio.abc.Stream, app: Application, *, scheme: str = "http") -> None:
    """Answer the requests that come over `stream` until either side closes it. Closes it."""
    try:
        await _Conversation(stream, app, scheme).run()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the client has gone
    finally:
        await trio.aclose_forcefully(stream)


async def serve_tcp(
    app: Application,
    host: str,
    port: int,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `app` until cancelled. Reports the real port when it listens. Raises OSError if it can't."""

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await serve_stream(stream, app)
        except Exception:  # noqa: BLE001 - one bad conversation must not end the others
            traceback.print_exc(file=sys.stderr)

    listeners = await trio.open_tcp_listeners(port, host=host)
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(serve, listeners)


class _Conversation:
    """One connection: requests one after the other."""

    def __init__(self, stream: trio.abc.Stream, app: Application, scheme: str) -> None:
        self._stream = stream
        self._app = app
        self._scheme = scheme
        self._http = h11.Connection(h11.SERVER)

    async def run(self) -> None:
        while True:
            try:
                request = await self._read()
            except h11.RemoteProtocolError as exc:
                await self._refuse(exc)
                return
            if request is None:
                return
            response = await self._app(request)
            if not await self._answer(response, head=request.method == "HEAD"):
                return
            self._http.start_next_cycle()

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # NEED_DATA is ruled out
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(bytes(await self._stream.receive_some(CHUNK_BYTES)))

    async def _read(self) -> Request | None:
        """The next request, whole; None when there will be none. Raises h11.RemoteProtocolError."""
        head = await self._next()
        if not isinstance(head, h11.Request):
            return None
        body = bytearray()
        most = MOST_UPLOAD_BYTES if head.target.startswith(STORED.encode()) else MOST_BODY_BYTES
        while not isinstance(event := await self._next(), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                return None
            body += event.data
            if len(body) > most:
                raise h11.RemoteProtocolError("body too large", error_status_hint=413)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        host = headers.get("host", "")
        return Request(
            method=head.method.decode("ascii"),
            target=head.target.decode("ascii", "replace"),
            origin=f"{self._scheme}://{host if _HOST.fullmatch(host) else 'localhost'}",
            headers=headers,
            body=bytes(body),
        )

    async def _answer(self, response: Response, *, head: bool) -> bool:
        """Send it, as spoilt as it asks. Whether the connection may be used again."""
        match response.wire:
            case None:
                await self._send_whole(response, head=head)
                return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
            case WireFault.RESET:
                reset(self._stream)
            case WireFault.CLOSE:
                pass
            case WireFault.HANG:
                await self._hang()
            case WireFault.CUT | WireFault.CUT_NOLEN | WireFault.STALL as wire:
                await self._send_half(response, length=wire is not WireFault.CUT_NOLEN)
                if wire is WireFault.STALL:
                    await self._hang()
                elif isinstance(self._stream, trio.abc.HalfCloseableStream):
                    await self._stream.send_eof()
        return False

    async def _send_whole(self, response: Response, *, head: bool) -> None:
        length = [] if response.status in (204, 304) else [("content-length", str(len(response.body)))]
        await self._send(h11.Response(status_code=response.status, headers=[*response.headers, *length]))
        for start in range(0, 0 if head else len(response.body), CHUNK_BYTES):
            await self._send(h11.Data(data=response.body[start : start + CHUNK_BYTES]))
        await self._send(h11.EndOfMessage())

    async def _send_half(self, response: Response, *, length: bool) -> None:
        """Head and half of the body. Written by hand: h11 rightly refuses to break a promise."""
        size = [("content-length", str(len(response.body)))] if length else [("connection", "close")]
        lines = [
            f"HTTP/1.1 {response.status} ",
            *(f"{name}: {value}" for name, value in (*response.headers, *size)),
        ]
        await self._stream.send_all("\r\n".join([*lines, "", ""]).encode("latin-1"))
        await self._stream.send_all(response.body[: len(response.body) // 2])

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send_all(data)

    async def _hang(self) -> None:
        """Say nothing until the client gives up."""
        while await self._stream.receive_some(CHUNK_BYTES):
            pass

    async def _refuse(self, exc: h11.RemoteProtocolError) -> None:
        """Answer what is no HTTP, if there still is somebody to answer."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [("content-length", "0"), ("connection", "close")]
        await self._send(h11.Response(status_code=exc.error_status_hint or 400, headers=headers))
        await self._send(h11.EndOfMessage())


def reset(stream: trio.abc.Stream) -> None:
    """Make the coming close a reset, where the stream can."""
    match stream:
        case trio.SocketStream():
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        case Resettable():
            stream.reset()
        case _:
            pass
