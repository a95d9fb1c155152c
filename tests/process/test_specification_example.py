"""The example of the first specification: shots of 3, 4 and 4 s; $0.05 and $0.03 a second; the third ends at Pika."""

import json
from pathlib import Path

import pytest
from studio import Studio

KEYS_IN_ORDER = ["shot_number", "clip_path", "success", "api_used", "cost_usd", "generation_time_s", "error"]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    made = Studio(root)
    made.new_cloud(
        extra_models={"runway": {"gen-3-alpha": 50_000}, "pika": {"pika-1.5": 30_000}},
        faults=("runway.create_moderation=~shot-3",),
    )
    made.configure(
        runway={"model": "gen-3-alpha", "cost_per_second_usd": 0.05, "durations": "any"},
        pika={"model": "pika-1.5", "cost_per_second_usd": 0.03, "durations": "any"},
    )
    pika = {
        "kind": "text",
        "prompt": {},
        "duration": {"type": "number"},
        "aspect_ratio": {"values": ["16:9", "9:16", "1:1"]},
    }
    (root / "config" / "fal_endpoints.json").write_text(json.dumps({"endpoints": {"pika-1.5": pika}}), "utf-8")
    made.write_shots(
        [
            {"shot_number": number, "duration": seconds, "runway_prompt": f"shot-{number} a boat"}
            for number, seconds in ((1, 3), (2, 4), (3, 4))
        ]
    )
    return made


@pytest.mark.slow
def test_costs_and_keys_are_the_specifications(studio: Studio) -> None:
    assert studio.doit() == 0, studio.lines
    clips = json.loads((studio.outputs / "clips.json").read_text("utf-8"))
    assert [list(clip) for clip in clips] == [KEYS_IN_ORDER] * 3
    assert [clip["cost_usd"] for clip in clips] == [0.15, 0.20, 0.12]
    assert [clip["api_used"] for clip in clips] == ["runway", "runway", "pika"]
    assert [clip["clip_path"] for clip in clips] == [f"outputs/clips/clip_00{n}.mp4" for n in (1, 2, 3)]
    assert [clip["success"] for clip in clips] == [True] * 3
    assert [clip["error"] for clip in clips] == [None] * 3
    report = studio.report()
    assert report["total_cost_usd"] == 0.47
    assert (report["total_clips"], report["successful_clips"], report["failed_clips"]) == (3, 3, 0)
    assert report["success_rate"] == 1
    assert studio.charged() == 0.47 == studio.booked()[0]


def test_a_model_of_neither_table_is_refused_without_a_price(studio: Studio) -> None:
    studio.configure(runway={"cost_per_second_usd": None})
    assert studio.doit() == 3
    assert studio.bought() == 0
