#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1
#
# Other takes of a shot often lie on a track of their own that is switched off (track.enabled = False). flatten_stack()
# makes one track of several, and whether it heeds the switch depends on how the tracks are handed over. Given the Stack
# (timeline.tracks), it leaves the track out. Given a list of the same tracks, it lets the track cover what lies below: the
# film shows the takes that were rejected, and the result is switched on. timeline.video_tracks() is such a list, and
# otiotool --flatten video hands it over so. A *clip* that is switched off is left out both ways, so a test with clips
# passes.
# Seen: two tracks, "good" below, "rejected" above. Track off: Stack: good; list and otiotool: rejected. Clip off: good, good.
#
# Instead: [track for track in timeline.video_tracks() if track.enabled], for otiotool the same into a file before.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >flatten.py <<'PY'
import subprocess

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange


def film(off):
    timeline = otio.schema.Timeline("cut")
    length = TimeRange(RationalTime(0, 24), RationalTime(48, 24))
    for name in ("good", "rejected"):
        track = otio.schema.Track(name, kind=otio.schema.TrackKind.Video)
        media = otio.schema.ExternalReference(f"takes/{name}.mp4", available_range=length)
        track.append(otio.schema.Clip(name, media_reference=media, source_range=length))
        timeline.tracks.append(track)
    upper = timeline.tracks[1]
    (upper if off == "track" else upper[0]).enabled = False
    return timeline


def names(track):
    return [clip.name for clip in track]


def shown(off):
    """By the three ways, and by a list without what is off."""
    timeline = film(off)
    flat = otio.algorithms.flatten_stack(timeline.tracks)
    listed = otio.algorithms.flatten_stack(timeline.video_tracks())
    picked = otio.algorithms.flatten_stack([track for track in timeline.video_tracks() if track.enabled])
    assert flat.enabled and listed.enabled, "changed: the result is switched off"
    otio.adapters.write_to_file(timeline, "film.otio")
    subprocess.run(["venv/bin/otiotool", "-i", "film.otio", "--flatten", "video", "-o", "flat.otio"], check=True)
    written = otio.adapters.read_from_file("flat.otio")
    return [*names(flat), *names(listed), *names(written.tracks[0]), *names(picked)]


track, clip = shown("track"), shown("clip")
assert clip == ["good"] * 4, f"changed: with the clip off {clip}"
assert track == ["good", "rejected", "rejected", "good"], f"changed: with the track off {track}"
print(f"still so: with the upper track off, the Stack shows {track[0]}, a list of its tracks {track[1]}, otiotool {track[2]}")
PY
venv/bin/python flatten.py
