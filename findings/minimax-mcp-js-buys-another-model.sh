#!/usr/bin/env bash
# npm minimax-mcp-js 0.0.18 (with @modelcontextprotocol/sdk 1.32.2, Node 20)
#
# The tool generate_video of MiniMax's MCP server takes `model` as any text. A name that isn't in the package's own list of
# seven is neither refused nor passed on: MiniMax-Hailuo-02 is ordered in its place, and the answer is a plain "Success"
# that names no model. The list is older than the API: MiniMax-Hailuo-2.3 and -2.3-Fast are models of the same address, at
# prices of their own, and unknown here. So is a known name in small letters. image_to_video does the same.
# Seen (asyncMode): asked for MiniMax-Hailuo-2.3, MiniMax-Hailuo-2.3-Fast, minimax-hailuo-02 and t2v-01: each time an order
# for MiniMax-Hailuo-02, and "Success"; asked for T2V-01: T2V-01. isError is not set.
#
# Instead: order over HTTP, where the model is the one that was asked for. If it has to be this server: only the names of
# the tool's description, letter for letter, and the bill held against them, since no answer tells.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
npm init -y >/dev/null && npm install --silent --no-audit --no-fund minimax-mcp-js@0.0.18 @modelcontextprotocol/sdk@1.32.2 \
  >npm.log 2>&1 || { cat npm.log >&2; exit 2; }

cat >order.mjs <<'JS'
import http from 'node:http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const ordered = [];
const server = http.createServer(async (request, answer) => {
  let body = '';
  for await (const part of request) body += part;
  ordered.push(`${request.method} ${request.url} ${JSON.parse(body).model}`);
  answer.writeHead(200, { 'content-type': 'application/json' });
  answer.end(JSON.stringify({ task_id: `${ordered.length}`, base_resp: { status_code: 0, status_msg: 'success' } }));
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

const client = new Client({ name: 'test', version: '1' });
await client.connect(new StdioClientTransport({
  command: 'node',
  args: ['node_modules/minimax-mcp-js/build/index.js'],
  env: { PATH: process.env.PATH, MINIMAX_API_KEY: 'test', MINIMAX_API_HOST: `http://127.0.0.1:${server.address().port}`,
    MINIMAX_MCP_BASE_PATH: process.cwd() },
}));
const picture = 'https://example.com/fern.jpg';
const asks = [
  ['generate_video', 'T2V-01', 'T2V-01'],
  ['generate_video', 't2v-01', 'MiniMax-Hailuo-02'],
  ['generate_video', 'minimax-hailuo-02', 'MiniMax-Hailuo-02'],
  ['generate_video', 'MiniMax-Hailuo-2.3', 'MiniMax-Hailuo-02'],
  ['image_to_video', 'MiniMax-Hailuo-2.3-Fast', 'MiniMax-Hailuo-02'],
];
for (const [name, model, bought] of asks) {
  const args = { model, prompt: 'a fern', asyncMode: true, ...(name === 'image_to_video' && { firstFrameImage: picture }) };
  const told = await client.callTool({ name, arguments: args });
  const text = told.content[0].text;
  const seen = [ordered.at(-1), text.startsWith('Success'), text.includes(bought), Boolean(told.isError)].join(', ');
  if (seen !== `POST /v1/video_generation ${bought}, true, false, false`) {
    console.log(`changed: ${name} with ${model}: ${seen}: ${text}`);
    process.exit(1);
  }
}
await client.close();
server.close();
console.log(`still so: of ${ordered.length} orders, 4 were for a model that nobody had asked for, each answered "Success"`);
JS
node order.mjs
