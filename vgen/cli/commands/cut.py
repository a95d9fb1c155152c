"""`doit conform` and `doit cut` of one project: the clips that are there, made uniform and joined. Buys nothing."""

import contextlib
from typing import Any

from vgen.errors import ClipFailed
from vgen.media import conform
from vgen.media.cut import cut, cut_is_current
from vgen.plan.decision import File
from vgen.production.workspace import Project
from vgen.views import terminal


def is_conformed(project: Project) -> bool:
    """Whether all clips in place lie uniform in their folder."""
    return conform.is_current(_sources(project), project.outputs.conformed, project.ready.run.aspect_ratio)


async def make_uniform(project: Project) -> None:
    """Conform what is not. Raises a VgenError."""
    outputs, ratio = project.outputs, project.ready.run.aspect_ratio
    done = await conform.conform(_tools(project), _sources(project), outputs.conformed, ratio, tell=terminal.line)
    form = f", all {done.form.width}x{done.form.height} at {float(done.form.fps):g} fps" if done.form else ""
    terminal.line(None, f"conformed {len(done.made)} of {len(done.made) + len(done.kept)} clips{form}")


def is_cut(project: Project) -> bool:
    """Whether the cut is of the clips that are there now."""
    return is_conformed(project) and cut_is_current(project.outputs.conformed, project.outputs.cut, _numbers(project))


async def join(project: Project) -> None:
    """Join the uniform clips. Raises a VgenError."""
    outputs, numbers = project.outputs, _numbers(project)
    comment = "SIMULATED by vgen" if project.ready.simulated else ""
    made = await cut(_tools(project), outputs.conformed, outputs.cut, numbers, tell=terminal.line, comment=comment)
    what = f"{len(made.numbers)} of {len(numbers)} shots, {made.duration_s:.3f} s"
    terminal.line(None, f"{project.relative(outputs.cut)}: {what}")


def clean(project: Project, *, dryrun: bool) -> None:
    """Remove the uniform clips, and nothing of anybody else's."""
    folder = project.outputs.conformed
    if ours := conform.made_in(folder):
        terminal.out(f"{project.relative(folder)} - removing {len(ours)} files")
    for path in () if dryrun else ours:
        path.unlink(missing_ok=True)
    if not dryrun and folder.is_dir() and not folder.is_symlink():
        with contextlib.suppress(OSError):  # something of somebody else's is in it
            folder.rmdir()


def _sources(project: Project) -> list[conform.Source]:
    """The clips that are in place, whether they are stale or not."""
    return [
        conform.Source(
            number=step.number, path=project.outputs.clip(step.number), duration_s=step.request.shot.duration_s
        )
        for step in project.plan().steps
        if step.file in (File.INTACT, File.EDITED)
    ]


def _numbers(project: Project) -> list[int]:
    return [step.number for step in project.plan().steps]


def _tools(project: Project) -> Any:
    """ffmpeg and ffprobe. Raises ClipFailed, which says how to get them."""
    found = project.outside.tools(project.ready)
    if found is None:
        raise ClipFailed("no ffmpeg; `doit doctor` says how to get it")
    return found
