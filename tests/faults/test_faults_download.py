"""Rows 29 to 39: what can go wrong with the file of a job that is paid. None of it leads back to an order."""

import gzip
from collections.abc import Callable

import pytest
from faults.scripted import (
    ONLY_RUNWAY,
    RUNWAY_USD,
    Forward,
    Raw,
    ScriptedStudio,
    accepts_then_sends,
    chunked,
    head,
    says,
    sends,
)

from vgen.production import download, http
from vgen.simulator.app import App
from vgen.simulator.renderers import plain_renderer
from vgen.simulator.web import Request, Response

PAID = (RUNWAY_USD, 0, 0)
MP4 = "content-type: video/mp4"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning"),  # httpx abandons its own
]


def assert_bought_once(one: ScriptedStudio) -> None:
    assert (one.creates(), one.charged()) == (1, RUNWAY_USD)
    assert (one.states(), one.booked()) == (["accepted"], PAID)
    assert one.successes() == [True]
    assert len(one.takes()) == 1
    assert not list((one.outputs / ".vgen" / "parts").iterdir())


def assert_paid_and_fetched_later(one: ScriptedStudio, words: str) -> None:
    """No clip now, but the money is told; a calm run fetches it free."""
    assert one.successes() == [False]
    assert (one.creates(), one.booked()) == (1, PAID)
    assert words in one.errors()[0]
    assert "paid" in one.errors()[0]
    one.off()
    assert one.doit() == 0
    assert_bought_once(one)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_fault_029_an_expired_address_is_renewed(one: ScriptedStudio, status: int) -> None:
    one.on("media", says(status, {"error": "Request has expired"}), times=3)
    assert one.doit() == 0
    assert len(one.asked("media")) == 4
    assert_bought_once(one)


def test_fault_029_an_address_that_has_expired_for_good_is_told_as_paid(one: ScriptedStudio) -> None:
    """As long as providers keep files it may come back; two days later it is gone."""
    one.on("media", says(403, {"error": "Request has expired"}))
    assert one.doit() == 1
    assert one.booked() == PAID
    assert "paid" in one.errors()[0]
    assert "run again" in one.errors()[0]
    one.pass_time(3 * 86_400)
    for _ in range(2):
        assert one.doit() == 1
    assert (one.creates(), one.states(), one.booked()) == (1, ["lost"], PAID)
    assert "paid $0.60" in one.errors()[0]
    assert "expired" in one.errors()[0]
    assert "-a clip:1" in one.errors()[0]
    assert one.clips()[0]["cost_usd"] == RUNWAY_USD


@pytest.mark.parametrize(
    "raw", [Raw(), Raw(then="reset"), Raw(then="hang"), None], ids=["closed", "reset", "stall", "500"]
)
def test_fault_030_a_download_that_breaks_is_tried_again(one: ScriptedStudio, raw: Raw | None) -> None:
    one.on("media", sends(raw) if raw else says(500, {"error": "Internal error"}), times=4)
    assert one.doit() == 0
    assert len(one.asked("media")) == 5
    assert_bought_once(one)


def test_fault_030_a_download_that_always_breaks_is_fetched_by_the_next_run(one: ScriptedStudio) -> None:
    one.on("media", sends(Raw(then="reset")))
    assert one.doit() == 1
    assert len(one.asked("media")) == 8
    assert_paid_and_fetched_later(one, "could not be downloaded")


def half(framing: Callable[[bytes], bytes]) -> Callable[[Response], Raw]:
    return lambda response: Raw(data=framing(response.body))


@pytest.mark.parametrize(
    "framing",
    [
        lambda body: head("200 OK", MP4, f"content-length: {len(body)}") + body[: len(body) // 2],
        lambda body: head("200 OK", MP4, "transfer-encoding: chunked") + chunked(body[: len(body) // 2]),
        lambda body: head("200 OK", MP4, "transfer-encoding: chunked") + chunked(body)[:-1],
    ],
    ids=["length", "chunked", "last byte"],
)
def test_fault_031_half_a_file_is_no_file(one: ScriptedStudio, framing: Callable[[bytes], bytes]) -> None:
    one.on("media", accepts_then_sends(half(framing)), times=2)
    assert one.doit() == 0
    assert_bought_once(one)


def no_length(body: bytes) -> bytes:
    return head("200 OK", MP4, "connection: close") + body[: len(body) // 2]


def test_fault_032_half_a_file_of_unknown_length_is_found_by_decoding(one: ScriptedStudio) -> None:
    one.on("media", accepts_then_sends(half(no_length)), times=1)
    assert one.doit() == 0
    assert one.said("came damaged")
    assert_bought_once(one)


def test_fault_032_the_same_half_again_and_again_is_never_believed_to_be_whole(one: ScriptedStudio) -> None:
    one.on("media", accepts_then_sends(half(no_length)))
    assert one.doit() == 1
    assert one.takes() == []
    assert_paid_and_fetched_later(one, "nothing that can be believed came from runway: it came damaged")


@pytest.mark.parametrize("way", ["ignored", "other start", "other end", "less than promised", "416", "junk"])
def test_fault_033_a_server_that_ignores_or_misreads_a_range_is_asked_from_the_start(
    one: ScriptedStudio, way: str
) -> None:
    async def continued(request: Request, forward: Forward) -> Response | Raw:
        response = await forward()
        if "range" not in request.headers:
            return Raw(
                data=head("200 OK", MP4, 'etag: "a"', f"content-length: {len(response.body)}") + response.body[:70_000]
            )
        if way == "ignored":
            whole = Request(method="GET", target=request.target, origin=request.origin)
            return await App(one.cloud, plain_renderer)(whole)
        if way == "416":
            return Raw(data=head("416 Range Not Satisfiable", "content-length: 0"))
        start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
        span, size = {
            "other start": (f"bytes 0-{149_999 - start}/150000", 150_000 - start),
            "other end": (f"bytes {start}-{start + 9_999}/150000", 10_000),
            "less than promised": (f"bytes {start}-149999/150000", 10_000),
            "junk": ("bytes x", 10_000),
        }[way]
        lines = (MP4, f"content-range: {span}", f"content-length: {size}")
        return Raw(data=head("206 Partial Content", *lines) + bytes(size))

    one.on("media", continued, times=2)
    assert one.doit() == 0
    assert [("range" in request.headers) for request in one.asked("media")][:2] == [False, True]
    assert not one.said("came damaged"), "found by the figures, before anybody looked into the file"
    assert_bought_once(one)


def test_fault_034_a_file_that_changes_between_two_parts_is_taken_whole(one: ScriptedStudio) -> None:
    """The server kept its promise: If-Range, then all of the new file."""
    old = Raw(data=head("200 OK", MP4, 'etag: "old"', "content-length: 150000") + bytes(80_000))
    one.on("media", sends(old), times=1)
    assert one.doit() == 0
    _first, second = one.asked("media")
    assert second.headers["if-range"] == '"old"'
    assert second.headers["range"] == "bytes=80000-"
    assert_bought_once(one)


def test_fault_034_a_weak_mark_is_no_proof_so_nothing_is_continued(one: ScriptedStudio) -> None:
    old = Raw(data=head("200 OK", MP4, 'etag: W/"old"', "content-length: 150000") + bytes(80_000))
    one.on("media", sends(old), times=1)
    assert one.doit() == 0
    assert not any("range" in request.headers for request in one.asked("media"))
    assert_bought_once(one)


BOMB = gzip.compress(bytes(8 << 20))


@pytest.mark.parametrize("data", [BOMB, BOMB[:-4], b"no gzip at all"], ids=["bomb", "cut", "lie"])
def test_fault_035_an_encoding_that_was_not_asked_for_makes_no_clip(one: ScriptedStudio, data: bytes) -> None:
    packed = head("200 OK", MP4, "content-encoding: gzip", f"content-length: {len(data)}") + data
    one.on("media", sends(Raw(data=packed)), times=2)
    assert one.doit() == 0
    assert {request.headers["accept-encoding"] for request in one.asked("media")} == {"identity"}
    assert_bought_once(one)


def test_fault_035_a_bomb_that_stays_fills_no_disk_and_is_told(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "UNPACKED_BYTES", 1 << 20)
    packed = head("200 OK", MP4, "content-encoding: gzip", f"content-length: {len(BOMB)}") + BOMB
    one.on("media", sends(Raw(data=packed)))
    assert one.doit() == 1
    assert_paid_and_fetched_later(one, "came packed, and damaged")


def test_fault_035_a_file_that_was_packed_unasked_is_unpacked(one: ScriptedStudio) -> None:
    def make(response: Response) -> Raw:
        data = gzip.compress(response.body)
        return Raw(data=head("200 OK", MP4, "content-encoding: gzip", f"content-length: {len(data)}") + data)

    one.on("media", accepts_then_sends(make))
    assert one.doit() == 0
    assert len(one.asked("media")) == 1
    assert_bought_once(one)


@pytest.mark.parametrize(
    "label",
    [
        "content-encoding: aws-chunked",
        "content-encoding: gzip",
        "content-encoding: br",
        "content-encoding: aws-chunked, gzip",
        "content-type: text/html; charset=utf-8",
        "content-type: application/json",
        "content-type: application/xml",
        "content-disposition: attachment; filename=error.html",
        "content-language: ",
    ],
)
def test_fault_082_a_header_does_not_decide_what_the_bytes_are(one: ScriptedStudio, label: str) -> None:
    def make(response: Response) -> Raw:
        return Raw(data=head("200 OK", label, f"content-length: {len(response.body)}") + response.body)

    one.on("media", accepts_then_sends(make))
    assert one.doit() == 0
    assert len(one.asked("media")) == 1
    assert_bought_once(one)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>back soon</html>"),
        ("application/json", b'{"error": "no"}'),
        ("video/mp4", b"<html>x</html>"),
    ],
)
def test_fault_036_a_page_in_place_of_the_file_is_no_clip(one: ScriptedStudio, kind: str, body: bytes) -> None:
    one.on("media", says(200, raw=body, content_type=kind), times=1)
    assert one.doit() == 0
    assert_bought_once(one)


@pytest.mark.parametrize("kind", ["text/html", "video/mp4"])
def test_fault_036_a_page_that_stays_is_told_and_the_clip_fetched_later(one: ScriptedStudio, kind: str) -> None:
    one.on("media", says(200, raw=b"<html>We moved</html>" * 9_000, content_type=kind))
    assert one.doit() == 1
    assert one.takes() == []
    assert_paid_and_fetched_later(one, "a page came instead of the file")


def test_fault_037_a_file_of_ten_terabytes_is_not_begun(one: ScriptedStudio) -> None:
    one.on("media", sends(Raw(data=head("200 OK", MP4, f"content-length: {10 << 40}"), endless=bytes(65_536))))
    assert one.doit() == 1
    assert_paid_and_fetched_later(one, f"more than {download.MAX_BYTES:,}")


def test_fault_037_a_body_without_an_end_is_stopped(one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1_000_000)
    one.on("media", sends(Raw(data=head("200 OK", MP4, "connection: close"), endless=bytes(65_536))))
    assert one.doit() == 1
    assert sum(part.stat().st_size for part in (one.outputs / ".vgen" / "parts").iterdir()) <= 1_100_000
    assert_paid_and_fetched_later(one, "longer than 1,000,000 bytes")


def test_fault_037_two_lengths_are_none(one: ScriptedStudio) -> None:
    two = head("200 OK", MP4, "content-length: 150000", "content-length: 150001")
    one.on("media", accepts_then_sends(lambda response: Raw(data=two + response.body)), times=2)
    assert one.doit() == 0
    assert len(one.asked("media")) == 3
    assert_bought_once(one)


def test_fault_038_a_byte_now_and_then_does_not_hold_the_run_for_ever(
    one: ScriptedStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "WHOLE_DOWNLOAD_S", 300.0)
    one.on("media", sends(Raw(data=head("200 OK", MP4, "content-length: 150000"), endless=b"x", every_s=1.0)))
    begin = one.clock.current_time()
    assert one.doit() == 1
    assert one.clock.current_time() - begin < 8 * 300 + 400
    assert_paid_and_fetched_later(one, "took longer than 300 s")


def test_fault_038_silence_in_the_middle_ends_after_half_a_minute(one: ScriptedStudio) -> None:
    some = head("200 OK", MP4, "content-length: 150000") + bytes(70_000)
    one.on("media", sends(Raw(data=some, then="hang")), times=1)
    begin = one.clock.current_time()
    assert one.doit() == 0
    assert http.STALL_S <= one.clock.current_time() - begin <= 100
    assert_bought_once(one)


ELSEWHERE = "https://cdn.example.org/media/x.mp4"


@pytest.mark.parametrize(
    "location",
    [
        "http://cdn.example.org/x.mp4",
        "file:///etc/passwd",
        "https://cdn.example.org:8443/x",
        "https://a@cdn.example.org/",
        "",
    ],
)
def test_fault_039_a_redirect_to_where_no_clip_may_come_from_is_blocked(one: ScriptedStudio, location: str) -> None:
    one.on("media", says(302, location=location))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert not any("example.org" in heard.host for heard in one.heard)
    assert one.booked() == PAID
    assert_paid_and_fetched_later(one, "paid")


def test_fault_039_redirects_without_an_end_are_stopped(one: ScriptedStudio) -> None:
    one.on("media", says(302, location=ELSEWHERE))
    assert one.doit() == 1
    assert len(one.asked("media")) == 1 + http.MAX_REDIRECTS
    assert_paid_and_fetched_later(one, "redirects")


def test_fault_039_an_honest_redirect_is_followed_without_the_key(one: ScriptedStudio) -> None:
    async def moved(request: Request, forward: Forward) -> Response | None:
        if "cdn.example.org" in request.origin:
            return None
        where = "https://cdn.example.org" + request.target
        return Response(status=302, headers=(("location", where),))

    one.on("media", moved)
    assert one.doit() == 0
    assert set(one.hosts("media")) == {"api.dev.runwayml.com", "cdn.example.org"}
    assert not any("authorization" in request.headers for request in one.asked("media"))
    assert_bought_once(one)
