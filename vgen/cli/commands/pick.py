"""`doit pick`: the user's word which take serves a shot. Buys nothing."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vgen.cli import choices
from vgen.cli.command import Action, Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems

if TYPE_CHECKING:
    from vgen.cli.session import Session

EXAMPLE = "doit pick shot=7 take=2"


def _begin(session: "Session") -> Action:
    return choices.pick(session, shot_number(session.variables), session.variables["take"])


def _check(variables: Mapping[str, str]) -> list[str]:
    problems = list(shot_problems(variables, EXAMPLE))
    if "take" not in variables:
        problems.append(f"take=: say which, as in `{EXAMPLE}`; `doit takes` shows them")
    return problems


COMMAND = Command(
    name="pick",
    doc="put an earlier take of a shot in its place, free: shot=7 take=2",
    usage=((EXAMPLE, "put an earlier take in place, free"),),
    variables=("shot", "take"),
    example=EXAMPLE,
    check=_check,
    begin=_begin,
)
