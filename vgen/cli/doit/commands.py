"""doit's commands about tasks, which answer to a wrong name in the project's own words.

In a project without a session they are doit's own.
"""

import re
import time
from collections.abc import Sequence
from typing import Any

from doit import cmd_forget, cmd_ignore, cmd_resetdep
from doit.cmdparse import CmdParseError
from doit.exceptions import InvalidCommand

from vgen.cli import names, registry
from vgen.cli.doit.compat import (
    CleanCommand,
    HelpCommand,
    InfoCommand,
    ListCommand,
    command_line_variables,
    program,
    wrong_name,
)
from vgen.errors import InputError, VgenError
from vgen.views.advice import Advice

_JSONL = re.compile(r"(?:^|\0)(?:-r\0?|--reporter[=\0])jsonl(?:\0|$)")


def tell_programs(words: Sequence[str], problem: str) -> None:
    """With `-r jsonl`: what is refused before there is a session is an event too, as all that is refused later."""
    if _JSONL.search("\0".join(words)):
        from vgen.views import terminal  # every doit of this environment imports this module

        terminal.error("jsonl", [problem], InputError.code, lambda: {"at": round(time.time(), 3), "run": None})


class BriefOptions:
    """Mixed into a command of doit's: of an option that is wrong, only that one is told."""

    name: str

    def parse_execute(self, in_args: list[str]) -> Any:
        """doit's."""
        try:
            return super().parse_execute(in_args)  # type: ignore[misc]
        except CmdParseError as exc:
            advice = Advice(registry.run_variables(command_line_variables()), program())  # no key that was typed there
            text = advice(names.option(str(exc), in_args, self.name))
            tell_programs(in_args, text)
            raise InvalidCommand(text) from exc


class Explained(BriefOptions):
    """Mixed into a command of doit's: what there is, and what a wrong name may have meant."""

    loader: Any
    task_list: Sequence[Any]
    offered: Sequence[str] = ()
    """doit's commands, where one could be meant."""
    bears_any_variable = False
    """Whether it works whatever variables stand beside it."""

    def execute(self, params: Any, args: list[str]) -> Any:
        """doit's, with the session's sentence about a name that it does not find, or a variable that is none of its."""
        load_config, entered = self.loader.load_doit_config, []

        def load_and_look() -> Any:
            config = load_config()
            if (session := config.get("session")) is not None:
                entered.append(session)
                if not self.bears_any_variable:
                    _refuse_variables(session)
            return config

        self.loader.load_doit_config = load_and_look
        try:
            return super().execute(params, args)  # type: ignore[misc]
        except InvalidCommand as exc:
            if (word := wrong_name(exc)) is None or not entered:
                raise
            if entered[0].workspace.problems:  # they were told, and there are no tasks of clips
                raise InvalidCommand(f"{word}: nothing can be said of it before that is put right") from exc
            text = names.unknown(word, (task.name for task in self.task_list), self.offered)
            raise InvalidCommand(entered[0].advice(text)) from exc
        finally:
            del self.loader.load_doit_config


def _refuse_variables(session: Any) -> None:
    try:
        session.refuse_variables()
    except VgenError as exc:
        raise InvalidCommand(session.advice(str(exc))) from exc


class List(Explained, ListCommand):
    """`doit list`; `--deps` names the clips of which a clip takes a frame."""


class Clean(Explained, CleanCommand):
    """`doit clean`; a report and a gallery that are still there tell of the clips that are."""

    def after_clean(self, session: Any) -> None:
        session.after_clean()


class Forget(Explained, cmd_forget.Forget):  # type: ignore[misc]
    """`doit forget`."""


class Ignore(Explained, cmd_ignore.Ignore):  # type: ignore[misc]
    """`doit ignore`."""


class ResetDep(Explained, cmd_resetdep.ResetDep):  # type: ignore[misc]
    """`doit reset-dep`."""


class Info(Explained, InfoCommand):
    """`doit info`, which in doit ends in a traceback where no task has the name."""

    def check(self, words: Sequence[str]) -> None:
        known = {task.name for task in self.task_list}
        if len(words) == 1 and words[0] not in known:
            raise InvalidCommand(f"'{words[0]}' is not a task.")


class Help(Explained, HelpCommand):
    """`doit help`, which in doit shows all commands where it does not know the name."""

    bears_any_variable = True

    def execute(self, params: Any, args: list[str]) -> Any:
        self.offered = tuple(self.cmds)
        return super().execute(params, args)

    def looked_up(self, name: str, found: bool) -> None:
        if not found and self.loader.load_doit_config().get("session") is not None:
            raise InvalidCommand(not_found=name)
