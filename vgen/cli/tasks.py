"""doit's task dicts, made from commands."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vgen.cli.command import Command, Task
from vgen.cli.doit.runner import AsyncAction
from vgen.errors import VgenError

if TYPE_CHECKING:
    from vgen.cli.session import Session


def task_of(session: "Session", command: Command) -> Callable[[], Any]:
    """The creator of a command's task, or of a group's tasks, as doit calls it."""
    if command.members is not None:
        members = command.members

        def group() -> Iterator[Task]:
            yield from members(session, command)

        create: Callable[[], Any] = group
    else:

        def one() -> Task:
            return as_task(session, command)

        create = one
    vars(create)["is_vgens"] = True
    create.__doc__ = command.doc
    create.__name__ = f"task_{command.name}"
    return create


def as_task(session: "Session", command: Command) -> Task:
    """One command as doit takes it."""
    task: Task = {
        "actions": [_action(session, command)],
        "uptodate": [_is_current(session, command)],
        "task_dep": list(command.task_dep),
        "io": {"capture": False},
        "meta": {
            "runs_after_failures": command.after_failures,
            "soft": command.soft,
            "unrecorded": not command.needs_lock,
        },
        "verbosity": 2,
    }
    if command.targets is not None:
        workspace = session.workspace
        task["targets"] = [workspace.relative(path) for path in command.targets(workspace.outputs)]
        task["clean"] = True
    if command.clean is not None:
        clean = command.clean

        def cleaned(dryrun: bool = False) -> None:
            clean(session, dryrun)

        task["clean"] = [cleaned]
    return task


def _action(session: "Session", command: Command) -> Callable[..., Any]:
    async def act() -> None:
        await session.begun(command.name)()

    return AsyncAction(act, session if command.needs_lock else None)


def _is_current(session: "Session", command: Command) -> Any:
    if command.is_current is None:
        return False
    is_current = command.is_current

    def current() -> bool:
        try:
            return is_current(session)
        except VgenError:
            return False  # `doit list --status` asks without looking at the input first; who builds tells what is wrong

    return current
