"""Polls and downloads that go wrong never buy anything, and end with the clip."""

import pytest
from studio import Studio

pytestmark = pytest.mark.slow

PRICES = {"runway": 0.6, "pika": 0.2}
PROVIDERS = pytest.mark.parametrize("provider", ["runway", "pika"])
POLLS = ["poll_500", "poll_502", "poll_reset", "poll_garbage", "poll_404", "poll_hang"]
MEDIA = [
    "url_expired",
    "media_500",
    "media_cut",
    "media_cut_nolen",
    "media_stall",
    "media_damaged",
    "media_html",
]


def only(provider: str, *more: str) -> tuple[str, ...]:
    """Arguments for a run that knows one provider."""
    return (f"primary_api={provider}", "fallback_api=none", *more)


def assert_bought_once(studio: Studio, provider: str) -> None:
    assert studio.creates() == 1
    assert studio.booked() == (PRICES[provider], 0, 0)
    assert studio.charged() == PRICES[provider]
    assert studio.successes() == [True]
    assert studio.states() == ["accepted"]
    assert len(studio.takes()) == 1


@PROVIDERS
@pytest.mark.parametrize("fault", POLLS)
def test_a_poll_that_fails_is_asked_again(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{fault}=first:{1 if fault == 'poll_hang' else 3}")
    assert one.doit(*only(provider)) == 0
    assert_bought_once(one, provider)


@PROVIDERS
@pytest.mark.parametrize("fault", POLLS)
def test_polls_that_often_fail_never_buy(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{fault}=0.7")
    one.doit(*only(provider))
    one.calm()
    one.doit(*only(provider))
    assert_bought_once(one, provider)


@PROVIDERS
@pytest.mark.parametrize("fault", [fault for fault in POLLS if fault != "poll_404"])
def test_a_job_that_nobody_can_ask_about_is_detached_not_lost(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{fault}=1.0")
    assert one.doit(*only(provider)) == 1
    assert one.states() == ["rendering"]
    assert one.booked() == (0, PRICES[provider], 0)
    one.calm()
    assert one.doit(*only(provider)) == 0
    assert_bought_once(one, provider)


@PROVIDERS
def test_a_job_that_its_provider_forgets_is_lost_paid_and_never_bought_again(one: Studio, provider: str) -> None:
    one.faults("poll_404=1.0")
    for _ in range(2):
        assert one.doit(*only(provider)) == 1
    assert one.creates() == 1
    assert one.states() == ["lost"]
    assert one.booked() == (PRICES[provider], 0, 0)
    assert "-a clip:1" in one.errors()[0]
    one.calm()
    assert one.doit("-a", "clip:1", *only(provider)) == 0
    assert one.doit(*only(provider)) == 0
    assert_bought_once(one, provider)


@PROVIDERS
def test_a_job_that_is_forgotten_for_good_is_bought_again_by_the_users_word(one: Studio, provider: str) -> None:
    one.faults("poll_404=1.0")
    assert one.doit(*only(provider)) == 1
    one.faults()  # an account without that job
    assert one.doit("-a", "clip:1", *only(provider)) == 0
    assert one.states() == ["lost", "accepted"]
    assert one.creates() == 1


@PROVIDERS
@pytest.mark.parametrize("fault", MEDIA)
def test_a_download_that_fails_is_tried_again(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{fault}=first:1")
    assert one.doit(*only(provider)) == 0
    assert_bought_once(one, provider)
    assert not list((one.outputs / ".vgen" / "parts").iterdir())


@PROVIDERS
@pytest.mark.parametrize("fault", ["url_expired", "media_500", "media_cut", "media_stall"])
def test_a_file_that_can_not_be_fetched_now_is_fetched_by_a_later_run(one: Studio, provider: str, fault: str) -> None:
    one.faults(f"{fault}=1.0")
    assert one.doit(*only(provider)) == 1
    assert one.creates() == 1
    assert one.booked() == (PRICES[provider], 0, 0), "a job that is over is spent, fetched or not"
    assert "paid" in one.errors()[0]
    one.calm()
    assert one.doit(*only(provider)) in ((0, 1) if fault == "url_expired" else (0,))
    assert one.creates() == 1


@pytest.mark.parametrize("fault", ["url_expired", "media_500", "media_cut", "media_stall"])
def test_a_download_that_fails_three_times_is_tried_again(one: Studio, fault: str) -> None:
    one.faults(f"{fault}=first:3")
    assert one.doit(*only("runway")) == 0
    assert_bought_once(one, "runway")


@pytest.mark.parametrize("times", ["first:2", "first:3", "1.0"])
def test_a_page_instead_of_the_file_is_no_download(one: Studio, times: str) -> None:
    one.faults(f"media_html={times}")
    one.doit(*only("runway"))
    one.calm()
    assert one.doit(*only("runway")) == 0
    assert_bought_once(one, "runway")


def test_the_same_damaged_bytes_twice_came_whole_and_count_as_one_bad_clip(one: Studio) -> None:
    one.faults("media_damaged=first:2")
    assert one.doit(*only("runway")) == 0
    assert one.states() == ["rejected", "accepted"]
    assert len(one.takes("*_rejected.mp4")) == 1


def test_mixed_poll_and_download_faults_buy_each_shot_once(studio: Studio) -> None:
    studio.faults(*(f"{fault}=0.3" for fault in (*POLLS[:4], *MEDIA[:6])))
    studio.doit()
    studio.calm()
    assert studio.doit() == 0
    assert studio.creates() == 3
    assert studio.booked() == (1.8, 0, 0)


def test_a_cut_download_goes_on_where_it_broke(one: Studio) -> None:
    one.faults("media_cut=first:1")
    assert one.doit() == 0
    assert one.requests()["media"] == 2


def test_a_download_holds_no_slot(studio: Studio) -> None:
    studio.faults("media_stall=~shot-1")
    studio.doit("max_concurrent=1")
    assert studio.when(2, "ordering") - studio.when(1, "downloading") < 1


def test_polls_keep_to_the_configured_interval(one: Studio) -> None:
    one.configure(runway={"poll_interval_s": 7})
    one.faults(queue_s=0, render_s=69)
    one.doit()
    assert one.requests()["poll"] == 10


def test_runway_is_never_asked_more_often_than_its_rule_allows(one: Studio) -> None:
    one.faults(queue_s=0, render_s=100)
    one.doit()
    assert one.requests()["poll"] <= 21


def test_nothing_reaches_a_media_host_with_a_key(studio: Studio) -> None:
    studio.faults("url_expired=first:1", "media_cut=first:1")
    assert studio.doit() == 0
    assert studio.requests()["media"] >= 5
    assert studio.requests().get("media_authorized", 0) == 0


def test_a_network_that_is_down_costs_nothing(studio: Studio) -> None:
    studio.network_refuses = lambda host, port: "the cable is out"
    assert studio.doit() == 1
    assert studio.creates() == 0
    assert studio.booked() == (0, 0, 0)
    assert all("cable" in error or "no connection" in error for error in studio.errors())
    studio.network_refuses = None
    assert studio.doit() == 0


def test_a_network_that_goes_down_while_jobs_run_loses_nothing(studio: Studio) -> None:
    studio.network_refuses = lambda host, port: "down" if studio.bought() == 3 else None
    assert studio.doit() == 1
    assert studio.booked() == (0, 1.8, 0)
    studio.network_refuses = None
    assert studio.doit() == 0
    assert studio.creates() == 3


@pytest.mark.parametrize("fault", ["pika.result_504=first:3", "media_label=1.0"])
def test_failed_questions_and_odd_labels_cost_nothing(one: Studio, fault: str) -> None:
    one.faults(fault)
    assert one.doit("primary_api=pika", "fallback_api=none") == 0
    assert (one.bought(), one.states()) == (1, ["accepted"])
    assert sum(one.cloud.faults.counts.values()) >= 1
