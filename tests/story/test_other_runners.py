"""doit's own runners in place of vgen's: the same books, and never several simulations."""

import pytest
from studio import Studio


def test_with_threads_the_books_and_the_count_are_those_of_vgens_own_runner(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit("-n", "2", "-P", "thread") == 0
    assert studio.successes() == [True] * 3
    assert (studio.bought(), studio.booked()) == (3, (studio.charged(), 0, 0))
    said = capfd.readouterr().out
    assert [count for count in ("[1/3]", "[2/3]", "[3/3]") if said.count(count) == 1] == ["[1/3]", "[2/3]", "[3/3]"]


def test_providers_that_are_simulated_inside_vgen_are_not_shared_out_to_processes(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ("mode=simulate", "-n", "2", "-P", "process")
    assert studio.doit(*words) == 3
    assert "take out -P process, or start `python -m vgen.simulator`" in capfd.readouterr().err
    assert (studio.bought(), studio.rows()) == (0, [])
    assert studio.doit(*words, "plan") == 0
