"""When to try again, as pure functions of what happened, the time and a random number. Never sleeps."""

import calendar
import functools
import random
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 86_400.0
"""A server that asks for more than a day is taken to mean a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delay before attempt n+1: up to base·2ⁿ, at most max_s, full jitter. Attempts are counted by the caller."""

    base_s: float = 1.0
    max_s: float = 60.0


DOWNLOAD = Backoff(base_s=1.0, max_s=30.0)
POLL = Backoff(base_s=5.0, max_s=60.0)
DOWNLOAD_TRIES = 8
FRESH_URL_TRIES = 3
DAMAGED_TRIES = 3


def backoff_s(policy: Backoff, attempt: int, rng: random.Random, *, at_least_s: float = 0.0) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1). Never less than `at_least_s` (Retry-After).

    On top of a wait that the server gave comes a little jitter, so that clips do not wake together.
    """
    ceiling = min(policy.max_s, policy.base_s * 2.0 ** min(attempt, 30))
    if at_least_s <= 0:
        return rng.uniform(0, ceiling)
    return max(at_least_s + rng.uniform(0, min(5.0, at_least_s / 10 + 1)), rng.uniform(0, ceiling))


def retry_after_s(value: str | None, *, now: float, server_date: str | None = None) -> float | None:
    """Seconds asked for by a Retry-After header (RFC 9110 10.2.3), or None if there is none, or it is junk.

    `now`: unix time. A date is read against the answer's own Date header if that is sane, else against `now`.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,10}", text):
        seconds = float(text)
    else:
        at = _unix(text)
        if at is None:
            return None
        theirs = _unix(server_date or "")
        sane = theirs is not None and abs(theirs - now) <= MAX_RETRY_AFTER_S
        seconds = at - (theirs if theirs is not None and sane else now)
    return min(seconds, MAX_RETRY_AFTER_S) if seconds > 0 else None


def http_date(text: str | None) -> float | None:
    """Unix time of an HTTP date (RFC 9110 5.6.7), or None if it is none."""
    return _unix(text or "")


@functools.lru_cache(maxsize=64)  # many answers come in one second
def _unix(text: str) -> float | None:
    try:
        return float(calendar.timegm(parsedate_to_datetime(text).utctimetuple()))  # without a zone it is UTC
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
