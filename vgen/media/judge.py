"""Judges a clip against what the shot asked for. Knows no provider and no money."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import trio

from vgen.errors import MediaError, NotJudged
from vgen.media.probe import Facts, decode, probe
from vgen.media.tools import Tools, one_line

MIN_BYTES = 100_000  # a clip has more than this
MIN_SIDE = 720  # px, the shorter side
MIN_DURATION_S = 1.0
SHORT_BY_S = 0.5  # a clip may be shorter than its shot by this much; never mind longer
SQUARE_WITHIN = 0.10  # 1:1 may differ by this share


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the shot asked for. `aspect_ratio` is `9:16`, `16:9`, `1:1` or another `width:height`."""

    duration_s: float
    aspect_ratio: str


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"  # came whole, but is not what was asked
    DAMAGED = "damaged"  # cannot be read or decoded: download again
    NOT_JUDGED = "not judged"  # the judge failed; says nothing about the clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, and one line saying why (empty when good)."""

    verdict: Verdict
    reason: str = ""
    facts: Facts | None = None
    container: bool = True


class Judge(Protocol):
    """Judges one clip. Never raises for what the clip is."""

    async def __call__(self, path: Path, wanted: Wanted) -> Judgement: ...


# Judge


def shortcomings(facts: Facts, wanted: Wanted) -> list[str]:
    """Where the clip is not what the shot asked for, each in one sentence."""
    found: list[str] = []
    if facts.size_bytes <= MIN_BYTES:
        found.append(f"wanted more than {MIN_BYTES} bytes, got {facts.size_bytes}")
    shorter = min(facts.width, facts.height)
    if shorter < MIN_SIDE:
        found.append(f"wanted {MIN_SIDE} px or more on the shorter side, got {shorter} ({facts.width}x{facts.height})")
    if not _shaped(facts, wanted.aspect_ratio):
        found.append(f"wanted {wanted.aspect_ratio}, got {facts.width}x{facts.height}")
    least_s = max(MIN_DURATION_S, wanted.duration_s - SHORT_BY_S)
    if facts.duration_s < least_s - 1e-6:
        found.append(f"wanted {wanted.duration_s:g} s (at least {least_s:g} s), got {facts.duration_s:.2f} s")
    return found


def _shaped(facts: Facts, aspect_ratio: str) -> bool:
    """Orientation, not exact sizes: real clips for 9:16 come as 834x1112, for 16:9 as 1916x1080."""
    across, _, down = aspect_ratio.partition(":")
    turn = float(across) - float(down)
    if turn == 0:
        return max(facts.width, facts.height) <= min(facts.width, facts.height) * (1 + SQUARE_WITHIN)
    return facts.width > facts.height if turn > 0 else facts.width < facts.height


def _is_mp4(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


async def judge(tools: Tools, path: Path, wanted: Wanted) -> Judgement:
    """Judge one clip. A judge that fails is asked once more; then the clip is not judged, never bad."""
    try:
        return await _judge_once(tools, path, wanted)
    except (NotJudged, OSError):
        pass
    try:
        return await _judge_once(tools, path, wanted)
    except NotJudged as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=str(exc))
    except OSError as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=f"cannot read it: {one_line(exc.strerror or str(exc))}")


async def _judge_once(tools: Tools, path: Path, wanted: Wanted) -> Judgement:
    """Damage is looked for before shortcomings: bad means that it came whole, which must have been seen."""
    if not _is_mp4(path):
        return Judgement(verdict=Verdict.DAMAGED, reason="not a video container", container=False)
    facts: Facts | None = None
    try:
        facts = await probe(tools, path)
        await decode(tools, path, facts.duration_s)
    except NotJudged:
        raise
    except MediaError as exc:
        return Judgement(verdict=Verdict.DAMAGED, reason=str(exc), facts=facts)
    if found := shortcomings(facts, wanted):
        return Judgement(verdict=Verdict.BAD, reason="; ".join(found), facts=facts)
    return Judgement(verdict=Verdict.GOOD, facts=facts)


def judge_with(tools: Tools, *, at_once: int | None = None) -> Judge:
    """A judge that runs `at_once` checks side by side (default: one a core)."""
    limiter = trio.CapacityLimiter(at_once or max(1, os.cpu_count() or 1))

    async def judge_in_turn(path: Path, wanted: Wanted) -> Judgement:
        async with limiter:
            return await judge(tools, path, wanted)

    return judge_in_turn
