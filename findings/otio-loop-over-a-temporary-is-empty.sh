#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1 (CPython 3.11)
#
# A loop over the tracks of a timeline that nobody holds runs zero times, without an error: the iterator does not keep the
# object alive that it walks, and when that goes, its children go first. So `for track in read_from_file(path).tracks`
# sees an empty film on a perfectly good file, and a test such as `all(good(t) for t in read(…).tracks)` passes for ever.
# len(…), […][0] and list(…) of the same expression are right.
# Seen: no track in the loop, one by len, by index and by list; one in the loop when the timeline is in a variable.
#
# Instead: put the timeline in a variable for as long as anything of it is walked.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >loop.py <<'PY'
import opentimelineio as otio

timeline = otio.schema.Timeline("cut")
timeline.tracks.append(otio.schema.Track("V1", kind=otio.schema.TrackKind.Video))
otio.adapters.write_to_file(timeline, "cut.otio")


def read():
    return otio.adapters.read_from_file("cut.otio")


looped = [track.name for track in read().tracks]
assert looped == [], f"changed: {looped}"
assert len(read().tracks) == 1
assert read().tracks[0].name == "V1"
assert [track.name for track in list(read().tracks)] == ["V1"]
held = read()
assert [track.name for track in held.tracks] == ["V1"]
print("still so: a loop over read_from_file(path).tracks of a film with one track runs zero times, without an error")
PY
venv/bin/python loop.py
