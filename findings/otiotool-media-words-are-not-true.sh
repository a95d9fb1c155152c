#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1 (its command otiotool)
#
# Three of the tool's options speak of media files, and what they say is often wrong, with exit code 0 each time.
# --verify-media takes an address for a path: every file:// address is "NOT FOUND", those too that --relink-by-name has
# just found and written in the same command. --relink-by-name drops each clip's available_range, without which the way
# to Premiere (otio-fcp-adapter) raises. --copy-media-to-folder copies and relinks a file and then calls it an "ERROR";
# a relative address it can't copy at all, says the same word, and leaves it. A file that is there already, as when a
# clip is used twice or two takes share a name, ends it with AttributeError, before anything is written.
# Seen: two files that exist, by file://: NOT FOUND; copied byte for byte: ERROR, 0; the same clip twice: no output.
#
# Instead: look for the files yourself: urllib.request.url2pathname(urlsplit(url).path), under the .otio's folder.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }
mkdir media; echo "shot one" >media/one.mp4; echo "shot two" >media/two.mp4

cat >ask.py <<'PY'
import subprocess
from pathlib import Path

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

MEDIA = Path("media").absolute()


def write(urls):
    timeline = otio.schema.Timeline("cut")
    track = otio.schema.Track("V1", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    length = TimeRange(RationalTime(0, 24), RationalTime(48, 24))
    for name, url in urls:
        reference = otio.schema.ExternalReference(url, available_range=length)
        track.append(otio.schema.Clip(name, media_reference=reference, source_range=length))
    otio.adapters.write_to_file(timeline, "film.otio")


def otiotool(*options):
    """What it says, its exit code, and the media references of what it wrote, if it did."""
    Path("new.otio").unlink(missing_ok=True)
    command = ["venv/bin/otiotool", "-i", "film.otio", *options, "-o", "new.otio"]
    ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not Path("new.otio").exists():
        return ran.stdout, ran.returncode, []
    made = otio.adapters.read_from_file("new.otio")
    return ran.stdout, ran.returncode, [clip.media_reference for clip in made.find_clips()]


def copied(folder, urls):
    Path(folder).mkdir()
    write(urls)
    return otiotool("--copy-media-to-folder", folder)


both = [(name, (MEDIA / f"{name}.mp4").as_uri()) for name in ("one", "two")]
write(both)
said, code, _ = otiotool("--verify-media")
assert (said.count(" NOT FOUND: file://"), said.count("EXISTS"), code) == (2, 0, 0), f"changed: {said}"

said, code, relinked = otiotool("--relink-by-name", str(MEDIA), "--verify-media")
assert "Relinked 2 clips" in said and said.count(" NOT FOUND: file://") == 2 and code == 0, f"changed: {said}"
assert [one.available_range for one in relinked] == [None, None], "changed: relinked clips keep their range"

said, code, references = copied("once", both)
assert (said.count("ERROR"), code) == (2, 0), f"changed: {said}"
assert [one.target_url for one in references] == ["once/one.mp4", "once/two.mp4"]
assert Path("once/two.mp4").read_text() == "shot two\n"

said, code, references = copied("relative", [("one", "media/one.mp4")])
assert (said.count("ERROR"), code, references[0].target_url) == (1, 0, "media/one.mp4") and not list(Path("relative").iterdir())

said, code, references = copied("twice", [*both, both[0]])
assert "AttributeError" in said and code == 1 and not references, f"changed: {said}"
print("still so: NOT FOUND for files that are there, ERROR for files that were copied; a clip that is used twice ends it")
PY
venv/bin/python ask.py
