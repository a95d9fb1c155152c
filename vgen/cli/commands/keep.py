"""`doit keep`: accept the present clip of a shot for its changed prompt. Buys nothing."""

from collections.abc import Mapping

from vgen.cli.command import Command
from vgen.cli.commands import pick
from vgen.cli.commands.shot_variables import shot_problems

EXAMPLE = "doit keep shot=7"


def _check(variables: Mapping[str, str]) -> list[str]:
    return list(shot_problems(variables, EXAMPLE))


COMMAND = Command(
    name="keep",
    doc="accept the present clip of a shot for its changed prompt, free: shot=7",
    usage=((EXAMPLE, "accept the present clip for the changed prompt, free"),),
    variables=("shot",),
    example=EXAMPLE,
    check=_check,
    begin=pick.begin,
)
