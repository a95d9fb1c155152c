"""Rows 79 and 80: files come from public addresses only, and a key stays between vgen and its provider."""

import base64
import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import trio
from faults.scripted import ONLY_PIKA, ONLY_RUNWAY, RUNWAY_USD, Forward, ScriptedStudio, changes, says
from studio import KEYS

from vgen.simulator.web import Request, Response

pytestmark = pytest.mark.slow

PAID = (RUNWAY_USD, 0, 0)
PUBLIC = "93.184.216.34"
HOSTS = [
    "127.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0x7f.1", "127。0。0。1",
    "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "192.0.0.192", "100.64.0.10", "[fec0::1]", "10.0.0.1", "224.0.0.1",
]  # fmt: skip


@contextlib.contextmanager
def names(studio: ScriptedStudio, monkeypatch: pytest.MonkeyPatch, **known: list[list[str]]) -> Iterator[None]:
    """Names resolve to these addresses, call by call (the last for ever); numbers to what they spell."""
    real = trio.socket.getaddrinfo

    async def resolve(host: str | bytes, port: int, *args: object, **options: object) -> object:
        await trio.lowlevel.checkpoint()
        text = host.decode() if isinstance(host, bytes) else host
        answers = known.get(text.replace(".", "_").replace("-", "_"))
        if answers is None:
            with contextlib.suppress(OSError):
                packed = socket.inet_aton(text)
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (socket.inet_ntoa(packed), port))]
            return await real(host, port, *args, **options)  # type: ignore[arg-type]
        addresses = answers[0] if len(answers) == 1 else answers.pop(0)
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses
        ]

    studio.names = {}
    with monkeypatch.context() as patch:
        patch.setattr(trio.socket, "getaddrinfo", resolve)
        yield


def leads_to(where: str) -> Callable[..., object]:
    """A finished job whose file lies at another host."""

    async def act(request: Request, forward: Forward) -> Response:
        response = await forward()
        said = response.json()
        if said.get("status") == "SUCCEEDED":
            said["output"] = [where]
        return Response(status=response.status, body=json.dumps(said).encode())

    return act


def assert_blocked(one: ScriptedStudio) -> None:
    """Paid, told, fetched from nowhere; the honest address of a later run is fetched free."""
    assert one.asked("media") == []
    assert (one.creates(), one.states(), one.booked()) == (1, ["rendered"], PAID)
    assert "paid" in one.errors()[0]


@pytest.mark.parametrize("host", HOSTS)
def test_fault_079_a_file_at_an_address_that_is_not_public_is_not_fetched(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    one.on("poll", leads_to(f"https://{host}/media/x.mp4"))  # type: ignore[arg-type]
    with names(one, monkeypatch):
        assert one.doit(*ONLY_RUNWAY) == 1
    assert_blocked(one)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["169.254.169.254", PUBLIC], ["::1"], ["64:ff9b::a00:1"]],
    ids=str,
)
def test_fault_079_a_name_with_any_address_that_is_not_public_is_not_asked(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    one.on("poll", leads_to("https://cdn.example.org/media/x.mp4"))  # type: ignore[arg-type]
    with names(one, monkeypatch, cdn_example_org=[addresses]):
        assert one.doit(*ONLY_RUNWAY) == 1
    assert_blocked(one)
    assert "cdn.example.org" in one.errors()[0]


def test_fault_079_a_name_is_connected_to_at_the_address_that_was_checked(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look-up would say something else; there is none."""
    with names(one, monkeypatch, api_dev_runwayml_com=[[PUBLIC], ["127.0.0.1"]]):
        assert one.doit(*ONLY_RUNWAY) == 0
    assert one.hosts("media") == [PUBLIC]
    assert (one.creates(), one.booked()) == (1, PAID)


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/x.mp4", "https://169.254.169.254/x", "https://inside.example.org/x"]
)
def test_fault_079_a_redirect_is_checked_as_the_first_address(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    one.on("media", says(302, location=location))
    with names(one, monkeypatch, api_dev_runwayml_com=[[PUBLIC]], inside_example_org=[["10.1.2.3"]]):
        assert one.doit(*ONLY_RUNWAY) == 1
    assert set(one.hosts("media")) == {PUBLIC}
    assert one.booked() == PAID
    assert "blocked" in one.errors()[0]


SPELLINGS = [
    spelling
    for key in KEYS.values()
    for spelling in (key, quote(key, safe=""), base64.b64encode(key.encode()).decode(), repr(key)[1:-1])
]


def assert_no_key(studio: ScriptedStudio, *texts: str) -> None:
    """In no file, in nothing said, in no request to anybody but the API, and there in one header only."""
    for path in studio.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(spelling.encode() in data for spelling in SPELLINGS), path
    for text in (*texts, *studio.lines):
        assert not any(spelling in text for spelling in SPELLINGS)
    for heard in studio.heard:
        request = heard.request
        rest = {name: value for name, value in request.headers.items() if name != "authorization"}
        assert not any(spelling in f"{request.target}{rest}{request.body!r}" for spelling in SPELLINGS)
        if heard.kind == "media":
            assert "authorization" not in request.headers


def test_fault_080_a_key_stays_between_vgen_and_its_provider(
    studio: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.faults("url_expired=first:1", "media_cut=first:1", "poll_reset=first:1", "create_429=first:1")
    studio.doit()
    studio.doit("plan")
    studio.doit("list", "--all", "--status")
    said = capfd.readouterr()
    assert_no_key(studio, said.out, said.err)
    assert {heard.request.headers.get("authorization") for heard in studio.heard} - {None} == {
        f"Bearer {KEYS['RUNWAY_API_KEY']}"
    }


ECHO = f"the key {KEYS['RUNWAY_API_KEY']} / {KEYS['FAL_KEY']} is not known"


@pytest.mark.parametrize(
    "kind",
    ["create 401", "create 400", "create 500", "create 200", "poll 401", "poll 500", "failed", "status", "media"],
)
def test_fault_080_a_provider_that_repeats_the_key_puts_it_nowhere(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    one.provider_lies = True
    match kind.split():
        case ["create" | "poll" as what, status]:
            one.on(what, says(int(status), {"error": ECHO}))
        case ["failed"]:
            one.on("poll", changes(status="FAILED", failure=ECHO, failureCode=ECHO, output=None))
        case ["status"]:
            one.on("poll", changes(status=ECHO))
        case ["media"]:
            one.on("media", says(500, {"error": ECHO}))
    one.doit(*ONLY_RUNWAY, "max_retries=1")
    said = capfd.readouterr()
    assert_no_key(one, said.out, said.err)


def test_fault_080_the_queues_own_words_are_no_better_believed(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.on("create", says(401, {"detail": ECHO}))
    one.doit(*ONLY_PIKA)
    said = capfd.readouterr()
    assert_no_key(one, said.out, said.err)


def test_fault_080_a_key_in_a_config_file_is_refused_without_being_shown(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    one.configure(runway={"api_key": KEYS["RUNWAY_API_KEY"]})
    assert one.doit() == 3
    said = capfd.readouterr()
    assert "vgencanary" not in said.out + said.err
    assert "RUNWAY_API_KEY" in said.err
    (one.root / "config" / "api_config.json").unlink()


def test_fault_080_a_bug_shows_no_key_in_its_traceback(one: ScriptedStudio, capfd: pytest.CaptureFixture[str]) -> None:
    async def buggy(*_: object) -> object:
        raise RuntimeError(f"planted {ECHO}")

    one.judge = buggy  # type: ignore[assignment]
    assert one.doit() == 2
    said = capfd.readouterr()
    assert_no_key(one, said.out, said.err)
