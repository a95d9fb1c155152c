"""`doit unlock`: the clip of a locked shot may change again. Buys nothing."""

from vgen.cli import choices
from vgen.cli.command import Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems

EXAMPLE = "doit unlock shot=7"

COMMAND = Command(
    name="unlock",
    doc="let the clip of a locked shot change again, free: shot=7",
    usage=((EXAMPLE, "let a locked clip change again, free"),),
    variables=("shot",),
    example=EXAMPLE,
    check=lambda variables: list(shot_problems(variables, EXAMPLE)),
    begin=lambda session: choices.unlock(session, shot_number(session.variables)),
)
