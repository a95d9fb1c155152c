"""Rows 85 to 90, 110 to 113: a job is over on its provider's own word, our clock proves nothing, all has an end."""

import json
import re
import shlex

import pytest
from fake_clips import fake_clip
from faults.scripted import (
    ONLY_PIKA,
    ONLY_RUNWAY,
    PIKA_USD,
    RUNWAY_USD,
    Act,
    Forward,
    Raw,
    Request,
    Response,
    ScriptedStudio,
    accepts_then_sends,
    changes,
    says,
    sends,
)
from studio import shots

from vgen.production import over

pytestmark = pytest.mark.slow

PAID = (RUNWAY_USD, 0, 0)
HELD = (0, RUNWAY_USD, 0)
EXPIRED = says(403, {"error": "Request has expired"})
FORGOTTEN = says(404, {"error": "This task does not exist, or was deleted or canceled."})
OTHER_KEY = "key_vgencanary_another_account_0123"
DAY_S = 86_400.0


def assert_bought_once(one: ScriptedStudio, usd: float = RUNWAY_USD) -> None:
    assert (one.creates(), one.bought()) == (1, 1)
    assert (one.states(), one.booked()) == (["accepted"], (usd, 0, 0))
    assert one.successes() == [True]


def between(one: ScriptedStudio, windows: list[tuple[float, float]], act: Act) -> Act:
    """An act only at certain times, in seconds since now."""
    began = one.clock.current_time()

    async def at_times(request: Request, forward: Forward) -> Response | Raw | None:
        at = one.clock.current_time() - began
        return await act(request, forward) if any(begin <= at <= end for begin, end in windows) else None

    return at_times


def commands(one: ScriptedStudio, verb: str) -> list[list[str]]:
    """Every `doit VERB …` that this project has printed or reported, as it was printed."""
    texts = [*one.lines, *(str(error) for error in one.errors())]
    found = [command for text in texts for command in re.findall(r"`doit ([^`]*)`", text) if command.startswith(verb)]
    return [shlex.split(command) for command in dict.fromkeys(found)]


# ── 110: absence is no word ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("at", [[(5, 12)], [(60, 72)], [(5, 12), (60, 72)]], ids=["before", "after", "both"])
def test_fault_110_not_found_for_a_moment_loses_none_of_five_jobs(
    studio: ScriptedStudio, at: list[tuple[float, float]]
) -> None:
    studio.write_shots(shots(5))
    studio.faults(queue_s=2, render_s=66)
    studio.on("poll", between(studio, at, FORGOTTEN))
    assert studio.doit("budget_usd=9", *ONLY_RUNWAY) == 0
    assert (studio.creates(), studio.booked()) == (5, (3.0, 0, 0))
    assert studio.states() == ["accepted"] * 5


def test_fault_110_not_found_for_most_of_a_minute_and_then_running_begins_the_minute_anew(one: ScriptedStudio) -> None:
    one.faults(queue_s=2, render_s=200)
    one.on("poll", between(one, [(0, 55), (70, 125), (140, 195)], FORGOTTEN))
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


def test_fault_110_not_found_at_the_very_end_of_the_time_is_looked_at_once_more(one: ScriptedStudio) -> None:
    one.faults(queue_s=2, render_s=330)
    one.on("poll", between(one, [(285, 310)], FORGOTTEN))
    one.doit(*ONLY_RUNWAY)
    assert one.states() in (["rendering"], ["accepted"])
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


@pytest.mark.parametrize(
    "body",
    [{"message": "no Route matched with those values"}, {"code": 5}, ["Not Found"]],
    ids=["kong", "grpc", "list"],
)
def test_fault_110_a_gateways_json_is_not_the_providers_shape(one: ScriptedStudio, body: object) -> None:
    one.on("poll", says(404, body))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.states(), one.booked()) == (["rendering"], HELD)


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_fault_110_an_end_without_the_jobs_own_id_is_no_end(one: ScriptedStudio, status: str) -> None:
    one.on("poll", changes(id=None, status=status, failure="no", output=None), times=3)
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


def test_fault_110_a_cancel_that_never_arrived_and_one_not_found_give_no_turn_to_the_fallback(
    one: ScriptedStudio,
) -> None:
    one.faults("runway.job_queued=1.0")
    one.on("cancel", sends(Raw(then="reset")))
    one.on("poll", between(one, [(300, 303)], FORGOTTEN))
    assert one.doit("max_retries=1") == 1
    assert [job["provider"] for job in one.jobs()] == ["runway"]


# ── 111: absence counts only from the account that bought ─────────────────────────────────────────────────────────────


def test_fault_111_another_accounts_key_writes_off_no_rendered_clip(one: ScriptedStudio) -> None:
    one.on("media", says(403, {"error": "Request has expired"}))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.states() == ["rendered"]
    one.pass_time(3 * DAY_S)
    own, one.environ["RUNWAY_API_KEY"] = one.environ["RUNWAY_API_KEY"], OTHER_KEY
    one.on("poll", FORGOTTEN)
    for _ in range(2):
        assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.states(), one.booked()) == (["rendered"], PAID)
    assert "another key" in one.errors()[0]
    one.environ["RUNWAY_API_KEY"] = own
    one.off()
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


def test_fault_111_another_accounts_empty_list_frees_no_money(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_PIKA) == 0
    studio.write_shots(shots(2))
    studio.on("create", accepts_then_sends(lambda _: Raw()), text="shot-2 ", times=1)
    studio.on("list", says(200, {"items": [], "has_more": False}))
    studio.doit(*ONLY_PIKA)
    studio.environ["FAL_KEY"] = "another:account0123456789"
    for _ in range(3):
        studio.pass_time(DAY_S)
        assert studio.doit("recover", *ONLY_PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "uncertain"]


# ── 112: hiccups do not add up ────────────────────────────────────────────────────────────────────────────────────────


def test_fault_112_two_hiccups_far_apart_buy_nothing_again(one: ScriptedStudio) -> None:
    unreadable = says(500, {"detail": "something went wrong"})
    one.faults(queue_s=2, render_s=12)
    one.on("result", between(one, [(0, 301)], unreadable))
    assert one.doit("primary_api=pika", "fallback_api=runway", "clip_timeout_s=20") == 1
    one.pass_time(20 * 3600)
    one.off()
    one.on("result", between(one, [(0, 3)], unreadable))
    assert one.doit("primary_api=pika", "fallback_api=runway", "clip_timeout_s=2") == 0
    assert_bought_once(one, PIKA_USD)


def test_fault_112_two_not_founds_at_the_ends_of_two_runs_do_not_add_up(one: ScriptedStudio) -> None:
    one.faults(queue_s=2, render_s=3 * DAY_S)
    for _ in range(2):
        one.on("poll", between(one, [(300, 303)], FORGOTTEN))
        assert one.doit(*ONLY_RUNWAY) == 1
        one.off()
        assert one.states() == ["rendering"]
        one.pass_time(20 * 3600)
    one.pass_time(3 * DAY_S)
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


def test_fault_112_two_moments_without_the_file_do_not_add_up(one: ScriptedStudio) -> None:
    one.on("media", says(404, {"error": "Not found"}))
    assert one.doit(*ONLY_RUNWAY) == 1
    one.pass_time(3 * DAY_S)
    one.off()
    one.on("media", between(one, [(0, 20)], says(404, {"error": "Not found"})))
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


# ── 113: what is not what was bought is fetched once more ─────────────────────────────────────────────────────────────


def preview(studio: ScriptedStudio) -> Act:
    """A whole file that is too small a video: another one than was bought."""

    def small(response: Response) -> Response:
        head, _, payload = response.body.partition(b"\n")
        said = json.loads(head.removeprefix(b"VGENFAKE ")) | {"width": 270, "height": 480}
        body = b"VGENFAKE " + json.dumps(said).encode() + b"\n" + payload
        headers = tuple(pair for pair in response.headers if pair[0] not in ("content-length", "etag"))
        return Response(status=200, headers=headers, body=body)

    return accepts_then_sends(small)


def test_fault_113_a_preview_that_is_served_once_costs_one_more_get(one: ScriptedStudio) -> None:
    one.on("media", preview(one), times=1)
    assert one.doit(*ONLY_RUNWAY) == 0
    assert len(one.asked("media")) == 2
    assert_bought_once(one)


def test_fault_113_a_fresh_address_is_asked_for_before_the_second_get(one: ScriptedStudio) -> None:
    one.on("media", preview(one), times=1)
    one.doit(*ONLY_RUNWAY)
    kinds = [heard.kind for heard in one.heard]
    assert kinds[kinds.index("media") :] == ["media", "poll", "media"]


def test_fault_113_a_clip_that_stays_bad_is_rejected_after_the_second_get(one: ScriptedStudio) -> None:
    one.on("media", preview(one))
    assert one.doit("max_retries=1", *ONLY_RUNWAY) == 1
    assert len(one.asked("media")) == 2
    assert (one.states(), one.booked()) == (["rejected"], PAID)
    assert len(one.takes("*_rejected.mp4")) == 1


def test_fault_113_a_provider_that_can_not_be_asked_for_it_again_sells_no_second_one(one: ScriptedStudio) -> None:
    one.on("media", preview(one), times=1)

    async def down(_request: Request, _forward: Forward) -> Raw | None:
        return Raw(then="reset") if one.asked("media") else None

    one.on("poll", down)
    assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.creates(), one.booked()) == (1, PAID)
    one.off()
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)


def first_for_all(studio: ScriptedStudio) -> Act:
    """The video that was fetched first, whatever is asked for."""

    async def act(request: Request, forward: Forward) -> Response | None:
        first = next(heard.request.target for heard in studio.heard if heard.kind == "media")
        return await studio.app(Request(method="GET", target=first, origin=request.origin))

    return act


def forgotten_after(studio: ScriptedStudio, downloads: int) -> None:
    """From then on the provider does not know any job."""

    async def forgets(request: Request, forward: Forward) -> Response | Raw | None:
        return await FORGOTTEN(request, forward) if len(studio.asked("media")) >= downloads else None

    studio.on("poll", forgets)


def test_fault_113_a_wrong_file_that_came_once_from_a_provider_that_has_it_no_more_is_lost_and_comes_home(
    one: ScriptedStudio,
) -> None:
    """What came once proves nothing of the job; nothing is bought in its place, and later it can be asked for again."""
    one.on("media", preview(one), times=1)

    one.on("media", EXPIRED)
    forgotten_after(one, downloads=1)
    one.doit("max_retries=3", *ONLY_RUNWAY)
    assert (one.states(), one.takes("*_rejected.mp4")) == (["lost"], [])
    one.off()
    assert one.doit("max_retries=3", *ONLY_RUNWAY) == 0
    assert (one.creates(), one.successes()) == (1, [True])


def test_fault_113_a_wrong_file_that_came_once_is_fetched_from_its_address_though_the_job_is_forgotten(
    one: ScriptedStudio,
) -> None:
    one.on("media", preview(one), times=1)
    forgotten_after(one, downloads=1)
    assert one.doit("max_retries=3", *ONLY_RUNWAY) == 0
    assert (one.creates(), one.successes(), len(one.asked("media"))) == (1, [True], 2)


def test_fault_113_another_shots_video_is_not_believed_while_its_address_is_out_of_reach(
    studio: ScriptedStudio,
) -> None:
    """It came once, the job is forgotten, and the address is out of reach now: kept, and the next run finds it."""
    studio.write_shots(shots(2))
    studio.on("media", first_for_all(studio), times=1, after=1)
    studio.on("media", says(503, {"error": "later"}), after=1)
    forgotten_after(studio, downloads=2)
    assert studio.doit("max_concurrent=1", "budget_usd=9", *ONLY_RUNWAY) == 1
    assert (studio.states(), studio.bought()) == (["accepted", "fetched"], 2)
    studio.off()
    assert studio.doit("max_concurrent=1", "budget_usd=9", *ONLY_RUNWAY) == 0
    assert not studio.said("look at both")
    assert len({row["sha256"] for row in studio.rows("SELECT * FROM takes")}) == 2
    assert studio.bought() == 2


def test_fault_113_another_shots_video_served_once_is_fetched_again(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(2))
    studio.on("media", first_for_all(studio), times=1, after=1)
    assert studio.doit("max_concurrent=1", "budget_usd=9", *ONLY_RUNWAY) == 0
    assert len(studio.asked("media")) == 3
    assert not studio.said("look at both")
    assert len({row["sha256"] for row in studio.rows("SELECT * FROM takes")}) == 2


# ── 85: lost can be undone ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lost(one: ScriptedStudio) -> ScriptedStudio:
    """A finished job that its provider did not find for a whole run, and has had all along."""
    one.on("poll", FORGOTTEN)
    assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.states(), one.booked()) == (["lost"], PAID)
    one.off()
    return one


def test_fault_085_the_next_run_asks_again_and_brings_the_clip_home(lost: ScriptedStudio) -> None:
    assert lost.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(lost)
    assert lost.doit("audit") == 0


def test_fault_085_recover_asks_again(lost: ScriptedStudio, capfd: pytest.CaptureFixture[str]) -> None:
    assert lost.doit("recover", *ONLY_RUNWAY) == 0
    assert "is there after all" in capfd.readouterr().out
    assert lost.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(lost)


def test_fault_085_a_new_take_is_bought_only_after_the_lost_one_was_asked_for(lost: ScriptedStudio) -> None:
    assert lost.doit("-a", "clip:1", *ONLY_RUNWAY) == 0
    assert lost.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(lost)


def test_fault_085_a_lost_job_that_still_renders_is_waited_for(one: ScriptedStudio) -> None:
    one.faults(queue_s=2, render_s=200)
    one.on("poll", FORGOTTEN)
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.states() == ["lost"]
    one.off()
    assert one.doit(*ONLY_RUNWAY) == 0
    assert_bought_once(one)
    assert one.doit("audit") == 0


def test_fault_085_after_a_week_only_recover_asks_again(lost: ScriptedStudio) -> None:
    lost.pass_time(over.JOBS_KEPT_S + DAY_S)
    asked = len(lost.asked("poll"))
    lost.doit(*ONLY_RUNWAY)  # its clock has not been heard yet: once
    assert len(lost.asked("poll")) <= asked + 1
    assert lost.doit("recover", *ONLY_RUNWAY) == 0
    assert len(lost.asked("poll")) > asked


def test_fault_085_a_result_that_was_given_up_is_asked_for_right_before_another_is_bought(one: ScriptedStudio) -> None:
    """It can't be read for an hour and more, and just before the fallback's turn it can."""
    both = ("primary_api=pika", "fallback_api=runway")
    one.on("result", says(500, {"detail": "something went wrong"}))
    assert one.doit(*both) == 1
    one.pass_time(7200)
    one.off()

    async def until_given_up(request: Request, forward: Forward) -> Response | Raw | None:
        waits = one.states() == ["rendering"]
        return await says(500, {"detail": "something went wrong"})(request, forward) if waits else None

    one.on("result", until_given_up)
    assert one.doit(*both) == 0
    assert one.said("given up")
    assert_bought_once(one, PIKA_USD)


# ── 86, 87: our clock is no evidence ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ahead_s", [900.0, -900.0, 3 * DAY_S, -3 * DAY_S, 40 * 365 * DAY_S], ids=str)
def test_fault_086_a_clock_that_is_wrong_all_the_time_loses_no_order(studio: ScriptedStudio, ahead_s: float) -> None:
    studio.skew_s = ahead_s
    studio.write_shots(shots(2))
    studio.on("create", accepts_then_sends(lambda _: Raw()), text="shot-1 ", times=1)
    studio.on("list", says(500, {"detail": "no"}), times=3)
    studio.doit(*ONLY_PIKA)
    assert "uncertain" in studio.states()
    studio.off()
    studio.pass_time(7200)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "rendering"]
    assert studio.doit(*ONLY_PIKA) == 0
    assert (studio.bought(), studio.booked()) == (2, (2 * PIKA_USD, 0, 0))


def test_fault_086_a_clock_that_is_hours_behind_frees_no_money_of_a_job_that_still_runs(studio: ScriptedStudio) -> None:
    """fal lists what has ended; by our clock the order would be so old that it must have."""
    studio.skew_s = -5 * 3600
    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_PIKA) == 0
    studio.worsen("job_stuck=~shot-2")
    studio.on("create", accepts_then_sends(lambda _: Raw()), text="shot-2 ", times=1)
    studio.write_shots(shots(2))
    studio.doit(*ONLY_PIKA)
    studio.write_shots(shots(3))
    studio.doit(*ONLY_PIKA)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert studio.states() == ["accepted", "uncertain", "accepted"]
    assert (studio.bought(), studio.booked()) == (3, (2 * PIKA_USD, 0, PIKA_USD))


def test_fault_086_a_clock_that_is_set_right_in_between_loses_no_order(studio: ScriptedStudio) -> None:
    studio.skew_s = 5 * 3600
    studio.write_shots(shots(2))
    studio.on("create", accepts_then_sends(lambda _: Raw()), text="shot-1 ", times=1)
    studio.on("list", says(500, {"detail": "no"}))
    studio.doit(*ONLY_PIKA)
    studio.off()
    studio.skew_s = 0.0
    studio.pass_time(7200)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "rendering"]


def test_fault_086_a_clock_that_is_days_ahead_ends_no_waiting_for_a_file(one: ScriptedStudio) -> None:
    one.on("media", says(404, {"error": "Not found"}))
    assert one.doit(*ONLY_RUNWAY) == 1
    one.skew_s = 30 * DAY_S
    assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.states(), one.booked()) == (["rendered"], PAID)


def test_fault_086_a_clock_that_jumps_a_day_gives_up_no_result(one: ScriptedStudio) -> None:
    one.on("result", says(500, {"detail": "something went wrong"}))
    both = ("primary_api=pika", "fallback_api=runway")
    assert one.doit(*both) == 1
    one.skew_s = DAY_S
    assert one.doit(*both) == 1
    assert (one.creates(), one.states()) == (1, ["rendering"])


def test_fault_087_an_order_is_not_there_only_if_an_earlier_one_is_listed(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(1))
    studio.faults("fal.create_502=~shot-1")
    assert studio.doit(*ONLY_PIKA) == 1
    studio.calm()
    studio.write_shots(shots(2))
    studio.doit(*ONLY_PIKA)
    for _ in range(3):
        studio.pass_time(DAY_S)
        assert studio.doit("recover", *ONLY_PIKA) == 0
        assert sorted(studio.states()) == ["accepted", "uncertain"], "a list that begins later proves nothing"


def test_fault_087_without_the_providers_clock_nothing_is_concluded(studio: ScriptedStudio) -> None:
    async def undated(request: Request, forward: Forward) -> Response:
        response = await forward()
        headers = tuple(pair for pair in response.headers if pair[0] != "date")
        return Response(status=response.status, headers=(*headers, ("date", "yesterday")), body=response.body)

    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_PIKA) == 0
    studio.write_shots(shots(2))
    studio.worsen("fal.create_502=~shot-2")
    for kind in ("create", "poll", "result", "list"):
        studio.on(kind, undated)
    studio.doit(*ONLY_PIKA)
    for _ in range(3):
        studio.pass_time(DAY_S)
        assert studio.doit("recover", *ONLY_PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "uncertain"]


def test_fault_087_a_list_with_a_page_too_many_to_read_proves_nothing(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_PIKA) == 0
    studio.write_shots(shots(2))
    studio.worsen("fal.create_502=~shot-2")
    studio.on("list", changes(has_more=True, next_cursor="0"))
    studio.doit(*ONLY_PIKA)
    studio.pass_time(3 * DAY_S)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "uncertain"]


# ── 88: an end after the end ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "state"), [("FAILED", "failed"), ("CANCELLED", "cancelled")])
def test_fault_088_a_job_that_failed_after_it_had_succeeded_is_over(
    one: ScriptedStudio, status: str, state: str
) -> None:
    one.provider_lies = True
    one.on("media", says(404, {"error": "Not found"}))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.states() == ["rendered"]
    one.on("poll", changes(status=status, failure="no", output=None, cost={"credits": 0}))
    one.doit(*ONLY_RUNWAY, "max_retries=1")
    assert one.states()[0] == state
    assert one.rows()[0]["charged"] == 0


def test_fault_088_what_it_cost_stays_booked_if_the_provider_does_not_say(one: ScriptedStudio) -> None:
    one.on("media", says(404, {"error": "Not found"}))
    assert one.doit(*ONLY_RUNWAY) == 1
    one.on("poll", changes(status="CANCELLED", output=None, cost=None))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.states(), one.booked()) == (["cancelled"], PAID)


# ── 89: keys that are rotated, hosts that move ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("provider", [ONLY_RUNWAY, ONLY_PIKA], ids=["runway", "pika"])
def test_fault_089_a_key_that_was_rotated_within_its_account_collects(
    one: ScriptedStudio, provider: tuple[str, str]
) -> None:
    one.faults("job_slow=first:1", render_s=31)
    assert one.doit(*provider) == 1
    one.environ |= {"RUNWAY_API_KEY": OTHER_KEY, "FAL_KEY": "rotated:0123456789abcdef"}
    assert one.doit(*provider) == 0
    assert (one.creates(), one.states()) == (1, ["accepted"])


def test_fault_089_who_knew_the_job_by_the_new_key_may_say_that_it_is_gone(one: ScriptedStudio) -> None:
    one.faults(queue_s=2, render_s=DAY_S)
    assert one.doit(*ONLY_RUNWAY) == 1
    one.environ["RUNWAY_API_KEY"] = OTHER_KEY
    assert one.doit(*ONLY_RUNWAY) == 1
    one.on("poll", FORGOTTEN)
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.states() == ["lost"]


@pytest.mark.parametrize("old_host", ["refuses", "forgets", "page", "no key"])
def test_fault_089_a_base_url_that_moved_is_collected_from(one: ScriptedStudio, old_host: str) -> None:
    moved = "http://127.0.0.1:8091"
    one.configure(runway={"base_url": "http://127.0.0.1:8090"})
    one.faults("job_slow=first:1", render_s=31)
    assert one.doit(*ONLY_RUNWAY) == 1
    one.configure(runway={"base_url": moved})

    async def gone(request: Request, forward: Forward) -> Response | None:
        if ":8090" not in request.origin:
            return None
        if old_host == "page":
            return Response(status=200, body=b"<html>this domain is for sale</html>")
        return Response(status=404, body=b'{"error": "This task does not exist."}')

    if old_host == "refuses":
        one.network_refuses = lambda host, port: "connection refused" if port == 8090 else None
    else:
        one.on("poll", gone)
    assert one.doit(*ONLY_RUNWAY) == 0
    assert (one.bought(), one.states()) == (1, ["accepted"])
    assert one.rows()[0]["base_url"] == moved


@pytest.mark.parametrize("done_before", [False, True], ids=["while it rendered", "after it was done"])
def test_fault_089_a_job_that_was_found_at_its_new_host_is_asked_about_there_from_then_on(
    one: ScriptedStudio, done_before: bool
) -> None:
    """At fal a job has addresses of its own: those of the old host came back with the file's fresh one."""
    one.configure(pika={"base_url": "http://127.0.0.1:8090"})
    if done_before:
        one.on("media", EXPIRED)
    else:
        one.faults("job_slow=first:1", render_s=31)
    assert one.doit(*ONLY_PIKA) == 1
    one.configure(pika={"base_url": "http://127.0.0.1:8091"})

    async def gone(request: Request, forward: Forward) -> Response | None:
        return Response(status=404, body=b"<html>not found</html>") if ":8090" in request.origin else None

    one.off()
    one.on("poll", gone)
    one.on("result", gone)
    one.on("media", EXPIRED, times=2)
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.bought(), one.states()) == (1, ["accepted"])
    assert all(":8090" not in url for url in json.loads(one.rows()[0]["urls"]).values())


def test_fault_089_a_stranger_who_answers_in_the_right_form_without_the_id_collects_nothing(
    one: ScriptedStudio,
) -> None:
    one.configure(runway={"base_url": "http://127.0.0.1:8090"})
    one.faults("job_slow=first:1", render_s=31)
    assert one.doit(*ONLY_RUNWAY) == 1
    one.configure(runway={"base_url": "http://127.0.0.1:8091"})
    one.network_refuses = lambda host, port: "connection refused" if port == 8090 else None
    one.on("poll", changes(id=None, status="FAILED", failure="no"))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.states(), one.booked()) == (["rendering"], HELD)


# ── 90: every purchase has an end by the user's word ──────────────────────────────────────────────────────────────────


def renders_for_ever(one: ScriptedStudio) -> None:
    one.faults("job_stuck=first:1")
    assert one.doit(*ONLY_RUNWAY) == 1


def is_rendered_but_nowhere(one: ScriptedStudio) -> None:
    one.on("media", says(404, {"error": "Not found"}))
    assert one.doit(*ONLY_RUNWAY) == 1


def belongs_to_a_lost_key(one: ScriptedStudio) -> None:
    renders_for_ever(one)
    one.environ["RUNWAY_API_KEY"] = OTHER_KEY
    one.on("poll", FORGOTTEN)
    assert one.doit(*ONLY_RUNWAY) == 1


def can_not_be_read(one: ScriptedStudio) -> None:
    one.on("poll", says(418, {"error": "no"}))
    assert one.doit(*ONLY_RUNWAY) == 1


def never_answered(one: ScriptedStudio) -> None:
    one.on("create", accepts_then_sends(lambda _: Raw()), times=1)
    assert one.doit(*ONLY_RUNWAY) == 1


def has_a_forbidden_address(one: ScriptedStudio) -> None:
    async def act(_request: Request, forward: Forward) -> Response:
        said = (await forward()).json()
        if said.get("status") == "SUCCEEDED":
            said["output"] = ["https://169.254.169.254/clip.mp4"]
        return Response(status=200, body=json.dumps(said).encode())

    one.on("poll", act)
    assert one.doit(*ONLY_RUNWAY) == 1


STUCK = [
    renders_for_ever, is_rendered_but_nowhere, belongs_to_a_lost_key, can_not_be_read, never_answered,
    has_a_forbidden_address,
]  # fmt: skip


@pytest.mark.parametrize("odd_day", STUCK, ids=lambda scene: scene.__name__)
def test_fault_090_the_command_that_a_message_names_ends_the_purchase_as_charged(
    one: ScriptedStudio, odd_day: object
) -> None:
    odd_day(one)  # type: ignore[operator]
    printed = [words for words in commands(one, "settle") if words[0] == "settle"]
    assert printed, one.errors()
    assert one.doit(*printed[-1]) == 0
    assert (one.states(), one.booked()) == (["lost"], PAID)
    assert one.rows()[0]["charged_by"] == "user"
    again = [words for words in commands(one, "-a") if words[0] == "-a"] or [["-a", "clip:1"]]
    one.off()
    one.faults()
    assert one.doit(*again[-1], *ONLY_RUNWAY) == 0


@pytest.mark.parametrize("odd_day", STUCK, ids=lambda scene: scene.__name__)
def test_fault_090_as_not_charged_frees_the_price_and_the_shot(one: ScriptedStudio, odd_day: object) -> None:
    one.provider_lies = True
    odd_day(one)  # type: ignore[operator]
    words = commands(one, "settle")[-1]
    assert one.doit(*(word.replace("as=charged", "as=not-charged") for word in words)) == 0
    assert one.booked() == (0, 0, 0)
    one.off()
    one.faults()
    assert one.doit(*ONLY_RUNWAY) == 0
    assert one.booked() == PAID


def test_fault_090_of_several_the_user_says_which(one: ScriptedStudio, capfd: pytest.CaptureFixture[str]) -> None:
    one.on("create", accepts_then_sends(lambda _: Raw()), times=2)
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.doit(*ONLY_RUNWAY, "on_uncertain=rebuy", "max_retries=2") == 1
    assert one.booked() == (0, 0, 2 * RUNWAY_USD)
    capfd.readouterr()
    assert one.doit("settle", "shot=1", "as=charged") == 1
    printed = re.findall(r"`doit (settle [^`]*)`", capfd.readouterr().out)
    assert len(printed) == 2
    assert one.booked() == (0, 0, 2 * RUNWAY_USD)
    assert one.doit(*shlex.split(printed[0])) == 0
    assert one.booked() == (RUNWAY_USD, 0, RUNWAY_USD)
    assert one.doit("settle", "shot=1", "as=charged") == 0, "the only one that is left"
    assert one.booked() == (2 * RUNWAY_USD, 0, 0)


def test_fault_090_a_job_of_a_shot_that_left_the_list_ends_by_its_id(one: ScriptedStudio) -> None:
    renders_for_ever(one)
    job = one.rows()[0]["job_id"]
    one.change_shot(1, runway_prompt="another boat")
    one.calm()
    assert one.doit("settle", "shot=1", "as=charged", f"job={job}") == 0
    assert one.states() == ["lost"]


def test_fault_090_what_is_finished_is_not_settled(one: ScriptedStudio) -> None:
    assert one.doit(*ONLY_RUNWAY) == 0
    assert one.doit("settle", "shot=1", "as=not-charged") == 1
    assert_bought_once(one)


def test_fault_090_a_superseded_order_whose_job_is_named_is_collected_beside_the_other(one: ScriptedStudio) -> None:
    one.on("create", accepts_then_sends(lambda _: Raw()), times=1)
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.doit(*ONLY_RUNWAY, "on_uncertain=rebuy") == 0
    job = one.jobs()[0]["id"]
    assert one.doit("settle", "shot=1", f"as={job}") == 0
    assert one.doit(*ONLY_RUNWAY) == 0
    assert one.states() == ["accepted", "accepted"]
    assert one.booked() == (2 * RUNWAY_USD, 0, 0)


def test_fault_113_a_further_take_of_an_edited_clip_is_paid_and_comes_home(one: ScriptedStudio) -> None:
    """The clip is somebody's edit of another text's take: nothing is bought for the shot, what is paid comes."""
    assert one.doit(*ONLY_RUNWAY) == 0
    first = one.read_shots()
    one.change_shot(1, runway_prompt="another boat", takes=2)
    one.on("media", says(503, {"error": "later"}), after=1)
    one.doit("budget_usd=9", *ONLY_RUNWAY)
    assert one.states() == ["accepted", "accepted", "rendered"]
    one.off()
    second = one.read_shots()
    one.write_shots(first)
    assert one.doit("clip:1", *ONLY_RUNWAY) == 0
    edit = fake_clip(width=720, height=1280, duration_s=5)
    one.clip(1).write_bytes(edit)
    one.write_shots(second)
    assert one.doit("clip:1", "budget_usd=9", *ONLY_RUNWAY) == 1
    assert one.states() == ["accepted"] * 3
    assert (one.clip(1).read_bytes(), one.creates()) == (edit, 3)
