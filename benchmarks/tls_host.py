"""A media host over TLS on loopback: nginx if it is installed, else a server of its own. Knows no vgen."""

import contextlib
import mmap
import shutil
import socket
import socketserver
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import ROOT, Broken, environment

STARTS_S = 10.0
SLICE_BYTES = 1 << 20
_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {pem}; ssl_certificate_key {pem}; root {root}; }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where it is, whom to trust, and which server it is."""

    url: str
    authority: Path
    server: str


@contextlib.contextmanager
def hosting(folder: Path, root: Path) -> Iterator[Host]:
    """Serve the files below `root`; `folder` holds certificates and settings. Raises Broken."""
    try:
        import trustme
    except ImportError as exc:
        raise Broken("trustme is not installed: pip install 'vgen[test]'") from exc
    authority, pem, trusted = trustme.CA(), folder / "server.pem", folder / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(pem))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if nginx := shutil.which("nginx", path=f"{environment().get('PATH', '')}:/usr/sbin:/usr/local/sbin"):
        settings = folder / "nginx.conf"
        settings.write_text(_NGINX.format(folder=folder, port=port, pem=pem, root=root))
        command = [nginx, "-e", "stderr", "-p", str(folder), "-c", str(settings)]
    else:
        command = [sys.executable, "-m", "benchmarks.tls_host", str(port), str(pem), str(root)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL)
    try:
        _wait_for(process, port)
        server = "nginx" if nginx else "a server of Python threads"
        yield Host(url=f"https://127.0.0.1:{port}", authority=trusted, server=server)
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise Broken(f"the media host did not start ({process.poll()})")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self, port: int, pem: Path, root: Path) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.root, self.tls = root, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(pem)


class _Handler(socketserver.BaseRequestHandler):
    """One file a connection; the interpreter is free while a slice is encrypted and sent."""

    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        with contextlib.suppress(OSError), self.server.tls.wrap_socket(self.request, server_side=True) as stream:
            heard = b""
            while b"\r\n\r\n" not in heard and (chunk := stream.recv(65536)):
                heard += chunk
            name = heard.split(b" ")[1].decode("ascii").partition("?")[0].strip("/")
            with (self.server.root / name).open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
                size = len(data)
                stream.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode())
                for start in range(0, size, SLICE_BYTES):
                    stream.sendall(data[start : start + SLICE_BYTES])


if __name__ == "__main__":
    _Server(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])).serve_forever()
