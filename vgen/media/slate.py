"""A slate: a still that stands in a cut for a shot without a clip, as long as the shot, in the form of the clips."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import trio
from PIL import Image, ImageDraw

from vgen.media import length, lettering, target_format
from vgen.media.target_format import TargetFormat
from vgen.media.tools import Tools

UNIT_SIDE = 720  # px: sizes below are for this shorter side, and grow with it
BACKGROUND = (32, 34, 38)
_MARGIN, _TITLE, _WORDS = 60, 96, 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Slate:
    """What is written on it; `duration_s` is what its shot asks for."""

    title: str
    words: str
    duration_s: Decimal

    def frames(self, form: TargetFormat) -> int:
        return length.frames(self.duration_s, float(self.duration_s), form.fps)

    def facts(self, form: TargetFormat) -> str:
        """All that decides how it looks."""
        return f"slate {form} {self.frames(form)} {self.title!r} {self.words!r}"


async def render(tools: Tools, slate: Slate, form: TargetFormat, made: Path) -> None:
    """Draw it into `made`, silent. Raises MediaError, OSError."""
    still = made.with_name(f"{made.name}.rgb.part")
    try:
        picture = await trio.to_thread.run_sync(draw, slate, form)
        still.write_bytes(picture.tobytes())
        await target_format.hold(tools, still, made, form, slate.frames(form))
    finally:
        still.unlink(missing_ok=True)


def draw(slate: Slate, form: TargetFormat) -> Image.Image:
    """The title in the middle, the words below it."""
    picture = Image.new("RGB", (form.width, form.height), BACKGROUND)
    scale = min(form.width, form.height) / UNIT_SIDE
    margin, pen = round(_MARGIN * scale), ImageDraw.Draw(picture)
    title, small = lettering.face(_TITLE * scale), lettering.face(_WORDS * scale)
    across, middle = form.width - 2 * margin, form.height // 2
    top = middle - lettering.line_px(title)
    lettering.write(pen, (margin, top), [lettering.cut(lettering.legible(slate.title), title, across)], title)
    room = max(1, (middle - margin) // lettering.line_px(small))
    lettering.write(pen, (margin, middle), lettering.wrap(lettering.legible(slate.words), small, across, room), small)
    return picture
