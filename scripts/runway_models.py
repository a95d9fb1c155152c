"""Holds vgen/providers/runway_models.json against the types of Runway's own package, as it is installed here.

`python -m scripts.runway_models` prints what differs and ends with 1 if anything does; `--write` brings the table up to
date. Fields, enumerations, what is required, and the bounds that a docstring names come from the package (PyPI
`runwayml`, types/*_create_params.py). All else in the table is kept: bounds and defaults of Runway's OpenAPI, which the
package leaves out, and what others measured (`_bounds` in the table says which). Install the newest package first.
"""

import argparse
import ast
import importlib.metadata
import importlib.util
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vgen import providers

TABLE = Path(providers.__file__).parent / "runway_models.json"
ENDPOINTS = ("text_to_video", "image_to_video")
NEW_MODEL = {"rejects_unknown_keys": None, "in_openapi_2026_08": False}
"""Of a model that no OpenAPI known to the table has: nobody knows what it does with further keys."""
SCALARS = {"str": "str", "int": "int", "float": "float", "bool": "bool"}

Rule = dict[str, Any]
Models = dict[str, dict[str, Rule]]


def main() -> int:
    """Print the differences, or write them into the table. Exit code 1 if there are any that are not written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="rewrite the table")
    given = parser.parse_args()
    table = json.loads(TABLE.read_text("utf-8"))
    found = [line for endpoint in ENDPOINTS for line in differences(endpoint, table[endpoint], package(endpoint))]
    for line in found:
        print(line)
    if given.write:
        TABLE.write_text(document(table), "utf-8")
        return 0
    print(f"runwayml {version()}: {len(found) or 'no'} differences; the table says it is of {of(table)}")
    return 1 if found else 0


def version() -> str:
    """Of the package that is installed."""
    return importlib.metadata.version("runwayml")


def of(table: Mapping[str, Any]) -> str:
    """The version of the package that the table was last written from."""
    match = re.match(r"runwayml (\S+)", table["_source"])
    return match[1] if match else "no version"


def document(table: Mapping[str, Any]) -> str:
    """The table as it should be."""
    new = {**table, "_source": table["_source"].replace(f"runwayml {of(table)}", f"runwayml {version()}")}
    for endpoint in ENDPOINTS:
        old, models = table[endpoint], package(endpoint)
        new[endpoint] = {
            model: {
                **old.get(model, NEW_MODEL),
                "fields": _merged(old.get(model, {}).get("fields", {}), models[model]),
            }
            for model in [name for name in old if name in models] + [name for name in models if name not in old]
        }
    return json.dumps(new, indent=1)


def _merged(old: Mapping[str, Rule], package: Mapping[str, Rule]) -> dict[str, Rule]:
    names = [name for name in old if name in package] + [name for name in package if name not in old]
    merged = {}
    for name in names:
        known = {key: value for key, value in old.get(name, {}).items() if key != "enum" or "enum" in package[name]}
        kept = {key: value for key, value in package[name].items() if not _same(key, known.get(key), value, known)}
        merged[name] = {**known, **kept}
    return merged


def differences(endpoint: str, old: Mapping[str, Any], package: Models) -> Iterator[str]:
    """A line for each thing that the table says otherwise than the package."""
    for model in sorted(set(old) | set(package)):
        where = f"{endpoint} {model}"
        if model not in package:
            yield f"{where}: gone from the package"
        elif model not in old:
            yield f"{where}: new, with {', '.join(sorted(package[model]))}"
        else:
            yield from _fields(where, old[model]["fields"], package[model])


def _fields(where: str, old: Mapping[str, Rule], package: Mapping[str, Rule]) -> Iterator[str]:
    for name in sorted(set(old) | set(package)):
        if name not in package:
            yield f"{where} {name}: gone from the package"
        elif name not in old:
            yield f"{where} {name}: new: {json.dumps(package[name])}"
        else:
            rule, known = package[name], old[name]
            for key in sorted(rule):
                if not _same(key, known.get(key), rule[key], known):
                    was, now = json.dumps(known.get(key)), json.dumps(rule[key])
                    yield f"{where} {name} {key}: {was} in the table, {now} now"
            if "enum" in known and "enum" not in rule:
                yield f"{where} {name} enum: {json.dumps(known['enum'])} in the table, any value now"


def _same(key: str, known: Any, now: Any, rule: Mapping[str, Any]) -> bool:
    match key:
        case "enum":
            return isinstance(known, list) and set(known) == set(now)
        case "type":  # an OpenAPI writes "number" where the values are whole
            return known == now or ({known, now} == {"int", "float"} and "enum" in rule)
        case _:
            return bool(known == now)


# ── the package ───────────────────────────────────────────────────────────────────────────────────────────────────────


def package(endpoint: str) -> Models:
    """Model → field → rule, from the source of the types: docstrings of fields are in no object at run time."""
    return read(_types_dir() / f"{endpoint}_create_params.py")


def read(path: Path) -> Models:
    """The same, of one file of types."""
    classes = {node.name: node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)}
    models: Models = {}
    for node in classes.values():
        fields = {name: _rule(annotation, doc, classes) for name, annotation, doc in _attributes(node)}
        model = fields.pop("model", None)
        if model and len(model.get("enum", ())) == 1:
            models[model["enum"][0]] = fields
    return models


def _types_dir() -> Path:
    found = importlib.util.find_spec("runwayml")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("runwayml is not installed here: pip install -U runwayml")
    return Path(found.submodule_search_locations[0]) / "types"


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, str]]:
    """Name as it is sent, annotation and docstring of each field of a TypedDict."""
    for index, item in enumerate(node.body):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        after = node.body[index + 1] if index + 1 < len(node.body) else None
        doc = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        alias = re.search(r"alias='(\w+)'", ast.unparse(item.annotation))
        yield (alias[1] if alias else item.target.id), item.annotation, " ".join(str(doc).split())


def _rule(annotation: ast.expr, doc: str, classes: Mapping[str, ast.ClassDef]) -> Rule:
    rule: Rule = {"required": False}
    while isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) in ("Required", "Annotated"):
        rule["required"] |= ast.unparse(annotation.value) == "Required"
        annotation = annotation.slice.elts[0] if isinstance(annotation.slice, ast.Tuple) else annotation.slice
    kinds = list(dict.fromkeys(_kinds(annotation)))
    literals = _literals(annotation)
    if literals:
        rule["enum"] = literals
    if kinds:
        rule["type"] = "|".join(kinds)
    position = _position(annotation, classes)
    if position:
        rule["position"] = position
        rule["positions"] = _positions(annotation, doc, classes)
    return rule | _bounds(kinds, doc)


def _parts(annotation: ast.expr) -> list[ast.expr]:
    """The members of a union, or the annotation itself."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Union":
        return list(annotation.slice.elts) if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    return [annotation]


def _kinds(annotation: ast.expr) -> Iterator[str]:
    parts = _parts(annotation)
    for part in parts:
        words = ast.unparse(part)
        if words in SCALARS:
            yield SCALARS[words]
        elif words.startswith("Iterable"):
            yield "array"
        elif words.startswith("Literal") and len(parts) == 1:
            yield "int" if all(isinstance(value, int) for value in _literals(part)) else "str"
        elif not words.startswith("Literal"):
            yield "object"


def _literals(annotation: ast.expr) -> list[Any]:
    return [
        value
        for part in _parts(annotation)
        if ast.unparse(part).startswith("Literal[")
        for value in ast.literal_eval(f"[{ast.unparse(part)[8:-1].strip('()')}]")
    ]


def _position(annotation: ast.expr, classes: Mapping[str, ast.ClassDef]) -> str:
    """Of a field that takes one picture or a list: whether each must say where it belongs. "" of any other."""
    parts = [ast.unparse(part) for part in _parts(annotation)]
    listed = [words for words in parts if words.startswith("Iterable")]
    if not listed or "str" not in parts:
        return ""
    item = classes.get(listed[0].removeprefix("Iterable[").removesuffix("]"))
    fields = {name: ast.unparse(kind) for name, kind, _ in _attributes(item)} if item else {}
    return "required" if fields.get("position", "").startswith("Required") else "optional"


def _positions(annotation: ast.expr, doc: str, classes: Mapping[str, ast.ClassDef]) -> list[str]:
    """Where a picture of such a list may belong: by the type of its items, of an untyped one by the docstring."""
    listed = next(words for part in _parts(annotation) if (words := ast.unparse(part)).startswith("Iterable"))
    item = classes.get(listed.removeprefix("Iterable[").removesuffix("]"))
    if item is None:
        return [word for word in ("first", "last") if re.search(rf"\b{word}\b", doc)]
    kinds = {name: kind for name, kind, _ in _attributes(item)}
    return [value for value in ("first", "last") if "position" in kinds and value in ast.unparse(kinds["position"])]


def _bounds(kinds: list[str], doc: str) -> Rule:
    """What a docstring says of a number of seconds, the length of a text or of a list of pictures."""
    if "array" in kinds and (match := re.search(r"images?(?: references)? \(up to (\d+)\)", doc)):
        return {"maxItems": int(match[1])}
    if "array" in kinds and (match := re.search(r"Up to (\d+) images in total, frames included", doc)):
        return {"maxItems": int(match[1]), "counts_frames": True}
    if match := re.search(r"Requests with image references are capped at (\d+p)", doc):
        return {"most_with_references": match[1]}
    if kinds == ["int"] and (match := re.search(r"(?:from|between) (\d+) (?:to|and) (\d+)", doc)):
        return {"minimum": int(match[1]), "maximum": int(match[2])}
    if kinds == ["str"] and (match := re.search(r"up to (\d+) characters", doc)):
        return {"maxLength": int(match[1])}
    return {}


if __name__ == "__main__":
    sys.exit(main())
