"""What the name of a key in a shot list means: read, for others, misspelt, or of no meaning here."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from vgen.pictures import ROLES

READ = (
    "shot_number", "duration", "prompt", "negative_prompt", "aspect_ratio", "seed", *ROLES, "image_fit", "audio",
    "takes", "caption",
)  # fmt: skip
"""Keys of a shot, beside `<provider>_prompt`."""
FRAMING = ("prompt_prefix", "prompt_suffix")
"""Keys of `defaults` only."""
FOR_OTHERS = ("style", "camera", "lighting", "transition", "platform_params", "notes")
"""Keys that other stages read; nobody need be told that vgen does not."""

SYNONYMS = {
    "shot_number": ("shot", "number", "shot_no", "shot_num", "shot_id", "shot_index"),
    "duration": ("duration_s", "duration_sec", "duration_secs", "duration_seconds", "seconds", "length"),
    "prompt": ("prompts", "prompt_text", "text_prompt", "visual_prompt", "video_prompt", "text"),
    "negative_prompt": ("neg_prompt", "negative_prompts"),
    "aspect_ratio": ("ratio",),
    "seed": ("random_seed",),
    "image": (
        "image_url", "image_path", "image_uri", "image_file", "first_frame", "first_frame_url", "first_frame_image",
        "first_image", "start_frame", "start_image", "start_image_url", "init_image", "input_image", "prompt_image",
        "source_image",
    ),
    "end_image": (
        "last_frame", "last_frame_url", "last_frame_image", "last_image", "end_frame", "end_image_url", "tail_image",
        "tail_image_url",
    ),
    "references": ("reference_image", "reference_images", "reference_image_url", "reference_image_urls", "ref_images"),
    "audio": ("generate_audio", "enable_audio", "with_audio"),
    "takes": ("takes_wanted",),
}  # fmt: skip
"""Words of other tools for a key. They count only where the key itself is absent: then it is what was meant."""

_TWO_SLIPS = 10
"""Letters of a name in which two slips are still a slip; in a shorter one it is one."""
_NO_SLIP = 5
"""In names of fewer letters any slip makes another word (seed, speed)."""
_WORDS = frozenset({"imagen"})
"""Names of their own that look like a slip."""

_NO_PICTURE = frozenset({"image", "end_image"})
"""What a number can't be: a cutting list's `start_frame: 0` is none."""


class Meaning(StrEnum):
    """What a key of a shot is to vgen."""

    READ = "read"
    FOR_OTHERS = "for others"
    FRAMING = "framing"
    MISSPELT = "misspelt"
    SYNONYM = "synonym"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`name`: the key that is meant."""

    meaning: Meaning
    name: str

    @property
    def is_unused(self) -> bool:
        """Whether nothing reads such a key, if it is not refused."""
        return self.meaning in (Meaning.NONE, Meaning.SYNONYM)

    @property
    def remark(self) -> str:
        """What to say where such a key of a shot is refused."""
        if self.meaning is Meaning.FRAMING:
            return 'unknown in a shot; put it into "defaults"'
        return f"unknown; did you mean {self.name}?"

    @property
    def remark_around(self) -> str:
        """The same of a key beside the list."""
        if self.is_unused or self.meaning is Meaning.MISSPELT:
            return f'unknown; did you mean {self.name}? Put it into "defaults"'
        return 'not read here; put it into "defaults"'


def asks_nothing(name: str, value: Any) -> bool:
    """Whether a key of this name, with this value, wants no more than a shot without it gets."""
    if value is None or value == "":
        return True
    match name:
        case "audio":
            return value is False or value == "no"
        case "takes":
            return value == 1 and value is not True
        case "references":
            return bool(value == [])
    return False


class Vocabulary:
    """The names that mean something where these providers are configured."""

    def __init__(self, providers: Collection[str]) -> None:
        self.prompt_keys = {"prompt": "", "runway_prompt": "runway"} | {f"{name}_prompt": name for name in providers}
        """Key → the provider whose prompt it holds; "" is everybody's."""
        self._read = frozenset({*READ, *self.prompt_keys})
        self.familiar = self._read.union(FOR_OTHERS)
        """Names that need no judging: they are read, or nobody need be told that they are not."""
        self._plain = {_plain(key): key for key in (*FOR_OTHERS, *FRAMING, *self._read)}
        self._synonyms = {_plain(word): key for key, words in SYNONYMS.items() for word in words}
        self._known: dict[str, Verdict] = {}

    def judge(self, key: str) -> Verdict:
        """What a key of a shot means."""
        if (found := self._known.get(key)) is None:
            found = self._known[key] = self._judged(key)
        return found

    def refuses(self, verdict: Verdict, value: Any, entry: Mapping[str, Any]) -> bool:
        """Whether an entry asks for something by this key that it would not get."""
        match verdict.meaning:
            case Meaning.FRAMING | Meaning.MISSPELT:
                return not asks_nothing(verdict.name, value)
            case Meaning.SYNONYM if isinstance(value, (int, float, Decimal)) and verdict.name in _NO_PICTURE:
                return False
            case Meaning.SYNONYM:
                return self.lacks(entry, verdict.name) and not asks_nothing(verdict.name, value)
        return False

    def lacks(self, entry: Mapping[str, Any], name: str) -> bool:
        """Whether an entry has no value for a key; of prompts, none at all."""
        names = self.prompt_keys if name in self.prompt_keys else (name,)
        return all(entry.get(one) is None for one in names)

    def _judged(self, key: str) -> Verdict:
        exact = ((self._read, Meaning.READ), (FOR_OTHERS, Meaning.FOR_OTHERS), (FRAMING, Meaning.FRAMING))
        for names, meaning in exact:
            if key in names:
                return Verdict(meaning=meaning, name=key)
        plain = _plain(key)
        if meant := self._plain.get(plain):
            for_others = meant in FOR_OTHERS
            return Verdict(meaning=Meaning.FOR_OTHERS if for_others else Meaning.MISSPELT, name=meant)
        if meant := self._synonyms.get(plain):
            return Verdict(meaning=Meaning.SYNONYM, name=meant)
        slip = next((known for known in sorted((*self._read, *FRAMING)) if is_slip(key, known)), None)
        return Verdict(meaning=Meaning.MISSPELT, name=slip) if slip else Verdict(meaning=Meaning.NONE, name=key)


def is_slip(word: str, known: str) -> bool:
    """Whether a word is clearly a known name, mistyped: it differs by a slip, and makes no other sense."""
    a, b = _plain(word), _plain(known)
    if a == b:
        return word != known
    if len(b) < _NO_SLIP or a[:1] != b[:1] or a in _WORDS or _is_plural(a, b) or _without_digits(a, b):
        return False
    provider = b.removesuffix("prompt") if b.endswith("prompt") and b not in ("prompt", "negativeprompt") else ""
    if provider and len(provider) < _NO_SLIP - 1:  # wan_prompt, veo_prompt: two providers, no slip
        return False
    limit = 2 if len(b) >= _TWO_SLIPS and not provider else 1
    return abs(len(a) - len(b)) <= limit and _slips(a, b) <= limit


def _plain(key: str) -> str:
    """Without what differs between aspectRatio, Aspect-Ratio and aspect_ratio."""
    return re.sub(r"[\W_]", "", key).lower()


def _is_plural(a: str, b: str) -> bool:
    return a == f"{b}s" or b == f"{a}s"


def _without_digits(a: str, b: str) -> bool:
    """Whether only a number tells them apart (pika_prompt, pika2_prompt)."""
    return re.sub(r"\d", "", a) == re.sub(r"\d", "", b)


def _slips(a: str, b: str) -> int:
    """Letters to add, drop, change, or swap with a neighbour, to make one of the other."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]
