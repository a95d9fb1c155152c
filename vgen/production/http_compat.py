"""Every touch of httpx and httpcore that their documentation doesn't promise. tests/test_compat.py holds them to it.

Names no URL, no provider, no time-out of ours.
"""

import ssl
from typing import Any

import httpcore
import httpx


def transport_over(pool: httpcore.AsyncConnectionPool, tls: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    """httpx's transport over a pool that the caller made: httpx has no public way to name a network.

    `tls` only keeps httpx from loading certificates that nobody uses; the pool has its own.
    """
    transport = httpx.AsyncHTTPTransport(verify=tls, trust_env=False, retries=0)
    transport._pool = pool
    return transport


def as_extension(timeout: httpx.Timeout) -> dict[str, Any]:
    """The value of a request's extension "timeout", which httpx's client sets and its transport reads."""
    return timeout.as_dict()


def cause(error: httpx.HTTPError) -> BaseException | None:
    """The error of httpcore, or of the network backend, that httpx has translated."""
    return error.__cause__


def new_connection(
    origin: httpcore.Origin, tls: ssl.SSLContext, network: httpcore.AsyncNetworkBackend | None, *, kept_open_s: float
) -> httpcore.AsyncHTTPConnection:
    """A connection that opens with its first request. `network` None: the real one."""
    return httpcore.AsyncHTTPConnection(origin, ssl_context=tls, network_backend=network, keepalive_expiry=kept_open_s)


def leads_to(connection: httpcore.AsyncHTTPConnection, origin: httpcore.Origin) -> bool:
    """Whether it is a connection to this origin."""
    return connection.can_handle_request(origin)


def is_still_good(connection: httpcore.AsyncHTTPConnection) -> bool:
    """Whether an idle connection can take another request: neither too old nor closed by the server."""
    return connection.is_idle() and not connection.has_expired()


def is_reusable(connection: httpcore.AsyncHTTPConnection) -> bool:
    """Whether both sides have said all, and the connection is open."""
    return connection.is_idle() and not connection.is_closed()
