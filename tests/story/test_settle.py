"""`doit settle` ends the purchase that is meant, and no other: after a renumbering, and beside an earlier order."""

import pytest
from studio import Studio, shots

ONLY_RUNWAY = ("primary_api=runway", "fallback_api=none")
RUNWAY_USD = 0.6


@pytest.mark.slow
def test_after_renumbering_settle_does_not_end_what_another_shot_waits_for(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, third = shots(3)
    studio.write_shots([first, second])
    studio.faults("create_lost=~shot-2")
    assert studio.doit(*ONLY_RUNWAY) == 1
    held = studio.booked()
    studio.write_shots([{**second, "shot_number": 1}, {**third, "shot_number": 2}])
    assert studio.doit("settle", "shot=2", "as=not-charged") == 1
    assert "clip 002  has no unfinished purchase" in capfd.readouterr().out
    assert studio.booked() == held
    assert studio.doit("settle", "shot=1", "as=charged") == 0
    assert studio.booked() == (held[0] + RUNWAY_USD, 0, 0)


@pytest.mark.slow
def test_settle_asks_which_if_an_earlier_order_of_the_shot_is_open_too(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.write_shots(shots(1))
    studio.faults("create_lost=1.0")
    assert studio.doit(*ONLY_RUNWAY) == 1
    studio.change_shot(1, runway_prompt="another boat")
    assert studio.doit(*ONLY_RUNWAY) == 1
    held = studio.booked()
    capfd.readouterr()
    assert studio.doit("settle", "shot=1", "as=not-charged") == 1
    said = capfd.readouterr().out
    assert "has 2 unfinished purchases; say which" in said
    assert "`doit settle shot=1 as=charged job=1`" in said
    assert studio.booked() == held == (0, 0, 2 * RUNWAY_USD)
    assert studio.doit("settle", "shot=1", "as=charged", "job=1") == 0
    assert studio.booked() == (RUNWAY_USD, 0, RUNWAY_USD)
