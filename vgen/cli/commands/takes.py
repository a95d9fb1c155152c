"""`doit takes`: all takes of all shots, with their files."""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.plan import takes
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def show() -> None:
        view = session.view()
        found = list(takes.of_all(view.plan, view.snapshot))
        terminal.data("takes", "all takes of all shots", takes=list(takes.as_json(found)))
        for text in takes.lines(found):
            terminal.out(text)

    return show


COMMAND = Command(
    name="takes",
    doc="all takes of all shots, with their files",
    usage=(("doit takes", "all takes of all shots"),),
    begin=_begin,
    needs_lock=False,
)
