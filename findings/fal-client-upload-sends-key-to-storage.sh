#!/usr/bin/env bash
# PyPI fal-client 1.0.3
#
# upload(), upload_file() and upload_image() go to fal's CDN, and if that fails (or with repository="fal") to a signed
# address of another host (Google's storage) that fal's API names. The PUT to that host is made with the client that has
# the API key among its default headers: `Authorization: Key …` goes to the storage host, whoever that is, and the client
# looks at neither scheme nor host of the address. (The way over the CDN sends a short-lived token instead.)
# A storage that is strict about signed addresses refuses such a request (S3: "Only one auth mechanism allowed"), so the
# fallback may also simply never work.
# The asynchronous client does the same. Seen here: the key arrives at a server that is not fal's API, with both.
#
# Instead: ask https://rest.fal.ai/storage/upload/initiate for the place yourself and PUT the file without the header.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q fal-client==1.0.3 httpx==0.28.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >upload.py <<'PY'
import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from fal_client import client as fal

shown = []


def serve(respond):
    class Handler(BaseHTTPRequestHandler):
        def do(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(respond(self)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def storage(request):
    shown.append(request.headers.get("Authorization"))
    return {}


bucket = serve(storage)
fal.REST_URL = serve(lambda _: {"upload_url": f"{bucket}/place?signature=x", "file_url": f"{bucket}/file"})
fal.SyncClient(key="id:secret").upload(b"picture", "image/png", "a.png", repository="fal")
asyncio.run(fal.AsyncClient(key="id:secret").upload(b"picture", "image/png", "a.png", repository="fal"))
assert shown == ["Key id:secret"] * 2, f"changed: the storage host is shown {shown}"
print(f"still so: another host than fal's API is shown {shown[0]!r}, by both clients")
PY
venv/bin/python upload.py
