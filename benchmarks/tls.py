"""A file over TLS, as providers deliver clips: `python -m benchmarks.tls FILE AUTHORITY` prints its address.

Every path has the file, with a few bytes at its end that are the path's own: no two clips are the same. Who trusts the
certificate written to AUTHORITY trusts the server.
"""

import argparse
import contextlib
import hashlib
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

from benchmarks.measure import environment

CHUNK_BYTES = 256 * 1024


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("authority", type=Path)
    options = parser.parse_args(argv)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(options.authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    _Media.file = options.file
    with ThreadingHTTPServer(("127.0.0.1", 0), _Media) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        print(f"https://127.0.0.1:{server.server_address[1]}", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        server.serve_forever()


class _Media(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    file: Path

    def do_GET(self) -> None:
        """The file and its own last box, which players pass over (ISO/IEC 14496-12: free)."""
        own = hashlib.sha256(self.path.encode()).digest()
        box = (8 + len(own)).to_bytes(4, "big") + b"free" + own
        with self.file.open("rb") as file:
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4")
            self.send_header("Content-Length", str(self.file.stat().st_size + len(box)))
            self.send_header("ETag", f'"{own.hex()}"')
            self.end_headers()
            shutil.copyfileobj(file, self.wfile, CHUNK_BYTES)
            self.wfile.write(box)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nobody reads it."""


@contextlib.contextmanager
def serving_file(file: Path, authority: Path) -> Iterator[str]:
    """A server of this file; its URL. Whom to trust is in `authority`."""
    words = [sys.executable, "-m", "benchmarks.tls", str(file), str(authority)]
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


if __name__ == "__main__":
    main()
