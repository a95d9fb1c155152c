"""Where files may come from and go to: URLs, addresses, and a network that connects to no other. No HTTP here."""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import httpcore
import trio

from vgen.errors import BlockedAddress

# What ipaddress calls global on some Pythons and is not (NAT64, 6to4, Teredo, cloud metadata, multicast).
_NEVER = tuple(
    map(
        ipaddress.ip_network,
        (
            "::/96",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "2002::/16",
            "2001::/32",
            "fec0::/10",
            "192.0.0.0/24",
            "100.64.0.0/10",
            "224.0.0.0/4",
            "240.0.0.0/4",
            "ff00::/8",
        ),
    )
)


def is_private(base_url: str) -> bool:
    """Whether a provider is itself on loopback or simulated: then its media may be too."""
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return False
    return (
        host.endswith(".simulated")
        or host == "localhost"
        or host == "::1"
        or bool(re.fullmatch(r"127(\.\d+){3}", host))
    )


def check_url(url: str, *, private: bool, what: str = "download") -> None:
    """Raises BlockedAddress unless the URL is https (http too if the provider's own base URL is) with a plain host."""
    allowed = ("https", "http") if private else ("https",)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise BlockedAddress(f"blocked {what} address: it can't be read") from exc
    if parts.scheme not in allowed or not parts.hostname or "@" in parts.netloc:
        raise BlockedAddress(f"blocked {what} address ({parts.scheme or 'no scheme'}://{parts.hostname or ''})")
    if private:
        if not is_private(url):
            raise BlockedAddress(f"blocked {what} address: {parts.hostname} is not the simulator")
    elif port not in (None, 443):
        raise BlockedAddress(f"blocked {what} address: port {port} at {parts.hostname}")


_OURS = re.compile(r"(^|\.)(localhost|local|internal|intranet|lan|home|corp|private)$")
"""Ends of names that are never a media host's."""
_DOTS = re.compile("[\u3002\uff0e\uff61]")
"""Other dots of the world, which IDNA makes plain ones (RFC 3490, 3.1)."""


def check_name(url: str, *, what: str = "download") -> None:
    """For a way on which somebody else resolves names: raises BlockedAddress for what is no public name or address."""
    host = _DOTS.sub(".", urlsplit(url).hostname or "").rstrip(".")
    last = host.rpartition(".")[2]
    if ":" in host or re.fullmatch(r"0x[0-9a-f]*|\d+", last):  # an address, or another way to write one
        try:
            good = is_public(host)
        except ValueError:
            good = False
    else:
        good = "." in host and "%" not in host and not _OURS.search(host)
    if not good:
        raise BlockedAddress(f"blocked {what} address: {host} is no public host")


def is_public(address: str) -> bool:
    """Whether an IP address is one that a media host may have."""
    ip = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(str(mapped))
    return ip.is_global and not ip.is_multicast and not any(ip in net for net in _NEVER if net.version == ip.version)


class Blocked(httpcore.ConnectError):
    """A host that has an address which no media host may have; `str()` is its name."""


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Resolves a name, refuses it if any address is not public, and connects to an address that was checked."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend | None = None) -> None:
        self._inner = inner or httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError(f"{host} has no address") from exc
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(is_public(address) for address in addresses):
            raise Blocked(host)
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)
