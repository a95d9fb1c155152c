"""Long downloads over real sockets: every byte is hashed and on disk, and a broken one goes on where it broke."""

import contextlib
import hashlib
import os
import random
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from vgen.errors import WireError
from vgen.production import download, fetch
from vgen.production.download import TooLong
from vgen.production.http import HttpClient

pytestmark = pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")  # httpx abandons its own
FILE = random.Random(1).randbytes(3 * fetch.TURN_BYTES + 11)
DIGEST = hashlib.sha256(FILE).hexdigest()


class Host:
    """Serves FILE, or from a Range on, and closes after `cuts[k]` bytes of answer k; `asked`: the beginnings."""

    def __init__(self, cuts: Sequence[int] = (), *, etag: str = '"x"', with_length: bool = True) -> None:
        self.cuts, self.etag, self.with_length = list(cuts), etag, with_length
        self.asked: list[int] = []

    async def talk(self, stream: trio.SocketStream) -> None:
        heard = b""
        while not heard.endswith(b"\r\n\r\n"):
            heard += await stream.receive_some()
        match = re.search(rb"Range: bytes=(\d+)-\r\n", heard)
        begin = int(match[1]) if match else 0
        self.asked.append(begin)
        lines = [f"HTTP/1.1 {'206 Partial Content' if begin else '200 OK'}", f"ETag: {self.etag}"]
        if self.with_length:
            lines.append(f"Content-Length: {len(FILE) - begin}")
        if begin:
            lines.append(f"Content-Range: bytes {begin}-{len(FILE) - 1}/{len(FILE)}")
        cut = self.cuts.pop(0) if self.cuts else len(FILE)
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all("\r\n".join([*lines, "\r\n"]).encode() + FILE[begin : begin + cut])


@contextlib.asynccontextmanager
async def loading(host: Host, part: Path) -> AsyncIterator[download.Loader]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, host.talk, listeners)
        async with HttpClient(now=lambda: 0.0) as line:
            yield download.Loader(line, f"{url}/a.mp4", url, part, None)
        nursery.cancel_scope.cancel()


@pytest.mark.slow
@pytest.mark.parametrize("with_length", [True, False])
def test_a_long_file_is_on_disk_with_its_digest(tmp_path: Path, with_length: bool) -> None:
    async def main() -> Any:
        async with loading(Host(with_length=with_length), tmp_path / "part") as loader:
            return await loader.run()

    got = trio.run(main)
    assert (tmp_path / "part").read_bytes() == FILE
    assert (got.sha256, got.size_bytes, got.told) == (DIGEST, len(FILE), with_length)


@pytest.mark.slow
@pytest.mark.parametrize(
    "cuts", [(1,), (fetch.TURN_BYTES,), (fetch.TURN_BYTES + 1, fetch.TURN_BYTES + 2), (len(FILE) - 1,)]
)
def test_a_long_file_goes_on_where_it_broke(tmp_path: Path, cuts: Sequence[int]) -> None:
    host = Host(cuts)

    async def main() -> Any:
        async with loading(host, tmp_path / "part") as loader:
            for _ in cuts:
                with pytest.raises(WireError):
                    await loader.run()
            return await loader.run()

    got = trio.run(main)
    assert (tmp_path / "part").read_bytes() == FILE
    assert (got.sha256, got.size_bytes, got.one_piece) == (DIGEST, len(FILE), False)
    assert host.asked == [sum(cuts[:k]) for k in range(len(cuts) + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("with_length", [True, False])
def test_a_long_file_is_stopped_at_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_length: bool) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", len(FILE) - 1)

    async def main() -> None:
        async with loading(Host(with_length=with_length), tmp_path / "part") as loader:
            with pytest.raises(TooLong):
                await loader.run()

    trio.run(main)
    assert not (tmp_path / "part").exists() or (tmp_path / "part").stat().st_size < len(FILE)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="no umask")
def test_who_may_read_the_bytes_is_as_the_umask_has_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with loading(Host(), tmp_path / "part") as loader:
            await loader.run()

    before = os.umask(0o027)
    try:
        trio.run(main)
    finally:
        os.umask(before)
    assert (tmp_path / "part").stat().st_mode & 0o777 == 0o640
