"""Thumbnails for the gallery of what shots are made from, drawn once each: files, data: URIs, frames of other shots.

A picture on the web has none: vgen opens no address.
"""

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from vgen.errors import InputError, MediaError, NotJudged, ToolMissing
from vgen.inputs.pictures import Frame, take_in
from vgen.plan.made_from import MadeFrom, made_from
from vgen.views.gallery_pictures import name_of

if TYPE_CHECKING:
    from vgen.cli.session import Session


async def draw(session: "Session", wanted: Collection[str]) -> dict[str, bytes]:
    """Name of a picture (gallery_pictures.PictureView.name) → JPEG, of those `wanted` that can be drawn.

    The caller holds the run lock: a frame that is drawn here is kept for the purchase that needs it.
    """
    import trio

    found: dict[str, bytes] = {}
    limiter = trio.CapacityLimiter(os.cpu_count() or 1)

    async def draw_one(one: MadeFrom) -> None:
        with contextlib.suppress(InputError, MediaError, NotJudged, ToolMissing, OSError):  # its words are shown
            async with limiter:
                found[name_of(one.key)] = await _drawn(session, one)

    async with trio.open_nursery() as nursery:
        for one in _once(session, wanted):
            nursery.start_soon(draw_one, one)
    return found


def _once(session: "Session", wanted: Collection[str]) -> Iterator[MadeFrom]:
    left = set(wanted)
    for step in session.view().plan.steps:
        if not left:
            return
        for one in made_from(step.request) if step.request.pictures else ():
            if one.key and name_of(one.key) in left:
                left.remove(name_of(one.key))
                yield one


async def _drawn(session: "Session", one: MadeFrom) -> bytes:
    import trio

    from vgen.inputs import images

    if not isinstance(one.source, Frame):
        return await trio.to_thread.run_sync(images.thumbnail, session.workspace.root, one.source, one.identity)
    content = await _frame(session, one.source, take_in(one.identity))
    return await trio.to_thread.run_sync(images.small, content, one.source)


async def _frame(session: "Session", source: Frame, sha256: str) -> bytes:
    """The frame of the take itself, as it goes to a provider. Raises as Services.frame, FileNotFoundError."""
    from vgen.media.frames import file_name

    workspace = session.workspace
    with contextlib.suppress(OSError):
        return (workspace.outputs.frames / file_name(sha256, source.at)).read_bytes()
    takes = session.view().snapshot.takes.values()
    path = next((workspace.outputs.root / take.path for take in takes if take.sha256 == sha256), None)
    if path is None or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise FileNotFoundError(sha256)
    made = await session.services.frame(workspace.ready, path, source.at, workspace.outputs.frames, sha256)
    return made.read_bytes()
