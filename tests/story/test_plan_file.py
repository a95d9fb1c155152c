"""`doit plan=FILE` works exactly the plan that was agreed on, or refuses."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from studio import Studio, shots

FILE = "plan=outputs/plan.json"


@pytest.fixture
def planned(studio: Studio) -> Studio:
    """Three shots, none made, and a plan of them that was agreed on."""
    studio.write_shots(shots(3))
    assert studio.doit("plan") == 0
    return studio


def refused(studio: Studio, capfd: pytest.CaptureFixture[str], *args: str) -> str:
    capfd.readouterr()
    bought = studio.bought()
    assert studio.doit(*(args or (FILE,))) == 3
    assert studio.bought() == bought
    return capfd.readouterr().err


def test_the_plan_that_was_agreed_on_is_worked(planned: Studio) -> None:
    agreed = json.loads((planned.outputs / "plan.json").read_text("utf-8"))
    assert planned.doit(FILE) == 0
    assert planned.booked()[0] == agreed["total_usd"] == 1.8
    assert planned.doit(FILE) == 0, "it is done; nothing is left of it"
    assert planned.bought() == 3


def test_what_is_left_of_a_plan_may_be_worked(planned: Studio) -> None:
    assert planned.doit(FILE, "clip:2") == 0
    assert planned.bought() == 1
    assert planned.doit(FILE) == 0
    assert planned.bought() == 3


def test_a_changed_prompt_is_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    planned.change_shot(2, runway_prompt="something else")
    assert "shot 2: its prompt has changed since then" in refused(planned, capfd)


@pytest.mark.slow
def test_a_prompt_that_changed_after_its_clip_was_made_is_refused(
    planned: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    planned.doit(FILE)
    planned.change_shot(2, runway_prompt="something else")
    assert "shot 2: its prompt has changed since then" in refused(planned, capfd)


def test_another_transition_is_no_drift(planned: Studio) -> None:
    planned.change_shot(2, transition="dissolve")
    assert planned.doit(FILE) == 0


def test_new_and_departed_shots_are_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    planned.write_shots(shots(4)[1:])
    said = refused(planned, capfd)
    assert "shot 4 is new since then" in said
    assert "shot 1 has left the list" in said


def test_another_price_or_model_is_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    planned.configure(runway={"cost_per_second_usd": 0.13})
    assert "shot 1: its price was $0.60 and is $0.65 now" in refused(planned, capfd)
    planned.configure(runway={"cost_per_second_usd": 0.12, "model": "veo3.1_fast"})
    assert "shot 1: the plan says gen4.5 at runway, now it is veo3.1_fast at runway" in refused(planned, capfd)


def test_another_provider_is_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    said = refused(planned, capfd, FILE, "primary_api=pika", "fallback_api=none")
    assert "shot 1: the plan says gen4.5 at runway, now it is" in said


def test_another_budget_is_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert "the budget was $2.00 and is $9.00 now" in refused(planned, capfd, FILE, "budget_usd=9")


def test_money_that_went_elsewhere_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.write_shots(shots(3))
    studio.doit("plan")
    agreed = (studio.outputs / "plan.json").read_bytes()
    assert studio.doit("-a", "clip:1") == 0
    assert studio.doit(FILE, "clip:1") == 0, "the first take was part of the plan"
    assert studio.doit("-a", "clip:1") == 0
    (studio.outputs / "plan.json").write_bytes(agreed)
    assert "$0.60 of the budget was spent elsewhere since then" in refused(studio, capfd)


def test_a_new_take_is_not_part_of_a_plan(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    planned.doit(FILE)
    assert "shot 1: the plan says keep, now it is buy" in refused_after_plan(planned, capfd)


def refused_after_plan(studio: Studio, capfd: pytest.CaptureFixture[str]) -> str:
    studio.configure(run={"budget_usd": 9})
    studio.doit("plan")
    return refused(studio, capfd, FILE, "-a", "clip:1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "is not JSON"),
        ("[]", "is not a plan made by vgen"),
        ('{"plan_version": 99, "shots": []}', "plan_version is 99"),
        ('{"plan_version": 1, "shots": [1]}', "is not a plan made by vgen"),
        ('{"plan_version": 1, "simulated": false, "shots": []}', "is not a plan made by vgen"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(
    planned: Studio, capfd: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    Path(planned.outputs / "plan.json").write_text(text, "utf-8")
    assert words in refused(planned, capfd)


@pytest.mark.slow
def test_a_missing_plan_is_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert "other.json: can't be read" in refused(planned, capfd, "plan=other.json")


def test_a_plan_belongs_to_a_build(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert "plan: belongs to a build" in refused(planned, capfd, "plan", FILE)


def test_other_retries_or_another_fallback_are_refused(planned: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert planned.doit("plan", "fallback_api=none", "max_retries=1") == 0
    said = refused(planned, capfd)
    assert "shot 1: the plan has other retries or another fallback (at worst $0.60, now $2.40)" in said


def test_what_the_plan_did_not_hold_is_not_bought_later(studio: Studio) -> None:
    """A job that was to be collected fails: another one was not agreed on."""
    studio.new_cloud(faults=["runway.job_stuck=1"])
    studio.write_shots(shots(1))
    studio.doit("clip_timeout_s=60", "fallback_api=none")
    assert studio.states() == ["rendering"]
    assert studio.doit("plan", "fallback_api=none") == 0
    for job in studio.cloud._jobs.values():
        studio.cloud._jobs[job.id] = replace(job, faults=frozenset({"job_failed"}), ended_at=studio.now())
    assert studio.doit(FILE, "fallback_api=none") == 1
    assert studio.states() == ["failed"]
    assert studio.bought() == 1
    assert "the approved plan does not include it" in str(studio.errors()[0])


@pytest.mark.parametrize("value", ["1e999", "NaN", "-1e999"])
def test_figures_that_are_none_are_refused(planned: Studio, capfd: pytest.CaptureFixture[str], value: str) -> None:
    plan = planned.outputs / "plan.json"
    for key in ("price_usd", "left_usd"):
        text = re.sub(rf'"{key}": [0-9.]+', f'"{key}": {value}', plan.read_text("utf-8"))
        (planned.outputs / "other.json").write_text(text, "utf-8")
        assert "Traceback" not in refused(planned, capfd, "plan=outputs/other.json")
