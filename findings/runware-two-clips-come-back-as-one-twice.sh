#!/usr/bin/env bash
# PyPI runware 0.5.24 (with websockets 16.0)
#
# One order can be for several clips (numberResults=2); getResponse(taskUUID=…, numberResults=2) waits until it has as many.
# It asks again and again, and appends what is ready at each question to one list, without a look at videoUUID. The API tells
# each time of all clips that are ready, so one that is done while the other renders on is counted anew at the next question.
# Then the wait is over: the list holds the first clip twice and the second not at all, though that is rendered and billed,
# and may be in the same answer. No error, no warning. If no question falls between the two ends, the result is right.
# Seen: first question: one ready, one processing; second: both ready: the first clip, twice. Both ready at the first
# question: two clips. getResponse() once more for the same order: two clips.
#
# Instead: numberResults=1 and an order for each clip; or count the different videoUUIDs, and call getResponse() again, not
# videoInference(), as long as some are missing.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q runware==0.5.24 websockets==16.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >two.py <<'PY'
import asyncio
import json
import os

os.environ |= {"RUNWARE_VIDEO_INITIAL_TIMEOUT": "500", "RUNWARE_VIDEO_POLLING_DELAY": "50"}  # 30 s and 3 s by default

import websockets
from runware import IVideoInference, Runware

orders, ready = [], {}  # ready: for each order, how many clips are done at its first, second, … question


def clip(task, n, done):
    named = {"videoUUID": f"clip-{n}", "videoURL": f"https://example.com/{n}.mp4"} if done else {}
    return {"taskType": "videoInference", "taskUUID": task, "status": "success" if done else "processing", **named}


def answer(request):
    kind, task = request["taskType"], request.get("taskUUID")
    if kind == "authentication":
        return [{"taskType": kind, "connectionSessionUUID": "session"}]
    if kind == "ping":
        return [{"taskType": kind, "pong": True}]
    if kind == "videoInference":
        orders.append((task, request["numberResults"]))
        return [{"taskType": kind, "taskUUID": task}]
    plan = ready[task]
    done = plan.pop(0) if len(plan) > 1 else plan[0]
    return [clip(task, n, n <= done) for n in (1, 2)]


async def serve(socket):
    async for message in socket:
        for request in json.loads(message):
            await socket.send(json.dumps({"data": answer(request)}))


async def buy(client, *plan):
    request = IVideoInference(model="klingai:5@3", positivePrompt="a fern", duration=5, numberResults=2)
    task = (await client.videoInference(requestVideo=request)).taskUUID
    ready[task] = list(plan)
    return task, await wait(client, task)


async def wait(client, task):
    return [video.videoUUID for video in await client.getResponse(taskUUID=task, numberResults=2)]


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = Runware(api_key="test", url=f"ws://127.0.0.1:{port}")
        await client.connect()
        _, together = await buy(client, 2)
        task, apart = await buy(client, 1, 2)
        later = await wait(client, task)
        await client.disconnect()
    seen = [n for _, n in orders], together, apart, later
    if seen != ([2, 2], ["clip-1", "clip-2"], ["clip-1", "clip-1"], ["clip-1", "clip-2"]):
        raise SystemExit(f"changed: {seen}")
    print("still so: of two clips of one order the first comes back twice and the second not; asked once more: both")


asyncio.run(asyncio.wait_for(main(), 60))
PY
venv/bin/python two.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
