"""What doit, httpx and httpcore don't promise and vgen uses all the same: each touch of the two compat modules."""

import ast
import contextlib
import inspect
import io
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doit
import httpcore
import httpx
import pytest
import trio
from doit import action, cmd_base, cmd_info, cmd_list, cmd_run, control, dependency, doit_cmd, exceptions, reporter
from doit import runner as doits_runner
from doit import task as doits_task
from fakes import TLS

import vgen
from vgen.cli.doit import compat, slim_tasks
from vgen.production import http_compat
from vgen.production.connections import Connections
from vgen.production.ssrf_guard import Blocked

PACKAGE = Path(vgen.__file__).parent
COMPAT = {"cli/doit/compat.py", "production/http_compat.py"}
ORIGIN = httpcore.Origin(b"https", b"clips.example", 443)


def private_names(*homes: Any) -> set[str]:
    """All `_names` of modules and of the classes in them."""
    classes = [thing for home in homes for thing in vars(home).values() if inspect.isclass(thing)]
    made = [doits_runner.Runner(None, None), doits_task.Task("x", None)]
    found = {name for home in (*homes, *classes) for name in vars(home)} | {name for one in made for name in vars(one)}
    return {name for name in found if name.startswith("_") and not name.startswith("__")}


def touched(path: Path) -> Iterator[str]:
    """Names that a module looks up in something, or gives to a method of its own."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ClassDef):
            yield from (of.name for of in node.body if isinstance(of, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(
    ("room", "homes"),
    [
        (
            "cli",
            (action, cmd_base, cmd_info, cmd_list, cmd_run, control, dependency, doit_cmd, doits_runner, doits_task,
             reporter),
        ),
        ("production", (httpx, httpcore)),
    ],
)  # fmt: skip
def test_private_names_are_touched_in_the_compat_modules_only(room: str, homes: tuple[Any, ...]) -> None:
    private = private_names(*homes) | ({"_pool"} if room == "production" else set())
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for name in touched(path)
        if name in private
    }
    assert {path for path, _ in found} <= COMPAT, found
    assert any(path in COMPAT for path, _ in found)


# --- doit


def run(tasks: dict[str, Any], *args: str) -> int:
    namespace = {f"task_{name}": (lambda value=value: dict(value)) for name, value in tasks.items()}
    namespace["DOIT_CONFIG"] = {"backend": "json", "dep_file": "deps.json", "verbosity": 0}
    return int(doit_cmd.DoitMain(cmd_base.ModuleTaskLoader(namespace)).run(list(args)))


@pytest.fixture(autouse=True)
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_variables_of_the_command_line_are_all_there() -> None:
    run({"one": {"actions": []}}, "list", "shot=7", "as=a=b")
    assert compat.command_line_variables() == {"shot": "7", "as": "a=b"}
    assert doit.get_var("shot") == "7"


def test_run_spells_out_what_doits_own_run_takes() -> None:
    ours = inspect.signature(compat.RunCommand._execute).parameters
    theirs = inspect.signature(cmd_run.Run._execute).parameters
    assert list(ours) == [*theirs, "session"]
    assert all(ours[name].default == parameter.default for name, parameter in theirs.items())
    assert "session" not in {option["name"] for option in cmd_run.Run.cmd_options}


def test_options_reach_doit_by_the_names_that_its_run_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    known = set(inspect.signature(cmd_run.Run._execute).parameters) - {"self"}
    monkeypatch.setattr(cmd_run.Run, "_execute", lambda _, **options: given.update(options) or 0)

    class Run(compat.RunCommand):
        def run_session(self, session: Any, options: Any) -> int:
            assert session == "the session"
            return self.run_by_doit(options)

    Run._execute(Run.__new__(Run), io.StringIO(), always=True, session="the session")
    assert set(given) == known
    assert given["always"] is True


def test_doits_run_asks_for_the_runner_that_is_put_there() -> None:
    given: list[tuple[Any, ...]] = []
    ran = threading.Event()

    def make(*args: Any) -> doits_runner.Runner:
        given.append(args)
        return doits_runner.Runner(*args)

    with compat.runner_made_by(make):
        assert run({"one": {"actions": [ran.set]}}, "run", "--output-file", "said.txt") == 0
    [(dep_manager, told, carry_on, always, stream)] = given
    assert (carry_on, always) == (False, False)
    assert isinstance(dep_manager, dependency.Dependency)
    assert isinstance(told, reporter.ConsoleReporter)
    assert isinstance(stream, doits_task.Stream)
    assert cmd_run.Runner is doits_runner.Runner
    assert ran.is_set()


def test_info_passes_its_names_through_the_check() -> None:
    assert list(inspect.signature(compat.InfoCommand._execute).parameters) == list(
        inspect.signature(cmd_info.Info._execute).parameters
    )


def dep_manager(path: Path, db: type = dependency.JsonDB) -> Any:
    return dependency.Dependency(db, str(path))


def node(name: str = "one") -> Any:
    return control.ExecNode(doits_task.Task(name, None), None)


def quiet() -> Any:
    return reporter.ZeroReporter(io.StringIO(), {})


@pytest.mark.parametrize("how", ["unmet", "result"])
def test_every_failure_is_booked_through_one_method(how: str, tmp_path: Path) -> None:
    class Runner(compat.DoitRunner):
        booked: Any = None

        def book_failure(self, node: Any, failure: exceptions.BaseFail) -> None:
            self.booked = (node, type(failure))
            super().book_failure(node, failure)

    runner, failed = Runner(dep_manager(tmp_path / "deps.json"), quiet()), node()
    if how == "unmet":
        failed.bad_deps.append(node("other"))
        assert not runner.select_task(failed, {})
        wanted: type = exceptions.UnmetDependency
    else:
        runner.process_task_result(failed, exceptions.TaskFailed("no"))
        wanted = exceptions.TaskFailed
    assert runner.booked == (failed, wanted)
    assert failed.run_status == "failure"
    assert runner.final_result == (2 if how == "unmet" else 1)
    assert runner.stopped, "continue_ is not set"


def test_a_stopped_runner_begins_no_task(tmp_path: Path) -> None:
    ran: list[str] = []
    tasks = [doits_task.Task(name, [(ran.append, [name])]) for name in ("one", "two")]
    plan = control.TaskControl(tasks)
    plan.process(None)
    runner = compat.DoitRunner(dep_manager(tmp_path / "deps.json"), quiet())
    assert not runner.stopped
    runner.stopped = True
    doits_runner.Runner.run_tasks(runner, plan.task_dispatcher())
    assert ran == []


def test_the_json_database_can_be_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "deps.json"
    for leave, there in ((True, False), (False, True)):
        runner = compat.DoitRunner(dep_manager(path), quiet())
        if leave:
            runner.keep_json_database()
        runner.finish()
        assert path.exists() is there


def test_other_databases_are_closed_as_ever(tmp_path: Path) -> None:
    manager = dep_manager(tmp_path / "deps.db", dependency.SqliteDB)
    close = manager.close
    compat.DoitRunner(manager, quiet()).keep_json_database()
    assert manager.close == close
    manager.close()


def test_streams_are_those_that_a_verbosity_means() -> None:
    runner = compat.DoitRunner(None, quiet(), stream=doits_task.Stream(1))
    assert runner.streams(doits_task.Task("one", None, verbosity=0)) == (None, None)
    assert runner.streams(doits_task.Task("one", None, verbosity=1)) == (None, sys.stderr)
    assert runner.streams(doits_task.Task("one", None, verbosity=2)) == (sys.stdout, sys.stderr)


def test_a_python_action_gets_what_it_names() -> None:
    def work(first: str, targets: list[str], shot: str, changed: list[str]) -> None: ...

    task = doits_task.Task("one", [(work, ["7"])], targets=["clip.mp4"])
    task.init_options()
    task.options["shot"] = "8"
    task.dep_changed = ["prompt"]
    args, kwargs = compat.arguments(task.actions[0])
    assert list(args) == ["7"]
    assert kwargs == {"targets": ["clip.mp4"], "shot": "8", "changed": ["prompt"]}


def test_the_dispatcher_asks_for_nodes_and_tells_when_one_is_over() -> None:
    told: list[str] = []

    class Dispatcher(compat.NodeDispatcher):
        def node_for(self, task: Any) -> Any:
            told.append(f"node for {task.name}")

        def is_over(self, node: Any) -> None:
            if node is not None and node.run_status == "successful":
                told.append(f"{node.task.name} is over")

    tasks = {name: doits_task.Task(name, None) for name in ("one", "two")}
    tasks["two"].task_dep.append("one")
    dispatcher, given = Dispatcher(tasks, {}, ["two"]), None
    for _ in tasks:
        given = dispatcher.generator.send(given)
        given.run_status = "successful"
    with pytest.raises(StopIteration):
        dispatcher.generator.send(given)
    assert told == ["node for two", "node for one", "one is over", "two is over"]


def test_a_task_without_its_actions_holds_nothing_of_them() -> None:
    task = doits_task.Task("one", ["true"])
    assert len(task.actions) == 1
    kept = weakref.ref(task.actions[0])
    vars(task.actions[0]).clear()  # an action knows its task
    compat.drop_actions(task)
    assert list(task.actions) == []
    assert kept() is None


def test_slim_tasks_and_nodes_know_the_same_attributes_as_doits() -> None:
    """Whatever doit adds to a task or a node, slim ones may lack: then look at slim_tasks.py again."""
    assert set(vars(doits_task.Task("one", None))) == {
        "_action_instances", "_actions", "_remove_targets", "calc_dep", "cfg_values", "clean_actions", "creator_params",
        "custom_title", "dep_changed", "doc", "executed", "file_dep", "getargs", "has_subtask", "io", "loader", "meta",
        "name", "options", "params", "pos_arg", "pos_arg_val", "result", "setup_tasks", "subtask_of", "targets",
        "task_dep", "teardown", "uptodate", "value_savers", "values", "verbosity", "watch", "wild_dep",
    }  # fmt: skip
    assert set(vars(node())) == {
        "ancestors", "bad_deps", "calc_dep", "generator", "ignored_deps", "run_status", "task", "task_dep",
        "wait_run", "wait_run_calc", "wait_select", "waiting_me",
    }  # fmt: skip
    assert set(slim_tasks.SlimNode.__slots__) < set(vars(node())) | {"stepped"}


# --- httpx and httpcore


class Pool(httpcore.AsyncConnectionPool):
    """Answers by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[httpcore.Request] = []
        self.closed = False

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        self.asked.append(request)
        return httpcore.Response(200, content=b"of our own pool")

    async def aclose(self) -> None:
        self.closed = True


def test_a_transport_sends_everything_through_the_pool_that_it_was_given() -> None:
    async def main() -> None:
        pool = Pool()
        transport = http_compat.transport_over(pool, TLS)
        timeout = http_compat.as_extension(httpx.Timeout(3.0, connect=1.0))
        request = httpx.Request("GET", "https://clips.example/7", extensions={"timeout": timeout})
        assert await (await transport.handle_async_request(request)).aread() == b"of our own pool"
        [asked] = pool.asked
        assert (asked.url.origin, asked.url.target) == (ORIGIN, b"/7")
        assert asked.extensions["timeout"] == {"connect": 1.0, "read": 3.0, "write": 3.0, "pool": 3.0}
        await transport.aclose()
        assert pool.closed

    trio.run(main)


def test_the_reason_of_a_refused_connection_comes_through_httpx() -> None:
    class Refusing(httpcore.AsyncMockBackend):
        async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
            raise Blocked(host)

    async def main() -> None:
        transport = http_compat.transport_over(Connections(TLS, Refusing([]), 0), TLS)
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectError) as caught:
                await client.get("https://clips.example")
        assert isinstance(http_compat.cause(caught.value), Blocked)

    trio.run(main)


@pytest.mark.parametrize(("head", "reusable"), [(b"Content-Length: 2", True), (b"Connection: close", False)])
def test_a_connection_says_whether_it_can_be_used_again(head: bytes, reusable: bool) -> None:
    network = httpcore.AsyncMockBackend([b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nok"])
    other = httpcore.Origin(b"https", b"elsewhere.example", 443)

    async def main() -> None:
        connection = http_compat.new_connection(ORIGIN, TLS, network, kept_open_s=30)
        assert http_compat.leads_to(connection, ORIGIN)
        assert not http_compat.leads_to(connection, other)
        url = httpcore.URL(scheme=b"https", host=b"clips.example", target=b"/")
        response = await connection.handle_async_request(httpcore.Request("GET", url, headers=[("Host", "x")]))
        assert not http_compat.is_reusable(connection), "its answer is not read"
        assert await response.aread() == b"ok"
        await response.aclose()
        assert http_compat.is_reusable(connection) is reusable
        await connection.aclose()
        assert not http_compat.is_reusable(connection)

    trio.run(main)


@pytest.mark.parametrize(("kept_open_s", "good"), [(30.0, True), (-1.0, False)])
def test_an_idle_connection_is_good_for_a_while(kept_open_s: float, good: bool) -> None:
    network = httpcore.AsyncMockBackend([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"])

    async def main() -> None:
        connection = http_compat.new_connection(ORIGIN, TLS, network, kept_open_s=kept_open_s)
        url = httpcore.URL(scheme=b"https", host=b"clips.example", target=b"/")
        response = await connection.handle_async_request(httpcore.Request("GET", url, headers=[("Host", "x")]))
        await response.aread()
        await response.aclose()
        assert http_compat.is_still_good(connection) is good
        await connection.aclose()

    trio.run(main)


def test_a_tunnel_knows_whether_it_was_opened() -> None:
    def proxy(answer: bytes) -> httpcore.AsyncHTTPProxy:
        made = http_compat.proxy_at("https://me:p%40ss@proxy.example:3128", TLS)
        made._network_backend = httpcore.AsyncMockBackend([answer, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
        return made

    async def main(answer: bytes) -> bool:
        connection = http_compat.through(proxy(answer), ORIGIN)
        assert http_compat.never_left(connection)
        assert http_compat.leads_to(connection, ORIGIN)
        url = httpcore.URL(scheme=b"https", host=b"clips.example", target=b"/")
        with contextlib.suppress(httpcore.ProxyError):
            await connection.handle_async_request(httpcore.Request("GET", url, headers=[("Host", "x")]))
        left = http_compat.never_left(connection)
        await connection.aclose()
        return left

    assert trio.run(main, b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n") is True
    assert trio.run(main, b"HTTP/1.1 200 OK\r\n\r\n") is False
    assert not http_compat.never_left(http_compat.new_connection(ORIGIN, TLS, None))
