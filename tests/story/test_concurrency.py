"""Who buys when: slots, limiters, order, back-off."""

import contextlib

import pytest
from studio import Crash, Studio, shots

from vgen.store import failpoints

pytestmark = pytest.mark.slow


def peak(studio: Studio) -> dict[str, int]:
    return dict(studio.cloud.charges()["peak_in_flight"])


def sent(studio: Studio, provider: str | None = None) -> list[tuple[float, int]]:
    """(moment, shot) of every order, in the order sent."""
    rows = [row for row in studio.rows() if row["submitted_at"] and provider in (None, row["provider"])]
    return sorted((row["submitted_at"], row["shot_number"]) for row in rows)


@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_no_more_jobs_run_than_allowed(studio: Studio, limit: int) -> None:
    studio.write_shots(shots(6))
    assert studio.doit("budget_usd=9", f"max_concurrent={limit}") == 0
    assert peak(studio)["runway"] == limit


def test_the_limit_is_over_all_providers(studio: Studio) -> None:
    studio.write_shots(shots(8))
    studio.faults(*(f"runway.create_moderation=~shot-{k}" for k in (2, 4, 6, 8)))
    studio.doit("budget_usd=9", "max_concurrent=2")
    events: list[tuple[float, int]] = []
    for row in studio.rows():
        if row["rendered_at"]:
            events += [(row["submitted_at"], 1), (row["rendered_at"], -1)]
    running = highest = 0
    for _, step in sorted(events):
        running += step
        highest = max(highest, running)
    assert highest == 2


def test_a_provider_has_its_own_limit(studio: Studio) -> None:
    studio.write_shots(shots(6))
    studio.configure(runway={"max_concurrent": 2})
    assert studio.doit("budget_usd=9") == 0
    assert peak(studio)["runway"] == 2


def test_requests_per_minute_space_the_orders(studio: Studio) -> None:
    studio.write_shots(shots(6))
    studio.configure(runway={"requests_per_minute": 2})
    assert studio.doit("budget_usd=9", "max_concurrent=6") == 0
    moments = [at for at, _ in sent(studio)]
    assert all(later - sooner >= 60 for sooner, later in zip(moments, moments[2:], strict=False))
    assert moments[-1] - moments[0] < 130


def test_a_long_line_at_one_provider_keeps_nobody_from_another(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgen.production.queue.LONG_QUEUE", 3)
    monkeypatch.setattr("vgen.cli.doit.runner.IN_A_ROW", 3)
    wanted = shots(30)
    for shot in wanted[25:]:
        shot["pika_prompt"] = shot.pop("runway_prompt")
    studio.write_shots(wanted)
    studio.configure(runway={"max_concurrent": 2})
    assert studio.doit("budget_usd=99", "max_concurrent=8") == 0
    assert [number for _, number in sent(studio, "pika")] == [26, 27, 28, 29, 30]
    assert [number for _, number in sent(studio, "runway")] == [*range(1, 26)]
    assert sent(studio, "pika")[-1] < sent(studio, "runway")[5]


def test_shots_are_bought_in_their_order(studio: Studio) -> None:
    studio.write_shots(list(reversed(shots(6))))
    assert studio.doit("budget_usd=9", "max_concurrent=2") == 0
    assert [number for _, number in sent(studio)] == [1, 2, 3, 4, 5, 6]


def test_a_clip_that_backs_off_holds_no_slot(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.faults("job_failed=first:1~shot-1", render_s=5)
    assert studio.doit("max_concurrent=1", "backoff_base_s=500", "backoff_max_s=1000") == 0
    first_failed = studio.when(1, "next attempt in")
    assert studio.when(2, "ordering") - first_failed < 10
    assert studio.when(3, "ready") < studio.when(1, "ready")


def test_the_fallback_begins_for_a_clip_at_once(studio: Studio) -> None:
    studio.faults("runway.create_moderation=~shot-1", render_s=100)
    assert studio.doit() == 0
    at = {(row["shot_number"], row["provider"]): row["submitted_at"] for row in studio.rows()}
    assert at[1, "pika"] - at[1, "runway"] < 5
    assert at[1, "pika"] < min(row["rendered_at"] for row in studio.rows() if row["shot_number"] > 1)


def test_a_slow_primary_does_not_hold_up_the_fallback_of_another_clip(studio: Studio) -> None:
    studio.faults("job_slow=~shot-1", "runway.job_failed=~shot-2", render_s=30)
    studio.doit("max_retries=1", "clip_timeout_s=200")
    rows = {(row["shot_number"], row["provider"]): row for row in studio.rows()}
    assert rows[2, "pika"]["rendered_at"] - rows[2, "runway"]["submitted_at"] < 120


def test_a_paused_lane_does_not_hold_up_the_other_provider(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgen.simulator.spoil.RETRY_AFTER_S", 100)
    studio.write_shots(shots(4))
    studio.faults("runway.job_moderated=~shot-1", "runway.create_429=first:1~shot-2", render_s=10)
    assert studio.doit("budget_usd=9", "max_concurrent=2") == 0
    rows = {(row["shot_number"], row["provider"]): row for row in studio.rows()}
    assert rows[1, "pika"]["submitted_at"] - rows[1, "runway"]["rendered_at"] < 5


def test_clips_of_one_provider_do_not_wait_for_a_lane_that_is_full(studio: Studio) -> None:
    """A clip whose turn is at a full limiter must not keep the others from an open one."""
    studio.write_shots(shots(4))
    studio.configure(runway={"max_concurrent": 1})
    studio.faults("runway.create_moderation=~shot-1", render_s=100)
    assert studio.doit("budget_usd=9", "max_concurrent=2") == 0
    rows = {(row["shot_number"], row["provider"]): row for row in studio.rows()}
    assert rows[1, "pika"]["submitted_at"] - rows[1, "runway"]["submitted_at"] < 50


def test_who_waits_for_the_same_recipe_holds_no_slot(studio: Studio) -> None:
    one = shots(1)[0]
    other = shots(3)[2]
    studio.write_shots([one, one | {"shot_number": 2}, other])
    assert studio.doit("max_concurrent=2") == 0
    moments = [at for at, _ in sent(studio)]
    assert moments[1] - moments[0] < 1


def test_of_many_jobs_some_show_how_long_the_others_take(studio: Studio) -> None:
    studio.new_cloud(queue_s=1, render_s=90, concurrency=1000)
    studio.configure(run={"budget_usd": 100, "max_concurrent": 130})
    studio.write_shots(shots(130))
    assert studio.doit() == 0
    each = studio.requests()["poll"] / 130
    assert each < 90 / 7.5 * 0.6, each
    waited = [row["rendered_at"] - row["submitted_at"] - 91 for row in studio.rows()]
    assert max(waited) < 2 * 7.5 + 1, waited


def test_jobs_that_take_as_long_as_the_last_ones_are_found_in_time(studio: Studio) -> None:
    studio.new_cloud(queue_s=0, render_s=10, concurrency=100)
    studio.write_shots(shots(24))
    assert studio.doit("budget_usd=99", "max_concurrent=4") == 0
    found = sorted((row["submitted_at"], row["rendered_at"]) for row in studio.rows())
    took = [over - sent for sent, over in found]
    assert all(10 <= s <= min(took[:4]) + 1 for s in took[4:]), took
    assert studio.requests()["poll"] < 24 * 2


def test_many_jobs_at_once_are_not_asked_about_before_any_can_be_done(studio: Studio) -> None:
    """With few in flight a person may be watching; with many, asking early is noise."""
    studio.new_cloud(queue_s=1, render_s=90, concurrency=1000)
    studio.configure(run={"budget_usd": 100, "max_concurrent": 30})
    studio.write_shots(shots(90))
    assert studio.doit() == 0
    polls = studio.requests()["poll"]
    first = 30 * 90 / 7.5  # if each were asked about all the time
    assert polls < 3 * first * 0.7, polls
    studio.new_cloud(queue_s=1, render_s=90, concurrency=1000)
    studio.configure(run={"budget_usd": 100, "max_concurrent": 10})
    studio.write_shots(shots(30))
    before = studio.requests().get("poll", 0)
    assert studio.doit("-a", *(f"clip:{k}" for k in range(1, 11))) == 0
    assert studio.requests()["poll"] - before > 10 * 90 / 7.5 * 0.8


class KilledAfter:
    """A failpoint's hook: the process is killed when an act of this name has been done for the n-th time."""

    def __init__(self, name: str, n: int) -> None:
        self.name, self.left = name, n

    def __call__(self, name: str, when: str) -> None:
        self.left -= (name, when) == (self.name, "after")
        if self.left <= 0:
            raise Crash(name)


@pytest.mark.parametrize("killed", [False, True])
def test_of_many_jobs_the_rest_are_asked_about_soon_after_the_first_are_done(studio: Studio, killed: bool) -> None:
    """Also by a run that goes on with what a killed one ordered."""
    studio.write_shots(shots(100))
    studio.new_cloud(render_s=130.0, concurrency=100)
    words = ("budget_usd=100", "max_concurrent=100")
    if killed:
        with failpoints.hooked(KilledAfter("ledger.move.rendering", 100)), contextlib.suppress(Crash):
            studio.doit(*words)
    assert studio.doit(*words) == 0
    assert studio.creates() == 100
    studio.check_money()
    last_s = max(at for at, _, text in studio.told if text.endswith("by an earlier run" if killed else "5.0 s"))
    assert last_s < 132 + 2 * 7.5, "an interval until a sample has shown it, and one for the rest"
    assert studio.requests()["poll"] < 1_200
