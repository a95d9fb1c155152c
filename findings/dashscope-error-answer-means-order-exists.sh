#!/usr/bin/env bash
# PyPI dashscope 2.0.2 (Alibaba Model Studio: Wan video)
#
# VideoSynthesis.call() orders a clip and waits for it. If the order is refused, it raises InvalidTask. If it returns an
# answer with status_code 429, 500 or 502 (code "Throttling", no task id in it), that reads like a refused order and is
# the opposite: the task was accepted, a later question about it met that status, and the wait ended at once. 503 and 504
# are waited out, the other statuses are not. Who orders again on 429, as one does, pays for a second clip.
# Seen: the order answers 429: InvalidTask. The order is accepted and the first question answers 429 (500, 502): returned
# as it is, output None, task id nowhere; the task itself is ready a moment later. 503, 504: waited out.
#
# Instead: VideoSynthesis.async_call(), write output.task_id down, then fetch(task_id) in a loop of your own that takes
# anything but a task_status for "ask again". Never order again because of an answer of call().
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q dashscope==2.0.2 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >order.py <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dashscope
from dashscope.common.error import InvalidTask

TASK = "11111111-1111-4111-8111-111111111111"
BUSY = {"code": "Throttling", "message": "Requests throttling triggered.", "request_id": "r"}
answers, orders = [], 0


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        global orders
        self.rfile.read(int(self.headers["content-length"]))
        status = answers.pop(0)
        orders += status == 200
        self.reply(status, {"task_id": TASK, "task_status": "PENDING"})

    def do_GET(self):
        clip = {"task_id": TASK, "task_status": "SUCCEEDED", "video_url": "https://example.com/clip.mp4"}
        self.reply(answers.pop(0) if answers else 200, clip)

    def reply(self, status, output):
        body = json.dumps({"request_id": "r", "output": output} if status == 200 else BUSY).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["NO_PROXY"] = "127.0.0.1"
dashscope.base_http_api_url = f"http://127.0.0.1:{server.server_port}/api/v1"


def order(*statuses):
    answers[:] = statuses
    try:
        got = dashscope.VideoSynthesis.call(model="wan2.5-t2v-preview", prompt="a fern", api_key="test")
    except InvalidTask:
        return "raised"
    return got.status_code, TASK in str(got), getattr(got.output, "task_status", None)


refused = order(429)
assert (refused, orders) == ("raised", 0), f"changed: a refused order: {refused}, {orders} tasks"
for status in (429, 500, 502):
    asked = order(200, status)
    later = dashscope.VideoSynthesis.fetch(TASK, api_key="test").output.task_status
    assert asked == (status, False, None) and later == "SUCCEEDED", f"changed: {status}: {asked}, {later}"
waited = order(200, 503, 504)
assert waited == (200, True, "SUCCEEDED") and orders == 4, f"changed: 503, 504: {waited}, {orders} tasks"
print("still so: 429, 500 or 502 to a question is returned like a refusal, without the id of the task that was accepted")
PY
venv/bin/python order.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
