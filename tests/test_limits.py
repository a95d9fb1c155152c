"""PrioritySemaphore and limiters under virtual time: limits hold, the lowest number goes first, and nothing leaks."""

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from vgen.production.limits import SIGNS, PrioritySemaphore, ProviderLimiter


async def turn(limiter: ProviderLimiter) -> None:
    """Wait for a request's turn and take it, as a clip does."""
    await limiter.ready()
    while not limiter.take():
        await limiter.ready()


def virtually(main: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    return trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))


def limiter(per_minute: float | None = None) -> ProviderLimiter:
    return ProviderLimiter(name="runway", slots=PrioritySemaphore(5), requests_per_minute=per_minute)


async def hold(
    slots: PrioritySemaphore, number: int, seen: list[int], *, at_once: bool = False, seconds: float = 1.0
) -> None:
    async with slots.one(number, at_once=at_once):
        seen.append(number)
        await trio.sleep(seconds)


@pytest.mark.slow
@given(st.integers(1, 4), st.lists(st.integers(0, 3), max_size=12))
def test_never_more_holders_than_the_limit(limit: int, lengths: list[int]) -> None:
    async def main() -> int:
        slots, most = PrioritySemaphore(limit), 0

        async def one(number: int, seconds: int) -> None:
            nonlocal most
            async with slots.one(number):
                most = max(most, slots.held)
                await trio.sleep(seconds)

        async with trio.open_nursery() as nursery:
            for number, seconds in enumerate(lengths):
                nursery.start_soon(one, number, seconds)
        assert slots.held == 0
        return most

    assert virtually(main) == min(limit, len(lengths))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_lowest_number_is_served_first(limit: int) -> None:
    async def main() -> list[int]:
        slots, seen = PrioritySemaphore(limit), list[int]()
        async with trio.open_nursery() as nursery:
            for number in (5, 3, 9, 1, 7):
                nursery.start_soon(hold, slots, number, seen)
        return seen

    found = virtually(main)
    batches = [sorted(found[k : k + limit]) for k in range(0, 5, limit)]
    assert [number for batch in batches for number in batch] == [1, 3, 5, 7, 9]


def test_who_comes_late_with_a_low_number_goes_before_those_in_line() -> None:
    async def main() -> list[int]:
        slots, seen = PrioritySemaphore(1), list[int]()
        async with trio.open_nursery() as nursery:
            for number in (5, 6, 7):
                nursery.start_soon(hold, slots, number, seen)
            await trio.sleep(0.5)
            nursery.start_soon(hold, slots, 1, seen)
        return seen

    assert virtually(main) == [5, 1, 6, 7]


def test_equal_numbers_go_by_arrival() -> None:
    async def main() -> int:
        slots, seen = PrioritySemaphore(1), list[int]()
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(hold, slots, 1, seen)
        return len(seen)

    assert virtually(main) == 4


def test_a_job_that_runs_already_takes_its_slot_at_once_and_newcomers_wait_for_it() -> None:
    async def main() -> tuple[list[float], int]:
        slots, at = PrioritySemaphore(1), list[float]()

        async def one(number: int, *, at_once: bool) -> None:
            async with slots.one(number, at_once=at_once):
                at.append(trio.current_time())
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            for number in (1, 2):
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(lambda n=number: one(n, at_once=True))
            await trio.testing.wait_all_tasks_blocked()
            most = slots.held
            nursery.start_soon(lambda: one(3, at_once=False))
        return at, most

    assert virtually(main) == ([0, 0, 1], 2)


def test_a_slot_is_free_again_after_an_error() -> None:
    async def main() -> int:
        slots = PrioritySemaphore(1)
        with pytest.raises(ValueError, match="boom"):
            async with slots.one(1):
                raise ValueError("boom")
        return slots.held

    assert virtually(main) == 0


@pytest.mark.parametrize("after", [0, 0.5, 1, 1.5])
def test_who_gives_up_while_waiting_takes_nothing_along(after: float) -> None:
    async def main() -> tuple[int, list[int]]:
        slots, seen = PrioritySemaphore(1), list[int]()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, slots, 1, seen)
            with trio.move_on_after(after):
                await hold(slots, 2, [], seconds=10)
            nursery.start_soon(hold, slots, 3, seen)
        return slots.held, sorted(seen)

    assert virtually(main) == (0, [1, 3])


@pytest.mark.parametrize("cancel_first", [True, False])
def test_who_is_cancelled_in_the_moment_of_being_served_hands_the_slot_on(cancel_first: bool) -> None:
    async def main() -> tuple[int, bool, float]:
        slots, seen = PrioritySemaphore(1), list[int]()

        async def waits(scope: trio.CancelScope) -> None:
            with scope:
                await hold(slots, 2, seen, seconds=50)

        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            async with slots.one(1):
                nursery.start_soon(waits, scope)
                nursery.start_soon(hold, slots, 3, seen)
                await trio.testing.wait_all_tasks_blocked()
                if cancel_first:
                    scope.cancel()  # 2 is still in line when the slot comes free, and never sees it
            scope.cancel()
        return slots.held, 3 in seen, trio.current_time()

    assert virtually(main) == (0, True, 1)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 4)), max_size=10), st.integers(1, 3))
def test_whatever_is_cancelled_whenever_no_slot_is_lost(clips: list[tuple[int, int, int]], limit: int) -> None:
    async def main() -> int:
        slots = PrioritySemaphore(limit)

        async def one(number: int, length: int, patience: int) -> None:
            with trio.move_on_after(patience):
                await hold(slots, number, [], seconds=length)
            assert 0 <= slots.held <= limit

        async with trio.open_nursery() as nursery:
            for clip in clips:
                nursery.start_soon(one, *clip)
        with trio.fail_after(1):
            for _ in range(limit):
                await hold(slots, 0, [], seconds=0)
        return slots.held

    assert virtually(main) == 0


async def turns(one: ProviderLimiter, n: int, *, start: float = 0.0, together: bool = True) -> list[float]:
    await trio.sleep(start)
    at: list[float] = []

    async def take() -> None:
        await turn(one)
        at.append(round(trio.current_time() - start, 6))

    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(take)
    return sorted(at)


@pytest.mark.parametrize("start", [0.0, 0.3, 1.1, 17.7, 12345.678])
@pytest.mark.parametrize(
    ("per_minute", "expected"),
    [
        (None, [0] * 7),
        (1, [0, 60, 120, 180, 240, 300, 360]),
        (3, [0, 0, 0, 60, 60, 60, 120]),
        (3.9, [0, 0, 0, 60, 60, 60, 120]),
        (0.5, [0, 120, 240, 360, 480, 600, 720]),
        (60, [0] * 7),
    ],
)
def test_requests_keep_to_a_sliding_minute(per_minute: float | None, expected: list[float], start: float) -> None:
    async def main() -> list[float]:
        return await turns(limiter(per_minute), 7, start=start)

    assert expected == virtually(main)


def test_the_minute_slides() -> None:
    async def main() -> list[float]:
        one, at = limiter(2), list[float]()
        for pause in (0, 50, 0, 0, 0):
            await trio.sleep(pause)
            await turn(one)
            at.append(trio.current_time())
        return at

    assert virtually(main) == [0, 50, 60, 110, 120]


@pytest.mark.slow
@given(st.integers(1, 5), st.lists(st.floats(0, 90), min_size=1, max_size=15))
def test_no_minute_has_more_requests_than_allowed(per_minute: int, starts: list[float]) -> None:
    async def main() -> list[float]:
        one, at = limiter(per_minute), list[float]()

        async def take(start: float) -> None:
            await trio.sleep(start)
            await turn(one)
            at.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for start in starts:
                nursery.start_soon(take, start)
        return sorted(at)

    at = virtually(main)
    assert all(later - earlier >= 60 - 1e-6 for earlier, later in zip(at, at[per_minute:], strict=False))


def test_a_pause_binds_all_and_the_longest_counts() -> None:
    async def main() -> list[float]:
        one = limiter()
        one.pause(7)
        one.pause(3)
        return await turns(one, 3)

    assert virtually(main) == [7, 7, 7]


def test_a_pause_that_comes_while_waiting_counts_too() -> None:
    async def main() -> float:
        one = limiter()
        one.pause(5)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turn, one)
            await trio.sleep(4)
            one.pause(10)
        return trio.current_time()

    assert virtually(main) == 14


def test_who_gives_up_waiting_for_a_turn_leaves_it_to_others() -> None:
    async def main() -> float:
        one = limiter(1)
        await turn(one)
        with trio.move_on_after(10):
            await turn(one)
        await turn(one)
        return trio.current_time()

    assert virtually(main) == 60


def test_the_end_of_jobs_that_take_about_the_same_is_foreseen() -> None:
    limiter = ProviderLimiter(name="runway", slots=PrioritySemaphore(8))
    assert limiter.foreseen_s is None
    for at_work, over in ((7.0, 13.0), (5.5, 10.5), (6.0, 11.0)):
        limiter.learn(at_work, over, 5.0)
    assert limiter.foreseen_s == 10.5
    limiter.learn(10.5, 15.5, 5.0)  # one that took longer, of few
    assert limiter.foreseen_s == 11.0
    for _ in range(20):
        limiter.learn(5.6, 10.6, 5.0)
    assert limiter.foreseen_s == 10.5


def test_nothing_is_foreseen_of_jobs_that_take_very_differently() -> None:
    limiter = ProviderLimiter(name="runway", slots=PrioritySemaphore(8))
    for k in range(10):
        limiter.learn(20.0 + 7 * k, 26.0 + 7 * k, 5.0)
    assert limiter.foreseen_s is None


@pytest.mark.parametrize(("jobs", "asked"), [(5, 5), (39, 39), (1_000, 38)])
def test_of_many_jobs_a_sample_is_watched_until_some_have_ended(jobs: int, asked: int) -> None:
    one = ProviderLimiter(name="runway", slots=PrioritySemaphore(jobs))

    async def main() -> tuple[int, int]:
        async with contextlib.AsyncExitStack() as held:
            for number in range(jobs):
                await held.enter_async_context(one.slots.one(number))
            before = sum(one.leads(job) for job in range(1, jobs + 1))
            one.brought = SIGNS
            return before, sum(one.leads(job) for job in range(1, jobs + 1))

    assert virtually(main) == (asked, jobs)


def followed(jobs: int, over: Callable[[ProviderLimiter, int], bool]) -> list[tuple[int, float, bool]]:
    """Of a crowd, those that follow: when they went on, and whether they lead. One job a second is over."""

    async def main() -> list[tuple[int, float, bool]]:
        one, seen = ProviderLimiter(name="runway", slots=PrioritySemaphore(jobs)), list[tuple[int, float, bool]]()

        async def follow(job: int) -> None:
            leads = await one.follow(job, until=100.0)
            seen.append((job, trio.current_time(), leads))

        async def hold_until(second: int) -> None:
            async with one.slots.one(second):
                await trio.sleep_until(second)
                one.over(brought=over(one, second))

        async with trio.open_nursery() as nursery:
            for second in range(1, jobs + 1):
                nursery.start_soon(hold_until, second)
            await trio.testing.wait_all_tasks_blocked()
            for job in (1, 3, 200):
                nursery.start_soon(follow, job)
        return sorted(seen)

    found: list[tuple[int, float, bool]] = virtually(main)
    return found


def test_who_follows_goes_on_when_enough_have_brought_their_files() -> None:
    assert followed(300, lambda *_: True) == [(1, SIGNS, True), (3, SIGNS, True), (200, 0.0, True)]


def test_who_follows_a_crowd_that_brings_nothing_goes_on_when_it_is_small_or_it_is_time() -> None:
    assert followed(60, lambda *_: False) == [(1, 21.0, True), (3, 21.0, True), (200, 0.0, True)]
    assert followed(300, lambda *_: False) == [(1, 100.0, False), (3, 100.0, False), (200, 0.0, True)]
