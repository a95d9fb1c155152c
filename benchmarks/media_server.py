"""Serves one file under every name, as fast as the kernel sends it: `python -m benchmarks.media_server FILE`."""

import socketserver
import sys
from pathlib import Path


class _Answer(socketserver.StreamRequestHandler):
    """One GET, one file, closed."""

    file = Path()

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        head = f"HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\ncontent-length: {self.file.stat().st_size}\r\n"
        self.wfile.write(f"{head}connection: close\r\n\r\n".encode())
        with self.file.open("rb") as file:
            self.connection.sendfile(file)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 256


if __name__ == "__main__":
    _Answer.file = Path(sys.argv[1])
    with _Server(("127.0.0.1", 0), _Answer) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()
