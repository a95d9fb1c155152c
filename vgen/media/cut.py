"""The cut: conformed clips joined without encoding, made again only if something changed.

Slates may take the place of missing shots, music may lie under all of it, captions go into subtitles beside it.
"""

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio
from pydantic import BaseModel, ValidationError

from vgen.errors import ClipFailed, MediaError
from vgen.media import ai_mark, slate, subtitles, target_format
from vgen.media.conform_record import (
    CUT_RECORD,
    Entry,
    Seen,
    Steps,
    Tell,
    Unwatched,
    in_place,
    publish,
    read_record,
    see,
    unchanged,
)
from vgen.media.provenance import NOTHING, Provenance
from vgen.media.slate import Slate
from vgen.media.target_format import TargetFormat, choose_format
from vgen.media.tools import Tools
from vgen.store import atomic
from vgen.store.outputs import clip_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a cut has beside the clips. `slates`, `captions`: by shot number; `aspect_ratio`: of a film of slates only.

    `music`: a sound file; `subtitles`: where the captions go. `comment` goes into the film's file.
    """

    slates: Mapping[int, Slate] = field(default_factory=dict)
    captions: Mapping[int, str] = field(default_factory=dict)
    subtitles: Path | None = None
    music: Path | None = None
    aspect_ratio: str = "9:16"
    comment: str = ""


PLAIN = Wishes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A cut: the shots in it as clips, in order, those in it as slates, those left out, and its length."""

    numbers: Sequence[int]
    slates: Sequence[int] = ()
    missing: Sequence[int]
    duration_s: float


class _Cut(BaseModel):
    version: int = target_format.VERSION
    clips: list[str]
    """What follows what: digests of conformed clips and of slates."""
    music: Seen | None = None
    subtitles: str = ""
    """The digest of the subtitles as they were written; they may have been put right by hand since."""
    output: Seen
    provenance: str = ""
    """What decided what the film says of its making."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One shot of the cut: a conformed clip, or a slate that is still to be drawn.

    `made_by`: the clip's digital source type, "" if no model made it.
    """

    number: int
    digest: str
    duration_s: float
    slate: Slate | None = None
    made_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cutting:
    """A cut as it is to be. `form`: that of its clips, or of its slates."""

    parts: Sequence[_Part]
    missing: Sequence[int]
    forms: frozenset[str]
    form: TargetFormat
    subtitles: str
    made_by: str
    """Its digital source type: slates and music make a mix of it."""


def cut_is_current(
    folder: Path, target: Path, numbers: Sequence[int], wishes: Wishes = PLAIN, provenance: Provenance = NOTHING
) -> bool:
    """Whether `target` is just what `cut` would make. Starts no process, writes nothing."""
    wanted = _wanted(folder, numbers, wishes)
    return _holds(folder, target, wanted, wishes, provenance) and _has_subtitles(folder, wanted, wishes)


def _wanted(folder: Path, numbers: Sequence[int], wishes: Wishes) -> _Cutting:
    clips = in_place(folder, numbers)
    form = choose_format([entry.facts for entry in read_record(folder).clips.values()], wishes.aspect_ratio)
    parts = [part for number in numbers if (part := _part(number, clips.get(number), wishes.slates.get(number), form))]
    shown = {part.number for part in parts}
    forms = {entry.form for entry in clips.values()} | {str(form) for part in parts if part.slate}
    return _Cutting(
        parts=parts,
        missing=[number for number in numbers if number not in shown],
        forms=frozenset(forms),
        form=form,
        subtitles=subtitles.render((wishes.captions.get(part.number, ""), part.duration_s) for part in parts),
        made_by=ai_mark.of_all([*(part.made_by for part in parts), *([""] if wishes.music else [])]),
    )


def _part(number: int, clip: Entry | None, card: Slate | None, form: TargetFormat) -> _Part | None:
    if clip is not None:
        return _Part(number=number, digest=clip.output.sha256, duration_s=clip.duration_s, made_by=clip.made_by)
    if card is None:
        return None
    digest = hashlib.sha256(card.facts(form).encode("utf-8", "surrogatepass")).hexdigest()
    return _Part(number=number, digest=f"slate {digest}", duration_s=form.duration_s(card.frames(form)), slate=card)


def _before(folder: Path) -> _Cut | None:
    """What was made last."""
    try:
        return _Cut.model_validate_json((folder / CUT_RECORD).read_bytes())
    except (OSError, ValidationError):
        return None


def _holds(folder: Path, target: Path, wanted: _Cutting, wishes: Wishes, provenance: Provenance) -> bool:
    """Whether the film is there as it is to be."""
    before = _before(folder)
    return (
        before is not None
        and before.version == target_format.VERSION
        and before.clips == [part.digest for part in wanted.parts]
        and before.provenance == provenance.inputs(wanted.made_by)
        and (before.music is None) == (wishes.music is None)
        and (wishes.music is None or before.music is None or unchanged(wishes.music, before.music))
        and unchanged(target, before.output)
    )


def _has_subtitles(folder: Path, wanted: _Cutting, wishes: Wishes) -> bool:
    before = _before(folder)
    if wishes.subtitles is None or before is None:
        return True
    there = not wanted.subtitles or wishes.subtitles.is_file()
    return there and before.subtitles == _digest(wanted.subtitles)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


async def cut(
    tools: Tools,
    folder: Path,
    target: Path,
    numbers: Sequence[int],
    wishes: Wishes = PLAIN,
    *,
    tell: Tell,
    steps: Steps | None = None,
    provenance: Provenance = NOTHING,
) -> Joined:
    """Join the conformed clips of these shots, in this order, into `target`, unless it holds just that.

    Shots without a conformed clip and without a slate are left out, and told. `provenance`: what the cut shall say of
    its making; ffmpeg drops what its clips say. Raises ClipFailed when there is no cut; why was told in a line.
    """
    wanted, watched = _wanted(folder, numbers, wishes), steps or Unwatched()
    if (missing := wanted.missing) and wanted.parts:
        shots, are = ("shot", "is") if len(missing) == 1 else ("shots", "are")
        tell(None, f"{shots} {', '.join(map(str, missing))} {are} missing from {target.name} (no conformed clip)")
    try:
        if not _holds(folder, target, wanted, wishes, provenance):
            for text in await _make(tools, folder, target, wanted, wishes, watched, provenance):
                tell(None, f"{target.name}: {text}")
        if (aside := _write_subtitles(folder, wanted, wishes)) is not None:
            tell(None, f"the captions or lengths changed; your own {aside[0]} is kept as {aside[1]}")
    except (MediaError, OSError) as exc:
        reason = f"{exc.strerror or exc}; put that right and run again" if isinstance(exc, OSError) else str(exc)
        tell(None, f"{target.name} can't be made: {reason}")
        raise ClipFailed("no cut") from exc
    return Joined(
        numbers=[part.number for part in wanted.parts if part.slate is None],
        slates=[part.number for part in wanted.parts if part.slate is not None],
        missing=missing,
        duration_s=sum(part.duration_s for part in wanted.parts),
    )


async def _make(
    tools: Tools,
    folder: Path,
    target: Path,
    wanted: _Cutting,
    wishes: Wishes,
    steps: Steps,
    provenance: Provenance,
) -> tuple[str, ...]:
    """Make `target`, whole or not at all, and write down what it is; what is to be told. Raises MediaError, OSError."""
    if not wanted.parts:
        raise MediaError("no conformed clip is there; `doit` builds clips, `doit conform` makes them uniform")
    if len(wanted.forms) > 1:
        raise MediaError("the conformed clips differ in form; run `doit conform` first")
    folder.mkdir(parents=True, exist_ok=True)
    music = await trio.to_thread.run_sync(see, wishes.music) if wishes.music else None
    pieces: list[Path] = []
    try:
        for part in wanted.parts:
            name = clip_name(part.number)
            pieces.append(folder / (f".slate-{name}.part" if part.slate else name))
        await _draw(tools, wanted, pieces, steps)
        told = await _join(tools, folder, target, wanted, pieces, wishes, steps, provenance)
    finally:
        for part, piece in zip(wanted.parts, pieces, strict=False):
            if part.slate:
                piece.unlink(missing_ok=True)
    before = _before(folder)
    made = _Cut(
        clips=[part.digest for part in wanted.parts],
        music=music,
        subtitles=before.subtitles if before else "",
        output=await trio.to_thread.run_sync(see, target),
        provenance=provenance.inputs(wanted.made_by),
    )
    _write(folder, made)
    return told


async def _draw(tools: Tools, wanted: _Cutting, pieces: Sequence[Path], steps: Steps) -> None:
    """The slates, one after the other: each is a still, which takes a moment. Raises MediaError, OSError."""
    todo = [(part, piece) for part, piece in zip(wanted.parts, pieces, strict=True) if part.slate]
    if todo:
        steps.begin("drawing slates", len(todo))
    for part, piece in todo:
        assert part.slate is not None
        await slate.render(tools, part.slate, wanted.form, piece)
        steps.step(part.number, "slate drawn")


async def _join(
    tools: Tools,
    folder: Path,
    target: Path,
    wanted: _Cutting,
    pieces: Sequence[Path],
    wishes: Wishes,
    steps: Steps,
    provenance: Provenance,
) -> tuple[str, ...]:
    """What is to be told of the film. Raises MediaError, OSError."""
    listed = folder / ".cut.txt.part"
    part, mixed = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.music.part")
    durations_s = [one.duration_s for one in wanted.parts]
    comment, whole_bytes = wishes.comment, sum(piece.stat().st_size for piece in pieces)
    try:
        for stale in (part, mixed):
            stale.unlink(missing_ok=True)
        steps.measure(f"joining clips into {target.name}", whole_bytes, partial(_size, part))
        await target_format.join(tools, pieces, durations_s, part, listed=listed, comment=comment)
        if wishes.music is not None:
            steps.measure(f"mixing music into {target.name}", whole_bytes, partial(_size, mixed))
            length_s = sum(durations_s)
            await target_format.add_music(tools, part, wishes.music, mixed, length_s=length_s, comment=comment)
        whole = mixed if wishes.music is not None else part
        clips = {one.number: piece for one, piece in zip(wanted.parts, pieces, strict=True) if one.slate is None}
        told = await provenance.of_cut(whole, target.name, clips, wanted.made_by)
        publish(whole, target)
    finally:
        for piece in (listed, part, mixed):
            piece.unlink(missing_ok=True)
    return told


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _write_subtitles(folder: Path, wanted: _Cutting, wishes: Wishes) -> tuple[str, str] | None:
    """Unless they say what they said: whoever put them right by hand keeps that. Raises OSError.

    What a hand wrote is moved aside before others are written: its name, and the one that it has then.
    """
    before, place = _before(folder), wishes.subtitles
    if place is None or before is None or _has_subtitles(folder, wanted, wishes):
        return None
    aside = None
    if place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() != before.subtitles:
        names = (f"{place.stem}.edited{number or ''}{place.suffix}" for number in itertools.count())
        free = next(path for path in map(place.with_name, names) if not path.exists())
        place.rename(free)
        aside = (place.name, free.name)
    if wanted.subtitles:
        atomic.write_whole(place, wanted.subtitles.encode())
    else:
        place.unlink(missing_ok=True)
    _write(folder, before.model_copy(update={"subtitles": _digest(wanted.subtitles)}))
    return aside


def _write(folder: Path, made: _Cut) -> None:
    atomic.write_whole(folder / CUT_RECORD, made.model_dump_json(indent=1).encode())
