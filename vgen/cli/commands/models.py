"""`doit models`: what can be named as `model` where a protocol has a table of models, and what it takes. Offline."""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.inputs import own_models
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    root, word = session.workspace.root, session.variables.get("find", "").lower()
    found = [(table, own_models.load(root, table)) for _, table in own_models.tables()]

    async def show() -> None:
        for table, own in found:
            lines = [f"{model}: {text}" for model, text in table.listed(own) if word in model.lower()]
            for line in lines:
                terminal.out(line)
            terminal.out(f"{len(lines)} listed, of {table.as_of()}, and {len(own)} of {table.own_file}")
            if not lines:
                terminal.out("`doit learn model=ID` asks for one that is not listed")

    return show


COMMAND = Command(
    name="models",
    doc="the models of fal: what each takes and costs; find=kling",
    usage=(("doit models find=kling", "models of fal: what they take and cost"),),
    variables=("find",),
    begin=_begin,
    needs_lock=False,
    bears_problems=True,
    bears_unfit_ledger=True,
)
