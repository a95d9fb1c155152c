"""A video is kept only so long by its provider: then its purchase is over, told as it is, and asked about no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.scripted import Act, ScriptedStudio, accepts_then_sends, says

from vgen.simulator.web import Response, answer

HOUR_S = 3600.0
ONLY_ARK = ("primary_api=ark", "fallback_api=none", "budget_usd=20", "clip_timeout_s=60")
OVER = "ark keeps a video for 24 h only, and this one is not there any more"


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedStudio]:
    """One shot whose job at ModelArk outlasted its run."""
    monkeypatch.chdir(tmp_path)
    studio = ScriptedStudio(tmp_path)
    studio.environ["ARK_API_KEY"] = "ark-vgencanary-0123456789abcdef"
    studio.configure(ark={"model": "dreamina-seedance-2-5-260628"})
    studio.write_shots([{"shot_number": 1, "duration": 5, "prompt": "shot-1", "aspect_ratio": "9:16"}])
    studio.faults(queue_s=2, render_s=90)
    assert studio.doit(*ONLY_ARK) == 1
    assert "run again to collect it (ark keeps a video for 24 h)" in str(studio.errors()[0])
    yield studio
    studio.check_money()
    studio.check_secrets()
    studio.check_clips()


def collect(studio: ScriptedStudio) -> int:
    return studio.doit(*ONLY_ARK)


def without_address() -> Act:
    def make(response: Response) -> Response:
        said = response.json()
        return answer(response.status, said | {"content": None} if "content" in said else said)

    return accepts_then_sends(make)


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False], ids=["a dead address", "no address"])
def test_a_video_that_is_kept_no_longer_ends_its_purchase_once(left: ScriptedStudio, named: bool) -> None:
    paid = (left.cloud.find("ark", left.jobs()[0]["id"]).price_micro / 1e6, 0, 0)  # type: ignore[union-attr]
    if not named:
        left.on("poll", without_address())
    left.pass_time(25 * HOUR_S)
    assert collect(left) == 1
    assert (left.states(), left.booked()) == (["lost"], paid)
    assert left.said(f"but {OVER}")
    assert str(left.errors()[0]).startswith(f"paid $1.1556 at ark, but {OVER}; `doit -a clip:1 ")
    asked = left.requests()
    left.lines.clear()
    assert collect(left) == 1
    assert left.doit("recover", *ONLY_ARK) == 0
    assert left.requests() == asked
    assert not left.said("collecting")
    assert not left.said("rendered")
    left.off()
    assert left.doit("-a", "clip:1", *ONLY_ARK[:3]) == 0
    assert (left.bought(), left.states()) == (2, ["lost", "accepted"])


@pytest.mark.slow
@pytest.mark.parametrize("skew_s", [-40 * HOUR_S, 0, 40 * HOUR_S])
def test_only_the_providers_clock_says_that_it_is_kept_no_longer(left: ScriptedStudio, skew_s: float) -> None:
    """A host that finds no file, for as long as a run asks: before the day is over that is a hiccup."""
    left.on("media", says(404, {"error": "Not found"}))
    left.skew_s = skew_s
    left.pass_time(20 * HOUR_S)
    assert collect(left) == 1
    assert left.states() == ["rendered"]
    assert "run again as long as ark may keep it (ark keeps a video for 24 h)" in str(left.errors()[0])
    left.off()
    assert collect(left) == 0
    assert (left.bought(), left.states()) == (1, ["accepted"])


@pytest.mark.slow
def test_a_day_counts_from_the_jobs_end_and_not_from_its_order(left: ScriptedStudio) -> None:
    left.faults(queue_s=2, render_s=1.5 * HOUR_S)
    left.write_shots([{"shot_number": 2, "duration": 5, "prompt": "shot-2", "aspect_ratio": "9:16"}])
    assert collect(left) == 1
    left.on("media", says(403))
    left.pass_time(25 * HOUR_S)  # the file is there for half an hour yet
    assert collect(left) == 1
    assert left.states()[-1] == "rendered"
    left.off()
    assert collect(left) == 0
    assert left.states()[-1] == "accepted"


@pytest.mark.slow
def test_what_answers_once_with_a_file_after_all_is_brought_home(left: ScriptedStudio) -> None:
    """One sighting is no word, even when the day is over."""
    left.pass_time(23.9 * HOUR_S)
    calm: Any = left.cloud
    left.on("media", says(404, {"error": "Not found"}), times=1)
    assert collect(left) == 0
    assert (calm.charges()["creates"], left.states()) == (1, ["accepted"])
