"""How problems with input are told: the nearest known name, a value as it can be shown, a sentence in lower case."""

import difflib
from collections.abc import Iterable
from typing import Any


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def shown(value: Any) -> str:
    """A value that somebody wrote, on one line and not too long."""
    try:
        text = str(value)
    except RecursionError:
        return "a deep nest"
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 60 else text[:57] + "..."


def lowered(message: str) -> str:
    """pydantic's sentence, to go on behind a colon."""
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def ranges(numbers: Iterable[int]) -> str:
    """`1-6, 9`."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in found) or "none"
