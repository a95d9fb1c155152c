"""`doit audit`: recompute every figure from raw rows and files; with keys, compare with the providers' own."""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.cli.live import working
from vgen.errors import ClipFailed, LedgerUnfit
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def audit() -> None:
        """Raises ClipFailed if anything differs."""
        from vgen.production import reconcile
        from vgen.store.audit import differences, report_is_behind
        from vgen.store.freshness import refuse_unfit

        root, simulated = session.workspace.outputs.root, session.workspace.ready.simulated
        found = list(differences(root, simulated=simulated))
        try:
            refuse_unfit(session.workspace.outputs, thorough=True)
        except LedgerUnfit as exc:
            found.append(str(exc))
        else:
            if not simulated:
                async with session.open(online=True) as run, working("asking what jobs cost", steps="jobs") as work:
                    found += [text async for text in reconcile.overcharges(run, work.of)]
        if report_is_behind(root, simulated=simulated):
            terminal.out("production_report.json is older than the last purchase; `doit -s report` writes it again")
        for text in found:
            terminal.out(f"DIFFERS  {text}")
        if found:
            raise ClipFailed(f"{len(found)} differences")
        terminal.out("all figures add up")

    return audit


COMMAND = Command(
    name="audit",
    doc="recompute every figure from raw rows and files; with keys, compare with the providers' own",
    usage=(("doit audit", "recompute every figure"),),
    begin=_begin,
    needs_lock=False,
    bears_unfit_ledger=True,
)
