"""How long clips are in the cut, and the cut itself: in frames of the one rate. Pure; knows no tool and no file.

What shows a film's length counts it here, as the cut does: a clip is bought in lengths that a provider offers, and used
as long as its shot is.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

RATES = tuple(Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60"))
SHORT_BY_S = 0.5
"""A clip may be so much shorter than its shot: it is accepted, and its last frame held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A clip in place: how long its shot is, how long the file is, and its pictures a second (None: not known)."""

    shot_s: Decimal
    clip_s: float | None
    fps: float | None


def common_rate(rates: Iterable[float]) -> Fraction:
    """The rate of most clips; of two as common, 24, then 30, then the higher."""
    votes = Counter(_standard_rate(fps) for fps in rates)
    return max(votes, key=lambda rate: (votes[rate], rate == 24, rate == 30, rate), default=Fraction(24))


def _standard_rate(fps: float) -> Fraction:
    """The nearest of RATES: 121 frames in 5 s are 24 fps, and so are 16 fps and none said."""
    return Fraction(24) if fps < 23.5 else min(RATES, key=lambda rate: abs(rate - fps))


def frames(shot_s: Decimal, clip_s: float, rate: Fraction) -> int:
    """How many frames a clip has in the cut: as long as its shot, unless it is much too short for that."""
    return max(1, round(Fraction(shot_s if long_enough(shot_s, clip_s) else clip_s) * rate))


def long_enough(shot_s: Decimal, clip_s: float) -> bool:
    """Whether a clip's last frame may be held for what is missing: the bound by which vgen accepts it."""
    return clip_s >= float(shot_s) - SHORT_BY_S - 1e-6


def film_s(pieces: Sequence[Piece]) -> float:
    """Seconds of the cut of these clips."""
    rate = common_rate(piece.fps for piece in pieces if piece.fps)
    counted = (frames(p.shot_s, float(p.shot_s) if p.clip_s is None else p.clip_s, rate) for p in pieces)
    return float(sum(counted) / rate)
