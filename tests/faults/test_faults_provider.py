"""Rows 48 to 55: what providers do by their own policy, and what of it is paid."""

import pytest
from faults.scripted import (
    ONLY_PIKA,
    ONLY_RUNWAY,
    PIKA_USD,
    RUNWAY_USD,
    Forward,
    Raw,
    ScriptedStudio,
    accepts_then_sends,
    changes,
    disk_full,
    says,
)
from studio import shots

from vgen.simulator.web import Request, Response, answer
from vgen.store import failpoints

pytestmark = pytest.mark.slow

PAID = (RUNWAY_USD, 0, 0)


def test_fault_048_a_refused_prompt_is_free_and_not_tried_again_there(one: ScriptedStudio) -> None:
    one.faults("runway.create_moderation=1.0")
    for _ in range(2):
        assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.creates(), one.booked()) == (1, (0, 0, 0))
    assert "moderation" in one.errors()[0]
    assert one.doit() == 0, "another provider's policy are other ones"
    assert (one.clips()[0]["api_used"], one.booked()) == ("pika", (PIKA_USD, 0, 0))


@pytest.mark.parametrize(
    "code", ["SAFETY.INPUT.TEXT", "SAFETY.OUTPUT", "INPUT_PREPROCESSING.SAFETY.TEXT", "ASSET.INVALID"]
)
def test_fault_049_a_clip_refused_after_rendering_costs_what_is_told_and_is_not_tried_again(
    one: ScriptedStudio, code: str
) -> None:
    one.on(
        "poll",
        changes(status="FAILED", failure="refused", failureCode=code, output=None, cost={"credits": 60}),
        text="/v1/",
    )
    for _ in range(2):
        assert one.doit(*ONLY_RUNWAY) == 1
    assert (one.creates(), one.booked()) == (1, PAID)
    assert one.clips()[0]["cost_usd"] == RUNWAY_USD
    assert one.rows()[0]["charged_by"] == "provider"


def test_fault_049_a_cost_that_nobody_tells_is_all_of_the_price(one: ScriptedStudio) -> None:
    gone = {"output": None, "cost": None, "estimatedCost": None}
    one.on("poll", changes(status="FAILED", failure="no", failureCode="SAFETY.OUTPUT", **gone))
    assert one.doit(*ONLY_RUNWAY) == 1
    assert one.booked() == PAID
    assert one.rows()[0]["charged_by"] == "assumed"


def test_fault_050_a_job_that_is_held_up_too_long_is_cancelled_and_the_fallback_has_its_turn(
    one: ScriptedStudio,
) -> None:
    """Contract 6: a job still queued after clip_timeout_s is cancelled, and counts as charged unless told otherwise."""
    held_up = changes(status="THROTTLED", output=None, cost=None, progress=None)

    async def act(request: Request, forward: Forward) -> Response | Raw | None:
        response = await forward()
        return None if response.status == 404 else await held_up(request, forward)

    one.faults("runway.job_queued=1.0")
    one.on("poll", act, text="/v1/tasks/")
    assert one.doit() == 0
    assert [row["state"] for row in one.rows()] == ["cancelled", "accepted"]
    assert one.said("queued at runway")
    assert one.clips()[0]["api_used"] == "pika"
    assert one.booked() == (round(RUNWAY_USD + PIKA_USD, 6), 0, 0)
    assert one.charged() == PIKA_USD


@pytest.mark.parametrize("way", ["removed", "no units"])
def test_fault_050_a_cancel_that_cost_nothing_by_fals_own_word_is_booked_at_nothing(
    one: ScriptedStudio, way: str
) -> None:
    """fal answers OK to a cancel that took the request out of its queue; or its status says that no unit is billed."""

    async def removed(_: Request, forward: Forward) -> Response:
        await forward()
        return answer(200, {"status": "OK"})

    async def no_units(request: Request, forward: Forward) -> Response:
        response = await forward()
        said = {"status": "CANCELLED", "request_id": request.path.split("/")[-2]}
        return answer(200, said, ("x-fal-billable-units", "0")) if response.status == 404 else response

    one.faults("pika.job_queued=1.0")
    one.on("cancel", removed) if way == "removed" else one.on("poll", no_units)
    assert one.doit(*ONLY_PIKA) == 1
    assert [(row["state"], row["charged_by"]) for row in one.rows()] == [("cancelled", "provider")]
    assert one.booked() == (one.charged(), 0, 0) == (0, 0, 0)


def test_fault_050_a_cancel_that_was_taken_and_not_heeded_gives_no_turn_to_the_fallback(one: ScriptedStudio) -> None:
    """fal takes a request to cancel what has just begun, too, and renders it all the same."""

    async def taken(_request: Request, _forward: Forward) -> Response:
        one.heal_jobs()
        one.on("poll", says(502, raw=b"<html>Bad Gateway</html>"), times=4)
        return answer(202, {"status": "CANCELLATION_REQUESTED"})

    one.faults("pika.job_queued=1.0")
    one.on("cancel", taken)
    assert one.doit("primary_api=pika", "fallback_api=runway") == 1
    assert [job["provider"] for job in one.jobs()] == ["fal"]
    assert "asked to cancel" in one.errors()[0]
    assert one.doit("primary_api=pika", "fallback_api=runway") == 0
    assert (one.creates(), one.states(), one.booked()) == (1, ["accepted"], (PIKA_USD, 0, 0))


def test_fault_050_a_queue_that_moves_costs_nothing_more(studio: ScriptedStudio) -> None:
    studio.faults(concurrency=1, render_s=60)
    assert studio.doit() == 0
    assert (studio.bought(), studio.booked()) == (3, (1.8, 0, 0))


def test_fault_051_an_overrun_is_booked_as_told_flagged_and_closes_the_provider(studio: ScriptedStudio) -> None:
    studio.faults("runway.price_overrun=first:1")
    assert studio.doit("max_concurrent=1", "budget_usd=9") == 0
    assert [job["provider"] for job in studio.jobs()] == ["runway", "fal", "fal"]
    assert studio.booked() == (studio.charged(), 0, 0)
    assert studio.said("it charged $1.80 where $0.60 was agreed")
    assert studio.said("is closed for this run")
    assert studio.clips()[0]["cost_usd"] == 1.8


def test_fault_051_an_overrun_past_the_budget_fails_its_gate_and_nothing_more_is_bought(studio: ScriptedStudio) -> None:
    studio.faults("runway.price_overrun=first:1")
    assert studio.doit("max_concurrent=1", "budget_usd=1.80", "fallback_api=none") == 1
    assert studio.bought() == 1
    assert studio.booked() == (1.8, 0, 0)
    studio.faults("runway.price_overrun=1.0")
    assert studio.doit("max_concurrent=1", "budget_usd=1.80") == 3
    assert studio.bought() == 0


def test_fault_051_a_quote_above_the_list_price_is_reserved_and_closes_the_provider(studio: ScriptedStudio) -> None:
    """At the order already: the next shot goes elsewhere."""
    studio.on("create", changes(estimatedCost={"credits": 240}), text="promptText")
    assert studio.doit("max_concurrent=1", "budget_usd=9") == 0
    assert [job["provider"] for job in studio.jobs()] == ["runway", "fal", "fal"]
    assert studio.said("it quotes $2.40")
    assert studio.rows()[0]["price"] == 2_400_000
    assert studio.booked() == (RUNWAY_USD + 2 * PIKA_USD, 0, 0)


def lost(studio: ScriptedStudio) -> None:
    """Shot 1's order is accepted at fal, and its answer lost; ten minutes later its job has long ended."""
    studio.on("create", accepts_then_sends(lambda _: Raw()), text="shot-1 ", times=1)
    assert studio.doit(*ONLY_PIKA) == 1
    assert "uncertain" in studio.states()
    studio.pass_time(600)


@pytest.mark.parametrize(
    "lie",
    [
        says(200, {"items": [], "has_more": False}),
        says(200, {}),
        says(200, {"items": [{}]}),
        says(200, {"items": [{"request_id": "x", "json_input": None}]}),
        says(200, raw=b"<html>"),
        says(401, {"detail": "no"}),
        says(500, {"detail": "no"}),
        says(200, {"items": [], "has_more": True, "next_cursor": "x"}),
    ],
    ids=["empty", "no list", "bare", "unreadable", "page", "401", "500", "endless"],
)
def test_fault_053_a_list_that_lags_or_lies_frees_no_money(one: ScriptedStudio, lie: object) -> None:
    lost(one)
    one.on("list", lie)  # type: ignore[arg-type]
    for seconds in (0, 3600, 86_400):
        one.pass_time(seconds)
        assert one.doit("recover", *ONLY_PIKA) == 0
        assert one.doit(*ONLY_PIKA) == 1
        assert (one.creates(), one.booked()) == (1, (0, 0, PIKA_USD))
    one.off()
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.booked()) == (1, (PIKA_USD, 0, 0))


def test_fault_053_money_is_freed_only_when_the_same_list_shows_an_earlier_job_and_a_later_one(
    studio: ScriptedStudio,
) -> None:
    studio.write_shots(shots(1))
    assert studio.doit(*ONLY_PIKA) == 0
    studio.worsen("fal.create_502=~shot-2")
    studio.write_shots(shots(2))
    studio.doit(*ONLY_PIKA)
    studio.pass_time(7200)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert studio.states() == ["accepted", "uncertain"], "the list may lag"
    studio.calm()
    studio.write_shots(shots(3))
    studio.doit(*ONLY_PIKA)
    studio.pass_time(600)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert sorted(studio.states()) == ["accepted", "accepted", "released"]
    assert studio.doit(*ONLY_PIKA) == 0
    assert studio.booked() == (0.6, 0, 0)


async def _twice(request: Request, forward: Forward) -> Response:
    said = (await forward()).json()
    name = "items" if "items" in said else "requests"
    twin = {**said[name][0], "request_id": "3f1c8a52-7b1e-4c55-9d51-0a4d6a4f2b11"}
    return answer(200, {**said, name: [*said[name], twin]})


def test_fault_054_two_jobs_that_look_like_the_lost_one_are_left_to_the_user(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    lost(one)
    one.on("list", _twice)
    assert one.doit("recover", *ONLY_PIKA) == 0
    assert "2 jobs look like it" in capfd.readouterr().out
    assert (one.creates(), one.booked()) == (1, (0, 0, PIKA_USD))
    assert one.doit("settle", "shot=1", f"as={one.jobs()[0]['id']}", *ONLY_PIKA) == 0
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.booked()) == (1, (PIKA_USD, 0, 0))


def test_fault_055_the_same_video_for_two_shots_is_said(studio: ScriptedStudio) -> None:
    """It can't be known from the bytes which shot they belong to, only that it can't be both."""

    async def first_for_all(request: Request, forward: Forward) -> Response | None:
        first = studio.jobs()[0]["id"]
        asked = next(job["id"] for job in studio.jobs() if job["id"] in request.target)
        if asked == first:
            return None
        where = next(
            heard.request.target for heard in studio.heard if heard.kind == "media" and first in heard.request.target
        )
        return await studio.app(Request(method="GET", target=where, origin=request.origin))

    studio.on("media", first_for_all)
    studio.doit("max_concurrent=1", "budget_usd=9")
    assert studio.bought() == 3
    assert studio.booked() == (1.8, 0, 0)
    assert studio.said("same video as shot 1")


def test_fault_054_an_order_whose_job_was_settled_as_anothers_is_not_released(one: ScriptedStudio) -> None:
    """Two lost orders of one text look the same to the user; both were charged, whichever job is said to be whose."""
    one.on("create", accepts_then_sends(lambda _: Raw()), times=2)
    assert one.doit("max_retries=2", "on_uncertain=rebuy", *ONLY_PIKA) == 1
    first, second = (job["id"] for job in one.jobs())
    assert one.doit("settle", "shot=1", f"as={second}", "job=1", *ONLY_PIKA) == 0
    one.pass_time(600)
    assert one.doit("max_retries=2", *ONLY_PIKA) == 0
    one.pass_time(2 * 86_400)
    assert one.doit("recover", *ONLY_PIKA) == 0
    assert one.doit("max_retries=2", *ONLY_PIKA) == 0
    assert [row["job_id"] for row in one.rows()] == [second, first]
    assert (one.creates(), one.booked()) == (2, (2 * PIKA_USD, 0, 0))


def test_fault_054_a_job_of_another_text_is_not_taken_for_an_order_whose_own_was_settled_away(
    studio: ScriptedStudio,
) -> None:
    """The user gave shot 1 the job of shot 2: what is shot 1's is not shown as shot 2, nor is any money released."""
    studio.write_shots(shots(2))
    studio.on("create", accepts_then_sends(lambda _: Raw()), times=2)
    assert studio.doit("max_concurrent=1", *ONLY_PIKA) == 1
    ids = {row["shot_number"]: job["id"] for row, job in zip(studio.rows(), studio.jobs(), strict=True)}
    assert studio.doit("settle", "shot=1", f"as={ids[2]}", *ONLY_PIKA) == 0
    studio.pass_time(600)
    studio.doit(*ONLY_PIKA)
    studio.pass_time(2 * 86_400)
    assert studio.doit("recover", *ONLY_PIKA) == 0
    assert [(row["state"], row["job_id"]) for row in studio.rows()] == [("accepted", ids[2]), ("uncertain", None)]
    assert studio.creates() == 2


def test_fault_054_a_full_disk_when_a_lost_order_is_found_is_one_line(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    lost(one)
    with failpoints.hooked(disk_full("ledger.move.rendering")):
        assert one.doit("recover", *ONLY_PIKA) == 1
    said = "".join(capfd.readouterr())
    assert "the ledger can't be written: database or disk is full" in said
    assert "Traceback" not in said
    assert one.doit("recover", *ONLY_PIKA) == 0
    assert one.doit(*ONLY_PIKA) == 0
    assert (one.creates(), one.booked()) == (1, (PIKA_USD, 0, 0))
