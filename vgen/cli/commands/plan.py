"""`doit plan`: what a run would do, why, and for how much. Spends nothing."""

from typing import TYPE_CHECKING

from vgen.cli import finished, unfinished
from vgen.cli.command import Action, Command
from vgen.plan import plan as planning
from vgen.plan import plan_json
from vgen.store.atomic import keep_or_write
from vgen.views import report, terminal, words

if TYPE_CHECKING:
    from vgen.cli.session import Session


def _begin(session: "Session") -> Action:
    async def show() -> None:
        view, ready, outputs = session.view(), session.workspace.ready, session.workspace.outputs
        expected_s = planning.expected_s(view.plan, view.snapshot, ready.run.max_concurrent)
        lines = [*session.workspace.warnings, *words.plan_lines(view.plan, expected_s=expected_s)]
        lines += unfinished.lines(view)
        lines += [f"can't be made: {text}" for text in view.plan.impossible()]
        for text in lines:
            terminal.out(text)
        planned = plan_json.as_json(view.plan, expected=expected_s)
        terminal.data("plan", "the plan, as in plan.json", plan=planned)
        try:
            outputs.root.mkdir(parents=True, exist_ok=True)
            data = report.to_bytes(planned)
            keep_or_write(outputs.plan_json, data)
        except OSError as exc:
            terminal.out(f"plan.json can't be written: {exc.strerror}")
        else:
            finished.record_plan(session, "".join(map(terminal.shown, lines)), data)

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
