"""What a run says at its end, beside what is true."""

import json
from pathlib import Path

import pytest
from studio import Studio, shots

SEVEN = ["shot_number", "clip_path", "success", "api_used", "cost_usd", "generation_time_s", "error"]
PER_CLIP = {
    "prompt_hash",
    "take",
    "model",
    "job_id",
    "attempts",
    "width",
    "height",
    "duration_s",
    "fps",
    "codec",
    "has_audio",
    "size_bytes",
    "sha256",
    "simulated",
}
WHOLE = {
    "total_clips",
    "successful_clips",
    "failed_clips",
    "success_rate",
    "total_cost_usd",
    "total_time_s",
    "clips",
    "report_version",
    "simulated",
    "run",
    "budget",
    "gates",
}


def gates(studio: Studio) -> dict[str, bool]:
    return {gate["name"]: gate["passed"] for gate in studio.report()["gates"]}


def test_clips_json_begins_with_the_seven_keys_in_order(studio: Studio) -> None:
    studio.faults("create_moderation=~shot-2")
    studio.doit()
    for entry in studio.clips():
        assert list(entry)[:7] == SEVEN
    good, bad, _ = studio.clips()
    assert good["clip_path"] == "outputs/clips/clip_001.mp4"
    assert (bad["clip_path"], bad["success"], bad["cost_usd"], bad["api_used"]) == (None, False, 0, "pika")
    assert bad["error"]


def test_the_report_has_all_its_keys(studio: Studio) -> None:
    studio.doit()
    report = studio.report()
    assert report.keys() >= WHOLE
    for entry in report["clips"]:
        assert entry.keys() >= PER_CLIP
    assert report["run"].keys() >= {
        "id",
        "started_at",
        "finished_at",
        "wall_time_s",
        "generated",
        "reused",
        "resumed",
    }
    assert report["budget"].keys() >= {
        "cap_usd",
        "spent_usd",
        "reserved_usd",
        "uncertain_usd",
        "remaining_usd",
    }
    for gate in report["gates"]:
        assert gate.keys() >= {"name", "passed", "value", "threshold"}


@pytest.mark.slow
def test_every_figure_is_the_truth(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.faults("clip_480p=first:1~shot-1", "runway.job_moderated=~shot-2")
    assert studio.doit() == 0
    report = studio.report()
    assert report["total_clips"] == 3
    assert report["successful_clips"] == 3
    assert report["failed_clips"] == 0
    assert report["success_rate"] == 1
    assert report["total_cost_usd"] == 1.4
    assert report["budget"]["spent_usd"] == studio.charged() == 2.6
    assert report["budget"]["remaining_usd"] == 6.4
    assert report["total_time_s"] == pytest.approx(sum(entry["generation_time_s"] for entry in report["clips"]))
    jobs = {job["id"]: job for job in studio.jobs()}
    for entry in report["clips"]:
        assert jobs[entry["job_id"]]["charged_usd"] == entry["cost_usd"]
        assert jobs[entry["job_id"]]["model"] == entry["model"]
        clip = studio.root / entry["clip_path"]
        assert clip.stat().st_size == entry["size_bytes"]
        assert min(entry["width"], entry["height"]) == 720
    assert [entry["attempts"] for entry in report["clips"]] == [2, 2, 1]
    assert [entry["take"] for entry in report["clips"]] == [2, 1, 1]


@pytest.mark.slow
def test_a_failed_shot_costs_what_its_attempts_cost(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.faults("clip_480p=~shot-2")
    studio.doit("max_retries=2")
    entry = studio.clips()[1]
    assert entry["cost_usd"] == 1.6
    assert studio.report()["total_cost_usd"] == 1.2
    assert studio.report()["budget"]["spent_usd"] == studio.charged() == 2.8


def test_times_are_virtual_and_in_order(studio: Studio) -> None:
    studio.doit()
    run = studio.report()["run"]
    assert run["started_at"] < run["finished_at"]
    assert 12 <= run["wall_time_s"] <= 40


def test_absolute_paths_can_be_had(studio: Studio) -> None:
    studio.doit("clip_paths=absolute")
    for entry in studio.clips():
        assert Path(entry["clip_path"]).is_absolute()
        assert Path(entry["clip_path"]).is_file()
    for entry in studio.report()["clips"]:
        assert Path(entry["clip_path"]).is_file()


@pytest.mark.slow
def test_the_run_counts_what_it_made_and_what_it_found(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.doit("clip:1")
    studio.faults("job_stuck=~shot-2")
    studio.doit()
    run = studio.report()["run"]
    assert (run["generated"], run["reused"], run["resumed"]) == (1, 1, 0)
    studio.calm()
    studio.heal_jobs()
    studio.doit()
    run = studio.report()["run"]
    assert (run["generated"], run["reused"], run["resumed"]) == (0, 2, 1)


def test_a_report_that_would_say_the_same_is_not_written_again(studio: Studio) -> None:
    studio.doit()
    before = studio.disk()["outputs/production_report.json"]
    studio.clip(2).unlink()
    studio.doit()
    assert studio.disk()["outputs/production_report.json"] == before


def test_a_lost_report_is_written_again_free(studio: Studio) -> None:
    studio.doit()
    told = studio.clips()
    (studio.outputs / "clips.json").unlink()
    (studio.outputs / "production_report.json").write_text("{")
    asked = studio.requests()
    assert studio.doit() == 0
    assert studio.clips() == told
    assert studio.requests() == asked


def test_single_report_only_writes_what_is_on_disk(studio: Studio) -> None:
    studio.doit("clip:1")
    assert studio.doit("-s", "report") == 1
    assert studio.bought() == 1
    assert studio.successes() == [True, False, False]
    assert all(studio.errors()[1:])


def test_a_report_without_anything_made_says_so(studio: Studio) -> None:
    assert studio.doit("-s", "report") == 1
    assert studio.creates() == 0
    assert studio.successes() == [False, False, False]
    assert studio.report()["total_cost_usd"] == 0


# ── gates and exit codes ──────────────────────────────────────────────────────────────────────────────────


def test_no_shots_at_all_fail_the_gate_and_are_reported(studio: Studio) -> None:
    studio.write_shots([])
    for _ in range(2):
        assert studio.doit() == 1
        assert studio.clips() == []
        assert studio.report()["success_rate"] == 0
        assert gates(studio)["success_rate"] is False
    assert studio.creates() == 0


@pytest.mark.slow
def test_all_clips_failed_is_reported(studio: Studio) -> None:
    studio.faults("create_moderation=1.0")
    for _ in range(2):
        assert studio.doit() == 1
    assert studio.successes() == [False, False, False]
    assert studio.report()["total_cost_usd"] == 0
    assert studio.report()["budget"]["spent_usd"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("count", "code"), [(5, 0), (4, 1)])
def test_four_of_five_pass_and_three_of_four_do_not(studio: Studio, count: int, code: int) -> None:
    studio.write_shots(shots(count))
    studio.configure(run={"budget_usd": 9})
    studio.faults("create_moderation=~shot-2")
    for _ in range(3):
        assert studio.doit() == code
    assert gates(studio)["success_rate"] is (code == 0)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "code"), [("0", 0), ("0.66", 0), ("0.67", 1), ("1", 1)])
def test_the_rate_can_be_set(studio: Studio, rate: str, code: int) -> None:
    studio.faults("create_moderation=~shot-2")
    assert studio.doit(f"min_success_rate={rate}") == code


@pytest.mark.slow
def test_a_named_clip_counts_and_not_the_gate(studio: Studio) -> None:
    assert studio.doit("clip:1") == 0
    assert studio.successes() == [True, False, False]
    assert gates(studio)["success_rate"] is False
    assert studio.doit("clip:1", "clip:2") == 0
    studio.faults("create_moderation=~shot-3")
    assert studio.doit("clip:3") == 1
    assert studio.doit("clip:3", "report", "min_success_rate=0") == 1


@pytest.mark.slow
def test_prompts_with_markup_and_other_scripts_are_told_as_they_are(studio: Studio) -> None:
    prompt = 'shot-1 %s {} "ok" <b>łódź</b> 🛶 שלום'
    studio.change_shot(1, runway_prompt=prompt)
    assert studio.doit() == 0
    assert studio.shown_clip(1) == prompt
    assert studio.doit() == 0
    assert studio.bought() == 3


def test_the_log_is_json_lines(studio: Studio) -> None:
    studio.faults("create_500=first:1", "media_cut=first:1")
    studio.doit()
    lines = (studio.outputs / "vgen.log").read_text("utf-8").splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert {"submit", "accepted", "rendered", "ready", "refused", "download_retry"} <= set(events)


@pytest.mark.slow
def test_takes_are_read_only_and_no_hard_links(studio: Studio) -> None:
    studio.doit()
    for take in studio.takes():
        assert take.stat().st_mode & 0o222 == 0
        assert take.stat().st_nlink == 1
    assert studio.clip(1).stat().st_mode & 0o200


@pytest.mark.slow
def test_each_take_has_a_receipt_beside_it(studio: Studio) -> None:
    studio.doit()
    for take in studio.takes():
        told = json.loads(take.with_suffix(".json").read_text("utf-8"))
        assert told["charged_usd"] == 0.6
        assert told["job_id"] in {job["id"] for job in studio.jobs()}
