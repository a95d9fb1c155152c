"""Shots that are made from frames of other shots: a film in which a change goes as far as it must, and no further."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_clips import fake_clip
from studio import Studio, shots

from vgen.media.judge import Judgement, Wanted

CHAIN = {2: {"image": "clip:1"}, 3: {"image": "clip:2"}}


def film(studio: Studio, n: int = 3, frames: Mapping[int, Mapping[str, Any]] = CHAIN, **run: Any) -> Studio:
    """n shots at a model that takes a first picture; `frames`: shot → its pictures."""
    studio.configure(run={"budget_usd": 40, "max_concurrent": 5, **run})
    studio.write_shots([{**shot, **frames.get(shot["shot_number"], {})} for shot in shots(n)])
    return studio


def plan(studio: Studio, *words: str) -> dict[int, dict[str, Any]]:
    assert studio.doit("plan", *words) == 0
    found = json.loads((studio.outputs / "plan.json").read_text())
    return {shot["shot_number"]: shot for shot in found["shots"]}


def total(studio: Studio) -> float:
    return float(json.loads((studio.outputs / "plan.json").read_text())["total_usd"])


def identities(studio: Studio) -> dict[int, str]:
    """Shot → the first picture of its newest purchase, as the recipe holds it."""
    return {row["shot_number"]: dict(json.loads(row["manifest"])).get("image", "") for row in studio.rows()}


def served(studio: Studio) -> dict[int, str]:
    """Shot → the sha256 of the take in place."""
    return {row["shot_number"]: row["sha256"] for row in studio.rows("SELECT * FROM placed")}


def actions(studio: Studio) -> Sequence[str]:
    return [shot["action"] for _, shot in sorted(plan(studio).items())]


def test_a_chain_is_priced_before_its_first_clip_is_there(studio: Studio) -> None:
    steps = plan(film(studio))
    assert [step["action"] for step in steps.values()] == ["buy", "wait", "wait"]
    assert steps[2]["why"] == "after clip 1: its first picture comes from clip 1"
    assert total(studio) == pytest.approx(sum(step["price_usd"] for step in steps.values()))
    assert all(step["price_usd"] > 0 for step in steps.values())


@pytest.mark.slow
def test_each_shot_is_made_from_the_take_before_it(studio: Studio) -> None:
    assert film(studio).doit() == 0
    takes = served(studio)
    assert identities(studio) == {1: "", 2: f"take:{takes[1]}@last", 3: f"take:{takes[2]}@last"}
    assert studio.bought() == 3
    assert studio.doit() == 0
    assert studio.bought() == 3


def test_list_names_what_a_clip_is_made_from(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    film(studio)
    capsys.readouterr()
    assert studio.doit("list", "--deps", "clip:3") == 0
    assert " -  outputs/clips/clip_002.mp4" in capsys.readouterr().out


@pytest.mark.slow
def test_a_plan_that_was_agreed_on_holds_while_its_chain_is_built(studio: Studio) -> None:
    plan(film(studio, max_concurrent=1))
    (studio.outputs / "plan.json").rename(studio.root / "agreed.json")
    assert studio.doit("clip:2", "plan=agreed.json") == 0
    assert studio.doit("plan=agreed.json") == 0
    studio.change_shot(3, runway_prompt="shot-3 something else")
    assert studio.doit("plan=agreed.json") == 3
    assert studio.bought() == 3


@pytest.mark.slow
def test_money_for_a_part_of_a_chain_buys_it_from_its_beginning(studio: Studio) -> None:
    assert film(studio, partial="yes", budget_usd=1.3).doit() == 1
    assert (sorted(served(studio)), studio.bought()) == ([1, 2], 2)


@pytest.mark.slow
def test_a_shot_alone_brings_those_that_it_needs(studio: Studio) -> None:
    assert film(studio, 4).doit("clip:2") == 0
    assert sorted(served(studio)) == [1, 2]


@pytest.mark.slow
def test_a_change_goes_down_the_chain_and_the_old_take_brings_all_back_free(studio: Studio) -> None:
    assert film(studio).doit() == 0
    before = served(studio)
    assert studio.doit("-a", "clip:1") == 0
    steps = plan(studio)
    assert [step["action"] for step in steps.values()] == ["keep", "buy", "wait"]
    assert steps[2]["why"] == "its first picture comes from clip 1, whose take changed"
    assert studio.doit() == 0
    assert studio.bought() == 6
    assert studio.doit("pick", "shot=1", "take=1") == 0
    assert studio.doit() == 0
    assert (studio.bought(), served(studio)) == (6, before)


@pytest.mark.slow
def test_keep_accepts_a_clip_whose_source_has_another_take(studio: Studio) -> None:
    assert film(studio).doit() == 0
    assert studio.doit("-a", "clip:1") == 0
    assert studio.doit("keep", "shot=2") == 0
    assert actions(studio) == ["keep", "keep", "keep"]
    assert studio.doit() == 0
    assert studio.bought() == 4


def test_an_edit_of_the_first_shot_is_priced_downstream(studio: Studio) -> None:
    assert film(studio).doit() == 0
    studio.change_shot(1, runway_prompt="shot-1 another boat")
    assert actions(studio) == ["buy", "wait", "wait"]
    assert total(studio) == pytest.approx(3 * 0.6)
    studio.change_shot(1, runway_prompt="shot-1 a paper boat")
    assert actions(studio) == ["keep", "keep", "keep"]


def test_a_shot_whose_source_can_not_be_made_is_not_bought_and_says_for_whom_it_waits(studio: Studio) -> None:
    film(studio)
    studio.faults("create_moderation=~shot-1")
    assert studio.doit() == 1
    assert (studio.charged(), studio.bought()) == (0, 1)
    assert "its first picture comes from clip 1" in str(studio.errors()[1])
    assert actions(studio) == ["stop", "wait", "wait"]
    assert total(studio) == 0


def test_a_ring_is_refused_whole(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    film(studio, 4, {1: {"image": "clip:3"}, 2: {"image": "clip:1"}, 3: {"end_image": "clip:2@first"}})
    assert studio.doit() == 3
    assert "shot 1: its pictures come from itself: it needs clip 3, which needs clip 2, which needs clip 1" in "".join(
        capsys.readouterr()
    )


@pytest.mark.parametrize(
    ("picture", "told"),
    [("clip:9", "there is no shot 9"), ("clip:2", "it needs clip 2"), ("clip:1@5", "it shows nothing at 5 s")],
)
def test_a_frame_that_can_not_be_is_refused(
    studio: Studio, capsys: pytest.CaptureFixture[str], picture: str, told: str
) -> None:
    film(studio, 2, {2: {"image": picture}})
    assert studio.doit() == 3
    assert told in "".join(capsys.readouterr())
    assert studio.requests() == {}


def test_shots_that_others_wait_for_begin_first(studio: Studio) -> None:
    """Two lanes, six shots, a chain of three at the end of the list: nobody stands idle."""
    frames = {5: {"image": "clip:6"}, 4: {"image": "clip:5"}}
    assert film(studio, 6, frames, max_concurrent=2).doit() == 0
    order = [row["shot_number"] for row in studio.rows()]
    assert 6 in order[:2]
    assert studio.clock.current_time() < 3.6 * 60


@pytest.mark.slow
def test_nothing_is_made_from_a_take_that_could_not_be_put_in_place(studio: Studio) -> None:
    """Somebody edits clip 1 while its next take is made: the edit stays, so the new take is not the film's."""
    assert film(studio).doit() == 0
    studio.change_shot(1, runway_prompt="shot-1 another boat")
    looked = studio.judge

    async def edited_meanwhile(path: Path, wanted: Wanted) -> Judgement:
        studio.clip(1).unlink()
        studio.clip(1).write_bytes(fake_clip(width=720, height=1280, duration_s=5.0, size_bytes=160_000))
        return await looked(path, wanted)

    studio.judge = edited_meanwhile
    assert studio.doit() == 1
    assert studio.bought() == 4
    assert "and clip 1 is not in place" in str(studio.errors()[1])
    studio.judge = looked
    studio.clip(1).unlink()
    assert studio.doit() == 0
    assert studio.bought() == 6


@pytest.mark.slow
def test_a_choice_waits_until_the_source_is_there(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    """What it would be kept for is not known yet; said before, it would be forgotten when the source is there."""
    assert film(studio).doit() == 0
    assert studio.doit("-a", "clip:1") == 0
    capsys.readouterr()
    assert studio.doit("keep", "shot=3") == 3
    told = "shot=3: its first picture comes from clip 2, and there is no up-to-date clip 2 yet; build that first"
    assert told in "".join(capsys.readouterr())
    assert studio.doit("clip:2") == 0
    assert studio.doit("keep", "shot=3") == 0
    assert actions(studio) == ["keep", "keep", "keep"]


@pytest.mark.slow
def test_a_take_that_somebody_deleted_comes_back_from_its_clip_when_its_frame_is_wanted(studio: Studio) -> None:
    assert film(studio).doit() == 0
    first = next(row["path"] for row in studio.rows("SELECT * FROM takes") if row["sha256"] == served(studio)[1])
    (studio.outputs / first).unlink()
    studio.change_shot(2, runway_prompt="shot-2 another boat")
    assert studio.doit() == 0
    assert (studio.bought(), (studio.outputs / first).exists()) == (5, True)


@pytest.mark.slow
def test_no_frame_is_taken_of_a_take_that_is_damaged(studio: Studio) -> None:
    assert film(studio).doit() == 0
    first = next(row["path"] for row in studio.rows("SELECT * FROM takes") if row["sha256"] == served(studio)[1])
    (studio.outputs / first).chmod(0o644)
    (studio.outputs / first).write_bytes(b"no video any more")
    studio.clip(1).unlink()
    studio.clip(1).write_bytes(fake_clip(width=720, height=1280, duration_s=5.0, size_bytes=160_000))
    studio.change_shot(2, runway_prompt="shot-2 another boat")
    assert studio.doit() == 1
    assert studio.bought() == 3
    assert "was damaged; put it back, or buy a new one with `doit -a clip:1`" in str(studio.errors()[1])
    (studio.outputs / first).unlink()  # the studio looks for damage when a test ends


@pytest.mark.slow
def test_a_kill_anywhere_buys_each_shot_of_a_chain_once(new_studio: Any) -> None:
    points = 1
    while True:
        studio = film(new_studio())
        point = studio.crash(points)
        if point.seen < points:
            break
        assert studio.doit("on_uncertain=hold") in (0, 1)
        studio.check_money()
        takes = served(studio)
        known = identities(studio)
        for number, source in ((2, 1), (3, 2)):
            if number in known:
                assert known[number] == f"take:{takes[source]}@last", points
        assert studio.bought() <= 3
        points += 7


@pytest.mark.slow
def test_more_takes_of_a_clip_are_not_more_takes_of_what_it_needs(studio: Studio) -> None:
    assert film(studio).doit("takes_wanted=2", "clip:3") == 0
    assert [row["shot_number"] for row in studio.rows()] == [1, 2, 3, 3]
    assert studio.doit("takes_wanted=2") == 0
    assert sorted(row["shot_number"] for row in studio.rows()) == [1, 1, 2, 2, 3, 3]


@pytest.mark.slow
def test_what_is_said_of_a_clip_whose_source_has_another_take_is_true(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    assert film(studio).doit() == 0
    plan(studio)
    (studio.outputs / "plan.json").rename(studio.root / "agreed.json")
    assert studio.doit("-a", "clip:1") == 0
    capsys.readouterr()
    assert studio.doit("plan=agreed.json") == 3
    assert "shot 2: the take of another shot that it is made from has changed since then" in capsys.readouterr().err
    page = (studio.outputs / "gallery.html").read_text("utf-8")
    assert "its first picture comes from clip 1, whose take changed" in page
    assert studio.doit("keep", "shot=2") == 0
    assert "even though a clip that it is made from has another take" in capsys.readouterr().out


@pytest.mark.slow
def test_the_status_of_a_clip_that_has_a_source_is_its_own(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    assert film(studio).doit() == 0
    for words in (("list", "--status", "clip:2"), ("list", "--status", "--deps", "clip:2")):
        capsys.readouterr()
        assert studio.doit(*words) == 0
        assert capsys.readouterr().out.startswith("U clip:2")


def test_a_shared_shot_whose_source_can_not_be_made_costs_nothing(studio: Studio) -> None:
    film(studio, 3, {2: {"image": "clip:1"}, 3: {"image": "clip:1", "runway_prompt": "shot-2 a paper boat"}})
    studio.faults("create_moderation=~shot-1")
    assert studio.doit() == 1
    assert actions(studio) == ["stop", "wait", "share"]
    assert studio.doit("plan", "budget_usd=0.01") == 0
    assert json.loads((studio.outputs / "plan.json").read_text())["fits"]


def test_money_that_comes_back_before_a_shot_of_a_chain_may_begin_is_spent_on_it(studio: Studio) -> None:
    """A job of an earlier list holds the money for shot 2 when the run begins; it fails, free, long before 2 begins."""
    film(studio, 2, partial="yes", budget_usd=1.3, fallback_api="none")
    studio.worsen("job_failed=first:1")
    assert studio.doit("clip:1", "clip_timeout_s=5") == 1
    studio.change_shot(1, runway_prompt="shot-1 another boat")
    assert studio.doit() == 0
    assert (sorted(served(studio)), studio.booked()) == ([1, 2], (1.2, 0, 0))
