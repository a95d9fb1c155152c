"""What a refusal's HTTP status means where its body says no more, and how long it asks to wait. Knows no vendor."""

from collections.abc import Mapping

from vgen.providers.base import RefusalReason, Refused, Reply
from vgen.retry import retry_after_s

BY_STATUS: Mapping[int, RefusalReason] = {
    400: RefusalReason.INPUT,
    401: RefusalReason.KEY,
    402: RefusalReason.CREDIT,
    403: RefusalReason.KEY,
    404: RefusalReason.SETUP,
    405: RefusalReason.SETUP,
    413: RefusalReason.INPUT,
    415: RefusalReason.INPUT,
    422: RefusalReason.INPUT,
    429: RefusalReason.RATE_LIMITED,
}
"""Of a create. What is not here is no answer: a time-out, a conflict, a redirect, and each 5xx."""


def refused(reply: Reply, reason: RefusalReason, message: str, *, at_least_s: float | None = None) -> Refused:
    """A refusal, with the wait that the provider asks for; `at_least_s`: the one to keep in any case."""
    if reason is not RefusalReason.RATE_LIMITED:
        return Refused(reason=reason, message=message)
    asked_s = asked_to_wait_s(reply)
    waits = [wait_s for wait_s in (asked_s, at_least_s) if wait_s is not None]
    return Refused(reason=reason, message=message, retry_after_s=max(waits, default=None))


def no_place(reply: Reply, message: str, *, known: Mapping[int, RefusalReason] | None = None) -> Refused:
    """A storage that names no place for a file. Nothing is bought there, so a 5xx is a plain no too: ask again later.

    `known`: what a status means to this vendor.
    """
    reasons = {**BY_STATUS, **(known or {})}
    reason = reasons.get(reply.status, RefusalReason.SERVER_ERROR)
    return Refused(reason=reason, message=message, retry_after_s=asked_to_wait_s(reply))


def asked_to_wait_s(reply: Reply) -> float | None:
    """Retry-After, in seconds from now, whether it was given as seconds or as a date."""
    return retry_after_s(reply.headers.get("retry-after"), now=reply.at, server_date=reply.headers.get("date"))
