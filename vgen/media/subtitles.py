"""Captions of shots as subtitles (SubRip), in the times of a cut. Pure."""

import re
from collections.abc import Iterable

_LOOKS_LIKE_A_TAG = re.compile(r"<(?!/?(?:b|i|u|s|font)\b)(?=[a-z/])", re.IGNORECASE)
"""Players leave out what looks like HTML, known to them or not; a few tags are SubRip's own."""


def render(shots: Iterable[tuple[str, float]]) -> str:
    """The file for shots in their order: (caption, length in seconds); "" if none has a caption."""
    cues: list[str] = []
    at_s = 0.0
    for caption, length_s in shots:
        if lines := _lines(caption):
            cues.append(f"{len(cues) + 1}\n{_time(at_s)} --> {_time(at_s + length_s)}\n{lines}\n")
        at_s += length_s
    return "\n".join(cues)


def _lines(caption: str) -> str:
    """Its lines; an empty one would end the cue, an arrow look like the next one's times, a word in < > like a tag."""
    lines = (" ".join(line.split()) for line in caption.splitlines())
    told = "\n".join(line for line in lines if line).replace("-->", "→")
    return _LOOKS_LIKE_A_TAG.sub("‹", told)


def _time(at_s: float) -> str:
    seconds, ms = divmod(round(at_s * 1000), 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d},{ms:03d}"
