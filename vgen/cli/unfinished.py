"""What is left of a `doit -a` that did not come to its end, in words: its clips, and the command that continues it."""

import contextlib
from typing import TYPE_CHECKING

from vgen.errors import VgenError
from vgen.plan import retakes
from vgen.plan.retakes import Places
from vgen.production.workspace import View
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def lines(view: View) -> list[str]:
    """One line for each -a that is not finished."""
    snapshot = view.snapshot
    requests = [step.request for step in view.plan.steps]
    places = Places(placed=snapshot.placed.get, purchase=snapshot.purchases.get)
    return [retakes.text(one) for one in retakes.standing(snapshot.retakes, requests, places)[0]]


def tell(session: "Session") -> None:
    """After a run with -a: what it could not bring."""
    with contextlib.suppress(VgenError):
        for text in lines(session.latest()):
            terminal.line(None, text)
