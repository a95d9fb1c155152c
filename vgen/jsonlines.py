"""Reads JSON that people edit: exact numbers, no duplicate keys, and the line of every value. Knows nothing of shots."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from vgen.errors import InputError

MAX_BYTES = 64 * 1024 * 1024
"""A prompts file of 100,000 shots has about 40 MB; more than this is a mistake."""

Path = tuple[str | int, ...]
"""Keys and indexes from the root to a value."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


class Duplicate(dict[str, Any]):
    """An object in which a key stood twice; `keys_twice` names them."""

    keys_twice: tuple[str, ...] = ()


def parse(data: bytes, where: str) -> Any:
    """The value of a JSON file. Decimals are exact; objects with a doubled key come as `Duplicate`.

    Raises InputError, with the line, for bytes that are not UTF-8 (a BOM is fine), not JSON, or nested too deep.
    """
    if len(data) > MAX_BYTES:
        raise InputError([f"{where}: {len(data):,} bytes; at most {MAX_BYTES:,} are read"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise InputError([f"{where}:{line}: not UTF-8 text; save the file as UTF-8"]) from exc
    try:
        return json.loads(text, parse_float=Decimal, object_pairs_hook=_object)
    except json.JSONDecodeError as exc:
        raise InputError([f"{where}:{exc.lineno}: not JSON: {exc.msg} (column {exc.colno})"]) from exc
    except RecursionError as exc:
        raise InputError([f"{where}: nested too deep to be a list of shots or a configuration"]) from exc
    except (ValueError, ArithmeticError) as exc:
        raise InputError([f"{where}: a number in it is too long to be meant"]) from exc


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
        token = match.group()
        line += text.count("\n", seen, match.start())
        seen = match.start()
        if token in "}]":
            if kinds:
                kinds.pop()
                path.pop()
            expect_key = False
        elif token == ",":
            if kinds and kinds[-1] == "[":
                path[-1] = int(path[-1]) + 1
            expect_key = bool(kinds) and kinds[-1] == "{"
        elif token == ":":
            expect_key = False
        elif expect_key and token.startswith('"'):
            path[-1] = _text(token)
            found.setdefault(tuple(path), line)
        else:
            found.setdefault(tuple(path), line)
            if token in "{[":
                kinds.append(token)
                path.append(0 if token == "[" else "")
                expect_key = token == "{"
    return found


def _text(token: str) -> str:
    try:
        return str(json.loads(token))
    except ValueError:
        return token.strip('"')
