"""doit's reporters for vgen: silent about what the clips say themselves."""

from collections.abc import Mapping
from typing import Any, TextIO

from doit.exceptions import BaseFail
from doit.reporter import ConsoleReporter

from vgen.cli import noop
from vgen.redact import redact
from vgen.views import terminal


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
        self.write(terminal.advised(f"{task.name}: ignored, as told (`doit forget {task.name}` ends that)\n"))

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
