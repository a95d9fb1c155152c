"""doit on trio, without any clip: the runner, soft tasks, exit codes, and that other par_types stay doit's own."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from doit import doit_cmd
from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain

from vgen.cli.doit import slim_tasks
from vgen.cli.doit.compat import command_line_variables
from vgen.cli.doit.runner import AsyncAction
from vgen.errors import ClipFailed, Refusal


class Session:
    """Writes down what happens to it."""

    def __init__(self) -> None:
        self.clock: Any = trio.testing.MockClock(autojump_threshold=0)
        self.told: list[Any] = []
        self.advice = str
        self.refuse_before_run = ""
        self.in_line = 0

    @contextlib.contextmanager
    def before_load(self, names: Sequence[str]) -> Iterator[None]:
        self.told.append(("load", list(names)))
        try:
            yield
        finally:
            self.told.append("left")

    def before_run(self, named: Sequence[str], selected: Sequence[str], *, always: bool) -> None:
        self.told.append(("run", sorted(named), sorted(selected), always))
        if self.refuse_before_run:
            raise Refusal(self.refuse_before_run)

    def refused(self, error: Exception) -> None:
        self.told.append(("refused", str(error)))

    def saturated(self) -> bool:
        return self.in_line >= 10

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        self.told.append("alone")
        yield

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        self.told.append("opened")
        yield

    def in_processes(self) -> None:
        raise Refusal("not in two processes")

    def forget_view(self) -> None:
        self.told.append("forgotten")

    def after_run(self, signum: int | None) -> int:
        self.told.append(("after", signum))
        return 0


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def doit(session: Session | None, tasks: dict[str, Any], *args: str, **config: Any) -> int:
    namespace = {f"task_{name}": (lambda value=value: dict(value)) for name, value in tasks.items()}
    namespace["DOIT_CONFIG"] = {"par_type": "trio", "continue": True, "backend": "json", **config}
    if session is not None:
        namespace["DOIT_CONFIG"]["session"] = session
    return int(DoitMain(ModuleTaskLoader(namespace)).run(["run", *args]))


def test_async_actions_run_concurrently_and_ready_ones_do_not_wait_for_others() -> None:
    ended: list[tuple[str, float]] = []

    async def work(name: str, seconds: float) -> None:
        await trio.sleep(seconds)
        ended.append((name, trio.current_time()))

    tasks = {
        "slow": {"actions": [(work, ["slow", 10])]},
        "quick": {"actions": [(work, ["quick", 1])]},
        "after_quick": {"actions": [(work, ["after quick", 1])], "task_dep": ["quick"]},
    }
    assert doit(Session(), tasks) == 0
    assert ended == [("quick", 1), ("after quick", 2), ("slow", 10)]


def test_python_actions_in_threads_leave_stdout_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    """doit swaps sys.stdout around each of them (findings/doit-threads-swallow-prints.sh)."""
    first, second = threading.Event(), threading.Event()

    def one() -> None:
        first.set()
        second.wait(0.2)

    def other() -> None:
        first.wait(0.2)
        second.set()
        time.sleep(0.05)

    def last() -> None:
        print("heard")

    tasks = {
        "one": {"actions": [one], "verbosity": 1},
        "other": {"actions": [other], "verbosity": 1},
        "last": {"actions": [last], "task_dep": ["one", "other"], "io": {"capture": False}},
    }
    assert doit(None, tasks) == 0
    assert "heard" in capfd.readouterr().out


@pytest.mark.slow
def test_of_many_tasks_that_stand_in_line_only_some_have_begun() -> None:
    session, limiter = Session(), trio.CapacityLimiter(3)
    begun = most = ended = 0

    async def work() -> None:
        nonlocal begun, most, ended
        begun += 1
        most = max(most, begun)
        session.in_line += 1
        async with limiter:
            session.in_line -= 1
            await trio.sleep(1)
        begun -= 1
        ended += 1

    assert doit(session, {f"t{k}": {"actions": [work]} for k in range(2_000)}) == 0
    assert ended == 2_000
    assert 13 <= most <= 500


@pytest.mark.parametrize("light", [True, False])
def test_members_of_a_group_are_whole_tasks(light: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dependants of one, values for others, options, computed dependencies, a failure, a wait for one that is over."""
    if not light:
        monkeypatch.setattr(slim_tasks, "slim_down", lambda *_: None)
    told: list[Any] = []

    async def member(name: str) -> Any:
        told.append(name)
        return {"colour": f"of {name}", "file_dep": ["input.txt"]} if name != "bad" else False

    async def see(what: str, **given: Any) -> None:
        told.append((what, *given.values()))

    async def dress(size: int) -> None:
        told.append(("size", size))

    def task_member() -> Iterator[dict[str, Any]]:
        for name in ("a", "bad", "b"):
            yield {"name": name, "actions": [(member, [name])], "meta": {"soft": True}}
        yield {"name": "dressed", "actions": [dress], "params": [{"name": "size", "default": 7, "long": "size"}]}

    ones = ("task_dep", "member:a"), ("getargs", {"colour": ("member:b", "colour")}), ("calc_dep", "member:a")
    later = {f"with_{kind}": {kind: value if kind == "getargs" else [value]} for kind, value in ones}
    later["last"] = {"task_dep": ["with_task_dep", "with_calc_dep"], "calc_dep": ["member:b"]}
    later["unmet"] = {"task_dep": ["member:bad"]}
    Path("input.txt").write_text("")
    namespace = {
        f"task_{name}": (lambda name=name, task=task: {"actions": [(see, [name])], **task})
        for name, task in later.items()
    }
    namespace |= {
        "task_member": task_member,
        "DOIT_CONFIG": {"par_type": "trio", "continue": True, "backend": "json", "session": Session()},
    }
    names = ["member", *later]
    assert DoitMain(ModuleTaskLoader(namespace)).run(["run", *names, "member:dressed", "--size", "9"]) == 2
    expected = [
        "a",
        "bad",
        "b",
        ("size", "9"),
        ("with_task_dep",),
        ("with_calc_dep",),
        ("last",),
        ("with_getargs", "of b"),
    ]
    assert sorted(map(str, told)) == sorted(map(str, expected))


def test_a_task_is_booked_the_moment_it_ends_and_is_up_to_date_next_time() -> None:
    async def make(targets: list[str]) -> dict[str, str]:
        Path(targets[0]).write_text("made")
        return {"colour": "blue"}

    tasks = {"one": {"actions": [make], "targets": ["made.txt"], "uptodate": [True]}}
    assert doit(Session(), tasks) == 0
    assert doit(Session(), tasks, "-o", "said.txt") == 0
    assert Path("said.txt").read_text() == "-- one\n"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [(ClipFailed("shot 7: no"), 1), (ValueError("a bug"), 2), (False, 1), (None, 0), ("text", 0)],
)
def test_exit_codes_of_an_async_action(outcome: object, code: int) -> None:
    async def act() -> object:
        await trio.lowlevel.checkpoint()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert doit(Session(), {"one": {"actions": [act]}}) == code


def test_a_soft_failure_does_not_decide_the_exit_code_unless_the_task_was_named() -> None:
    async def fail() -> None:
        raise ClipFailed("no clip")

    ran: list[str] = []
    tasks = {
        "bad": {"actions": [fail], "meta": {"soft": True}},
        "report": {
            "actions": [lambda: ran.append("report")],
            "task_dep": ["bad"],
            "meta": {"runs_after_failures": True},
        },
    }
    assert doit(Session(), tasks) == 0
    assert ran == ["report"]
    assert doit(Session(), tasks, "bad") == 1


def test_a_bug_in_a_soft_task_is_an_error_all_the_same() -> None:
    async def bug() -> None:
        raise KeyError("x")

    assert doit(Session(), {"bad": {"actions": [bug], "meta": {"soft": True}}}) == 2


def test_an_ordinary_task_does_not_run_after_a_failure() -> None:
    async def fail() -> None:
        raise ClipFailed("no")

    ran: list[str] = []
    tasks = {"bad": {"actions": [fail]}, "next": {"actions": [lambda: ran.append("x")], "task_dep": ["bad"]}}
    assert doit(Session(), tasks) == 2  # doit's UnmetDependency is an error
    assert ran == []


def test_a_session_sees_the_run_from_before_loading_to_after_the_end() -> None:
    session = Session()
    tasks = {
        "a": {"actions": [lambda: None], "targets": ["a.txt"]},
        "b": {"actions": [lambda: None], "task_dep": ["a"]},
    }
    assert doit(session, tasks, "b") == 0
    assert session.told == [
        ("load", ["b"]),
        ("run", ["b"], ["a", "b"], False),
        "opened",
        ("after", None),
        "left",
    ]


@pytest.mark.parametrize("word", ["a", "a.txt", "a*"])
def test_named_by_task_target_or_glob(word: str) -> None:
    session = Session()
    doit(session, {"a": {"actions": [lambda: None], "targets": ["a.txt"]}}, "-a", word)
    assert ("run", ["a"], ["a"], True) in session.told


def test_a_refusal_is_one_line_and_exit_3(capfd: pytest.CaptureFixture[str]) -> None:
    session = Session()
    session.refuse_before_run = "the budget is too small"
    assert doit(session, {"a": {"actions": [lambda: None]}}) == 3
    assert capfd.readouterr().err == "ERROR: the budget is too small\n"
    assert session.told[-1] == "left"


@pytest.mark.parametrize("args", [("-n", "0", "-P", "process"), ("-n", "2", "-P", "thread")])
def test_other_par_types_run_an_either_way_action_too(args: tuple[str, ...]) -> None:
    ran: list[str] = []
    session = Session()
    session.clock = None

    async def act() -> None:
        await trio.lowlevel.checkpoint()
        ran.append("yes")

    assert doit(session, {"a": {"actions": [AsyncAction(act, session)]}}, *args) == 0
    assert ran == ["yes"]


def test_a_session_may_refuse_several_processes_and_one_is_none(capfd: pytest.CaptureFixture[str]) -> None:
    ran = {"a": {"actions": [lambda: None]}}
    assert doit(Session(), ran, "-n", "2", "-P", "process") == 3
    assert capfd.readouterr().err == "ERROR: not in two processes\n"
    assert doit(Session(), ran, "-n", "2", "-P", "thread") == 0


def test_without_a_session_run_is_doits_own() -> None:
    assert doit(None, {"a": {"actions": [lambda: None]}}, "-o", "said.txt", par_type="process", num_process=0) == 0
    assert Path("said.txt").read_text() == ".  a\n"


def test_the_variables_of_the_command_line_are_found_where_doit_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hasattr(doit_cmd, "_CMDLINE_VARS")
    seen: list[dict[str, str]] = []

    class Loader(ModuleTaskLoader):  # type: ignore[misc]
        def setup(self, opt_values: object) -> None:
            seen.append(command_line_variables())

    # doit's `list` leaves its database open, and Python 3.13's dbm is one of SQLite that tells of it much later.
    config = {"backend": "json"}
    DoitMain(Loader({"task_a": lambda: {"actions": []}, "DOIT_CONFIG": config})).run(["list", "colour=blue"])
    assert seen == [{"colour": "blue"}]


def test_a_damaged_database_of_doit_is_set_aside(capfd: pytest.CaptureFixture[str]) -> None:
    Path("dep.db").write_text("{ this is not json")
    assert doit(Session(), {"a": {"actions": [lambda: None]}}, dep_file="dep.db") == 0
    assert Path("dep.db.damaged").read_text() == "{ this is not json"
    assert "dep.db was damaged" in capfd.readouterr().err


def test_a_cycle_is_doits_error_without_a_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    tasks = {"a": {"actions": [], "task_dep": ["b"]}, "b": {"actions": [], "task_dep": ["a"]}}
    assert doit(Session(), tasks) == 3
    assert "Traceback" not in capfd.readouterr().err


SIGNALLED = """
import sys, trio
from vgen.cli.doit.runner import AsyncAction

async def work():
    print("working", flush=True)
    try:
        await trio.sleep(600)
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep({shielded})
            print("recorded", flush=True)

DOIT_CONFIG = {{"par_type": "trio", "backend": "json", "verbosity": 2}}

def task_a():
    return {{"actions": [AsyncAction(work)], "io": {{"capture": False}}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_lets_shielded_work_finish(tmp_path: Path, signum: signal.Signals, code: int) -> None:
    (tmp_path / "dodo.py").write_text(textwrap.dedent(SIGNALLED.format(shielded=0.2)))
    with _started(tmp_path) as process:
        os.kill(process.pid, signum)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "recorded" in out
    assert "Traceback" not in err


@pytest.mark.slow
def test_the_second_signal_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(textwrap.dedent(SIGNALLED.format(shielded=600)))
    with _started(tmp_path) as process:
        os.kill(process.pid, signal.SIGINT)
        while process.poll() is None:  # the first may still be on its way when the second comes
            os.kill(process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "recorded" not in out


@contextlib.contextmanager
def _started(root: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "doit"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = ""
        while "working" not in line:
            line = process.stdout.readline()
            assert line, process.communicate()
        yield process
    finally:
        process.kill()
        process.wait()
