"""Where a picture of a shot comes from, as the shot list spells it. Opens no file."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

_FRAME = re.compile(r"clip:0*([1-9]\d{0,6})(?:@(first|last|\d{1,6}(?:\.\d{1,6})?))?")
Moment = Literal["first", "last"] | Decimal
"""Of a clip: its first or last picture, or the one at some seconds from its beginning."""
_SHOWN = 80
"""Characters of a path in a message."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the project, by its path below dodo.py."""

    path: str


@dataclass(frozen=True, slots=True)
class Url:
    """A picture on the web, by https: its provider fetches it."""

    url: str


@dataclass(frozen=True, slots=True)
class Data:
    """A picture in the shot list itself, as a data: URI."""

    uri: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of another shot's clip. `at`: "first", "last", or seconds from its beginning."""

    shot: int
    at: Moment = "last"

    def of(self, take: str | None) -> str:
        """What a recipe holds of it: the sha256 of the clip's take, and the moment. None: there is no take yet."""
        at = self.at if not isinstance(self.at, Decimal) else format(self.at.normalize() + 0, "f")
        return f"clip:{self.shot}@{at}" if take is None else f"take:{take}@{at}"


Source = File | Url | Data | Frame


def take_in(identity: str) -> str:
    """The sha256 of the take whose frame a recipe holds."""
    return identity.removeprefix("take:").partition("@")[0]


def parse(text: str) -> Source:
    """What a text of the shot list means. Raises ValueError with what is wrong with it."""
    if text[:5].lower() == "data:":
        return Data(text)
    if text.startswith("clip:"):
        if (found := _FRAME.fullmatch(text)) is None:
            raise ValueError(f"{short(text)} names no frame; write it as clip:3, clip:3@first or clip:3@2.5")
        at = found[2] or "last"
        return Frame(int(found[1]), cast("Moment", at) if at in ("first", "last") else Decimal(at))
    if "://" in text:
        if not text.startswith("https://"):
            raise ValueError(f"{short(text)} is neither a file nor an https URL")
        return Url(text)
    return File(text)


def short(text: str) -> str:
    """A path for a message: it may be anything, a whole picture too."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
