#!/usr/bin/env bash
# PyPI google-genai 3.6.1 (CPython 3.11)
#
# genai.Client(api_key=…).models.generate_content(…) in one expression never sends anything: `.models` doesn't keep
# the client alive, so CPython frees it before the call, and its destructor closes the connections.
# Seen: RuntimeError "Cannot send a request, as the client has been closed", 0 requests; the same for .interactions;
# with the client in a variable the request goes out. A function that returns Client(…).models has the same fault,
# later and far away.
#
# Instead: keep the Client itself (variable, attribute, `with`) as long as anything made from it is in use, and
# hand the Client round, never its .models or .interactions.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q google-genai==3.6.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >ask.py <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google import genai
from google.genai import types

requests = 0


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        global requests
        requests += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"candidates": [{"content": {"role": "model", "parts": [{"text": "yes"}]}}]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
options = types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_port}", timeout=5000)
ASK = {"model": "some-model", "contents": "is it there?"}


def models():
    return genai.Client(api_key="none", http_options=options).models


def closed(act):
    try:
        act()
    except RuntimeError as error:
        return "has been closed" in str(error)
    return False


assert closed(lambda: genai.Client(api_key="none", http_options=options).models.generate_content(**ASK)), "changed: sent"
assert closed(lambda: models().generate_content(**ASK)), "changed: sent by a returned .models"
assert closed(lambda: genai.Client(api_key="none", http_options=options).interactions.create(model="m", input="x")), \
    "changed: interactions sent"
assert requests == 0, f"changed: {requests} requests"
client = genai.Client(api_key="none", http_options=options)
assert client.models.generate_content(**ASK).text == "yes" and requests == 1
print("still so: Client(…).models.generate_content(…) in one expression: 0 requests, RuntimeError; in two: 1 request")
PY
venv/bin/python -W ignore ask.py
