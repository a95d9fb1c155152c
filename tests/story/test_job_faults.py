"""Jobs that fail, hang, cost too much, or deliver what is no good clip."""

import pytest
from studio import Studio

pytestmark = pytest.mark.slow

PRICES = {"runway": 0.6, "pika": 0.2}
PREFIX = {"runway": "runway", "pika": "fal"}
PROVIDERS = pytest.mark.parametrize("provider", ["runway", "pika"])
BAD_CLIPS = ["clip_small", "clip_short", "clip_480p", "clip_landscape", "clip_damaged"]


def only(provider: str, *more: str) -> tuple[str, ...]:
    """Arguments for a run that knows one provider."""
    return (f"primary_api={provider}", "fallback_api=none", *more)


# ── failed jobs ───────────────────────────────────────────────────────────────────────────────────────────


@PROVIDERS
def test_a_failed_job_is_bought_again_and_costs_nothing(one: Studio, provider: str) -> None:
    one.faults("job_failed=first:1")
    assert one.doit(*only(provider)) == 0
    assert one.states() == ["failed", "accepted"]
    assert one.booked() == (PRICES[provider], 0, 0)
    assert one.charged() == PRICES[provider]


@PROVIDERS
def test_jobs_that_always_fail_end_after_max_retries(one: Studio, provider: str) -> None:
    one.faults("job_failed=1.0")
    assert one.doit(*only(provider)) == 1
    assert one.bought() == 3
    assert one.booked() == (0, 0, 0)
    assert "3 times" in one.errors()[0]


def test_jobs_that_always_fail_lead_to_the_fallback(one: Studio) -> None:
    one.faults("runway.job_failed=1.0")
    assert one.doit() == 0
    assert [job["provider"] for job in one.jobs()] == ["runway"] * 3 + ["fal"]
    assert one.booked() == (0.2, 0, 0)


def test_a_moderated_job_is_paid_at_runway_and_not_tried_there_again(one: Studio) -> None:
    one.faults("runway.job_moderated=1.0")
    assert one.doit() == 0
    assert [job["provider"] for job in one.jobs()] == ["runway", "fal"]
    assert one.booked() == (0.8, 0, 0)
    assert one.charged() == 0.8
    assert one.clips()[0]["cost_usd"] == 0.2
    assert one.report()["budget"]["spent_usd"] == 0.8


def test_a_moderated_job_without_a_fallback_tells_what_it_cost(one: Studio) -> None:
    one.faults("runway.job_moderated=1.0")
    for _ in range(2):
        assert one.doit("fallback_api=none") == 1
    assert one.bought() == 1
    assert one.clips()[0]["cost_usd"] == 0.6
    assert one.report()["total_cost_usd"] == 0


def test_a_moderated_job_at_fal_is_free(one: Studio) -> None:
    one.faults("fal.job_moderated=1.0")
    for _ in range(2):
        assert one.doit(*only("pika")) == 1
    assert one.bought() == 1
    assert one.booked() == (0, 0, 0)


# ── jobs that do not end ──────────────────────────────────────────────────────────────────────────────────


@PROVIDERS
def test_a_stuck_job_is_detached_and_collected_later(one: Studio, provider: str) -> None:
    one.faults("job_stuck=first:1")
    assert one.doit(*only(provider)) == 1
    assert one.states() == ["rendering"]
    assert one.booked() == (0, PRICES[provider], 0)
    assert "run again to collect it" in one.errors()[0]
    assert one.doit(*only(provider)) == 1
    one.calm()
    one.heal_jobs()
    assert one.doit(*only(provider)) == 0
    assert one.bought() == 1
    assert one.booked() == (PRICES[provider], 0, 0)
    assert one.report()["run"]["resumed"] == 1


def test_a_stuck_job_is_not_bought_again_at_the_fallback(one: Studio) -> None:
    one.faults("job_stuck=first:1")
    one.doit()
    assert [job["provider"] for job in one.jobs()] == ["runway"]


def test_a_named_clip_that_is_not_in_place_ends_with_1(studio: Studio) -> None:
    studio.faults("job_stuck=~shot-2")
    assert studio.doit("clip:2") == 1
    assert studio.doit("clip:1") == 0
    assert studio.doit("clip:1", "clip:2") == 1
    assert studio.bought() == 2


@pytest.mark.parametrize("args", [(), ("-a", "report"), ("clip:1",), ("-a", "clip:1"), ("on_uncertain=rebuy",)])
def test_nothing_buys_beside_a_running_job(one: Studio, args: tuple[str, ...]) -> None:
    one.faults("job_stuck=first:1")
    one.doit("fallback_api=none")
    one.doit(*args)
    assert one.bought() == 1
    one.calm()
    one.heal_jobs()
    assert one.doit(*args) == 0
    assert one.bought() == 1
    assert one.charged() == 0.6


def test_a_running_job_is_collected_from_its_provider_though_the_primary_has_changed(one: Studio) -> None:
    one.faults("job_stuck=first:1")
    one.doit()
    one.calm()
    one.heal_jobs()
    assert one.doit("primary_api=pika", "fallback_api=none") == 0
    assert [job["provider"] for job in one.jobs()] == ["runway"]
    assert one.clips()[0]["api_used"] == "runway"


def test_a_running_job_is_collected_though_its_shot_has_changed(one: Studio) -> None:
    one.faults("job_stuck=first:1")
    one.doit()
    one.calm()
    one.heal_jobs()
    one.change_shot(1, runway_prompt="another boat")
    assert one.doit() == 0
    assert one.bought() == 2
    assert len(one.takes()) == 2
    assert one.shown_clip(1) == "another boat"
    one.change_shot(1, runway_prompt="shot-1 a paper boat")
    assert one.doit() == 0
    assert one.bought() == 2
    assert one.shown_clip(1) == "shot-1 a paper boat"


def test_a_running_job_waits_for_its_key(one: Studio) -> None:
    one.faults("job_stuck=first:1")
    one.doit()
    one.calm()
    one.heal_jobs()
    key = one.environ.pop("RUNWAY_API_KEY")
    assert one.doit("primary_api=pika", "fallback_api=none") == 1
    assert "key" in one.errors()[0]
    assert one.bought() == 1
    one.environ["RUNWAY_API_KEY"] = key
    assert one.doit() == 0
    assert one.bought() == 1


@PROVIDERS
def test_a_job_that_never_leaves_the_queue_is_cancelled_and_the_fallback_has_its_turn(
    one: Studio, provider: str
) -> None:
    other = "pika" if provider == "runway" else "runway"
    one.faults(f"{PREFIX[provider]}.job_queued=1.0")
    assert one.doit(f"primary_api={provider}", f"fallback_api={other}") == 0
    assert [row["state"] for row in one.rows()] == ["cancelled", "accepted"]
    assert one.clips()[0]["api_used"] == other
    spent = round(PRICES[provider] + PRICES[other], 6)
    assert one.booked() == (spent, 0, 0), "a cancelled job is booked as charged unless the provider says otherwise"
    assert one.rows()[0]["charged_by"] == "assumed"
    assert one.charged() == PRICES[other]


@PROVIDERS
def test_a_job_that_never_leaves_the_queue_without_fallback_is_told(one: Studio, provider: str) -> None:
    one.faults("job_queued=1.0")
    assert one.doit(*only(provider)) == 1
    assert "queue" in one.errors()[0]
    assert one.bought() == 1
    assert one.requests()["cancel"] >= 1


def test_cancelled_jobs_count_as_paid_submissions(one: Studio) -> None:
    one.faults("job_queued=1.0")
    for _ in range(5):
        assert one.doit(*only("runway")) == 1
    assert one.bought() == 3


@PROVIDERS
def test_a_slow_job_is_detached_then_collected_free(one: Studio, provider: str) -> None:
    one.faults("job_slow=first:1", render_s=31)
    assert one.doit(*only(provider)) == 1
    assert one.booked() == (0, PRICES[provider], 0)
    assert one.doit(*only(provider)) == 0
    assert one.bought() == 1
    assert one.booked() == (PRICES[provider], 0, 0)
    run = one.report()["run"]
    assert (run["generated"], run["reused"], run["resumed"]) == (0, 0, 1)
    assert one.said("ready: ")
    assert not one.said("restored take"), "a job that is collected is no take that was here"


def test_a_long_clip_timeout_waits_for_a_slow_job(one: Studio) -> None:
    one.faults("job_slow=first:1", render_s=31)
    assert one.doit("clip_timeout_s=400") == 0
    assert one.bought() == 1


def test_the_timeout_is_kept(one: Studio) -> None:
    one.faults("job_stuck=1.0")
    begin = one.clock.current_time()
    one.doit("clip_timeout_s=50")
    assert 50 <= one.clock.current_time() - begin < 80


def test_generation_time_is_from_the_order_to_the_finished_job(one: Studio) -> None:
    one.faults(queue_s=2, render_s=60)
    one.doit()
    assert 62 <= one.clips()[0]["generation_time_s"] <= 75


# ── money that was not agreed ─────────────────────────────────────────────────────────────────────────────


def test_an_overrun_at_fal_is_booked_as_told(one: Studio) -> None:
    one.faults("fal.price_overrun=first:1")
    assert one.doit(*only("pika")) == 0
    assert one.booked() == (one.charged(), 0, 0)


def test_an_overrun_past_the_cap_fails_the_budget_gate(one: Studio) -> None:
    one.faults("runway.price_overrun=1.0")
    assert one.doit("budget_usd=1.00") == 1
    gates = {gate["name"]: gate["passed"] for gate in one.report()["gates"]}
    assert gates == {"success_rate": True, "resolution": True, "budget": False}
    assert one.successes() == [True]


# ── clips that are no good ────────────────────────────────────────────────────────────────────────────────


@PROVIDERS
@pytest.mark.parametrize("fault", BAD_CLIPS)
def test_a_bad_clip_is_kept_among_the_takes_and_another_one_is_bought(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{fault}=first:1")
    assert one.doit(*only(provider)) == 0
    assert one.states() == ["rejected", "accepted"]
    assert len(one.takes("*_rejected.mp4")) == 1
    assert one.booked() == (round(2 * PRICES[provider], 6), 0, 0)
    entry = one.report()["clips"][0]
    assert (entry["take"], entry["attempts"], entry["cost_usd"]) == (2, 2, PRICES[provider])


@pytest.mark.parametrize("fault", BAD_CLIPS)
def test_two_clips_that_are_bad_for_the_same_reason_end_buying_there_and_lead_to_the_fallback(
    one: Studio, fault: str
) -> None:
    one.faults(f"runway.{fault}=1.0")
    assert one.doit() == 0
    assert [job["provider"] for job in one.jobs()] == ["runway"] * 2 + ["fal"]
    assert one.booked() == (1.4, 0, 0)
    assert one.clips()[0]["api_used"] == "pika"


@pytest.mark.parametrize("fault", BAD_CLIPS)
def test_rejections_for_the_same_reason_count_for_the_life_of_the_recipe(one: Studio, fault: str) -> None:
    one.faults(f"{fault}=1.0")
    for args in ((), (), ("max_retries=9",)):
        assert one.doit(*only("runway"), *args) == 1
        assert one.bought() == 2
    (entry,) = one.clips()
    assert entry["cost_usd"] == 1.2
    assert not one.clip(1).exists()
    assert "twice for the same reason" in entry["error"]


def test_paid_attempts_count_for_the_life_of_the_recipe(one: Studio) -> None:
    for fault, bought in (("clip_480p", 1), ("clip_landscape", 2), ("clip_short", 3), ("clip_small", 3)):
        one.worsen(f"{fault}=1.0")
        assert one.doit(*only("runway"), f"max_retries={min(bought, 3)}") == 1
        assert one.bought() == bought, "each is bad for another reason"
    assert one.doit(*only("runway"), "max_retries=4") == 1
    assert one.bought() == 4


def test_max_retries_1_buys_a_bad_clip_once(one: Studio) -> None:
    one.faults("clip_480p=1.0")
    assert one.doit("max_retries=1") == 1
    assert [job["provider"] for job in one.jobs()] == ["runway", "fal"]


def test_a_providers_own_max_retries_bounds_its_paid_attempts(one: Studio) -> None:
    one.configure(runway={"max_retries": 2}, pika={"retry": {"max_attempts": 1}})
    one.faults("clip_480p=1.0")
    assert one.doit() == 1
    assert [job["provider"] for job in one.jobs()] == ["runway", "runway", "fal"]


def test_a_recipe_is_not_bought_again_though_all_takes_were_bad_until_told(one: Studio) -> None:
    one.faults("clip_480p=1.0")
    one.doit(*only("runway"))
    one.calm()
    assert one.doit(*only("runway")) == 1
    assert one.bought() == 2
    assert one.doit("-a", "clip:1", *only("runway")) == 0
    assert one.bought() == 3


@pytest.mark.parametrize(("fault", "word"), [("clip_480p", "480"), ("clip_short", "0.5"), ("clip_landscape", "")])
def test_the_report_says_what_was_wrong_with_the_clip(one: Studio, fault: str, word: str) -> None:
    one.faults(f"{fault}=1.0")
    one.doit(*only("runway", "max_retries=1"))
    assert word in one.errors()[0]


def test_duration_may_fall_short_by_half_a_second(one: Studio) -> None:
    one.change_shot(1, duration=4.5)
    assert one.doit() == 0
    assert one.bought() == 1


def test_the_asked_duration_is_judged_not_the_bought_one(one: Studio) -> None:
    one.change_shot(1, duration=3)
    assert one.doit(*only("pika")) == 0
    assert one.report()["clips"][0]["duration_s"] == 5
    assert one.doit(*only("pika")) == 0
    assert one.bought() == 1
