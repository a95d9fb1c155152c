"""`doit collect`: jobs and clips that no shot of the list wants any more."""

from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.errors import ClipFailed, LedgerError
from vgen.plan.decision import File
from vgen.production.clip_files import is_as_seen
from vgen.store.takes import remove_clip

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.production.run import Run


def _begin(session: "Session") -> Action:
    async def collect() -> None:
        from vgen.production import make

        plan = session.plan
        if not plan.orphans and not plan.departed:
            return
        run = session.run
        try:
            run.start()
            for name, file in plan.departed.items():
                _remove(run, name, file)
        except (LedgerError, OSError) as exc:
            run.stop_buying(str(exc))
            raise ClipFailed(str(exc)) from exc
        await make.collect_all(run, plan.orphans)

    return collect


def _remove(run: "Run", name: str, file: File) -> None:
    """A clip whose shot has left the list; its take is kept."""
    placed = run.ledger.placed(name)
    if file is File.EDITED or not is_as_seen(run.outputs, name, run.intent.seen.get(name), placed, None):
        text = f"{name} belongs to no shot any more; kept, because it was edited by hand"
        run.say(None, text, event="left")
        return
    remove_clip(run.outputs.clips / name)
    run.ledger.unplace(name)
    if file is not File.MISSING:
        run.say(None, f"{name} removed: its shot has left the list (its take is kept)", event="removed")


def nothing_left_over(session: "Session") -> bool:
    """Whether every job and every clip belongs to a shot."""
    plan = session.plan
    return not plan.orphans and all(file is File.EDITED for file in plan.departed.values())


COMMAND = Command(
    name="collect",
    doc="bring home jobs that no shot wants any more; remove clips whose shot has left the list",
    begin=_begin,
    builds=True,
    is_current=nothing_left_over,
    after_failures=True,
    soft=True,
)
