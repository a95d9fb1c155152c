#!/usr/bin/env bash
# npm @runwayml/sdk 4.20.1 (Node 20)
#
# try { await client.textToVideo.create({…}).waitForTaskOutput() } catch (e) { … }
# never gets to the catch block if the order is refused (400, "not enough credits"): waitForTaskOutput() first sleeps
# 4.5–7.5 seconds and only then looks at the order's own promise, which has long been rejected with nobody listening.
# Node ends the process for that.
# Seen: exit code 1, no "caught" line, although the whole statement stands inside try/catch.
#
# Instead: const task = await client.textToVideo.create({…})   (a refusal is caught here)
#          await client.tasks.retrieve(task.id).waitForTaskOutput()
# and write task.id down between the two. The awaited object itself has no waitForTaskOutput().
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund @runwayml/sdk@4.20.1 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat >order.mjs <<'JS'
import http from 'node:http';
import RunwayML from '@runwayml/sdk';
const way = process.argv[2];
const id = '11111111-1111-4111-8111-111111111111';
const done = { id, createdAt: '2026-11-01T00:00:00Z', status: 'SUCCEEDED', output: ['https://example.com/clip.mp4'], cost: { credits: 60 } };
const refuse = http.createServer((request, answer) => {
  const accepted = way === 'accepted';
  answer.writeHead(accepted ? 200 : 400, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(accepted ? done : { error: 'You do not have enough credits to run this task.' }));
});
refuse.listen(0, '127.0.0.1', async () => {
  const client = new RunwayML({ apiKey: 'key_none', baseURL: `http://127.0.0.1:${refuse.address().port}` });
  const order = () => client.textToVideo.create({ model: 'veo3.1', promptText: 'a boat', ratio: '1280:720', duration: 4 });
  try {
    if (way === 'chained') await order().waitForTaskOutput();
    else {
      const task = await order();
      console.log(typeof task.waitForTaskOutput, (await client.tasks.retrieve(task.id).waitForTaskOutput()).status);
    }
  } catch (error) {
    console.log('caught', error.status);
  }
  refuse.close();
});
JS
[ "$(node order.mjs accepted)" = "undefined SUCCEEDED" ] || { echo "changed: the way in two steps works otherwise"; exit 1; }
[ "$(node order.mjs apart)" = "caught 400" ] || { echo "changed: a refused order is no longer raised by create()"; exit 1; }
code=0; said=$(node order.mjs chained 2>stderr.txt) || code=$?
[ "$code" -ne 0 ] && [ -z "$said" ] && grep -q "BadRequestError: 400" stderr.txt ||
  { echo "changed: exit code $code, printed '$said'"; exit 1; }
echo "still so: create().waitForTaskOutput() inside try/catch, order refused with 400: the process ends with code $code, nothing is caught"
