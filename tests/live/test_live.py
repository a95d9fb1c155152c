"""A purchase from the real Runway, the cheapest there is. Runs only where a key is set and VGEN_TEST_LIVE=1."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEY = os.environ.get("RUNWAY_API_KEY") or os.environ.get("RUNWAYML_API_SECRET")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        not KEY or os.environ.get("VGEN_TEST_LIVE") != "1", reason="buys for real: set a key and VGEN_TEST_LIVE=1"
    ),
]


def test_one_clip_of_two_seconds_is_bought_once(tmp_path: Path) -> None:
    shutil.copy(ROOT / "dodo.py", tmp_path)
    shutil.copytree(ROOT / "config", tmp_path / "config")
    shots = [{"shot_number": 1, "duration": 2, "runway_prompt": "A paper boat on still water, static camera"}]
    (tmp_path / "config" / "visual_prompts.json").write_text(json.dumps(shots))
    environ = {"PATH": os.environ["PATH"], "RUNWAY_API_KEY": str(KEY), "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        command = [sys.executable, "-m", "doit", "mode=live", "fallback_api=none", "budget_usd=0.30"]
        subprocess.run(command, cwd=tmp_path, env=environ, check=True, timeout=900)
    report = json.loads((tmp_path / "outputs" / "production_report.json").read_text())
    assert report["successful_clips"] == 1
    assert report["budget"]["spent_usd"] <= 0.24
