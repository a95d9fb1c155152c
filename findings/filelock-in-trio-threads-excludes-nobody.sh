#!/usr/bin/env bash
# PyPI filelock 4.3.1, trio 0.35.0
#
# acquire() of a FileLock waits, so under trio it goes into a thread: await trio.to_thread.run_sync(lock.acquire). A
# FileLock knows its holder by the thread, and trio hands the thread that became free last to whoever asks next, another
# task too. To the lock that is the same holder once more: it lets the second task in beside the first. With
# thread_local=False it does so as well. Other processes are kept out, so a test with two processes passes.
# One lock object for each task, with the default thread_local, is no way out: the release() runs in another thread than
# the acquire(), holds nothing there, says nothing, and the lock stays taken.
# Seen: two tasks inside at once, with both settings; with two objects the second task still shut out 2 s after the
# first one's release().
#
# Instead: a FileLock of its own for each use, with thread_local=False (tried: one at a time), or a trio.Lock round it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q filelock==4.3.1 trio==0.35.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >two.py <<'PY'
import subprocess
import sys

import filelock
import trio

OTHER = "import filelock, sys; filelock.FileLock(sys.argv[1]).acquire(timeout=0.2)"


async def inside_at_once(lock_of_first, lock_of_second):
    """How many of two tasks were between acquire and release at once; 0 if the second never got in."""
    first_is_in, others_were_tried, second_is_in = trio.Event(), trio.Event(), trio.Event()
    at_once = 1

    async def first():
        nonlocal at_once
        await trio.to_thread.run_sync(lock_of_first.acquire)
        first_is_in.set()
        await others_were_tried.wait()
        with trio.move_on_after(1):
            await second_is_in.wait()
            at_once = 2
        await trio.to_thread.run_sync(lock_of_first.release)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await first_is_in.wait()
        other = subprocess.run([sys.executable, "-c", OTHER, lock_of_first.lock_file], capture_output=True, text=True)
        assert "Timeout" in other.stderr, "changed: another process gets in"
        others_were_tried.set()
        try:
            await trio.to_thread.run_sync(lock_of_second.acquire)
        except filelock.Timeout:
            return 0
        second_is_in.set()
        await trio.to_thread.run_sync(lock_of_second.release)
    return at_once


def shared(name, **options):
    lock = filelock.FileLock(name, timeout=3, **options)
    return trio.run(inside_at_once, lock, lock)


def own(name, **options):
    return trio.run(inside_at_once, *(filelock.FileLock(name, timeout=3, **options) for _ in range(2)))


one_object = shared("a.lock"), shared("b.lock", thread_local=False)
two_objects = own("c.lock"), own("d.lock", thread_local=False)
assert one_object == (2, 2), f"changed: {one_object} inside at once with one object"
assert two_objects == (0, 1), f"changed: {two_objects} inside at once with an object each"
print("still so: one FileLock for two trio tasks lets both in at once; one each is never released; thread_local=False helps")
PY
venv/bin/python two.py
