#!/usr/bin/env bash
# PyPI distributed 2026.8.0
#
# client.submit(os.environ.get, NAME) looks like a question to the worker about its environment. os.environ.get is a bound
# method, so it is pickled with its object: the whole environment of the client, API keys included, goes to the scheduler
# and the worker, and the answer is the client's. The same question inside a function of one's own is answered by the
# worker.
# Seen: a variable that only the client has: the bound method finds it on the worker, a function does not.
#
# Instead: send module-level functions and plain values only; keep the keys in a process that has no Dask client.
set -euo pipefail
work=$(mktemp -d); pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q distributed==2026.8.0 dask==2026.8.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

venv/bin/dask scheduler --host 127.0.0.1 --port 0 --no-dashboard --scheduler-file at.json >scheduler.log 2>&1 &
pids+=("$!"); disown
for _ in $(seq 150); do [ -s at.json ] && break; sleep 0.2; done
venv/bin/dask worker --scheduler-file at.json --no-dashboard --no-nanny --nthreads 1 --local-directory . >worker.log 2>&1 &
pids+=("$!"); disown

cat >ask.py <<'PY'
import os

from distributed import Client

NAME = "ONLY_THE_CLIENT_HAS_THIS"


def own(name):
    return os.environ.get(name)


with Client(scheduler_file="at.json", timeout=30) as client:
    os.environ[NAME] = "a value"
    method = client.submit(os.environ.get, NAME, pure=False).result(timeout=30)
    function = client.submit(own, NAME, pure=False).result(timeout=30)
if method == "a value" and function is None:
    print("still so: the bound method brought the client's environment to the worker")
else:
    raise SystemExit(f"changed: the method found {method!r}, the function {function!r}")
PY
venv/bin/python ask.py
