#!/usr/bin/env bash
# PyPI replicate 1.0.7, npm replicate 1.4.0 (Node 20)
#
# run() raises if a prediction fails. It does not if the prediction is cancelled, in either language: it returns
# None / null like a model without output. The same comes back, without another question, when the create is answered
# with the status "processing" and no output yet: waiting mode, the default, takes every status but "starting" for the
# end, whatever becomes of the clip.
# Seen: starting → canceled: None, null. processing: None, null after 1 request. starting → failed: ModelError, Error.
#
# Instead: predictions.create(), keep its id, ask until the status is succeeded, failed or canceled, and take the
# output only of "succeeded". Never read "no exception" as "made", nor None as "not charged".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q replicate==1.0.7 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }
npm init -y >/dev/null && npm install --silent --no-audit --no-fund replicate@1.4.0 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat >run.py <<'PY'
import json
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import replicate

at_create, later, requests = "", "", 0


class Provider(BaseHTTPRequestHandler):
    def answer(self):
        global requests
        requests += 1
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = at_create if self.command == "POST" else later
        told = {"id": "p1", "model": "owner/model", "version": "v1", "input": {}, "output": None, "status": status,
                "created_at": "2026-11-01T00:00:00Z", "urls": {"get": f"{here}/predictions/p1", "cancel": f"{here}/c"}}
        body = json.dumps(told).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
NODE = """import Replicate from 'replicate';
const client = new Replicate({ auth: 'none', baseUrl: process.argv[2] });
try { console.log(String(await client.run('owner/model', { input: {} }))); } catch { console.log('raised'); }
"""
open("run.mjs", "w").write(NODE)


def python():
    try:
        return str(replicate.Client(api_token="none", base_url=here).run("owner/model", input={}))
    except replicate.exceptions.ModelError:
        return "raised"


def node():
    return subprocess.run(["node", "run.mjs", here], capture_output=True, text=True, check=True).stdout.strip()


seen = {}
for at_create, later in (("starting", "canceled"), ("processing", "succeeded"), ("starting", "failed")):
    for act in (python, node):
        requests = 0
        seen[f"{act.__name__}: {at_create}, {later}"] = act(), requests
expected = {
    "python: starting, canceled": ("None", 2), "node: starting, canceled": ("null", 2),
    "python: processing, succeeded": ("None", 1), "node: processing, succeeded": ("null", 1),
    "python: starting, failed": ("raised", 2), "node: starting, failed": ("raised", 2),
}
assert seen == expected, f"changed: {seen}"
print("still so: run() of a cancelled prediction returns None / null; one that is still processing, too, after 1 request")
PY
venv/bin/python run.py
