"""Every touch of httpx and httpcore that their documentation doesn't promise. tests/test_compat.py holds them to it.

Names no URL, no provider, no time-out of ours.
"""

import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

import httpcore
import httpx

Connection = httpcore.AsyncConnectionInterface
"""One that carries one request at a time, straight or through a proxy."""
KEPT_OPEN_S = 30.0
"""So long a connection waits for another request; servers close theirs after a minute or more."""


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


def cause(error: Exception) -> BaseException | None:
    """The error of httpcore, or of the network backend, that httpx has translated."""
    return error.__cause__


def new_connection(
    origin: httpcore.Origin,
    tls: ssl.SSLContext,
    network: httpcore.AsyncNetworkBackend | None,
    *,
    kept_open_s: float = KEPT_OPEN_S,
) -> Connection:
    """A connection that opens with its first request. `network` None: the real one."""
    return httpcore.AsyncHTTPConnection(origin, ssl_context=tls, network_backend=network, keepalive_expiry=kept_open_s)


def proxy_at(address: str, tls: ssl.SSLContext) -> httpcore.AsyncHTTPProxy:
    """The proxy at http(s)://[user:password@]host:port."""
    parts = urlsplit(address)
    who = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
    plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    over_tls = tls if parts.scheme == "https" else None
    return httpcore.AsyncHTTPProxy(
        plain, proxy_auth=who, ssl_context=tls, proxy_ssl_context=over_tls, keepalive_expiry=KEPT_OPEN_S
    )


def through(proxy: httpcore.AsyncHTTPProxy, origin: httpcore.Origin) -> Connection:
    """A connection through it that opens with its first request: to https a tunnel, so it sees no request."""
    return proxy.create_connection(origin)


def never_left(connection: Connection) -> bool:
    """Whether the proxy has not opened its tunnel: then no request was sent to where it should lead."""
    return getattr(connection, "_connected", True) is False


def leads_to(connection: Connection, origin: httpcore.Origin) -> bool:
    """Whether it is a connection to this origin."""
    return connection.can_handle_request(origin)


def is_still_good(connection: Connection) -> bool:
    """Whether an idle connection can take another request: neither too old nor closed by the server."""
    return connection.is_idle() and not connection.has_expired()


def is_reusable(connection: Connection) -> bool:
    """Whether both sides have said all, and the connection is open."""
    return connection.is_idle() and not connection.is_closed()
