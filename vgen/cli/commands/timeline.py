"""`doit timeline`: the film for an editing program, as outputs/timeline.otio, .edl and .xml. Buys nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.errors import ClipFailed, ToolMissing
from vgen.store import atomic
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.views.timeline import Film

ENDINGS = (".otio", ".edl", ".xml")


def _begin(session: "Session") -> Action:
    async def write() -> None:
        """Raises ClipFailed; why was told."""
        from vgen.cli import timeline_film
        from vgen.views import timeline_edl, timeline_otio

        outputs, film = session.workspace.outputs, timeline_film.gather(session.workspace, session.view())
        try:
            atomic.make_directory(outputs.root)
            _write(outputs.timeline(".otio"), timeline_otio.render(film))
            _write(outputs.timeline(".edl"), timeline_edl.render(film))
            left_out = _write_xml(outputs.timeline(".xml"), film)
        except OSError as exc:
            terminal.line(None, f"the timeline can't be written ({exc.strerror}); put that right and run again")
            raise ClipFailed("no timeline") from exc
        there = sum(shot.active is not None for shot in film.shots)
        endings = ".otio, .edl" if left_out else ".otio, .edl, .xml"
        named = session.workspace.relative(outputs.timeline(""))
        terminal.line(None, f"{named}{endings}: {there} of {len(film.shots)} shots, {film.seconds:.3f} s")
        if left_out:
            terminal.line(None, f"{session.workspace.relative(outputs.timeline('.xml'))} was not written: {left_out}")

    return write


def _write(target: Path, data: bytes) -> None:
    """Unless it holds just that. Raises OSError."""
    if not _holds(target, data):
        atomic.write_whole(target, data)


def _holds(target: Path, data: bytes) -> bool:
    try:
        return target.read_bytes() == data
    except OSError:
        return False


def _write_xml(target: Path, film: "Film") -> str:
    """Why it was not written; "" if it was. Raises OSError."""
    from vgen.views import timeline_xml

    try:
        _write(target, timeline_xml.render(film))
    except ToolMissing as exc:
        return f"{exc}; the one there is an older film's" if target.exists() else str(exc)
    return ""


def _clean(session: "Session", dryrun: bool) -> None:
    """Remove the three files."""
    for ending in ENDINGS:
        path = session.workspace.outputs.timeline(ending)
        if path.is_file() and not path.is_symlink():
            terminal.out(f"{session.workspace.relative(path)} - removing file")
            if not dryrun:
                path.unlink()


COMMAND = Command(
    name="timeline",
    doc="the film for an editing program: outputs/timeline.otio, .edl and .xml, with all takes; buys nothing",
    usage=(("doit timeline", "the film for an editing program, with all takes, free"),),
    begin=_begin,
    task_dep=("conform",),
    clean=_clean,
    after_failures=True,
)
