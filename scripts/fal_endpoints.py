"""Makes vgen/providers/fal_endpoints.json from the list of types in fal's JavaScript client.

`python -m scripts.fal_endpoints PATH/endpoints.ts --commit SHA --date 2026-08-02 > vgen/providers/fal_endpoints.json`

PATH is libs/client/src/types/endpoints.ts of github.com/fal-ai/fal-js, branch main (in a git work tree, commit and date
are read from there). Not the npm package: up to 1.10.1 it writes every enumeration of integers as one of strings, and
fal refuses what is ordered by it. Prices are merged from scripts/fal_prices.json, which is kept by hand.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vgen.providers.fal_learn import (
    FIRST,
    FPS,
    LAST,
    REFERENCES,
    SIZE,
    SOUND,
    images_of,
    kind_of,
    prompt_limit,
    sibling_of,
)

SOURCE = "github.com/fal-ai/fal-js main, libs/client/src/types/endpoints.ts"
PRICES = Path(__file__).with_name("fal_prices.json")
FEWEST_ROWS = 200
PIKA = "fal-ai/pika/v2.2/text-to-video"

OTHERS = r"heygen|template-to-video|multiconditioning|vace"
"""What can be ordered with a prompt alone by its types, but makes avatars, fills in templates or edits a video."""

MAPS = r"^export type EndpointTypeMap = \{$(.*?)^\};$"
ENTRY = r'^  "([^"]+)": \{\s*input: (\w+);\s*output: (\w+);\s*\};'

Row = dict[str, Any]


class Unusable(Exception):
    """The list can't be what it should be; `str()` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a type: how it is typed, whether it must be there, and what its comment says."""

    name: str
    type: str
    required: bool
    comment: str

    @property
    def values(self) -> list[int | str]:
        """The values of an enumeration, as they are spelled."""
        found = re.findall(r'"((?:[^"\\]|\\.)*)"|(?<![\w"])(\d+)(?![\w"])', self.type)
        return [text if not number else int(number) for text, number in found]

    @property
    def default(self) -> Any:
        """What the comment names as the default, or None. (The types never print `false`.)"""
        match = re.search(r"Default value: `(.*)`$", self.comment)
        if not match:
            return None
        try:
            return json.loads(match[1])
        except ValueError:
            return match[1]

    @property
    def limits(self) -> tuple[int, int] | None:
        """The range that the comment names."""
        match = re.search(r"(?:between|from) (\d+) (?:to|and) (\d+)|\((\d+)-(\d+)[ )]", self.comment)
        return (int(match[1] or match[3]), int(match[2] or match[4])) if match else None


def main() -> int:
    """Print the table. Exit code 1 and one line if the list can't be what it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--commit", help="commit of fal-js; read from git if PATH is in its work tree")
    parser.add_argument("--date", help="date of that commit")
    given = parser.parse_args()
    commit = given.commit or _git(given.path, "%H")
    date = given.date or _git(given.path, "%cs")
    if not commit or not date:
        parser.error("PATH is in no git work tree: give --commit and --date")
    try:
        rows = table(given.path.read_text("utf-8"), json.loads(PRICES.read_text("utf-8")))
    except Unusable as exc:
        print(f"{given.path}: {exc}", file=sys.stderr)
        return 1
    about = {"source": SOURCE, "commit": commit, "date": date, "prices": "scripts/fal_prices.json"}
    print(document(about, rows), end="")
    return 0


def document(about: Mapping[str, Any], rows: Mapping[str, Row]) -> str:
    """The table as it is shipped: a line for each endpoint."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows[name], ensure_ascii=False)}" for name in sorted(rows))
    return f'{{"about": {json.dumps(about)},\n"endpoints": {{\n{lines}\n}}}}\n'


def table(source: str, prices: Mapping[str, Any]) -> dict[str, Row]:
    """Endpoint → what it takes, for all that make a video of a prompt, of pictures or of both. Raises Unusable."""
    types = dict(_types(source))
    listed = re.search(MAPS, source, re.DOTALL | re.MULTILINE)
    entries = re.findall(ENTRY, listed[1], re.MULTILINE) if listed else []
    rows: dict[str, Row] = {}
    for name, taken, made in entries:
        row = _row(name, _fields(types, taken), _fields(types, made))
        if row:
            rows[name] = row
    _check(source, rows)
    kinds = {name: row["kind"] for name, row in rows.items()}
    for name, row in rows.items():
        sibling = sibling_of(name, kinds) if row["kind"] == "text" else None
        if sibling:
            row["image_endpoint"] = sibling
    for price in prices["prices"]:
        for name in price["endpoints"]:
            if name not in rows:
                raise Unusable(f"{name} has a price in {PRICES.name}, but is not in the list any more")
            rows[name]["price"] = {key: value for key, value in price.items() if key != "endpoints"}
    return rows


def _check(source: str, rows: Mapping[str, Row]) -> None:
    if not re.search(r"^\s+duration\?: (?:\|\s*)?\d+ \|", source, re.MULTILINE):
        raise Unusable("no duration is an enumeration of integers, so the list has lost them (as npm's has)")
    if rows.get(PIKA, {}).get("duration", {}).get("values") != [5, 10]:
        raise Unusable(f"{PIKA} no longer takes the integers 5 and 10")
    if len(rows) < FEWEST_ROWS:
        raise Unusable(f"only {len(rows)} endpoints make a video of a prompt or a picture; expected {FEWEST_ROWS}")


def _row(name: str, taken: Mapping[str, Field], made: Mapping[str, Field]) -> Row | None:
    """What an endpoint takes; None if it makes no video, or needs more than a prompt and pictures."""
    if re.search(OTHERS, name) or "video" not in made or not re.search(r"\b(Video)?File\d*\b", made["video"].type):
        return None
    pictures = [field for field in (*FIRST, *LAST, *REFERENCES) if field in taken]
    required = [field.name for field in taken.values() if field.required]
    if not set(required) <= {"prompt", *pictures} or not ("prompt" in taken or pictures):
        return None
    kind = kind_of(name, taken, required)
    if "prompt" not in taken and kind in ("text", "first-last"):  # the latter: frames between two pictures, no film
        return None
    row: Row = {"kind": kind, "required": required}
    prompt = taken.get("prompt")
    if prompt:
        row["prompt"] = prompt_limit(prompt.comment)
    row |= _length(taken) | _shape(taken)
    row["seed"] = "seed" in taken
    row["negative_prompt"] = "negative_prompt" in taken
    sound = next((taken[field] for field in SOUND if field in taken), None)
    if sound and sound.type == "boolean":
        row["sound"] = {"field": sound.name, "default": sound.default is True}
    if pictures:
        row["images"] = images_of(taken)
    return row


def _length(taken: Mapping[str, Field]) -> Row:
    if "duration" in taken:
        return {"duration": _spec(taken["duration"])}
    frames = taken.get("num_frames")
    if not frames:
        return {}
    fps = next((taken[field] for field in FPS if field in taken), None)
    spec = _spec(frames)
    if fps and isinstance(fps.default, int):
        spec["fps"] = fps.default
    return {"num_frames": spec}


def _shape(taken: Mapping[str, Field]) -> Row:
    row: Row = {name: _spec(taken[name]) for name in ("aspect_ratio", "resolution") if name in taken}
    size = next((taken[field] for field in SIZE if field in taken), None)
    if size:
        row["size"] = {"field": size.name, **_spec(size)}
    return row


def _spec(field: Field) -> Row:
    """A field's values as they are spelled; else its type, and its range if that is told."""
    spec: Row = {"values": field.values} if field.values else {"type": field.type}
    if not field.values and field.limits:
        spec["min"], spec["max"] = field.limits
    if field.default is not None:
        whole = any(isinstance(value, int) for value in field.values)
        spec["default"] = int(field.default) if whole else field.default
    return spec


def _types(source: str) -> Iterator[tuple[str, str]]:
    """Name → what stands after the equals sign: a body in braces, or the name of another type."""
    for match in re.finditer(r"^export type (\w+) =\s*(\{$.*?^\}|\w+);$", source, re.DOTALL | re.MULTILINE):
        yield match[1], match[2]


def _fields(types: Mapping[str, str], name: str) -> dict[str, Field]:
    body = types.get(name, "")
    while body and not body.startswith("{"):
        body = types.get(body, "")
    pattern = r"(?:^  /\*\*(?P<comment>.*?)\*/\n)?^  (?P<name>\w+)(?P<open>\??):(?P<type>.*?);$(?=\n  \S|\n\})"
    found = (
        Field(
            name=match["name"],
            type=" ".join(match["type"].split()).removeprefix("| "),
            required=not match["open"],
            comment=" ".join(re.sub(r"^\s*\* ?", "", match["comment"] or "", flags=re.MULTILINE).split()),
        )
        for match in re.finditer(pattern, body, re.DOTALL | re.MULTILINE)
    )
    return {field.name: field for field in found}


def _git(path: Path, what: str) -> str:
    command = ["git", "-C", str(path.parent), "log", "-1", f"--format={what}", "--", path.name]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
