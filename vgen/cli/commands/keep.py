"""`doit keep`: accept the present clip of a shot for its changed prompt. Buys nothing."""

from vgen.cli import choices
from vgen.cli.command import Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems

EXAMPLE = "doit keep shot=7"

COMMAND = Command(
    name="keep",
    doc="accept the present clip of a shot for its changed prompt, free: shot=7",
    usage=((EXAMPLE, "accept the present clip for the changed prompt, free"),),
    variables=("shot",),
    example=EXAMPLE,
    check=lambda variables: list(shot_problems(variables, EXAMPLE)),
    begin=lambda session: choices.keep(session, shot_number(session.variables)),
)
