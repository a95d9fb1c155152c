"""A shot that does not fit now waits for money, as long as somebody is at work who may give some back."""

import pytest
from studio import Studio, shots

POOR = ("budget_usd=0.60", "partial=yes", "fallback_api=none", "max_retries=1")


@pytest.mark.slow
def test_money_of_a_job_that_no_shot_wants_any_more_is_waited_for(one: Studio) -> None:
    one.faults("job_failed=~shot-1", "job_slow=~shot-1")
    assert one.doit(*POOR, "clip_timeout_s=20") == 1
    assert one.booked() == (0, 0.6, 0)
    one.change_shot(1, runway_prompt="another boat")
    assert one.doit(*POOR) == 0
    assert one.states() == ["failed", "accepted"]


@pytest.mark.slow
def test_a_job_that_keeps_its_money_is_not_waited_for_longer_than_it_is_collected(one: Studio) -> None:
    one.faults("job_stuck=~shot-1")
    assert one.doit(*POOR, "clip_timeout_s=20") == 1
    one.change_shot(1, runway_prompt="another boat")
    assert one.doit(*POOR) == 1
    assert one.bought() == 1
    assert "not bought: it costs $0.60" in one.errors()[0]


@pytest.mark.slow
def test_shots_that_all_wait_give_up_though_others_stand_in_line_behind_them(studio: Studio) -> None:
    first, second, third = shots(3)
    studio.write_shots([first, first | {"shot_number": 4}, second, second | {"shot_number": 5}, third])
    studio.faults("job_stuck=~shot-1")
    assert studio.doit(*POOR) == 1
    assert studio.bought() == 1
    assert all(studio.errors())


def test_the_second_of_two_shots_of_one_recipe_buys_if_the_first_gave_up_its_money(studio: Studio) -> None:
    first, second, _ = shots(3)
    studio.write_shots([first, second, second | {"shot_number": 3}])
    studio.faults("runway.create_moderation=~shot-1")
    assert studio.doit(*POOR) == 1
    assert studio.successes() == [False, True, True]
    assert studio.bought() == 1
