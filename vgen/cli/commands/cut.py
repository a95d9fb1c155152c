"""`doit cut`: the conformed clips joined into outputs/cut.mp4. Buys nothing."""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.commands import conform, credentials
from vgen.cli.live import working
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    """Raises InputError if the certificate to sign with is no good."""
    provenance = credentials.ready(session)

    async def join() -> None:
        """Raises a VgenError."""
        from vgen.media import cut

        outputs, numbers = session.workspace.outputs, _numbers(session)
        comment = "SIMULATED by vgen" if session.workspace.ready.simulated else ""
        tools = conform.tools(session)
        async with working(f"joining clips into {outputs.cut.name}"):
            made = await cut.cut(
                tools,
                outputs.conformed,
                outputs.cut,
                numbers,
                tell=terminal.line,
                comment=comment,
                provenance=provenance,
            )
        what = f"{len(made.numbers)} of {len(numbers)} shots, {made.duration_s:.3f} s"
        terminal.line(None, f"{session.workspace.relative(outputs.cut)}: {what}")
        if why := credentials.lacking(session):
            terminal.line(None, f"{outputs.cut.name} is {why}")

    return join


def _is_current(session: "Session") -> bool:
    """Whether the cut is of the clips that are there now."""
    from vgen.media import cut

    outputs, provenance = session.workspace.outputs, credentials.asked(session)
    return conform.is_current(session) and cut.cut_is_current(
        outputs.conformed, outputs.cut, _numbers(session), provenance
    )


def _numbers(session: "Session") -> list[int]:
    return [step.number for step in session.plan.steps]


COMMAND = Command(
    name="cut",
    doc="the conformed clips joined into outputs/cut.mp4; buys nothing",
    begin=_begin,
    targets=lambda outputs: [outputs.cut],
    is_current=_is_current,
    task_dep=("conform",),
    after_failures=True,
)
