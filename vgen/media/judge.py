"""Judges a clip against what the shot asked for. Knows no provider and no money."""

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import trio

from vgen.errors import MediaError, NoDecoder, NotJudged
from vgen.media.container import HEAD_BYTES, MP4, Container, is_page, sniff
from vgen.media.decode import decode
from vgen.media.decoders import Unsupported
from vgen.media.length import SHORT_BY_S
from vgen.media.probe import Facts, probe
from vgen.media.tools import Tools, one_line
from vgen.recipe import has_shape

MIN_BYTES = 100_000  # a clip has more than this, unless the user says otherwise (min_clip_bytes)
MIN_SIDE = 720  # px, the shorter side
MIN_DURATION_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the shot asked for. `aspect_ratio` is `9:16`, `16:9`, `1:1` or another `width:height`."""

    duration_s: float
    aspect_ratio: str
    min_bytes: int = MIN_BYTES
    sound: bool = False


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"  # came whole, but is not what was asked
    DAMAGED = "damaged"  # cannot be read or decoded: download again
    NOT_JUDGED = "not judged"  # the judge failed; says nothing about the clip


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, and one line saying why (empty when good). `code`: the kinds of reason, with commas between.

    `container`: the bytes begin as a file of a known kind. `lacking`: damaged, or else beyond the tools here: whole
    bytes that are judged so say nothing about the clip. `remarks`: what strikes the eye, good or bad. `poster`:
    a poster frame, if one came out of the check.
    """

    verdict: Verdict
    reason: str = ""
    facts: Facts | None = None
    container: bool = True
    code: str = ""
    suffix: str = MP4.suffix
    lacking: bool = False
    remarks: tuple[str, ...] = ()
    poster: bytes | None = None


class Judge(Protocol):
    """Judges one clip. Never raises for what the clip is."""

    async def __call__(self, path: Path, wanted: Wanted) -> Judgement: ...


# Judge


def shortcomings(facts: Facts, wanted: Wanted) -> dict[str, str]:
    """Where the clip is not what the shot asked for: the kind of each shortcoming, and a sentence."""
    found: dict[str, str] = {}
    if facts.size_bytes <= wanted.min_bytes:
        found["too_few_bytes"] = f"wanted more than {wanted.min_bytes} bytes, got {facts.size_bytes}"
    shorter = min(facts.width, facts.height)
    if shorter < MIN_SIDE:
        size = f"{facts.width}x{facts.height}"
        found["too_small"] = f"wanted {MIN_SIDE} px or more on the shorter side, got {shorter} ({size})"
    if not has_shape(facts.width, facts.height, wanted.aspect_ratio):
        found["wrong_shape"] = f"wanted {wanted.aspect_ratio}, got {facts.width}x{facts.height}"
    least_s = max(MIN_DURATION_S, wanted.duration_s - SHORT_BY_S)
    if facts.duration_s < least_s - 1e-6:
        asked = f"{wanted.duration_s:g} s (at least {least_s:g} s)"
        found["too_short"] = f"wanted {asked}, got {facts.duration_s:.2f} s"
    return found


async def judge(tools: Tools, path: Path, wanted: Wanted) -> Judgement:
    """Judge one clip. A judge that fails is asked once more; then the clip is not judged, never bad."""
    try:
        return await _judge_once(tools, path, wanted, remark=True)
    except NoDecoder as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=str(exc))
    except (NotJudged, OSError):
        pass
    try:
        return await _judge_once(tools, path, wanted, remark=False)
    except NotJudged as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=str(exc))
    except OSError as exc:
        return Judgement(verdict=Verdict.NOT_JUDGED, reason=f"cannot read it: {one_line(exc.strerror or str(exc))}")


async def _judge_once(tools: Tools, path: Path, wanted: Wanted, *, remark: bool) -> Judgement:
    """Damage is looked for before shortcomings: bad means that it came whole, which must have been seen."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if (kind := sniff(head)) is None:
        page = " (a page came instead of the file)" if is_page(head) else ""
        return Judgement(verdict=Verdict.DAMAGED, reason=f"not a video container{page}", container=False)
    if kind is not MP4:
        return await _judge_other(tools, path, kind)
    facts: Facts | None = None
    try:
        facts = await probe(tools, path)
        sound = remark and wanted.sound
        decoded = await decode(tools, path, facts.duration_s, codec=facts.codec, remark=remark, sound=sound)
    except NotJudged:
        raise
    except MediaError as exc:
        lacking = isinstance(exc, Unsupported)
        return Judgement(verdict=Verdict.DAMAGED, reason=str(exc), facts=facts, code="damaged", lacking=lacking)
    seen = decoded.remarks
    if wanted.sound and not facts.has_audio:
        seen = (*seen, "silent: the file has no sound")
    if found := shortcomings(facts, wanted):
        reason, code = "; ".join(found.values()), ",".join(found)
        return Judgement(
            verdict=Verdict.BAD, reason=reason, facts=facts, code=code, remarks=seen, poster=decoded.poster
        )
    return Judgement(verdict=Verdict.GOOD, facts=facts, remarks=seen, poster=decoded.poster)


async def _judge_other(tools: Tools, path: Path, kind: Container) -> Judgement:
    """A file of another kind than was bought: bad if it is whole, so that it is kept, as what it is."""
    reason, facts, verdict = f"is {kind.name}, not MP4", None, Verdict.DAMAGED
    if kind.demuxer:
        try:
            facts = await probe(tools, path, kind)
            await decode(tools, path, facts.duration_s, kind)
            verdict = Verdict.BAD
        except NoDecoder:
            verdict = Verdict.BAD  # no decoder is needed to see that it is not what was bought
        except NotJudged:
            raise
        except MediaError as exc:
            reason += f"; {exc}"
    return Judgement(verdict=verdict, reason=reason, facts=facts, code="container", suffix=kind.suffix)


def judge_with(tools: Tools, *, at_once: int | None = None) -> Judge:
    """A judge that runs `at_once` checks side by side (default: one a core)."""
    limiter = trio.CapacityLimiter(at_once or max(1, os.cpu_count() or 1))

    async def judge_in_turn(path: Path, wanted: Wanted) -> Judgement:
        async with limiter:
            return await judge(tools, path, wanted)

    return judge_in_turn
