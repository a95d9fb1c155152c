#!/usr/bin/env bash
# PyPI runwayml 5.24.0 (with pydantic 2.14.4)
#
# client.tasks.retrieve() says which state a task is in by the class of its answer: Pending, Running, Succeeded, …
# An answer that lacks one field of its class (here `cost`, which the API began to send only lately, so that older
# recordings and stand-ins don't have it) is not refused, and is not put in the class that its status names:
# it silently becomes the first class of the union.
# Seen: {"status": "SUCCEEDED", "output": [url]} without `cost` is an instance of Pending whose .status is
# "SUCCEEDED" and whose .output holds the URL; with `cost` it is a Succeeded. A cancelled task goes the same way.
#
# Instead: branch on the text in .status, never with isinstance or match on these classes; a loop that goes on while
# isinstance(task, Pending) would poll a finished, paid clip until its time-out.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q runwayml==5.24.0 pydantic==2.14.4 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >ask.py <<'PY'
import httpx
import runwayml
from runwayml.types.task_retrieve_response import Cancelled, Pending, Succeeded

TASK = {"id": "11111111-1111-4111-8111-111111111111", "createdAt": "2026-11-01T00:00:00Z"}


def ask(**told):
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=TASK | told))
    client = runwayml.RunwayML(api_key="key_none", http_client=httpx.Client(transport=transport))
    return client.tasks.retrieve(TASK["id"])


done = {"status": "SUCCEEDED", "output": ["https://example.com/clip.mp4"]}
assert isinstance(ask(**done, cost={"credits": 60}), Succeeded), "changed: a whole answer is no Succeeded"
short = ask(**done)
assert isinstance(short, Pending) and not isinstance(short, Succeeded), f"changed: it is a {type(short).__name__}"
assert (short.status, short.output) == ("SUCCEEDED", done["output"]), f"changed: {short}"
assert isinstance(ask(status="CANCELLED"), Pending) and isinstance(ask(status="CANCELLED", cost={"credits": 0}), Cancelled)
print(f"still so: status {short.status}, class {Pending.__name__}: a task without `cost` gets the union's first class")
PY
venv/bin/python ask.py
