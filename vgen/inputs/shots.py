"""A shot, and the rules for the value of each of its keys. Opens no file, knows no provider and no list."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from vgen.inputs import pictures
from vgen.inputs.pictures import Frame, Source
from vgen.inputs.variables import switch
from vgen.pictures import FITS, ROLES, Pictures
from vgen.ranges import runs
from vgen.recipe import MAX_TAKES

ASPECT_RATIOS = ("9:16", "16:9", "1:1")
MAX_SEED = 4_294_967_295
"""Runway's bound (runway_models.json); fal takes any integer."""
MAX_DURATION_S = 3600
MAX_NUMBER = 9_999_999
DURATION_RULE = f"give seconds, > 0 and <= {MAX_DURATION_S}"
MAY_BE_EMPTY = ("negative_prompt", "prompt_prefix", "prompt_suffix", "caption")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One line of the shot list. `prompts` maps a provider's name to its own text, and "" to everybody's."""

    number: int
    duration_s: Decimal
    prompts: Mapping[str, str]
    negative_prompt: str | None = None
    aspect_ratio: str | None = None
    seed: int | None = None
    pictures: Pictures[Source] = field(default_factory=Pictures)
    image_fit: str | None = None
    audio: bool | None = None
    """Whether sound is wanted; None: as the run says."""
    takes: int | None = None
    """How many takes are wanted; None: as many as the run says."""
    caption: str | None = None
    """What is said or read while it is shown: for subtitles and timelines, never for a provider."""

    @property
    def sources(self) -> frozenset[int]:
        """The shots whose frames it is made from."""
        return frozenset(one.shot for _, one in self.pictures.pairs if isinstance(one, Frame))

    @property
    def any_prompt(self) -> str:
        """What it shows, for a person: everybody's prompt, or else any."""
        return self.prompts.get("") or next(iter(self.prompts.values()), "")

    def prompt_for(self, provider: str) -> str | None:
        """`<provider>_prompt`, else `prompt`, else `runway_prompt`; None if the shot has none of them."""
        return self.prompts.get(provider) or self.prompts.get("") or self.prompts.get("runway")


def fault(key: str, value: Any) -> str | None:
    """What is wrong with the value of a key, for a person to mend; None if it is good. No value is None here."""
    match key:
        case "shot_number":
            good = is_integer(value) and 1 <= value <= MAX_NUMBER
            if is_integer(value) and value > MAX_NUMBER:
                return f"{quote(value)} is too large; shots are numbered up to {MAX_NUMBER}"
            return None if good else f"{quote(value)} is not an integer >= 1"
        case "duration":
            good = is_number(value) and Decimal(value).is_finite() and 0 < value <= MAX_DURATION_S
            return None if good else f"{quote(value)} is no such number; {DURATION_RULE}"
        case "aspect_ratio":
            return None if value in ASPECT_RATIOS else f"{quote(value)} is not one of {', '.join(ASPECT_RATIOS)}"
        case "seed":
            good = is_integer(value) and 0 <= value <= MAX_SEED
            return None if good else f"{quote(value)} is not an integer from 0 to {MAX_SEED}"
        case "takes":
            good = is_integer(value) and 1 <= value <= MAX_TAKES
            return None if good else f"{quote(value)} is not an integer from 1 to {MAX_TAKES}"
        case "audio":
            return None if is_yes(value) is not None else f"{quote(value)} is not yes or no"
        case "image_fit":
            return None if value == "" or value in FITS else f"{quote(value)} is not one of {', '.join(FITS)}"
    if key in ROLES:
        return _pictures_fault(value, is_list=ROLES[key])
    return _text_fault(value, may_be_empty=key in MAY_BE_EMPTY)


def is_yes(value: Any) -> bool | None:
    """What true, "yes" and the like say; None if it is neither that nor a no."""
    return value if isinstance(value, bool) else switch(value) if isinstance(value, str) else None


def is_integer(value: Any) -> bool:
    """A whole number, and no boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """A number, and no boolean."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _pictures_fault(value: Any, *, is_list: bool) -> str | None:
    if value == "":
        return None
    if is_list and not isinstance(value, list):
        return f'{quote(value)} is not a list; write it as ["one.png", "two.png"]'
    for one in value if is_list else (value,):
        if wrong := _text_fault(one, may_be_empty=False, empty="empty; name a picture"):
            return wrong
        try:
            pictures.parse(one)
        except ValueError as exc:
            return str(exc)
    return None


def _text_fault(value: Any, *, may_be_empty: bool, empty: str = "empty; write what the shot shows") -> str | None:
    if not isinstance(value, str):
        return f"{quote(value)} is not a text"
    if not value.strip() and not may_be_empty:
        return empty
    if "\x00" in value:
        return "holds a NUL character; remove it"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a character (a lone surrogate); write it again"
    return None


# ── words for messages ────────────────────────────────────────────────────────────────────────────────────────────────

_JSON_WORDS = {"True": "true", "False": "false", "None": "null"}
"""As the file spells them."""


def quote(value: Any) -> str:
    """A value for a message: short, printable, as the file spells it."""
    try:
        text = str(value) if isinstance(value, Decimal) else _JSON_WORDS.get(repr(value), repr(value))
    except RecursionError:
        return "a deep nest"
    return _short(text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text)


def spell(key: str) -> str:
    """A key for a message: as it is, if that can be printed on a line."""
    return _short(key) if key.isprintable() and key.strip() else quote(key)


def spell_all(keys: Collection[str]) -> str:
    return ", ".join(map(spell, keys))


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def name_shots(numbers: Collection[int]) -> str:
    """`shot 7`, `shots 1-40, 42`."""
    parts = runs(numbers)
    more = f" and {len(parts) - _RUNS} more" if len(parts) > _RUNS else ""
    return f"{'shots' if len(numbers) > 1 else 'shot'} {', '.join(parts[:_RUNS])}{more}"


_RUNS = 8
"""Runs of neighbours that a message names."""
