"""What a screen shows of a run, at every moment of it: states, counts, no shot that was not begun or is over."""

import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator, Callable

import pytest
import trio
from studio import Studio, shots

from vgen.cli import live
from vgen.production.run import Run
from vgen.production.services import Services
from vgen.views.progress import Progress

JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}")
STATES = re.compile(
    r"ordering at \w+|ordered at \w+|queued at \w+(, \d+ before it)?|rendering (\d+% )?at \w+|collecting from \w+"
    r"|downloading from \w+(, attempt \d+)?|checking|retry at \w+ soon"
    r"|asking about a lost order|over at \w+, but can't be read: .*; asking again"
)


class WatchedStudio(Studio):
    """Looks at a run's progress ten times a second."""

    seen: list[Progress]

    def services(self) -> Services:
        self.seen = []

        @contextlib.asynccontextmanager
        async def watching(run: Run) -> AsyncIterator[None]:
            async def look() -> None:
                while True:
                    self.look(live.progress(run))
                    await trio.sleep(0.1)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                yield
                self.look(live.progress(run))
                nursery.cancel_scope.cancel()

        return dataclasses.replace(super().services(), watching=watching)

    def look(self, now: Progress) -> None:
        """Every shot that is shown was begun, is not over, and does what is said of it."""
        self.seen.append(now)
        begun = {number for _, number, text in self.told if re.search(": ordering|collecting the running", text)}
        over = {n for n in begun if self.said_of(n) and re.match("ready|not bought", self.said_of(n)[-1])}
        shown = {int(row.name.removeprefix("clip ")) for row in now.rows()}
        assert shown <= begun | {shot.number for shot in now.in_flight}, "a shot that was never begun"
        assert not shown & over, "a shot that is over"
        for row in now.rows():
            assert STATES.fullmatch(row.text), row.text
            assert not JOB_ID.search(row.text)
        parts = (now.done, now.failed, len(now.in_flight), len(now.arriving), now.waiting)
        assert sum(parts) == now.total, parts

    def said_of(self, number: int) -> list[str]:
        return [text for _, who, text in self.told if who == number]


BAD_DAY = (
    "create_429=first:3",
    "job_failed=first:3",
    "runway.create_moderation=~shot-4",
    "runway.create_lost=~shot-7",
    "media_cut=first:4",
    "clip_480p=first:1~shot-9",
)


@pytest.fixture
def watched(new_studio: Callable[..., Studio], monkeypatch: pytest.MonkeyPatch) -> WatchedStudio:
    studio = new_studio()
    studio.__class__ = WatchedStudio
    assert isinstance(studio, WatchedStudio)
    studio.write_shots(shots(12))
    return studio


@pytest.mark.slow
def test_all_that_is_shown_is_so_on_a_bad_day(watched: WatchedStudio) -> None:
    watched.faults(*BAD_DAY)
    watched.doit("budget_usd=30", "max_concurrent=3")
    assert {len(now.in_flight) for now in watched.seen} == {0, 1, 2, 3}
    assert any(now.arriving for now in watched.seen)
    assert any(now.pausing for now in watched.seen)
    last = watched.seen[-1]
    assert (last.done + last.failed, last.total) == (12, 12)


@pytest.mark.slow
def test_no_more_are_in_flight_than_may_be_while_others_are_downloaded(watched: WatchedStudio) -> None:
    """`7 in flight` with a limit of 5 were five jobs and two downloads."""
    watched.faults("media_stall=first:9")
    watched.doit("budget_usd=30")
    assert max(len(now.in_flight) for now in watched.seen) == 5
    assert any(len(now.in_flight) == 5 and now.arriving for now in watched.seen)


@pytest.mark.slow
def test_who_waits_for_money_is_not_in_flight(watched: WatchedStudio) -> None:
    watched.doit("budget_usd=3", "partial=yes", "max_concurrent=3")
    assert max(len(now.in_flight) for now in watched.seen) == 3
    last = watched.seen[-1]
    assert (last.done, last.failed, last.rows()) == (5, 7, [])


@pytest.mark.slow
def test_each_clip_that_is_over_says_how_many_are(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.write_shots(shots(12))
    studio.faults(*BAD_DAY)
    studio.doit("budget_usd=30", "fallback_api=none")
    said = capsys.readouterr().out.splitlines()
    counted = [line for line in said if line.startswith("[")]
    assert [line.split()[0] for line in counted] == [f"[{n}/12]" for n in range(1, 13)]
    assert len({line.split()[2] for line in counted}) == 12
    assert sum(" ready: " in line for line in counted) == 10


def test_the_count_goes_on_where_clips_are_up_to_date(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.doit("clip:1")
    capsys.readouterr()
    studio.doit()
    counted = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert [line.split()[0] for line in counted] == ["[2/3]", "[3/3]"]


@pytest.mark.slow
def test_takes_that_are_put_back_are_counted_and_a_choice_is_not(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    studio.doit()
    for number in (1, 2, 3):
        studio.clip(number).unlink()
    capsys.readouterr()
    studio.doit()
    assert re.findall(r"^\[\d/3\]", capsys.readouterr().out, re.MULTILINE) == ["[1/3]", "[2/3]", "[3/3]"]
    studio.doit("-a", "clip:2", "budget_usd=9")
    capsys.readouterr()
    assert studio.doit("pick", "shot=2", "take=1") == 0
    assert "[" not in capsys.readouterr().out


# ── other long work ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_recover_counts_the_orders_that_it_asks_about(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.faults("create_lost=1.0")
    studio.doit("budget_usd=9", "fallback_api=none")
    capsys.readouterr()
    assert studio.doit("recover", "budget_usd=9", "fallback_api=none") == 0
    said = [line for line in capsys.readouterr().out.splitlines() if ", $" in line and line.startswith("[")]
    assert [line.split()[0] for line in said] == ["[1/3]", "[2/3]", "[3/3]"]
    assert {line.split(",")[0].split(maxsplit=1)[1] for line in said} == {"shot 1", "shot 2", "shot 3"}


def test_doctor_fails_where_the_shot_list_is_bad(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    studio.write_shots([{"shot_number": 1}])
    assert studio.doit("doctor") == 1
    assert "FIX " in capsys.readouterr().out


def test_doctor_tells_of_a_provider_without_a_key_once(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    del studio.environ["FAL_KEY"]
    studio.configure(runway={"base_url": "http://127.0.0.1:9"})
    studio.doit("doctor")
    assert capsys.readouterr().out.count("pika is closed") == 1
