"""What strikes the eye in a clip: black, frozen or silent stretches. Never a reason to reject it.

ffmpeg's own detectors run in the pass that decodes the clip anyway, over pictures of 160 px: 2 to 8 % more processor
time than the decode alone (1080x1920). Their marks come as frame metadata on stdout.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LONG_S = 2.0
"""A stretch this long, or half the clip, is worth a remark; fades and cuts to black are shorter."""
SILENT_DB = -60
_SIDE = 160
_MARK = re.compile(r"^lavfi\.(black|freezedetect\.freeze|silence)_(start|end)=(-?[0-9.]+)\s*$", re.MULTILINE)
_NAMES = {"black": "black", "freezedetect.freeze": "frozen", "silence": "silent"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """What the detectors take for black or frozen. `dark`: of a pixel, of 1; `share`: of a picture's pixels;
    `still_db`: how much pictures may differ; `length`: of what is worth a remark."""

    dark: float
    share: float
    still_db: int
    length: float


EYE = Eye(dark=0.1, share=0.98, still_db=-60, length=1.0)
WARY_EYE = Eye(dark=0.15, share=0.9, still_db=-54, length=0.75)
"""Sees more than it must, for pictures that are not quite as they will be shown."""


def worth_telling_s(duration_s: float) -> float:
    """How long a stretch of a clip must be."""
    return max(0.1, min(LONG_S, duration_s / 2))


def picture_filters(duration_s: float, eye: Eye = EYE) -> str:
    """For ffmpeg's -vf."""
    marks = ("black_start", "black_end", "freezedetect.freeze_start", "freezedetect.freeze_end")
    found = [
        f"scale={_SIDE}:{_SIDE}:flags=neighbor",
        f"blackdetect=d=0:pix_th={eye.dark}:pic_th={eye.share}",
        f"freezedetect=noise={eye.still_db}dB:duration={worth_telling_s(duration_s) * eye.length:.2f}",
        *(f"metadata=mode=print:key=lavfi.{mark}:file=-:direct=1" for mark in marks),
    ]
    return ",".join(found)


def sound_filters(duration_s: float) -> str:
    """For ffmpeg's -af."""
    marks = ("silence_start", "silence_end")
    found = [
        f"silencedetect=noise={SILENT_DB}dB:duration={worth_telling_s(duration_s):.2f}:mono=0",
        *(f"ametadata=mode=print:key=lavfi.{mark}:file=-:direct=1" for mark in marks),
    ]
    return ",".join(found)


def read(stdout: bytes, duration_s: float, eye: Eye = EYE) -> tuple[str, ...]:
    """The remarks in a decode's marks. A stretch without an end goes on to the clip's end."""
    least_s = worth_telling_s(duration_s) * eye.length - 0.05
    marks = [(_NAMES[m[1]], m[2], float(m[3])) for m in _MARK.finditer(stdout.decode("utf-8", "replace"))]
    told = []
    for name in _NAMES.values():
        length_s = sum(_stretches(((what, at_s) for kind, what, at_s in marks if kind == name), duration_s))
        if length_s >= least_s:
            told.append(f"{name} for {length_s:.1f} s of {duration_s:.1f} s")
    if len(told) > 1 and told[0].startswith("black") and told[1].startswith("frozen"):
        del told[1]  # what is black does not move either
    return tuple(told)


def _stretches(marks: Iterable[tuple[str, float]], duration_s: float) -> list[float]:
    found: list[float] = []
    begun_s: float | None = None
    for what, at_s in marks:
        if what == "start":
            begun_s = at_s if begun_s is None else begun_s
        elif begun_s is not None:
            found.append(max(0.0, at_s - begun_s))
            begun_s = None
    if begun_s is not None:
        found.append(max(0.0, duration_s - begun_s))
    return found
