"""Takes wanted (contract 13): as many as are asked for, no more, whatever comes in between."""

import json
from pathlib import Path
from typing import Any

import pytest
from studio import Studio, shots

from vgen.media.judge import Judgement, Verdict, Wanted

pytestmark = pytest.mark.slow


@pytest.fixture
def film(studio: Studio) -> Studio:
    """Two shots, and money for all of their takes."""
    studio.write_shots(shots(2))
    studio.configure(run={"budget_usd": 9})
    return studio


def wanted(studio: Studio, number: int, takes: int) -> None:
    studio.change_shot(number, takes=takes)


def accepted(studio: Studio, number: int) -> int:
    return sum(row["state"] == "accepted" and row["shot_number"] == number for row in studio.rows())


def plan(studio: Studio, *words: str) -> Any:
    assert studio.doit("plan", *words) == 0
    return json.loads((studio.outputs / "plan.json").read_text("utf-8"))


def test_as_many_takes_are_bought_as_a_shot_wants_and_no_more(film: Studio) -> None:
    wanted(film, 1, 3)
    assert film.doit() == 0
    assert (accepted(film, 1), accepted(film, 2), film.bought()) == (3, 1, 4)
    before = film.disk()
    assert film.doit() == 0
    assert film.disk() == before, "nothing to do writes nothing"
    assert film.report()["clips"][0]["take"] == 1
    assert film.doit("audit") == 0


def test_a_run_may_want_takes_of_every_shot_and_a_shot_that_says_how_many_keeps_its_word(film: Studio) -> None:
    wanted(film, 1, 2)
    assert film.doit("takes_wanted=3") == 0
    assert (accepted(film, 1), accepted(film, 2)) == (2, 3)
    assert film.doit() == 0
    assert film.bought() == 5


def test_takes_that_are_here_count_however_they_came(film: Studio) -> None:
    assert film.doit() == 0
    assert film.doit("-a", "clip:1") == 0
    assert film.doit("clip:1", "takes_wanted=3") == 0
    assert (accepted(film, 1), film.bought()) == (3, 4)
    assert film.report()["clips"][0]["take"] == 2, "the clip in place stays"
    assert film.doit("-a", "clip:1", "takes_wanted=4") == 0
    assert (accepted(film, 1), film.bought()) == (4, 5), "the new take is the one that was missing"


def test_the_plan_counts_the_takes_that_are_missing(film: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    wanted(film, 1, 3)
    first = plan(film)
    assert "0 of 3 takes wanted; 2 to be bought" in capfd.readouterr().out
    each = first["shots"][1]["price_usd"]
    assert (first["total_usd"], first["shots"][0]["price_usd"]) == (round(4 * each, 6), round(3 * each, 6))
    assert first["shots"][0]["takes"] == {"wanted": 3, "accepted": 0, "to_buy": 3, "price_usd": round(2 * each, 6)}
    assert "takes" not in first["shots"][1]
    assert film.doit("takes_wanted=1", "clip:2") == 0
    assert film.doit("clip:1") == 0
    assert film.bought() == 4
    more = plan(film, "takes_wanted=2")
    assert [shot["action"] for shot in more["shots"]] == ["keep", "buy"]
    assert (more["total_usd"], more["shots"][1]["takes"]["to_buy"]) == (each, 1)


def test_a_plan_that_was_agreed_on_is_carried_out_and_continued(film: Studio) -> None:
    wanted(film, 1, 3)
    plan(film)
    film.crash(60, "plan=outputs/plan.json")
    film.pass_time(300)
    assert film.doit("plan=outputs/plan.json") == 0
    assert (accepted(film, 1), accepted(film, 2), film.bought()) == (3, 1, 4)
    wanted(film, 1, 4)
    assert film.doit("plan=outputs/plan.json") == 3
    assert film.bought() == 4


def test_the_nth_take_has_the_seed_plus_n_minus_1(film: Studio) -> None:
    film.write_shots([shots(1)[0] | {"seed": 7, "takes": 3}])
    assert film.doit() == 0
    assert [json.loads(row["request"])["seed"] for row in film.rows()] == [7, 8, 9]
    film.write_shots([shots(1)[0] | {"seed": 2**32 - 2, "takes": 3}])
    assert film.doit() == 3
    assert film.bought() == 3


def test_takes_are_numbered_and_picked_as_takes_of_one_shot(film: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    wanted(film, 1, 3)
    film.doit()
    capfd.readouterr()
    film.doit("takes")
    said = [line.split()[1:4] for line in capfd.readouterr().out.splitlines()]
    assert said == [["1", "*take", "1"], ["1", "take", "2"], ["1", "take", "3"], ["2", "*take", "1"]]
    assert film.doit("pick", "shot=1", "take=3") == 0
    entry = film.report()["clips"][0]
    assert (entry["success"], entry["take"], entry["kept"]) == (True, 3, False)
    for words in ((), ("takes_wanted=2", "clip:1")):
        before = film.disk()
        assert film.doit(*words) == 0
        assert film.disk() == before
    wanted(film, 1, 1)
    assert film.doit() == 0
    assert (film.report()["clips"][0]["take"], film.bought()) == (3, 4), "fewer wanted: what is there stays"
    assert film.doit("-a", "clip:1") == 0
    assert film.report()["clips"][0]["take"] == 4


def test_shots_of_one_recipe_share_their_takes(studio: Studio) -> None:
    one, other = shots(2)
    studio.write_shots([one | {"takes": 3}, other | {"runway_prompt": one["runway_prompt"], "takes": 2}])
    studio.configure(run={"budget_usd": 9})
    assert plan(studio)["total_usd"] == round(3 * 0.6, 6)
    assert studio.doit() == 0
    assert studio.bought() == 3


def test_a_clip_kept_from_another_prompt_wants_no_further_takes(film: Studio) -> None:
    wanted(film, 1, 2)
    film.doit()
    film.change_shot(1, runway_prompt="something else")
    assert film.doit("keep", "shot=1") == 0
    assert film.doit() == 0
    assert film.bought() == 3


def test_a_take_whose_order_was_lost_counts_as_one_that_may_come(film: Studio) -> None:
    film.write_shots([shots(1)[0] | {"takes": 3}])
    film.configure(run={"fallback_api": "none"})
    film.worsen("create_lost=first:1")
    assert film.doit() == 0, "its clip is made of another take"
    assert sorted(film.states()) == ["accepted", "accepted", "uncertain"]
    film.calm()
    assert film.doit() == 0
    assert sorted(film.states()) == ["accepted", "accepted", "uncertain"]
    assert film.doit("settle", "shot=1", "as=charged") == 0
    assert film.doit() == 0
    assert (accepted(film, 1), film.bought()) == (2, 3)
    assert film.doit("-a", "clip:1") == 0
    assert (accepted(film, 1), film.bought()) == (3, 4)


def test_a_further_take_that_can_not_be_made_is_told_and_the_clip_is_good(
    film: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    film.write_shots([shots(1)[0]])
    film.configure(run={"fallback_api": "none"})
    assert film.doit() == 0
    film.worsen("create_moderation=1")
    assert film.doit("takes_wanted=2") == 0
    assert film.said("take 2 of 2 wanted: runway refused the order")
    assert "clip 001  has 1 of 2 takes wanted; take 2: runway refused the order" in capfd.readouterr().out
    before = film.disk()
    assert film.doit("takes_wanted=2") == 0
    assert {name for name, state in film.disk().items() if before.get(name) != state} <= {".doit.db"}, "it is final"
    film.calm()
    film.change_shot(1, runway_prompt="another boat")
    assert film.doit("takes_wanted=2") == 0
    assert accepted(film, 1) == 3


def test_takes_that_were_in_flight_when_it_was_interrupted_are_collected_before_more_are_bought(film: Studio) -> None:
    wanted(film, 1, 3)
    for k in (45, 75, 95):
        film.crash(k)
        film.pass_time(300)
    assert film.doit("takes_wanted=1") == 0
    assert film.doit() == 0
    assert (accepted(film, 1) + accepted(film, 2), film.creates() - film.states().count("uncertain")) == (4, 4)


def test_with_partial_all_clips_come_before_further_takes(film: Studio) -> None:
    wanted(film, 1, 3)
    assert film.doit("budget_usd=1.8", "partial=yes") == 0
    assert (accepted(film, 1), accepted(film, 2)) == (2, 1)
    assert film.doit("budget_usd=1.8") == 3
    assert film.doit("budget_usd=2.4") == 0
    assert film.bought() == 4


def test_fallback_and_rejections_work_for_each_take_by_itself(film: Studio) -> None:
    film.write_shots([shots(1)[0] | {"takes": 2}])
    film.worsen("runway.clip_480p=first:1", "runway.create_moderation=first:1")
    film.configure(run={"budget_usd": 20})
    assert film.doit() == 0
    assert accepted(film, 1) == 2
    assert film.doit("audit") == 0


@pytest.mark.parametrize("share", [pytest.param(k, marks=[pytest.mark.slow] if k else []) for k in range(12)])
def test_killed_anywhere_it_buys_each_take_once(new_studio: Any, share: int) -> None:
    def filmed(studio: Studio) -> Studio:
        studio.write_shots([shots(1)[0] | {"takes": 3}])
        studio.configure(run={"budget_usd": 9})
        return studio

    points = filmed(new_studio()).crash(float("inf")).seen
    for k in range(1 + share, points + 1, 12):
        studio = filmed(new_studio())
        studio.crash(k)
        studio.pass_time(300)
        assert studio.doit() == 0, k
        states = studio.states()
        assert states.count("accepted") + states.count("uncertain") == 3, (k, states)
        assert studio.creates() <= 3
        before = studio.creates()
        studio.doit()
        assert studio.creates() == before


def test_a_pick_buys_nothing_for_a_shot_that_wants_more_takes(film: Studio) -> None:
    """It has no way to the providers: an order would end in a traceback, and be uncertain from then on."""
    assert film.doit("clip:1") == 0
    assert film.doit("-a", "clip:1") == 0
    before = film.rows()
    wanted(film, 1, 3)
    assert film.doit("pick", "shot=1", "take=1") == 0
    assert film.rows() == before
    film.check_money()
    assert film.doit("clip:1") == 0
    assert film.bought() == 3


def test_a_named_clip_that_is_done_wants_no_further_takes_of_the_clip_it_is_made_from(film: Studio) -> None:
    film.configure(run={"budget_usd": 40})
    film.change_shot(2, image="clip:1")
    assert film.doit() == 0
    wanted(film, 1, 2)
    assert film.doit("clip:2") == 0
    assert (accepted(film, 1), film.bought()) == (1, 2)
    assert film.doit() == 0
    assert (accepted(film, 1), film.bought()) == (2, 3)


def test_a_further_take_that_waits_to_be_judged_comes_home_though_the_first_is_bad(film: Studio) -> None:
    """What is paid is looked at, and the clip is made of it (seed 1005128)."""
    film.write_shots(shots(1))
    film.worsen("runway.clip_small=first:1")
    judge = film.judge

    async def lacks_a_decoder(path: Path, wanted: Wanted) -> Judgement:
        found = await judge(path, wanted)
        return Judgement(verdict=Verdict.NOT_JUDGED, reason="no decoder for av1", facts=found.facts)

    words = ("takes_wanted=2", "max_retries=1", "fallback_api=none")
    film.judge = lacks_a_decoder
    assert film.doit(*words) == 1
    assert film.states() == ["fetched", "fetched"]
    film.judge = judge
    assert film.doit(*words) == 0
    assert film.states() == ["rejected", "accepted"]
    assert (film.report()["clips"][0]["success"], film.bought()) == (True, 2)


def test_a_take_whose_text_another_shot_has_bought_elsewhere_is_not_tried_by_every_run(film: Studio) -> None:
    """Shot 2 has shot 1's text at the fallback, where its takes would go; shot 1 has bought that text already."""
    film.change_shot(1, runway_prompt="a paper boat", pika_prompt="a paper boat")
    film.change_shot(2, runway_prompt="a paper boat", pika_prompt="a raft")
    words = ("takes_wanted=2", "primary_api=pika", "fallback_api=runway", "max_retries=1")
    assert film.doit(*words, "clip:1") == 0
    film.faults("pika.job_failed=~a raft")
    assert film.doit(*words) == 1
    assert film.said("give the shot a seed of its own")
    assert not film.said("stands in the way")
    bought = film.bought()
    assert film.doit(*words) == 1
    assert film.bought() == bought
