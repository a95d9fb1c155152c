"""`doit lock`: the clip of a shot stays as it is, whatever changes, until `doit unlock`. Buys nothing."""

from vgen.cli import choices
from vgen.cli.command import Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems

EXAMPLE = "doit lock shot=7"

COMMAND = Command(
    name="lock",
    doc="keep the clip of a shot as it is, whatever changes, free: shot=7",
    usage=((EXAMPLE, "keep a clip as it is, whatever changes, free"),),
    variables=("shot",),
    example=EXAMPLE,
    check=lambda variables: list(shot_problems(variables, EXAMPLE)),
    begin=lambda session: choices.lock(session, shot_number(session.variables)),
)
