"""`doit report`: clips.json and production_report.json, and the judgement of the gates."""

from typing import TYPE_CHECKING

from vgen.cli import reporting
from vgen.cli.command import Action, Command
from vgen.errors import ClipFailed

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def write() -> None:
        end = reporting.write_report(session)
        session.judges = True
        if end.gates:
            raise ClipFailed(f"gates failed: {'; '.join(end.gates)}")
        session.current.add("report")

    return write


def _is_current(session: "Session") -> bool:
    if session.workspace.problems or not reporting.is_current(session):
        return False
    session.current.add("report")
    return True


COMMAND = Command(
    name="report",
    doc="clips.json and production_report.json; fails if a quality gate fails",
    usage=(("doit report, doit gallery", "rewrite them (stale clips are built first; not with -s)"),),
    begin=_begin,
    builds=True,
    targets=lambda outputs: [outputs.clips_json, outputs.report_json],
    is_current=_is_current,
    task_dep=("clip", "collect"),
    after_failures=True,
)
