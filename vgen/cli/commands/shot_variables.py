"""The variables of commands that are about one shot: `shot=7`, and what goes with it."""

import re
from collections.abc import Iterator, Mapping


def shot_problems(variables: Mapping[str, str], example: str) -> Iterator[str]:
    """What is wrong with `shot`; nothing if it is a number."""
    number = variables.get("shot", "")
    if not re.fullmatch("[0-9]{1,9}", number, re.ASCII):
        yield f"shot={number}: name the shot by its number, as in `{example}`"


def shot_number(variables: Mapping[str, str]) -> int:
    """The shot that was named."""
    return int(variables["shot"])
