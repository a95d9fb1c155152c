"""No test connects to anything that could cost money: loopback and `*.simulated` are all there is."""

import ipaddress
import socket
from typing import Any

import pytest

SECRETS = ("RUNWAY_API_KEY", "RUNWAYML_API_SECRET", "PIKA_API_KEY", "FAL_KEY")


class ThisTestWouldHaveSpentMoney(BaseException):
    """A connection was about to be made to a machine that is not this one."""


def close_the_door(patch: pytest.MonkeyPatch) -> None:
    """Guard the lowest Python door to the network; httpx, httpcore, trio and urllib all go through it."""
    connect, connect_ex, resolve = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _check(address)
        return connect_ex(self, address)

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_number(host):  # spelling out a number asks nobody
            _check((host, 0))
        return resolve(host, *args, **kwargs)

    patch.setattr(socket.socket, "connect", guarded_connect)
    patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    patch.setattr(socket, "getaddrinfo", guarded_resolve)


def _check(address: Any) -> None:
    if not isinstance(address, tuple):
        return  # a Unix socket
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host is None or host in ("", "localhost") or str(host).endswith(".simulated"):
        return
    try:
        if ipaddress.ip_address(str(host).split("%")[0]).is_loopback:
            return
    except ValueError:
        pass
    raise ThisTestWouldHaveSpentMoney(str(host))


def _is_number(host: Any) -> bool:
    if not isinstance(host, str):
        return False
    for read in (socket.inet_aton, lambda text: socket.inet_pton(socket.AF_INET6, text)):
        try:
            read(host)
        except (OSError, ValueError):
            continue
        return True
    return False
