"""How problems with input are told: the nearest known name, a value as it can be shown, why a value is refused."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """` (did you mean …?)`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]}?)" if close else ""


def unknown_variable(said: str, name: str, known: Iterable[str]) -> str:
    """The problem with a name that is no variable's. `said`: where, and how it was written."""
    return f"{said}: unknown variable{nearest(name, known)}; `doit help vgen` lists them all"


def shown(value: Any) -> str:
    """A value that somebody wrote, on one line and not too long."""
    try:
        text = str(value)
    except RecursionError:
        return "a deep nest"
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 60 else text[:57] + "..."


def refused(error: Mapping[str, Any], value: Any) -> str:
    """What is wrong with a value, from pydantic's error: what may stand there, and what was probably meant."""
    limits, text = error.get("ctx", {}), str(value)
    match error["type"]:
        case "literal_error":
            choices = re.findall(r"'([^']*)'", str(limits.get("expected")))
            return f"choose {' or '.join((', '.join(choices[:-1]), choices[-1]))}{nearest(text.lower(), choices)}"
        case "bool_parsing" | "bool_type":
            return "say yes or no"
        case "decimal_parsing" | "decimal_type" | "float_parsing" | "float_type" | "finite_number":
            point = re.fullmatch(r"(\d+),(\d+)", text)
            return "give a number, such as 5 or 2.50" + (f" (did you mean {point[1]}.{point[2]}?)" if point else "")
        case "dict_type":
            return 'give an object, such as {"model": "…"}'
        case "int_parsing" | "int_type" | "int_from_float":
            return "give a whole number"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "greater_than":
            return f"must be more than {limits['gt']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "string_too_short":
            return "must not be empty"
    message = str(error["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
