#!/usr/bin/env bash
# npm @fal-ai/client 1.10.1 (Node 20)
#
# fal.subscribe() can be ended early in two ways that look alike. `timeout: ms` asks the server to cancel the job
# (PUT …/cancel). `abortSignal` only stops the asking: no cancel is sent, so the job is rendered and billed.
# Besides, a signal that fires between two questions is noticed only when the next question is due, and neither error
# carries the request id.
# Seen with both at 300 ms: timeout: 1 cancel; AbortSignal.timeout(300): 0 cancels; with pollInterval 2000 the
# aborted call comes back after 2.0 s; "request_id" in neither error.
#
# Instead: fal.queue.submit(), write request_id down, then ask with fal.queue.status(). To stop a job that nobody
# wants any more, call fal.queue.cancel() yourself; to come back to it later, keep the id.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund @fal-ai/client@1.10.1 >npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat >ask.mjs <<'JS'
import http from 'node:http';
import { createFalClient } from '@fal-ai/client';
let cancels = 0;
const server = http.createServer((request, answer) => {
  if (request.method === 'PUT') cancels += 1;
  answer.setHeader('content-type', 'application/json');
  answer.end(JSON.stringify({ request_id: 'the-request-id', status: request.method === 'POST' ? 'IN_QUEUE' : 'IN_PROGRESS' }));
});
server.listen(0, '127.0.0.1', async () => {
  const here = `http://127.0.0.1:${server.address().port}`;
  const fal = createFalClient({
    credentials: 'none:none',
    requestMiddleware: async (request) => ({ ...request, url: request.url.replace(/^https:\/\/[^/]+/, here) }),
  });
  const ended = async (how) => {
    cancels = 0;
    const begin = Date.now();
    let text = 'nothing raised';
    try {
      await fal.subscribe('fal-ai/some-model', { input: { prompt: 'a boat' }, ...how });
    } catch (error) {
      text = `${error} ${JSON.stringify(error)}`;
    }
    const took = Date.now() - begin;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { cancels, took, named: text.includes('the-request-id'), raised: text !== 'nothing raised' };
  };
  const timeout = await ended({ timeout: 300, pollInterval: 50 });
  const abort = await ended({ abortSignal: AbortSignal.timeout(300), pollInterval: 50 });
  const late = await ended({ abortSignal: AbortSignal.timeout(300), pollInterval: 2000 });
  server.close();
  const holds = timeout.cancels === 1 && abort.cancels === 0 && late.cancels === 0 && late.took > 1800 &&
    [timeout, abort, late].every((end) => end.raised && !end.named);
  console.log(holds
    ? `still so: timeout sends ${timeout.cancels} cancel, abortSignal ${abort.cancels}, and is noticed after ${(late.took / 1000).toFixed(1)} s instead of 0.3`
    : `changed: ${JSON.stringify({ timeout, abort, late })}`);
  process.exitCode = holds ? 0 : 1;
});
JS
node ask.mjs
