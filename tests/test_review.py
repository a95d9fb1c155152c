"""The review's server from outside: who is let in, what it sends and what not, and what a choice may say."""

import json
import os
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from vgen.errors import InputError, LockHeld, Refusal

pytest.importorskip("starlette", reason="pip install -e '.[test]' brings it")

from vgen.review import guard, media, server
from vgen.review.app import Page, application
from vgen.review.choices import Choice, parse

PORT, TOKEN = 8123, "a-token-of-this-test"
OWN = f"http://127.0.0.1:{PORT}"
CLIP = bytes(range(256)) * 40


class OneFilm:
    """A film of one shot, which remembers what was chosen."""

    def __init__(self, outputs: Path) -> None:
        self.outputs = outputs
        self.chosen: list[Choice] = []
        self.fails: Exception | None = None
        self.looks = 0

    def state(self) -> object:
        return len(self.chosen)

    def builder(self) -> int | None:
        return None

    def shots(self) -> dict[str, Any]:
        self.looks += 1
        return {"shots": [{"shot": 7}]}

    def page(self, only: frozenset[int] | None) -> Page:
        return Page(html=f"<p>{sorted(only or ())}</p>", policy="default-src 'none'")

    def choose(self, choice: Choice) -> None:
        if self.fails is not None:
            raise self.fails
        self.chosen.append(choice)


@pytest.fixture
def film(tmp_path: Path) -> OneFilm:
    outputs = tmp_path / "outputs"
    (outputs / "clips").mkdir(parents=True)
    (outputs / "takes" / "ab").mkdir(parents=True)
    (outputs / "clips" / "clip_007.mp4").write_bytes(CLIP)
    (outputs / "takes" / "ab" / "take_001.mp4").write_bytes(CLIP)
    (outputs / "takes" / "ab" / "take_001.json").write_text("a receipt")
    (outputs / "clips" / ".hidden.mp4").write_bytes(CLIP)
    (outputs / "ledger.db").write_bytes(b"every cent")
    (tmp_path / "secret.mp4").write_bytes(b"not yours")
    (outputs / "clips" / "leads_out.mp4").symlink_to(tmp_path / "secret.mp4")
    (outputs / "takes" / "out").symlink_to(tmp_path)
    (outputs / "takes" / "within.mp4").symlink_to(outputs / "takes" / "ab" / "take_001.mp4")
    return OneFilm(outputs)


Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(film: OneFilm) -> Ask:
    """One request to the guarded application, in process. `raw`: the path as it is on the wire."""
    app = guard.Guard(app=application(film)[0], port=PORT, token=TOKEN)

    def ask(method: str, path: str, *, own: bool = True, **options: Any) -> httpx.Response:
        headers = {"X-Vgen-Token": TOKEN} if own else {}
        headers |= options.pop("headers", {})

        async def once() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OWN) as client:
                request = client.build_request(method, "/", headers=headers, **options)
                request.url = request.url.copy_with(raw_path=path.encode())
                return await client.send(request)

        return trio.run(once)

    return ask


# Who is let in


@pytest.mark.parametrize("path", ["/", "/api/film", "/api/events", "/clips/clip_007.mp4", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Vgen-Token": "another"},
        {"X-Vgen-Token": ""},
        {"Cookie": f"vgen_review_{PORT}=another"},
        {"Cookie": f"vgen_review_{PORT + 1}={TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_answered(ask: Ask, path: str, headers: dict[str, str]) -> None:
    answer = ask("GET", path, own=False, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert answer.text == "open the address that `doit review` printed: it holds the token\n"


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/?token=", "/?token=%C3%A9"])
def test_a_wrong_token_in_the_address_opens_nothing(ask: Ask, path: str) -> None:
    assert ask("GET", path, own=False).status_code == 403


def test_the_first_load_leaves_a_cookie_that_scripts_and_other_sites_cannot_use(ask: Ask) -> None:
    answer = ask("GET", f"/?token={TOKEN}", own=False)
    assert answer.status_code == 200
    assert answer.headers["set-cookie"] == f"vgen_review_{PORT}={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    again = ask("GET", "/api/film", own=False, headers={"Cookie": f"other=1; vgen_review_{PORT}={TOKEN}"})
    assert again.status_code == 200
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        f"localhost:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        "127.0.0.1.evil",
    ],
)
def test_another_host_is_refused_though_it_has_the_token(ask: Ask, host: str) -> None:
    answer = ask("GET", f"/api/film?token={TOKEN}", headers={"Host": host})
    assert (answer.status_code, answer.text) == (403, f"this review answers only as 127.0.0.1:{PORT}\n")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"http://localhost:{PORT}", f"https://127.0.0.1:{PORT}"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_is_refused_though_it_has_the_token(ask: Ask, film: OneFilm, origin: str, method: str) -> None:
    path = "/api/pick" if method == "POST" else "/api/film"
    answer = ask(method, path, headers={"Origin": origin}, content='{"shot": 7, "take": 1}')
    assert (answer.status_code, film.chosen) == (403, [])


def test_a_page_on_another_port_cannot_use_the_cookie(ask: Ask) -> None:
    cookie = {"Cookie": f"vgen_review_{PORT}={TOKEN}"}
    for site in ("same-site", "cross-site"):
        answer = ask("GET", "/clips/clip_007.mp4", own=False, headers=cookie | {"Sec-Fetch-Site": site})
        assert answer.status_code == 403
    for site in ("same-origin", "none"):
        assert ask("GET", "/api/film", own=False, headers=cookie | {"Sec-Fetch-Site": site}).status_code == 200


def test_its_own_origin_may_choose(ask: Ask, film: OneFilm) -> None:
    answer = ask("POST", "/api/pick", headers={"Origin": OWN}, content='{"shot": 7, "take": 2}')
    assert answer.status_code == 200
    assert film.chosen == [Choice(command="pick", variables={"shot": "7", "take": "2"})]


@pytest.mark.parametrize("path", ["/", "/api/film", "/clips/clip_007.mp4", "/nothing"])
def test_every_answer_forbids_framing_sniffing_and_storing(ask: Ask, path: str) -> None:
    headers = ask("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == ("private, no-cache" if path.endswith(".mp4") else "no-store")


# Files


@pytest.mark.parametrize(
    "path",
    [
        "/ledger.db",
        "/clips/../ledger.db",
        "/clips/../../secret.mp4",
        "/clips/%2e%2e/%2e%2e/secret.mp4",
        "/clips/..%2f..%2fsecret.mp4",
        "/clips/..%5c..%5csecret.mp4",
        "/clips/%252e%252e/%252e%252e/secret.mp4",
        "/%2e%2e/secret.mp4",
        "/clips//etc/passwd",
        "/clips/%2fetc%2fpasswd",
        "/clips/clip_007.mp4%00.txt",
        "/clips/leads_out.mp4",
        "/takes/out/secret.mp4",
        "/takes/out/outputs/ledger.db",
        "/takes/ab/take_001.json",
        "/takes/ab",
        "/takes/",
        "/clips/.hidden.mp4",
        "/clips/gone.mp4",
        "/clips/" + "a" * 5000 + ".mp4",
        "/.vgen/clip.mp4",
    ],
)
def test_nothing_but_videos_of_the_outputs_is_sent(ask: Ask, path: str) -> None:
    answer = ask("GET", path)
    assert answer.status_code == 404
    assert b"yours" not in answer.content


def test_a_folder_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "clip.mp4").write_bytes(CLIP)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "clips").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="404"):
        media.find(tmp_path / "outputs", "clips", "clip.mp4")


@pytest.mark.parametrize("path", ["/clips/clip_007.mp4", "/takes/ab/take_001.mp4?v=1", "/takes/within.mp4"])
def test_a_clip_is_sent_whole(ask: Ask, path: str) -> None:
    answer = ask("GET", path)
    assert (answer.status_code, answer.content) == (200, CLIP)
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["accept-ranges"] == "bytes"
    assert ask("HEAD", path).headers["content-length"] == str(len(CLIP))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-", 0, len(CLIP) - 1),
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=10000-99999999", 10000, len(CLIP) - 1),
        ("bytes=-5", len(CLIP) - 5, len(CLIP) - 1),
        ("Bytes=3-4", 3, 4),
    ],
)
def test_a_range_is_sent_as_such(ask: Ask, asked: str, first: int, last: int) -> None:
    answer = ask("GET", "/clips/clip_007.mp4", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, CLIP[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CLIP)}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=99999999-",
        f"bytes={len(CLIP)}-",
        "bytes=5-1",
        "bytes=--5",
        "bytes=-",
        "bytes=a-b",
        "bytes=",
        "bytes",
        "lines=1-2",
        "bytes=0-1,3-4",
        "bytes=" + ",".join("0-0" for _ in range(1000)),
        "bytes=" + "9" * 5000 + "-",
        "bytes=0-" + "9" * 5000,
        "bytes=-0",
        "bytes=\u0663-",
    ],
)
def test_an_absurd_range_is_refused(ask: Ask, asked: str) -> None:
    answer = ask("GET", "/clips/clip_007.mp4", headers={"Range": asked.encode()})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(CLIP)}"


def test_an_open_range_is_answered_in_parts(ask: Ask, film: OneFilm) -> None:
    with (film.outputs / "clips" / "clip_008.mp4").open("wb") as large:
        large.truncate(20 << 20)
    answer = ask("GET", "/clips/clip_008.mp4", headers={"Range": "bytes=5-"})
    assert answer.headers["content-range"] == f"bytes 5-{5 + media.RANGE_BYTES - 1}/{20 << 20}"
    assert len(answer.content) == media.RANGE_BYTES
    (film.outputs / "clips" / "clip_008.mp4").unlink()  # every byte that a test leaves is searched for keys


# Choices


@pytest.mark.parametrize(
    ("kind", "body", "command", "variables"),
    [
        ("pick", {"shot": 7, "take": 2}, "pick", {"shot": "7", "take": "2"}),
        ("pick", {"shot": 7, "take": "a6c0efe4/1"}, "pick", {"shot": "7", "take": "a6c0efe4/1"}),
        ("keep", {"shot": 7}, "keep", {"shot": "7"}),
        ("lock", {"shot": 7, "locked": True}, "lock", {"shot": "7"}),
        ("lock", {"shot": 7, "locked": False}, "unlock", {"shot": "7"}),
        ("note", {"shot": 7, "text": "too dark = again"}, "note", {"shot": "7", "text": "too dark = again"}),
        ("note", {"shot": 7, "text": ""}, "note", {"shot": "7", "text": ""}),
    ],
)
def test_a_choice_is_a_command(kind: str, body: object, command: str, variables: dict[str, str]) -> None:
    assert parse(kind, json.dumps(body).encode()) == Choice(command=command, variables=variables)


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("pick", "", "must be JSON"),
        ("pick", "{", "must be JSON"),
        ("pick", "\ufeff", "must be JSON"),
        ("pick", "[" * 100_000, "must be JSON"),
        ("pick", "[]", "an object with just shot, take"),
        ("pick", '{"shot": 7}', "an object with just shot, take"),
        ("pick", '{"shot": 7, "take": 1, "buy": true}', "an object with just shot, take"),
        ("pick", '{"shot": "7", "take": 1}', "shot must be a number"),
        ("pick", '{"shot": true, "take": 1}', "shot must be a number"),
        ("pick", '{"shot": 7, "take": 1.0}', "take must be a number or a string"),
        ("pick", '{"shot": 7, "take": null}', "take must be a number or a string"),
        ("pick", '{"shot": 0, "take": 1}', "the number of a shot"),
        ("pick", '{"shot": -7, "take": 1}', "the number of a shot"),
        ("lock", '{"shot": 7, "locked": 1}', "locked must be true or false"),
        ("note", '{"shot": 7, "text": "\\ud800"}', "no character"),
        ("buy", '{"shot": 7}', "no such choice"),
        ("clip", '{"shot": 7}', "no such choice"),
    ],
)
def test_a_choice_that_is_none_is_refused_in_one_line(ask: Ask, film: OneFilm, kind: str, body: str, says: str) -> None:
    answer = ask("POST", f"/api/{kind}", content=body)
    assert (answer.status_code, film.chosen) == (400, [])
    said = answer.json()["error"]
    assert says in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError(["shot=9: there is no such shot"]), 400),
        (LockHeld("another vgen run (process 5) works on outputs; wait for it, or start with wait=yes"), 409),
        (Refusal("the ledger can't be read"), 500),
    ],
)
def test_what_a_command_refuses_is_told(ask: Ask, film: OneFilm, error: Exception, status: int) -> None:
    film.fails = error
    answer = ask("POST", "/api/keep", content='{"shot": 9}')
    assert (answer.status_code, answer.json()) == (status, {"error": str(error).partition(";")[0]})


def test_choices_are_posted_and_looking_is_not(ask: Ask, film: OneFilm) -> None:
    assert ask("GET", "/api/pick").status_code in (404, 405)
    assert ask("POST", "/api/film", content="{}").status_code in (400, 405)
    assert ask("POST", "/", content="{}").status_code == 405
    assert film.chosen == []


def test_the_film_is_gathered_once_for_all_who_ask(film: OneFilm) -> None:
    app, _ = application(film)

    async def many() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=OWN) as client:
            told = [(await client.get("/api/film")).json()["version"] for _ in range(20)]
            await client.post("/api/keep", content='{"shot": 7}')
            return [*told, (await client.get("/api/film")).json()["version"]]

    assert trio.run(many) == [1] * 20 + [2]
    assert film.looks == 2


# The socket


OPEN: list[trio.SocketStream] = []
"""Connections of a test's clients, closed after the server has ended."""


@asynccontextmanager
async def served(film: OneFilm) -> AsyncIterator[int]:
    listening = server.listen(0)
    port = server.port_of(listening)
    app, watch = application(film)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        nursery.start_soon(server.serve, guard.Guard(app=app, port=port, token=TOKEN), listening)
        yield port
        nursery.cancel_scope.cancel()


def run_served(film: OneFilm, act: Callable[[int], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with served(film) as port:
                await act(port)
        while OPEN:
            await trio.aclose_forcefully(OPEN.pop())

    trio.run(main)


def client(port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"X-Vgen-Token": TOKEN})


async def connect(port: int) -> trio.SocketStream:
    OPEN.append(await trio.open_tcp_stream("127.0.0.1", port))
    return OPEN[-1]


async def get(port: int, path: str, *headers: str) -> trio.SocketStream:
    stream = await connect(port)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"X-Vgen-Token: {TOKEN}", *headers, "", ""]
    await stream.send_all("\r\n".join(lines).encode())
    return stream


def test_over_a_real_socket_requests_follow_one_another(film: OneFilm) -> None:
    async def act(port: int) -> None:
        async with client(port) as http:
            assert (await http.get("/api/film")).json()["shots"] == [{"shot": 7}]
            assert (await http.get("/clips/clip_007.mp4")).content == CLIP
            assert (await http.head("/clips/clip_007.mp4")).headers["content-length"] == str(len(CLIP))
            assert (await http.get("/clips/clip_007.mp4", headers={"Range": "bytes=1-2"})).content == CLIP[1:3]
            assert (await http.post("/api/keep", content='{"shot": 7}')).status_code == 200
            assert (await http.post("/api/note", content="x" * 70_000)).status_code == 413
            assert (await http.get("/", headers={"X-Vgen-Token": "no"})).status_code == 403
        for said in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
            stream = await connect(port)
            await stream.send_all(said)
            assert (await stream.receive_some()).split()[1] in (b"400", b"403")

    run_served(film, act)


def test_connections_beyond_the_most_are_closed_and_others_live(film: OneFilm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)

    async def act(port: int) -> None:
        page = await get(port, "/api/events")
        assert b"200" in await page.receive_some()
        strangers = [await connect(port) for _ in range(2)]
        beyond = await connect(port)
        assert await beyond.receive_some() == b""
        for stream in strangers:
            await stream.aclose()
        with trio.move_on_after(10):
            while b"200" not in await _first_bytes(port):  # noqa: ASYNC110 - the server tells nobody
                await trio.sleep(0.01)
        assert b"200" in await _first_bytes(port)

    run_served(film, act)


async def _first_bytes(port: int) -> bytes:
    try:
        stream = await get(port, "/api/film", "Connection: close")
        answer = bytes(await stream.receive_some())
        await stream.aclose()
    except trio.BrokenResourceError:
        return b""
    return answer


def test_a_moment_without_open_files_ends_no_review(film: OneFilm) -> None:
    class Blind(OneFilm):
        blind = False

        def state(self) -> object:
            if self.blind:
                raise OSError(24, "Too many open files")
            return super().state()

    blind = Blind(film.outputs)
    app, watch = application(blind)
    assert app
    blind.blind = True
    watch.look()
    assert watch.version == 1
    blind.blind = False
    blind.chosen.append(Choice(command="keep", variables={}))
    watch.look()
    assert watch.version == 2


def test_asking_for_the_head_of_the_events_waits_for_nothing(ask: Ask) -> None:
    answer = ask("HEAD", "/api/events")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")


def test_it_listens_on_this_machine_only() -> None:
    listening = server.listen(0)
    with listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        with pytest.raises(OSError, match="in use"):
            server.listen(server.port_of(listening))


def test_every_open_page_hears_of_a_choice_and_one_that_goes_leaves_nothing_behind(film: OneFilm) -> None:
    async def act(port: int) -> None:
        pages = [await get(port, "/api/events") for _ in range(50)]
        heard = [b""] * len(pages)
        for version in (b'"version": 1', b'"version": 2'):
            for at, page in enumerate(pages):
                while version not in heard[at]:
                    heard[at] += bytes(await page.receive_some())
            if version.endswith(b"1"):
                async with client(port) as http:
                    await http.post("/api/keep", content='{"shot": 7}')
        for page in pages:
            await page.aclose()
        with trio.move_on_after(10):
            while trio.lowlevel.current_statistics().tasks_living > 12:  # noqa: ASYNC110 - tasks tell nobody
                await trio.sleep(0.01)
        assert trio.lowlevel.current_statistics().tasks_living <= 12

    run_served(film, act)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KB on Linux")
def test_200_takes_of_20_mb_leave_memory_flat_and_clients_that_do_not_read_keep_nobody(
    film: OneFilm, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(200):
        with (film.outputs / "takes" / "ab" / f"take_{number:03}.mp4").open("wb") as take:
            take.truncate(20 << 20)

    async def act(port: int) -> None:
        await get(port, "/takes/ab/take_000.mp4")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lazy = [await get(port, f"/takes/ab/take_{number:03}.mp4") for number in range(200)]
        for stream in lazy:
            assert (await stream.receive_some(1000)).startswith(b"HTTP/1.1 200")
        async with client(port) as http:
            for number in range(0, 200, 20):
                answer = await http.get(f"/takes/ab/take_{number:03}.mp4", headers={"Range": "bytes=100-"})
                assert len(answer.content) == media.RANGE_BYTES
        for stream in lazy[:50]:  # as a browser does that has seen enough
            await trio.aclose_forcefully(stream)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 200 * 512, "half a megabyte a connection: what one read holds"

    try:
        run_served(film, act)  # and it ends, though nobody has read what was sent
        assert capfd.readouterr().err == ""
    finally:
        for take in (film.outputs / "takes" / "ab").iterdir():
            take.unlink()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx would ask the environment's proxy."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
