"""A job that is over, and whose result can't be read: waited for, and given up as paid after an hour."""

import pytest
from studio import Studio

from vgen.simulator.fal import Fal as FalApp
from vgen.simulator.web import answer


def only(provider: str) -> tuple[str, ...]:
    return f"primary_api={provider}", "fallback_api=none"


@pytest.fixture
def unreadable(one: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """fal says that every job is over, and answers for its result with 500 in words that are not its own."""
    monkeypatch.setattr(FalApp, "_result", lambda *_: answer(500, {"detail": "something went wrong"}))
    return one


def test_a_result_that_can_not_be_read_is_waited_for(unreadable: Studio) -> None:
    for _ in range(2):
        assert unreadable.doit(*only("pika")) == 1
        assert unreadable.states() == ["rendering"]
        unreadable.pass_time(1000)
    assert unreadable.bought() == 1
    assert unreadable.booked() == (0, 0.2, 0)
    assert "run again to collect it" in unreadable.errors()[0]


def test_after_an_hour_it_is_given_up_as_paid_and_the_fallbacks_turn_comes(unreadable: Studio) -> None:
    arguments = ("primary_api=pika", "fallback_api=runway", "max_retries=1")
    assert unreadable.doit(*arguments) == 1
    unreadable.pass_time(3600)
    assert unreadable.doit(*arguments) == 0
    assert unreadable.states() == ["failed", "accepted"]
    assert unreadable.rows()[0]["charged_by"] == "assumed"
    assert [job["provider"] for job in unreadable.jobs()] == ["fal", "runway"]
    assert unreadable.booked() == (0.8, 0, 0)
    assert unreadable.said("its result can't be read")


def test_a_result_that_can_be_read_again_is_collected_however_late(
    one: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(FalApp, "_result", lambda *_: answer(500, {"detail": "something went wrong"}))
        assert one.doit(*only("pika")) == 1
    one.pass_time(100_000)
    assert one.doit(*only("pika")) == 0
    assert one.bought() == 1
    assert one.states() == ["accepted"]
