"""The pictures that a shot is made from, by their role, and what a vendor's API takes. Opens no file.

A further role is a line in ROLES: the shot list reads it, the recipe holds it, and a codec that does not name it among
what its order takes can't order it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")
Size = tuple[int, int]
"""Width and height in pixels, as a picture is shown."""

ROLES: Mapping[str, bool] = {"image": False, "end_image": False, "references": True}
"""Key of a shot → whether it holds a list. Their order is that of the recipe."""
FRAMES = ("image", "end_image")
"""Pictures that the clip shows: what `image_fit` fits to the shot's shape."""
WORDS = {"image": "first picture", "end_image": "last picture", "references": "reference pictures"}
FITS = ("crop", "pad")
"""How a picture of another shape comes into the shot's: cut to it around its centre, or put on black."""
SAME_SHAPE = 0.01
"""Shapes that differ by less than this share are the same: 1366x768 is 16:9."""


@dataclass(frozen=True, slots=True)
class Pictures(Generic[T]):
    """Something for each picture of a shot: where it is, what it is, what is sent. In the order of ROLES."""

    pairs: tuple[tuple[str, T], ...] = ()

    @classmethod
    def of(cls, by_role: Mapping[str, T | Iterable[T] | None]) -> "Pictures[T]":
        """From the values of a shot's keys: one, or for a role with a list, several."""
        found: list[tuple[str, Any]] = []
        for role, is_list in ROLES.items():
            if (value := by_role.get(role)) is not None:
                found += [(role, one) for one in value] if is_list else [(role, value)]  # type: ignore[union-attr]
        return cls(tuple(found))

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def __contains__(self, role: str) -> bool:
        return any(role == one for one, _ in self.pairs)

    def get(self, role: str) -> T | None:
        """The picture of a role that has one."""
        return next((value for one, value in self.pairs if one == role), None)

    def all(self, role: str) -> tuple[T, ...]:
        return tuple(value for one, value in self.pairs if one == role)

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(role for role, _ in self.pairs))

    def named(self) -> tuple[tuple[str, T], ...]:
        """Each with a name of its own: `image`, `references[2]`."""
        counted: dict[str, int] = {}
        names = []
        for role, _ in self.pairs:
            counted[role] = counted.get(role, 0) + 1
            names.append(f"{role}[{counted[role]}]" if ROLES[role] else role)
        return tuple((name, value) for name, (_, value) in zip(names, self.pairs, strict=True))

    def map(self, change: Callable[[str, T], U]) -> "Pictures[U]":
        """`change(name, value)` of each, as `named` names them."""
        changed = (change(name, value) for name, value in self.named())
        return Pictures(tuple((role, new) for (role, _), new in zip(self.pairs, changed, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """What a vendor's API takes for a picture that is sent within the request; one at an address it fetches itself.

    `kinds`: media types. `most_bytes`: of a picture, before base64; `most_together`: of all in one request, a bound of
    ours, so that sending them takes no minute on a slow line. What has more is uploaded, if its vendor takes uploads.
    `least_side`, `most_side`: pixels. `most_ratio`: the longer side by the shorter one. `longest_url`: characters of an
    address.
    """

    kinds: tuple[str, ...] = ("image/jpeg", "image/png", "image/webp")
    most_bytes: int = 3_900_000
    most_together: int = 24_000_000
    least_side: int = 1
    most_side: int = 16_000
    most_ratio: float = 100.0
    longest_url: int = 8_192

    def problem(self, size: Size) -> str:
        """Why a picture of this size is not taken, scaled down as it may be; "" if it is."""
        longer, shorter = max(size), min(size)
        scaled = shorter * min(1.0, self.most_side / longer)
        shown = f"this one has {size[0]}x{size[1]}"
        if longer > self.most_ratio * shorter:
            return f"one side at most {self.most_ratio:g} times the other, {shown}"
        return f"at least {self.least_side} pixels a side, {shown}" if scaled < self.least_side else ""


def needs_fit(size: Size, aspect_ratio: str) -> bool:
    """Whether a picture has clearly another shape than the shot."""
    across, _, down = aspect_ratio.partition(":")
    return abs(size[0] * int(down) / (size[1] * int(across)) - 1) > SAME_SHAPE


def fitted(size: Size, aspect_ratio: str, fit: str) -> Size:
    """The size of a picture that was cropped or padded to a shape. Scales nothing."""
    if not needs_fit(size, aspect_ratio):
        return size
    (width, height), (across, down) = size, map(int, aspect_ratio.split(":"))
    too_wide = width * down > height * across
    if too_wide == (fit == "crop"):
        return max(1, round(height * across / down)), height
    return width, max(1, round(width * down / across))
