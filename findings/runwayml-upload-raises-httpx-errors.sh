#!/usr/bin/env bash
# PyPI runwayml 5.24.0
#
# uploads.create_ephemeral() means to turn what goes wrong at the storage into the package's own errors: it catches
# httpx.TimeoutException and httpx.RequestError around `response.raise_for_status()`, which raises neither. They come
# from the POST before it. So a time-out or a lost connection of the upload is a bare httpx error, `except
# runwayml.APIConnectionError` does not see it, and `max_retries` does not count for this request, nor for a 503 of the
# storage. Seen: a storage that closes the connection: httpx.RemoteProtocolError, 1 request, with max_retries=5.
#
# Instead: catch httpx.HTTPError beside runwayml.APIError, and call create_ephemeral again: each call has its own place.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q runwayml==5.24.0 httpx==0.28.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >upload.py <<'PY'
import socket
import threading

import httpx
import runwayml

tried = 0
listener = socket.create_server(("127.0.0.1", 0))


def close_at_once():
    global tried
    while True:
        connection, _ = listener.accept()
        tried += 1
        connection.recv(65536)
        connection.close()


threading.Thread(target=close_at_once, daemon=True).start()
url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
place = {"uploadUrl": url, "fields": {"key": "x"}, "runwayUri": "runway://x"}
api = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=place)))
client = runwayml.RunwayML(api_key="key_none", http_client=api, max_retries=5)
try:
    client.uploads.create_ephemeral(file=("a.png", b"x" * 1000, "image/png"))
    raised = None
except Exception as error:
    raised = error
ours = isinstance(raised, runwayml.RunwayMLError)
assert isinstance(raised, httpx.HTTPError) and not ours and tried == 1, f"changed: {raised!r} after {tried} requests"
print(f"still so: {type(raised).__module__}.{type(raised).__name__} after {tried} request with max_retries=5")
PY
venv/bin/python upload.py
