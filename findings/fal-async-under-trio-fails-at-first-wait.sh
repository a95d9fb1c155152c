#!/usr/bin/env bash
# PyPI fal-client 1.0.3, trio 0.35.0, httpx 0.28.1
#
# fal_client.AsyncClient works under trio, but only as long as nothing has to be waited for: its HTTP goes through
# httpx, which speaks trio, while its pauses are asyncio.sleep(). A test with a stand-in that is ready at once passes.
# A real job, which is IN_PROGRESS at the first question, ends in RuntimeError "no running event loop" after the order
# was accepted. So does an order that is answered 429 once: the error of the pause hides that of the provider.
# Seen: ready at once: the result; in progress at first: 1 order, RuntimeError after 1 question; 429: RuntimeError.
#
# Instead: under trio, submit() and then handle.status() in a loop of your own with trio.sleep(), the request id
# written down before; in tests let the stand-in be unready at least once.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q fal-client==1.0.3 trio==0.35.0 httpx==0.28.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >order.py <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["FAL_KEY"] = "none:none"
import trio
from fal_client import client as fal

creates, statuses, seen = [], [], []


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        code, told = 200, {"video": {"url": "https://example.com/clip.mp4"}}
        if self.command == "POST":
            code = creates.pop(0)
            job = f"{here}/requests/r1"
            told = {"request_id": "r1", "response_url": job, "status_url": f"{job}/status", "cancel_url": f"{job}/cancel"}
        elif "/status" in self.path:
            told = {"status": statuses.pop(0), "logs": [], "metrics": {}}
        seen.append(told.get("status", self.command))
        body = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
fal.QUEUE_URL_FORMAT = here + "/"


async def order():
    handle = await fal.AsyncClient().submit("fal-ai/some-model", arguments={"prompt": "a boat"})
    return await handle.get()


def tried(codes, told):
    creates[:], statuses[:], seen[:] = codes, told, []
    try:
        trio.run(order)
    except RuntimeError as error:
        return f"RuntimeError: {error}", list(seen)
    return "made", list(seen)


at_once = tried([200], ["COMPLETED"])
in_progress = tried([200], ["IN_PROGRESS", "COMPLETED"])
too_many = tried([429, 200], ["COMPLETED"])
lost = "RuntimeError: no running event loop"
assert at_once == ("made", ["POST", "COMPLETED", "GET"]), f"changed: {at_once}"
assert in_progress == (lost, ["POST", "IN_PROGRESS"]), f"changed: {in_progress}"
assert too_many == (lost, ["POST"]), f"changed: {too_many}"
print(f"still so: fal's AsyncClient under trio: ready at once: {at_once[0]}; still in progress, or 429 once: {lost}")
PY
venv/bin/python -W ignore order.py
