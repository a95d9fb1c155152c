#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1, otio-cmx3600-adapter 1.0.0
#
# Writing a timeline as an EDL with style="premiere" changes the timeline that was handed in: every clip of the caller's
# object is renamed to the file name of its media. With takes that all are called take_001.mp4 all shots have one name
# afterwards, and whatever is written next from the same object (the .otio, the report) carries it. The styles avid and
# nucoda leave the object alone.
# Seen: "shot one", "shot two" before; "take_001.mp4" twice after.
#
# Instead: hand writers a copy (timeline.deepcopy()), or write the .otio first and the EDL last.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 otio-cmx3600-adapter==1.0.0 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >write.py <<'PY'
import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

timeline = otio.schema.Timeline("cut")
track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
timeline.tracks.append(track)
for name, folder in (("shot one", "aaaa"), ("shot two", "bbbb")):
    length = TimeRange(RationalTime(0, 24), RationalTime(48, 24))
    media = otio.schema.ExternalReference(f"takes/{folder}/take_001.mp4", available_range=length)
    track.append(otio.schema.Clip(name, media_reference=media, source_range=length))


def names(style):
    handed = timeline.deepcopy()
    otio.adapters.write_to_string(handed, "cmx_3600", style=style)
    return [clip.name for clip in handed.tracks[0]]


assert names("avid") == names("nucoda") == ["shot one", "shot two"], "changed: another style renames too"
after = names("premiere")
assert after == ["take_001.mp4", "take_001.mp4"], f"changed: {after}"
print(f"still so: after writing an EDL in Premiere's style the caller's clips are called {after}")
PY
venv/bin/python write.py
