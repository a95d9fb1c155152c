"""The simulated cloud as httpcore's network, over memory streams. Knows no sockets and no threads."""

import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import trio
import trio.testing

from vgen.providers import DEFAULT, protocol_at
from vgen.simulator.app import App
from vgen.simulator.server import serve_stream

HTTPS_PORT = 443

Refuse = Callable[[str, int], str | None]
"""Asked for every connection: None to let it be, `BLACK_HOLE`, or the words of a refusal."""

BLACK_HOLE = "black hole"
"""No answer to a connection, until the client gives up."""


class SimulatedNetwork(httpcore.AsyncNetworkBackend):
    """Give it to httpcore as `network_backend`.

    Every host is the simulator. Conversations run in `nursery`; cancel it when the client is closed. https
    URLs work too: port 443 plays TLS without doing it.
    """

    def __init__(self, *, nursery: trio.Nursery, app: App, refuse: Refuse | None = None) -> None:
        self._nursery = nursery
        self._app = app
        self._refuse = refuse

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        await trio.lowlevel.checkpoint()
        refusal = self._refuse(host, port) if self._refuse else None
        if refusal == BLACK_HOLE:
            with trio.move_on_after(_limit(timeout)):
                await trio.sleep_forever()
            raise httpcore.ConnectTimeout(f"{host}:{port}: no answer")
        protocol = protocol_at(f"https://{host}") or DEFAULT
        if refusal or self._app.cloud.faults.pick("connect_refused", protocol, host):
            raise httpcore.ConnectError(refusal or f"{host}:{port}: connection refused")
        client, server = trio.testing.memory_stream_pair()
        line = Line()
        scheme = "https" if port == HTTPS_PORT else "http"
        self._nursery.start_soon(_serve, ServerEnd(server, line), self._app, scheme)
        return ClientEnd(client, line)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError(f"{path}: there are no files in the simulated network")

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class Line:
    """What both ends of a memory connection share: whether it was broken off."""

    __slots__ = ("broken",)

    def __init__(self) -> None:
        self.broken = False


class ServerEnd(trio.abc.Stream):
    """The server's end, which can break the line off."""

    def __init__(self, stream: trio.abc.Stream, line: Line) -> None:
        self._stream = stream
        self._line = line

    def reset(self) -> None:
        self._line.broken = True

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


class ClientEnd(httpcore.AsyncNetworkStream):
    """The client's end, in httpcore's words."""

    def __init__(self, stream: trio.abc.Stream, line: Line) -> None:
        self._stream = stream
        self._line = line

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            with trio.fail_after(_limit(timeout)):
                data = bytes(await self._stream.receive_some(max_bytes))
        except trio.TooSlowError as exc:
            raise httpcore.ReadTimeout("read timed out") from exc
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise httpcore.ReadError(str(exc) or "connection broken") from exc
        if self._line.broken and not data:
            raise httpcore.ReadError("connection reset")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        try:
            with trio.fail_after(_limit(timeout)):
                await self._stream.send_all(buffer)
        except trio.TooSlowError as exc:
            raise httpcore.WriteTimeout("write timed out") from exc
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            raise httpcore.WriteError(str(exc) or "connection broken") from exc

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,  # noqa: ARG002 - httpcore's signature
        server_hostname: str | None = None,  # noqa: ARG002
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        await trio.lowlevel.checkpoint()
        return self

    def get_extra_info(self, info: str) -> Any:
        return False if info == "is_readable" else None


async def _serve(stream: ServerEnd, app: App, scheme: str) -> None:
    await serve_stream(stream, app, scheme=scheme)


def _limit(timeout: float | None) -> float:
    return float("inf") if timeout is None else timeout
