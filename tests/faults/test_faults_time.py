"""Row 78: the wall clock jumps, the machine sleeps; waits and money do not care."""

import pytest
from faults.scripted import ONLY_RUNWAY, RUNWAY_USD, Forward, ScriptedStudio

from vgen.simulator.web import Request, Response

pytestmark = pytest.mark.slow

DAY = 86_400.0
PAID = (RUNWAY_USD, 0, 0)


@pytest.mark.parametrize(
    "skew_s", [DAY, -DAY, 3600, -3600, -10 * 365 * DAY], ids=["+1 d", "-1 d", "+1 h", "-1 h", "-10 y"]
)
@pytest.mark.parametrize("kind", ["create", "poll", "media"])
def test_fault_078_a_clock_that_jumps_shortens_and_lengthens_nothing(
    one: ScriptedStudio, skew_s: float, kind: str
) -> None:
    async def jump(request: Request, forward: Forward) -> Response | None:
        one.skew_s = skew_s
        return None

    one.on(kind, jump, times=1)
    begin = one.clock.current_time()
    assert one.doit() == 0
    assert one.clock.current_time() - begin < 60
    assert (one.creates(), one.booked()) == (1, PAID)
    assert one.clips()[0]["generation_time_s"] >= 0
    one.skew_s = -skew_s
    assert one.doit() == 0
    assert one.creates() == 1


@pytest.mark.parametrize("skew_s", [DAY, -DAY])
def test_fault_078_a_pause_asked_for_by_date_is_read_against_the_providers_own_clock(
    one: ScriptedStudio, skew_s: float
) -> None:
    from email.utils import formatdate

    from faults.scripted import says

    now = one.now()
    headers = {"date": formatdate(now, usegmt=True), "retry_after": formatdate(now + 30, usegmt=True)}
    one.skew_s = skew_s / 2
    one.on("create", says(429, {"error": "slow down"}, **headers), times=1)
    begin = one.clock.current_time()
    assert one.doit(*ONLY_RUNWAY) == 0
    assert 30 <= one.clock.current_time() - begin < 90
    assert one.booked() == PAID


def test_fault_078_a_night_asleep_with_a_job_under_way_costs_nothing_more(one: ScriptedStudio) -> None:
    """Eight hours pass between two questions: the job has ended, its connection is dead, its address has expired."""

    async def sleep(request: Request, forward: Forward) -> Response | None:
        one.clock.jump(8 * 3600)
        return None

    one.faults("url_expired=first:1")
    one.on("poll", sleep, times=1)
    one.doit()
    assert one.doit() == 0
    assert (one.creates(), one.booked()) == (1, PAID)


def test_fault_078_a_generation_time_is_not_a_day_because_the_clock_jumped(one: ScriptedStudio) -> None:
    async def jump(request: Request, forward: Forward) -> Response | None:
        one.skew_s = DAY
        return None

    one.on("poll", jump, times=1)
    assert one.doit() == 0
    assert one.clips()[0]["generation_time_s"] < 600
