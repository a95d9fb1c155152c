"""The cut: conformed clips joined without encoding, made again only if something changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio
from pydantic import BaseModel, ValidationError

from vgen.errors import ClipFailed, MediaError
from vgen.media import ai_mark, target_format
from vgen.media.conform_record import CUT_RECORD, Entry, Seen, Tell, in_place, publish, see, unchanged
from vgen.media.provenance import NOTHING, Provenance
from vgen.media.tools import Tools
from vgen.store import atomic
from vgen.store.outputs import clip_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A cut: the shots in it, in order, the shots left out, and its length."""

    numbers: Sequence[int]
    missing: Sequence[int]
    duration_s: float


class _Cut(BaseModel):
    version: int = target_format.VERSION
    clips: list[str]
    output: Seen
    provenance: str = ""


def cut_is_current(folder: Path, target: Path, numbers: Sequence[int], provenance: Provenance = NOTHING) -> bool:
    """Whether `target` is just what `cut` would make. Starts no process, writes nothing."""
    return _holds(folder, target, in_place(folder, numbers), provenance)


def _holds(folder: Path, target: Path, clips: dict[int, Entry], provenance: Provenance) -> bool:
    try:
        before = _Cut.model_validate_json((folder / CUT_RECORD).read_bytes())
    except (OSError, ValidationError):
        return False
    return (
        before.version == target_format.VERSION
        and before.clips == _digests(clips)
        and before.provenance == provenance.inputs(_made_by(clips))
        and unchanged(target, before.output)
    )


def _digests(clips: dict[int, Entry]) -> list[str]:
    return [entry.output.sha256 for entry in clips.values()]


def _made_by(clips: dict[int, Entry]) -> str:
    return ai_mark.of_all(entry.made_by for entry in clips.values())


async def cut(
    tools: Tools,
    folder: Path,
    target: Path,
    numbers: Sequence[int],
    *,
    tell: Tell,
    comment: str = "",
    provenance: Provenance = NOTHING,
) -> Joined:
    """Join the conformed clips of these shots, in this order, into `target`, unless it holds just that.

    Shots without a conformed clip are left out, and told. `comment` goes into the file. `provenance`: what the cut
    shall say of its making; ffmpeg drops what its clips say. Raises ClipFailed when there
    is no cut; why was told in a line.
    """
    clips = in_place(folder, numbers)
    missing = [number for number in numbers if number not in clips]
    if missing and clips:
        shots, are = ("shot", "is") if len(missing) == 1 else ("shots", "are")
        tell(None, f"{shots} {', '.join(map(str, missing))} {are} missing from {target.name} (no conformed clip)")
    try:
        if not _holds(folder, target, clips, provenance):
            for text in await _join(tools, folder, target, clips, comment, provenance):
                tell(None, f"{target.name}: {text}")
    except (MediaError, OSError) as exc:
        reason = f"{exc.strerror or exc}; put that right and run again" if isinstance(exc, OSError) else str(exc)
        tell(None, f"{target.name} can't be made: {reason}")
        raise ClipFailed("no cut") from exc
    return Joined(numbers=list(clips), missing=missing, duration_s=sum(e.duration_s for e in clips.values()))


async def _join(
    tools: Tools, folder: Path, target: Path, clips: dict[int, Entry], comment: str, provenance: Provenance
) -> tuple[str, ...]:
    """Make `target`, whole or not at all; what is to be told about it. Raises MediaError, OSError."""
    if not clips:
        raise MediaError("no conformed clip is there; `doit` builds clips, `doit conform` makes them uniform")
    if len({entry.form for entry in clips.values()}) > 1:
        raise MediaError("the conformed clips differ in form; run `doit conform` first")
    paths = [folder / clip_name(number) for number in clips]
    durations_s = [entry.duration_s for entry in clips.values()]
    listed = folder / ".cut.txt.part"
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        await target_format.join(tools, paths, durations_s, part, listed=listed, comment=comment)
        told = await provenance.of_cut(part, target.name, dict(zip(clips, paths, strict=True)), _made_by(clips))
        publish(part, target)
    finally:
        listed.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    made = _Cut(
        clips=_digests(clips),
        output=await trio.to_thread.run_sync(see, target),
        provenance=provenance.inputs(_made_by(clips)),
    )
    atomic.write_whole(folder / CUT_RECORD, made.model_dump_json(indent=1).encode())
    return told
