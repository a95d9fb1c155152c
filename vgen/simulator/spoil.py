"""Turns the name of a fault into what comes over the wire. Knows no jobs; is told each provider's words."""

from collections.abc import Callable
from typing import Any

from vgen.simulator.web import Response, WireFault, answer, nothing, page

RETRY_AFTER_S = 1

Words = Callable[[str], dict[str, Any]]
"""A provider's own error body for a message."""


def spoil_create(fault: str, good: Response | None, words: Words) -> Response:
    """The answer to a create with this fault; `good` is the answer that an accepted create would have had."""
    match fault:
        case "create_429":
            return answer(429, words("Too many requests."), ("retry-after", str(RETRY_AFTER_S)))
        case "create_500":
            return answer(500, words("An internal error occurred. The request was not accepted."))
        case "create_503":
            return answer(503, words("The service is overloaded. The request was not accepted."))
        case "create_502" | "create_502_accepted":
            return page(502, "502 Bad Gateway")
        case "create_reset":
            return nothing(WireFault.RESET)
        case "create_lost":
            return nothing(WireFault.CLOSE)
        case "create_hang":
            return nothing(WireFault.HANG)
        case "create_garbage":
            return page(200, "Welcome")
        case "create_cut" if good is not None:
            return good.spoilt(WireFault.CUT)
    raise AssertionError(f"BUG: {fault} is no fault of a create")


def spoil_poll(fault: str, missing: Response, words: Words) -> Response:
    """The answer to a question about a job with this fault; `missing` is the provider's own 404."""
    match fault:
        case "poll_500":
            return answer(500, words("An internal error occurred."))
        case "poll_502":
            return page(502, "502 Bad Gateway")
        case "poll_garbage":
            return Response(status=200, headers=(("content-type", "application/json"),), body=b'{"status": \xff<html>')
        case "poll_404":
            return missing
        case "poll_reset":
            return nothing(WireFault.RESET)
        case "poll_hang":
            return nothing(WireFault.HANG)
    raise AssertionError(f"BUG: {fault} is no fault of a poll")
