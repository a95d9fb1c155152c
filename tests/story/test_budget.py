"""Never more than the budget: before the first purchase, while buying, and over the life of the outputs."""

import random

import pytest
from studio import KEYS, Studio, shots


def test_a_plan_that_does_not_fit_is_refused_with_the_figures(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit("budget_usd=1.00") == 3
    told = capsys.readouterr().err
    for words in ("$1.80", "$1.00", "3 clips", "partial=yes", "budget_usd=1.80", "doit plan"):
        assert words in told, words
    assert "Traceback" not in told
    assert studio.creates() == 0
    assert studio.requests() == {}


def test_a_refused_plan_changes_nothing_on_disk_but_that_outputs_hide_from_git(studio: Studio) -> None:
    before = studio.disk()
    assert studio.doit("budget_usd=1.00") == 3
    after = studio.disk()
    assert after.pop("outputs/.gitignore")[0] == b"*\n"
    assert after == before


@pytest.mark.slow
def test_a_refused_plan_leaves_finished_clips_alone(studio: Studio) -> None:
    studio.doit()
    studio.change_shot(2, runway_prompt="another boat")
    before = studio.disk()
    assert studio.doit("budget_usd=2.00") == 3
    assert studio.disk() == before


def test_the_named_budget_is_enough(studio: Studio) -> None:
    assert studio.doit("budget_usd=1.79") == 3
    assert studio.doit("budget_usd=1.80") == 0


def test_partial_buys_what_fits_in_shot_order(studio: Studio) -> None:
    assert studio.doit("budget_usd=1.30", "partial=yes") == 1
    assert studio.successes() == [True, True, False]
    assert studio.booked() == (1.2, 0, 0)
    assert "budget" in studio.errors()[2]
    assert studio.doit("budget_usd=1.30", "partial=yes") == 1
    assert studio.bought() == 2
    assert studio.doit("budget_usd=1.80") == 0
    assert studio.bought() == 3


def test_partial_skips_a_dear_shot_for_a_cheaper_one_behind_it(studio: Studio) -> None:
    studio.change_shot(2, duration=10)
    studio.doit("budget_usd=1.30", "partial=yes")
    assert studio.successes() == [True, False, True]


def test_partial_with_no_money_at_all_buys_nothing(studio: Studio) -> None:
    assert studio.doit("budget_usd=0", "partial=yes") == 1
    assert studio.creates() == 0
    assert all("budget" in error for error in studio.errors())


def test_money_that_a_refusal_releases_goes_to_a_waiting_shot(studio: Studio) -> None:
    studio.faults("runway.create_moderation=~shot-1", "fal.create_moderation=~shot-1")
    studio.doit("budget_usd=1.20", "partial=yes")
    assert studio.successes() == [False, True, True]
    assert studio.booked() == (1.2, 0, 0)


def test_money_that_a_failed_job_releases_goes_to_a_waiting_shot(studio: Studio) -> None:
    studio.faults("job_failed=~shot-1")
    studio.doit("budget_usd=1.20", "partial=yes", "fallback_api=none", "max_retries=1")
    assert studio.successes() == [False, True, True]


@pytest.mark.slow
def test_a_shot_that_can_not_be_paid_any_more_ends_instead_of_waiting(studio: Studio) -> None:
    studio.faults("job_stuck=~shot-1")
    assert studio.doit("budget_usd=1.20", "partial=yes") == 1
    assert studio.successes() == [False, True, False]
    assert studio.booked() == (0.6, 0.6, 0)


@pytest.mark.slow
def test_uncertain_and_reserved_money_of_earlier_runs_counts(studio: Studio) -> None:
    studio.faults("create_lost=~shot-1", "job_stuck=~shot-2")
    studio.doit("budget_usd=1.80")
    assert studio.booked() == (0.6, 0.6, 0.6)
    studio.write_shots([*studio.read_shots(), {"shot_number": 4, "duration": 5, "prompt": "more"}])
    assert studio.doit("budget_usd=2.39") == 3
    assert studio.bought() == 3
    assert studio.doit("budget_usd=2.40") == 1
    assert studio.successes() == [False, False, True, True]


@pytest.mark.slow
def test_a_budget_below_what_is_spent_still_collects(studio: Studio) -> None:
    studio.faults("job_stuck=~shot-2")
    studio.doit()
    studio.calm()
    studio.heal_jobs()
    assert studio.doit("budget_usd=0.10") in (0, 1)
    assert studio.successes() == [True, True, True]
    assert studio.bought() == 3
    gates = {gate["name"]: gate["passed"] for gate in studio.report()["gates"]}
    assert gates["budget"] is False


@pytest.mark.slow
def test_free_work_comes_before_a_refusal(studio: Studio) -> None:
    studio.faults("job_stuck=~shot-2")
    studio.doit()
    studio.calm()
    studio.heal_jobs()
    studio.clip(1).unlink()
    studio.write_shots([*studio.read_shots(), {"shot_number": 4, "duration": 5, "prompt": "more"}])
    assert studio.doit("budget_usd=1.80") == 3
    assert studio.successes() == [True, True, True, False]
    assert studio.clip(1).exists()
    assert studio.clip(2).exists()
    assert studio.bought() == 3
    assert studio.booked() == (1.8, 0, 0)


@pytest.mark.slow
def test_a_detached_job_that_still_runs_does_not_hide_the_refusal(studio: Studio) -> None:
    studio.faults("job_stuck=~shot-2")
    studio.doit()
    studio.write_shots([*studio.read_shots(), {"shot_number": 4, "duration": 5, "prompt": "more"}])
    assert studio.doit("budget_usd=1.80") == 3
    assert studio.booked() == (1.2, 0.6, 0)


@pytest.mark.slow
def test_retries_do_not_pass_the_cap(studio: Studio) -> None:
    studio.faults("clip_480p=1.0")
    assert studio.doit("budget_usd=2.00") == 1
    assert studio.booked() == (1.8, 0, 0)
    assert all("budget" in error for error in studio.errors())
    assert studio.doit("budget_usd=2.00") in (1, 3)
    assert studio.charged() == 1.8


@pytest.mark.slow
def test_the_fallback_does_not_pass_the_cap(studio: Studio) -> None:
    studio.faults("runway.job_moderated=1.0")
    studio.doit("budget_usd=1.90")
    assert studio.booked() == (1.8, 0, 0)
    assert [job["provider"] for job in studio.jobs()] == ["runway"] * 3
    assert all(studio.errors())


@pytest.mark.slow
def test_a_retry_waits_for_money_that_comes_back(studio: Studio) -> None:
    studio.faults("clip_480p=first:1~shot-1", "create_500=~shot-3")
    studio.doit("budget_usd=1.80", "fallback_api=none")
    assert studio.successes() == [True, True, False]
    assert studio.booked() == (1.8, 0, 0)


def test_two_shots_of_one_recipe_need_the_money_of_one(studio: Studio) -> None:
    one = shots(1)[0]
    studio.write_shots([one, one | {"shot_number": 2}, one | {"shot_number": 3}])
    assert studio.doit("budget_usd=0.60") == 0
    assert studio.bought() == 1


def test_a_named_clip_needs_its_own_price_only(studio: Studio) -> None:
    assert studio.doit("budget_usd=0.60", "clip:2") == 0
    assert studio.doit("budget_usd=0.60", "clip:1") == 3
    assert studio.bought() == 1


@pytest.mark.slow
def test_play_money_has_no_default_cap_and_an_explicit_one_binds(new_studio) -> None:
    studio = new_studio(live=False)
    studio.faults(render_s=3)
    studio.write_shots(shots(5))
    assert studio.doit("budget_usd=2.00") == 3
    assert studio.doit() == 0
    assert studio.report()["budget"]["cap_usd"] is None
    assert studio.report()["budget"]["spent_usd"] == 3


@pytest.mark.slow
def test_play_money_does_not_count_against_live_money(studio: Studio) -> None:
    studio.faults(render_s=3)
    assert studio.doit("mode=simulate") == 0
    assert studio.report()["simulated"] is True
    assert studio.doit("budget_usd=1.80") == 0
    assert studio.report()["budget"]["spent_usd"] == 1.8


@pytest.mark.slow
def test_two_outputs_have_two_budgets(studio: Studio) -> None:
    assert studio.doit() == 0
    assert studio.doit("outputs=other") == 0
    assert studio.bought() == 6
    studio.lines_of_credit = 2


@pytest.mark.slow
def test_the_configured_lower_price_is_never_used_for_a_reservation(studio: Studio) -> None:
    studio.configure(runway={"cost_per_second_usd": 0.01})
    assert studio.doit("budget_usd=1.79") == 3
    assert studio.doit("budget_usd=1.80") == 0


def test_a_model_without_a_price_is_refused(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.configure(runway={"model": "gen99"}, pika={"model": "fal-ai/unknown"})
    assert studio.doit() == 3
    assert studio.creates() == 0
    assert "cost_per_second_usd" in capsys.readouterr().err


MIXES = (
    "create_500",
    "create_429",
    "create_502",
    "create_lost",
    "create_garbage",
    "job_failed",
    "job_moderated",
    "job_stuck",
    "clip_480p",
    "clip_short",
    "clip_damaged",
    "poll_500",
    "media_cut",
)


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 16))])
def test_no_mixture_of_faults_passes_the_cap(new_studio, seed: int) -> None:
    rng = random.Random(seed)
    studio = new_studio(seed=seed)
    studio.write_shots(shots(4))
    studio.configure(runway={"poll_interval_s": 10}, pika={"poll_interval_s": 10})
    cap = rng.choice([0.7, 1.5, 2.4, 3.1])
    chosen = rng.sample(MIXES, 6)
    studio.faults(*(f"{name}={rng.choice([0.1, 0.3, 0.6])}" for name in chosen))
    on_uncertain = rng.choice(["hold", "rebuy"])
    for _ in range(3):
        studio.doit(f"budget_usd={cap}", "partial=yes", f"on_uncertain={on_uncertain}")
        assert sum(studio.booked()) <= cap + 1e-9
        assert studio.charged() <= cap + 1e-9
    studio.pass_time(2000)
    assert studio.charged() <= cap + 1e-9


def test_keys_are_what_the_studio_says() -> None:
    assert all("vgencanary" in key for key in KEYS.values())
