"""Rows 100 to 102: what a provider has said of its prices is believed, in this run and in all later ones."""

import json

import pytest
import trio
from faults.scripted import ONLY_RUNWAY, RUNWAY_USD, Forward, ScriptedStudio, changes, says
from simulation.world import picture
from studio import shots

from vgen.simulator.web import Request, Response, answer

pytestmark = pytest.mark.slow

DEAR_USD = 4.8
QUOTE = changes(estimatedCost={"credits": 480})
CHEAP_AGAIN = "the table's price is reserved although the provider told another"


def plan(studio: ScriptedStudio, *args: str) -> list[dict[str, object]]:
    assert studio.doit("plan", *args) == 0
    value: list[dict[str, object]] = json.loads((studio.outputs / "plan.json").read_text("utf-8"))["shots"]
    return value


def test_fault_100_a_quote_is_reserved_by_the_next_run_and_shown_by_the_plan(
    one: ScriptedStudio, capfd: pytest.CaptureFixture[str]
) -> None:
    """Quoted $4.80 where the table says $0.60: the next shot of the kind is planned and reserved at $4.80."""
    one.on("create", QUOTE, text="promptText")
    one.doit(*ONLY_RUNWAY)
    one.write_shots(shots(2))
    capfd.readouterr()
    (_, second) = plan(one, *ONLY_RUNWAY)
    assert (second["action"], second["price_usd"]) == ("buy", DEAR_USD), CHEAP_AGAIN
    assert "$4.80, as runway told for this kind" in capfd.readouterr().out
    assert one.doit(*ONLY_RUNWAY, "budget_usd=5") == 3
    assert one.bought() == 1
    assert one.doit(*ONLY_RUNWAY, "budget_usd=20") == 0
    first_price = one.rows("SELECT price FROM moves WHERE purchase_id = 2 ORDER BY id LIMIT 1")[0]["price"]
    assert first_price == round(DEAR_USD * 1e6), CHEAP_AGAIN
    assert not one.lines[-1].startswith("- runway is closed"), "a price that was expected closes nobody"


def test_fault_100_a_quote_binds_the_models_shots_with_a_picture_too(one: ScriptedStudio) -> None:
    one.on("create", QUOTE, text="promptText")
    one.doit(*ONLY_RUNWAY)
    (one.root / "2.png").write_bytes(picture(2))
    first, second = shots(2)
    one.write_shots([first, second | {"image": "2.png"}])
    assert plan(one, *ONLY_RUNWAY)[1]["price_usd"] == DEAR_USD, CHEAP_AGAIN
    assert one.doit(*ONLY_RUNWAY, "budget_usd=5") == 3
    assert one.bought() == 1


def test_fault_100_four_at_once_are_not_ordered_at_a_price_that_nobody_knows(studio: ScriptedStudio) -> None:
    """Four at once, each quoted $4.80, on $2.40: one order, cancelled while it is queued; the others never go."""
    studio.write_shots(shots(4))
    studio.on("create", QUOTE, text="promptText")
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=2.40", "max_concurrent=4") == 1
    assert studio.creates() == 1
    assert studio.charged() == 0, "it was cancelled while that was free"
    assert studio.states() == ["cancelled"]
    assert studio.said("runway quotes $4.80, which passes the budget of $2.40")
    assert studio.booked() == (DEAR_USD, 0, 0), "the provider does not say that it was free, so it counts"
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=2.40", "max_concurrent=4") == 3
    assert studio.creates() == 1, "nothing more at that price"


def test_fault_100_a_dear_job_that_was_cancelled_free_by_its_providers_word_costs_nothing(one: ScriptedStudio) -> None:
    """Quoted $4.80 on $2.40: cancelled, and Runway says that it charged nothing. The next run has all its budget."""

    async def cancelled_free(request: Request, forward: Forward) -> Response:
        response = await forward()
        if response.status != 404:
            return response
        said = {"id": request.path.rpartition("/")[2], "createdAt": "2026-11-22T10:00:00.123Z", "status": "CANCELLED"}
        return answer(200, {**said, "cost": {"credits": 0}})

    one.on("create", QUOTE, text="promptText")
    one.on("poll", cancelled_free)
    assert one.doit(*ONLY_RUNWAY, "budget_usd=2.40") == 1
    assert (one.creates(), one.charged(), one.states()) == (1, 0, ["cancelled"])
    assert one.rows()[0]["charged_by"] == "provider"
    assert one.booked() == (0, 0, 0), "the whole quote was booked although the provider says that it was free"


def test_fault_100_a_running_job_is_not_cancelled_for_its_quote(studio: ScriptedStudio) -> None:
    studio.faults(queue_s=0)
    studio.on("create", QUOTE, text="promptText")
    assert studio.doit(*ONLY_RUNWAY) == 1
    assert (studio.creates(), studio.states()) == (1, ["accepted"])
    assert studio.said("it can't be cancelled free any more")
    assert studio.asked("cancel") == []
    assert studio.booked() == (RUNWAY_USD, 0, 0)


def test_fault_101_others_of_a_kind_wait_for_its_first_answer_and_not_for_its_job(studio: ScriptedStudio) -> None:
    """An answer takes a second: the second order goes when it is there, all others of the kind with it."""
    sent: list[float] = []

    async def slow(request: Request, forward: Forward) -> Response:
        sent.append(studio.clock.current_time())
        await trio.sleep(1)
        return await forward()

    studio.write_shots(shots(5))
    studio.on("create", slow)
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    assert [round(at - sent[0], 3) for at in sent] == [0, 1, 1, 1, 1]
    ended = [studio.when(number, "ready") for number in range(1, 6)]
    assert max(ended) - sent[0] < 1 + 1 + 14 + 2 * 7.5, "nobody waited for the first one's job"
    studio.write_shots(shots(9))
    sent.clear()
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    assert [round(at - sent[0], 3) for at in sent] == [0, 0, 0, 0], "a kind that is known goes at once"


def test_fault_101_a_first_order_that_comes_to_nothing_lets_the_next_one_be_the_first(studio: ScriptedStudio) -> None:
    sent: list[float] = []

    async def slow(request: Request, forward: Forward) -> Response:
        sent.append(studio.clock.current_time())
        await trio.sleep(1)
        if len(sent) == 1:
            return await says(400, {"error": "no such thing"})(request, forward)  # type: ignore[return-value]
        return await forward()

    studio.on("create", slow, text="promptText")
    assert studio.doit(*ONLY_RUNWAY, "min_success_rate=0.6") == 0
    assert [round(at - sent[0], 3) for at in sent] == [0, 1, 2]
    assert sorted(studio.states()) == ["accepted", "accepted", "refused"]


def test_fault_101_kinds_do_not_wait_for_each_other(studio: ScriptedStudio) -> None:
    sent: list[float] = []

    async def slow(request: Request, forward: Forward) -> Response:
        sent.append(studio.clock.current_time())
        await trio.sleep(1)
        return await forward()

    studio.change_shot(2, duration=6)
    studio.change_shot(3, aspect_ratio="16:9")
    studio.on("create", slow)
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    assert [round(at - sent[0], 3) for at in sent] == [0, 0, 0]


def test_fault_102_a_charge_above_the_table_binds_the_next_run(one: ScriptedStudio) -> None:
    one.faults("runway.price_overrun=first:1")
    assert one.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    one.write_shots(shots(2))
    assert plan(one, *ONLY_RUNWAY)[1]["price_usd"] == 1.8, CHEAP_AGAIN


def test_fault_102_a_price_binds_its_own_kind_and_provider_only(one: ScriptedStudio) -> None:
    """Another length, another shape, another provider, the rehearsal: all at their list prices."""
    one.on("create", QUOTE, text="promptText")
    one.doit(*ONLY_RUNWAY)
    one.write_shots([*shots(1), *shots(4)[1:]])
    one.change_shot(2, duration=6)
    one.change_shot(3, aspect_ratio="16:9")
    prices = [shot["price_usd"] for shot in plan(one, *ONLY_RUNWAY)]
    assert prices[1:] == [0.72, RUNWAY_USD, DEAR_USD]
    assert plan(one, "primary_api=pika", "fallback_api=none")[3]["price_usd"] == 0.2
    assert plan(one, *ONLY_RUNWAY, "mode=simulate")[3]["price_usd"] == RUNWAY_USD


def test_fault_102_a_quote_below_the_table_changes_nothing(one: ScriptedStudio) -> None:
    one.on("create", changes(estimatedCost={"credits": 6}), text="promptText")
    assert one.doit(*ONLY_RUNWAY) == 0
    one.write_shots(shots(2))
    assert plan(one, *ONLY_RUNWAY)[1]["price_usd"] == RUNWAY_USD


def test_fault_102_what_was_configured_higher_once_was_told_by_nobody(one: ScriptedStudio) -> None:
    one.configure(runway={"cost_per_second_usd": 1})
    assert one.doit(*ONLY_RUNWAY) == 0
    one.configure(runway={"cost_per_second_usd": None})
    one.write_shots(shots(2))
    assert plan(one, *ONLY_RUNWAY)[1]["price_usd"] == RUNWAY_USD
