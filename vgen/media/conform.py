"""Makes the clips uniform in a folder of their own, and one film of them. Only what changed is made again.

Buys nothing; knows no shot list, no take, no task. What it made of what stands in a record beside the clips.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import trio

from vgen.errors import ClipFailed, MediaError
from vgen.media import length
from vgen.media.conform_record import (
    CUT_RECORD,
    RECORD,
    Entry,
    Record,
    Seen,
    Steps,
    Tell,
    Unwatched,
    publish,
    read_record,
    see,
    seen_already,
    unchanged,
    why_not_made,
)
from vgen.media.hands import Encode, Hands, Look, Made
from vgen.media.handwork import refuse
from vgen.media.here import Here
from vgen.media.probe import Facts
from vgen.media.provenance import NOTHING, Provenance
from vgen.media.target_format import TargetFormat, choose_format
from vgen.media.tools import Tools
from vgen.store import atomic, failpoints
from vgen.store.outputs import clip_name

NOTED_S = 3.0
"""Between two records of what is done: `kill -9` has so much work done again, which is free; Ctrl-C none."""
_OURS = re.compile(r"clip_\d{3,}\.mp4|\..*\.part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A clip that is in place; `duration_s` is what its shot asks for, not what was bought.

    `made_by`: its digital source type, "" if no model made it. `details`: what a signature shall tell of it.
    """

    number: int
    path: Path
    duration_s: Decimal
    made_by: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was done: shot numbers made and left as they were, names of removed clips. `form` is None without clips."""

    form: TargetFormat | None
    made: Sequence[int] = ()
    kept: Sequence[int] = ()
    removed: Sequence[str] = ()


def _strays(folder: Path, sources: Collection[Source]) -> list[Path]:
    """Clips of shots that have left, and pieces that a killed run left behind."""
    wanted = {clip_name(source.number) for source in sources}
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.name not in wanted)


def made_in(folder: Path) -> list[Path]:
    """What `conform` and `cut` put into the folder, and nothing else that lies there."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _OURS.fullmatch(p.name) or p.name in (RECORD, CUT_RECORD))


def _frames(source: Source, clip: Facts, wanted: TargetFormat) -> int:
    """How many frames the conformed clip has."""
    return length.frames(source.duration_s, clip.duration_s, wanted.fps)


def _is_made(entry: Entry, source: Source, wanted: TargetFormat, folder: Path, provenance: Provenance) -> bool:
    """Whether the conformed clip is there, in this form, as long as its shot asks now, and tells what it shall."""
    asked = (str(wanted), _frames(source, entry.facts, wanted), source.made_by)
    same = (entry.form, entry.frames, entry.made_by) == asked and entry.provenance == provenance.inputs(
        source.made_by, source.details
    )
    return same and unchanged(folder / clip_name(source.number), entry.output)


def is_current(sources: Sequence[Source], folder: Path, aspect_ratio: str, provenance: Provenance = NOTHING) -> bool:
    """Whether `conform` would do nothing. One stat a file as a rule; starts no process, writes nothing."""
    clips = read_record(folder).clips
    if clips.keys() != {source.number for source in sources} or _strays(folder, sources):
        return False
    wanted = choose_format([entry.facts for entry in clips.values()], aspect_ratio)
    return all(
        _is_made(clips[source.number], source, wanted, folder, provenance)
        and unchanged(source.path, clips[source.number].source)
        for source in sources
    )


# ── conform ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def conform(
    tools: Tools,
    sources: Sequence[Source],
    folder: Path,
    aspect_ratio: str,
    *,
    tell: Tell,
    steps: Steps | None = None,
    at_once: int | None = None,
    provenance: Provenance = NOTHING,
    hands: Hands | None = None,
) -> Summary:
    """Make `folder/clip_NNN.mp4` of each source that changed, `at_once` side by side (default: as `hands` can).

    `provenance`: what the clips shall say of their making. `hands`: who does it (default: `tools`, here, one a core).

    Whatever else `folder` holds under such names is removed. Raises ClipFailed when a clip could not be made, or the
    folder not be written; each was told in a line, and all others are done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        hands = hands or Here(tools=tools)
        limiter = trio.CapacityLimiter(at_once or hands.at_once)
        record, watched = read_record(folder), steps or Unwatched()
        work = _Work(
            hands=hands,
            folder=folder,
            tell=tell,
            steps=watched,
            limiter=limiter,
            record=record,
            provenance=provenance,
        )
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

    hands: Hands
    folder: Path
    tell: Tell
    steps: Steps
    limiter: trio.CapacityLimiter
    record: Record
    provenance: Provenance
    looked: dict[int, tuple[Seen, Facts]] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)
    written_at: float = field(default_factory=trio.current_time)
    unwritten: bool = False

    async def do(self, sources: Sequence[Source], aspect_ratio: str) -> Summary:
        """Look at all, then decide the form, then make what differs. Raises OSError."""
        try:
            summary = await self._done(sources, aspect_ratio)
        except BaseException:
            if self.unwritten:
                with suppress(OSError):
                    self._write()
            raise
        if self.unwritten:
            self._write()
        return summary

    async def _done(self, sources: Sequence[Source], aspect_ratio: str) -> Summary:
        removed = self._clear(sources)
        self.steps.begin("reading", len(sources))
        await self._each(sources, self._look)
        wanted = choose_format([facts for _, facts in self.looked.values()], aspect_ratio) if self.looked else None
        if wanted is not None:

            async def make(source: Source) -> str:
                return await self._make(source, wanted)

            readable = [source for source in sources if source.number in self.looked]
            self.steps.begin("conforming", len(readable))
            await self._each(readable, make)
        for number in self.failed:  # an older version would no longer be the shot's clip
            (self.folder / clip_name(number)).unlink(missing_ok=True)
        done = self.failed.union(self.made)
        kept = [source.number for source in sources if source.number not in done]
        return Summary(form=wanted, made=sorted(self.made), kept=kept, removed=removed)

    def _clear(self, sources: Sequence[Source]) -> list[str]:
        """Remove strays; the names of the clips among them."""
        strays = _strays(self.folder, sources)
        for path in strays:
            with failpoints.failpoint("conformed.unlink"):
                path.unlink()
        self._forget(self.record.clips.keys() - {source.number for source in sources})
        return [path.name for path in strays if not path.name.startswith(".")]

    async def _each(self, sources: Iterable[Source], act: Callable[[Source], Awaitable[str]]) -> None:
        """Do it for all, side by side; one that can't be done keeps no other from it."""

        async def one(source: Source) -> None:
            async with self.limiter:
                said = ""
                try:
                    said = await act(source)
                except (MediaError, OSError) as exc:
                    self.failed.add(source.number)
                    self.tell(
                        source.number, f"{source.path.name} can't be conformed: {why_not_made(exc, source.number)}"
                    )
                self.steps.step(source.number, said)

        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(one, source)

    async def _look(self, source: Source) -> str:
        before = self.record.clips.get(source.number)
        if before and (seen := seen_already(source.path, before.source)) is not None:
            self.looked[source.number] = seen, before.facts
            return ""
        found = await self.hands.do(Look(path=source.path, probed=True))
        seen = Seen(size_bytes=found.size_bytes, mtime_ns=found.mtime_ns, sha256=found.sha256)
        if before and before.source.sha256 == seen.sha256:
            self.looked[source.number] = seen, before.facts
            return ""
        refuse(found)
        assert found.facts is not None, "BUG: a video without facts"
        self.looked[source.number] = seen, found.facts
        return ""

    async def _make(self, source: Source, wanted: TargetFormat) -> str:
        """What there is to say about it."""
        seen, facts = self.looked[source.number]
        before = self.record.clips.get(source.number)
        if before and before.source.sha256 == seen.sha256 and self._is_made(before, source, wanted):
            if before.source != seen:
                self._note(source.number, before.model_copy(update={"source": seen}))
            return ""
        if not length.long_enough(source.duration_s, facts.duration_s):
            had = f"has {facts.duration_s:.2f} s of {source.duration_s:g} s"
            self.tell(source.number, f"{source.path.name} {had}; it is used as long as it is")
        frames = _frames(source, facts, wanted)
        final = self.folder / clip_name(source.number)
        part, mark = final.with_name(f".{final.name}.part"), self.provenance.mark(source.made_by)
        job = Encode(source=source.path, part=part, clip=facts, form=wanted, frames=frames, mark=mark)
        try:
            made = await self.hands.do(job)
            refuse(made)
            for text in await self.provenance.of_clip(
                part, source.path, source.number, final.name, source.made_by, source.details
            ):
                self.tell(source.number, text)
            publish(part, final)
        finally:
            part.unlink(missing_ok=True)
        entry = Entry(
            source=seen,
            facts=facts,
            form=str(wanted),
            frames=frames,
            duration_s=wanted.duration_s(frames),
            made_by=source.made_by,
            provenance=self.provenance.inputs(source.made_by, source.details),
            output=await self._written(final, made),
        )
        self._note(source.number, entry)
        self.made.append(source.number)
        return "conformed"

    async def _written(self, final: Path, made: Made) -> Seen:
        """A file that was just made; who made it may have hashed it, and then nobody has signed it since."""
        stat = final.stat()
        if made.sha256 and made.size_bytes == stat.st_size and self.provenance.identity is None:
            return Seen(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=made.sha256)
        return await trio.to_thread.run_sync(see, final)

    def _is_made(self, before: Entry, source: Source, wanted: TargetFormat) -> bool:
        return _is_made(before, source, wanted, self.folder, self.provenance)

    def _note(self, number: int, entry: Entry) -> None:
        """Write down what is done as the work goes on: an interrupted run has not worked in vain."""
        self.record.clips[number], self.unwritten = entry, True
        if trio.current_time() - self.written_at >= NOTED_S:
            self._write()

    def _forget(self, numbers: Collection[int]) -> None:
        known = self.record.clips.keys() & numbers
        for number in known:
            del self.record.clips[number]
        if known:
            self._write()

    def _write(self) -> None:
        self.record.clips, self.unwritten = dict(sorted(self.record.clips.items())), False
        self.written_at = trio.current_time()
        atomic.write_whole(self.folder / RECORD, self.record.model_dump_json(indent=1).encode())
