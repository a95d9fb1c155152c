"""doit's runner on a trio nursery: `async def` actions run concurrently. Knows nothing of clips.

`run` of the entry point `doit.COMMAND` is this `Run`. With `par_type` other than "trio" it is doit's own, unchanged.
What a project adds comes through DOIT_CONFIG["session"] (see `Session`) and through a task's `meta`:

    runs_after_failures   run although dependencies failed or were ignored
    soft                  its failure does not decide the exit code, unless it was named on the command line
"""

import contextlib
import functools
import gc
import inspect
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from doit.exceptions import BaseFail, TaskError, TaskFailed

from vgen.cli.doit import slim_tasks
from vgen.cli.doit.compat import DoitRunner, arguments
from vgen.errors import ClipFailed, VgenError
from vgen.views import terminal

_ONE_AT_A_TIME = threading.Lock()
"""Under doit's own runners, which may use threads, an async action has the session to itself."""
IN_A_ROW = 200
"""So many tasks are begun before those that have begun are heard."""
YOUNG = 10_000
"""New objects between two looks of the collector: a thousand clips at once are no garbage, and 700 are soon made."""
REFUSED = 3
"""doit's exit code for "error before task execution starts"."""


class Session(Protocol):
    """What a project does round a run. A VgenError from any of them is shown, and the run ends with 3."""

    clock: Any
    """trio's clock for the run; None is the real one."""
    reporter: Any
    """Set before `before_run`: doit's reporter, a class or the name that `-r` gave."""
    only: Sequence[str]
    """Set before `before_load`: the words after `run`, if no tasks but the session's own could need those they omit."""

    @property
    def advice(self) -> Callable[[str], str]:
        """Completes the commands in a text that is shown."""
        ...

    def before_load(self, names: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        """Entered before the tasks are made and left when the run is over; `names` as on the command line."""
        ...

    def before_run(self, named: Sequence[str], selected: Sequence[str], *, always: bool) -> None:
        """The tasks are known, none has begun. `named`: tasks named one by one (a glob is expanded)."""
        ...

    def refused(self, error: VgenError) -> None:
        """One of these hooks refused, and it is about to be shown."""
        ...

    def opened(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Round all tasks of a trio run."""
        ...

    def saturated(self) -> bool:
        """Whether those who have begun stand in line: nothing is gained if more begin before one of them ends."""
        ...

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Round one action under any other runner; nothing else may have been entered before."""
        ...

    def in_processes(self) -> None:
        """Tasks are to be executed by several processes, after `before_run`."""
        ...

    def forget_view(self) -> None:
        """Tasks were executed where the session can't see it."""
        ...

    def after_run(self, signum: int | None) -> int:
        """Everything has ended; `signum` tells which signal ended it. Returns the exit code if all went well."""
        ...


class AsyncAction:
    """An async action for any runner: TrioRunner awaits `run_async`; any other calls it, and gets its own trio run."""

    def __init__(self, run_async: Callable[..., Awaitable[Any]], session: Session | None = None) -> None:
        self.run_async = run_async
        self._session = session
        functools.update_wrapper(self, run_async)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        import trio

        async def alone() -> Any:
            if self._session is None:
                return await self.run_async(*args, **kwargs)
            async with self._session.opened():
                return await self.run_async(*args, **kwargs)

        session = self._session
        try:
            with _ONE_AT_A_TIME, session.alone() if session else contextlib.nullcontext():
                return trio.run(alone, clock=session.clock if session else None)
        except Exception as exc:
            if (expected := _expected(exc)) is None:
                raise
            return TaskFailed(str(expected))


class TrioRunner(DoitRunner):
    """Runs ready tasks concurrently; each is booked the moment it ends."""

    def __init__(self, *args: Any, session: Session | None = None, named: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.signum: int | None = None
        self._session = session
        self._named = frozenset(named)
        self._executed = 0
        self._work: Any = None
        self._stdout: Any = None
        self.refused: VgenError | None = None

    def finish(self) -> int:
        """doit's end of a run; its database is left alone if no task ran (its JSON backend would write it again)."""
        if self.refused is not None:
            return int(self.final_result)
        if not self._executed:
            self.keep_json_database()
        result: int = super().finish()
        return result

    def run_tasks(self, dispatcher: Any) -> None:
        """Doit's hook: dispatch until nothing is left."""
        import trio

        dispatcher = slim_tasks.Dispatcher(dispatcher.tasks, dispatcher.targets, dispatcher.selected_tasks)
        gc.freeze()  # what is here now stays until the end: of a long list the collector need not look at it each time
        often = gc.get_threshold()
        gc.set_threshold(YOUNG, *often[1:])
        try:
            clock = self._session.clock if self._session else None
            trio.run(self._supervise, dispatcher, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True)
        except VgenError as exc:
            self.refused = exc
        except BaseExceptionGroup as group:
            error = _first(group)
            if not isinstance(error, VgenError):
                raise error from group
            self.refused = error
        finally:
            gc.set_threshold(*often)
            gc.unfreeze()

    async def _supervise(self, dispatcher: Any) -> None:
        import trio

        self._stdout = trio.Lock()
        async with trio.open_nursery() as watch:
            with trio.CancelScope() as self._work:
                await watch.start(self._watch_signals)
                opened = self._session.opened() if self._session else contextlib.nullcontext()
                async with opened, trio.open_nursery() as nursery:
                    await self._dispatch(dispatcher, nursery)
            watch.cancel_scope.cancel()

    async def _watch_signals(self, task_status: Any) -> None:
        """First signal: stop, and let what is shielded finish. Second: out at once."""
        import trio

        wanted = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
            wanted.append(signal.SIGHUP)
        with trio.open_signal_receiver(*wanted) as received:
            task_status.started()
            async for signum in received:
                if self.signum is not None:
                    terminal.close()
                    os._exit(128 + signum)
                self.signum = signum
                self.stopped = True
                self._work.cancel()

    async def _dispatch(self, dispatcher: Any, nursery: Any) -> None:
        import trio

        ended, came_back = trio.open_memory_channel[tuple[Any, BaseFail | None]](float("inf"))
        completed, running, begun = None, 0, 0
        while not self.stopped:
            if begun >= IN_A_ROW and completed is None:
                await trio.lowlevel.checkpoint()
                begun = 0
                if running and self._session is not None and self._session.saturated():
                    begun = IN_A_ROW
                    completed = await self._one_back(came_back)
                    running -= 1
                    continue
            try:
                node = dispatcher.generator.send(completed)
            except StopIteration:
                if not running:
                    return
                node = "hold on"
            completed = None
            if node == "hold on":
                completed = await self._one_back(came_back)
                running -= 1
                continue
            self._forgive(node)
            if self.select_task(node, dispatcher.tasks):
                running += 1
                begun += 1
                self._executed += bool(node.task.actions) and not (node.task.meta or {}).get("unrecorded")
                self.reporter.execute_task(node.task)
                if node.task.teardown:
                    self.teardown_list.append(node.task)
                nursery.start_soon(self._run_one, node, ended)
            else:
                completed = node

    async def _one_back(self, came_back: Any) -> Any:
        """Wait for a task to end, and book it."""
        node, failure = await came_back.receive()
        self.process_task_result(node, failure)
        return node

    @staticmethod
    def _forgive(node: Any) -> None:
        if (node.task.meta or {}).get("runs_after_failures"):
            for found in filter(None, (node.bad_deps, node.ignored_deps)):
                found.clear()

    async def _run_one(self, node: Any, ended: Any) -> None:
        try:
            failure = await self._perform(node.task)
        except Exception as exc:  # noqa: BLE001 - a bug in one task must not end the others
            expected = _expected(exc)
            failure = TaskError("Task error", exc)
            if expected is not None:
                failure = TaskFailed(str(expected), report=not isinstance(expected, ClipFailed))
        await ended.send((node, failure))

    async def _perform(self, task: Any) -> BaseFail | None:
        """What Task.execute does, with async actions awaited."""
        import trio

        task.executed = True
        task.init_options()
        for action in task.actions:
            wanted = getattr(action, "py_callable", None)
            run_async = getattr(wanted, "run_async", None)
            if run_async is None and inspect.iscoroutinefunction(wanted):
                run_async = wanted
            if run_async is None:
                # doit puts a catcher of the action's own into sys.stdout, which all threads share, and puts back what
                # it found: of two at once the later could put back the earlier's, and swallow all that comes after
                async with self._stdout if wanted else contextlib.nullcontext():
                    failure = await trio.to_thread.run_sync(action.execute, *self.streams(task))
                if isinstance(failure, BaseFail):
                    return failure
            else:
                args, kwargs = arguments(action)
                result = await run_async(*args, **kwargs)
                if isinstance(result, BaseFail):
                    return result
                if result is False:
                    return TaskFailed(f"Python Task failed: '{wanted}' returned False")
                action.result = result
                action.values = result if isinstance(result, dict) else {}
            task.result = action.result
            task.values = {**task.values, **action.values}
        return None

    def book_failure(self, node: Any, failure: BaseFail) -> None:
        """doit's booking, but a soft task's failure neither stops the run nor decides its result."""
        meta = node.task.meta or {}
        if not meta.get("soft") or node.task.name in self._named:
            super().book_failure(node, failure)
            return
        before, carry_on, stop = self.final_result, self.continue_, self.stopped
        self.continue_ = True
        super().book_failure(node, failure)
        self.continue_ = carry_on
        self.stopped = stop
        if not isinstance(failure, TaskError):
            self.final_result = before


def _expected(exc: Exception) -> VgenError | None:
    """An error that a user is told in words, out of the nurseries' wrapping; None if there is a bug in it."""
    if isinstance(exc, VgenError):
        return exc
    if not isinstance(exc, ExceptionGroup) or exc.split(VgenError)[1] is not None:
        return None
    first = _first(exc)
    assert isinstance(first, VgenError)
    return first


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong, out of the nurseries' wrapping."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
