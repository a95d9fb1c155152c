"""Thumbnails for the gallery of what shots are made from, drawn once each: files, data: URIs, frames of other shots.

A picture on the web has none: vgen opens no address.
"""

import hashlib
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
    found: dict[str, bytes] = {}
    for one in _once(session, wanted):
        try:
            found[name_of(one.key)] = await _drawn(session, one)
        except (InputError, MediaError, NotJudged, ToolMissing, OSError):
            continue  # its words are shown
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
    workspace = session.workspace
    takes = session.view().snapshot.takes.values()
    path = next((workspace.outputs.root / take.path for take in takes if take.sha256 == sha256), None)
    if path is None or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise FileNotFoundError(sha256)
    made = await session.services.frame(workspace.ready, path, source.at, workspace.outputs.frames, sha256)
    return made.read_bytes()
