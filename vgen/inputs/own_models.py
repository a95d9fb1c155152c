"""Reads what the project itself says of models: a file beside a protocol's shipped table. Knows no protocol by name."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vgen import providers
from vgen.errors import InputError
from vgen.inputs import json_source
from vgen.providers.codec import ModelTable


def tables() -> Iterator[tuple[str, ModelTable]]:
    """Protocol and table, of all protocols that have one."""
    return ((name, codec.VENDOR.models) for name, codec in providers.CODECS.items() if codec.VENDOR.models is not None)


def load(root: Path, table: ModelTable) -> Mapping[str, Mapping[str, Any]]:
    """The rows of the project's file by model; none if there is no file. Raises InputError, a line for each problem."""
    rows, problems = table.read(document(root, table))
    if problems:
        raise InputError([f"{table.own_file}: {problem}" for problem in problems])
    return rows


def document(root: Path, table: ModelTable) -> Any:
    """The file as it is; an empty object if there is none. Raises InputError."""
    name = table.own_file
    try:
        found = json_source.parse((root / name).read_bytes(), name)
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise InputError([f"{name}: can't be read ({exc.strerror})"]) from exc
    if isinstance(found, dict) and (twice := list(_doubled(found))):
        raise InputError([f"{name}: {', '.join(twice)}: given twice; keep one"])
    return found


def with_row(found: Any, model: str, row: Mapping[str, Any]) -> bytes:
    """The file with a row more, or another one: a line for each model."""
    rows = {**found.get("endpoints", {}), model: row}
    lines = ",\n".join(f"{json.dumps(key)}: {_dumped(value)}" for key, value in sorted(rows.items()))
    about = f'"about": {_dumped(found["about"])},\n' if "about" in found else ""
    return f'{{{about}"endpoints": {{\n{lines}\n}}}}\n'.encode()


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=float)


def _doubled(value: Any) -> Iterator[str]:
    if isinstance(value, json_source.Duplicate):
        yield from value.keys_twice
    if isinstance(value, dict):
        for item in value.values():
            yield from _doubled(item)
