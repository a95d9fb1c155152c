#!/usr/bin/env bash
# npm ai 6.0.326 and 7.0.173 with @ai-sdk/bytedance 1.0.29 (Node 20)
#
# experimental_generateVideo() tries again up to maxRetries times, by default 2. What it repeats is all that the provider's
# package does in one step: the order and the questions until the clip is ready. So a 429 or 5xx that meets one of the
# questions, minutes after the order was accepted, buys a second clip, without an idempotency key. The first is rendered
# and billed, and the result names the second only. The option `poll` is no help: ai 6 doesn't have it, ai 7 follows it only
# for provider packages that start and ask in two steps, which this one doesn't.
# Seen: one 503 to the first question: 2 orders, no error, taskId of the second; 503 to each: 3 orders, RetryError;
# maxRetries 0: 1 order, and an APICallError whose url ends in the task's id. The same with both versions.
#
# Instead: maxRetries: 0, take the id from error.url and ask on with it; or order and ask over plain HTTP.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund ai@6.0.326 ai7@npm:ai@7.0.173 @ai-sdk/bytedance@1.0.29 \
  zod@4.4.3 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat >order.mjs <<'JS'
import http from 'node:http';
import { createByteDance } from '@ai-sdk/bytedance';
import * as ai6 from 'ai';
import * as ai7 from 'ai7';
globalThis.AI_SDK_LOG_WARNINGS = false;
let orders, questions, busy;
const server = http.createServer((request, answer) => {
  request.resume();
  const say = (status, body) => {
    answer.writeHead(status, { 'content-type': 'application/json', ...(status === 503 && { 'retry-after-ms': '10' }) });
    answer.end(JSON.stringify(body));
  };
  if (request.method === 'POST') return say(200, { id: `cgt-${orders.push(request.headers['idempotency-key'])}` });
  questions += 1;
  if (questions <= busy) return say(503, { error: { code: 'ServiceUnavailable', message: 'busy' } });
  say(200, { id: request.url.split('/').at(-1), status: 'succeeded', content: { video_url: 'https://example.com/clip.mp4' } });
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const baseURL = `http://127.0.0.1:${server.address().port}`;
const model = createByteDance({ apiKey: 'test', baseURL }).video('seedance-1-0-pro-250528');
const download = async () => ({ data: Buffer.from('a clip'), mediaType: 'video/mp4' });

async function buy(ai, busyFor, options) {
  [orders, questions, busy] = [[], 0, busyFor];
  let told;
  try {
    const made = await ai.experimental_generateVideo({ model, prompt: 'a fern', duration: 5, download, ...options });
    told = made.providerMetadata.bytedance.taskId;
  } catch (error) {
    told = ai.APICallError.isInstance(error) ? error.url.split('/').at(-1) : error.name;
  }
  return `${orders.filter((key) => key === undefined).length} orders, ${told}`;
}

const wanted = ['2 orders, cgt-2', '2 orders, cgt-2', '3 orders, AI_RetryError', '1 orders, cgt-1'];
for (const [version, ai] of [[6, ai6], [7, ai7]]) {
  const seen = [];
  for (const [busyFor, options] of [[1, {}], [1, { poll: { intervalMs: 10 } }], [9, {}], [1, { maxRetries: 0 }]]) {
    seen.push(await buy(ai, busyFor, options));
  }
  if (`${seen}` !== `${wanted}`) { console.log(`changed: ai ${version}: ${seen.join('; ')}`); process.exit(1); }
}
server.close();
console.log('still so: one question is answered 503 and the clip is ordered twice; all of them, three times; once with maxRetries 0');
JS
node order.mjs
