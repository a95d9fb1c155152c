"""A film as an editing program needs it: shots in order, each with all its takes. Pure values; writes no format."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

START_HOURS = 1
"""The first frame is at 01:00:00:00, as editors expect."""
CONFORMED = "conformed"
"""The name of the reference to a shot's conformed clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One file that a shot can show. `url`: percent-encoded, as the project asks (relative to `outputs`, or absolute);
    `file_url`: absolute always.

    `frames` counts its whole length at its own `rate`; None: not known. `facts`: what to keep beside it.
    """

    name: str
    url: str
    file_url: str
    rate: float | None = None
    frames: int | None = None
    has_sound: bool = False
    facts: Mapping[str, Any]

    def shown(self, frames: int, rate: float) -> int:
        """Of so many frames at the film's rate, those that it has pictures for."""
        if self.frames is None or self.rate is None:
            return frames
        return max(1, min(frames, round(self.frames / self.rate * rate)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """`frames`: its length in the film, at the film's rate. `active`: the take in place, None where no clip is.

    `takes`: all good takes, the one in place included; `conformed`: the clip as `doit conform` made it, if it did.
    `reel`: the take in place, in a word for an edit decision list. `note`: the user's remark; `locked`: its clip stays
    as it is.
    """

    number: int
    frames: int
    prompt: str
    caption: str = ""
    note: str = ""
    locked: bool = False
    takes: Sequence[Media] = ()
    active: Media | None = None
    conformed: Media | None = None
    reel: str = ""

    @property
    def name(self) -> str:
        return f"shot {self.number}"

    @property
    def remark(self) -> str:
        """What a marker on it is called."""
        return self.name if self.active else f"{self.name} is missing"

    @property
    def noted(self) -> str:
        """What the marker of the user's note is called."""
        return f"{self.name}, note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """The whole film. `size`: width and height of the conformed clips in px, None without any."""

    title: str
    rate: Fraction
    shots: Sequence[Shot]
    simulated: bool
    size: tuple[int, int] | None = None

    @property
    def start(self) -> int:
        """The first frame's number on the film's own clock."""
        return START_HOURS * 3600 * self.nominal

    @property
    def nominal(self) -> int:
        """Frames that a second of time code counts: 30 at 30000/1001 too."""
        return round(self.rate)

    @property
    def frames(self) -> int:
        return sum(shot.frames for shot in self.shots)

    @property
    def seconds(self) -> float:
        return float(self.frames / self.rate)

    def placed(self) -> Iterator[tuple[int, Shot]]:
        """Each shot with the frame that it begins at, from 0."""
        at = 0
        for shot in self.shots:
            yield at, shot
            at += shot.frames


def timecode(frame: int, nominal: int) -> str:
    """`01:00:00:00`, never drop-frame; 24 hours and more begin anew, as on tape."""
    seconds, frames = divmod(frame, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02d}:{minutes:02d}:{seconds:02d}:{frames:02d}"


def one_line(text: str) -> str:
    """On one line, without control characters: readers take whatever splits a line for a line's end."""
    return " ".join("".join(" " if unicodedata.category(c) in _BREAKS else c for c in text).split())


_BREAKS = frozenset({"Cc", "Zl", "Zp", "Cs"})


def in_xml(text: str) -> str:
    """Without what XML 1.0 can't hold; line breaks are kept."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\t\n" or (unicodedata.category(c) not in {"Cc", "Cs"} and c not in _NO_XML) else " "
                   for c in lines)  # fmt: skip


_NO_XML = frozenset("\ufffe\uffff")
