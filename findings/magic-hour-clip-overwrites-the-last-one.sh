#!/usr/bin/env bash
# PyPI magic_hour 0.90.0 (with make-api-request 0.1.3)
#
# generate() orders a clip, waits and downloads it, by default into the current folder. The file is called as the last part
# of the download address. In the addresses that the package itself shows, that part is output.mp4 for every clip (what
# differs is the folder, the clip's id), and a file of that name is overwritten without a question. A loop over shots ends
# with one file, that of the last; every response says that its clip was downloaded, and all name the same path.
# A download_directory that doesn't exist yet isn't made: FileNotFoundError, once the clip is paid for, without its id.
# Seen: three clips ordered and "downloaded" to one path: one file is left, the third's. A fourth, into a folder that is
# not there: ordered, FileNotFoundError.
#
# Instead: download_outputs=False, and fetch response.downloads[…].url yourself to a name with response.id in it; or a
# download_directory of its own for each clip, made before the order.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q magic_hour==0.90.0 make-api-request==0.1.3 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >shots.py <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from magic_hour import Client

orders = 0
ANSWER = {"created_at": "2026-11-01T00:00:00", "credits_charged": 450, "enabled": True, "end_seconds": 5.0, "error": None,
          "fps": 30.0, "height": 720, "name": "a shot", "start_seconds": 0.0, "status": "complete", "total_frame_cost": 450,
          "type": "TEXT_TO_VIDEO", "width": 1280}


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        global orders
        orders += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.reply({"id": f"clip-{orders}", "credits_charged": 450, "estimated_frame_cost": 450})

    def do_GET(self):
        *_, clip, name = self.path.split("/")
        if name == "output.mp4":
            return self.reply(f"the bytes of {clip}".encode())
        item = {"url": f"http://127.0.0.1:{server.server_port}/{name}/output.mp4", "expires_at": "2026-11-02T00:00:00.000Z"}
        self.reply(ANSWER | {"id": name, "download": item, "downloads": [item]})

    def reply(self, what):
        body = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-type", "video/mp4" if body is what else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["NO_PROXY"] = "127.0.0.1"
os.mkdir("film")
os.chdir("film")
client = Client(token="test", base_url=f"http://127.0.0.1:{server.server_port}")
made = [client.v1.text_to_video.generate(end_seconds=5.0, style={"prompt": prompt}) for prompt in ("a fern", "a fox", "rain")]
told = [(clip.id, clip.status, clip.downloaded_paths) for clip in made]
left = {path.name: path.read_text() for path in Path().iterdir()}
assert told == [(f"clip-{n}", "complete", ["output.mp4"]) for n in (1, 2, 3)], f"changed: {told}"
assert orders == 3 and left == {"output.mp4": "the bytes of clip-3"}, f"changed: {orders} orders, {left}"
try:
    client.v1.text_to_video.generate(end_seconds=5.0, style={"prompt": "snow"}, download_directory="shots")
    raise SystemExit("changed: the package makes the folder")
except FileNotFoundError as error:
    assert orders == 4 and "clip-4" not in str(error), f"changed: {orders} orders, {error}"
print("still so: three clips ordered and downloaded without an error, one file is left, the third clip's")
PY
venv/bin/python shots.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
