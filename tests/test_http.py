"""HTTP at its edges: what never left and what may have arrived, where downloads may go, and where a key may not."""

import contextlib
import errno
import functools
import gzip
import ipaddress
import os
import random
import re
import socket
import ssl
import struct
import threading
import urllib.request
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import guard
import httpcore
import httpx
import pytest
import trio
import trio.testing
from guard import ThisTestWouldHaveSpentMoney
from hypothesis import given
from hypothesis import strategies as st

from vgen.errors import BlockedAddress, NoAnswer, NotSent, WireError
from vgen.production import fetch, http, ssrf_guard
from vgen.production.http import HttpClient
from vgen.providers.base import Call, Reply

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # httpx abandons its own
KEY = "key_vgencanary0123456789abcdef"
NOW = 1_795_000_000.0
TIMEOUT_S = 60.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Y: z\r\n\r\n{}"

TLS = ssl.create_default_context()
"""Read once: each reading takes longer than most tests here."""

Stream = trio.SocketStream
Behaviour = Callable[[Stream, bytes], Awaitable[None]]


@dataclass
class Server:
    """A real server on loopback; what it was asked for is in `asked`."""

    port: int
    asked: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def serving(*behaviours: Behaviour) -> AsyncIterator[Server]:
    """Each connection gets the next behaviour, the last one over and over."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(listeners[0].socket.getsockname()[1])

    async def talk(stream: Stream) -> None:
        behaviour = behaviours[min(len(server.asked), len(behaviours) - 1)]
        with contextlib.suppress(trio.BrokenResourceError):
            heard = b""
            while not whole(heard) and (chunk := await stream.receive_some(65536)):
                heard += chunk
            server.asked.append(heard)
            await behaviour(stream, heard)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, talk, listeners)
        yield server
        nursery.cancel_scope.cancel()


def whole(heard: bytes) -> bool:
    """Closing with a part of the request unread would be a reset."""
    head, end, body = heard.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end) and len(body) >= int(length[1] if length else 0)


def says(data: bytes) -> Behaviour:
    async def behaviour(stream: Stream, _heard: bytes) -> None:
        await stream.send_all(data)

    return behaviour


def answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> Behaviour:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return says(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body)


async def resets(stream: Stream, _heard: bytes) -> None:
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def time_passes(seconds: float) -> None:
    """Under `run_by_the_request`: nothing else moves the clock."""
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    clock.jump(seconds)


async def says_nothing(_stream: Stream, _heard: bytes) -> None:
    time_passes(TIMEOUT_S)
    await trio.sleep_forever()


async def drips(stream: Stream, _heard: bytes) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await stream.send_all(b"x")
        time_passes(TIMEOUT_S / 100)
        await trio.lowlevel.checkpoint()


@dataclass
class Desk:
    """Answers request after request on a connection; `asked`: how many came on each. Waits for `together` at once."""

    together: int = 1
    asked: list[int] = field(default_factory=list)
    left: int = 0
    _all_here: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, stream: Stream, heard: bytes) -> None:
        place = len(self.asked)
        self.asked.append(0)
        while heard:
            self.asked[place] += 1
            if len(self.asked) >= self.together:
                self._all_here.set()
            await self._all_here.wait()
            await stream.send_all(OK)
            heard = b""
            while not whole(heard) and (chunk := await stream.receive_some(65536)):
                heard += chunk
        self.left += 1


def call(url: str, step: str = "create") -> Call:
    return Call(method="POST", url=url, headers=(("X-A", "b"),), body=b'{"a":1}', auth=f"Bearer {KEY}", step=step)


async def sent(url: str, *, step: str = "create") -> Reply:
    async with HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
        return await line.send(call(url, step), timeout_s=TIMEOUT_S)


async def downloaded(
    url: str, base_url: str, headers: dict[str, str] | None = None, *, trust: ssl.SSLContext = TLS
) -> tuple[int, bytes]:
    async with (
        HttpClient(now=lambda: NOW, tls=lambda: trust) as line,
        line.download(url, base_url, headers or {}) as found,
    ):
        body = bytearray()
        await found.pour(body.extend)
        return found.status, bytes(body)


def run(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return trio.run(main, *args)


def run_by_the_request(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Time stands still until a server that has heard a request moves it: a busy machine is not a silent server."""
    return trio.run(main, *args, clock=trio.testing.MockClock())


# ── the guard of these tests ──────────────────────────────────────────────────────────────────────────────────────────

PAID = "https://api.dev.runwayml.com/v1/organization"


def httpx_now() -> None:
    httpx.get(PAID, trust_env=False)


def urllib_now() -> None:
    urllib.request.urlopen(PAID)


def httpx_under_trio() -> None:
    async def main() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(PAID)

    trio.run(main)


def our_wire() -> None:
    run(sent, PAID)


def a_bare_socket() -> None:
    with socket.socket() as bare:
        bare.connect(("8.8.8.8", 443))


def a_bare_socket_quietly() -> None:
    with socket.socket() as bare:
        bare.connect_ex(("8.8.8.8", 443))


def a_trio_socket() -> None:
    async def main() -> None:
        with trio.socket.socket() as bare:
            await bare.connect(("8.8.8.8", 443))

    trio.run(main)


def a_name() -> None:
    socket.getaddrinfo("queue.fal.run", 443)


@pytest.mark.parametrize(
    "way",
    [httpx_now, urllib_now, httpx_under_trio, our_wire, a_bare_socket, a_bare_socket_quietly, a_trio_socket, a_name],
)
def test_no_test_can_reach_what_costs_money(way: Callable[[], None]) -> None:
    with pytest.raises(BaseException) as caught:
        way()
    found = [caught.value]
    for one in found:
        found.extend(one.exceptions if isinstance(one, BaseExceptionGroup) else ())
    assert ThisTestWouldHaveSpentMoney in map(type, found)


def test_no_key_of_the_developer_is_seen_by_tests() -> None:
    assert [name for name in os.environ if name in guard.SECRETS or name.startswith("VGEN_")] == []


# ── where downloads may go ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("8.8.8.8", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.0.0.192", False),
        ("192.0.2.1", False),
        ("198.18.0.1", False),
        ("198.51.100.1", False),
        ("203.0.113.1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("2002:7f00:1::1", False),
        ("2002:a9fe:a9fe::", False),
        ("2001::1", False),
        ("2001:db8::1", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("100::1", False),
        pytest.param("::7f00:1", False),
    ],
)
def test_a_media_host_has_a_public_address(address: str, public: bool) -> None:
    assert public is ssrf_guard.is_public(address)


@pytest.mark.slow
@given(st.ip_addresses())
def test_no_address_that_python_knows_as_special_is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified
    assert not (special and ssrf_guard.is_public(str(ip)))


@pytest.mark.parametrize(
    ("url", "private", "allowed"),
    [
        ("https://cdn.example.org/a.mp4?x=1", False, True),
        ("https://cdn.example.org:443/a.mp4", False, True),
        ("HTTPS://CDN.EXAMPLE.ORG/a.mp4", False, True),
        ("http://cdn.example.org/a.mp4", False, False),
        ("https://cdn.example.org:8443/a.mp4", False, False),
        ("https://cdn.example.org:99999/a.mp4", False, False),
        ("https://cdn.example.org:x/a.mp4", False, False),
        ("https://user:pw@cdn.example.org/a.mp4", False, False),
        ("https://cdn.example.org@evil.org/a.mp4", False, False),
        ("file:///etc/passwd", False, False),
        ("ftp://cdn.example.org/a", False, False),
        ("data:video/mp4;base64,AAAA", False, False),
        ("javascript:alert(1)", False, False),
        ("//cdn.example.org/a.mp4", False, False),
        ("/a.mp4", False, False),
        ("", False, False),
        ("https://", False, False),
        ("https:///a.mp4", False, False),
        ("http://127.0.0.1:8080/a.mp4", True, True),
        ("https://127.0.0.1:8443/a.mp4", True, True),
        ("http://localhost:8080/a.mp4", True, True),
        ("http://[::1]:8080/a.mp4", True, True),
        ("http://runway.simulated/a.mp4", True, True),
        ("https://cdn.example.org/a.mp4", True, False),
        ("http://169.254.169.254/latest", True, False),
        ("http://10.0.0.1/a.mp4", True, False),
        ("http://127.0.0.1.evil.org/a.mp4", True, False),
        ("file:///etc/passwd", True, False),
    ],
)
def test_only_https_downloads_are_followed(url: str, private: bool, allowed: bool) -> None:
    with contextlib.nullcontext() if allowed else pytest.raises(BlockedAddress):
        ssrf_guard.check_url(url, private=private)


@pytest.mark.parametrize("url", ["https://[::1", "https://[x]/a", "https://a\u2100b/"])
def test_a_url_that_cannot_be_read_is_blocked(url: str) -> None:
    with pytest.raises(BlockedAddress):
        ssrf_guard.check_url(url, private=False)


@pytest.mark.parametrize(
    ("base_url", "private"),
    [
        ("http://127.0.0.1:8080", True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://runway.simulated", True),
        ("https://api.dev.runwayml.com", False),
        ("https://127.0.0.1.evil.org", False),
        ("https://localhost.evil.org", False),
        ("https://10.0.0.1", False),
    ],
)
def test_only_loopback_and_the_simulator_are_private(base_url: str, private: bool) -> None:
    assert private is ssrf_guard.is_private(base_url)


@contextlib.contextmanager
def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Iterator[list[str]]:
    """Every name resolves to these addresses; who was connected to is in the list."""
    connected: list[str] = []

    async def resolve(host: Any, port: Any, *_args: Any, **_kwargs: Any) -> list[Any]:
        await trio.lowlevel.checkpoint()
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses
        ]

    async def connect(_self: Any, host: str, *_args: Any, **_kwargs: Any) -> Any:
        await trio.lowlevel.checkpoint()
        connected.append(host)
        raise httpcore.ConnectError("nobody is there")

    with monkeypatch.context() as patch:
        patch.setattr(trio.socket, "getaddrinfo", resolve)
        patch.setattr("httpcore._backends.trio.TrioBackend.connect_tcp", connect)
        yield connected


MIXED = pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["169.254.169.254"], ["93.184.216.34", "127.0.0.1"], ["10.0.0.1", "93.184.216.34"],
     ["::ffff:127.0.0.1"], ["64:ff9b::a9fe:a9fe"], []],
    ids=str,
)  # fmt: skip


@MIXED
def test_nothing_connects_to_a_name_with_any_address_that_is_not_public(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    with names(monkeypatch, *addresses) as connected, pytest.raises(WireError, match=r"cdn\.example\.org"):
        run(downloaded, "https://cdn.example.org/a.mp4?secret=1", PAID)
    assert connected == []


@MIXED
def test_a_name_with_any_address_that_is_not_public_is_said_to_be_blocked(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    with names(monkeypatch, *addresses), pytest.raises(BlockedAddress, match=r"cdn\.example\.org"):
        run(downloaded, "https://cdn.example.org/a.mp4", PAID)


def test_the_addresses_that_were_checked_are_those_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look-up could say something else."""
    with names(monkeypatch, "93.184.216.34", "93.184.216.35") as connected, pytest.raises(WireError, match="cdn"):
        run(downloaded, "https://cdn.example.org/a.mp4", PAID)
    assert connected == ["93.184.216.34", "93.184.216.35"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "127.1", "0x7f.1", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]",
             "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[fec0::1]", "169.254.169.254", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
def test_an_address_in_any_spelling_is_seen_through(host: str) -> None:
    """These are resolved for real: a number asks nobody."""
    with pytest.raises(WireError) as caught:
        run(downloaded, f"https://{host}/a.mp4", PAID)
    assert isinstance(caught.value, BlockedAddress) or "broke" in str(caught.value)


@pytest.mark.parametrize("host", ["127。0。0。1", "１２７.0.0.1"])
def test_fullwidth_spellings_of_an_address_are_seen_through(host: str) -> None:
    with pytest.raises((WireError, ThisTestWouldHaveSpentMoney)) as caught:
        run(downloaded, f"https://{host}/a.mp4", PAID)
    assert isinstance(caught.value, WireError)


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "http://169.254.169.254/latest", "https://169.254.169.254/a.mp4", "ftp://127.0.0.1/a",
     "//169.254.169.254/", "http://10.0.0.1/"],
)  # fmt: skip
def test_a_redirect_is_checked_like_the_first_address(location: str) -> None:
    async def main() -> None:
        async with serving(answer(status="302 Found", Location=location)) as server:
            with pytest.raises(BlockedAddress):
                await downloaded(f"{server.url}/a.mp4", server.url)

    run(main)


def test_a_redirect_to_what_cannot_be_read_is_blocked() -> None:
    async def main() -> None:
        async with serving(answer(status="302 Found", Location="http://[::1")) as server:
            with pytest.raises(WireError):
                await downloaded(f"{server.url}/a.mp4", server.url)

    run(main)


def test_redirects_have_an_end() -> None:
    async def main() -> int:
        async with serving(answer(status="302 Found", Location="/again")) as server:
            with pytest.raises(BlockedAddress, match="more than 5 redirects"):
                await downloaded(f"{server.url}/a.mp4", server.url)
            return len(server.asked)

    assert run(main) == http.MAX_REDIRECTS + 1


# ── where the key may not go ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_key_goes_to_the_api_in_one_header_and_nowhere_else() -> None:
    async def main() -> tuple[list[bytes], list[bytes]]:
        async with (
            serving(answer(Set_Cookie="session=vgencanary")) as api,
            serving(answer(status="302 Found", Location="/b.mp4"), answer(b"video")) as media,
            HttpClient(now=lambda: NOW, tls=lambda: TLS) as line,
        ):
            await line.send(call(f"{api.url}/v1/text_to_video"), timeout_s=TIMEOUT_S)
            await line.send(call(f"{api.url}/v1/tasks/1", "status"), timeout_s=TIMEOUT_S)
            async with line.download(f"{media.url}/a.mp4", api.url, {"Range": "bytes=5-"}) as found:
                body = bytearray()
                await found.pour(body.extend)
                assert body == b"video"
            return api.asked, media.asked

    api, media = run(main)
    assert [heard.count(f"Authorization: Bearer {KEY}".encode()) for heard in api] == [1, 1]
    assert (len(media), any(b"canary" in heard or b"uthorization" in heard for heard in media)) == (2, False)
    assert all(b"Range: bytes=5-" in heard and b"Accept-Encoding: identity" in heard for heard in media)


def test_a_create_follows_no_redirect() -> None:
    async def main() -> tuple[int, int]:
        async with serving(says(OK)) as other, serving(answer(status="307 x", Location=f"{other.url}/x")) as api:
            return (await sent(api.url)).status, len(other.asked)

    assert run(main) == (307, 0)


# ── what never left, and what may have arrived ────────────────────────────────────────────────────────────────────────


def test_a_whole_answer_is_a_reply() -> None:
    async def main() -> tuple[Reply, bytes]:
        async with serving(says(OK)) as server:
            return await sent(f"{server.url}/v1/x"), server.asked[0]

    reply, heard = run(main)
    assert (reply.status, reply.body, reply.at, reply.headers["x-y"]) == (200, b"{}", NOW, "z")
    assert (heard.startswith(b"POST /v1/x HTTP/1.1\r\n"), b"X-A: b\r\n" in heard) == (True, True)


def test_a_closed_port_heard_nothing() -> None:
    with socket.socket() as bare:
        bare.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match=r"no connection to 127\.0\.0\.1"):
            run(sent, f"http://127.0.0.1:{bare.getsockname()[1]}")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/\n",
        "http://127.0.0.1/" + "a" * 70_000,
    ],
    ids=lambda url: url[:25],
)
def test_a_url_that_cannot_be_asked_heard_nothing(url: str) -> None:
    with pytest.raises(NotSent):
        run(sent, url)


async def closes(_stream: Stream, _heard: bytes) -> None:
    pass


FAULTS: dict[str, Behaviour] = {
    "closed after reading": closes,
    "reset after reading": resets,
    "no answer": says_nothing,
    "a byte now and then": drips,
    "half a header": says(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a body cut short": says(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": "3f0d'),
    "chunks cut short": says(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{"id"'),
    "garbage": says(b"\x00\x01garbage\r\n\r\n"),
    "two lengths": says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "an endless header": says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
    "bad gzip": answer(gzip.compress(b"{}")[:-9], Content_Encoding="gzip"),
    "a body without end": answer(b"x" * (http.MAX_REPLY_BYTES + 1)),
    "a small body that unpacks without end": answer(gzip.compress(bytes(50 << 20)), Content_Encoding="gzip"),
}


@pytest.mark.parametrize("step", ["create", "status"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_have_been_read_is_not_said_to_be_unsent(fault: str, step: str) -> None:
    async def main() -> int:
        async with serving(FAULTS[fault]) as server:
            with pytest.raises(NoAnswer):
                await sent(server.url, step=step)
            return len(server.asked)

    assert run_by_the_request(main) == 1  # and nothing below us tries again


def test_a_server_that_closes_before_reading_is_no_proof_either() -> None:
    async def main() -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, resets_at_once, listeners)
            with pytest.raises(NoAnswer):
                await sent(f"http://127.0.0.1:{port}")
            nursery.cancel_scope.cancel()

    async def resets_at_once(stream: Stream) -> None:
        await resets(stream, b"")

    run(main)


def test_each_create_goes_over_a_connection_of_its_own() -> None:
    """A kept connection may die while the order is on it."""

    async def main() -> int:
        ports: set[int] = set()

        async def notes(stream: Stream, _heard: bytes) -> None:
            ports.add(stream.socket.getpeername()[1])
            await stream.send_all(OK)
            with contextlib.suppress(trio.BrokenResourceError):
                await stream.receive_some(1)

        async with serving(notes) as server, HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
            for _ in range(3):
                await line.send(call(server.url), timeout_s=TIMEOUT_S)
        return len(ports)

    assert run(main) == 3


def test_reads_one_after_another_share_a_connection_and_of_many_at_once_twenty_are_kept() -> None:
    async def main() -> None:
        desk = Desk(together=30)
        async with serving(desk) as server, HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
            async with trio.open_nursery() as nursery:
                for _ in range(30):
                    nursery.start_soon(functools.partial(line.send, call(server.url, "poll"), timeout_s=TIMEOUT_S))
            assert desk.asked == [1] * 30
            while desk.left < 10:  # noqa: ASYNC110 - the server hears of it when it does
                await trio.sleep(0.001)
            for _ in range(5):
                await line.send(call(server.url, "poll"), timeout_s=TIMEOUT_S)
            assert sorted(desk.asked) == [1] * 29 + [6]
            assert desk.left == 10
            await line.send(call(server.url, "create"), timeout_s=TIMEOUT_S)
            assert (len(desk.asked), desk.asked[-1]) == (31, 1)

    run(main)


def test_a_kept_connection_that_the_server_has_closed_is_not_used() -> None:
    async def main() -> int:
        async with serving(answer()) as server, HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
            for _ in range(3):
                await line.send(call(server.url, "poll"), timeout_s=TIMEOUT_S)
                [kept] = line._reads._pool._idle  # type: ignore[union-attr,attr-defined]
                while not kept.has_expired():  # noqa: ASYNC110 - the end comes when it comes
                    await trio.sleep(0.001)
            return len(server.asked)

    assert run(main) == 3


def test_an_answer_without_a_length_is_what_came_before_the_end() -> None:
    async def main() -> bytes:
        async with serving(says(b'HTTP/1.1 200 OK\r\n\r\n{"id": "3f')) as server:
            return (await sent(server.url)).body

    assert run(main) == b'{"id": "3f'


def test_errors_show_no_key_and_no_query() -> None:
    async def main() -> list[str]:
        found = []
        for fault in FAULTS.values():
            async with serving(fault) as server:
                with pytest.raises(WireError) as caught:
                    await sent(f"{server.url}/?secret=vgencanary")
                found.append(f"{caught.value} {caught.value!r}")
        return found

    assert [text for text in run_by_the_request(main) if "canary" in text] == []


# ── downloads ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_download_comes_as_it_was_sent() -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(answer(b"video" * 10_000)) as server:
            return await downloaded(f"{server.url}/a.mp4", server.url)

    assert run(main) == (200, b"video" * 10_000)


@pytest.mark.parametrize(
    "fault", ["closed after reading", "reset after reading", "half a header", "a body cut short", "garbage"]
)
def test_a_broken_download_is_told(fault: str) -> None:
    async def main() -> None:
        async with serving(FAULTS[fault]) as server:
            with pytest.raises(WireError, match=r"127\.0\.0\.1 broke"):
                await downloaded(f"{server.url}/a.mp4?secret=1", server.url)

    run(main)


LONG = random.Random(0).randbytes(fetch.TURN_BYTES + 3 * fetch.PIECE_BYTES + 7)
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(LONG)}\r\n\r\n".encode()


def pieces(*data: bytes) -> Behaviour:
    """Each piece arrives by itself."""

    async def behaviour(stream: Stream, _heard: bytes) -> None:
        for piece in data:
            await stream.send_all(piece)
            await trio.sleep(0.01)

    return behaviour


def chunked(body: bytes) -> bytes:
    cut = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in cut) + b"0\r\n\r\n"


def halves(data: bytes, at: int) -> Behaviour:
    return pieces(data[:at], data[at:])


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
WAYS: dict[str, Behaviour] = {
    "at once": says(HEAD + LONG),
    "the body after the head": halves(HEAD + LONG, len(HEAD)),
    "the head cut in its last line": halves(HEAD + LONG, len(HEAD) - 1),
    "the head cut between the last lines": halves(HEAD + LONG, len(HEAD) - 2),
    "the head cut before the last lines": halves(HEAD + LONG, len(HEAD) - 3),
    "the head byte by byte": pieces(*(bytes([byte]) for byte in HEAD), LONG),
    "the first byte of the body with the head": halves(HEAD + LONG, len(HEAD) + 1),
    "all but the last byte": halves(HEAD + LONG, len(HEAD) + len(LONG) - 1),
    "bare line ends": says(HEAD.replace(b"\r", b"") + LONG),
    "more than its length": says(HEAD + LONG + b"and more"),
    "an interim answer": says(CONTINUE + HEAD + LONG),
    "an interim answer by itself": halves(CONTINUE + HEAD + LONG, len(CONTINUE)),
    "the length said twice": says(HEAD[:-2] + HEAD.split(b"\r\n")[1] + b"\r\n\r\n" + LONG),
    "in chunks": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(LONG)),
    "in chunks, with a length": says(b"Transfer-Encoding: chunked\r\n\r\n".join([HEAD[:-2], chunked(LONG)])),
    "without a length": says(b"HTTP/1.1 200 OK\r\n\r\n" + LONG),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_long_download_comes_as_it_was_sent(way: str) -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(WAYS[way]) as server:
            return await downloaded(f"{server.url}/a.mp4", server.url)

    status, body = run(main)
    assert (status, len(body), body == LONG) == (200, len(LONG), True)


@pytest.mark.parametrize("body", [b"short", LONG], ids=["short", "long"])
def test_a_body_is_handled_beside_the_event_loop(body: bytes) -> None:
    async def main() -> set[bool]:
        threads: set[int] = set()
        async with (
            serving(answer(body)) as server,
            HttpClient(now=lambda: NOW, tls=lambda: TLS) as line,
            line.download(server.url, server.url, {}) as found,
        ):
            await found.pour(lambda _data: threads.add(threading.get_ident()))
        return {thread == threading.get_ident() for thread in threads}

    assert run(main) == {False}


@pytest.mark.slow
def test_many_long_downloads_at_once_come_as_they_were_sent() -> None:
    async def main() -> list[bool]:
        bodies = [LONG[k:] + LONG[:k] for k in range(8)]
        same: list[bool] = []

        async def one(line: HttpClient, server: Server, body: bytes) -> None:
            got = bytearray()
            async with line.download(f"{server.url}/a.mp4", server.url, {}) as found:
                await found.pour(got.extend)
            same.append(got == body)

        async with contextlib.AsyncExitStack() as stack:
            line = await stack.enter_async_context(HttpClient(now=lambda: NOW, tls=lambda: TLS))
            servers = [await stack.enter_async_context(serving(answer(body))) for body in bodies]
            async with trio.open_nursery() as nursery:
                for server, body in zip(servers, bodies, strict=True):
                    nursery.start_soon(one, line, server, body)
        return same

    assert run(main) == [True] * 8


async def broken_off(behaviour: Behaviour, error: type[Exception], words: str, got: bytearray | None = None) -> bytes:
    """What was handed over before the error; `got` lets others see it come."""
    got = bytearray() if got is None else got
    async with serving(behaviour) as server, HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
        with pytest.raises(error, match=words):
            async with line.download(f"{server.url}/a.mp4?secret=1", server.url, {}) as found:
                await found.pour(got.extend)
    return bytes(got)


MOST = fetch.TURN_BYTES + 2 * fetch.PIECE_BYTES


@pytest.mark.parametrize("head", [HEAD, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n600000\r\n"])
def test_what_came_of_a_long_download_before_it_was_cut_short_is_handed_over(head: bytes) -> None:
    got = run(broken_off, says(head + LONG[:MOST]), WireError, r"127\.0\.0\.1 broke")
    assert got == LONG[:MOST]


def test_a_long_download_that_is_reset_is_told() -> None:
    async def behaviour(stream: Stream, heard: bytes) -> None:
        await stream.send_all(HEAD + LONG[:MOST])
        await resets(stream, heard)

    got = run(broken_off, behaviour, WireError, r"127\.0\.0\.1 broke")
    assert LONG.startswith(got)


def test_a_long_download_that_falls_silent_is_told() -> None:
    got = bytearray()

    async def behaviour(stream: Stream, _heard: bytes) -> None:
        await stream.send_all(HEAD + LONG[:MOST])
        while True:
            if len(got) > fetch.TURN_BYTES:
                time_passes(http.STALL_S)
            await trio.lowlevel.checkpoint()

    clock = trio.testing.MockClock(rate=1)  # the server moves it on; till then it goes as always
    assert trio.run(broken_off, behaviour, WireError, "nothing came for 30 s", got, clock=clock) == LONG[:MOST]


def test_a_long_download_can_be_given_up() -> None:
    async def behaviour(stream: Stream, _heard: bytes) -> None:
        await stream.send_all(HEAD + LONG[:MOST])
        await trio.sleep_forever()

    async def main() -> int:
        size = 0

        def put(data: Any) -> None:
            nonlocal size
            size += len(data)
            if size > fetch.TURN_BYTES:
                trio.from_thread.run_sync(scope.cancel)

        async with serving(behaviour) as server, HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
            with trio.CancelScope() as scope:
                async with line.download(f"{server.url}/a.mp4", server.url, {}) as found:
                    await found.pour(put)
        return size

    assert fetch.TURN_BYTES < run(main) <= MOST


@pytest.mark.parametrize("way", ["at once", "without a length"])
def test_the_error_of_who_takes_the_bytes_stays_what_it_is(way: str) -> None:
    def put(_data: Any) -> None:
        raise OSError(errno.ENOSPC, "disk full")

    async def main() -> None:
        async with serving(WAYS[way]) as server, HttpClient(now=lambda: NOW, tls=lambda: TLS) as line:
            with pytest.raises(OSError, match="disk full"):
                async with line.download(f"{server.url}/a.mp4", server.url, {}) as found:
                    await found.pour(put)

    run(main)


@pytest.mark.slow
def test_a_long_download_over_tls_comes_as_it_was_sent() -> None:
    authority = pytest.importorskip("trustme").CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)

    async def talk(stream: trio.SSLStream[Stream]) -> None:
        await stream.receive_some()
        await stream.send_all(HEAD + LONG)
        await stream.aclose()

    async def main() -> tuple[int, bytes]:
        listeners = await trio.open_ssl_over_tcp_listeners(0, theirs, host="127.0.0.1", https_compatible=True)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, talk, listeners)
            found = await downloaded(f"https://127.0.0.1:{port}/a.mp4", f"https://127.0.0.1:{port}", trust=ours)
            nursery.cancel_scope.cancel()
        return found

    status, body = run(main)
    assert (status, body == LONG) == (200, True)


@pytest.mark.parametrize("label", ["gzip", "aws-chunked", "br", "identity", "x-unknown"])
def test_a_downloads_bytes_come_as_they_are_whatever_its_encoding_says(label: str) -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(answer(b"video", Content_Encoding=label)) as server:
            return await downloaded(f"{server.url}/a.mp4", server.url)

    assert run(main) == (200, b"video")


def _raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("label", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("gzip", bytes),
        ("deflate", bytes),
        ("aws-chunked", bytes),
        ("br", bytes),
        ("identity", gzip.compress),
    ],
)
def test_an_answer_is_read_by_its_bytes_whatever_its_encoding_says(label: str, pack: Callable[[bytes], bytes]) -> None:
    async def main() -> bytes:
        async with serving(answer(pack(b'{"id": "x"}'), Content_Encoding=label)) as server:
            return (await sent(server.url)).body

    assert run(main) == b'{"id": "x"}'
