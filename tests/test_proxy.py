"""Through a proxy: tunnels to https, what is checked of an address there, and that no way means no order."""

import base64
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from a_proxy import proxying
from test_http import NOW, TLS, answer, call, serving

from vgen.errors import BlockedAddress, NoAnswer, NotSent
from vgen.inputs.variables import Run
from vgen.production import ssrf_guard
from vgen.production.http import HttpClient
from vgen.providers.base import Reply

FILM = b"a film" * 100_000
HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(FILM)}\r\nConnection: close\r\n\r\n".encode()


@contextlib.asynccontextmanager
async def over_tls(*names: str, answers: bool = True) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """A server for these names that says FILM to everybody: its port, and who is to be trusted."""
    authority = pytest.importorskip("trustme").CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert(*names).configure_cert(theirs)

    async def talk(stream: trio.SSLStream[Any]) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.receive_some()
            if not answers:
                await trio.sleep_forever()
            await stream.send_all(HEAD + FILM)
            await stream.aclose()

    listeners = await trio.open_ssl_over_tcp_listeners(0, theirs, host="127.0.0.1", https_compatible=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, talk, listeners)
        yield listeners[0].transport_listener.socket.getsockname()[1], ours
        nursery.cancel_scope.cancel()


@pytest.mark.slow
def test_media_and_api_over_tls_go_through_a_tunnel_and_nowhere_else() -> None:
    async def main() -> tuple[list[str], bytes, int]:
        async with over_tls("clips.example", "api.vendor.example") as (port, trust):
            here = ("127.0.0.1", port)
            with proxying({"clips.example": here, "api.vendor.example": here}) as proxy:
                async with HttpClient(now=lambda: NOW, tls=lambda: trust, proxy=proxy.url) as line:
                    body = bytearray()
                    async with line.download("https://clips.example/a.mp4", "https://api.vendor.example", {}) as found:
                        await found.pour(body.extend)
                    reply = await line.send(call("https://api.vendor.example/v1/x"), timeout_s=30)
                return proxy.asked, bytes(body), reply.status

    asked, body, status = trio.run(main)
    assert asked == ["CONNECT clips.example:443", "CONNECT api.vendor.example:443"]  # no key, no path
    assert (body == FILM, status) == (True, 200)


@pytest.mark.parametrize("refuses", ["502 Bad Gateway", "403 Forbidden"])
def test_a_proxy_that_opens_no_way_has_sent_no_order(refuses: str) -> None:
    async def main() -> None:
        with proxying({}, refuses) as proxy:
            async with HttpClient(now=lambda: NOW, tls=lambda: TLS, proxy=proxy.url) as line:
                await line.send(call("https://api.vendor.example/v1/x"), timeout_s=30)

    with pytest.raises(NotSent, match=r"api\.vendor\.example"):
        trio.run(main)


def test_a_proxy_that_hangs_up_has_sent_no_order_and_neither_has_one_that_is_not_there() -> None:
    async def hang_up(stream: trio.SocketStream, heard: bytes) -> None:
        await stream.aclose()

    async def main(url: str) -> None:
        async with HttpClient(now=lambda: NOW, tls=lambda: TLS, proxy=url) as line:
            with pytest.raises(NotSent):
                await line.send(call("https://api.vendor.example/v1/x"), timeout_s=30)

    async def with_one() -> None:
        async with serving(hang_up) as server:
            await main(server.url)

    async def without() -> None:
        async with serving(hang_up) as server:
            url = server.url
        await main(url)

    trio.run(with_one)
    trio.run(without)


def test_who_the_proxy_wants_to_know_is_told_to_the_proxy_alone() -> None:
    wants = "Basic " + base64.b64encode(b"me:p@ss").decode()

    async def main() -> tuple[Reply, list[bytes]]:
        async with serving(answer()) as server:
            with proxying({"127.0.0.1": ("127.0.0.1", server.port)}, wants=wants) as proxy:
                url = proxy.url.replace("http://", "http://me:p%40ss@")
                async with HttpClient(now=lambda: NOW, tls=lambda: TLS, proxy=url) as line:
                    return await line.send(call(f"{server.url}/v1/x"), timeout_s=30), server.asked

    reply, heard = trio.run(main)
    assert reply.status == 200
    assert b"proxy-authorization" not in heard[0].lower()


def test_what_is_plain_and_on_this_machine_goes_to_no_proxy_elsewhere() -> None:
    async def main() -> tuple[int, list[bytes]]:
        elsewhere = HttpClient(now=lambda: NOW, tls=lambda: TLS, proxy="http://proxy.example:3128")
        async with serving(answer()) as server, elsewhere as line:
            return (await line.send(call(f"{server.url}/v1/x"), timeout_s=30)).status, server.asked

    status, asked = trio.run(main)
    assert (status, len(asked)) == (200, 1)


BAD = [
    "127.0.0.1", "169.254.169.254", "10.0.0.7", "[::1]", "[fd00::1]", "2130706433", "0x7f.1", "0x7f000001", "127.1",
    "localhost", "localhost.", "metadata.google.internal", "printer.local", "intranet", "nas.lan",
    "127.0.0\u30021", "169.254.169\uff0e254", "x.printer\uff61local", "127.0.0%2e1",
]  # fmt: skip


@pytest.mark.parametrize("host", BAD)
def test_a_name_or_an_address_that_is_not_public_is_not_asked_for(host: str) -> None:
    async def main() -> list[str]:
        with proxying({}) as proxy:
            async with HttpClient(now=lambda: NOW, tls=lambda: TLS, proxy=proxy.url) as line:
                with pytest.raises(BlockedAddress):
                    async with line.download(f"https://{host}/a.mp4", "https://api.vendor.example", {}):
                        pass
            return proxy.asked

    assert trio.run(main) == []


@pytest.mark.parametrize("host", ["cdn.example.com", "8.8.8.8", "[2606:4700::1111]", "v3.fal.media", "1.example.com"])
def test_public_names_and_addresses_may_be_asked_for(host: str) -> None:
    ssrf_guard.check_name(f"https://{host}/a.mp4")


@pytest.mark.parametrize(
    "wrong", ["proxy:3128", "socks5://h:1", "http://", "http://h:99999", "http://h/path", "http://a b"]
)
def test_what_is_no_proxy_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="give http://HOST:PORT"):
        Run(proxy=wrong)


def test_a_proxy_that_says_nothing_has_sent_no_order() -> None:
    async def silence(stream: trio.SocketStream, heard: bytes) -> None:
        await trio.sleep_forever()

    async def main() -> None:
        async with (
            serving(silence) as server,
            HttpClient(now=lambda: NOW, tls=lambda: TLS, proxy=server.url) as line,
        ):
            await line.send(call("https://api.vendor.example/v1/x"), timeout_s=0.2)

    with pytest.RaisesGroup(NotSent, flatten_subgroups=True):
        trio.run(main)


@pytest.mark.slow
def test_an_order_whose_tunnel_was_open_may_have_been_sent() -> None:
    async def main() -> None:
        async with over_tls("api.vendor.example", answers=False) as (port, trust):
            with proxying({"api.vendor.example": ("127.0.0.1", port)}) as proxy:
                async with HttpClient(now=lambda: NOW, tls=lambda: trust, proxy=proxy.url) as line:
                    await line.send(call("https://api.vendor.example/v1/x"), timeout_s=1)

    with pytest.RaisesGroup(NoAnswer, flatten_subgroups=True):
        trio.run(main)
