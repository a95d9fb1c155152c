"""`doit note`: a remark of the user's on a shot, for gallery, clips.json and timeline. Buys nothing."""

from collections.abc import Mapping

from vgen.cli import choices
from vgen.cli.command import Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems

EXAMPLE = 'doit note shot=7 text="slower"'


def _check(variables: Mapping[str, str]) -> list[str]:
    problems = list(shot_problems(variables, EXAMPLE))
    if "text" not in variables:
        problems.append(f"text=: say it, as in `{EXAMPLE}`; an empty text removes the note")
    return problems


COMMAND = Command(
    name="note",
    doc='write a remark on a shot, free: shot=7 text="slower" (an empty text removes it)',
    usage=((EXAMPLE, "write a remark on a shot, free"),),
    variables=("shot", "text"),
    example=EXAMPLE,
    check=_check,
    begin=lambda session: choices.note(session, shot_number(session.variables), session.variables["text"]),
)
