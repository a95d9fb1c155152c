"""What decides the pixels of a clip: manifest, digest, and what differs. Knows no price, number, path or provider."""

import hashlib
import json
from dataclasses import dataclass, field
from decimal import Decimal

from vgen.pictures import Pictures

VERSION = 1
"""Of the manifest's format. A new version must go on finding the takes of the old one: nobody pays for an upgrade."""

SQUARE_WITHIN = 0.10
"""1:1 may differ by this share."""

DRAFT = "draft"
MAX_TAKES = 20
"""Takes of one recipe that can be wanted."""

Manifest = tuple[tuple[str, str], ...]
"""(field, value) pairs in a fixed order: the one walk that is hashed, stored and explained."""


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One shot for one provider, as it is bought. A picture is `sha256:…` of its content, or its https URL.

    `audio`: whether sound is wanted. `image_fit`: how the first and the last picture are made to fit the shot's shape,
    if the shot says so. `tier`: "draft" for a draft, else None. `take`: which of the takes wanted it is (contract 13);
    the first is the recipe of a shot that wants one take only.
    """

    prompt: str
    duration_s: Decimal
    aspect_ratio: str
    negative_prompt: str | None = None
    pictures: Pictures[str] = field(default_factory=Pictures)
    image_fit: str | None = None
    seed: int | None = None
    audio: bool = False
    tier: str | None = None
    take: int = 1
    digest: str = field(init=False, repr=False, compare=False)
    """The prompt hash: sha256, hex, of the manifest with its format version."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self.manifest))

    @property
    def image(self) -> str | None:
        """The first picture."""
        return self.pictures.get("image")

    @property
    def manifest(self) -> Manifest:
        fields = {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "duration": plain(self.duration_s),
            "aspect_ratio": self.aspect_ratio,
            **dict(self.pictures.named()),
            "image_fit": self.image_fit,
            "seed": None if self.seed is None else str(self.seed),
            "audio": "yes" if self.audio else None,
            "tier": self.tier,
            "take": str(self.take) if self.take > 1 else None,
        }
        return tuple((name, value) for name, value in fields.items() if value is not None)


def _text(manifest: Manifest) -> str:
    return _encode([f"vgen recipe {VERSION}", *manifest])


def _digest(manifest: Manifest) -> str:
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def _ended(begun: "hashlib._Hash", end: str) -> str:
    begun.update(end.encode())
    return begun.hexdigest()


def first_of(manifest: Manifest) -> str:
    """The digest of the first take's recipe; a manifest of a first take gives its own."""
    return _digest(_as_take(manifest, 1))


def family(manifest: Manifest) -> list[str]:
    """The digests of the recipes of all takes that can be wanted beside this one, its own included."""
    first = _as_take(manifest, 1)
    if "seed" in dict(first):
        return [_digest(_as_take(first, take)) for take in range(1, MAX_TAKES + 1)]
    whole = _text(first)
    begun = hashlib.sha256(whole[:-1].encode())  # they differ in their ends alone: a long prompt is hashed once
    ends = [whole[-1:], *(f',["take","{take}"]]' for take in range(2, MAX_TAKES + 1))]
    return [_ended(begun.copy(), end) for end in ends]


def _as_take(manifest: Manifest, take: int) -> Manifest:
    """The manifest of another of the takes wanted: the n-th has the first one's seed + n - 1."""
    fields = dict(manifest)
    further = take - int(fields.pop("take", "1"))
    if "seed" in fields:
        fields["seed"] = str(int(fields["seed"]) + further)
    return (*fields.items(), *((("take", str(take)),) if take > 1 else ()))


def is_draft(manifest: Manifest) -> bool:
    """Whether it was bought as a draft."""
    return ("tier", DRAFT) in manifest


def difference(old: Manifest, new: Manifest) -> list[str]:
    """What changed, in words: `prompt: 'golden hour' → 'blue hour'`."""
    was, now = dict(old), dict(new)
    names = [*was, *(name for name in now if name not in was)]
    return [
        f"{name}: {_short(was.get(name), now.get(name))} → {_short(now.get(name), was.get(name))}"
        for name in names
        if was.get(name) != now.get(name)
    ]


def has_shape(width: int, height: int, aspect_ratio: str) -> bool:
    """Orientation, not exact sizes: real clips for 9:16 come as 834x1112, for 16:9 as 1916x1080."""
    across, _, down = aspect_ratio.partition(":")
    turn = float(across) - float(down)
    if turn == 0:
        return max(width, height) <= min(width, height) * (1 + SQUARE_WITHIN)
    return width > height if turn > 0 else width < height


def plain(number: Decimal) -> str:
    """`4`, `4.5`: one spelling for one number, whatever the file wrote (4, 4.0, 4e0)."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _short(value: str | None, other: str | None, width: int = 40) -> str:
    """The part of `value` that differs from `other`, quoted, at most `width` characters."""
    if value is None:
        return "none"
    start = 0
    if other is not None:
        while start < min(len(value), len(other)) and value[start] == other[start]:
            start += 1
        start = max(0, min(start - width // 3, len(value) - width))
    cut = value[start : start + width]
    return f"'{'…' if start else ''}{cut}{'…' if start + width < len(value) else ''}'"
