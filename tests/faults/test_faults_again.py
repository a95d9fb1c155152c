"""Rows 114 and 115: a new take that was asked for is interrupted; a clip that is to be replaced was edited by hand."""

import signal
from collections.abc import Callable

import pytest
from fake_clips import fake_clip
from faults.scripted import ONLY_RUNWAY, Forward, ScriptedStudio, says
from studio import shots

from vgen.simulator.web import Request, Response

pytestmark = pytest.mark.slow

EDIT = fake_clip(width=720, height=1280, duration_s=5, size_bytes=170_000)
WORDS = ("-a", "clip:1", "clip:2", *ONLY_RUNWAY, "max_concurrent=1")
NewStudio = Callable[..., ScriptedStudio]


def two(studio: ScriptedStudio) -> ScriptedStudio:
    """Two shots, bought and in place."""
    studio.write_shots(shots(2))
    studio.configure(run={"budget_usd": 20})
    assert studio.doit(*ONLY_RUNWAY) == 0
    return studio


def new_takes(studio: ScriptedStudio) -> list[int]:
    return [clip["take"] for clip in studio.report()["clips"]]


# ── 114: interrupted ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", ["create", "poll", "media"])
def test_fault_114_an_interrupted_new_take_typed_again_is_bought_once(
    studio: ScriptedStudio, moment: str, signum: signal.Signals, code: int
) -> None:
    """At the second request of its kind, so that one take may be here and the other is not."""

    async def interrupt(request: Request, forward: Forward) -> Response | None:
        signal.raise_signal(signum)
        return None

    two(studio)
    studio.on(moment, interrupt, times=1, after=1)
    assert studio.doit(*WORDS) == code
    assert studio.doit(*WORDS) == 0
    assert studio.bought() == 4
    assert studio.doit(*ONLY_RUNWAY) == 0
    assert new_takes(studio) == [2, 2]
    assert studio.doit(*WORDS) == 0
    assert studio.bought() == 6, "finished: the same words are a new wish"


def test_fault_114_what_a_closed_provider_left_out_is_all_that_is_bought_later(studio: ScriptedStudio) -> None:
    two(studio)
    studio.on("create", says(400, {"error": "You do not have enough credits to run this task."}), after=1)
    assert studio.doit(*WORDS) == 1
    assert studio.bought() == 3
    studio.off()
    assert studio.doit(*WORDS) == 0
    assert studio.bought() == 4


# ── 115: edited ───────────────────────────────────────────────────────────────────────────────────────────────────────


def places(studio: ScriptedStudio) -> int:
    """In how many places the edit is."""
    paths = [studio.clip(1), *studio.takes("edited/*")]
    return sum(path.exists() and path.read_bytes() == EDIT for path in paths)


def test_fault_115_an_edit_is_moved_before_its_clip_is_replaced(studio: ScriptedStudio) -> None:
    two(studio)
    studio.clip(1).write_bytes(EDIT)
    assert studio.doit("-a", "clip:1", *ONLY_RUNWAY) == 0
    assert studio.said("your edit of clip_001.mp4 is now outputs/takes/edited/clip_001_edit_1.mp4")
    assert (studio.clip(1).read_bytes() != EDIT, places(studio), studio.bought()) == (True, 1, 3)


def test_fault_115_a_kill_at_any_write_loses_no_edit(new_studio: NewStudio) -> None:
    """The writes round the move; all of them are in tests/story/test_again.py and in the simulation's scenes."""
    studio = two(new_studio())
    whole = studio.crash(float("inf"), "-a", "clip:1", *ONLY_RUNWAY).seen
    for k in range(whole - 16, whole + 4, 2):
        studio = two(new_studio())
        studio.clip(1).write_bytes(EDIT)
        studio.crash(k, "-a", "clip:1", *ONLY_RUNWAY)
        assert places(studio) == 1
