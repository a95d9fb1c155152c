#!/usr/bin/env bash
# PyPI runwayml 5.24.0, pydantic 2.14.4
#
# The package's TypedDicts of an order (text_to_video_create_params.Gen4_5 and the like) mark fields as Required, but the
# modules postpone their annotations, so Python itself never sees the marks: __required_keys__ is empty and every field
# is in __optional_keys__, for each of the models. A check that is built on these two sets finds nothing missing, ever.
# Who turns to pydantic's TypeAdapter gets the missing fields told, but keys that the type does not have are left out of
# the result without a word, and the names are Python's: the same order in its names on the wire (promptText) counts as
# one without a prompt.
# Seen: 0 required keys in each of more than 20 model types; {"model": "gen4.5"} refused by pydantic; a misspelt key gone.
#
# Instead: typing.get_type_hints(type, include_extras=True) shows Required; compare the keys yourself, and take the wire's
# names from PropertyInfo(alias=...).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q runwayml==5.24.0 pydantic==2.14.4 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >look.py <<'PY'
import typing

from pydantic import TypeAdapter, ValidationError
from runwayml.types import text_to_video_create_params as params

models = [kind for kind in vars(params).values() if "model" in getattr(kind, "__annotations__", {})]
required = sum(len(kind.__required_keys__) for kind in models)
hints = typing.get_type_hints(params.Gen4_5, include_extras=True)
marked = sorted(name for name, hint in hints.items() if typing.get_origin(hint) is typing.Required)
check = TypeAdapter(params.Gen4_5).validate_python
order = {"model": "gen4.5", "prompt_text": "a boat", "ratio": "1280:720", "duration": 5}
left = check({**order, "seeed": 7})
on_the_wire = {("promptText" if name == "prompt_text" else name): value for name, value in order.items()}
try:
    check(on_the_wire)
except ValidationError as error:
    missing = [fault["loc"] for fault in error.errors()]
else:
    missing = []
assert len(models) > 20 and required == 0, f"changed: {required} required keys in {len(models)} types"
assert marked == ["duration", "model", "prompt_text", "ratio"], f"changed: {marked}"
assert left == order and missing == [("prompt_text",)], f"changed: {left}, {missing}"
print(f"still so: {len(models)} order types, 0 required keys; a misspelt key is dropped; promptText counts as no prompt")
PY
venv/bin/python look.py
