"""A command as somebody would add it: one module with a `COMMAND`."""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def count() -> None:
        terminal.out(f"{len(session.plan.steps)} shots, {session.variables.get('mood', 'no mood')}")

    return count


COMMAND = Command(
    name="count",
    doc="how many shots there are",
    usage=(("doit count", "how many shots there are"),),
    variables=("mood",),
    begin=_begin,
    needs_lock=False,
)
