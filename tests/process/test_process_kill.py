"""kill -9 at a chosen moment, and what the next run makes of it. (Random moments: test_process_campaign.py.)"""

from collections.abc import Callable

import pytest
from workshop import Project, Server, shots, wait_until


@pytest.mark.slow
def test_a_kill_while_a_create_is_unanswered_is_told_and_never_bought_again(
    project: Project, serve: Callable[..., Server]
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.1", "--fault", "create_hang=first:1~shot-2")
    project.buys_at(server)
    project.write_shots(shots(3))
    assert project.doit("clip:1")[0] == 0, "the first order of a kind goes alone"
    started = project.start()
    started.says("ready:")
    wait_until(lambda: server.accepted().total() == 3, what="all orders at the provider")
    started.kill()

    code, said = project.doit()
    assert code == 1, said  # 2 of 3 are below the gate
    assert server.accepted().total() == 3
    assert project.states() == {"accepted": 2, "uncertain": 1}
    held = project.clips()[1]
    assert held["success"] is False
    assert "perhaps bought" in held["error"]
    assert "$0.24" in held["error"]
    project.assert_money_is_true(server)
    project.assert_report_is_true()


@pytest.fixture
def killed_new_take(project: Project, serve: Callable[..., Server]) -> Server:
    """The provider of a project whose `doit -a clip:1` has ordered a second take and was killed then."""
    server = serve("--queue-s", "0", "--render-s", "0.4")
    project.buys_at(server)
    project.write_shots(shots(1))
    assert project.doit()[0] == 0
    server.hold()
    started = project.start("-a", "clip:1")
    started.says("rendering at")
    started.kill()
    server.release()
    assert server.charges()["creates"] == 2
    return server


@pytest.mark.slow
def test_a_killed_new_take_is_collected_by_the_next_run(project: Project, killed_new_take: Server) -> None:
    """A plain run brings it home, and its money is spent, not reserved."""
    code, said = project.doit()
    assert code == 0, said
    assert project.states() == {"accepted": 2}, said
    assert killed_new_take.charged_usd() == 0.48 == project.booked()["spent"]
    assert project.booked()["reserved"] == 0
    project.assert_report_is_true()


@pytest.mark.slow
def test_a_killed_new_take_is_not_bought_again_by_another_force(project: Project, killed_new_take: Server) -> None:
    code, said = project.doit("-a", "clip:1")
    assert code == 0, said
    assert killed_new_take.charges()["creates"] == 2, "while a job is live, -a collects it"
    assert project.states() == {"accepted": 2}
    assert project.doit()[0] == 0
    assert project.report()["clips"][0]["take"] == 2
