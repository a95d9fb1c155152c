"""A charge that comes later than the clip, a refusal that is kept, a list that hides its tags: a made-up vendor."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import toy_protocol
import toy_tags
import trio
import trio.testing
from studio import Studio
from toy_tags import REPLAY

from vgen import providers
from vgen.production.limits import PrioritySemaphore, ProviderLimiter
from vgen.production.poll import SETTLES_S
from vgen.providers.base import (
    Accepted,
    Call,
    Done,
    Failed,
    Job,
    Listed,
    Listing,
    RefusalReason,
    Refused,
    Reply,
    Status,
    Terms,
)
from vgen.providers.codec import TaggedList

TOY = ("primary_api=toy", "fallback_api=none")
ONE = [{"shot_number": 1, "duration": 5, "prompt": "a boat"}]
CHARGE = 40_000


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.chdir(tmp_path)
    made = Studio(tmp_path)
    made.environ |= {"TOY_SHARED_KEY": "shared-vgencanary-0123456789abcdef"}
    made.configure(toy={"model": "toy-1"})
    yield made
    made.check_secrets()
    made.check_clips()


def speaks(studio: Studio, monkeypatch: pytest.MonkeyPatch, **other: object) -> None:
    """The made-up protocol with some members of its own."""
    toy_tags.register(monkeypatch, REPLAY)
    codec = vars(providers.CODECS["toy"]) | other
    monkeypatch.setitem(providers.CODECS, "toy", SimpleNamespace(**codec))  # type: ignore[misc]
    if "toy" not in studio.cloud._lanes:
        studio.faults()


def settles(
    after: int, *, fails: bool = False
) -> tuple[list[Status], Callable[[Call, Reply, Job, str], Status | Call]]:
    """What the vendor says of a job that is over: the charge comes with the answer number `after`."""
    said: list[Status] = []

    def status(call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
        found = toy_protocol.status(call, reply, job, key)
        if not isinstance(found, Done):
            return found
        charged = CHARGE if len(said) >= after else None
        word: Status = Done(url=found.url, charged=charged, unsettled=charged is None)
        if fails:
            word = Failed(message="no", charged=charged and 0, unsettled=charged is None)
        said.append(word)
        return word

    return said, status


@pytest.mark.slow
def test_what_a_clip_cost_is_asked_until_it_is_settled(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    said, status = settles(4)
    speaks(studio, monkeypatch, status=status)
    studio.write_shots(ONE)
    assert studio.doit(*TOY) == 0
    assert (studio.booked(), len(said)) == ((CHARGE / 1_000_000, 0, 0), 5)
    assert [(row["state"], row["charged_by"]) for row in studio.rows()] == [("accepted", "provider")]


@pytest.mark.slow
def test_a_charge_that_never_settles_does_not_keep_the_clip_away(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, status = settles(10**6)
    speaks(studio, monkeypatch, status=status)
    studio.write_shots(ONE)
    assert studio.doit(*TOY) == 0
    [row] = studio.rows()
    assert (row["state"], row["charged"], row["charged_by"]) == ("accepted", row["price"], "assumed")
    assert 1 < len(said) <= SETTLES_S / toy_protocol.VENDOR.poll_interval_s + 3


def test_a_failure_is_booked_when_its_charge_is_settled(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    _, status = settles(3, fails=True)
    speaks(studio, monkeypatch, status=status)
    studio.write_shots(ONE)
    assert studio.doit(*TOY) == 1
    assert {(row["state"], row["charged"], row["charged_by"]) for row in studio.rows()} == {("failed", 0, "provider")}


@pytest.mark.slow
@pytest.mark.parametrize("reason", [RefusalReason.CREDIT, RefusalReason.RATE_LIMITED])
def test_a_lost_order_whose_job_has_failed_is_booked_as_that_job(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, reason: RefusalReason
) -> None:
    tags: list[str] = []
    plain = toy_tags._create

    def create(*args: object) -> Call:
        tags.append(str(args[-1]))
        return plain(*args)  # type: ignore[arg-type]

    def answer(reply: Reply, terms: Terms) -> object:
        meant = toy_protocol.answer(reply, terms)
        repeated = tags.count(tags[-1]) > 1
        return (
            Refused(reason=reason, message="no", job=meant.job) if repeated and isinstance(meant, Accepted) else meant
        )

    speaks(studio, monkeypatch, create=create, answer=answer)
    studio.write_shots(ONE)
    studio.faults("toy.create_lost=first:1", "toy.job_failed=first:1")
    assert studio.doit(*TOY) == 0
    assert studio.states() == ["failed", "accepted"]
    assert [row["job_id"] for row in studio.rows()] == [job["id"] for job in studio.jobs()]
    assert (len(set(tags)), studio.booked()) == (2, (studio.charged(), 0, 0))


@pytest.mark.slow
@pytest.mark.parametrize(("shown", "states"), [(True, "released"), (False, "uncertain")])
def test_a_list_that_hides_its_tags_never_says_that_an_order_is_not_there(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, shown: bool, states: str
) -> None:
    def listing(reply: Reply, cursor: str | None) -> Listing | None:
        jobs = reply.object().get("orders", [])
        return Listing(jobs=tuple(Listed(id=one["id"], tag="earlier" if shown else "") for one in jobs))

    find = TaggedList(
        list_jobs=toy_tags._list, parse_job_list=listing, sent_as=str, lag_s=120.0, shows_running=True, apart_s=1.1
    )
    speaks(studio, monkeypatch, LOST_ORDERS=find)
    studio.write_shots(ONE)
    assert studio.doit(*TOY) == 0
    studio.write_shots([*ONE, {"shot_number": 2, "duration": 5, "prompt": "a hill"}])
    studio.worsen("toy.create_reset=1.0")
    studio.doit(*TOY)
    assert studio.states()[-1] == "uncertain"
    studio.calm()
    studio.pass_time(600)
    assert studio.doit("recover", *TOY) == 0
    assert studio.states()[-1] == states


def test_two_questions_for_a_list_are_apart() -> None:
    async def times(apart_s: float) -> list[float]:
        limiter = ProviderLimiter(name="x", slots=PrioritySemaphore(1))
        began, found = trio.current_time(), []

        async def ask() -> None:
            await limiter.turn_to_list(apart_s)
            found.append(trio.current_time() - began)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
        await ask()
        return sorted(round(at, 6) for at in found)

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(times, 1.1, clock=clock) == [0, 1.1, 2.2, 3.3]
    assert trio.run(times, 0.0, clock=trio.testing.MockClock(autojump_threshold=0)) == [0, 0, 0, 0]
