#!/usr/bin/env bash
# PyPI opentimelineio 0.18.1 (CPython 3.11)
#
# .metadata and everything inside it are views into the C++ object, and they don't keep that object alive. An
# expression that ends in metadata, as in read_from_file(path).metadata["x"], therefore fails on a perfectly good file,
# and so does a function that makes a clip and returns clip.metadata. Attributes of .tracks are right all the same.
# Seen: ValueError "Underlying C++ AnyDictionary has been destroyed" for the one-line form; the right value when the
# timeline stands in a variable; read_from_file(path).tracks.name works.
#
# Instead: hold the object itself for as long as its metadata is read, and copy what is to outlive it while it lives.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q opentimelineio==0.18.1 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >read.py <<'PY'
import opentimelineio as otio

timeline = otio.schema.Timeline("cut", metadata={"take": {"number": 3}})
otio.adapters.write_to_file(timeline, "cut.otio")


def dead(act):
    try:
        act()
    except ValueError as error:
        return "has been destroyed" in str(error)
    return False


assert dead(lambda: otio.adapters.read_from_file("cut.otio").metadata["take"]["number"]), "changed: one line works"
assert dead(lambda: timeline.deepcopy().metadata["take"]), "changed: a temporary copy works"
assert dead(lambda: (lambda: otio.schema.Clip("a", metadata={"b": 1}))().metadata["b"]), "changed: a returned clip works"
assert otio.adapters.read_from_file("cut.otio").tracks.name == "tracks"
held = otio.adapters.read_from_file("cut.otio")
assert held.metadata["take"]["number"] == 3
print("still so: read_from_file(path).metadata[…] raises ValueError on a good file; with the timeline in a variable it is read")
PY
venv/bin/python read.py
