#!/usr/bin/env bash
# PyPI dashscope 2.0.2 (Alibaba Model Studio: Wan video)
#
# An account belongs to a region, and a region has an address. VideoSynthesis.call(base_address=…) sends the order there,
# but the questions about it go to the module's own dashscope.base_http_api_url (Beijing unless told otherwise), where
# nobody knows the task. What comes back is that host's answer, "invalid API key" or "no such task": the order looks
# refused, and is rendered and billed. fetch() has no such argument, and refuses it; wait() takes it and asks rightly.
# Seen: order at the address that was given, question at the default one, answer 401; wait(id, base_address=…): the clip.
#
# Instead: set dashscope.base_http_api_url (or DASHSCOPE_HTTP_BASE_URL) before anything else and give no address with a
# call; two regions in one process: async_call(base_address=…) and wait(id, base_address=…).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q dashscope==2.0.2 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >order.py <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dashscope

TASK = "11111111-1111-4111-8111-111111111111"
seen = []


class Region(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.reply("order", {"task_id": TASK, "task_status": "PENDING"})

    def do_GET(self):
        self.reply("question", {"task_id": TASK, "task_status": "SUCCEEDED", "video_url": "https://example.com/clip.mp4"})

    def reply(self, what, output):
        ours = self.server is singapore
        seen.append((what, "ours" if ours else "default"))
        wrong = {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"}
        body = json.dumps({"request_id": "r", "output": output} if ours else wrong).encode()
        self.send_response(200 if ours else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def start():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Region)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/api/v1"


singapore, ours = start()
beijing, dashscope.base_http_api_url = start()
os.environ["NO_PROXY"] = "127.0.0.1"
got = dashscope.VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a fern", api_key="test", base_address=ours)
assert seen == [("order", "ours"), ("question", "default")], f"changed: {seen}"
assert got.status_code == 401 and TASK not in str(got), f"changed: {got}"
try:
    dashscope.VideoSynthesis.fetch(TASK, api_key="test", base_address=ours)
    raise SystemExit("changed: fetch() takes an address")
except TypeError:
    pass
got = dashscope.VideoSynthesis.wait(TASK, api_key="test", base_address=ours)
assert got.output.task_status == "SUCCEEDED" and seen[2:] == [("question", "ours")], f"changed: {got}, {seen}"
print("still so: ordered at the address given, asked about at the default one: 401 for a clip that is being made")
PY
venv/bin/python order.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
