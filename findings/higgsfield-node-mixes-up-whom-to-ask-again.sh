#!/usr/bin/env bash
# npm @higgsfield/client 0.2.6 (its v2 client; Node 20)
#
# subscribe() orders a clip and asks until it is ready. It means to wait out a 5xx to a question, and to repeat an order only
# if there is hope. Both rules look for errors of axios, and the client has put its own classes in their place before, so
# that both turn round. One 503 to a question ends the wait, of a clip that is ordered and paid for, with "status code 503"
# and no request id. An order that is refused, for credits that are lacking (403) or a wrong field (422), is sent four
# times. So is one whose answer was a 500 or was lost; each may have been taken, and there is no idempotency key.
# Seen: question answered 503: APIError after 1 question, id not in it; order answered 403, 422, 429, 500, or its connection
# closed: 4 orders each (maxRetries 3, the default); maxRetries 0: 1 order.
#
# Instead: maxRetries: 0 and subscribe(…, { withPolling: false }); write request_id down, and ask for
# /requests/{id}/status in a loop of your own that takes a 5xx for "ask again".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund @higgsfield/client@0.2.6 >npm.log 2>&1 ||
  { cat npm.log >&2; exit 2; }

cat >order.mjs <<'JS'
import http from 'node:http';
import { inspect } from 'node:util';
import { createHiggsfieldClient } from '@higgsfield/client/v2';
const ID = 'd7e6c0f3-6699-4f6c-bb45-2ad7fd9158ff';
let orders, questions, refusal, busy;
const server = http.createServer(async (request, answer) => {
  for await (const part of request) part;
  const say = (status, body) => {
    answer.writeHead(status, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(body));
  };
  if (request.method === 'POST') {
    orders.push(request.headers['idempotency-key']);
    if (refusal === 'closed') return request.socket.destroy();
    return refusal ? say(refusal, { detail: 'no' }) : say(200, { status: 'queued', request_id: ID });
  }
  questions += 1;
  if (questions <= busy) return say(503, { detail: 'busy' });
  say(200, { status: 'completed', request_id: ID, video: { url: 'https://example.com/clip.mp4' } });
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const baseURL = `http://127.0.0.1:${server.address().port}`;

async function buy(refused, busyFor, options) {
  [orders, questions, refusal, busy] = [[], 0, refused, busyFor];
  const client = createHiggsfieldClient({
    credentials: 'key:secret', baseURL, pollInterval: 10, retryBackoff: 1, retryMaxBackoff: 1, ...options,
  });
  let told;
  try {
    told = (await client.subscribe('some/model', { input: { prompt: 'a fern' } })).status;
  } catch (error) {
    told = inspect(error, { depth: 9 }).includes(ID) ? 'id told' : 'no id';
    if (busyFor) told += `, ${error.name}: ${error.message}`;
  }
  return `${orders.filter((key) => key === undefined).length} orders, ${questions} questions, ${told}`;
}

const cases = [
  ['nothing wrong', null, 0, {}, '1 orders, 1 questions, completed'],
  ['503 to a question', null, 1, {}, '1 orders, 1 questions, no id, APIError: Request failed with status code 503'],
  ...[403, 422, 429, 500, 'closed'].map((how) => [`order: ${how}`, how, 0, {}, '4 orders, 0 questions, no id']),
  ['order: 500, maxRetries 0', 500, 0, { maxRetries: 0 }, '1 orders, 0 questions, no id'],
];
for (const [name, refused, busyFor, options, wanted] of cases) {
  const seen = await buy(refused, busyFor, options);
  if (seen !== wanted) { console.log(`changed: ${name}: ${seen}`); process.exit(1); }
}
server.close();
console.log('still so: one 503 to a question ends the wait without an id; a refused order is sent four times');
JS
node order.mjs
