#!/usr/bin/env bash
# PyPI moviepy 2.2.1, imageio-ffmpeg 0.8.1
#
# MoviePy reads a clip's length from the log of ffmpeg, which has two decimals, multiplies it by the frame rate and cuts
# the fraction off. If that comes out just under a whole number, the last frame does not exist for it: n_frames,
# iter_frames() and write_videofile() all leave it out, without a warning or an error. That is no rare case: clips of
# video models often have one frame more than a whole number of seconds (81 at 16, 121 at 24), and lose it each time. It
# is the frame that the next shot was to start from.
# Seen: 81 → 80 (16 a second), 49 → 48, 97 → 96, 121 → 120 (24), 100 → 99 (30), 1 → 0; 120 stay 120. The one white frame
# at the end of 81 is not in the written copy.
#
# Instead: count the frames elsewhere, n, and set clip = clip.with_duration((n + 0.5) / clip.fps) after opening.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q moviepy==2.2.1 imageio-ffmpeg==0.8.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >count.py <<'PY'
import subprocess
import warnings

import imageio_ffmpeg
from moviepy import VideoFileClip

warnings.simplefilter("error")
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def made(frames, rate):
    """A clip of so many black frames, of which the last is white."""
    white = f"color=black:size=64x64:rate={rate},drawbox=color=white:thickness=fill:enable='eq(n,{frames - 1})'"
    subprocess.run([FFMPEG, "-y", "-v", "error", "-f", "lavfi", "-i", white, "-frames:v", str(frames), "-c:v", "libx264",
                    "-preset", "ultrafast", "-threads", "1", "-pix_fmt", "yuv420p", "clip.mp4"], check=True)
    return "clip.mp4"


def shown(name):
    """The brightness of each frame that ffmpeg decodes."""
    command = [FFMPEG, "-v", "error", "-i", name, "-vf", "scale=1:1,format=gray", "-f", "rawvideo", "-"]
    return list(subprocess.run(command, capture_output=True, check=True).stdout)


def counted(frames, rate):
    assert len(shown(made(frames, rate))) == frames
    with VideoFileClip("clip.mp4", audio=False) as clip:
        assert clip.n_frames == len(list(clip.iter_frames())), "changed: n_frames and iter_frames() differ"
        return clip.n_frames


for rate, frames, expected in ((16, 81, 80), (16, 49, 48), (24, 97, 96), (24, 121, 120), (30, 100, 99), (24, 1, 0), (24, 120, 120)):
    assert counted(frames, rate) == expected, f"changed: of {frames} frames at {rate} {counted(frames, rate)}"

made(81, 16)
with VideoFileClip("clip.mp4", audio=False) as clip:
    clip.write_videofile("copy.mp4", audio=False, preset="ultrafast", threads=1, logger=None)
    assert len(list(clip.with_duration(81.5 / clip.fps).iter_frames())) == 81, "changed: with_duration() does not help"
source, copy = shown("clip.mp4"), shown("copy.mp4")
assert len(source) == 81 and max(source) > 200 and len(copy) == 80 and max(copy) < 50, f"changed: {len(copy)}, {max(copy)}"
print(f"still so: of {len(source)} frames {len(copy)} are written, and the white one at the end is not among them")
PY
venv/bin/python count.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
