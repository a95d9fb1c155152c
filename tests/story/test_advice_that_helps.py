"""Printed commands do what they say, here; each was once printed where it did nothing, or something else."""

import json
import re
import shlex
from decimal import Decimal
from unittest.mock import AsyncMock

import pytest
from fake_clips import fake_clip
from studio import KEYS, Studio, shots

from vgen.errors import NoSuchMoment


def commands(text: str) -> list[list[str]]:
    return [shlex.split(found) for found in re.findall(r"`doit ?([^`]*)`", text)]


EDIT = fake_clip(width=720, height=1280, duration_s=5)


def edit(studio: Studio, number: int) -> None:
    studio.clip(number).unlink()
    studio.clip(number).write_bytes(EDIT)


def test_what_was_typed_stays_where_environment_or_config_says_otherwise(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.environ["VGEN_OUTPUTS"] = "other"
    studio.configure(run={"max_retries": 5})
    assert studio.doit("plan", "outputs=outputs", "max_retries=3", "budget_usd=1", "max_concurrent=5") == 0
    [allows, fits] = commands(capfd.readouterr().out)
    assert set(fits) == {"partial=yes", "outputs=outputs", "max_retries=3", "budget_usd=1"}
    assert {"outputs=outputs", "max_retries=3"} < set(allows)


def test_a_budget_of_play_money_that_is_the_default_stays(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.environ.clear()
    studio.write_shots(shots(5))
    assert studio.doit("budget_usd=2.00") == 3
    said = capfd.readouterr().err
    assert ["partial=yes", "budget_usd=2.00"] in commands(said)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("clip:1 -a outputs=o budget_usd=9", "`doit -a clip:1 outputs=o budget_usd=9`"),
        ("-r console clip:1 clip:2 -a", "`doit -r console -a clip:1 clip:2`"),
        ("-v 2 clip:1 -c", "`doit -v 2 -c clip:1`"),
        ("clip:1 -r jsonl", "`doit -r jsonl clip:1`"),
    ],
)
def test_an_option_after_a_name_is_put_before_it_with_all_that_was_typed(
    studio: Studio, capfd: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    assert studio.doit(*typed.split()) == 3
    assert said in capfd.readouterr().err


def test_programs_hear_of_a_wrong_option_too(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("-r", "jsonl", "--foo") == 3
    event = json.loads(capfd.readouterr().out)
    assert (event["event"], event["code"]) == ("error", "input")
    assert "--foo" in event["text"]


def test_who_only_looks_is_not_told_to_wait(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("clip:1", "wait=yes") == 0
    build, plan = commands(capfd.readouterr().out)[-2:]
    assert (build, plan) == (["wait=yes"], ["plan"])
    assert studio.doit(*plan) == 0


def test_a_plan_of_a_live_film_needs_no_key_and_a_build_does(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.environ.clear()
    assert studio.doit("plan", "mode=live") == 0
    said = capfd.readouterr()
    assert "runway is closed: no key; set RUNWAY_API_KEY" in said.out + said.err
    assert [shot["action"] for shot in json.loads((studio.outputs / "plan.json").read_text())["shots"]] == ["buy"] * 3
    assert studio.doit("takes", "mode=live") == 0
    assert studio.doit("mode=live") == 3
    assert "mode=live: no provider can be used: set RUNWAY_API_KEY" in capfd.readouterr().err
    assert (studio.bought(), studio.rows()) == (0, [])


def test_an_edited_clip_without_a_shot_is_yours_to_delete(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit() == 0
    edit(studio, 1)
    studio.write_shots(shots(3)[1:])
    assert studio.doit("plan") == 0
    assert "keep                clip_001.mp4: its shot has left the list, but it was edited" in capfd.readouterr().out
    assert studio.doit() == 0
    assert studio.clip(1).read_bytes() == EDIT
    studio.clip(1).unlink()
    assert studio.doit("plan") == 0
    assert "clip_001" not in capfd.readouterr().out


@pytest.mark.parametrize("typed", ["--dry-run", "clip:1 -a", "-r jsonl clip:1 -a", "pick --foo", "clean --foo"])
def test_a_key_that_was_typed_for_a_variable_is_never_said_again(
    studio: Studio, capfd: pytest.CaptureFixture[str], typed: str
) -> None:
    assert studio.doit(*typed.split(), f"FAL_KEY={KEYS['FAL_KEY']}") == 3
    assert KEYS["FAL_KEY"] not in "".join(capfd.readouterr())


def test_a_draft_that_only_a_provider_without_a_key_makes_is_planned_and_refused_with_the_reason(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    """Once: `outputs holds clips that were bought for real money`, of outputs that hold none."""
    del studio.environ["FAL_KEY"]
    studio.configure(runway={"model": "veo3.1"}, pika={"draft": {"model": "fal-ai/pika/v2.2/text-to-video"}})
    studio.write_shots(shots(1, duration=4))
    assert studio.doit("plan", "tier=draft") == 0
    assert studio.doit("tier=draft") == 3
    said = capfd.readouterr().err
    assert "no provider can be used: runway makes no drafts" in said
    assert "pika is closed: no key; set FAL_KEY or PIKA_API_KEY" in said


def test_a_moment_that_the_take_may_not_reach_is_told_by_the_plan_and_still_counted(
    studio: Studio, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger knows how long its pictures last; its sound may last longer, and then the run buys."""
    studio.write_shots(shots(1))
    assert studio.doit() == studio.doit("lock", "shot=1") == 0
    longer = [shots(1)[0] | {"duration": 10}, shots(2)[1] | {"image": "clip:1@7"}]
    studio.write_shots(longer)
    assert studio.doit("plan") == 0
    said = capfd.readouterr().out
    assert "no clip yet; image: the take of clip 1 lasts 5 s, so it may show nothing at 7 s" in said
    assert "total $0.60" in said
    found = AsyncMock(side_effect=NoSuchMoment(at_s=Decimal(7), length_s=5.0))
    monkeypatch.setattr("studio.fake_frame", found)
    assert studio.doit("clip:2") == 1
    said = capfd.readouterr().out
    assert "there is no picture at 7" in said
    assert "change the shot, then `doit clip:2`" in said
    assert "buys it" not in said
    assert (studio.bought(), studio.booked()) == (1, (0.6, 0, 0))


@pytest.mark.slow
def test_who_waits_for_an_edited_clip_is_told_what_helps_that_one(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    studio.configure(run={"budget_usd": 20})
    chain = [shots(3)[0], shots(3)[1] | {"image": "clip:1"}, shots(3)[2] | {"image": "clip:2"}]
    studio.write_shots(chain)
    assert studio.doit() == 0
    edit(studio, 1)
    studio.change_shot(1, runway_prompt="one more")
    assert studio.doit("keep", "shot=2") == 3
    assert ["keep", "shot=1"] in commands(capfd.readouterr().err)
    assert studio.doit("clip:3") == 1
    said = capfd.readouterr().out
    assert ["keep", "shot=1"] in commands(said)
    assert "0 of 1 named clips, 0 of 3 in all" in said
    assert studio.doit("keep", "shot=1") == 0
    assert studio.doit() == 0
    assert studio.successes() == [True, True, True]


@pytest.mark.slow
def test_audit_of_a_ledger_that_was_made_again_asks_for_no_report(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit() == 0
    (studio.outputs / "ledger.db").unlink()
    studio.pass_time(60)
    assert studio.doit("recover") == 0
    capfd.readouterr()
    assert studio.doit("audit") == 0
    assert capfd.readouterr().out == "all figures add up\n"
