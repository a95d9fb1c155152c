#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1, otio-fcpx-xml-adapter 1.0.0
#
# A clip without media yet (MissingReference: a shot that is planned but not made) is not written as missing. The
# adapter makes up an asset for it, with the address file:///tmp/ + the clip's name as it stands. The project looks
# complete; an editor that opens it on a machine where such a file happens to exist shows that one. Read back, the
# clip has an ExternalReference, so that the knowledge that it is missing is gone for good. OTIO's own format keeps it.
# Seen: src="file:///tmp/shot 1"; after reading: ExternalReference with that address.
#
# Instead: before writing, put every clip whose media_reference.is_missing_reference out of the copy that is written
# (a gap of the same length), and say so; or refuse to write.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 otio-fcpx-xml-adapter==1.0.0 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >write.py <<'PY'
import xml.etree.ElementTree as ET

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

timeline = otio.schema.Timeline("cut")
track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
timeline.tracks.append(track)
track.append(otio.schema.Clip("shot 1", source_range=TimeRange(RationalTime(0, 24), RationalTime(48, 24))))
assert track[0].media_reference.is_missing_reference


def back(adapter):
    found = otio.adapters.read_from_string(otio.adapters.write_to_string(timeline, adapter), adapter)
    clip = next(iter(found.find_clips()))
    return type(clip.media_reference).__name__, getattr(clip.media_reference, "target_url", None)


written = ET.fromstring(otio.adapters.write_to_string(timeline, "fcpx_xml")).find(".//asset").get("src")
assert written == "file:///tmp/shot 1", f"changed: {written}"
assert back("otio_json") == ("MissingReference", None)
read = back("fcpx_xml")
assert read == ("ExternalReference", "file:///tmp/shot 1"), f"changed: {read}"
print(f"still so: a clip without media is written with src={written!r} and comes back as {read[0]}")
PY
venv/bin/python -W ignore write.py
