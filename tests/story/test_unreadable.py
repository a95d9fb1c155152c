"""A job that is over, and whose result can't be read: waited for, and given up as paid after an hour."""

import re
import shlex
from typing import Any

import pytest
from studio import Studio

from vgen.simulator.fal import Fal as FalApp
from vgen.simulator.fal_answers import mark
from vgen.simulator.jobs import Job
from vgen.simulator.runway import Runway
from vgen.simulator.web import answer


def only(provider: str) -> tuple[str, ...]:
    return f"primary_api={provider}", "fallback_api=none"


@pytest.fixture
def unreadable(one: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """fal says that every job is over, and answers for its result with 500 in words that are not its own."""
    monkeypatch.setattr(FalApp, "_result", lambda *_: answer(500, {"detail": "something went wrong"}))
    return one


@pytest.mark.slow
def test_a_result_that_can_not_be_read_is_waited_for(unreadable: Studio) -> None:
    for _ in range(2):
        assert unreadable.doit(*only("pika")) == 1
        assert unreadable.states() == ["rendering"]
        unreadable.pass_time(1000)
    assert unreadable.bought() == 1
    assert unreadable.booked() == (0, 0.2, 0)
    assert "run again to collect it" in unreadable.errors()[0]


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_result_of_another_shape_is_told_as_what_it_is_booked_and_bought_once(
    one: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        pictures = {"images": [{"url": "https://v3.fal.media/a.png"}], "seed": 5}
        patch.setattr(FalApp, "_result", lambda _, __, job: answer(200, pictures, mark(job)))
        began = one.now()
        assert one.doit(*only("pika")) == 1
        assert one.now() - began < 200, "it is known at once, and not waited for until the clip's time is up"
        assert (one.states(), one.booked()) == (["rendered"], (0.2, 0, 0))
        assert one.doit("clip:1", *only("pika")) == 1
        (error,) = one.errors()
        assert "is finished at pika and paid, but its result holds no video, but images, seed" in error
        assert "still running" not in error
        assert "`doit settle shot=1 as=charged" in error
    assert one.doit("clip:1", *only("pika")) == 0, "it can be read after all"
    assert (one.bought(), one.booked()) == (1, (0.2, 0, 0))


def test_a_result_of_another_shape_can_be_ended_by_the_users_word(
    one: Studio, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FalApp, "_result", lambda _, __, job: answer(200, {"seed": 5}, mark(job)))
    one.doit(*only("pika"))
    words = shlex.split(re.findall(r"`doit (settle[^`]*)`", capfd.readouterr().out)[-1])
    assert one.doit(*words) == 0
    assert one.booked() == (0.2, 0, 0)
    assert "`doit -a clip:1" in capfd.readouterr().out, "what to type next"


def test_a_shape_that_nobody_of_fals_vouches_for_is_told_too(unreadable: Studio) -> None:
    unreadable.doit(*only("pika"))
    assert unreadable.said("over at pika, but can't be read: HTTP 500, not in fal's own words; asking again")
    assert not any("still running" in str(error) for error in unreadable.errors())


@pytest.mark.slow
def test_at_runway_too_an_output_of_another_shape_is_told(one: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Runway._task

    def odd(self: Runway, job: Job, origin: str) -> dict[str, Any]:
        found = task(self, job, origin)
        return found | {"output": {"frames": 120}} if "output" in found else found

    monkeypatch.setattr(Runway, "_task", odd)
    assert one.doit(*only("runway")) == 1
    assert (one.states(), one.booked()) == (["rendered"], (0.6, 0, 0))
    assert 'its output names no file: {"frames": 120}' in one.errors()[0]


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
