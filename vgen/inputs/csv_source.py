"""Reads CSV that people edit: an object for each row, and the line of every cell. Knows no rules of shots."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from vgen.errors import InputError
from vgen.inputs.json_source import MAX_BYTES, Path, decode

NUMBERS = frozenset({"shot_number", "duration", "seed", "takes"})
"""Columns whose cells are numbers; what does not look like one stays a text."""
LISTS = frozenset({"references"})
"""Columns whose cells hold several texts, parted by semicolons."""
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_BREAK = re.compile(r"\r\n|\r|\n")
_Row = tuple[int, list[str]]
"""The line at which a row begins, and its cells as they are."""


def parse(data: bytes, where: str) -> list[dict[str, Any]]:
    """The rows as objects; an empty cell is an absent key, a row of empty cells is none.

    Raises InputError, with the line, for bytes that are not UTF-8 (a BOM is fine) or not CSV with names on top.
    """
    try:
        rows = list(_rows(decode(data, where)))
    except _NotCsv as exc:
        raise InputError([f"{where}:{exc.line}: not CSV: {exc}"]) from exc
    problems = [f"{where}:{line}: {text}" for line, text in _faults(rows)]
    if problems:
        raise InputError(problems)
    names = rows[0][1]
    return [_entry(names, cells) for _, cells in rows[1:]]


def lines(data: bytes) -> Mapping[Path, int]:
    """Line (from 1) at which each row and each cell begins. Only for messages: reads the text a second time."""
    found: dict[Path, int] = {(): 1}
    (_, names), *rows = _rows(data.decode("utf-8-sig"))
    for i, (line, cells) in enumerate(rows):
        found[i,] = line
        for name, cell in zip(names, cells, strict=False):
            found[i, name.strip()] = line
            line += len(_BREAK.findall(cell))  # noqa: PLW2901 - the next cell begins where this one ends
    return found


class _NotCsv(Exception):
    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


def _rows(text: str) -> Iterator[_Row]:
    """The first row, and all others that hold something."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    begins, first = 1, True
    csv.field_size_limit(MAX_BYTES)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            raise _not_csv(exc, begins=begins, ends=reader.line_num) from exc
        if first or any(cell.strip() for cell in cells):
            yield begins, cells
        begins, first = reader.line_num + 1, False


def _not_csv(exc: csv.Error, *, begins: int, ends: int) -> _NotCsv:
    if "unexpected end" in str(exc):
        return _NotCsv(begins, "a quote that opens in this row is never closed")
    if "expected after" in str(exc):
        return _NotCsv(ends, "text after a closing quote; write a quote within quotes twice")
    return _NotCsv(ends, str(exc))


def _faults(rows: list[_Row]) -> Iterator[tuple[int, str]]:
    names = [name.strip() for name in rows[0][1]] if rows else []
    if not any(names):
        yield 1, "no names of keys in the first row; begin with shot_number,duration,prompt"
        return
    for other, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and other in names[0]:
            yield 1, f"the cells are separated by {word}; save the file with commas"
            return
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        yield 1, f"{name[:60]!r}: given twice; keep one"
    for line, cells in rows[1:]:
        for column, cell in enumerate(cells):
            if cell.strip() and not (column < len(names) and names[column]):
                said = f"cell {column + 1} has no name in the first row"
                yield line, f"{said}; a text with a comma belongs in quotes" if column >= len(names) else said
                break


def _entry(names: list[str], cells: list[str]) -> dict[str, Any]:
    pairs = zip((name.strip() for name in names), (cell.strip() for cell in cells), strict=False)
    return {name: _value(name, cell) for name, cell in pairs if cell}


def _value(name: str, cell: str) -> Any:
    if name in NUMBERS and _NUMBER.fullmatch(cell):
        return Decimal(cell) if "." in cell else int(cell)
    if name in LISTS:
        return [part for text in cell.split(";") if (part := text.strip())]
    return cell
