"""When to try again: jitter within its bounds, and a Retry-After that can be anything."""

import random
import time
from email.utils import formatdate
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.retry import MAX_RETRY_AFTER_S, Backoff, backoff_s, retry_after_s

NOW = 1_795_000_000.0
POLICY = Backoff(base_s=1, max_s=60)


def waits(policy: Backoff, attempt: int, *, at_least_s: float = 0.0, n: int = 500) -> list[float]:
    rng = random.Random(4)
    return sorted(backoff_s(policy, attempt, rng, at_least_s=at_least_s) for _ in range(n))


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (7, 60), (10**9, 60)])
def test_jitter_is_full_up_to_twice_as_long_each_time(attempt: int, ceiling: float) -> None:
    found = waits(POLICY, attempt)
    assert (0 <= found[0] < ceiling * 0.05, ceiling * 0.95 < found[-1] <= ceiling) == (True, True)
    assert max(b - a for a, b in pairwise(found)) < ceiling * 0.05  # no hole


def test_no_backoff_means_none() -> None:
    assert 0 == waits(Backoff(base_s=0, max_s=60), 5)[-1] == waits(Backoff(base_s=1, max_s=0), 5)[-1]


@pytest.mark.parametrize("at_least_s", [0.1, 7, 59, 61, 3600])
def test_never_earlier_than_asked_and_not_all_at_once(at_least_s: float) -> None:
    found = waits(POLICY, 1, at_least_s=at_least_s)
    assert at_least_s <= found[0] < found[-1] <= max(at_least_s + 5, 2)


def test_the_same_random_numbers_give_the_same_waits() -> None:
    assert waits(POLICY, 3) == waits(POLICY, 3)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("7", 7.0),
        (" 7\t", 7.0),
        ("007", 7.0),
        ("0", None),
        ("-3", None),
        ("+3", None),
        ("1.5", None),
        ("1e3", None),
        ("1e400", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("³", None),
        ("soon", None),
        ("7 s", None),
        ("86401", MAX_RETRY_AFTER_S),
        ("9999999999", MAX_RETRY_AFTER_S),
        ("9" * 5000, None),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW + 90), 90.0),  # "-0000": no zone, so UTC
        ("Sun Nov  6 08:49:37 1994", None),  # the past
        (formatdate(NOW, usegmt=True), None),
        (formatdate(NOW - 1, usegmt=True), None),
        ("Fri, 31 Dec 2099 23:59:59 GMT", MAX_RETRY_AFTER_S),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", None),
        ("Fri, 99 Foo 2026 25:61:61 GMT", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_retry_after_is_read_or_ignored(header: str | None, expected: float | None) -> None:
    assert expected == retry_after_s(header, now=NOW)


@pytest.mark.parametrize("header", [formatdate(NOW + 90), "Wed Nov 18 11:08:10 2026"])
def test_a_date_without_a_zone_is_utc_wherever_we_are(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    try:
        assert retry_after_s(header, now=NOW) == 90.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("server_date", "expected"),
    [
        (None, 90.0),
        ("junk", 90.0),
        (formatdate(NOW - 30, usegmt=True), 120.0),  # their clock is behind ours: it is theirs that counts
        (formatdate(NOW + 30, usegmt=True), 60.0),
        (formatdate(NOW + 100, usegmt=True), None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 90.0),
        ("Fri, 31 Dec 2099 23:59:59 GMT", 90.0),
    ],
)
def test_a_date_is_read_against_the_servers_clock_if_that_is_sane(
    server_date: str | None, expected: float | None
) -> None:
    assert expected == retry_after_s(formatdate(NOW + 90, usegmt=True), now=NOW, server_date=server_date)


HEADERS = (
    st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,4} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{1,9} ([A-Z]{1,4}|[+-][0-9]{1,6})")
    | st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    | st.integers().map(str)
)


@pytest.mark.slow
@given(HEADERS, HEADERS)
def test_any_header_is_a_wait_of_at_most_a_day_or_nothing(header: str, server_date: str) -> None:
    found = retry_after_s(header, now=NOW, server_date=server_date)
    assert found is None or 0 < found <= MAX_RETRY_AFTER_S
