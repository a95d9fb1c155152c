#!/usr/bin/env bash
# PyPI pysubs2 1.8.1 (with srt 3.5.3 and webvtt-py 0.6.0 to compare)
#
# In SubRip a caption's number stands before its times. pysubs2 reads from one pair of times to the next, so it cuts the
# next caption's number off the end of the text. After the last caption there is no next one, and it cuts all the same: if
# the last line of the last caption is a number, as in "THE END / 2026", that line is gone, from what is shown and from
# what is saved. Earlier captions keep theirs, so does a last caption of one line, and the other readers keep all: a test
# with short captions passes. No warning.
# Seen: load and save: "Take / 10" stays, "THE END / 2026" becomes "THE END"; srt and webvtt-py read both whole.
#
# Instead: write "\n9\n" after the file's text before pysubs2 reads it (from_string), so that it has a number to cut.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q pysubs2==1.8.1 srt==3.5.3 webvtt-py==0.6.0 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >read.py <<'PY'
from pathlib import Path

import pysubs2
import srt
import webvtt


def film(*captions):
    cues = (f"{n}\n00:00:0{n},000 --> 00:00:0{n + 1},000\n{text}\n" for n, text in enumerate(captions, 1))
    return "\n".join(cues)


def saved(text):
    """What pysubs2 makes of it, read by a package that takes nothing away."""
    return [one.content for one in srt.parse(pysubs2.SSAFile.from_string(text).to_string("srt"))]


captions = ["Take\n10", "1984", "THE END\n2026"]
text = film(*captions)
Path("film.srt").write_text(text)
assert [one.content for one in srt.parse(text)] == captions == [one.text for one in webvtt.from_srt("film.srt")]
shown = [one.plaintext for one in pysubs2.load("film.srt")]
assert shown == saved(text) == ["Take\n10", "1984", "THE END"], f"changed: {shown}, {saved(text)}"
assert saved(film("1984")) == ["1984"], "changed: a last caption of one line is cut"
assert saved(text + "\n9\n") == captions, "changed: a number after the end does not help"
print(f"still so: {captions[-1]!r} is read and saved as {shown[-1]!r}")
PY
venv/bin/python read.py
