"""Locked clips stay as they are, whatever changes; notes are told everywhere. Neither costs anything."""

import json

import pytest
from studio import Studio


@pytest.fixture
def locked(studio: Studio) -> Studio:
    """Three shots with their clips; the second is locked, and its prompt was changed afterwards."""
    studio.configure(run={"budget_usd": 9})
    assert studio.doit() == 0
    assert studio.doit("lock", "shot=2") == 0
    studio.change_shot(2, runway_prompt="something else")
    return studio


def test_a_locked_clip_is_never_stale_and_never_bought(locked: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    before, bytes_ = locked.bought(), locked.clip(2).read_bytes()
    for words in ((), ("clip:2",), ("-a",), ("-a", "report"), ("takes_wanted=3", "clip:2"), ("primary_api=pika",)):
        assert locked.doit(*words) == 0, words
    assert locked.doit("-a", "clip:1", "clip:2") == 3
    assert "clip 2 is locked and can't get a new take; unlock first: `doit unlock shot=2`" in capfd.readouterr().err
    assert locked.doit("pick", "shot=2", "take=1") == 3
    assert (locked.bought(), locked.clip(2).read_bytes()) == (before, bytes_)
    entry = locked.clips()[1]
    assert (entry["success"], entry["locked"]) == (True, True)
    assert "locked" not in locked.clips()[0]
    assert locked.doit("plan") == 0
    told = json.loads((locked.outputs / "plan.json").read_text("utf-8"))["shots"][1]
    assert (told["action"], told["locked"], told["price_usd"]) == ("keep", True, 0)
    assert "locked; stays, though prompt:" in told["why"]
