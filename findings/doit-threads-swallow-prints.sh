#!/usr/bin/env bash
# PyPI doit 0.37.0
#
# With `doit -n 2 -P thread` every Python action puts its own catcher into sys.stdout, which all threads share, and puts
# back at its end what it found at its start. If task b begins while a runs and ends after it, b puts back a's catcher,
# whose task is over. If a had the default verbosity 1, that catcher shows nothing: from then on sys.stdout leads
# nowhere, and what any later task prints is lost, also of one that runs alone at the end with verbosity 2. Exit code
# 0, no word of it. It is not a matter of mixed-up lines.
# Seen: task d, after a and b, prints one line: shown without -n, not shown with -n 2 -P thread, shown again as soon as
# a and b have 'io': {'capture': False}.
#
# Instead: 'io': {'capture': False} on every task with Python actions that may run in threads; one that lacks it is
# enough to silence the rest.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q doit==0.37.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >dodo.py <<'PY'
import threading
import time

from doit import get_var

begun_a, begun_b = threading.Event(), threading.Event()


def a():
    begun_a.set()
    begun_b.wait(2)  # b begins while a runs


def b():
    begun_b.set()
    time.sleep(0.5)  # a ends while b runs


def d():
    print("the line of d")


IO = {"capture": get_var("capture", "yes") == "yes"}


def task_a():
    return {"actions": [a], "io": IO}


def task_b():
    return {"actions": [b], "io": IO, "uptodate": [lambda: not begun_a.wait(2)]}  # handed out when a has begun


def task_d():
    return {"actions": [d], "task_dep": ["a", "b"], "verbosity": 2}
PY
one=$(venv/bin/doit)
code=0; two=$(venv/bin/doit -n 2 -P thread 2>&1) || code=$?
grep -q "the line of d" <<<"$one" || { echo "changed: not even one at a time is it shown"; exit 1; }
[ "$code" -eq 0 ] && grep -q "^\.  d" <<<"$two" && ! grep -q "the line of d" <<<"$two" || { echo "changed: exit code $code, $two"; exit 1; }
venv/bin/doit -n 2 -P thread capture=no | grep -q "the line of d" || { echo "changed: lost without capture, too"; exit 1; }
echo "still so: after two overlapping thread tasks the print of a third, alone and with verbosity 2, is lost; exit code $code"
