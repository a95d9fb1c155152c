#!/usr/bin/env bash
# PyPI fal-client 1.0.3
#
# submit() sends an order up to 10 times if no answer comes in time, though the server may have taken each of them
# (there is no idempotency key). What decides whether it does so is `start_timeout`, documented as a deadline for the
# *server's queue*: with any value of it, a read time-out is raised at once and the order has gone out once.
# It is not "no retries", however: with start_timeout a connection that is closed without an answer still is 10 orders.
# Seen (server reads the order and keeps silent, client limit 0.3 s): 10 orders without start_timeout, 1 with it;
# (server reads the order and closes): 10 and 10.
#
# Instead: send the create yourself, once (httpx.post to the queue URL), and only read with the client. If it has to be
# the client, start_timeout=… takes away the likelier half of the double orders, and nothing takes away the other.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q fal-client==1.0.3 httpx==0.28.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >order.py <<'PY'
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

os.environ["FAL_KEY"] = "none:none"
from fal_client import client as fal

orders, silent = 0, True


class Provider(BaseHTTPRequestHandler):
    def do_POST(self):
        global orders
        self.rfile.read(int(self.headers["Content-Length"]))
        orders += 1
        if silent:
            time.sleep(1)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", 0), Provider)
threading.Thread(target=server.serve_forever, daemon=True).start()
fal.QUEUE_URL_FORMAT = f"http://127.0.0.1:{server.server_port}/"
fal.BASE_DELAY = 0.001  # the pauses, not the number of tries


def sent(**more):
    global orders
    orders = 0
    try:
        fal.SyncClient(default_timeout=0.3).submit("fal-ai/some-model", arguments={"prompt": "a boat"}, **more)
    except Exception:
        pass
    return orders


late = sent(), sent(start_timeout=600)
silent = False
closed = sent(), sent(start_timeout=600)
assert late == (10, 1) and closed == (10, 10), f"changed: no answer {late}, closed {closed}"
print(f"still so: orders of one submit(): no answer {late[0]}, with start_timeout {late[1]}; closed {closed[0]} and {closed[1]}")
PY
venv/bin/python order.py
