"""An edit decision list (CMX 3600) of a film's conformed clips. Needs no package.

opentimelineio's writer is not used: its reels come from eight characters of a file name, so that takes of two shots get
one reel, it leaves out the start time, and a line break in a name adds an event.
"""

from collections.abc import Iterator
from urllib.parse import unquote

from vgen.views.timeline import Film, Shot, one_line, timecode


def render(film: Film) -> bytes:
    """The file as it is written, in UTF-8. Shots without a conformed clip are black."""
    return ("\n".join(_lines(film)) + "\n").encode()


def _lines(film: Film) -> Iterator[str]:
    yield f"TITLE: {one_line(film.title)}"
    yield "FCM: NON-DROP FRAME"
    for event, (at, shot) in enumerate(film.placed(), start=1):
        yield ""
        yield from _event(event, film.start + at, shot, film)


def _event(event: int, at: int, shot: Shot, film: Film) -> Iterator[str]:
    media = shot.conformed
    reel, channel = (shot.reel, "AA/V" if media.has_sound else "V") if media else ("BL", "V")
    times = " ".join(timecode(frame, film.nominal) for frame in (0, shot.frames, at, at + shot.frames))
    yield f"{event:03d}  {reel:<8} {channel:<5} C        {times}"
    yield f"* FROM CLIP NAME: {one_line(media.name) if media else shot.remark}"
    if media:
        yield f"* SOURCE FILE: {one_line(unquote(media.url))}"
    yield f"* LOC: {timecode(at, film.nominal)} {'GREEN' if media else 'RED':<7} {shot.remark}"
    yield f"* COMMENT: {one_line(shot.prompt)}"
    if shot.note:
        yield f"* LOC: {timecode(at + min(1, shot.frames - 1), film.nominal)} YELLOW  {shot.noted}"
        yield f"* COMMENT: {one_line(shot.note)}"
    if shot.caption:
        yield f"* CAPTION: {one_line(shot.caption)}"
    if film.simulated and media:
        yield "* SIMULATED by vgen"
