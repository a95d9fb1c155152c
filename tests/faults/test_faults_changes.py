"""Rows 103 to 105: what was looked at when the run was planned, and is another thing when it is used."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pictured
import pytest
from fake_clips import FAKE_MAGIC
from faults.scripted import ONLY_RUNWAY, RUNWAY_USD, Act, Forward, ScriptedStudio, When, says
from studio import shots

from vgen.simulator.web import Request, Response
from vgen.store import failpoints

pytestmark = pytest.mark.slow

OLD, NEW = (pictured.png(colour=colour) for colour in ("navy", "teal"))


def edit(payload: bytes) -> bytes:
    """A video that somebody made by hand."""
    facts = {"width": 720, "height": 1280, "duration_s": 5.0, "fps": 24, "sha256": hashlib.sha256(payload).hexdigest()}
    return FAKE_MAGIC + json.dumps(facts).encode() + b"\n" + payload


EDIT = edit(b"cut by hand")


def while_ordering(change: Any, *, text: str = "shot-1 ") -> Act:
    """Something changes on disk while the provider reads an order."""

    async def act(request: Request, forward: Forward) -> Response:
        change()
        return await forward()

    return act


def sent_pictures(studio: ScriptedStudio) -> list[bytes]:
    bodies = [json.loads(request.body) for request in studio.asked("create")]
    return [base64.b64decode(body["promptImage"].partition("base64,")[2]) for body in bodies if "promptImage" in body]


@pytest.fixture
def pictures(studio: ScriptedStudio) -> ScriptedStudio:
    """Two shots, each with a picture of its own; one is made at a time."""
    return with_pictures(studio)


def with_pictures(studio: ScriptedStudio) -> ScriptedStudio:
    studio.write_shots(shots(2))
    for number in (1, 2):
        (studio.root / f"{number}.png").write_bytes(OLD + bytes([number]))
        studio.change_shot(number, image=f"{number}.png")
    return studio


ONE_BY_ONE = (*ONLY_RUNWAY, "max_concurrent=1", "budget_usd=9")


def test_fault_103_a_picture_that_was_replaced_while_its_shot_waited_is_not_sent(pictures: ScriptedStudio) -> None:
    picture = pictures.root / "2.png"
    pictures.on("create", while_ordering(lambda: picture.write_bytes(NEW)), text="shot-1 ")
    pictures.doit(*ONE_BY_ONE)
    assert sent_pictures(pictures) == [OLD + b"\x01"], "the recipe and the receipt would name another picture"
    assert (pictures.bought(), pictures.booked()) == (1, (RUNWAY_USD, 0, 0))
    assert "its picture changed after the plan; run again" in (pictures.errors()[1] or "")
    pictures.off()
    assert pictures.doit(*ONE_BY_ONE) == 0
    assert sent_pictures(pictures) == [OLD + b"\x01", NEW]
    receipts = [json.loads(path.read_text("utf-8")) for path in pictures.takes("*.json")]
    told = {dict(receipt["manifest"])["image"] for receipt in receipts}
    assert told == {dict(json.loads(row["manifest"]))["image"] for row in pictures.rows()}


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "made empty"])
def test_fault_103_a_picture_that_is_gone_costs_nothing_and_holds_nothing(pictures: ScriptedStudio, gone: bool) -> None:
    picture = pictures.root / "2.png"
    change = picture.unlink if gone else lambda: picture.write_bytes(b"")
    pictures.on("create", while_ordering(change), text="shot-1 ")
    pictures.doit(*ONE_BY_ONE)
    assert (pictures.creates(), pictures.booked()) == (1, (RUNWAY_USD, 0, 0))
    assert "run again" in (pictures.errors()[1] or "")
    assert pictures.states() == ["accepted"], "nothing was reserved for it"


def test_fault_103_a_picture_that_is_written_anew_with_the_same_bytes_is_the_same(pictures: ScriptedStudio) -> None:
    picture = pictures.root / "2.png"
    pictures.on("create", while_ordering(lambda: picture.write_bytes(OLD + b"\x02")), text="shot-1 ")
    assert pictures.doit(*ONE_BY_ONE) == 0
    assert pictures.bought() == 2


def edited_while_ordering(studio: ScriptedStudio, *args: str) -> Path:
    """All clips are made; shot 2 gets another prompt, and while that is ordered somebody edits its clip."""
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    studio.change_shot(2, runway_prompt="shot-2 a paper ship")
    clip = studio.clip(2)
    studio.on("create", while_ordering(lambda: clip.write_bytes(EDIT)), text="paper ship")
    studio.doit(*ONLY_RUNWAY, "budget_usd=9", *args)
    studio.off()
    return clip


def test_fault_104_a_clip_that_is_edited_during_the_run_is_kept_and_told(studio: ScriptedStudio) -> None:
    clip = edited_while_ordering(studio)
    assert clip.read_bytes() == EDIT, "a hand edit was overwritten"
    assert "edited by hand while vgen worked, and is kept" in (studio.errors()[1] or "")
    assert "`doit -a clip:2 " in (studio.errors()[1] or "")
    assert studio.bought() == 4
    studio.doit(*ONLY_RUNWAY, "budget_usd=9")
    assert (clip.read_bytes(), studio.bought()) == (EDIT, 4), "nor by the next run, which buys nothing"
    clip.rename(studio.root / "mine.mp4")
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    assert (studio.shown_clip(2), studio.bought()) == ("shot-2 a paper ship", 4), "the new take is here, free"


def test_fault_104_a_paid_job_of_an_edited_clip_is_collected_beside_the_edit(studio: ScriptedStudio) -> None:
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    studio.change_shot(2, runway_prompt="shot-2 a paper ship")
    studio.on("media", says(500, {"error": "Internal error"}))
    studio.doit(*ONLY_RUNWAY, "budget_usd=9")
    studio.off()
    assert studio.states()[-1] == "rendered"
    clip = studio.clip(2)
    clip.write_bytes(EDIT)
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 1
    assert (clip.read_bytes(), studio.bought(), studio.states()[-1]) == (EDIT, 4, "accepted")
    assert "edited by hand" in (studio.errors()[1] or "")
    assert "Move the file elsewhere and run again" in (studio.errors()[1] or "")
    clip.rename(studio.root / "mine.mp4")
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    assert (studio.shown_clip(2), studio.bought()) == ("shot-2 a paper ship", 4), "the take was here, free"


def test_fault_104_the_command_that_is_named_replaces_the_edit(studio: ScriptedStudio) -> None:
    edited_while_ordering(studio)
    assert studio.doit("-a", "clip:2", *ONLY_RUNWAY, "budget_usd=9") == 0
    assert studio.shown_clip(2) == "shot-2 a paper ship"


def test_fault_104_an_edit_that_was_to_be_replaced_and_is_edited_again_is_kept(studio: ScriptedStudio) -> None:
    """-a is the word about the edit that was there when it was typed, not about a later one."""
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    clip = studio.clip(2)
    clip.write_bytes(edit(b"first"))
    studio.on("create", while_ordering(lambda: clip.write_bytes(edit(b"second, and longer"))))
    assert studio.doit("-a", "clip:2", *ONLY_RUNWAY, "budget_usd=9") == 1
    assert clip.read_bytes() == edit(b"second, and longer")


def test_fault_104_a_file_that_is_put_under_a_clips_name_during_the_run_is_kept(studio: ScriptedStudio) -> None:
    clip = studio.clip(2)
    studio.on("create", while_ordering(lambda: clip.write_bytes(EDIT)), text="shot-2 ")
    studio.doit(*ONLY_RUNWAY, "budget_usd=9")
    assert clip.read_bytes() == EDIT
    assert [entry["success"] for entry in studio.clips()] == [True, False, True]


def test_fault_104_a_clip_without_a_shot_that_is_edited_during_the_run_is_not_removed(studio: ScriptedStudio) -> None:
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    clip = studio.clip(3)
    studio.write_shots(shots(2))
    with failpoints.hooked(When("ledger.run.start", "before", lambda: clip.write_bytes(EDIT))):
        studio.doit(*ONLY_RUNWAY, "budget_usd=9")
    assert clip.read_bytes() == EDIT, "a hand edit was removed"
    assert studio.said("kept, because it was edited by hand")


def test_fault_104_a_clip_that_was_only_touched_is_replaced(studio: ScriptedStudio) -> None:
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    studio.change_shot(2, runway_prompt="shot-2 a paper ship")
    clip = studio.clip(2)
    studio.on("create", while_ordering(lambda: clip.touch()), text="paper ship")
    assert studio.doit(*ONLY_RUNWAY, "budget_usd=9") == 0
    assert studio.shown_clip(2) == "shot-2 a paper ship"


def first_media(studio: ScriptedStudio, *, times: int) -> None:
    """The media host serves the first job's file for the second's, so often."""
    left = [times]

    async def act(request: Request, forward: Forward) -> Response | None:
        first = studio.jobs()[0]["id"]
        if first in request.target or not left[0]:
            return None
        left[0] -= 1
        where = next(
            heard.request.target for heard in studio.heard if heard.kind == "media" and first in heard.request.target
        )
        assert studio.app is not None
        return await studio.app(Request(method="GET", target=where, origin=request.origin))

    studio.on("media", act)


def test_fault_105_another_shots_file_served_by_mistake_is_fetched_again(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(2))
    first_media(studio, times=1)
    assert studio.doit(*ONE_BY_ONE) == 0
    assert [studio.shown_clip(number) for number in (1, 2)] == [f"shot-{n} a paper boat" for n in (1, 2)]
    assert (studio.bought(), studio.booked()) == (2, (1.2, 0, 0))


def test_fault_105_the_same_file_for_ever_is_bought_once_and_said(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(2))
    first_media(studio, times=1_000)
    assert studio.doit(*ONE_BY_ONE) == 0
    assert (studio.bought(), studio.booked()) == (2, (1.2, 0, 0))
    second = studio.jobs()[1]["id"]
    assert sum(second in request.target for request in studio.asked("media")) == 2, "fetched once more, not for ever"
    assert studio.said("same video as shot 1; look at both")
    assert studio.clips()[1]["remarks"] == ["the same video as shot 1"]
    assert studio.report()["clips"][1]["remarks"] == ["the same video as shot 1"]
    assert "the same video as shot 1" in (studio.outputs / "gallery.html").read_text("utf-8")


def test_fault_105_another_shots_file_as_the_last_of_several_waits_for_the_next_run(studio: ScriptedStudio) -> None:
    studio.write_shots(shots(2))
    assert studio.doit("clip:1", *ONLY_RUNWAY) == 0
    wrong = next(iter(studio.asked("media"))).target

    async def act(request: Request, forward: Forward) -> Response:
        downloads = len(studio.asked("media")) - 1
        if downloads % 4:  # damaged, each time in another way
            return Response(status=200, headers=(("content-type", "video/mp4"),), body=b"VGENFAKE " + b"x" * downloads)
        return await studio.app(Request(method="GET", target=wrong, origin=request.origin))

    studio.on("media", act)
    assert studio.doit("budget_usd=9", *ONLY_RUNWAY) == 1
    assert studio.said("nothing that can be believed came")
    assert not studio.said("look at both")
    studio.off()
    assert studio.doit("budget_usd=9", *ONLY_RUNWAY) == 0
    assert studio.creates() == 2
