"""doit without vgen's `run`: its own runners make clips too, one at a time or on threads, and buy nothing twice."""

import sys
from collections.abc import Callable

import pytest
from workshop import Project, Server, shots

pytestmark = pytest.mark.slow

STOCK = """
import importlib.metadata, sys
real = importlib.metadata.entry_points
def without(**chosen):
    found = real(**chosen)
    if chosen.get("group") == "doit.COMMAND":
        return type(found)()
    return found
importlib.metadata.entry_points = without
from doit import doit_cmd
from doit.cmd_run import Run
main = doit_cmd.DoitMain()
assert main.get_cmds().get_plugin("run") is Run, "vgen's run is still there"
sys.exit(main.run(sys.argv[1:]))
"""


@pytest.fixture
def server(project: Project, serve: Callable[..., Server]) -> Server:
    made = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(made)
    project.write_shots(shots(2))
    return made


def stock(project: Project, *words: str) -> tuple[int, str]:
    started = project.start(*words, command=[sys.executable, "-c", STOCK])
    return started.ends(), started.said()


def test_two_clips_one_at_a_time(project: Project, server: Server) -> None:
    code, said = stock(project, "clip:1", "clip:2")
    assert code == 0, said
    assert server.charged_usd() == 0.48 == project.booked()["spent"]
    assert server.charges()["peak_in_flight"]["runway"] == 1
    code, said = stock(project, "clip:1", "clip:2")
    assert code == 0, said
    assert server.charges()["creates"] == 2
    project.assert_clips_are_takes()


@pytest.mark.slow
def test_everything_and_the_report(project: Project, server: Server) -> None:
    code, said = stock(project)
    assert code == 0, said
    assert server.charged_usd() == 0.48
    project.assert_report_is_true()
    code, said = stock(project)
    assert code == 0, said
    assert server.charges()["creates"] == 2


@pytest.mark.slow
def test_stock_doit_keeps_the_budget(project: Project, server: Server) -> None:
    project.write_shots(shots(4))
    code, _ = stock(project, "budget_usd=0.50")
    assert code != 0
    assert server.charged_usd() <= 0.5
    project.assert_money_is_true(server)


@pytest.mark.slow
def test_what_stock_doit_made_is_up_to_date_for_vgens_own(project: Project, server: Server) -> None:
    assert stock(project)[0] == 0
    code, _ = project.doit()
    assert code == 0
    assert server.charges()["creates"] == 2
    assert project.doit()[1].count("nothing to do") == 1


@pytest.mark.parametrize("kind", ["thread", pytest.param("process", marks=pytest.mark.slow)])
def test_doits_own_parallel_runners(project: Project, server: Server, kind: str) -> None:
    code, said = project.doit("-P", kind, "-n", "2")
    assert code == 0, said
    assert "Traceback" not in said
    assert server.charged_usd() == 0.48 == project.booked()["spent"]
    project.assert_report_is_true()
    code, said = project.doit("-P", kind, "-n", "2")
    assert code == 0, said
    assert server.charges()["creates"] == 2


@pytest.mark.slow
def test_force_of_a_named_clip_under_stock_doit_buys_one_take(project: Project, server: Server) -> None:
    assert stock(project)[0] == 0
    code, said = stock(project, "-a")
    assert code == 0, said
    assert server.charges()["creates"] == 2, "`-a` without a name runs actions again, free"
