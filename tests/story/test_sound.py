"""Sound is ordered where the model makes it, at that price, and only if it is wanted."""

import json
from pathlib import Path
from typing import Any

import own_apis
import pytest
from studio import Studio
from studio import shots as plain

USD = {
    "runway veo3.1": 1.6,  # 0.8 without
    "runway kling3.0_pro": 0.68,
    "runway seedance2_5": 1.2,  # the same
    "pika fal-ai/kling-video/v3/standard/text-to-video": 0.504,
    "pika fal-ai/veo3.1": 1.6,
    "pika fal-ai/vidu/q3/text-to-video": 0.616,  # the page has one price, and sound is its default
}
"""Of a shot of 4 s with sound: section, model."""


def shots(n: int, *, duration: float = 5, **more: Any) -> list[dict[str, Any]]:
    return [{**one, **more} for one in plain(n, duration=duration)]


def buy(studio: Studio, section: str, *more: str) -> None:
    run = (f"primary_api={section}", "fallback_api=none", "budget_usd=99", *more)
    assert studio.doit("plan", *run) == 0
    planned = json.loads((studio.outputs / "plan.json").read_text("utf-8"))["total_usd"]
    before = studio.charged()
    assert studio.doit(*run) == 0
    charged = studio.charged() - before
    assert charged <= planned <= charged * 1.01  # by tokens: the most that a clip can have
    assert studio.booked()[0] == studio.charged()


@pytest.mark.slow
@pytest.mark.parametrize("wish", USD)
def test_sound_is_ordered_at_its_price(studio: Studio, wish: str) -> None:
    section, model = wish.split()
    studio.configure(**{section: {"model": model}})
    studio.write_shots(shots(1, duration=4, audio=True))
    buy(studio, section)
    assert studio.charged() == pytest.approx(USD[wish])
    (job,) = studio.cloud.all_jobs("runway" if section == "runway" else "fal")
    assert job.order.audio


USD_OF_VENDORS = {"kling": 0.63, "pika": 0.505, "ark": None, "minimax": None}


@pytest.mark.slow
@pytest.mark.parametrize("name", own_apis.SECTIONS)
def test_sound_is_ordered_from_the_vendors_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    studio = own_apis.production(tmp_path, monkeypatch, shots(1, duration=5))
    buy(studio, name, "audio=yes")
    (job,) = studio.cloud.all_jobs(name)
    assert job.order.audio
    if (usd := USD_OF_VENDORS[name]) is not None:
        assert studio.charged() == pytest.approx(usd)
    assert "takes no audio" not in capfd.readouterr().out


@pytest.mark.slow
def test_the_shot_goes_before_the_run_and_only_a_yes_is_in_the_recipe(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.configure(runway={"model": "veo3.1"})
    studio.write_shots([{**one, "audio": audio} for one, audio in zip(shots(3), ("no", "yes", None), strict=True)])
    assert studio.doit("budget_usd=99", "fallback_api=none", "audio=yes") == 0
    wanted = {row["shot_number"]: dict(json.loads(row["manifest"])).get("audio") for row in studio.rows()}
    assert wanted == {1: None, 2: "yes", 3: "yes"}
    bought = studio.bought()
    assert studio.doit("plan", "budget_usd=99", "fallback_api=none") == 0
    assert "audio: 'yes' → none" in capfd.readouterr().out
    assert studio.doit("budget_usd=99", "fallback_api=none", "audio=yes") == 0
    assert studio.bought() == bought


def test_a_model_without_sound_is_told_once(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots(shots(2, audio="yes"))
    assert studio.doit("plan", "fallback_api=none") == 0
    assert capfd.readouterr().out.count("runway: gen4.5 takes no audio; left out of shots 1-2") == 1


def test_a_resolution_that_has_no_sound_is_refused_before_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    studio = own_apis.production(tmp_path, monkeypatch, shots(1, duration=5, audio="yes"))
    studio.configure(kling={"model": "kling-2.6", "resolution": "720p"})
    assert studio.doit("primary_api=kling", "fallback_api=none", "budget_usd=99") == 3
    said = capfd.readouterr().err
    assert "kling-2.6 makes sound at 1080p only, not at 720p" in said
    assert studio.bought() == 0


def test_a_price_with_sound_that_nobody_told_is_no_price(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.configure(pika={"model": "fal-ai/vidu/q2/image-to-video/pro"})
    studio.write_shots(shots(1, audio="yes", image="https://example.com/boat.png"))
    assert studio.doit("primary_api=pika", "fallback_api=none", "budget_usd=99") == 3
    said = capfd.readouterr().err
    assert "no price known for fal-ai/vidu/q2/image-to-video/pro at 720p with sound" in said
    assert studio.bought() == 0


@pytest.mark.slow
@pytest.mark.parametrize("value", ["maybe", 1, [], "11"])
def test_anything_but_yes_and_no_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str], value: object) -> None:
    studio.write_shots(shots(1, audio=value))
    assert studio.doit() == 3
    said = capfd.readouterr().err
    assert "audio: " in said
    assert "is not yes or no" in said
