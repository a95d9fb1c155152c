"""Reads JSON that people edit: exact numbers, doubled keys, and the line of every value. Knows nothing of shots."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vgen.errors import InputError

MAX_BYTES = 64 * 1024 * 1024
"""A prompts file of 100,000 shots has about 40 MB; more than this is a mistake."""

DEEP = 100
"""No file of ours nests deeper; a bomb is reported at the line where it does."""

Path = tuple[str | int, ...]
"""Keys and indexes from the root to a value."""

_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
"""No text of a JSON file goes over a line's end, so no line of one begins with this."""
_COMMA_AT_END = re.compile(r",[ \t\r\n]*([\]}])")

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)

_TRAILING_COMMA = re.compile(r",[ \t\r\n]*[\]}]")


class Duplicate(dict[str, Any]):
    """An object in which a key stood twice; `keys_twice` names them."""

    keys_twice: tuple[str, ...] = ()


def parse(data: bytes, where: str) -> Any:
    """The value of a JSON file. Decimals are exact; objects with a doubled key come as `Duplicate`.

    Raises InputError, with the line, for bytes that are not UTF-8 (a BOM is fine), not JSON, or nested too deep.
    """
    text = decode(data, where)
    try:
        return json.loads(text, parse_float=Decimal, object_pairs_hook=_object)
    except json.JSONDecodeError as exc:
        raise InputError([f"{where}:{_not_json(text, exc)}"]) from exc
    except RecursionError as exc:
        line = _line_of_depth(text)
        raise InputError([f"{where}:{line}: nested too deep to be a list of shots or a configuration"]) from exc
    except (ValueError, ArithmeticError) as exc:
        line = _line_of_long_number(text)
        raise InputError([f"{where}:{line}: a number with too many digits to be meant"]) from exc


def decode(data: bytes, where: str) -> str:
    """The text of a file that people edit. Raises InputError, with the line, for what is not UTF-8 (a BOM is fine)."""
    if len(data) > MAX_BYTES:
        raise InputError([f"{where}: {len(data):,} bytes; at most {MAX_BYTES:,} are read"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InputError([f"{where}:{line}: not UTF-8 text; save the file as UTF-8"]) from exc


def _not_json(text: str, exc: json.JSONDecodeError) -> str:
    """Line and reason; the two mistakes that people and language models make most by their names."""
    if fence := _FENCE.search(text):
        return f"{_line(text, fence.start())}: not JSON: a ``` fence around it; remove the lines that begin with ```"
    at = exc.pos  # Python 3.13 stops at the comma, earlier ones at the bracket
    if text[at : at + 1] in ("]", "}"):
        at = max(len(text[:at].rstrip(" \t\r\n")) - 1, 0)
    if comma := _COMMA_AT_END.match(text, at):
        return f"{_line(text, at)}: not JSON: a trailing comma; remove the comma before the {comma[1]}"
    return f"{exc.lineno}: not JSON: {exc.msg} (column {exc.colno})"


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _line_of_depth(text: str) -> int:
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(match.group(), 0)
        if depth > DEEP:
            return _line(text, match.start())
    return 1


def _line_of_long_number(text: str) -> int:
    """The number whose digits (or whose exponent's) Python refuses to turn into a value."""
    for match in _TOKEN.finditer(text):
        found = match.group()
        if found[0] in "-0123456789":
            try:
                json.loads(found, parse_float=Decimal)
            except (ValueError, ArithmeticError):
                return _line(text, match.start())
    return 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    names = [name for name, _ in pairs]
    doubled = Duplicate(plain)
    doubled.keys_twice = tuple(sorted({name for name in names if names.count(name) > 1}))
    return doubled


def lines(data: bytes) -> Mapping[Path, int]:
    """Line (from 1) at which each value, or its key, stands. Only for messages: reads the text a second time."""
    text = data.decode("utf-8-sig", errors="replace")
    found: dict[Path, int] = {(): 1}
    path: list[str | int] = []
    kinds: list[str] = []
    line, seen, expect_key = 1, 0, False
    for match in _TOKEN.finditer(text):
        part = match.group()
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if part in "}]":
            if kinds:
                kinds.pop()
                path.pop()
            expect_key = False
        elif part == ",":
            if kinds and kinds[-1] == "[":
                path[-1] = int(path[-1]) + 1
            expect_key = bool(kinds) and kinds[-1] == "{"
        elif part == ":":
            expect_key = False
        elif expect_key and part.startswith('"'):
            path[-1] = _text(part)
            found[tuple(path)] = line  # of a doubled key, json keeps the last value
        else:
            found.setdefault(tuple(path), line)
            if part in "{[":
                kinds.append(part)
                path.append(0 if part == "[" else "")
                expect_key = part == "{"
    return found


def _text(part: str) -> str:
    try:
        return str(json.loads(part))
    except ValueError:
        return part.strip('"')
