#!/usr/bin/env bash
# PyPI distributed 2026.8.0
#
# Future.cancel() only makes the scheduler forget a job: a worker that has begun it works on to its end. Submitted again
# under the same key, the job is new to the scheduler, which gives it to another free thread at once. Then two runs of one
# key work at the same time, on workers that are both healthy; a key is no lock.
# Seen: one key, cancelled while it ran and submitted again: both runs overlap, both finish.
#
# Instead: let each run write to a name of its own and publish by a step that only one can win (link, rename without
# replacing, conditional PUT). Never buy in a job: a paid request belongs where it can't be sent twice.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q distributed==2026.8.0 dask==2026.8.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >again.py <<'PY'
import os
import time
from pathlib import Path

from distributed import Client, LocalCluster

HERE = Path(os.getcwd())


def encode(run):
    (HERE / f"{run}.begun").write_text(str(time.time()))
    time.sleep(4)
    (HERE / f"{run}.ended").write_text(str(time.time()))
    return run


def wait_for(name):
    for _ in range(300):
        if (HERE / name).exists() and (text := (HERE / name).read_text()):
            return float(text)
        time.sleep(0.1)
    raise SystemExit(f"changed: no {name} after 30 s")


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        first = client.submit(encode, "first", key="clip-7", pure=False)
        wait_for("first.begun")
        first.cancel()
        time.sleep(0.5)
        second = client.submit(encode, "second", key="clip-7", pure=False)
        begun = wait_for("second.begun")
        ended = wait_for("first.ended")
        got = second.result(timeout=30)
    if begun < ended and got == "second":
        print(f"still so: the second run of the key began {ended - begun:.1f} s before the cancelled one ended")
    else:
        raise SystemExit("changed: the second run waited for the end of the cancelled one")
PY
venv/bin/python again.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
