"""Rows 1 to 17: what can go wrong with an order, and what it costs."""

import calendar
import time

import pytest
import trio
from faults.scripted import (
    ONLY_PIKA,
    ONLY_RUNWAY,
    PIKA_USD,
    RUNWAY_USD,
    Raw,
    ScriptedStudio,
    accepts_then_sends,
    chunked,
    head,
    says,
    sends,
)
from studio import EPOCH, TLS

from vgen.errors import NotSent
from vgen.production.http import HttpClient
from vgen.providers.base import Call
from vgen.simulator.network import BLACK_HOLE
from vgen.simulator.web import Response

pytestmark = pytest.mark.slow

JSON = "content-type: application/json"
ID = "3f1c8a52-7b1e-4c55-9d51-0a4d6a4f2b11"
WHOLE = f'{{"id": "{ID}"}}'.encode()


def assert_held(one: ScriptedStudio, *, accepted: int, usd: float = RUNWAY_USD) -> None:
    """One order went out, its fate is unknown, and nothing follows it: neither now nor in the next run."""
    for run in range(2):
        if run:
            one.doit("fallback_api=pika")
        assert len(one.asked("create")) == 1
        assert one.states() == ["uncertain"]
        assert one.booked() == (0, 0, usd)
        assert one.bought() == accepted
        assert "may have charged" in one.errors()[0]
        assert f"${usd:.2f}" in one.errors()[0]
    assert one.report()["budget"]["uncertain_usd"] == usd


@pytest.mark.parametrize("way", ["refused", "no answer", "no certificate", "no name"])
def test_fault_001_an_order_that_never_left_is_sent_again_and_costs_nothing(one: ScriptedStudio, way: str) -> None:
    if way == "no certificate":
        one.tls_error = "certificate verify failed"
    else:
        reason = {"refused": "connection refused", "no answer": BLACK_HOLE, "no name": "no address"}[way]
        one.network_refuses = lambda host, port: reason
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.states() == ["released"] * 3
    assert (one.creates(), one.charged(), one.booked()) == (0, 0, (0, 0, 0))
    assert "no connection" in one.errors()[0]
    one.network_refuses = one.tls_error = None
    assert one.doit(*ONLY_RUNWAY) == 0
    assert one.booked() == (RUNWAY_USD, 0, 0)


@pytest.mark.parametrize("way", ["closed port", "no TLS there"])
def test_fault_001_on_a_real_socket_too_an_order_that_never_left_is_known_as_such(way: str) -> None:
    heard: list[bytes] = []

    async def no_tls(stream: trio.SocketStream) -> None:
        heard.append(bytes(await stream.receive_some(65_536)))
        await stream.send_all(head("400 Bad Request", "content-length: 0"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listener.socket.getsockname()[1]
            if way == "closed port":
                await listener.aclose()
            else:
                nursery.start_soon(trio.serve_listeners, no_tls, [listener])
            async with HttpClient(now=lambda: EPOCH, tls=lambda: TLS) as line:
                order = Call(
                    method="POST", url=f"https://127.0.0.1:{port}/v1/x", auth="Bearer KEY", step="create", body=b"{}"
                )
                with pytest.raises(NotSent):
                    await line.send(order, timeout_s=60)
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert not any(b"Bearer" in data for data in heard)


def test_fault_002_a_reset_before_anything_was_read_is_uncertain_all_the_same(one: ScriptedStudio) -> None:
    one.dropped = lambda host: "runway" in host
    assert one.doit() == 1
    assert one.states() == ["uncertain"]
    assert (one.creates(), one.charged()) == (0, 0)
    assert one.booked() == (0, 0, RUNWAY_USD)
    assert one.doit() == 1
    assert len(one.rows()) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
def test_fault_003_an_accepted_order_whose_answer_is_lost_is_held(one: ScriptedStudio, end: str) -> None:
    one.on("create", accepts_then_sends(lambda _: Raw(then=end)))
    assert one.doit() == 1
    assert_held(one, accepted=1)


def test_fault_004_an_order_that_nobody_answers_ends_at_its_deadline(one: ScriptedStudio) -> None:
    one.on("create", accepts_then_sends(lambda _: Raw(then="hang")))
    begin = one.clock.current_time()
    assert one.doit() == 1
    assert 120 <= one.clock.current_time() - begin <= 125
    assert "no answer within 120 s" in one.errors()[0]
    assert_held(one, accepted=1)


def test_fault_005_an_answer_that_drips_ends_at_the_same_deadline(one: ScriptedStudio) -> None:
    one.on(
        "create",
        accepts_then_sends(lambda _: Raw(data=head("200 OK", "content-length: 2000"), endless=b" ", every_s=0.2)),
    )
    begin = one.clock.current_time()
    assert one.doit() == 1
    assert one.clock.current_time() - begin <= 125
    assert_held(one, accepted=1)


@pytest.mark.parametrize(
    "data",
    [
        head("200 OK", JSON, f"content-length: {len(WHOLE)}") + WHOLE[:-10],
        head("200 OK", JSON, "transfer-encoding: chunked") + chunked(WHOLE[:-10]),
        head("200 OK", JSON, "connection: close") + WHOLE[:-10],
        head("200 OK", JSON)[:-12],
    ],
    ids=["length", "chunked", "no length", "head"],
)
def test_fault_006_an_answer_that_is_cut_off_is_no_answer(one: ScriptedStudio, data: bytes) -> None:
    one.on("create", accepts_then_sends(lambda _: Raw(data=data)))
    assert one.doit() == 1
    assert_held(one, accepted=1)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"",
        b"{}",
        b"[]",
        b'"id"',
        b'{"id": 7}',
        b'{"id": ["x"]}',
        b'{"id": ""}',
        b'{"id": "../x"}',
        b'{"id": "a b"}',
        b'{"id": "' + b"x" * 300_000 + b'"}',
        b"[" * 100_000,
    ],
    ids=["page", "empty", "no id", "list", "text", "number", "id list", "id empty", "path", "space", "long", "nest"],
)
def test_fault_007_an_answer_without_a_usable_id_is_no_answer(one: ScriptedStudio, body: bytes) -> None:
    one.on("create", accepts_then_sends(lambda _: Response(status=200, body=body)))
    assert one.doit() == 1
    assert_held(one, accepted=1)
    assert one.asked("poll") == [], "an id that is none is asked for nowhere"


def test_fault_008_an_answer_with_the_id_of_another_order_claims_no_job_twice(studio: ScriptedStudio) -> None:
    studio.on("create", accepts_then_sends(lambda _: _same_id(studio)), after=1, times=1)
    assert studio.doit("max_concurrent=1", "budget_usd=9") == 1
    first = studio.jobs()[0]["id"]
    assert [row["job_id"] for row in studio.rows()].count(first) == 1
    assert studio.said(first)
    assert studio.booked()[1:] != (0, 0), "the second order's money stays counted"
    studio.off()
    studio.doit("budget_usd=9")
    assert studio.bought() == 3
    assert "uncertain" in studio.states()
    assert studio.booked() == (RUNWAY_USD + PIKA_USD, 0, RUNWAY_USD), "runway was closed, the last shot went elsewhere"


def test_fault_008_an_answer_with_the_id_of_another_order_is_told_as_what_it_is(studio: ScriptedStudio) -> None:
    studio.on("create", accepts_then_sends(lambda _: _same_id(studio)), after=1, times=1)
    studio.doit("max_concurrent=1", "budget_usd=9")
    assert "uncertain" in studio.states()
    assert studio.jobs()[0]["id"] in (studio.errors()[1] or "")
    assert not any("BUG" in line or "can't be written" in line for line in studio.lines)


def _same_id(studio: ScriptedStudio) -> Response:
    return Response(status=200, body=f'{{"id": "{studio.jobs()[0]["id"]}"}}'.encode())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_fault_009_an_order_follows_no_redirect_and_takes_its_key_nowhere(one: ScriptedStudio, status: int) -> None:
    one.on("create", says(status, location="https://elsewhere.example.org/v1/text_to_video"))
    assert one.doit() == 1
    assert_held(one, accepted=0)
    assert set(one.hosts("create")) == {"api.dev.runwayml.com"}
    assert not any("elsewhere" in heard.host for heard in one.heard)


@pytest.mark.parametrize("status", [400, 422])
def test_fault_010_invalid_input_is_not_asked_again_at_the_same_api(one: ScriptedStudio, status: int) -> None:
    body = {"error": "Validation of body failed " + "x" * 5000, "issues": [{"path": ["seed"], "message": "too big"}]}
    one.on("create", says(status, body), text="promptText")
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.doit(*ONLY_RUNWAY) == 1
    assert len(one.asked("create")) == 1
    assert (one.states(), one.booked()) == (["refused"], (0, 0, 0))
    assert "Validation of body failed" in one.errors()[0]
    assert len(one.errors()[0]) < 500
    assert one.doit() == 0, "the fallback's policy are other ones"
    assert one.booked() == (PIKA_USD, 0, 0)


@pytest.mark.parametrize("status", [401, 403])
def test_fault_011_a_rejected_key_closes_the_provider_once(studio: ScriptedStudio, status: int) -> None:
    studio.on("create", says(status, {"error": "The API key is not valid."}))
    assert studio.doit(*ONLY_RUNWAY, "max_concurrent=1") == 1
    assert len(studio.asked("create")) == 1
    assert sum("is closed for this run" in line for line in studio.lines) == 1
    assert studio.booked() == (0, 0, 0)
    studio.off()
    assert studio.doit(*ONLY_RUNWAY) == 0, "with the right key the same shots are bought"
    assert studio.booked() == (1.8, 0, 0)


@pytest.mark.parametrize(
    ("status", "words"), [(402, "Payment required"), (400, "You do not have enough credits to run this task.")]
)
def test_fault_012_an_empty_account_closes_the_provider_and_the_fallback_goes_on(
    studio: ScriptedStudio, status: int, words: str
) -> None:
    studio.on("create", says(status, {"error": words}), text="promptText")
    assert studio.doit("max_concurrent=1") == 0
    assert [job["provider"] for job in studio.jobs()] == ["fal"] * 3
    assert len(studio.asked("create")) == 4
    assert studio.said("out of credit")
    assert studio.booked() == (0.6, 0, 0)


HTTP_DATE = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(calendar.timegm(time.gmtime(EPOCH)) + 40))


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        ("7", 7, 10),
        (HTTP_DATE, 35, 50),
        ("0", 0, 2),
        ("soon", 0, 2),
        ("nan", 0, 2),
        ("-3", 0, 2),
        ("1e400", 0, 2),
        ("٣", 0, 2),
    ],
)
def test_fault_013_too_many_requests_are_sent_again_after_the_pause_asked_for(
    one: ScriptedStudio, value: str, least_s: float, most_s: float
) -> None:
    data = head("429 Too Many Requests", JSON, "content-length: 2", f"retry-after: {value}") + b"{}"
    one.on("create", sends(Raw(data=data)), times=1)
    assert one.doit(*ONLY_RUNWAY) == 0
    sooner, later = (row["submitted_at"] for row in one.rows())
    assert least_s <= later - sooner <= most_s
    assert (one.states(), one.booked()) == (["refused", "accepted"], (RUNWAY_USD, 0, 0))


def test_fault_013_a_pause_until_the_year_2099_closes_the_provider(one: ScriptedStudio) -> None:
    one.on("create", says(429, retry_after="Thu, 01 Jan 2099 00:00:00 GMT"), text="promptText")
    begin = one.clock.current_time()
    assert one.doit() == 0
    assert one.clips()[0]["api_used"] == "pika"
    assert one.clock.current_time() - begin < 600
    assert one.booked() == (PIKA_USD, 0, 0)


@pytest.mark.parametrize("status", [408, 425])
@pytest.mark.parametrize("accepted", [0, 1])
def test_fault_014_a_status_that_says_neither_yes_nor_no_is_uncertain(
    one: ScriptedStudio, status: int, accepted: int
) -> None:
    said = {"error": "Request Timeout"}
    one.on("create", accepts_then_sends(lambda _: _json(status, said)) if accepted else says(status, said))
    assert one.doit() == 1
    assert_held(one, accepted=accepted)


def test_fault_014_a_conflict_in_a_gateways_words_is_uncertain(one: ScriptedStudio) -> None:
    one.on("create", accepts_then_sends(lambda _: Response(status=409, body=b"<html>Conflict</html>")))
    assert one.doit() == 1
    assert_held(one, accepted=1)


def _json(status: int, value: object) -> Response:
    import json

    return Response(status=status, headers=(("content-type", "application/json"),), body=json.dumps(value).encode())


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("accepted", [0, 1])
def test_fault_015_a_gateways_page_is_no_answer(one: ScriptedStudio, status: int, accepted: int) -> None:
    page = Response(status=status, headers=(("content-type", "text/html"),), body=b"<html>Bad Gateway</html>")
    one.on("create", accepts_then_sends(lambda _: page) if accepted else says(status, raw=page.body))
    assert one.doit() == 1
    assert_held(one, accepted=accepted)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_fault_015_the_providers_own_no_is_sent_again(one: ScriptedStudio, status: int) -> None:
    one.on("create", says(status, {"error": "The service is overloaded."}), times=2)
    assert one.doit(*ONLY_RUNWAY) == 0
    assert one.states() == ["refused", "refused", "accepted"]
    assert (one.bought(), one.booked()) == (1, (RUNWAY_USD, 0, 0))


@pytest.mark.parametrize("status", [400, 401, 402, 429, 500])
def test_fault_016_a_refusal_after_a_lost_answer_frees_no_money(one: ScriptedStudio, status: int) -> None:
    """The first order was accepted and its answer lost; what is said to the second one says nothing about the first."""
    one.on("create", accepts_then_sends(lambda _: Raw()), times=1)
    one.on("create", says(status, {"error": "no"}))
    assert one.doit(*ONLY_RUNWAY, "max_retries=2") == 1
    assert one.doit(*ONLY_RUNWAY, "max_retries=2", "on_uncertain=rebuy") == 1
    assert one.states() == ["uncertain", "refused"]
    assert one.booked() == (0, 0, RUNWAY_USD)
    assert (one.bought(), len(one.asked("create"))) == (1, 2)


@pytest.mark.parametrize("body", [{"code": 1, "message": "balance"}, {"error": "no"}, {"code": 0, "data": None}])
def test_fault_017_an_error_in_an_answer_that_says_ok_is_uncertain(one: ScriptedStudio, body: object) -> None:
    one.on("create", says(200, body))
    assert one.doit() == 1
    assert_held(one, accepted=0)


def test_fault_017_the_queue_is_no_better_believed(one: ScriptedStudio) -> None:
    one.on("create", says(200, {"detail": "something went wrong"}))
    assert one.doit(*ONLY_PIKA) == 1
    assert one.states() == ["uncertain"]
    assert one.booked() == (0, 0, PIKA_USD)
