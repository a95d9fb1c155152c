"""`doit gallery`: one page that shows every shot; draws the poster frames that are missing."""

import contextlib
import itertools
import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vgen.cli import elsewhere, reporting
from vgen.cli.command import Action, Command
from vgen.cli.live import working
from vgen.errors import ClipFailed, LedgerError, Refusal
from vgen.media import length
from vgen.media.length import Piece
from vgen.plan.decision import File
from vgen.production.workspace import View
from vgen.store import atomic
from vgen.store.database import commits
from vgen.store.outputs import clip_name
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.media.hands import Hands
    from vgen.views.gallery import Film, Page

MAX_POSTERS = 600
"""Films on one page that get a poster frame of their own, at up to 15 KB each."""
MAX_THUMBNAILS = 600
"""Pictures that shots are made from, at up to 8 KB each."""


def gather(session: "Session") -> "Page":
    """The page as the production is now."""
    from vgen.views import gallery_page

    entries, gates, whole = reporting.reported(session)
    notes = [str(text) for text in whole.pop("left_over")]
    del whole  # it holds the entries too
    view = session.view()
    title, pieces = session.workspace.root.resolve().name, _pieces(view)
    return gallery_page.gather(
        view.plan,
        view.snapshot,
        entries,
        gates,
        notes,
        title=title,
        advice=session.advice,
        film_s=length.film_s([piece for piece in pieces if piece is not None]),
        slated_s=length.film_s([piece or slate for piece, slate in zip(pieces, _slates(view), strict=True)]),
    )


def _slates(view: View) -> list[Piece]:
    """What `doit cut slates=yes` has for each shot if its clip is missing."""
    return [Piece(shot_s=step.request.shot.duration_s, clip_s=None, fps=None) for step in view.plan.steps]


def _pieces(view: View) -> list[Piece | None]:
    """The clips in place as `doit cut` would join them, by what is known of them: no file is opened. None: no clip."""
    found: list[Piece | None] = []
    for step in view.plan.steps:
        if step.file not in (File.INTACT, File.EDITED):
            found.append(None)
            continue
        placed = view.snapshot.placed.get(clip_name(step.number))
        take = view.snapshot.takes.get(placed.purchase_id) if placed and step.file is File.INTACT else None
        if take is not None:
            clip_s, fps = take.duration_s, take.fps
        else:  # somebody's own file; one that vgen never looked at counts as long as its shot
            facts = json.loads((placed.facts if placed else None) or "{}")
            clip_s, fps = facts.get("duration_s"), facts.get("fps")
        found.append(Piece(shot_s=step.request.shot.duration_s, clip_s=clip_s, fps=fps))
    return found


def is_current(session: "Session") -> bool:
    """Whether the page on disk shows the production as it is."""
    from vgen.views import gallery

    if session.workspace.problems:
        return False
    stated, now = _stated(session.workspace.outputs.gallery), commits(session.workspace.outputs.ledger)
    if stated is None or stated != gallery.digest(gather(session)):
        return False
    session.current.add("gallery")
    session.reported.true_at["gallery"] = now
    return True


def _stated(page: Path) -> str | None:
    """The digest that the page on disk was rendered with."""
    from vgen.views import gallery

    try:
        with page.open(encoding="utf-8") as file:
            return gallery.stated_digest(file.read(gallery.HEAD_CHARS))
    except (OSError, UnicodeDecodeError):
        return None


async def write(session: "Session", *, draw: bool = True) -> None:
    """Make the page anew, unless it is current. Raises ClipFailed; why was told.

    `draw`: whether poster frames that are missing are drawn. A page without them says that it is not finished.
    """
    try:
        now = commits(session.workspace.outputs.ledger)
        await _write(session, draw=draw)
    except (OSError, LedgerError, Refusal) as exc:
        what = exc.strerror if isinstance(exc, OSError) else exc
        terminal.line(None, f"vgen can't write the gallery: {what}; make room and run again")
        raise ClipFailed("no gallery") from exc
    session.reported.true_at["gallery"] = now
    if draw:
        session.current.add("gallery")


async def _write(session: "Session", *, draw: bool) -> None:
    from vgen.views import gallery

    page = gather(session)
    outputs = session.workspace.outputs
    target = outputs.gallery
    if _stated(target) == gallery.digest(page):
        return
    drawn, small = drawn_before(target)
    wanted = dict(itertools.islice(page.films.items(), MAX_POSTERS))
    drawn = {**_drawn_in_checks(outputs.posters, [digest for digest in wanted if digest not in drawn]), **drawn}
    posters = {digest: drawn[digest] for digest in wanted if digest in drawn}
    tools = session.services.tools(session.workspace.ready) if draw else None
    if tools is not None:  # without ffmpeg, clips show their first frames
        hands = await elsewhere.hands(session, tools)
        await _draw(hands, outputs.root, {d: film for d, film in wanted.items() if d not in drawn}, posters)
    outputs.root.mkdir(parents=True, exist_ok=True)
    shown = list(itertools.islice(page.thumbnails, MAX_THUMBNAILS))
    missing = [name for name in shown if name not in small]
    if draw and missing:
        from vgen.cli import thumbnails

        small |= await thumbnails.draw(session, missing)
    pictures = {name: small[name] for name in shown if name in small}
    unfinished = not draw and (len(posters) < len(wanted) or len(pictures) < len(shown))
    html = gallery.pieces(page, posters, pictures, unfinished=unfinished)
    atomic.write_whole(target, (piece.encode() for piece in html))
    _clear(outputs.posters)


def _drawn_in_checks(folder: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """Poster frames that the checks of clips left behind. They are in the page from now on."""
    found = {}
    for digest in wanted if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            found[digest] = (folder / f"{digest}.jpg").read_bytes()
    return {
        digest: data for digest, data in found.items() if data.startswith(b"\xff\xd8") and data.endswith(b"\xff\xd9")
    }


def _clear(folder: Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)


def drawn_before(page: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Poster frames and thumbnails that are in the page already."""
    from vgen.views import gallery, gallery_pictures

    try:
        with page.open(encoding="utf-8") as old:
            posters = gallery.posters(old)
            old.seek(0)
            return posters, gallery_pictures.kept(old)
    except (OSError, UnicodeDecodeError):
        return {}, {}


async def _draw(hands: "Hands", root: Path, films: "Mapping[str, Film]", into: dict[str, bytes]) -> None:
    """Poster frames, one process a core; as many as there is room for elsewhere."""
    import trio

    from vgen.media.hands import Poster

    limiter = trio.CapacityLimiter(hands.at_once)

    async def one(digest: str, film: "Film") -> None:
        async with limiter:
            found = (await hands.do(Poster(clip=root / film.path))).picture
        if found is not None:
            into[digest] = found
        work.step()

    if not films:
        return
    what = "drawing poster frames for the gallery"
    async with working(what, len(films), steps="frames") as work, trio.open_nursery() as nursery:
        for digest, film in films.items():
            nursery.start_soon(one, digest, film)


def _begin(session: "Session") -> Action:
    async def write_page() -> None:
        await write(session)

    return write_page


COMMAND = Command(
    name="gallery",
    doc="gallery.html: every shot with its clip, takes, money and reasons",
    begin=_begin,
    builds=True,
    targets=lambda outputs: [outputs.gallery],
    is_current=is_current,
    task_dep=("report",),
    after_failures=True,
)
