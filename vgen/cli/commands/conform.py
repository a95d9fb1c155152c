"""`doit conform`: uniform clips in outputs/conformed/, from the clips that are there. Buys nothing."""

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vgen.cli import elsewhere
from vgen.cli.command import Action, Command
from vgen.cli.commands import credentials
from vgen.cli.live import working
from vgen.errors import ClipFailed
from vgen.plan.decision import File
from vgen.store.outputs import clip_name
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.media.conform import Source
    from vgen.media.conform_record import Entry
    from vgen.media.target_format import TargetFormat
    from vgen.media.tools import Tools
    from vgen.plan.step import Step


def _begin(session: "Session") -> Action:
    """Raises InputError if the certificate to sign with is no good."""
    provenance = credentials.ready(session)

    async def make_uniform() -> None:
        """Raises a VgenError."""
        from vgen.media import conform

        folder, ratio = session.workspace.outputs.conformed, session.workspace.ready.run.aspect_ratio
        async with working("conforming") as work:
            found = tools(session)
            done = await conform.conform(
                found,
                _sources(session),
                folder,
                ratio,
                tell=terminal.line,
                steps=work,
                provenance=provenance,
                hands=await elsewhere.hands(session, found),
            )
        form = f", all {done.form.width}x{done.form.height} at {float(done.form.fps):g} fps" if done.form else ""
        terminal.line(None, f"conformed {len(done.made)} of {len(done.made) + len(done.kept)} clips{form}")
        if done.form and (why := credentials.lacking(session)):
            terminal.line(None, f"conformed clips are {why}")

    return make_uniform


def is_current(session: "Session") -> bool:
    """Whether all clips in place are uniform in their folder."""
    from vgen.media import conform

    folder, ratio = session.workspace.outputs.conformed, session.workspace.ready.run.aspect_ratio
    return conform.is_current(_sources(session), folder, ratio, credentials.asked(session))


def _clean(session: "Session", dryrun: bool) -> None:
    """Remove the uniform clips, and nothing of anybody else's."""
    from vgen.media import conform

    folder = session.workspace.outputs.conformed
    if ours := conform.made_in(folder):
        terminal.out(f"{session.workspace.relative(folder)} - removing {len(ours)} files")
    for path in () if dryrun else ours:
        path.unlink(missing_ok=True)
    if not dryrun and folder.is_dir() and not folder.is_symlink():
        with contextlib.suppress(OSError):  # something of somebody else's is in it
            folder.rmdir()


def _sources(session: "Session") -> "list[Source]":
    """The clips that are in place, whether they are stale or not."""
    from vgen.media.conform import Source

    outputs, wanted, view = session.workspace.outputs, session.workspace.ready.run.sign_details, session.view()

    def source(step: "Step") -> Source:
        placed = view.snapshot.placed.get(clip_name(step.number))
        row = view.snapshot.purchases.get(placed.purchase_id) if placed else None
        return Source(
            number=step.number,
            path=outputs.clip(step.number),
            duration_s=step.request.shot.duration_s,
            made_by=credentials.made_by(row, step.file),
            details=credentials.details(wanted, row, step.number),
        )

    return [source(step) for step in view.plan.steps if step.file in (File.INTACT, File.EDITED)]


def form_of(entries: "Iterable[Entry]", aspect_ratio: str) -> "TargetFormat | None":
    """The form of these conformed clips; None of none."""
    from vgen.media.target_format import choose_format

    facts = [entry.facts for entry in entries]
    return choose_format(facts, aspect_ratio) if facts else None


def tools(session: "Session") -> "Tools":
    """ffmpeg and ffprobe. Raises ClipFailed without them; how to get them was told."""
    found = session.services.tools(session.workspace.ready)
    if found is None:
        terminal.line(None, "no ffmpeg that works here; `doit doctor` says how to get it")
        raise ClipFailed("no ffmpeg")
    return found


COMMAND = Command(
    name="conform",
    doc="uniform clips in outputs/conformed/, from the clips that are there; buys nothing",
    usage=(("doit conform, doit cut", "uniform clips, and all of them in outputs/cut.mp4, free"),),
    begin=_begin,
    is_current=is_current,
    clean=_clean,
)
