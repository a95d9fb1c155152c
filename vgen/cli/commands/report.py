"""`doit report`: clips.json and production_report.json, and the judgement of the gates."""

from typing import TYPE_CHECKING

from vgen.cli import reporting
from vgen.cli.command import Action, Command
from vgen.errors import ClipFailed
from vgen.views import terminal, words

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def write() -> None:
        entries, gates = reporting.write_report(session)
        told = words.end_lines(gates, entries, session.plan)
        for text in told:
            terminal.line(None, text, "summary")
        failed = [gate.name for gate in gates if not gate.passed]
        reporting.announce_end(session, "gate" if failed else "end", "; ".join(told), entries)
        if failed:
            raise ClipFailed(f"gates failed: {', '.join(failed)}")
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
