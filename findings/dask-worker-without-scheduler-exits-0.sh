#!/usr/bin/env bash
# PyPI distributed 2026.8.0
#
# If the scheduler dies (here: SIGKILL), `dask worker` neither waits for it to come back nor reports a failure: within
# seconds it closes "gracefully" and exits with code 0. A supervisor told to restart on failure (systemd
# Restart=on-failure, Docker on-failure, Kubernetes OnFailure) takes that for finished work, and the new scheduler stays
# without workers.
# Seen: exit code 0 about 3 s after the scheduler's death, under the nanny that is there to restart workers.
#
# Instead: supervise workers with "always", not "on-failure"; count the workers from the client's side and do the work
# without the cluster, or say so, when none is there.
set -euo pipefail
work=$(mktemp -d); pids=()
trap 'for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q distributed==2026.8.0 dask==2026.8.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

venv/bin/dask scheduler --host 127.0.0.1 --port 0 --no-dashboard --scheduler-file at.json >scheduler.log 2>&1 &
scheduler=$!; pids+=("$scheduler")
for _ in $(seq 150); do [ -s at.json ] && break; sleep 0.2; done
venv/bin/dask worker --scheduler-file at.json --no-dashboard --nthreads 1 --local-directory . >worker.log 2>&1 &
worker=$!; pids+=("$worker")
cat >ready.py <<'PY'
from distributed import Client

with Client(scheduler_file="at.json", timeout=30) as client:
    client.wait_for_workers(1, timeout=30)
    assert client.submit(pow, 2, 5).result(timeout=30) == 32
PY
venv/bin/python ready.py
sleep 1
kill -9 "$scheduler"; wait "$scheduler" 2>/dev/null || true
for _ in $(seq 60); do kill -0 "$worker" 2>/dev/null || break; sleep 1; done
kill -0 "$worker" 2>/dev/null && { echo "changed: the worker is still there after 60 s"; exit 1; }
code=0; wait "$worker" || code=$?
[ "$code" -eq 0 ] || { echo "changed: the worker's exit code is $code"; exit 1; }
echo "still so: the scheduler was killed, and the worker (with its nanny) has left with exit code 0"
