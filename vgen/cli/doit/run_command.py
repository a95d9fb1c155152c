"""`doit run` with a session and the trio runner."""

import contextlib
import fnmatch
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from doit.cmd_base import DodoTaskLoader
from doit.exceptions import InvalidCommand

from vgen.cli import names, noop, typed
from vgen.cli.doit import slim_tasks
from vgen.cli.doit.commands import BriefOptions
from vgen.cli.doit.compat import RunCommand, command_line_variables, runner_made_by
from vgen.cli.doit.runner import Session, TrioRunner
from vgen.errors import InputError, VgenError


class Run(BriefOptions, RunCommand):
    """`doit run`, which also knows `par_type` "trio" and sessions."""

    def execute(self, params: Any, args: list[str]) -> Any:
        """doit's, with the project's session entered between reading dodo.py and making its tasks."""
        if isinstance(self.loader, DodoTaskLoader) and _is_typed(args) and noop.nothing_to_do():
            return 0
        with contextlib.ExitStack() as stack:
            load_config = self.loader.load_doit_config

            def load_and_enter() -> Any:
                config = load_config()
                if config.get("session") is not None:
                    words = [arg for arg in args if not arg.startswith("-")]
                    hooks = config["session"]
                    hooks.reporter = params.get("reporter")
                    hooks.only = () if _has_others(self.loader.namespace) else args
                    _shown(hooks, lambda: _refuse_elsewhere(params))
                    _shown(hooks, lambda: stack.enter_context(hooks.before_load(words)))
                    _set_aside_if_damaged(str(config.get("dep_file", ".doit.db")), str(config.get("backend", "")))
                return config

            self.loader.load_doit_config = load_and_enter
            try:
                return super().execute(params, args)
            except KeyboardInterrupt:
                sys.stderr.write("interrupted; what was begun is in the ledger, run again to go on\n")
                return 128 + signal.SIGINT
            finally:
                del self.loader.load_doit_config

    def run_session(self, session: Session | None, options: Mapping[str, Any]) -> int:
        """With the trio runner if `par_type` says so, else as doit does; the session's hooks around it."""
        on_trio = options["par_type"] == "trio"
        named: list[str] = []
        if session is not None:
            session.reporter = options["reporter"]
            _shown(session, self._refuse_unknown)
            named = self._named()
            selected = self._selected(single=options["single"])
            if on_trio:
                slim_tasks.slim_down(self.task_list, frozenset(selected))
            _shown(session, lambda: session.before_run(named, selected, always=options["always"]))
        if on_trio:
            return self._on_trio(session, named, options)
        if session is not None and options["par_type"] == "process" and options["num_process"] > 1:
            _shown(session, session.in_processes)
        result = self.run_by_doit(options)
        if session is not None:
            session.forget_view()  # tasks may have run in other processes
        ended = 0 if session is None else session.after_run(None)
        return result or ended

    def _on_trio(self, session: Session | None, named: Sequence[str], options: Mapping[str, Any]) -> int:
        made: list[TrioRunner] = []

        def runner(*args: Any) -> TrioRunner:
            made.append(TrioRunner(*args, session=session, named=self._counted(named)))
            return made[-1]

        with runner_made_by(runner):
            result = self.run_by_doit({**options, "num_process": 0})
        signum = made[-1].signum if made else None
        ended = 0 if session is None else session.after_run(signum)
        if signum is None and made and (refused := made[-1].refused) is not None:
            if session is not None:
                session.refused(refused)
            raise InvalidCommand(session.advice(str(refused)) if session else str(refused))
        return result or ended if signum is None else 128 + signum

    def _refuse_unknown(self) -> None:
        """Raise InputError for words that name nothing. What follows a task with parameters is for doit to judge."""
        tasks = {task.name: task for task in self.task_list}
        targets = {target for task in self.task_list for target in task.targets}
        if self.sel_default_tasks or any(task.loader for task in self.task_list):  # doit may make more tasks
            return
        wrong = []
        for word in self.sel_tasks:
            if word.startswith("-") or (word in tasks and (tasks[word].params or tasks[word].pos_arg)):
                break
            if "*" in word:
                wrong += [] if fnmatch.filter(tasks, word) else [names.unmatched(word, tasks)]
            elif word not in tasks and word not in targets:
                wrong.append(names.unknown(word, tasks, self.loader.cmd_names))
        if wrong:
            raise InputError(wrong)

    def _named(self) -> list[str]:
        """Tasks named on the command line by task, target or glob; a group's name does not name its members."""
        if self.sel_default_tasks:
            return []
        return list(self._resolved(self.sel_tasks))

    def _counted(self, named: Sequence[str]) -> list[str]:
        """Tasks whose failure decides the exit code: the named ones, and the members of a named group."""
        return [*named, *(task.name for task in self.task_list if task.subtask_of in named)]

    def _selected(self, *, single: bool) -> list[str]:
        """All tasks that would run. (doit's own TaskControl can't be asked twice: it uses up options.)

        `single`: without the tasks that they depend on; a group's members are its own.
        """
        tasks = {task.name: task for task in self.task_list if not self.dep_manager.status_is_ignore(task)}
        waiting = list(self._resolved(self.sel_tasks) if self.sel_tasks is not None else tasks)
        seen: dict[str, None] = {}
        while waiting:
            name = waiting.pop()
            if name in tasks and name not in seen:
                seen[name] = None
                if not single or tasks[name].has_subtask:
                    waiting += [*tasks[name].task_dep, *tasks[name].setup_tasks]
        return list(seen)

    def _resolved(self, words: Sequence[str]) -> Iterator[str]:
        tasks = [task.name for task in self.task_list]
        targets = {target: task.name for task in self.task_list for target in task.targets}
        for word in words:
            if "*" in word:
                yield from fnmatch.filter(tasks, word)
            else:
                yield targets.get(word, word)


def _has_others(namespace: Mapping[str, Any]) -> bool:
    """Whether a dodo.py has tasks that are not vgen's, found as doit finds them: they may depend on any clip."""
    return any(
        (name.startswith("task_") and not getattr(value, "is_vgens", False)) or hasattr(value, "create_doit_tasks")
        for name, value in namespace.items()
    )


def _is_typed(args: Sequence[str]) -> bool:
    """Whether doit has understood the command line as noop does."""
    words = typed.understood(sys.argv[1:])
    return words is not None and words.names == args and words.variables == command_line_variables()


def _shown(session: Session, act: Callable[[], Any]) -> Any:
    """A VgenError becomes doit's own "ERROR: …" and exit code 3."""
    try:
        return act()
    except VgenError as exc:
        session.refused(exc)
        raise InvalidCommand(session.advice(str(exc))) from exc


def _refuse_elsewhere(params: Mapping[str, Any]) -> None:
    """Targets are named from the directory of dodo.py: from another one doit finds none. Raises InputError."""
    if params.get("cwdPath"):
        raise InputError(["-d: clips are named from the directory of dodo.py; leave -d out, doit goes there by itself"])


def _set_aside_if_damaged(dep_file: str, backend: str) -> None:
    """doit's database is only a memory of what ran; a damaged one must not stop a build."""
    import json

    path = Path(dep_file)
    if backend != "json" or not path.exists():
        return
    try:
        if all(isinstance(entry, dict) for entry in json.loads(path.read_bytes()).values()):
            return
    except (OSError, ValueError, AttributeError):
        pass
    with contextlib.suppress(OSError):
        aside = path.replace(f"{dep_file}.damaged")
        sys.stderr.write(f"{path.name} was damaged and is now {aside.name}; nothing is lost by it\n")
