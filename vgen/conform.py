"""Makes the clips uniform in a folder of their own, and one film of them. Only what changed is made again.

Buys nothing; knows no shot list, no take, no task. What it made of what stands in a record beside the clips.
"""

import os
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import trio
from pydantic import BaseModel, ValidationError

from vgen import durable, files, form, media
from vgen.errors import ClipFailed, MediaError, NotJudged
from vgen.form import Form, form_for
from vgen.media import Facts, Tools

RECORD = "conformed.json"
CUT_RECORD = "cut.json"
_OURS = re.compile(r"clip_\d{3,}\.mp4|\..*\.part")

Tell = Callable[[int | None, str], None]
"""Shows a line to the person: shot number or None, text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A clip that is in place; `duration_s` is what its shot asks for, not what was bought."""

    number: int
    path: Path
    duration_s: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was done: shot numbers made and left as they were, names of removed clips. `form` is None without clips."""

    form: Form | None
    made: Sequence[int] = ()
    kept: Sequence[int] = ()
    removed: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A cut: the shots in it, in order, the shots left out, and its length."""

    numbers: Sequence[int]
    missing: Sequence[int]
    duration_s: float


# ── what was made of what ─────────────────────────────────────────────────────────────────────────────────────────────


class _Seen(BaseModel, frozen=True):
    """A file as it was. The digest is asked only if size or time differ."""

    size_bytes: int
    mtime_ns: int
    sha256: str


class _Entry(BaseModel, frozen=True):
    """One conformed clip: what it was made of, as what, and the file itself."""

    source: _Seen
    facts: Facts
    form: str
    frames: int
    duration_s: float
    output: _Seen


class _Record(BaseModel):
    version: int = form.VERSION
    clips: dict[int, _Entry] = {}


class _Cut(BaseModel):
    version: int = form.VERSION
    clips: list[str]
    output: _Seen


def _see(path: Path, before: _Seen | None = None) -> _Seen:
    """The file as it is now. Raises OSError."""
    stat = path.stat()
    if before is not None and (before.size_bytes, before.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
        return before
    return _Seen(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=files.sha256(path))


def _unchanged(path: Path, before: _Seen) -> bool:
    try:
        return _see(path, before).sha256 == before.sha256
    except OSError:
        return False


def _read(folder: Path) -> _Record:
    """The record; an empty one if there is none that this version understands: all is then made again, free."""
    with suppress(OSError, ValidationError):
        record = _Record.model_validate_json((folder / RECORD).read_bytes())
        if record.version == form.VERSION:
            return record
    return _Record()


def _strays(folder: Path, sources: Collection[Source]) -> list[Path]:
    """Clips of shots that have left, and pieces that a killed run left behind."""
    wanted = {files.clip_name(source.number) for source in sources}
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.name not in wanted)


def made_in(folder: Path) -> list[Path]:
    """What `conform` and `cut` put into the folder, and nothing else that lies there."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _OURS.fullmatch(p.name) or p.name in (RECORD, CUT_RECORD))


def _frames(source: Source, clip: Facts, wanted: Form) -> int:
    """How many frames the conformed clip has: as long as its shot, unless it is much too short for that."""
    length_s = source.duration_s if _long_enough(source, clip) else clip.duration_s
    return max(1, round(Fraction(length_s) * wanted.fps))


def _long_enough(source: Source, clip: Facts) -> bool:
    """Whether its last frame may be held for what is missing: the bound by which vgen accepts a clip."""
    return clip.duration_s >= float(source.duration_s) - media.SHORT_BY_S - 1e-6


def _is_made(entry: _Entry, source: Source, wanted: Form, folder: Path) -> bool:
    """Whether the conformed clip is there, in this form and as long as its shot asks now."""
    same = (entry.form, entry.frames) == (str(wanted), _frames(source, entry.facts, wanted))
    return same and _unchanged(folder / files.clip_name(source.number), entry.output)


def is_current(sources: Sequence[Source], folder: Path, aspect_ratio: str) -> bool:
    """Whether `conform` would do nothing. One stat a file as a rule; starts no process, writes nothing."""
    clips = _read(folder).clips
    if clips.keys() != {source.number for source in sources} or _strays(folder, sources):
        return False
    wanted = form_for([entry.facts for entry in clips.values()], aspect_ratio)
    return all(
        _is_made(clips[source.number], source, wanted, folder) and _unchanged(source.path, clips[source.number].source)
        for source in sources
    )


# ── conform ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def conform(
    tools: Tools, sources: Sequence[Source], folder: Path, aspect_ratio: str, *, tell: Tell, at_once: int | None = None
) -> Summary:
    """Make `folder/clip_NNN.mp4` of each source that changed, `at_once` side by side (default: one a core).

    Whatever else `folder` holds under such names is removed. Raises ClipFailed when a clip could not be made, or the
    folder not be written; each was told in a line, and all others are done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        limiter = trio.CapacityLimiter(at_once or os.cpu_count() or 1)
        work = _Work(tools=tools, folder=folder, tell=tell, limiter=limiter, record=_read(folder))
        summary = await work.do(sources, aspect_ratio)
    except OSError as exc:
        tell(None, f"{folder}: can't be written ({exc.strerror}); make room and run again")
        raise ClipFailed("not conformed") from exc
    if work.failed:
        raise ClipFailed(f"{len(work.failed)} of {len(sources)} clips could not be conformed")
    return summary


@dataclass(slots=True, kw_only=True)
class _Work:
    """One run of `conform`."""

    tools: Tools
    folder: Path
    tell: Tell
    limiter: trio.CapacityLimiter
    record: _Record
    looked: dict[int, tuple[_Seen, Facts]] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)

    async def do(self, sources: Sequence[Source], aspect_ratio: str) -> Summary:
        """Look at all, then decide the form, then make what differs. Raises OSError."""
        removed = self._clear(sources)
        await self._each(sources, self._look)
        wanted = form_for([facts for _, facts in self.looked.values()], aspect_ratio) if self.looked else None
        if wanted is not None:

            async def make(source: Source) -> None:
                await self._make(source, wanted)

            await self._each([source for source in sources if source.number in self.looked], make)
        for number in self.failed:  # an older version would no longer be the shot's clip
            (self.folder / files.clip_name(number)).unlink(missing_ok=True)
        done = self.failed.union(self.made)
        kept = [source.number for source in sources if source.number not in done]
        return Summary(form=wanted, made=sorted(self.made), kept=kept, removed=removed)

    def _clear(self, sources: Sequence[Source]) -> list[str]:
        """Remove strays; the names of the clips among them."""
        strays = _strays(self.folder, sources)
        for path in strays:
            with durable.point("conformed.unlink"):
                path.unlink()
        self._forget(self.record.clips.keys() - {source.number for source in sources})
        return [path.name for path in strays if not path.name.startswith(".")]

    async def _each(self, sources: Iterable[Source], act: Callable[[Source], Awaitable[None]]) -> None:
        """Do it for all, side by side; one that can't be done keeps no other from it."""

        async def one(source: Source) -> None:
            async with self.limiter:
                try:
                    await act(source)
                except (MediaError, OSError) as exc:
                    self.failed.add(source.number)
                    self.tell(source.number, f"{source.path.name} can't be conformed: {_reason(exc, source.number)}")

        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(one, source)

    async def _look(self, source: Source) -> None:
        before = self.record.clips.get(source.number)
        seen = await trio.to_thread.run_sync(_see, source.path, before.source if before else None)
        if before and before.source.sha256 == seen.sha256:
            self.looked[source.number] = seen, before.facts
        else:
            self.looked[source.number] = seen, await media.probe(self.tools, source.path)

    async def _make(self, source: Source, wanted: Form) -> None:
        seen, facts = self.looked[source.number]
        before = self.record.clips.get(source.number)
        if before and before.source.sha256 == seen.sha256 and _is_made(before, source, wanted, self.folder):
            if before.source != seen:
                self._note(source.number, before.model_copy(update={"source": seen}))
            return
        if not _long_enough(source, facts):
            had = f"has {facts.duration_s:.2f} s of {source.duration_s:g} s"
            self.tell(source.number, f"{source.path.name} {had}; it is used as long as it is")
        frames = _frames(source, facts, wanted)
        final = self.folder / files.clip_name(source.number)
        part = final.with_name(f".{final.name}.part")
        try:
            await form.encode(self.tools, source.path, part, facts, wanted, frames)
            _publish(part, final)
        finally:
            part.unlink(missing_ok=True)
        entry = _Entry(
            source=seen,
            facts=facts,
            form=str(wanted),
            frames=frames,
            duration_s=wanted.duration_s(frames),
            output=await trio.to_thread.run_sync(_see, final),
        )
        self._note(source.number, entry)
        self.made.append(source.number)

    def _note(self, number: int, entry: _Entry) -> None:
        """Write down each clip at once: an interrupted run has not worked in vain."""
        self.record.clips[number] = entry
        self._write()

    def _forget(self, numbers: Collection[int]) -> None:
        known = self.record.clips.keys() & numbers
        for number in known:
            del self.record.clips[number]
        if known:
            self._write()

    def _write(self) -> None:
        self.record.clips = dict(sorted(self.record.clips.items()))
        files.write_whole(self.folder / RECORD, self.record.model_dump_json(indent=1).encode())


def _reason(exc: MediaError | OSError, number: int) -> str:
    """Why, and what to do: it is the tool's fault, the disk's, or the clip's."""
    match exc:
        case NotJudged():
            return f"{exc}; run again, or see `doit doctor`"
        case MediaError():
            return f"{exc}; put a whole file there, or `doit -a clip:{number}` buys a new take"
        case _:
            return f"{exc.strerror or exc}; put that right and run again"


def _publish(part: Path, final: Path) -> None:
    """Give a finished file its name: its bytes synced, then the name, then the directory."""
    with part.open("rb+") as file, durable.point("conformed.fsync"):
        os.fsync(file.fileno())
    with durable.point("conformed.replace"):
        part.replace(final)
        files.sync_directory(final.parent)


# ── cut ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _in_place(folder: Path, numbers: Sequence[int]) -> dict[int, _Entry]:
    """The conformed clips of these shots that are there, in this order."""
    clips = _read(folder).clips
    return {
        number: clips[number]
        for number in numbers
        if number in clips and _unchanged(folder / files.clip_name(number), clips[number].output)
    }


def cut_is_current(folder: Path, target: Path, numbers: Sequence[int]) -> bool:
    """Whether `target` is just what `cut` would make. Starts no process, writes nothing."""
    return _holds(folder, target, _in_place(folder, numbers))


def _holds(folder: Path, target: Path, clips: dict[int, _Entry]) -> bool:
    try:
        before = _Cut.model_validate_json((folder / CUT_RECORD).read_bytes())
    except (OSError, ValidationError):
        return False
    return before.version == form.VERSION and before.clips == _digests(clips) and _unchanged(target, before.output)


def _digests(clips: dict[int, _Entry]) -> list[str]:
    return [entry.output.sha256 for entry in clips.values()]


async def cut(
    tools: Tools, folder: Path, target: Path, numbers: Sequence[int], *, tell: Tell, comment: str = ""
) -> Joined:
    """Join the conformed clips of these shots, in this order, into `target`, unless it holds just that.

    Shots without a conformed clip are left out, and told. `comment` goes into the file. Raises ClipFailed when there
    is no cut; why was told in a line.
    """
    clips = _in_place(folder, numbers)
    missing = [number for number in numbers if number not in clips]
    if missing and clips:
        shots = "shot" if len(missing) == 1 else "shots"
        tell(None, f"{target.name} goes without {shots} {', '.join(map(str, missing))}: no conformed clip is there")
    try:
        if not _holds(folder, target, clips):
            await _join(tools, folder, target, clips, comment)
    except (MediaError, OSError) as exc:
        reason = f"{exc.strerror or exc}; put that right and run again" if isinstance(exc, OSError) else str(exc)
        tell(None, f"{target.name} can't be made: {reason}")
        raise ClipFailed("no cut") from exc
    return Joined(numbers=list(clips), missing=missing, duration_s=sum(e.duration_s for e in clips.values()))


async def _join(tools: Tools, folder: Path, target: Path, clips: dict[int, _Entry], comment: str) -> None:
    """Make `target`, whole or not at all. Raises MediaError, OSError."""
    if not clips:
        raise MediaError("no conformed clip is there; `doit` builds clips, `doit conform` makes them uniform")
    if len({entry.form for entry in clips.values()}) > 1:
        raise MediaError("the conformed clips differ in form; run `doit conform` first")
    paths = [folder / files.clip_name(number) for number in clips]
    durations_s = [entry.duration_s for entry in clips.values()]
    listed = folder / ".cut.txt.part"
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        await form.join(tools, paths, durations_s, part, listed=listed, comment=comment)
        _publish(part, target)
    finally:
        listed.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    made = _Cut(clips=_digests(clips), output=await trio.to_thread.run_sync(_see, target))
    files.write_whole(folder / CUT_RECORD, made.model_dump_json(indent=1).encode())
