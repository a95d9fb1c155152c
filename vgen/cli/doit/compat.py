"""Every touch of doit's private names, each under a public name of ours. tests/test_compat.py holds doit to them.

Facts of doit 0.36 and 0.37: `_execute` gets the arguments that its signature names; `DoitConfig` keys reach it too.
"""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from doit import cmd_clean, cmd_help, cmd_info, cmd_list, cmd_run, doit_cmd, runner
from doit.control import TaskDispatcher
from doit.dependency import JsonDB
from doit.exceptions import BaseFail, InvalidCommand


def command_line_variables() -> dict[str, str]:
    """All `name=value` of the command line. doit keeps them in a private place, and only there."""
    return dict(doit_cmd._CMDLINE_VARS or {})


def program() -> str:
    """What was called: `vgen` (also as `python -m vgen`), or `doit` in any other way."""
    called = Path(sys.argv[0])
    return "vgen" if called.stem == "vgen" or called.parts[-2:] == ("vgen", "__main__.py") else "doit"


_SESSION = {
    "name": "session",
    "short": "",
    "long": "",
    "type": str,
    "default": None,
    "help": "object that a project puts round a run; only from DOIT_CONFIG",
}


class ListCommand(cmd_list.List):  # type: ignore[misc]
    """doit's `list`; --deps also names what the tasks make that a task waits for."""

    def _print_task(self, template: str, task: Any, status: bool, list_deps: bool, tasks: Mapping[str, Any]) -> None:
        super()._print_task(template, task, status, False, tasks)
        if list_deps:
            made = (target for name in task.task_dep if name in tasks for target in tasks[name].targets)
            self.outstream.write("".join(f" -  {path}\n" for path in (*sorted(task.file_dep), *made)) + "\n")


class RunCommand(cmd_run.Run):  # type: ignore[misc]
    """doit's `run` with an option `session`; a subclass says in `run_session` what is done with it."""

    cmd_options = (*cmd_run.Run.cmd_options, _SESSION)

    def run_session(self, session: Any, options: Mapping[str, Any]) -> int:
        """Run the tasks; `options` by doit's names, for `run_by_doit`."""
        raise NotImplementedError

    def run_by_doit(self, options: Mapping[str, Any]) -> int:
        """What doit's own `run` does."""
        result: int = super()._execute(**options)
        return result

    def _execute(  # doit passes what this signature names
        self,
        outfile: Any,
        verbosity: Any = None,
        always: bool = False,
        continue_: bool = False,
        reporter: Any = "console",
        num_process: int = 0,
        par_type: str = "process",
        single: bool = False,
        auto_delayed_regex: bool = False,
        force_verbosity: bool = False,
        failure_verbosity: int = 0,
        pdb: bool = False,
        session: Any = None,
    ) -> int:
        options = {
            "outfile": outfile,
            "verbosity": verbosity,
            "always": always,
            "continue_": continue_,
            "reporter": reporter,
            "num_process": num_process,
            "par_type": par_type,
            "single": single,
            "auto_delayed_regex": auto_delayed_regex,
            "force_verbosity": force_verbosity,
            "failure_verbosity": failure_verbosity,
            "pdb": pdb,
        }
        return self.run_session(session, options)


@contextlib.contextmanager
def runner_made_by(make: Callable[..., runner.Runner]) -> Iterator[None]:
    """Meanwhile doit's `run` asks `make` for its runner (with `num_process` 0): it looks the class up in its module."""
    before = cmd_run.Runner
    cmd_run.Runner = make
    try:
        yield
    finally:
        cmd_run.Runner = before


class _WithoutNames:
    """A stream without doit's line before each clean action of vgen's: it has the name of a Python function.

    The actions name each file that they remove themselves.
    """

    _OWN = re.compile(r".* - executing 'Python: function (?:as_task|_members)\.<locals>\.\w+'\n")

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        if not self._OWN.fullmatch(text):
            self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class CleanCommand(cmd_clean.Clean):  # type: ignore[misc]
    """doit's `clean` with an option `session`; a subclass says what follows."""

    cmd_options = (*cmd_clean.Clean.cmd_options, _SESSION)
    outstream: Any

    def after_clean(self, session: Any) -> None:
        """Files are gone; not called for a dry run."""

    def _execute(
        self, dryrun: bool, cleandep: bool, cleanall: bool, cleanforget: bool, pos_args: Any = None, session: Any = None
    ) -> Any:
        if session is not None:
            self.outstream = _WithoutNames(self.outstream)
        result = super()._execute(dryrun, cleandep, cleanall, cleanforget, pos_args)
        if session is not None and not dryrun:
            self.after_clean(session)
        return result


class InfoCommand(cmd_info.Info):  # type: ignore[misc]
    """doit's `info`; a subclass may look at the names first, once the tasks are loaded."""

    def check(self, words: Sequence[str]) -> None:
        """Raise InvalidCommand for names that can't be shown."""

    def _execute(self, pos_args: list[str], hide_status: bool = False) -> Any:
        self.check(pos_args)
        return super()._execute(pos_args, hide_status)


class HelpCommand(cmd_help.Help):  # type: ignore[misc]
    """doit's `help`; a subclass may do something about a task that is not there."""

    def looked_up(self, name: str, found: bool) -> None:
        """A task's help was asked for; raise InvalidCommand if that is an error."""

    def _execute(self, pos_args: list[str]) -> bool:
        found = bool(super()._execute(pos_args))
        self.looked_up(pos_args[0], found)
        return found


def wrong_name(error: InvalidCommand) -> str | None:
    """The name that doit did not find, which it tells in two ways; None: the error is another."""
    if error.not_found is not None:
        return str(error.not_found)
    found = re.fullmatch(r"'(.*)' is not a task\.", str(error))
    return found[1] if found else None


class DoitRunner(runner.Runner):  # type: ignore[misc]
    """doit's runner, with names for what a subclass needs to see and to change."""

    final_result: int
    continue_: bool

    @property
    def stopped(self) -> bool:
        """Whether no further task may begin."""
        return bool(self._stop_running)

    @stopped.setter
    def stopped(self, value: bool) -> None:
        self._stop_running = value

    def keep_json_database(self) -> None:
        """`finish` would write doit's JSON database again; now it does not. Other databases are closed as ever."""
        if self.dep_manager.db_class is JsonDB:
            self.dep_manager.close = lambda: None

    def book_failure(self, node: Any, failure: BaseFail) -> None:
        """A task failed: into doit's database, the reporter, the exit code; stops unless `continue_`."""
        super()._handle_task_error(node, failure)

    def _handle_task_error(self, node: Any, base_fail: BaseFail) -> None:
        self.book_failure(node, base_fail)

    def streams(self, task: Any) -> tuple[Any, Any]:
        """Where an action's stdout and stderr go."""
        out, err = self.stream._get_out_err(task.verbosity)
        return out, err


def arguments(action: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """What doit would call a Python action's function with."""
    return action.args, action._prepare_kwargs()


class NodeDispatcher(TaskDispatcher):  # type: ignore[misc]
    """doit's dispatcher, with a node of the subclass's own for some tasks, and a word when a task is over."""

    def node_for(self, task: Any) -> Any:  # noqa: ARG002 - for subclasses
        """A node for this task; None: doit's own."""
        return None

    def is_over(self, node: Any) -> None:
        """All that waited for this node have been told."""

    def _gen_node(self, parent: Any, task_name: str) -> Any:
        if task_name not in self.nodes:
            node = self.node_for(self.tasks[task_name])
            if node is not None:
                self.nodes[task_name] = node
                return node
        return super()._gen_node(parent, task_name)

    def _update_waiting(self, processed: Any) -> None:
        super()._update_waiting(processed)
        self.is_over(processed)


def drop_actions(task: Any) -> None:
    """A task's actions go; it is not run again."""
    task._actions = task._action_instances = ()
