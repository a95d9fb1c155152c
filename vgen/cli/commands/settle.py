"""`doit settle`: end an unfinished purchase by the user's word."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.commands.shot_variables import shot_number, shot_problems
from vgen.errors import ClipFailed
from vgen.inputs.wording import nearest
from vgen.providers import CODECS
from vgen.providers.base import JOB_ID
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session

WORDS = ("charged", "not-charged")
EXAMPLE = "doit settle shot=2 as=charged"


def _check(variables: Mapping[str, str]) -> list[str]:
    word = variables.get("as", "")
    problems = list(shot_problems(variables, EXAMPLE))
    if meant := "" if word in WORDS else nearest(word.lower(), WORDS, cutoff=0.7):
        problems.append(f"as={word}: say charged, not-charged, or the id of the job that you found{meant}")
    elif not re.fullmatch(JOB_ID, word):
        problems.append(f"as={word}: say charged, not-charged, or the id of the job that you found")
    return problems


def _begin(session: "Session") -> Action:
    shot, word = shot_number(session.variables), session.variables["as"]
    which = session.variables.get("job")

    async def settle() -> None:
        """Raises ClipFailed if the shot has no unfinished purchase, or several that may be meant."""
        from vgen.production import settling

        async with session.open(online=False) as run:
            rows = run.ledger.unfinished(simulated=run.settings.simulated)
            requests = [step.request for step in session.plan.steps]
            mine = settling.candidates(rows, shot, requests, which)
            if not mine:  # what ended, and is booked as charged because nobody said otherwise
                assumed = run.ledger.assumed(simulated=run.settings.simulated)
                mine = settling.candidates(assumed, shot, requests, which)
            if not mine:
                terminal.line(shot, f"has no unfinished purchase {which or ''}".rstrip())
                raise ClipFailed("nothing to settle")
            if len(mine) > 1:
                terminal.line(shot, f"has {len(mine)} unfinished purchases; say which")
                for text in settling.ambiguous(mine, shot):
                    terminal.line(shot, session.advice(text))
                raise ClipFailed("not settled")
            codec = CODECS[run.settings.protocol_of(mine[0].provider, mine[0].base_url)]
            terminal.line(shot, settling.settle(run.ledger, mine[0], word, codec))

    return settle


COMMAND = Command(
    name="settle",
    doc="end an unfinished purchase by your word: shot=2 as=charged (not-charged, or a job id)",
    usage=((EXAMPLE, "write down what you found out: charged, not-charged, a job id"),),
    variables=("shot", "as", "job"),
    example=EXAMPLE,
    check=_check,
    begin=_begin,
)
