"""`doit settle`: write down what the user found out about an uncertain purchase."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems
from vgen.errors import ClipFailed
from vgen.providers import CODECS
from vgen.providers.base import JOB_ID
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session

EXAMPLE = "doit settle shot=2 as=charged"


def _check(variables: Mapping[str, str]) -> list[str]:
    word = variables.get("as", "")
    problems = list(shot_problems(variables, EXAMPLE))
    if not re.fullmatch(JOB_ID, word):
        problems.append(f"as={word}: say charged, not-charged, or the id of the job that you found")
    return problems


def _begin(session: "Session") -> Action:
    shot, word = shot_number(session.variables), session.variables["as"]

    async def settle() -> None:
        """Raises ClipFailed if the shot has no uncertain purchase."""
        from vgen.production import reconcile

        async with session.open(online=False) as run:
            rows = run.ledger.uncertain(simulated=run.settings.simulated)
            request = next((one for one in session.workspace.requests if one.number == shot), None)
            mine = [row for row in rows if (request.matches(row) if request else row.shot_number == shot)]
            if not mine:
                terminal.line(shot, "has no uncertain purchase")
                raise ClipFailed("nothing to settle")
            codec = CODECS[run.settings.protocol_of(mine[0].provider, mine[0].base_url)]
            terminal.line(shot, reconcile.settle(run.ledger, mine[0], word, codec))

    return settle


COMMAND = Command(
    name="settle",
    doc="write down what you found out about an uncertain purchase: shot=2 as=charged (not-charged, or a job id)",
    usage=((EXAMPLE, "write down what you found out: charged, not-charged, a job id"),),
    variables=("shot", "as"),
    example=EXAMPLE,
    check=_check,
    begin=_begin,
)
