"""A ledger that is older than what is around it, with real processes: what was bought since is not bought again."""

import shutil
from collections.abc import Callable

import pytest
from workshop import Project, Server, shots, wait_until

Serve = Callable[..., Server]

WORDS = ("budget_usd=1.5", "fallback_api=none")
"""Three clips of four seconds cost $1.44 at Runway."""


@pytest.mark.slow
def test_a_ledger_of_yesterday_beside_takes_of_today_buys_nothing_again(project: Project, serve: Serve) -> None:
    """At ed70e81: five jobs for three recipes, $2.40 on a budget of $1.50, and `doit audit` found no fault."""
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(3, duration=4))
    ledger, copy = project.outputs / "ledger.db", project.root / "ledger-of-yesterday.db"
    assert project.doit("clip:1", *WORDS)[0] == 0
    shutil.copy(ledger, copy)
    assert project.doit(*WORDS)[0] == 0
    shutil.copy(copy, ledger)
    shutil.rmtree(project.outputs / "clips")  # they can be made again from the takes
    code, _ = project.doit(*WORDS)
    assert (server.accepted().total(), server.charged_usd()) == (3, 1.44)
    assert code == 3
    assert project.doit("audit", *WORDS)[0] != 0
    assert project.doit("recover", *WORDS)[0] == 0
    code, said = project.doit(*WORDS)
    assert code == 0, said
    assert (server.accepted().total(), project.booked()["spent"]) == (3, 1.44)
    project.assert_report_is_true()


@pytest.mark.slow
def test_a_ledger_that_is_deleted_while_jobs_run_buys_nothing_again(project: Project, serve: Serve) -> None:
    """At ed70e81: the ledger began anew in silence, and both shots were ordered a second time."""
    server = serve("--queue-s", "0", "--render-s", "0.1")
    project.buys_at(server)
    project.write_shots(shots(2, duration=4))
    server.hold()
    started = project.start(*WORDS)
    wait_until(lambda: project.states()["rendering"] == 2, what="both jobs")
    started.kill()
    ordered = server.accepted().total()
    (project.outputs / "ledger.db").unlink()
    server.release()
    code, said = project.doit(*WORDS)
    assert server.accepted().total() == ordered, said
    assert code == 3
    project.doit("recover", *WORDS)
    code, said = project.doit(*WORDS)
    assert code == 0, said
    assert set(server.accepted().values()) == {1}
    project.assert_money_is_true(server)
