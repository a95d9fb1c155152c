"""Shots, and the parsing of visual_prompts.json with errors a person can act on. Opens no file, knows no provider."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from vgen.errors import InputError
from vgen.inputs import json_source

ASPECT_RATIOS = ("9:16", "16:9", "1:1")
MAX_SEED = 4_294_967_295
"""Runway's bound (runway_models.json); fal takes any integer."""
MAX_DURATION_S = 3600
MAX_NUMBER = 9_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One line of the shot list. `prompts` maps a provider's name to its own text, and "" to everybody's."""

    number: int
    duration_s: Decimal
    prompts: Mapping[str, str]
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    image: str | None = None

    def prompt_for(self, provider: str) -> str | None:
        """`<provider>_prompt`, else `prompt`, else `runway_prompt`; None if the shot has none of them."""
        return self.prompts.get(provider) or self.prompts.get("") or self.prompts.get("runway")


def parse(data: bytes, *, where: str, providers: Collection[str]) -> list[Shot]:
    """The shots of a prompts file, by number. `providers`: names whose `<name>_prompt` is read.

    Raises InputError with one line per problem, each with file, line, shot, field and value.
    """
    return _Parser(data, where, providers).shots()


class _Parser:
    def __init__(self, data: bytes, where: str, providers: Collection[str]) -> None:
        self._data, self._where = data, where
        self._prompt_keys = {"prompt": "", "runway_prompt": "runway"} | {f"{p}_prompt": p for p in providers}
        self._found: list[tuple[json_source.Path, str]] = []
        self._shot_of: dict[int, int] = {}

    def shots(self) -> list[Shot]:
        entries, root = self._entries(json_source.parse(self._data, self._where), ())
        shots = [shot for i, entry in enumerate(entries) if (shot := self._shot(entry, (*root, i)))]
        if self._found:
            lines = json_source.lines(self._data)
            raise InputError(self._line(lines, path, message) for path, message in self._found)
        return sorted(shots, key=lambda shot: shot.number)

    def _line(self, lines: Mapping[json_source.Path, int], path: json_source.Path, message: str) -> str:
        near = next(lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines)
        return f"{self._where}:{near}: {message}"

    def _entries(self, value: Any, root: json_source.Path) -> tuple[list[Any], json_source.Path]:
        """The list of shots, whichever of the upstream's shapes it is wrapped in."""
        for _ in range(3):
            if isinstance(value, json_source.Duplicate):
                self._problem(root, f"{_names(value.keys_twice)}: given twice; keep one")
            if isinstance(value, list):
                return value, root
            key = next((k for k in ("visual_prompts", "prompts") if isinstance(value, dict) and k in value), None)
            if key is None:
                break
            value, root = value[key], (*root, key)
        self._problem(root, 'no list of shots: expected an array, or an object with "prompts"')
        return [], root

    def _problem(self, path: json_source.Path, message: str) -> None:
        self._found.append((path, message))

    def _shot(self, entry: Any, path: json_source.Path) -> Shot | None:
        if not isinstance(entry, dict):
            self._problem(path, f"entry {int(path[-1]) + 1} of the list: {_quote(entry)} is not a shot (an object)")
            return None
        before = len(self._found)
        number = self._number(entry, path)
        name = f"shot {number}" if number else f"entry {int(path[-1]) + 1} of the list"
        if isinstance(entry, json_source.Duplicate):
            self._problem(path, f"{name}: {_names(entry.keys_twice)}: given twice; keep one")
        shot = Shot(
            number=number or 0,
            duration_s=self._duration(entry, path, name),
            prompts=self._prompts(entry, path, name),
            negative_prompt=self._text(entry, path, name, "negative_prompt"),
            aspect_ratio=self._aspect_ratio(entry, path, name),
            seed=self._seed(entry, path, name),
            image=self._text(entry, path, name, "image"),
        )
        return shot if len(self._found) == before else None

    def _number(self, entry: dict[str, Any], path: json_source.Path) -> int | None:
        place = int(path[-1]) + 1
        if "shot_number" not in entry:
            self._problem(path, f"entry {place} of the list: shot_number: missing; give each shot its own number")
            return None
        value = entry["shot_number"]
        at = (*path, "shot_number")
        if not _is_int(value) or not 1 <= value <= MAX_NUMBER:
            self._problem(at, f"entry {place} of the list: shot_number: {_quote(value)} is not an integer >= 1")
            return None
        if value in self._shot_of:
            self._problem(at, f"shot {value}: shot_number: {value} is already entry {self._shot_of[value]} of the list")
            return None
        self._shot_of[value] = place
        return int(value)

    def _duration(self, entry: dict[str, Any], path: json_source.Path, name: str) -> Decimal:
        value = entry.get("duration")
        if value is not None and _is_number(value):
            duration_s = _decimal(value)
            if duration_s.is_finite() and 0 < duration_s <= MAX_DURATION_S:
                return duration_s
        got = "missing" if value is None else f"{_quote(value)} is no such number"
        self._problem((*path, "duration"), f"{name}: duration: {got}; give seconds, > 0 and <= {MAX_DURATION_S}")
        return Decimal(1)

    def _prompts(self, entry: dict[str, Any], path: json_source.Path, name: str) -> Mapping[str, str]:
        prompts: dict[str, str] = {}
        before = len(self._found)
        for key, provider in self._prompt_keys.items():
            if (text := self._text(entry, path, name, key)) is not None:
                prompts[provider] = text
        known = (*self._prompt_keys, "negative_prompt")
        for key, value in entry.items():  # a provider that is not configured any more may have made a take of it
            if key.endswith("_prompt") and key not in known and isinstance(value, str):
                prompts.setdefault(key.removesuffix("_prompt"), value)
        if not prompts.keys() & set(self._prompt_keys.values()) and len(self._found) == before:
            self._problem(path, f"{name}: prompt: missing; give it a prompt or runway_prompt")
        return prompts

    def _text(self, entry: dict[str, Any], path: json_source.Path, name: str, key: str) -> str | None:
        value = entry.get(key)
        if value is None:
            return None
        optional = key in ("negative_prompt", "image")
        fault = _text_fault(value, may_be_empty=optional)
        if fault:
            self._problem((*path, key), f"{name}: {key}: {fault}")
            return None
        return value or None

    def _aspect_ratio(self, entry: dict[str, Any], path: json_source.Path, name: str) -> str | None:
        value = entry.get("aspect_ratio")
        if value is None or value in ASPECT_RATIOS:
            return value
        known = ", ".join(ASPECT_RATIOS)
        self._problem((*path, "aspect_ratio"), f"{name}: aspect_ratio: {_quote(value)} is not one of {known}")
        return None

    def _seed(self, entry: dict[str, Any], path: json_source.Path, name: str) -> int | None:
        value = entry.get("seed")
        if value is None or (_is_int(value) and 0 <= value <= MAX_SEED):
            return value
        self._problem((*path, "seed"), f"{name}: seed: {_quote(value)} is not an integer from 0 to {MAX_SEED}")
        return None


_decimal = lru_cache(maxsize=4096, typed=True)(Decimal)
"""One object for one duration: of many shots most are as long."""


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _text_fault(value: Any, *, may_be_empty: bool) -> str | None:
    if not isinstance(value, str):
        return f"{_quote(value)} is not a text"
    if not value.strip() and not may_be_empty:
        return "empty; write what the shot shows"
    if "\x00" in value:
        return "holds a NUL character; remove it"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate); write it again"
    return None


def _names(keys: Collection[str]) -> str:
    return ", ".join(key if key.isprintable() else _quote(key) for key in keys)


_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}
"""As the file spells them."""


def _quote(value: Any) -> str:
    try:
        text = str(value) if isinstance(value, Decimal) else _JSON_WORDS.get(repr(value), repr(value))
    except RecursionError:
        return "a deep nest"
    text = text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text
    return text if len(text) <= 60 else text[:57] + "..."
