#!/usr/bin/env bash
# npm ai 6.0.326 and 7.0.173 with @ai-sdk/bytedance 1.0.29 (Node 20)
#
# experimental_generateVideo({ n: 3 }) places three orders side by side and gives back all of them or nothing. If one ends
# badly (the moderation of the finished picture takes one now and then), the call throws the error of that one at once.
# The other two are rendered and billed; the package even goes on asking about them until they are ready, and then drops
# them: not downloaded, and neither their addresses nor their ids are in the error.
# Seen: 3 orders, the second fails: the error names cgt-2 alone, has no `responses`; after it, questions about cgt-1 and
# cgt-3 go on up to "succeeded"; 0 downloads. The same with both versions.
#
# Instead: n: 1, and Promise.allSettled() over calls of your own; and a `fetch` of your own in createByteDance({ fetch })
# that writes down the id in each answer to a POST.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund ai@6.0.326 ai7@npm:ai@7.0.173 @ai-sdk/bytedance@1.0.29 \
  zod@4.4.3 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat >three.mjs <<'JS'
import http from 'node:http';
import { inspect } from 'node:util';
import { createByteDance } from '@ai-sdk/bytedance';
import * as ai6 from 'ai';
import * as ai7 from 'ai7';
globalThis.AI_SDK_LOG_WARNINGS = false;
let orders, thrown, ready, downloads;
const server = http.createServer((request, answer) => {
  request.resume();
  const say = (body) => { answer.writeHead(200, { 'content-type': 'application/json' }); answer.end(JSON.stringify(body)); };
  if (request.method === 'POST') return say({ id: `cgt-${(orders += 1)}` });
  const id = request.url.split('/').at(-1);
  if (id === 'cgt-2') return say({ id, status: 'failed', error: { code: 'OutputVideoSensitiveContentDetected' } });
  if (!thrown) return say({ id, status: 'running' });
  ready.push(id);
  say({ id, status: 'succeeded', content: { video_url: 'https://example.com/clip.mp4' } });
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const baseURL = `http://127.0.0.1:${server.address().port}`;
const model = createByteDance({ apiKey: 'test', baseURL }).video('seedance-1-0-pro-250528');

for (const [version, ai] of [[6, ai6], [7, ai7]]) {
  [orders, thrown, ready, downloads] = [0, null, [], 0];
  const download = async () => ({ data: Buffer.from(`clip ${(downloads += 1)}`), mediaType: 'video/mp4' });
  const providerOptions = { bytedance: { pollIntervalMs: 20 } };
  try {
    await ai.experimental_generateVideo({ model, prompt: 'a fern', duration: 5, n: 3, download, providerOptions });
  } catch (error) {
    thrown = error;
  }
  for (let wait = 0; wait < 100 && ready.length < 2; wait += 1) await new Promise((go) => setTimeout(go, 50));
  await new Promise((go) => setTimeout(go, 200));
  const told = [1, 2, 3].filter((n) => inspect(thrown, { depth: 9 }).includes(`cgt-${n}`));
  const seen = `${orders} orders, error tells of ${told}, ready later ${ready.sort()}, ${downloads} downloads, `
    + `responses ${thrown?.responses}`;
  if (seen !== '3 orders, error tells of 2, ready later cgt-1,cgt-3, 0 downloads, responses undefined') {
    console.log(`changed: ai ${version}: ${seen}`);
    process.exit(1);
  }
}
server.close();
console.log('still so: one of three clips fails, the call throws; the two good ones are asked about to their end and dropped');
JS
node three.mjs
