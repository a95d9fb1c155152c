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


@pytest.mark.slow
def test_a_killed_command_for_two_new_takes_goes_on_where_it_was(
    project: Project, serve: Callable[..., Server]
) -> None:
    """One new take is in place, the other is ordered at most: typed again, each is bought once."""
    server = serve("--queue-s", "0", "--render-s", "0.4")
    project.buys_at(server)
    project.write_shots(shots(2))
    words = ("-a", "clip:1", "clip:2", "max_concurrent=1")
    assert project.doit()[0] == 0
    server.hold()
    started = project.start(*words)
    started.says("rendering at")
    server.passes(1.0)
    started.says("ready: take 2")
    started.kill()
    server.release()

    code, said = project.doit(*words)
    assert code == 0, said
    assert "has its new take already" in said
    assert server.accepted().total() == 4, said
    assert project.states() == {"accepted": 4}
    assert project.doit()[0] == 0
    assert [clip["take"] for clip in project.report()["clips"]] == [2, 2]
    project.assert_money_is_true(server)
    assert project.rows("SELECT * FROM retakes") == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["rendered at", "your edit of", "ready:"])
def test_a_kill_of_a_command_that_replaces_an_edit_never_loses_it(
    project: Project, serve: Callable[..., Server], moment: str
) -> None:
    server = serve("--queue-s", "0", "--render-s", "0.4")
    project.buys_at(server)
    project.write_shots(shots(2))
    assert project.doit()[0] == 0
    first, second = project.published()
    edit = second.read_bytes()
    first.write_bytes(edit)

    def places() -> list[bytes]:
        kept = sorted((project.outputs / "takes" / "edited").glob("*"))
        return [path.read_bytes() for path in (first, *kept) if path.exists() and path.read_bytes() == edit]

    started = project.start("-a", "clip:1")
    started.says(moment)
    started.kill()
    assert len(places()) == 1
    code, said = project.doit("-a", "clip:1")
    assert code == 0, said
    assert len(places()) == 1
    assert first.read_bytes() != edit
    if moment != "ready:":  # from there on the first may have come to its end, and these words are a new wish
        assert server.accepted().total() == 3, said
    project.assert_money_is_true(server)
