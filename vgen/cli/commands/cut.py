"""`doit cut`: the conformed clips joined into outputs/cut.mp4. Buys nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.commands import conform, credentials
from vgen.cli.live import working
from vgen.errors import InputError
from vgen.inputs.variables import switch
from vgen.ranges import ranges
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.media.cut import Joined, Wishes

EXAMPLE = "doit cut audio=music.wav"


def _begin(session: "Session") -> Action:
    """Raises InputError."""
    problems, music = [], _music(session)
    if music is not None and not music.is_file():
        problems.append(f"audio={session.variables['audio']}: no such file; name one, as in `{EXAMPLE}`")
    if switch(session.variables.get("slates", "no")) is None:
        problems.append(f"slates={session.variables['slates']}: say yes or no, as in `doit cut slates=yes`")
    if problems:
        raise InputError(problems)
    provenance = credentials.ready(session)

    async def join() -> None:
        """Raises a VgenError."""
        from vgen.media import cut

        outputs, numbers, wishes = session.workspace.outputs, _numbers(session), _wishes(session)
        tools = conform.tools(session)
        async with working(f"joining clips into {outputs.cut.name}") as work:
            made = await cut.cut(
                tools,
                outputs.conformed,
                outputs.cut,
                numbers,
                wishes,
                tell=terminal.line,
                steps=work,
                provenance=provenance,
            )
        files = [session.workspace.relative(outputs.cut), *([outputs.subtitles.suffix] if wishes.captions else [])]
        terminal.line(None, f"{', '.join(files)}: {_told(made, len(numbers), wishes.music)}")
        if why := credentials.lacking(session):
            terminal.line(None, f"{outputs.cut.name} is {why}")

    return join


def _told(made: "Joined", total: int, music: Path | None) -> str:
    """`11 of 12 shots, a slate for shot 7, music from theme.wav, 44.000 s`."""
    parts = [f"{len(made.numbers)} of {total} shots"]
    if made.slates:
        few = len(made.slates) == 1
        parts.append(f"{'a slate' if few else 'slates'} for {'shot' if few else 'shots'} {ranges(made.slates)}")
    if music is not None:
        parts.append(f"music from {music.name}")
    return ", ".join((*parts, f"{made.duration_s:.3f} s"))


def _is_current(session: "Session") -> bool:
    """Whether the cut is of the clips that are there now."""
    from vgen.media import cut

    outputs = session.workspace.outputs
    return conform.is_current(session) and cut.cut_is_current(
        outputs.conformed, outputs.cut, _numbers(session), _wishes(session), credentials.asked(session)
    )


def _numbers(session: "Session") -> list[int]:
    return [step.number for step in session.plan.steps]


def _wishes(session: "Session") -> "Wishes":
    from vgen.media.cut import Wishes
    from vgen.media.slate import Slate

    ready, shots = session.workspace.ready, [step.request.shot for step in session.plan.steps]
    with_slates = switch(session.variables.get("slates", "no"))
    return Wishes(
        slates={
            shot.number: Slate(
                title=f"shot {shot.number}", words=shot.caption or shot.any_prompt, duration_s=shot.duration_s
            )
            for shot in shots
            if with_slates
        },
        captions={shot.number: shot.caption for shot in shots if shot.caption},
        subtitles=session.workspace.outputs.subtitles,
        music=_music(session),
        aspect_ratio=ready.run.aspect_ratio,
        comment="SIMULATED by vgen" if ready.simulated else "",
    )


def _music(session: "Session") -> Path | None:
    """The file that `audio=` names, relative to dodo.py; yes and no are about the sound of clips."""
    named = session.variables.get("audio", "no")
    return session.workspace.root / named if is_music(named) else None


def is_music(value: str) -> bool:
    """Whether `audio=` names a file."""
    return bool(value) and switch(value) is None


def _clean(session: "Session", dryrun: bool) -> None:
    """Remove the film and its subtitles."""
    outputs = session.workspace.outputs
    for path in (outputs.cut, outputs.subtitles):
        if path.is_file() and not path.is_symlink():
            terminal.out(f"{session.workspace.relative(path)} - removing file")
            if not dryrun:
                path.unlink()


COMMAND = Command(
    name="cut",
    doc="the conformed clips joined into outputs/cut.mp4; buys nothing",
    usage=(("doit cut slates=yes audio=FILE", "with a slate for each missing shot, and music under the film"),),
    variables=("slates",),
    shared={"audio": is_music},
    begin=_begin,
    targets=lambda outputs: [outputs.cut],
    is_current=_is_current,
    task_dep=("conform",),
    clean=_clean,
    after_failures=True,
)
