"""What vgen writes is what docs/schema says: runs that go well, badly and not at all, held against the schemas."""

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from fake_clips import fake_clip
from jsonschema import Draft202012Validator, ValidationError
from studio import Studio, shots

from scripts.manual.pages import ROOT
from vgen.plan.decision import Action
from vgen.store.records import Budget
from vgen.views import progress, screens
from vgen.views.report import REPORT_VERSION

pytestmark = pytest.mark.slow

NAMES = ("clips", "production_report", "plan", "event")


def schema(name: str) -> Draft202012Validator:
    value = json.loads((ROOT / "docs" / "schema" / f"{name}.schema.json").read_text("utf-8"))
    return Draft202012Validator(value)


def good(studio: Studio) -> None:
    studio.doit()


def failed(studio: Studio) -> None:
    studio.faults("create_moderation=~shot-2", "clip_480p=~shot-3")
    studio.doit()


def held(studio: Studio) -> None:
    studio.faults("runway.create_lost=~shot-1")
    studio.doit()


def still_running(studio: Studio) -> None:
    studio.faults("job_stuck=~shot-1")
    studio.doit("clip_timeout_s=20")


def edited(studio: Studio) -> None:
    studio.doit()
    studio.clip(2).write_bytes(fake_clip(width=720, height=1280, duration_s=5))
    studio.doit()


def damaged_by_hand(studio: Studio) -> None:
    studio.doit()
    studio.clip(2).write_bytes(b"no video any more")
    studio.doit("-s", "report")


def kept(studio: Studio) -> None:
    studio.doit()
    studio.change_shot(1, runway_prompt="another boat")
    studio.doit("keep", "shot=1")


def over_budget(studio: Studio) -> None:
    studio.doit("budget_usd=0.7", "partial=yes")


def no_shots(studio: Studio) -> None:
    studio.write_shots([])
    studio.doit()


def impossible(studio: Studio) -> None:
    studio.write_shots([*shots(2), {"shot_number": 3, "duration": 60, "prompt": "too long for anybody"}])
    studio.doit("-s", "report")


def shared(studio: Studio) -> None:
    one, two = shots(2)
    studio.write_shots([one, two | {"runway_prompt": one["runway_prompt"]}])
    studio.doit("-s", "report")


def drafted(studio: Studio) -> None:
    studio.configure(runway={"draft": {"max_retries": 2}})
    studio.doit("tier=draft")


def wanting_takes(studio: Studio) -> None:
    studio.change_shot(2, takes=2)
    studio.doit("budget_usd=1.8", "partial=yes")


def locked(studio: Studio) -> None:
    good(studio)
    studio.doit("lock", "shot=2")
    studio.doit("note", "shot=2", "text=slower")
    studio.doit("note", "shot=1", "text=more rain")


STORIES = (good, failed, held, still_running, edited, damaged_by_hand, kept, over_budget, no_shots, impossible, shared,
           wanting_takes, drafted, locked)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(dict(schema(name).schema))


@pytest.mark.parametrize("live", [pytest.param(True, marks=pytest.mark.slow), False], ids=["live", "simulated"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_what_a_run_writes_is_as_its_schema_says(story: Any, live: bool, tmp_path: Path) -> None:
    studio = Studio(tmp_path / "project", live=live)
    studio.doit("plan")
    written = [("plan", json.loads((studio.outputs / "plan.json").read_text("utf-8")))]
    story(studio)
    studio.doit("plan")
    written.append(("plan", json.loads((studio.outputs / "plan.json").read_text("utf-8"))))
    if (studio.outputs / "clips.json").exists():
        written += [("clips", studio.clips()), ("production_report", studio.report())]
    if (studio.outputs / "vgen.log").exists():
        lines = (studio.outputs / "vgen.log").read_text("utf-8").splitlines()
        written += [("event", json.loads(line)) for line in lines]
    for name, value in written:
        schema(name).validate(value)


def test_json_lines_are_as_their_schema_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studio = Studio(tmp_path / "project")
    studio.faults("create_429=first:2", "job_failed=first:1", "media_cut=first:2")
    studio.doit("-r", "jsonl", "budget_usd=9")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"submit", "refused", "job_failed", "download_retry", "ready", "summary"} <= {line["event"] for line in told}
    for line in told:
        schema("event").validate(line)


def test_a_heartbeat_is_as_its_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    shot = progress.Shot(number=3, text="rendering at runway", state_s=4, work_s=9)
    now = progress.Progress(
        total=4,
        done=1,
        failed=1,
        in_flight=[shot],
        budget=Budget(cap=None, spent=600_000, reserved=600_000, uncertain=0),
        simulated=True,
        typical_s=None,
        max_concurrent=5,
    )

    async def watch() -> None:
        with trio.move_on_after(25):
            await screens.JsonLines(lambda: {"at": 1.5, "run": "r"}).watch(lambda: now)

    trio.run(watch, clock=trio.testing.MockClock(autojump_threshold=0))
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in told] == ["heartbeat"] * 2
    for line in told:
        schema("event").validate(line)


def test_the_schemas_are_strict(tmp_path: Path) -> None:
    """A key that is missing, unknown or of another type is refused, at the top and in a clip."""
    studio = Studio(tmp_path / "project")
    studio.doit()
    report = studio.report()
    spoilt: list[dict[str, Any]] = [report | {"more": 1}, report | {"total_clips": "3"}]
    spoilt += [{key: value for key, value in report.items() if key != gone} for gone in report]
    first, *others = report["clips"]
    for entry in (first | {"more": 1}, first | {"clip_path": None}, first | {"sha256": "?"}):
        spoilt.append(report | {"clips": [entry, *others]})
    for value in spoilt:
        with pytest.raises(ValidationError):
            schema("production_report").validate(value)


def test_the_schemas_know_every_action_and_version() -> None:
    shot = schema("plan").schema["properties"]["shots"]["items"]
    assert set(shot["properties"]["action"]["enum"]) == {act.value for act in Action}
    assert schema("production_report").schema["properties"]["report_version"] == {"const": REPORT_VERSION}


def test_plan_takes_and_refusals_are_data_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    studio = Studio(tmp_path / "project")
    studio.doit("-r", "jsonl", "budget_usd=0.1")
    studio.doit("budget_usd=9")
    capsys.readouterr()
    for words in (("plan",), ("takes",)):
        studio.doit("-r", "jsonl", *words)
    studio.doit("-r", "jsonl", "clip:77")
    studio.doit("-r", "jsonl", "budget_usd=no")
    studio.change_shot(1, runway_prompt="another boat")
    studio.doit("-r", "jsonl", "budget_usd=0.1")
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line in told:
        schema("event").validate(line)
    found = {line["event"]: line for line in told}
    schema("plan").validate(found["plan"]["plan"])
    assert [take["in_place"] for take in found["takes"]["takes"]] == [True] * len(studio.read_shots())
    assert [line["code"] for line in told if line["event"] == "error"] == ["input", "input", "over_budget"]
