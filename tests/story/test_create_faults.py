"""What a create's bad answer does: to the money, to the clip, to the next run."""

import itertools

import pytest
from studio import Studio

pytestmark = pytest.mark.slow

RUNWAY_USD = 0.6
PIKA_USD = 0.2
PRICES = {"runway": RUNWAY_USD, "pika": PIKA_USD}
PREFIX = {"runway": "runway", "pika": "fal"}
PROVIDERS = pytest.mark.parametrize("provider", ["runway", "pika"])

AGAIN = ["create_500", "create_503", "create_429", "connect_refused"]
"""Explicit noes and connections never made: sent again."""
CLOSING = ["no_credits", "bad_key"]
LOST_ACCEPTED = ["create_502_accepted", "create_lost", "create_hang", "create_garbage", "create_cut"]
LOST_REFUSED = ["create_502", "create_reset"]


FOUND_AT_ONCE = [("pika", "create_hang")]
"""fal lists jobs that ended: this one does before the answer is given up."""


def lost(*, listed: bool | None = None) -> list[tuple[str, str]]:
    """(provider, fault) pairs whose answer is lost. `listed`: whether fal's list shows their job."""
    pairs = [(provider, fault) for provider in PRICES for fault in (*LOST_ACCEPTED, *LOST_REFUSED)]
    return [
        (provider, fault)
        for provider, fault in pairs
        if listed in (None, provider == "pika" and fault in LOST_ACCEPTED)
    ]


def only(studio: Studio, provider: str, *more: str) -> tuple[str, ...]:
    """Arguments for a run that knows one provider."""
    return (f"primary_api={provider}", "fallback_api=none", *more)


@PROVIDERS
@pytest.mark.parametrize("fault", AGAIN)
def test_a_no_is_followed_by_another_try(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{PREFIX[provider]}.{fault}=first:2")
    assert one.doit(*only(one, provider)) == 0
    assert one.bought() == 1
    assert one.creates() == (1 if fault == "connect_refused" else 3)
    assert one.booked() == (PRICES[provider], 0, 0)
    assert one.charged() == PRICES[provider]
    assert one.report()["clips"][0]["attempts"] == 3
    free = "released" if fault == "connect_refused" else "refused"
    assert one.states() == [free, free, "accepted"]


@PROVIDERS
@pytest.mark.parametrize("fault", AGAIN)
def test_a_lasting_no_ends_after_max_retries_and_costs_nothing(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{PREFIX[provider]}.{fault}=1.0")
    assert one.doit(*only(one, provider)) == 1
    assert one.bought() == 0
    assert one.booked() == (0, 0, 0)
    assert len(one.rows()) == 3
    (entry,) = one.clips()
    assert (entry["success"], entry["clip_path"], entry["cost_usd"]) == (False, None, 0)
    assert entry["api_used"] == provider
    assert "3 times" in entry["error"]
    assert "\n" not in entry["error"]


@pytest.mark.parametrize("fault", AGAIN)
def test_a_lasting_no_leads_to_the_fallback(one: Studio, fault: str) -> None:
    one.faults(f"runway.{fault}=1.0")
    assert one.doit() == 0
    assert [job["provider"] for job in one.jobs()] == ["fal"]
    assert one.booked() == (PIKA_USD, 0, 0)
    assert one.clips()[0]["api_used"] == "pika"


@pytest.mark.parametrize("fault", AGAIN)
def test_unpaid_tries_count_per_run(one: Studio, fault: str) -> None:
    one.faults(f"{fault}=1.0")
    assert one.doit("max_retries=2") == 1
    assert len(one.rows()) == 4
    one.calm()
    assert one.doit("max_retries=2") == 0
    assert one.bought() == 1
    assert one.booked() == (RUNWAY_USD, 0, 0)


@pytest.mark.parametrize("fault", AGAIN)
def test_max_retries_1_means_one_submission(one: Studio, fault: str) -> None:
    one.faults(f"{fault}=1.0")
    assert one.doit("max_retries=1", "fallback_api=none") == 1
    assert len(one.rows()) == 1


def test_max_retries_of_a_provider_goes_before_the_default(one: Studio) -> None:
    one.configure(runway={"max_retries": 2}, pika={"max_retries": 1})
    one.faults("create_500=1.0")
    assert one.doit() == 1
    assert [row["provider"] for row in one.rows()] == ["runway", "runway", "pika"]


def test_max_retries_of_the_command_line_goes_before_a_providers_own(one: Studio) -> None:
    one.configure(runway={"max_retries": 2}, pika={"max_retries": 1})
    one.faults("create_500=1.0")
    assert one.doit("max_retries=3") == 1
    assert [row["provider"] for row in one.rows()] == ["runway"] * 3 + ["pika"] * 3


def test_backoff_grows_and_stays_below_its_ceiling(one: Studio) -> None:
    one.faults("runway.create_500=1.0")
    one.doit("max_retries=8", "fallback_api=none", "backoff_base_s=1", "backoff_max_s=10")
    sent = [row["submitted_at"] for row in one.rows()]
    waits = [later - sooner for sooner, later in itertools.pairwise(sent)]
    assert len(waits) == 7
    for n, wait in enumerate(waits, start=1):
        assert 0 <= wait <= min(10, 2**n)


def test_a_backoff_of_zero_is_obeyed(one: Studio) -> None:
    one.faults("runway.create_500=1.0")
    one.doit("fallback_api=none", "backoff_base_s=0")
    sent = [row["submitted_at"] for row in one.rows()]
    assert sent[-1] == sent[0]


def test_retry_after_binds_all_clips_of_the_lane(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgen.simulator.spoil.RETRY_AFTER_S", 40)
    studio.faults("runway.create_429=first:1")
    assert studio.doit("max_concurrent=1") == 0
    rows = studio.rows()
    refused = next(row for row in rows if row["state"] == "refused")
    after = [row["submitted_at"] - refused["submitted_at"] for row in rows if row is not refused]
    assert min(after) >= 40
    assert studio.bought() == 3


def test_retry_after_leaves_the_other_provider_alone(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgen.simulator.spoil.RETRY_AFTER_S", 100)
    studio.faults("runway.create_429=~shot-1", "runway.create_moderation=~shot-2")
    assert studio.doit("max_retries=2") == 0
    by_shot = {row["shot_number"]: row for row in studio.rows() if row["provider"] == "pika"}
    assert by_shot[2]["submitted_at"] - studio.rows()[0]["submitted_at"] < 100


def test_a_very_long_retry_after_closes_the_lane(one: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgen.simulator.spoil.RETRY_AFTER_S", 7200)
    one.faults("runway.create_429=1.0")
    begin = one.clock.current_time()
    assert one.doit() == 0
    assert one.clips()[0]["api_used"] == "pika"
    assert one.clock.current_time() - begin < 600


@PROVIDERS
@pytest.mark.parametrize("fault", CLOSING)
def test_no_credit_or_a_bad_key_closes_the_provider_with_one_message(studio: Studio, provider: str, fault: str) -> None:
    studio.faults(f"{PREFIX[provider]}.{fault}=1.0")
    assert studio.doit(*only(studio, provider)) == 1
    assert studio.bought() == 0
    assert studio.booked() == (0, 0, 0)
    assert sum("is closed for this run" in line for line in studio.lines) == 1
    assert all(studio.errors())
    assert studio.doit(*only(studio, provider), "max_concurrent=1") == 1
    studio.calm()
    assert studio.doit(*only(studio, provider)) == 0


@pytest.mark.parametrize("fault", CLOSING)
def test_a_closed_primary_leaves_all_clips_to_the_fallback(studio: Studio, fault: str) -> None:
    studio.faults(f"runway.{fault}=1.0")
    assert studio.doit("max_concurrent=1") == 0
    assert studio.creates() == 4
    assert studio.booked() == (0.6, 0, 0)
    assert {entry["api_used"] for entry in studio.clips()} == {"pika"}


def test_an_empty_account_is_told_and_the_rest_goes_to_the_fallback(studio: Studio) -> None:
    from decimal import Decimal

    studio.faults(credits_usd=Decimal("0.70"))
    assert studio.doit("max_concurrent=1") == 0
    assert [job["provider"] for job in studio.jobs()] == ["runway", "fal", "fal"]


@pytest.mark.parametrize(("provider", "fault"), [pair for pair in lost() if pair not in FOUND_AT_ONCE])
def test_a_lost_answer_holds_the_shot_and_its_price(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{PREFIX[provider]}.{fault}=first:1")
    other = "pika" if provider == "runway" else "runway"
    assert one.doit(f"primary_api={provider}", f"fallback_api={other}") == 1
    assert one.creates() == 1, "neither a retry nor the fallback may follow"
    assert one.bought() == (1 if fault in LOST_ACCEPTED else 0)
    assert one.booked() == (0, 0, PRICES[provider])
    assert one.states() == ["uncertain"]
    (entry,) = one.clips()
    assert not entry["success"]
    assert entry["api_used"] == provider
    assert f"${PRICES[provider]:.2f}" in entry["error"]
    assert "on_uncertain=rebuy" in entry["error"]
    assert one.report()["budget"]["uncertain_usd"] == PRICES[provider]


@pytest.mark.parametrize(("provider", "fault"), lost(listed=False))
def test_a_second_run_buys_nothing_beside_an_uncertain_purchase(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{PREFIX[provider]}.{fault}=first:1")
    one.doit(*only(one, provider))
    for _ in range(2):
        one.pass_time(1000)
        assert one.doit(*only(one, provider)) == 1
    assert one.doit("-a", "report", *only(one, provider)) == 1
    assert one.doit("clip:1", *only(one, provider)) == 1
    assert one.creates() == 1
    assert one.booked() == (0, 0, PRICES[provider])


@pytest.mark.parametrize(("provider", "fault"), lost(listed=False))
def test_rebuy_buys_one_more_and_both_amounts_stay(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{PREFIX[provider]}.{fault}=first:1")
    one.doit(*only(one, provider))
    for _ in range(2):
        assert one.doit(*only(one, provider), "on_uncertain=rebuy") == 0
    assert one.creates() == 2
    assert one.booked() == (PRICES[provider], 0, PRICES[provider])
    assert one.clips()[0]["cost_usd"] == PRICES[provider]
    assert one.report()["budget"]["spent_usd"] == PRICES[provider]
    assert one.report()["budget"]["uncertain_usd"] == PRICES[provider]


@pytest.mark.parametrize(("provider", "fault"), lost(listed=True))
def test_a_lost_job_that_its_provider_lists_is_adopted_free(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{PREFIX[provider]}.{fault}=first:1")
    one.doit(*only(one, provider))
    one.pass_time(1000)
    for _ in range(2):
        assert one.doit(*only(one, provider), "on_uncertain=rebuy") == 0
    assert one.creates() == 1, "the provider is asked before anything is bought again"
    assert one.booked() == (PRICES[provider], 0, 0)
    assert one.charged() == PRICES[provider]
    assert one.clips()[0]["cost_usd"] == PRICES[provider]


def test_a_list_that_does_not_answer_proves_nothing(one: Studio) -> None:
    one.faults("fal.create_lost=first:1")
    one.doit(*only(one, "pika"))
    one.pass_time(1000)
    one.network_refuses = lambda host, port: "down"
    assert one.doit(*only(one, "pika")) == 1
    assert one.booked() == (0, 0, PIKA_USD)
    one.network_refuses = None
    assert one.doit(*only(one, "pika")) == 0
    assert one.creates() == 1


def test_two_lost_jobs_are_adopted_each_by_its_own_shot(studio: Studio) -> None:
    studio.faults("fal.create_lost=first:2")
    studio.doit(*only(studio, "pika"))
    studio.pass_time(1000)
    assert studio.doit(*only(studio, "pika")) == 0
    assert studio.bought() == 3
    for number in (1, 2, 3):
        assert f"shot-{number} " in studio.shown_clip(number)


def test_rebuy_needs_money_beside_the_uncertain_amount(one: Studio) -> None:
    one.faults("runway.create_lost=first:1")
    one.doit("budget_usd=1.00")
    assert one.doit("budget_usd=1.00", "on_uncertain=rebuy") == 3
    assert one.creates() == 1
    assert one.doit("budget_usd=1.20", "on_uncertain=rebuy") == 0


def test_rebuy_in_the_first_run_buys_again_at_once(one: Studio) -> None:
    one.faults("runway.create_lost=first:1")
    assert one.doit("on_uncertain=rebuy") == 0
    assert one.bought() == 2
    assert one.booked() == (RUNWAY_USD, 0, RUNWAY_USD)


def test_rebuy_is_bounded_by_max_retries(one: Studio) -> None:
    """Each lost answer may have cost money; the user's word is not one for ever."""
    one.faults("create_lost=1.0")
    assert one.doit("on_uncertain=rebuy", "fallback_api=none") == 1
    assert one.bought() <= 3


def test_other_shots_go_on_beside_an_uncertain_one(studio: Studio) -> None:
    studio.faults("create_lost=~shot-2")
    assert studio.doit() == 1
    assert studio.successes() == [True, False, True]
    assert studio.booked() == (1.2, 0, 0.6)


def test_a_shot_that_is_held_does_not_stand_against_a_changed_prompt(one: Studio) -> None:
    one.faults("create_lost=~shot-1")
    one.doit()
    one.change_shot(1, runway_prompt="another boat")
    assert one.doit() == 0
    assert one.booked() == (RUNWAY_USD, 0, RUNWAY_USD)


def test_rebuy_stays_within_max_retries_over_runs(one: Studio) -> None:
    one.faults("create_lost=1.0")
    for _ in range(4):
        one.doit("on_uncertain=rebuy", "fallback_api=none", "max_retries=2")
    assert one.bought() == 2


def test_a_lost_answer_at_the_fallback_is_held_too(one: Studio) -> None:
    one.faults("runway.create_moderation=1.0", "fal.create_lost=1.0")
    for _ in range(2):
        assert one.doit() == 1
    assert one.creates() == 2
    assert one.booked() == (0, 0, PIKA_USD)


def test_a_changed_fallback_does_not_get_round_an_uncertain_purchase(one: Studio) -> None:
    one.faults("runway.create_lost=1.0")
    one.doit("fallback_api=none")
    assert one.doit("primary_api=pika") == 1
    assert one.doit("primary_api=pika", "fallback_api=none") == 1
    assert one.bought() == 1


def test_moderation_is_not_tried_again_at_the_same_api(one: Studio) -> None:
    one.faults("runway.create_moderation=1.0")
    assert one.doit() == 0
    assert one.creates() == 2
    assert [row["state"] for row in one.rows()] == ["refused", "accepted"]
    assert one.booked() == (PIKA_USD, 0, 0)


@PROVIDERS
def test_moderation_without_a_fallback_is_told_and_never_asked_again(one: Studio, provider: str) -> None:
    one.faults(f"{PREFIX[provider]}.create_moderation=1.0")
    for _ in range(2):
        assert one.doit(*only(one, provider)) == 1
    assert one.creates() == 1
    assert one.booked() == (0, 0, 0)
    assert one.charged() == 0
    assert "moderation" in one.errors()[0] or "content checker" in one.errors()[0]


def test_moderation_at_both_ends_without_a_clip(one: Studio) -> None:
    one.faults("create_moderation=1.0")
    assert one.doit() == 1
    assert one.creates() == 2
    assert one.booked() == (0, 0, 0)
    assert "runway refused the order" in one.errors()[0]
    assert "pika refused the order" in one.errors()[0]


def test_a_refusal_is_final_for_this_prompt_only(one: Studio) -> None:
    one.faults("create_moderation=~shot-1")
    one.doit()
    one.change_shot(1, runway_prompt="a milder boat")
    assert one.doit() == 0
    assert one.charged() == RUNWAY_USD


def test_no_answer_is_waited_for_only_so_long(one: Studio) -> None:
    one.faults("create_hang=first:1")
    begin = one.clock.current_time()
    one.doit()
    assert one.clock.current_time() - begin <= 130


def test_a_shot_that_no_model_can_make_is_refused_before_anything_is_bought(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.change_shot(2, duration=60)
    assert studio.doit() == 3
    assert studio.creates() == 0
    assert "shot 2" in capsys.readouterr().err


def test_a_shot_that_only_the_fallback_can_make_goes_there(one: Studio) -> None:
    one.configure(runway={"durations": [4]}, pika={"durations": [5, 10]})
    one.change_shot(1, duration=5)
    assert one.doit() == 0
    assert one.clips()[0]["api_used"] == "pika"
    assert one.creates() == 1
