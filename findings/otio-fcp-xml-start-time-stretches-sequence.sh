#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1, otio-fcp-adapter 1.0.0
#
# In Final Cut Pro 7 XML (the way to Premiere) a sequence's length is a number of frames of its own rate. The writer
# takes the number from the clips and the rate from timeline.global_start_time. If the start is given at another rate
# than the clips have, as in 01:00:00:00 at 24 for clips of 30 pictures a second, the file says another length: no
# error, no warning. The adapter's own reader doesn't notice, since it takes the rates from the clips.
# Seen: 8 s of clips at 30: without a start 240 frames of 30 = 8 s; start at 30: 8 s; start at 24: 240 frames of 24 = 10 s;
# read back by the adapter: 8 s.
#
# Instead: start = start.rescaled_to(rate of the clips) before writing, and check duration / timebase of the file
# itself, not of what the adapter reads back.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 otio-fcp-adapter==1.0.0 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >write.py <<'PY'
import xml.etree.ElementTree as ET

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

timeline = otio.schema.Timeline("cut")
track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
timeline.tracks.append(track)
for name in ("a", "b"):
    length = TimeRange(RationalTime(0, 30), RationalTime(120, 30))
    media = otio.schema.ExternalReference(f"file:///media/{name}.mp4", available_range=length)
    track.append(otio.schema.Clip(name, media_reference=media, source_range=length))


def seconds(start):
    timeline.global_start_time = start
    text = otio.adapters.write_to_string(timeline, "fcp_xml")
    sequence = ET.fromstring(text).find(".//sequence")
    back = otio.adapters.read_from_string(text, "fcp_xml")
    return int(sequence.findtext("duration")) / int(sequence.findtext("rate/timebase")), back.duration().to_seconds()


none, same, other = seconds(None), seconds(RationalTime(108000, 30)), seconds(RationalTime(86400, 24))
assert none == same == (8.0, 8.0), f"changed: {none}, {same}"
assert other == (10.0, 8.0), f"changed: {other}"
print(f"still so: 8 s of clips at 30, start given at 24: the sequence says {other[0]:g} s, its own reader {other[1]:g} s")
PY
venv/bin/python write.py
