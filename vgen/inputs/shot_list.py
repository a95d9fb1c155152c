"""The shot list: the shots of a JSON or CSV file, with errors a person can act on. Opens no file, knows no provider."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from vgen.errors import InputError
from vgen.inputs import csv_source, json_source, pictures, sources
from vgen.inputs.json_source import Path
from vgen.inputs.pictures import Source
from vgen.inputs.shot_keys import FRAMING, Meaning, Verdict, Vocabulary, asks_nothing, is_slip
from vgen.inputs.shots import DURATION_RULE, Shot, fault, is_yes, name_shots, quote, spell, spell_all
from vgen.pictures import ROLES, Pictures

LISTS = ("visual_prompts", "prompts")
"""Keys of an object that hold the list of shots."""
AROUND = (*LISTS, "defaults", "platform")
"""Keys of an object around the list."""
MAX_WARNINGS = 20
_NONE: Pictures[Source] = Pictures()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotList:
    """The shots, by number. `warnings`: what the file holds that vgen does not use, a line each."""

    shots: Sequence[Shot]
    warnings: tuple[str, ...] = ()


def parse(data: bytes, *, where: str, providers: Collection[str]) -> ShotList:
    """The shots of a file; `where`, its name, says whether it is CSV. `providers`: whose `<name>_prompt` is read.

    Raises InputError with one line per problem, each with file, line, shot, field and value.
    """
    is_csv = where.lower().endswith(".csv")
    source = csv_source if is_csv else json_source
    parser = _Parser(source.parse(data, where), Vocabulary(providers), key_at=() if is_csv else None)
    shots = parser.shots()
    if parser.problems:
        lines = source.lines(data)
        found = sorted(((_line(lines, path), text) for path, text in parser.problems), key=lambda item: item[0])
        raise InputError(f"{where}:{line}: {text}" for line, text in found)
    warnings = tuple(f"{where}: {text}" for text in parser.warnings)
    return ShotList(shots=sorted(shots, key=lambda shot: shot.number), warnings=warnings)


def _line(lines: Mapping[Path, int], path: Path) -> int:
    return next(lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines)


class _Parser:
    """One walk over the file's value. `key_at`: where all keys are named (a CSV's first row), if not in each shot."""

    def __init__(self, value: Any, vocabulary: Vocabulary, *, key_at: Path | None) -> None:
        self.problems: list[tuple[Path, str]] = []
        self.warnings: list[str] = []
        self._value, self._vocabulary, self._key_at = value, vocabulary, key_at
        self._around: list[tuple[Path, dict[str, Any]]] = []
        self._defaults: dict[str, Any] = {}
        self._meant: frozenset[str] = frozenset()
        """Keys that the defaults would have if they were right: no shot need be told that it lacks them."""
        self._shot_of: dict[int, int] = {}
        self._refused: dict[tuple[str, Verdict], list[tuple[Path, int]]] = {}
        self._unused: dict[str, list[int]] = {}

    def shots(self) -> list[Shot]:
        """The shots that are good; `problems` has what is not."""
        entries, root = self._entries(self._value, ())
        for path, around in self._around:
            if (value := around.get("defaults")) is not None:
                self._read_defaults(value, (*path, "defaults"))
        shots = [shot for i, entry in enumerate(entries) if (shot := self._shot(entry, (*root, i)))]
        for number, text in sources.problems(shots, self._shot_of):
            self._problem((*root, self._shot_of[number] - 1), f"shot {number}: {text}")
        for (key, verdict), places in self._refused.items():
            self._problem(places[0][0], f"{name_shots([n for _, n in places])}: {spell(key)}: {verdict.remark}")
        self.warnings += [f"{name_shots(numbers)}: {_not_used(key)}" for key, numbers in self._unused.items()]
        for path, around in self._around:
            self._judge_around(around, path, [entry for entry in entries if isinstance(entry, dict)])
        if len(self.warnings) > MAX_WARNINGS:
            self.warnings[MAX_WARNINGS:] = [f"{len(self.warnings) - MAX_WARNINGS} more keys are not used"]
        return shots

    def _problem(self, path: Path, message: str) -> None:
        self.problems.append((path, message))

    # ── around the list ───────────────────────────────────────────────────────────────────────────────────────────────

    def _entries(self, value: Any, root: Path) -> tuple[list[Any], Path]:
        """The list of shots, whichever of the upstream's shapes it is wrapped in."""
        for _ in range(3):
            if isinstance(value, json_source.Duplicate):
                self._problem(root, f"{spell_all(value.keys_twice)}: given twice; keep one")
            if isinstance(value, list):
                return value, root
            key = next((k for k in LISTS if isinstance(value, dict) and k in value), None)
            if key is None:
                break
            self._around.append((root, value))
            value, root = value[key], (*root, key)
        named = next((k for k, v in value.items() if isinstance(v, list)), None) if isinstance(value, dict) else None
        hint = f'; if {spell(named)} is the list, call it "prompts"' if named is not None else ""
        self._problem(root, f'no list of shots: expected an array, or an object with "prompts"{hint}')
        self._around.clear()
        return [], root

    def _read_defaults(self, value: Any, path: Path) -> None:
        if not isinstance(value, dict):
            self._problem(path, f"defaults: {quote(value)} is not an object with keys of a shot")
            return
        if isinstance(value, json_source.Duplicate):
            self._problem(path, f"defaults: {spell_all(value.keys_twice)}: given twice; keep one")
        for key, given in value.items():
            verdict = self._vocabulary.judge(key)
            if remark := self._remark_on_default(verdict, given, value):
                self._problem((*path, key), f"defaults: {spell(key)}: {remark}")
                self._meant |= {verdict.name}
                continue
            self._defaults[key] = given
            if verdict.is_unused and not asks_nothing(verdict.name, given):
                self.warnings.append(f"defaults: {_not_used(key)}")

    def _remark_on_default(self, verdict: Verdict, given: Any, defaults: Mapping[str, Any]) -> str | None:
        if verdict.name == "shot_number" and verdict.meaning is Meaning.READ:
            return "each shot has its own; take it out"
        if verdict.meaning in (Meaning.READ, Meaning.FRAMING):
            return None if given is None else fault(verdict.name, given)
        return verdict.remark if self._vocabulary.refuses(verdict, given, defaults) else None

    def _judge_around(self, around: Mapping[str, Any], path: Path, shots: Sequence[Mapping[str, Any]]) -> None:
        """Keys beside the list: an error where a shot would get something else than they seem to say."""
        used = next(key for key in LISTS if key in around)
        for key, value in around.items():
            verdict = self._vocabulary.judge(key)
            if key == used or (key in AROUND and key not in LISTS) or asks_nothing(verdict.name, value):
                continue
            if meant := _meant_around(key):
                self._problem((*path, key), f"{spell(key)}: unknown; did you mean {meant}?")
            elif self._is_misplaced(verdict, shots):
                self._problem((*path, key), f"{spell(key)}: {verdict.remark_around}")
            elif verdict.meaning is not Meaning.FOR_OTHERS:
                self.warnings.append(f"{spell(key)} is not used" if verdict.meaning is Meaning.READ else _not_used(key))

    def _is_misplaced(self, verdict: Verdict, shots: Sequence[Mapping[str, Any]]) -> bool:
        if verdict.meaning in (Meaning.NONE, Meaning.FOR_OTHERS) or verdict.name in ("shot_number", "caption"):
            return False  # a film's caption is no shot's
        return verdict.meaning in (Meaning.FRAMING, Meaning.MISSPELT) or any(
            self._vocabulary.lacks({**self._defaults, **shot}, verdict.name) for shot in shots
        )

    # ── one shot ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _shot(self, entry: Any, path: Path) -> Shot | None:
        place = f"entry {int(path[-1]) + 1} of the list"
        if not isinstance(entry, dict):
            self._problem(path, f"{place}: {quote(entry)} is not a shot (an object)")
            return None
        before = len(self.problems)
        refused, unused = self._sort_keys(entry)
        meant = self._meant.union(verdict.name for verdict in refused.values())
        number = self._number(entry, path, place, meant)
        name = f"shot {number}" if number else place
        if isinstance(entry, json_source.Duplicate):
            self._problem(path, f"{name}: {spell_all(entry.keys_twice)}: given twice; keep one")
        for key, verdict in refused.items():
            at = (*path, key) if self._key_at is None else self._key_at
            if number:
                self._refused.setdefault((key, verdict), []).append((at, number))
            else:
                self._problem(at, f"{name}: {spell(key)}: {verdict.remark}")
        for key in unused if number else ():
            self._unused.setdefault(key, []).append(number or 0)
        whole = {**self._defaults, **entry} if self._defaults else entry
        shot = Shot(
            number=number or 0,
            duration_s=_decimal(self._field(whole, path, name, "duration", meant) or 1),
            prompts=self._prompts(whole, path, name, meant),
            negative_prompt=self._field(whole, path, name, "negative_prompt") or None,
            aspect_ratio=self._field(whole, path, name, "aspect_ratio"),
            seed=self._field(whole, path, name, "seed"),
            pictures=self._pictures(whole, path, name),
            image_fit=self._field(whole, path, name, "image_fit") or None,
            audio=is_yes(self._field(whole, path, name, "audio")),
            takes=self._field(whole, path, name, "takes"),
            caption=self._field(whole, path, name, "caption") or None,
        )
        return shot if len(self.problems) == before else None

    def _sort_keys(self, entry: Mapping[str, Any]) -> tuple[dict[str, Verdict], list[str]]:
        """Keys that ask for something that the shot would not get, and keys that nothing reads."""
        refused: dict[str, Verdict] = {}
        unused: list[str] = []
        for key in [key for key in entry if key not in self._vocabulary.familiar]:
            verdict, value = self._vocabulary.judge(key), entry[key]
            if self._vocabulary.refuses(verdict, value, entry):
                refused[key] = verdict
            elif verdict.is_unused and not asks_nothing(verdict.name, value):
                unused.append(key)
        return refused, unused

    def _number(self, entry: Mapping[str, Any], path: Path, place: str, meant: Collection[str]) -> int | None:
        if "shot_number" not in entry:
            if "shot_number" not in meant:
                self._problem(path, f"{place}: shot_number: missing; give each shot its own number")
            return None
        value, at = entry["shot_number"], (*path, "shot_number")
        if wrong := fault("shot_number", value):
            self._problem(at, f"{place}: shot_number: {wrong}")
            return None
        if value in self._shot_of:
            self._problem(at, f"shot {value}: shot_number: {value} is already entry {self._shot_of[value]} of the list")
            return None
        self._shot_of[value] = int(path[-1]) + 1
        return int(value)

    def _field(self, whole: Mapping[str, Any], path: Path, name: str, key: str, meant: Collection[str] = ()) -> Any:
        """A key's value, None if it is absent or bad."""
        value = whole.get(key)
        if value is None:
            if key == "duration" and key not in meant:
                self._problem((*path, key), f"{name}: duration: missing; {DURATION_RULE}")
            return None
        if wrong := fault(key, value):
            self._problem((*path, key), f"{name}: {key}: {wrong}")
            return None
        return value

    def _pictures(self, whole: Mapping[str, Any], path: Path, name: str) -> Pictures[Source]:
        if not any(role in whole for role in ROLES):
            return _NONE
        given = {role: self._field(whole, path, name, role) or None for role in ROLES}
        return Pictures[str].of(given).map(lambda _, text: pictures.parse(text))

    def _prompts(self, whole: Mapping[str, Any], path: Path, name: str, meant: Collection[str]) -> Mapping[str, str]:
        prompts: dict[str, str] = {}
        vocabulary, before = self._vocabulary, len(self.problems)
        for key, provider in vocabulary.prompt_keys.items():
            if (text := self._field(whole, path, name, key)) is not None:
                prompts[provider] = text
        if not prompts and len(self.problems) == before and not vocabulary.prompt_keys.keys() & set(meant):
            self._problem(path, f"{name}: prompt: missing; give it a prompt or runway_prompt")
        for key in [key for key in whole if key not in vocabulary.familiar and _is_strange_prompt(key)]:
            if fault(key, whole[key]) is None:  # a provider that is not configured any more may have made a take of it
                prompts.setdefault(key.removesuffix("_prompt"), whole[key])
        prefix, suffix = (self._defaults.get(key) or "" for key in FRAMING)
        return {provider: frame(prefix, text, suffix) for provider, text in prompts.items()}


def frame(prefix: str, text: str, suffix: str) -> str:
    """A prompt between two texts, with a space where neither side brings white space or the suffix punctuation."""
    if not prefix and not suffix:
        return text
    before = " " if prefix and not prefix[-1].isspace() and not text[0].isspace() else ""
    after = " " if suffix and not suffix[0].isspace() and not text[-1].isspace() and suffix[0] not in ",.;:!?" else ""
    return f"{prefix}{before}{text}{after}{suffix}"


_decimal = lru_cache(maxsize=4096, typed=True)(Decimal)
"""One object for one duration: of many shots most are as long."""


def _is_strange_prompt(key: str) -> bool:
    return key.endswith("_prompt") and key != "negative_prompt"


def _not_used(key: str) -> str:
    provider = key.removesuffix("_prompt")
    why = f": no provider {spell(provider)} is configured" if _is_strange_prompt(key) and provider else ""
    return f"{spell(key)} is not used{why}"


def _meant_around(key: str) -> str | None:
    """The key around the list that this one is a slip of."""
    if key.lower() == "default":
        return "defaults"
    return next((known for known in (*LISTS, "defaults") if is_slip(key, known)), None)
