"""What a page may choose, and how it says so in JSON. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vgen.errors import InputError

SHAPES: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "pick": {"take": (int, str)},
    "keep": {},
    "lock": {"locked": (bool,)},
    "note": {"text": (str,)},
}
"""Kind of choice → its keys besides `shot`, and what they may be."""
_KINDS = {int: "a number", str: "a string", bool: "true or false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A command of vgen's, and its variables as a user would type them."""

    command: str
    variables: Mapping[str, str]


def parse(kind: str, body: bytes) -> Choice:
    """What a request asks for. Raises InputError, in one line."""
    if kind not in SHAPES:
        raise InputError([f"{kind}: there is no such choice; {', '.join(SHAPES)} are known"])
    shape: dict[str, tuple[type, ...]] = {"shot": (int,), **SHAPES[kind]}
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError([f"{kind}: the body must be JSON, as {_example(shape)}"]) from None
    if not isinstance(asked, dict) or asked.keys() != shape.keys():
        raise InputError([f"{kind}: the body must be an object with just {', '.join(shape)}, as {_example(shape)}"])
    for name, kinds in shape.items():
        if type(asked[name]) not in kinds:
            raise InputError([f"{kind}: {name} must be {' or '.join(_KINDS[one] for one in kinds)}"])
    if not 1 <= asked["shot"] < 10**9:
        raise InputError([f"{kind}: shot must be the number of a shot"])
    try:
        json.dumps(asked, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError([f"{kind}: holds half of a surrogate pair, which is no character"]) from None
    command = "unlock" if kind == "lock" and not asked["locked"] else kind
    return Choice(command=command, variables={n: str(v) for n, v in asked.items() if n != "locked"})


def _example(shape: Mapping[str, tuple[type, ...]]) -> str:
    made: dict[str, Any] = {name: {int: 7, str: "…", bool: True}[kinds[0]] for name, kinds in shape.items()}
    return json.dumps(made, ensure_ascii=False)
