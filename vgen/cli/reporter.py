"""doit's reporters for vgen, and the words of plans and of a run's end. Decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from doit.exceptions import BaseFail
from doit.reporter import ConsoleReporter

from vgen.cli import noop
from vgen.money import show
from vgen.plan.decision import Action
from vgen.plan.plan import Plan
from vgen.redact import redact
from vgen.views import progress, terminal


class PlainReporter(ConsoleReporter):  # type: ignore[misc]
    """doit's reporter without the lines that the clips print themselves."""

    desc = "vgen's lines: what is bought, what came of it"
    secrets: tuple[str, ...] = ()

    def __init__(self, outstream: TextIO, options: Mapping[str, Any]) -> None:
        super().__init__(outstream, options)
        self._worked = 0
        self._clips = 0

    def write(self, text: str) -> None:
        terminal.write(redact(text, self.secrets))

    def execute_task(self, task: Any) -> None:
        """Silent: an action says what it does."""
        self._worked += bool(task.actions)

    def skip_uptodate(self, task: Any) -> None:
        """Silent, but counted."""
        self._clips += task.name.startswith("clip:")

    def skip_ignore(self, task: Any) -> None:
        self.write(f"{task.name}: ignored, as told (`doit forget {task.name}` ends that)\n")

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """A clip's failure was told by the clip."""
        if fail.report:
            super().add_failure(task, fail)

    def complete_run(self) -> None:
        super().complete_run()
        if not self._worked and not self.failures and not self.runtime_errors:
            self.write(f"{noop.summary(self._clips)}\n")


class JsonLinesReporter(PlainReporter):
    """The same events as JSON, one object a line (doit's own `json` prints one object at the end)."""

    desc = "vgen's events as JSON, one object a line"


def discreet(secrets: tuple[str, ...]) -> type[PlainReporter]:
    """The reporter of a project: a bug's traceback may hold anything, but none of its keys."""
    return type("PlainReporter", (PlainReporter,), {"secrets": secrets})


_WORDS = {
    Action.KEEP: "keep",
    Action.RESTORE: "put back",
    Action.COLLECT: "collect",
    Action.BUY: "buy",
    Action.SHARE: "share",
    Action.HELD: "HELD",
    Action.STOP: "stop",
}


def plan_lines(plan: Plan, *, expected_s: float) -> list[str]:
    """`doit plan` in words: a line a shot, then the money."""
    lines = []
    for step in plan.steps:
        where = step.decision.offer.provider if step.action is Action.BUY and step.decision.offer else ""
        price = show(step.price) if step.price else ""
        lines.append(f"shot {step.number:>3}  {_WORDS[step.action]:<8}  {where:<8} {price:>7}  {step.why}".rstrip())
    lines += [
        f"          collect             job {row.job_id} at {row.provider}, of an earlier list" for row in plan.orphans
    ]
    lines += [f"          remove              {name}: its shot has left the list" for name in plan.departed]
    lines.append(_money(plan, expected_s))
    return lines


def _money(plan: Plan, expected_s: float) -> str:
    budget = plan.budget
    play = " of play money" if plan.simulated else ""
    if not plan.total:
        text = "nothing is to be bought"
    else:
        text = f"total {show(plan.total)}{play} at list price, at worst {show(plan.worst)} with retries and fallbacks"
    if budget.cap is not None:
        text += f"; {show(budget.left or 0)} is left of the budget of {show(budget.cap)}"
    if plan.total:
        text += f"; about {expected_s / 60:.0f} min" if expected_s >= 90 else f"; about {expected_s:.0f} s"
    if not plan.fits():
        text += ". It does NOT fit: raise budget_usd, or say partial=yes"
    return text


def gate_lines(gates: Sequence[Any], entries: Sequence[Mapping[str, Any]], plan: Plan) -> list[str]:
    """The end of a run: counts, money, gates that failed."""
    good = sum(entry["success"] for entry in entries)
    budget = plan.budget
    play = " (play money: everything here is simulated)" if plan.simulated else ""
    text = f"{good} of {len(entries)} clips; {progress.money(budget, simulated=False)}"
    lines = [text + play]
    lines += [
        f"clip {entry['shot_number']:03d} was edited by hand and is left as it is"
        for entry in entries
        if entry.get("edited")
    ]
    lines += [
        f"gate {gate.name} failed: {gate.value} where {gate.threshold} is asked" for gate in gates if not gate.passed
    ]
    return lines
