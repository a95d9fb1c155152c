#!/usr/bin/env bash
# PyPI google-genai 3.6.1, httpx 0.28.1
#
# One client object, two transports with opposite rules. models.* sends once. interactions.* (the way to order a clip
# from Gemini Omni) sends a paid POST again after a 500, up to 5 times in all, with no idempotency key, though nothing
# was asked for. And models.* speaks through httpx2, another package: its errors are no httpx errors, so that
# `except httpx.TransportError` lets them all pass.
# Seen: answer 500: models 1 request, interactions 5. Connection closed without an answer: models raises
# RemoteProtocolError of the module httpx2, no subclass of httpx.HTTPError; interactions sends once.
#
# Instead: HttpOptions(retry_options=HttpRetryOptions(attempts=1)) for orders (tried: 1 request), and translate both
# families of errors at the one place where the package is called.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q google-genai==3.6.1 httpx==0.28.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >order.py <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from google import genai
from google.genai import types

sent, keys, answers = 0, set(), True


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        global sent
        sent += 1
        keys.update(name.lower() for name in self.headers if "idempotency" in name.lower())
        self.rfile.read(int(self.headers["Content-Length"]))
        if answers:
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
options = types.HttpOptions(base_url=address, timeout=5000)
client = genai.Client(api_key="none", http_options=options)


def once():
    one = types.HttpRetryOptions(attempts=1)
    careful = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=address, timeout=5000, retry_options=one))
    careful.interactions.create(model="some-model", input="a boat")


def models():
    client.models.generate_content(model="some-model", contents="a boat")


def interactions():
    client.interactions.create(model="some-model", input="a boat")


def tried(act):
    global sent
    sent = 0
    try:
        act()
    except Exception as error:
        return sent, error
    raise SystemExit("changed: nothing was raised")


refused = tried(models)[0], tried(interactions)[0]
assert tried(once)[0] == 1, "changed: retry_options no longer stops it"
answers = False
lost, error = tried(models)
again = tried(interactions)[0]
module = type(error).__module__.split(".")[0]
assert refused == (1, 5) and (lost, again) == (1, 1) and not keys, f"changed: {refused}, {(lost, again)}, {keys}"
assert module == "httpx2" and not isinstance(error, httpx.HTTPError), f"changed: {type(error)} of {module}"
print(f"still so: after a 500 models.* sent {refused[0]}, interactions.* {refused[1]}; a lost connection is {module}.{type(error).__name__}")
PY
venv/bin/python -W ignore order.py
