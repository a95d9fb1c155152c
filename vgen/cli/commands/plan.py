"""`doit plan`: what a run would do, why, and for how much. Spends nothing."""

from typing import TYPE_CHECKING

from vgen.cli import unfinished
from vgen.cli.command import Action, Command
from vgen.plan import plan as planning
from vgen.plan import plan_json
from vgen.store.atomic import write_whole
from vgen.views import report, terminal, words

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def show() -> None:
        view, ready, outputs = session.view(), session.workspace.ready, session.workspace.outputs
        expected_s = planning.expected_s(view.plan, view.snapshot, ready.run.max_concurrent)
        for text in [*session.workspace.warnings, *words.plan_lines(view.plan, expected_s=expected_s)]:
            terminal.out(text)
        for text in unfinished.lines(view):
            terminal.out(text)
        for text in view.plan.impossible():
            terminal.out(f"can't be made: {text}")
        planned = plan_json.as_json(view.plan, expected=expected_s)
        terminal.data("plan", "the plan, as in plan.json", plan=planned)
        try:
            outputs.root.mkdir(parents=True, exist_ok=True)
            write_whole(outputs.plan_json, report.to_bytes(planned))
        except OSError as exc:
            terminal.out(f"plan.json can't be written: {exc.strerror}")

    return show


COMMAND = Command(
    name="plan",
    doc="what a run would do, why, and for how much; spends nothing",
    usage=(
        ("doit plan", "what would happen, why, for how much; spends nothing"),
        ("doit plan=outputs/plan.json", "work exactly that plan, or refuse if anything drifted"),
    ),
    begin=_begin,
    needs_lock=False,
)
