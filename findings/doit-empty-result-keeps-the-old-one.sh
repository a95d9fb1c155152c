#!/usr/bin/env bash
# PyPI doit 0.37.0
#
# doit stores a task's result for those who watch it with result_dep() only if it counts as true. An empty one ("", {}:
# no faulty shot, nothing missing, no output) is not stored, and the one of an earlier run is left in its place. So a
# change from something to nothing goes unseen: tasks that watch it are "up to date" and show what no longer holds, as
# long as nothing else changes. If there never was another result, it is the other way round: they are run each time.
# Seen: `check` returns {"bad": ["shot 1"]}, then {}: `report` is skipped and goes on naming shot 1; exit code 0. From a
# fresh start with {}: `report` runs in each of three runs. A command that prints nothing behaves like {}.
#
# Instead: a result that is never empty, with a count or a fixed key: {"bad": []} is stored, and is compared.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q doit==0.37.0 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >dodo.py <<'PY'
from pathlib import Path

from doit import get_var
from doit.tools import result_dep

ALWAYS_A_KEY = get_var("key", "no") == "yes"


def check():
    bad = Path("bad.txt").read_text().splitlines()
    return {"bad": bad} if bad or ALWAYS_A_KEY else {}


def report(name):
    Path(name).write_text(Path("bad.txt").read_text() or "all good\n")


def task_check():
    return {"actions": [check]}


def task_cat():
    return {"actions": ["cat bad.txt"]}


def task_report():
    for watched in ("check", "cat"):
        yield {"name": watched, "actions": [(report, [f"{watched}.txt"])], "uptodate": [result_dep(watched)]}
PY
changed() { echo "changed: $1"; exit 1; }
ran() { venv/bin/doit "$@" | grep -c '^\.  report' || true; }

echo "shot 1" >bad.txt
[ "$(ran)" = 2 ] && [ "$(ran)" = 0 ] || changed "a result that is not empty is not watched"
: >bad.txt
[ "$(ran)" = 0 ] || changed "the empty result is noticed"
[ "$(cat check.txt cat.txt | sort -u)" = "shot 1" ] || changed "the reports say $(cat check.txt cat.txt)"
rm .doit.db*
for _ in 1 2 3; do [ "$(ran)" = 2 ] || changed "with an empty result from the start the reports are up to date"; done
echo "shot 1" >bad.txt; venv/bin/doit key=yes report:check >/dev/null
: >bad.txt; [ "$(ran key=yes report:check)" = 1 ] && grep -q "all good" check.txt || changed "not noticed with a key, too"
[ "$(ran key=yes report:check)" = 0 ] || changed "always run with a key, too"
echo "still so: an empty result is not stored: the report goes on naming shot 1, or without an earlier one is made each time"
