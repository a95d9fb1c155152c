"""Members of a group that wait for nothing, by the ten thousand: doit's objects, without the room they never use."""

from collections.abc import Collection
from functools import cache
from types import MappingProxyType
from typing import Any

from doit.control import ExecNode
from doit.task import Task

from vgen.cli.doit.compat import NodeDispatcher, drop_actions

_EMPTY: dict[type, Any] = {list: (), set: frozenset(), dict: MappingProxyType({})}
"""Nothing is ever put into these again: what doit adds to a task's dependencies comes by calc_dep."""

_NO_PARAMS: list[Any] = []
"""doit adds other lists to it, and nothing into it."""


class SlimTask(Task):  # type: ignore[misc]
    """A task with doit's attributes in slots, made from one that doit has made. A run needs no `clean` of it."""

    __slots__ = tuple(vars(Task("leaf", None)))

    def __init__(self, task: Task) -> None:
        for name, value in vars(task).items():
            setattr(self, name, value or _EMPTY.get(type(value), value))
        self.creator_params = task.creator_params or _NO_PARAMS
        self.clean_actions = ()
        self.uptodate = _shared(tuple(tuple(one) for one in task.uptodate))

    def let_go(self) -> None:
        """It is over: nobody asks any more what it did."""
        drop_actions(self)
        self.targets = ()
        self.options = self.doc = None


def slim_down(tasks: list[Task], names: Collection[str]) -> None:
    """Change the named members of groups that wait for nothing into leaves, which take a third of the memory."""
    for place, task in enumerate(tasks):
        if task.subtask_of and task.name in names and _waits_for_nothing(task):
            tasks[place] = SlimTask(task)
            vars(task).clear()  # a task and its actions know each other: it would stay until the next collection


class SlimNode(ExecNode):  # type: ignore[misc]
    """What the dispatcher knows of a leaf: itself, who waits for it, how it ended."""

    __slots__ = ("run_status", "stepped", "task", "waiting_me")
    wait_select = False
    ancestors = bad_deps = ignored_deps = ()

    def __init__(self, task: SlimTask) -> None:
        self.task = task
        self.waiting_me: Any = _Waiters()
        self.run_status: str | None = None
        self.stepped = False

    def step(self) -> Task | None:
        """Itself, once."""
        task = None if self.stepped else self.task
        self.stepped = True
        return task


class Dispatcher(NodeDispatcher):
    """doit's, with a small node for a slim task, which is emptied when the task is over."""

    def node_for(self, task: Task) -> SlimNode | None:
        return SlimNode(task) if isinstance(task, SlimTask) else None

    def is_over(self, node: ExecNode) -> None:
        if isinstance(node, SlimNode) and node.run_status != "run":
            node.waiting_me = ()
            node.task.let_go()


class _Waiters(list[ExecNode]):
    """A small set: nobody adds the same node twice."""

    __slots__ = ()
    add = list.append


def _waits_for_nothing(task: Task) -> bool:
    others = (task.task_dep, task.wild_dep, task.calc_dep, task.file_dep, task.setup_tasks, task.getargs, task.teardown)
    plain = all(isinstance(one, bool | None) for one, _, _ in task.uptodate)  # a function may put something into a task
    return plain and not any(others) and task.loader is None and not task.has_subtask and not task.value_savers


@cache
def _shared(uptodate: tuple[tuple[Any, ...], ...]) -> tuple[tuple[Any, ...], ...]:
    return uptodate
