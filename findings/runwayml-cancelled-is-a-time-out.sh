#!/usr/bin/env bash
# PyPI runwayml 5.24.0
#
# wait_for_task_output() promises TaskFailedError "if the task fails or is cancelled". The synchronous client forgets
# the second half: it goes on asking about a task that the API calls CANCELLED, until its own limit (600 s unless told
# otherwise), and then raises TaskTimeoutError. The asynchronous client raises TaskFailedError at the first answer.
# Seen with the pause between two questions shortened: 10 or more questions and TaskTimeoutError; async: 1 question,
# TaskFailedError. With timeout=None the synchronous one has no end at all (not run here).
#
# Instead: ask with client.tasks.retrieve() in a loop of your own and end it on SUCCEEDED, FAILED and CANCELLED.
# Who takes TaskTimeoutError for "still rendering" keeps a slot and a reservation for a task that no longer exists.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q runwayml==5.24.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >wait.py <<'PY'
import asyncio

import httpx
import runwayml
from runwayml.lib import polling

polling.POLL_TIME, polling.POLL_JITTER = 0.05, 0.0  # seconds instead of 6 and 3
TASK = {"id": "11111111-1111-4111-8111-111111111111", "createdAt": "2026-11-01T00:00:00Z"}
asked = 0


def answer(request):
    global asked
    if request.method == "POST":
        return httpx.Response(200, json={"id": TASK["id"], "estimatedCost": {"credits": 60}})
    asked += 1
    return httpx.Response(200, json=TASK | {"status": "CANCELLED", "cost": {"credits": 60}})


ORDER = {"model": "gen4.5", "prompt_text": "a boat", "ratio": "1280:720", "duration": 5}
transport = httpx.MockTransport(answer)


def here():
    client = runwayml.RunwayML(api_key="key_none", http_client=httpx.Client(transport=transport))
    client.text_to_video.create(**ORDER).wait_for_task_output(timeout=1.5)


async def there():
    client = runwayml.AsyncRunwayML(api_key="key_none", http_client=httpx.AsyncClient(transport=transport))
    await (await client.text_to_video.create(**ORDER)).wait_for_task_output(timeout=1.5)


def told(act):
    global asked
    asked = 0
    try:
        act()
    except Exception as error:
        return type(error).__name__, asked
    return "nothing raised", asked


sync, other = told(here), told(lambda: asyncio.run(there()))
assert sync[0] == "TaskTimeoutError" and sync[1] >= 10 and other == ("TaskFailedError", 1), f"changed: {sync}, {other}"
print(f"still so: a cancelled task: sync asks {sync[1]} times, then {sync[0]}; async asks once, then {other[0]}")
PY
venv/bin/python wait.py
