"""Stand-ins that tests share. Each behaves as the real one does towards its caller, without its cost."""

import ssl

import httpcore
import httpx

from vgen.production import http_compat
from vgen.simulator.network import SimulatedNetwork

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once, without certificates: loading them takes longer than a simulated purchase."""


def transport(network: SimulatedNetwork) -> httpx.AsyncHTTPTransport:
    """httpx over the simulator, with httpcore's own pool of connections."""
    pool = httpcore.AsyncConnectionPool(ssl_context=TLS, network_backend=network, max_connections=None)
    return http_compat.transport_over(pool, TLS)
