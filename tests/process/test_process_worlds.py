"""The simulator as a server, as a user rehearses with it: play money whatever `mode` says, mixed with nothing real."""

from collections.abc import Callable

import pytest
from workshop import KEYS, Project, Server, shots

Serve = Callable[..., Server]
FAST = ("--queue-s", "0", "--render-s", "0.2")


@pytest.mark.slow
def test_a_rehearsal_is_simulated_and_the_real_address_is_refused_after_it(project: Project, serve: Serve) -> None:
    """`mode=live` against the simulator, then against a provider: not "nothing to do", and not a cent."""
    project.write_shots(shots(2))
    project.buys_at(serve(*FAST, named=True))
    code, said = project.doit("mode=live")
    assert code == 0, said
    assert "play money: everything here is simulated" in said
    assert project.report()["simulated"] is True
    assert {row["simulated"] for row in project.rows()} == {1}
    real = serve(*FAST)
    project.buys_at(real)
    code, said = project.doit("mode=live")
    assert code == 3, said
    assert "clips of vgen's simulator" in said
    assert real.charges()["creates"] == 0
    code, said = project.doit("mode=live", "outputs=film")
    assert code == 0, said
    assert real.charges()["creates"] == 2


@pytest.mark.slow
def test_a_terminal_without_the_key_leaves_the_paid_film_alone(project: Project, serve: Serve) -> None:
    project.write_shots(shots(2))
    server = serve(*FAST)
    project.buys_at(server)
    assert project.doit()[0] == 0
    film = [path.read_bytes() for path in project.published()]
    for name in KEYS:
        del project.environ[name]
    code, said = project.doit()
    assert (code, "nothing to do" in said) == (0, True), said
    assert [path.read_bytes() for path in project.published()] == film
    project.write_shots(shots(3))
    code, said = project.doit()
    assert code == 3, said
    assert "RUNWAY_API_KEY" in said
    assert [path.read_bytes() for path in project.published()] == film
    assert project.report()["simulated"] is False
    assert server.charges()["creates"] == 2


@pytest.mark.slow
def test_the_plan_asks_the_server_who_it_is_and_works_without_it(project: Project, serve: Serve) -> None:
    """It needs no network: a server that is not there is no problem."""
    project.write_shots(shots(1))
    server = serve(*FAST, named=True)
    project.buys_at(server)
    code, said = project.doit("plan", "mode=live")
    assert code == 0, said
    assert "of play money" in said
    server.stop()
    code, said = project.doit("plan", "mode=live")
    assert code == 0, said
    assert "of play money" not in said, "nothing was bought yet, so nothing is known"
