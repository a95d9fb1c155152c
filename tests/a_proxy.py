"""A proxy on loopback that writes down whom it was asked for: tunnels and plain requests, a thread each."""

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"


class Proxy(socketserver.ThreadingTCPServer):
    """`leads`: host as it is asked for → where it really is; nothing else is reached. `refuses`: the status to say."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, leads: Mapping[str, tuple[str, int]], refuses: str = "", wants: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.leads, self.refuses, self.wants = leads, refuses, wants
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Proxy)
        client: socket.socket = self.request
        heard = b""
        while HEAD_END not in heard:
            chunk = client.recv(65536)
            if not chunk:
                return
            heard += chunk
        first, _, rest = heard.partition(b"\r\n")
        method, target, _ = first.decode("latin-1").split(" ")
        self.server.asked.append(f"{method} {target}")
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        sent = re.search(rb"(?im)^proxy-authorization: *(.*?)\r?$", heard)
        if self.server.wants and (sent is None or sent[1].decode() != self.server.wants):
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        there = self.server.leads.get(parts.hostname or "")
        if self.server.refuses or there is None:
            client.sendall(f"HTTP/1.1 {self.server.refuses or '502 No way'}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        with socket.create_connection(there) as far:
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Open\r\n\r\n")
            else:
                path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
                own = re.sub(rb"(?im)^proxy-authorization:.*\r\n", b"", rest)
                far.sendall(f"{method} {path} HTTP/1.1\r\n".encode() + own)
            back = threading.Thread(target=_pour, args=(far, client), daemon=True)
            back.start()
            _pour(client, far)
            back.join()


def _pour(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := one.recv(65536):
            other.sendall(chunk)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def proxying(leads: Mapping[str, tuple[str, int]], refuses: str = "", wants: str = "") -> Iterator[Proxy]:
    with Proxy(leads, refuses, wants) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
