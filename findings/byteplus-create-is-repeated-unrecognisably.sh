#!/usr/bin/env bash
# PyPI byteplus-python-sdk-v2 3.0.63 (ModelArk: byteplussdkarkruntime)
#
# content_generation.tasks.create() is the paid request. If its answer is lost or is a 5xx, the SDK sends it again, up to
# twice, by default and without a word. Each copy has an X-Client-Request-Id of its own, and no idempotency key: the
# server can't know the copies for one order, so a task that was created although the answer was a 500 is bought again.
# The caller gets the last id only.
# Seen: one call, first answer 500 after the task was created: two tasks, two different X-Client-Request-Id.
#
# Instead: Ark(max_retries=0); send a safety_identifier of your own with each order, and after an unclear answer look for
# it in tasks.list() before ordering again.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q byteplus-python-sdk-v2==3.0.63 httpx pydantic anyio sniffio cryptography >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >order.py <<'PY'
import http.server
import json
import threading

from byteplussdkarkruntime import Ark

made = []


class Server(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        made.append(self.headers["x-client-request-id"])
        status = 500 if len(made) == 1 else 200
        body = json.dumps({"id": f"cgt-{len(made)}"} if status == 200 else {"error": {"code": "InternalServiceError"}})
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = Ark(api_key="test", base_url=f"http://127.0.0.1:{server.server_port}/api/v3")
task = client.content_generation.tasks.create(
    model="dreamina-seedance-2-5-260628", content=[{"type": "text", "text": "a fern"}], duration=5
)
if len(made) == 2 and len(set(made)) == 2:
    print(f"still so: one call, {len(made)} orders, request ids differ; the caller knows of {task.id} only")
else:
    raise SystemExit(f"changed: {len(made)} orders, {len(set(made))} request ids")
PY
venv/bin/python order.py
