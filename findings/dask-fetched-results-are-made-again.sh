#!/usr/bin/env bash
# PyPI distributed 2026.8.0
#
# A result that the client has fetched counts for nothing as long as its Future object is alive: if the worker that holds
# it dies, the scheduler runs the job again elsewhere, though nobody asks for it any more. A list of futures that is kept
# until the end of a batch (the usual way to write it) makes finished downloads and encodes run twice when a machine
# leaves.
# Seen: four jobs, all four results fetched, one of two workers killed: jobs ran again while the futures were held, none
# after they had been released.
#
# Instead: release each future as soon as its result is here, and let jobs bear to be run again.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q distributed==2026.8.0 dask==2026.8.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >held.py <<'PY'
import os
import signal
import time
from pathlib import Path

from distributed import Client, LocalCluster

HERE = Path(os.getcwd())


def encode(name):
    with open(HERE / "runs", "a") as file:
        file.write(f"{name}\n")
    time.sleep(0.2)
    return os.getpid()


def runs():
    return len((HERE / "runs").read_text().splitlines())


def again(client, prefix, *, release):
    before = runs() if (HERE / "runs").exists() else 0
    futures = [client.submit(encode, f"{prefix}-{n}", key=f"{prefix}-{n}", pure=False) for n in range(4)]
    workers = client.gather(futures)
    assert runs() - before == 4
    if release:
        futures.clear()
        time.sleep(1)
    os.kill(workers[0], signal.SIGKILL)
    time.sleep(8)
    return runs() - before - 4


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        held = again(client, "held", release=False)
        client.wait_for_workers(2, timeout=60)
        released = again(client, "released", release=True)
    if held and not released:
        print(f"still so: {held} fetched jobs ran again while their futures were held, 0 after they were released")
    else:
        raise SystemExit(f"changed: {held} ran again while held, {released} after the release")
PY
venv/bin/python held.py 2>log.txt || { tail -3 log.txt >&2; exit 1; }
