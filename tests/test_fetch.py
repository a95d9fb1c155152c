"""Downloads over TLS and real sockets: cuts, stalls, trickles, cancels, redirects, certificates, a proxy."""

import contextlib
import hashlib
import os
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from a_proxy import proxying

from vgen.errors import BlockedAddress, WireError
from vgen.production import download, fetch, http
from vgen.production.download import TooLong
from vgen.production.http import HttpClient

trustme = pytest.importorskip("trustme")
FILE = b"\0\0\0\x18ftypmp42" + random.Random(1).randbytes(fetch.TURN_BYTES + 2 * fetch.PIECE_BYTES + 11)
DIGEST = hashlib.sha256(FILE).hexdigest()
Stream = trio.SSLStream[trio.SocketStream]
Behaviour = Callable[[Stream, bytes], Awaitable[None]]

AUTHORITY = trustme.CA()
TRUST, THEIRS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
AUTHORITY.configure_trust(TRUST)
AUTHORITY.issue_cert("127.0.0.1", "clips.example").configure_cert(THEIRS)


@dataclass
class Host:
    """A media host over TLS. Each connection gets the next behaviour, the last one over and over."""

    behaviours: Sequence[Behaviour]
    port: int = 0
    asked: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def talk(self, stream: Stream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            heard = b""
            while not heard.endswith(b"\r\n\r\n") and (chunk := await stream.receive_some()):
                heard += chunk
            behaviour = self.behaviours[min(len(self.asked), len(self.behaviours) - 1)]
            self.asked.append(heard)
            await behaviour(stream, heard)


@contextlib.asynccontextmanager
async def hosting(*behaviours: Behaviour) -> AsyncIterator[Host]:
    listeners = await trio.open_ssl_over_tcp_listeners(0, THEIRS, host="127.0.0.1", https_compatible=True)
    host = Host(behaviours, listeners[0].transport_listener.socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, host.talk, listeners)
        yield host
        nursery.cancel_scope.cancel()


def client(**more: Any) -> HttpClient:
    return HttpClient(now=lambda: 0.0, tls=lambda: TRUST, **more)


def loader(line: HttpClient, host: Host, part: Path) -> download.Loader:
    return download.Loader(line, f"{host.url}/a.mp4?secret=1", host.url, part, None)


def head(heard: bytes = b"", *lines: str) -> tuple[bytes, int]:
    """The head of an answer with FILE, or its rest, and where that begins."""
    match = re.search(rb"Range: bytes=(\d+)-\r\n", heard)
    begin = int(match[1]) if match else 0
    said = [
        f"HTTP/1.1 {'206 Partial Content' if begin else '200 OK'}",
        'ETag: "x"',
        f"Content-Length: {len(FILE) - begin}",
    ]
    if begin:
        said.append(f"Content-Range: bytes {begin}-{len(FILE) - 1}/{len(FILE)}")
    return "\r\n".join([*said, *lines, "\r\n"]).encode(), begin


async def sends_all(stream: Stream, heard: bytes) -> None:
    said, begin = head(heard)
    await stream.send_all(said + FILE[begin:])


def cut_after(size: int) -> Behaviour:
    async def behaviour(stream: Stream, heard: bytes) -> None:
        said, begin = head(heard)
        await stream.send_all(said + FILE[begin : begin + size])
        await stream.transport_stream.aclose()

    return behaviour


async def falls_silent(stream: Stream, heard: bytes) -> None:
    await stream.send_all(head(heard)[0] + FILE[:100_000])
    await trio.sleep_forever()


async def trickles(stream: Stream, heard: bytes) -> None:
    """The beginning byte by byte, each in a record of its own."""
    said = head(heard)[0] + FILE[:40]
    for byte in said:
        await stream.send_all(bytes([byte]))
    await trio.sleep(2 * fetch.GATHER_S)
    await stream.send_all(FILE[40:])


def leads_to(location: str) -> Behaviour:
    async def behaviour(stream: Stream, _heard: bytes) -> None:
        await stream.send_all(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

    return behaviour


def fetched(part: Path, *behaviours: Behaviour) -> tuple[download.Downloaded, Host]:
    """What the last of the behaviours brings, after each other one broke."""

    async def main() -> tuple[download.Downloaded, Host]:
        async with hosting(*behaviours) as host, client() as line:
            one = loader(line, host, part)
            for _ in behaviours[:-1]:
                with pytest.raises(WireError, match=r"127\.0\.0\.1 broke"):
                    await one.run()
            return await one.run(), host

    return trio.run(main)


@pytest.mark.parametrize("cuts", [(), (1,), (fetch.TURN_BYTES + 1, fetch.PIECE_BYTES), (len(FILE) - 1,)], ids=str)
def test_a_download_over_tls_goes_on_where_it_broke(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    got, host = fetched(tmp_path / "part", *map(cut_after, cuts), sends_all)
    assert (got.sha256, got.size_bytes, got.told, got.one_piece) == (DIGEST, len(FILE), True, not cuts)
    assert (tmp_path / "part").read_bytes() == FILE
    begins = [re.search(rb"Range: bytes=(\d+)-", heard) for heard in host.asked]
    assert [int(found[1]) if found else 0 for found in begins] == [sum(cuts[:k]) for k in range(len(cuts) + 1)]


def test_a_server_that_trickles_is_waited_for(tmp_path: Path) -> None:
    assert fetched(tmp_path / "part", trickles)[0].sha256 == DIGEST


def test_a_server_that_falls_silent_is_given_up_and_what_it_sent_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "STALL_S", 0.3)
    got, host = fetched(tmp_path / "part", falls_silent, sends_all)
    assert got.sha256 == DIGEST
    assert b"Range: bytes=100000-" in host.asked[1]


def test_silent_servers_keep_nobody_else_waiting(tmp_path: Path) -> None:
    """Many more than there are threads: none of them may hold one."""

    async def main() -> str:
        async with (
            hosting(*[falls_silent] * (3 * fetch.THREADS), sends_all) as host,
            client() as line,
            trio.open_nursery() as nursery,
        ):
            for k in range(3 * fetch.THREADS):
                nursery.start_soon(loader(line, host, tmp_path / f"silent{k}").run)
            while len(host.asked) < 3 * fetch.THREADS or min(map(_size, tmp_path.glob("silent*"))) < 100_000:  # noqa: ASYNC110
                await trio.sleep(0.01)
            got = await loader(line, host, tmp_path / "part").run()
            nursery.cancel_scope.cancel()
        return got.sha256

    assert trio.run(main) == DIGEST


def _size(path: Path) -> int:
    return path.stat().st_size


def test_a_cancelled_download_ends_and_nothing_is_written_after_it(tmp_path: Path) -> None:
    async def endless(stream: Stream, _heard: bytes) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            await stream.send_all(FILE)

    async def main() -> list[int]:
        part = tmp_path / "part"
        async with hosting(endless) as host, client() as line:
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(loader(line, host, part).run)
                    while not part.exists() or part.stat().st_size < len(FILE):  # noqa: ASYNC110
                        await trio.sleep(0.001)
                    scope.cancel()
            sizes = [part.stat().st_size]
            for _ in range(5):
                await trio.sleep(0.02)
                sizes.append(part.stat().st_size)
        return sizes

    assert len(set(trio.run(main))) == 1


def test_a_cancelled_download_does_not_wait_for_a_silent_server() -> None:
    """With the stall time-out of 30 s, this test would end by its own deadline."""

    async def main() -> bool:
        async with hosting(falls_silent) as host, client() as line:
            with trio.fail_after(20), trio.move_on_after(0.2) as scope:
                async with line.download(f"{host.url}/a.mp4", host.url, {}) as found:
                    await found.pour(lambda _data: None)
        return scope.cancelled_caught

    assert trio.run(main)


@pytest.mark.parametrize("location", ["https://10.0.0.1/a.mp4", "http://169.254.169.254/latest", "http://[::1"])
def test_a_redirect_to_a_private_address_is_not_followed(tmp_path: Path, location: str) -> None:
    async def main() -> None:
        async with hosting(leads_to(location)) as host, client() as line:
            await loader(line, host, tmp_path / "part").run()

    with pytest.RaisesGroup(pytest.RaisesExc(WireError), flatten_subgroups=True) as caught:
        trio.run(main)
    assert "[::1" in location or isinstance(caught.value.exceptions[0], BlockedAddress)
    assert not (tmp_path / "part").exists()


def test_a_redirect_is_followed_and_shows_no_header_of_ours(tmp_path: Path) -> None:
    async def main() -> tuple[download.Downloaded, list[bytes]]:
        async with hosting(leads_to("/b.mp4"), sends_all) as host, client() as line:
            return await loader(line, host, tmp_path / "part").run(), host.asked

    got, asked = trio.run(main)
    assert got.sha256 == DIGEST
    assert asked[1].startswith(b"GET /b.mp4 HTTP/1.1\r\nHost: 127.0.0.1:")
    assert not re.search(rb"(?i)authorization|cookie|referer", asked[1])


def test_the_certificate_of_another_host_is_refused_in_one_line(tmp_path: Path) -> None:
    async def main() -> None:
        async with hosting(sends_all) as host, client() as line:
            url = f"https://localhost:{host.port}"
            await download.Loader(line, f"{url}/a.mp4?secret=1", url, tmp_path / "part", None).run()

    with pytest.RaisesGroup(WireError, flatten_subgroups=True) as caught:
        trio.run(main)
    said = str(caught.value.exceptions[0])
    assert said.startswith("the download from localhost broke: its certificate is not good: ")
    assert "not valid for 'localhost'" in said
    assert "\n" not in said
    assert "secret" not in said


@pytest.mark.parametrize("told", [True, False])
def test_a_file_over_the_cap_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", len(FILE) - 1)

    async def untold(stream: Stream, _heard: bytes) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n" + FILE)
        await stream.aclose()

    async def main() -> None:
        async with hosting(sends_all if told else untold) as host, client() as line:
            await loader(line, host, tmp_path / "part").run()

    with pytest.RaisesGroup(TooLong, flatten_subgroups=True):
        trio.run(main)
    assert not (tmp_path / "part").exists() or (tmp_path / "part").stat().st_size < len(FILE)


def test_a_file_comes_through_a_tunnel_that_knows_its_password(tmp_path: Path) -> None:
    async def main() -> tuple[str, list[str]]:
        async with hosting(sends_all) as host:
            with proxying({"clips.example": ("127.0.0.1", host.port)}, wants="Basic bWU6cEBzcw==") as proxy:
                async with client(proxy=proxy.url.replace("//", "//me:p%40ss@")) as line:
                    url = "https://clips.example/a.mp4"
                    got = await download.Loader(line, url, "https://api.example", tmp_path / "part", None).run()
                return got.sha256, [*proxy.asked, *(str(b"roxy-" in heard) for heard in host.asked)]

    assert trio.run(main) == (DIGEST, ["CONNECT clips.example:443", "False"])


def test_a_file_comes_through_a_proxy_that_itself_speaks_tls(tmp_path: Path) -> None:
    async def main() -> tuple[str, list[str]]:
        async with hosting(sends_all) as host, trio.open_nursery() as nursery:
            with proxying({"clips.example": ("127.0.0.1", host.port)}) as proxy:

                async def relay(stream: Stream) -> None:
                    plain = await trio.open_tcp_stream("127.0.0.1", proxy.server_address[1])
                    async with plain, trio.open_nursery() as ways:
                        ways.start_soon(_pass_on, stream, plain)
                        await _pass_on(plain, stream)
                        ways.cancel_scope.cancel()

                listeners = await trio.open_ssl_over_tcp_listeners(0, THEIRS, host="127.0.0.1", https_compatible=True)
                nursery.start_soon(trio.serve_listeners, relay, listeners)
                port = listeners[0].transport_listener.socket.getsockname()[1]
                async with client(proxy=f"https://127.0.0.1:{port}") as line:
                    url = "https://clips.example/a.mp4"
                    got = await download.Loader(line, url, "https://api.example", tmp_path / "part", None).run()
            nursery.cancel_scope.cancel()
        return got.sha256, proxy.asked

    assert trio.run(main) == (DIGEST, ["CONNECT clips.example:443"])


async def _pass_on(one: trio.abc.ReceiveStream, other: trio.abc.SendStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        while data := await one.receive_some():
            await other.send_all(data)


def test_a_tunnel_that_is_refused_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        with proxying({}, "403 Forbidden") as proxy:
            async with client(proxy=proxy.url) as line:
                url = "https://clips.example/a.mp4"
                await download.Loader(line, url, "https://api.example", tmp_path / "part", None).run()

    with pytest.raises(WireError, match="no way through the proxy: 403 Forbidden"):
        trio.run(main)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts file descriptors as Linux shows them")
def test_no_connection_is_left_open(tmp_path: Path) -> None:
    async def main() -> tuple[int, int]:
        async with hosting(*[cut_after(10), leads_to("https://10.0.0.1/")] * 8, falls_silent) as host, client() as line:
            before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
            for _ in range(16):
                with pytest.raises(WireError):
                    await loader(line, host, tmp_path / "part").run()
            with trio.move_on_after(0.1):
                await loader(line, host, tmp_path / "part").run()
            return before, len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before, after = trio.run(main)
    assert after < before + 8  # some of the server's ends may be open for a moment
