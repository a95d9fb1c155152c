"""Drafts (contract 13): bought at a provider's draft settings, looked at, and never taken for finals."""

import json
from pathlib import Path
from typing import Any

import pytest
from studio import Studio, shots

from vgen.media.judge import Judgement, Verdict, Wanted


@pytest.fixture
def film(studio: Studio) -> Studio:
    """Three shots; Runway makes drafts with another model, and nobody else is asked."""
    studio.configure(
        run={"budget_usd": 20, "fallback_api": "none"}, runway={"model": "veo3.1", "draft": {"model": "veo3.1_fast"}}
    )
    studio.write_shots(shots(3, duration=4))
    return studio


def models(studio: Studio) -> list[str]:
    return [row["model"] for row in studio.rows()]


def tiers(studio: Studio) -> list[str | None]:
    return [entry.get("tier", "final") if entry["success"] else None for entry in studio.clips()]


@pytest.mark.slow
def test_drafts_are_looked_at_and_finals_are_bought_after(film: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert film.doit("tier=draft") == 0
    assert (models(film), tiers(film)) == (["veo3.1_fast"] * 3, ["draft"] * 3)
    assert "draft</span>" in (film.outputs / "gallery.html").read_text("utf-8")
    before = film.disk()
    assert film.doit("tier=draft") == 0
    assert film.disk() == before
    assert film.doit("clip:1", "clip:3") == 0
    assert (models(film)[3:], tiers(film)) == (["veo3.1"] * 2, ["final", None, "final"])
    capfd.readouterr()
    assert film.doit("plan") == 0
    assert "the clip in place is a draft" in capfd.readouterr().out
    assert film.doit("tier=draft") == 0
    assert (film.bought(), tiers(film)) == (5, ["final", "draft", "final"]), "no draft where there is a final"
    assert film.doit() == 0
    assert (film.bought(), tiers(film)) == (6, ["final"] * 3)
    assert film.doit("tier=draft") == 0
    assert (film.bought(), tiers(film)) == (6, ["final"] * 3)
    assert film.doit("audit") == 0


@pytest.mark.slow
def test_the_plan_has_the_drafts_prices(film: Studio) -> None:
    def total(*words: str) -> float:
        assert film.doit("plan", *words) == 0
        return float(json.loads((film.outputs / "plan.json").read_text("utf-8"))["total_usd"])

    assert 0 < total("tier=draft") < total("tier=final")
    assert film.doit("tier=draft", "plan=outputs/plan.json") == 3, "a plan of finals is no plan of drafts"


@pytest.mark.slow
def test_an_edited_shot_gets_a_draft_of_the_new_prompt(film: Studio) -> None:
    assert film.doit() == 0
    film.change_shot(2, runway_prompt="another boat")
    assert film.doit("tier=draft") == 0
    assert (film.bought(), tiers(film), film.shown_clip(2)) == (4, ["final", "draft", "final"], "another boat")
    film.change_shot(2, runway_prompt=shots(3)[1]["runway_prompt"])
    assert film.doit("tier=draft") == 0
    assert (film.bought(), tiers(film)) == (4, ["final"] * 3), "the final comes back, free"


@pytest.mark.slow
def test_a_new_draft_is_bought_with_a_and_never_beside_a_final(film: Studio) -> None:
    assert film.doit("tier=draft", "clip:1") == 0
    assert film.doit("-a", "tier=draft", "clip:1") == 0
    assert models(film) == ["veo3.1_fast"] * 2
    assert film.doit("clip:1") == 0
    shown = film.clip(1).read_bytes()
    assert film.doit("-a", "tier=draft", "clip:1") == 1
    assert film.said("its final is here, so no draft of it is bought; leave tier=draft out for a new take of it")
    assert not film.said("tries again")
    assert not film.rows("SELECT * FROM retakes"), "an -a that can't be done is not remembered"
    assert (film.bought(), film.clip(1).read_bytes()) == (3, shown)


def test_a_final_in_flight_is_collected_and_no_draft_is_bought_beside_it(film: Studio) -> None:
    film.write_shots(shots(1, duration=4))
    film.faults("job_slow=1")
    assert film.doit("clip_timeout_s=20") == 1
    film.pass_time(3000)
    assert film.doit("tier=draft") == 0
    assert (film.bought(), tiers(film)) == (1, ["final"])


@pytest.mark.slow
def test_a_draft_can_be_kept_as_the_clip_by_the_users_word(film: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert film.doit("tier=draft") == 0
    capfd.readouterr()
    assert film.doit("takes") == 0
    assert "ok; draft" in capfd.readouterr().out.splitlines()[0]
    assert film.doit("keep", "shot=2") == 0
    assert "even though it is a draft" in capfd.readouterr().out
    assert film.doit() == 0
    assert (film.bought(), tiers(film)) == (5, ["final", "draft", "final"])


@pytest.mark.slow
def test_takes_wanted_may_be_drafts(film: Studio) -> None:
    assert film.doit("tier=draft", "takes_wanted=2") == 0
    assert film.bought() == 6
    assert film.doit("clip:1") == 0
    assert film.doit("tier=draft", "takes_wanted=3") == 0
    assert film.bought() == 9, "two more drafts, and none of the shot that has its final"
    assert film.doit("takes_wanted=2", "clip:1") == 0
    assert models(film).count("veo3.1") == 2


@pytest.mark.slow
def test_a_provider_without_draft_settings_makes_none(film: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    film.configure(run={"fallback_api": "pika"})
    film.worsen("runway.create_moderation=~shot-2")
    film.doit("tier=draft")
    assert {row["provider"] for row in film.rows()} == {"runway"}
    assert 'pika makes no drafts: its section in config/api_config.json has no "draft"' in capfd.readouterr().out
    film.configure(runway={"draft": None})
    assert film.doit("tier=draft") == 3
    assert 'no draft settings; add "draft": {"model": …} to section runway or pika' in capfd.readouterr().err


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        ({"modle": "veo3.1_fast"}, "runway.draft.modle: unknown (did you mean model?)"),
        ({"resolutoin": "720p"}, "runway.draft.resolutoin: unknown; did you mean resolution?"),
        ({"durations": "4"}, "runway.draft.durations: give a list"),
        ({"api_key": "key_0123456789"}, "runway.draft.api_key: keys don't belong in this file"),
        ({"base_url": "https://api.dev.runwayml.com"}, "runway.draft.base_url: a draft is bought at the same provider"),
        ({"max_retries": 0}, "runway.draft.max_retries: 0: must be at least 1"),
        ("veo3.1_fast", "runway.draft: veo3.1_fast: give an object"),
    ],
    ids=str,
)
@pytest.mark.parametrize("tier", ["draft", "final"])
def test_a_bad_draft_section_is_told_in_either_tier(
    studio: Studio, draft: Any, words: str, tier: str, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.configure(runway={"draft": draft})
    assert studio.doit(f"tier={tier}") == 3
    assert words in capfd.readouterr().err
    assert studio.bought() == 0


def test_another_tier_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("tier=drafts") == 3
    assert "tier=drafts: choose final or draft (did you mean draft?)" in capfd.readouterr().err


@pytest.mark.slow
def test_an_interrupted_film_of_drafts_and_finals_buys_each_once(film: Studio) -> None:
    for k in (20, 41, 60, 85):
        film.crash(k, "tier=draft")
        film.pass_time(400)
        film.crash(k, "clip:1")
        film.pass_time(400)
    film.doit("tier=draft")
    film.doit()
    found = models(film)
    assert (found.count("veo3.1"), film.creates()) == (3, len(found) - film.states().count("released"))
    assert tiers(film) in (["final"] * 3, [None, "final", "final"])


@pytest.mark.slow
def test_no_draft_is_bought_while_a_further_take_of_the_final_is_on_its_way(film: Studio) -> None:
    """Nothing here can look at two takes of the final; later the first turns out to be bad, and the second is good."""
    film.write_shots(shots(1, duration=4))
    film.worsen("clip_small=first:1")
    judge = film.judge

    async def lacks_a_decoder(path: Path, wanted: Wanted) -> Judgement:
        found = await judge(path, wanted)
        return Judgement(verdict=Verdict.NOT_JUDGED, reason="no decoder for av1", facts=found.facts)

    film.judge = lacks_a_decoder
    assert film.doit("takes_wanted=2", "max_retries=1") == 1
    assert film.doit("takes_wanted=2", "max_retries=1", "tier=draft") == 1
    film.judge = judge
    assert film.doit("takes_wanted=2", "max_retries=1", "tier=draft") == 0
    assert (models(film), tiers(film)) == (["veo3.1"] * 2, ["final"])
    assert film.states() == ["rejected", "accepted"]
    film.check_money()
