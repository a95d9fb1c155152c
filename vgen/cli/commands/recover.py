"""`doit recover`: rebuild a ledger that is gone or too old, look for lost orders at the providers, adopt them.

Buys nothing. The rebuilding is done when the lock is taken, before anything else looks at the ledger.
"""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.live import working
from vgen.money import show
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def look() -> None:
        from vgen.production import reconcile

        async with session.open(online=True) as run:
            rows = run.ledger.uncertain(simulated=run.settings.simulated)
            lost = run.ledger.lost(simulated=run.settings.simulated)
            session.worked = bool(rows or lost)
            if not rows and not lost and not session.workspace.notes:
                terminal.out("nothing is uncertain")
            async with working("asking about lost orders", len(rows) + len(lost), steps="orders") as work:
                for row in rows:
                    finding = await reconcile.look(run, row, may_release=True)
                    work.step()
                    text = f"shot {row.shot_number}, {show(row.price)} at {row.provider}: {finding.text}"
                    terminal.out(f"{work.count}{text}")
                for row in lost:
                    text = f"shot {row.shot_number}, {row.provider}: {await reconcile.look_again(run, row)}"
                    work.step()
                    terminal.out(f"{work.count}{text}")

    return look


COMMAND = Command(
    name="recover",
    doc="rebuild a lost ledger; look for lost jobs at the providers and adopt them; buys nothing",
    usage=(("doit recover", "look for lost orders at the providers, free"),),
    begin=_begin,
)
