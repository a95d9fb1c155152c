"""The takes' own files: whole, or brought back from a clip that still holds the same bytes."""

from pathlib import Path
from typing import TYPE_CHECKING

from vgen.errors import ClipFailed
from vgen.media.hands import Outcome, Put
from vgen.media.offload import off_loop
from vgen.store import atomic
from vgen.store.records import Take
from vgen.store.takes import clip_part, make_read_only, place_clip

if TYPE_CHECKING:
    from vgen.production.run import Run


async def whole(run: "Run", take: Take, number: int) -> Path:
    """The file of a take of the shot `number`, with the bytes that were paid for.

    Raises ClipFailed if it was deleted or damaged and no clip holds them either.
    """
    master = run.outputs.root / take.path
    if master.exists() and await off_loop(take.size_bytes, atomic.sha256, master) == take.sha256:
        return master
    what = "damaged" if master.exists() else "deleted"
    for clip in run.outputs.clips.glob("*.mp4"):
        if clip.stat().st_size == take.size_bytes and atomic.sha256(clip) == take.sha256:
            place_clip(clip, master)
            make_read_only(master)
            return master
    anew = f"`doit -a clip:{number}`"
    if number in run.intent.locked:
        anew = f"`doit unlock shot={number}` and then {anew}"
    raise ClipFailed(f"its take {take.path} was {what}; put it back, or buy a new one with {anew}")


async def copied(run: "Run", take: Take, number: int, clip: Path) -> Path:
    """A copy of a take beside a clip, ready for its name. Raises ClipFailed as `whole` does, OSError."""
    master = run.outputs.root / take.path
    job = Put(take=master, part=clip_part(clip), sha256=take.sha256, size_bytes=take.size_bytes)
    while (await run.hands.do(job)).outcome is not Outcome.DONE:
        await whole(run, take, number)
    return job.part
