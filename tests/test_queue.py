"""Who waits for what: recipes, money and slots as pure state, without any clock."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.production.queue import LONG_QUEUE, PurchaseQueue, SlotQueue


def at_work(*shots: tuple[int, Sequence[str]]) -> PurchaseQueue:
    queue = PurchaseQueue()
    for number, recipes in shots:
        queue.start(number, recipes)
    return queue


def test_shots_that_share_a_recipe_go_one_after_another() -> None:
    queue = at_work((1, ["a"]), (2, ["b"]), (3, ["b", "a"]))
    assert [queue.is_behind(number) for number in (1, 2, 3)] == [False, False, True]
    queue.end(1)
    assert queue.is_behind(3), "shot 2 is at work on b"
    queue.end(2)
    assert not queue.is_behind(3)


def test_money_may_come_from_whoever_is_at_work_and_has_money() -> None:
    queue = at_work((1, ["a"]), (2, ["b"]))
    queue.lack_money(1)
    assert queue.money_may_come()
    queue.lack_money(2)
    assert not queue.money_may_come()
    queue.start("an orphan")
    assert queue.money_may_come()


def test_who_waits_behind_one_without_money_can_give_none() -> None:
    queue = at_work((1, ["a"]), (2, ["a"]), (3, ["a", "b"]), (4, ["b"]))
    queue.lack_money(1)
    assert not queue.money_may_come(), "2 waits behind 1, 3 behind 2, 4 behind 3"
    queue.end(1)
    assert queue.money_may_come()


def test_when_money_moves_all_who_lack_it_look_again() -> None:
    queue = at_work((1, ["a"]), (2, ["b"]))
    for number in (1, 2):
        queue.lack_money(number)
    queue.money_moved()
    assert not queue.lacks_money(1)
    assert not queue.lacks_money(2)


@pytest.mark.parametrize(
    ("queued", "saturated"),
    [
        ({}, False),
        ({"runway": LONG_QUEUE}, False),
        ({"runway": LONG_QUEUE, "pika": LONG_QUEUE - 1}, False),
        ({"runway": LONG_QUEUE, "pika": LONG_QUEUE}, True),
    ],
    ids=str,
)
def test_a_run_is_saturated_if_every_wanted_provider_has_a_long_queue(queued: dict[str, int], saturated: bool) -> None:
    queue = PurchaseQueue({1: "runway", 2: "pika", 3: ""})
    queue.start(3, ["c"])
    assert queue.saturated(queued) is saturated


def test_a_provider_that_no_later_shot_wants_does_not_count() -> None:
    queue = PurchaseQueue({1: "runway", 2: "pika"})
    queue.start(2, ["b"])
    assert queue.saturated({"runway": LONG_QUEUE})


def test_of_those_who_wait_for_a_slot_the_lowest_shot_is_next() -> None:
    slots = SlotQueue(1)
    tickets = {number: slots.ask(number) for number in (5, 2, 9)}
    assert list(slots.granted()) == [tickets[2]]
    slots.release()
    slots.withdraw(tickets[5])
    assert list(slots.granted()) == [tickets[9]]
    assert (slots.held, slots.waiting) == (1, 0)


@pytest.mark.slow
@given(st.integers(1, 4), st.lists(st.sampled_from(["ask", "take", "release", "withdraw"]), max_size=40))
def test_no_more_than_the_limit_hold_a_slot_except_jobs_that_run_already(limit: int, moves: list[str]) -> None:
    slots, waiting, granted, taken = SlotQueue(limit), [], 0, 0
    for number, move in enumerate(moves):
        if move == "ask":
            waiting.append(slots.ask(number))
        elif move == "take":
            slots.take()
            taken += 1
        elif move == "release" and slots.held:
            slots.release()
            granted, taken = (granted - 1, taken) if granted else (granted, taken - 1)
        elif move == "withdraw" and waiting:
            slots.withdraw(waiting.pop())
        for ticket in slots.granted():
            waiting.remove(ticket)
            granted += 1
        assert slots.held == granted + taken
        assert slots.held <= limit + taken
        assert slots.waiting == len(waiting)
