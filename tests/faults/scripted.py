"""A studio whose providers can be made to say anything, byte for byte, and whose machine can fail at any point."""

import contextlib
import errno
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Any

import httpcore
import trio
import trio.testing
from fake_clips import fake_judge
from studio import TLS, Studio

from vgen.media.judge import Judge
from vgen.plan.request import ShotRequest
from vgen.production.http import HttpClient
from vgen.production.intent import Online
from vgen.production.run import Run
from vgen.production.ssrf_guard import GuardedBackend
from vgen.providers import DEFAULT, protocol_at
from vgen.simulator.app import App
from vgen.simulator.network import BLACK_HOLE, ClientEnd, Line, ServerEnd, SimulatedNetwork
from vgen.simulator.renderers import plain_renderer
from vgen.simulator.server import _Conversation, reset
from vgen.simulator.web import Request, Response, answer

RUNWAY_USD = 0.6
"""What a shot of five seconds costs at Runway."""
PIKA_USD = 0.2
"""What it costs at fal."""
ONLY_RUNWAY = ("primary_api=runway", "fallback_api=none")
ONLY_PIKA = ("primary_api=pika", "fallback_api=none")

Forward = Callable[[], Awaitable[Response]]
"""What the simulated provider itself would do and say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Bytes as they are. `every_s`: one by one, so far apart; `endless`: and then this, for ever; `then`: the end."""

    data: bytes = b""
    every_s: float = 0.0
    endless: bytes = b""
    then: str = "close"


Act = Callable[[Request, Forward], Awaitable["Response | Raw | None"]]
"""None: the simulated provider answers."""


def says(status: int, body: object = None, /, *, raw: bytes | None = None, **headers: str) -> Act:
    """The same answer to every request; the provider does not see them."""
    found = tuple((name.replace("_", "-"), value) for name, value in headers.items())

    async def act(_request: Request, _forward: Forward) -> Response:
        if raw is not None:
            return Response(status=status, headers=found, body=raw)
        return answer(status, {} if body is None else body, *found)

    return act


def sends(raw: Raw) -> Act:
    """These bytes, whatever was asked; the provider does not see the request."""

    async def act(_request: Request, _forward: Forward) -> Raw:
        return raw

    return act


def accepts_then_sends(make: Callable[[Response], "Response | Raw"]) -> Act:
    """The provider does its work; what it says is changed on the way."""

    async def act(_request: Request, forward: Forward) -> "Response | Raw":
        return make(await forward())

    return act


def changes(**fields: object) -> Act:
    """The provider's own JSON answer with some fields changed (None: taken away)."""

    def make(response: Response) -> Response:
        said = {**response.json(), **fields}
        return answer(response.status, {name: value for name, value in said.items() if value is not None})

    return accepts_then_sends(make)


def head(status: str, *lines: str) -> bytes:
    """The head of an answer, by hand."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("utf-8")


def chunked(data: bytes) -> bytes:
    """One chunk, and no end."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@dataclass(slots=True)
class _Rule:
    kind: str
    act: Act
    text: str
    times: int
    after: int


@dataclass(slots=True)
class Heard:
    """One request that reached anybody, and who was asked."""

    kind: str
    host: str
    request: Request


@dataclass(slots=True)
class FailAt:
    """A `failpoints.Hook`: acts with this name fail, `times` times (the first `after` of them do not)."""

    name: str
    error: BaseException
    times: int = 1_000_000
    after: int = 0
    seen: int = 0

    def __call__(self, name: str, when: str) -> None:
        if when == "before" and name == self.name:
            self.seen += 1
            if self.after < self.seen <= self.after + self.times:
                raise self.error


def disk_full(what: str, **more: int) -> FailAt:
    """No room any more, at one act."""
    if what.startswith("ledger."):
        return FailAt(what, sqlite3.OperationalError("database or disk is full"), **more)
    return FailAt(what, OSError(errno.ENOSPC, "No space left on device"), **more)


def disk_broken(what: str, **more: int) -> FailAt:
    """The device gives an error, at one act."""
    return FailAt(what, OSError(errno.EIO, "Input/output error"), **more)


@dataclass(slots=True)
class When:
    """A `failpoints.Hook` that does something at the k-th time of one act."""

    name: str
    when: str
    do: Callable[[], None]
    k: int = 1
    seen: int = 0

    def __call__(self, name: str, when: str) -> None:
        if (name, when) == (self.name, self.when):
            self.seen += 1
            if self.seen == self.k:
                self.do()


class ScriptedStudio(Studio):
    """A studio with rules for what comes over the wire: `on("create", act)`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.rules: list[_Rule] = []
        self.heard: list[Heard] = []
        self.judge: Judge = fake_judge
        self.tls_error: str | None = None
        self.dropped: Callable[[str], bool] = lambda host: False
        self.names: Mapping[str, Sequence[str]] | None = None
        self.provider_lies = False
        self.skew_s = 0.0
        self.app: App | None = None
        self.answers: dict[str, bool | None] = {}
        """Address of this machine → whether the simulator's server answers there; None: nobody does."""
        super().__init__(*args, **options)

    def on(self, kind: str, act: Act, *, text: str = "", times: int = 1_000_000, after: int = 0) -> None:
        """At requests of a kind (as `kind_of` says) with a text in path or body."""
        self.rules.append(_Rule(kind, act, text, times, after))

    def off(self) -> None:
        """The providers speak for themselves again."""
        self.rules.clear()

    def asked(self, kind: str) -> list[Request]:
        """Requests of a kind that reached a host, changed by a rule or not."""
        return [heard.request for heard in self.heard if heard.kind == kind]

    def hosts(self, kind: str) -> list[str]:
        return [heard.host for heard in self.heard if heard.kind == kind]

    def vgen_now(self) -> float:
        """This machine's clock, which may be wrong; the provider's is not."""
        return super().now() + self.skew_s

    def services(self) -> Any:
        return replace(super().services(), now=self.vgen_now, who_answers=self.answers.get)

    def check_money(self) -> None:
        if not self.provider_lies:
            super().check_money()

    @contextlib.asynccontextmanager
    async def _online(self, run: Run, requests: Sequence[ShotRequest]) -> AsyncIterator[Online]:
        async with trio.open_nursery() as nursery:
            network = _Network(nursery, self)
            guard = None if self.names is None else GuardedBackend(network)
            async with HttpClient(now=run.now, network=network, tls=lambda: TLS, public=guard) as http:
                yield Online(http=http, judge=self.judge)
            nursery.cancel_scope.cancel()

    async def respond(self, host: str, request: Request) -> Response | Raw:
        kind = kind_of(request)
        self.heard.append(Heard(kind, host, request))
        if self.app is None or self.app.cloud is not self.cloud:
            self.app = App(self.cloud, plain_renderer)
        app = self.app

        async def forward() -> Response:
            return await app(request)

        for rule in self.rules:
            if rule.kind == kind and (rule.text in request.target or rule.text.encode() in request.body):
                if rule.after > 0:
                    rule.after -= 1
                    continue
                if rule.times > 0:
                    rule.times -= 1
                    found = await rule.act(request, forward)
                    if isinstance(found, Response) and "date" not in dict(found.headers):
                        date = ("date", formatdate(super().now(), usegmt=True))  # as every server sends it
                        return replace(found, headers=(*found.headers, date))
                    if found is not None:
                        return found
        return await forward()


def kind_of(request: Request) -> str:
    """What a request asks for."""
    path = request.path
    if path.startswith("/media/"):
        return "media"
    if path.startswith("/_storage/"):
        return "store"
    if path in ("/v1/uploads", "/storage/upload/initiate"):
        return "upload"
    if "requests/by-endpoint" in path:
        return "list"
    match request.method:
        case "POST":
            return "create"
        case "DELETE" | "PUT":
            return "cancel"
    if path.endswith("/status") or "/tasks/" in path:
        return "poll"
    return "result" if "/requests/" in path else "other"


class _Network(SimulatedNetwork):
    """Every host is `studio.respond`."""

    def __init__(self, nursery: trio.Nursery, studio: ScriptedStudio) -> None:
        super().__init__(nursery=nursery, app=App(studio.cloud, plain_renderer), refuse=studio.network_refuses)
        self._studio = studio

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> Any:
        await trio.lowlevel.checkpoint()
        studio = self._studio
        refusal = studio.network_refuses(host, port) if studio.network_refuses else None
        if refusal == BLACK_HOLE:
            with trio.move_on_after(timeout or float("inf")):
                await trio.sleep_forever()
            raise httpcore.ConnectTimeout(f"{host}:{port}: no answer")
        provider = protocol_at(f"https://{host}") or DEFAULT
        if refusal or studio.cloud.faults.pick("connect_refused", provider, host):
            raise httpcore.ConnectError(refusal or f"{host}:{port}: connection refused")
        client, server = trio.testing.memory_stream_pair()
        line = Line()
        end = ServerEnd(server, line)
        if studio.dropped(host):
            end.reset()
            await trio.aclose_forcefully(end)
        else:
            self._nursery.start_soon(_talk, end, studio, host, "https" if port == 443 else "http")
        return _End(client, line, studio)


class _End(ClientEnd):
    def __init__(self, stream: trio.abc.Stream, line: Line, studio: ScriptedStudio) -> None:
        super().__init__(stream, line)
        self._studio = studio

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        await trio.lowlevel.checkpoint()
        assert ssl_context.check_hostname
        assert ssl_context.verify_mode is ssl.CERT_REQUIRED
        if self._studio.tls_error:
            raise httpcore.ConnectError(self._studio.tls_error)
        return self


async def _talk(stream: ServerEnd, studio: ScriptedStudio, host: str, scheme: str) -> None:
    async def app(request: Request) -> Response:
        return await studio.respond(host, request)  # type: ignore[return-value]

    try:
        with trio.move_on_after(36_000, shield=True):  # that vgen stops does not stop the provider
            await _ScriptedConversation(stream, app, scheme).run()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        await trio.aclose_forcefully(stream)


class _ScriptedConversation(_Conversation):
    async def _answer(self, response: Response | Raw, *, head: bool) -> bool:
        if not isinstance(response, Raw):
            return await super()._answer(response, head=head)
        if response.every_s:
            for n in range(len(response.data)):
                await self._stream.send_all(response.data[n : n + 1])
                await trio.sleep(response.every_s)
        else:
            await self._stream.send_all(response.data)
        while response.endless:
            await self._stream.send_all(response.endless)
            await trio.sleep(response.every_s or 0.001)
        match response.then:
            case "hang":
                await self._hang()
            case "reset":
                reset(self._stream)
        return False
