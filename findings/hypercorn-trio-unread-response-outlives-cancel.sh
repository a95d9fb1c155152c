#!/usr/bin/env bash
# PyPI hypercorn 0.18.0 (anycorn 0.20.1, its fork over anyio, does the same), trio 0.35.0
#
# hypercorn.trio.serve() sends under a shielded cancel scope. A client that stops reading in the middle of a response (a
# paused <video> does) therefore holds the whole server: neither a cancelled scope nor Ctrl-C ends it until that client
# reads on or goes away. And a client that goes away in the middle of a streamed response is not noticed by the
# application: its sends are swallowed, so it streams on for ever.
# Seen: cancelled after the client had stopped reading; 3 s later serve() still ran, and ended when the client closed its
# socket. In the second after another client had closed, its handler sent 646 more chunks, without an exception.
#
# Instead: a server that sends unshielded and cancels a request when its client is gone (200 lines over h11 here), or a
# process of its own for hypercorn that may be killed.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q hypercorn==0.18.0 trio==0.35.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >serve.py <<'PY'
import socket

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

sent = {"/gone": 0, "/unread": 0}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            said = (await receive())["type"]
            await send({"type": f"{said}.complete"})
            if said == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"video/mp4")]})
    while True:
        await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        sent[scope["path"]] += 1
        await trio.sleep(0.001)


async def ask(port, path):
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await stream.receive_some(100)
    return stream


async def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = Config()
    config.bind, config.accesslog, config.errorlog = [f"127.0.0.1:{port}"], None, None
    ended, scope = trio.Event(), trio.CancelScope()

    async def run():
        with scope:
            await serve(app, config, shutdown_trigger=trio.sleep_forever)
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(1)
        await (await ask(port, "/gone")).aclose()
        await trio.sleep(0.5)
        before = sent["/gone"]
        await trio.sleep(1)
        streams_on = sent["/gone"] - before
        unread = await ask(port, "/unread")
        await trio.sleep(1)
        scope.cancel()
        with trio.move_on_after(3):
            await ended.wait()
        outlived = not ended.is_set()
        await trio.aclose_forcefully(unread)
        with trio.fail_after(30):
            await ended.wait()
    assert streams_on > 50, f"changed: a handler ends when its client has gone ({streams_on} chunks)"
    assert outlived, "changed: a cancelled server ends though a client does not read"
    print(f"still so: {streams_on} chunks a second for a client that has gone; cancelled, and alive as long as one did not read")


trio.run(main)
PY
venv/bin/python serve.py
