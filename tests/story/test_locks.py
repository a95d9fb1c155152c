"""Locked clips stay as they are, whatever changes; notes are told everywhere. Neither costs anything."""

import json
import shutil

import pytest
from fake_clips import fake_clip
from studio import KEYS, Studio, shots

from vgen.store.lock import run_lock
from vgen.store.outputs import Outputs


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
    undisturbed = locked.disk()
    assert locked.doit("primary_api=pika") == 0
    assert locked.disk() == undisturbed, "an edit that is seen is remembered once"
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
    assert "locked; stays, though the shot changed (prompt:" in told["why"]


def test_unlocking_says_what_the_next_run_does(locked: Studio) -> None:
    assert locked.doit("unlock", "shot=2") == 0
    assert locked.said("2 is unlocked; `doit` buys it anew, for $0.60 (prompt:")
    before = locked.clip(2).read_bytes()
    assert locked.doit() == 0
    assert (locked.bought(), locked.clip(2).read_bytes() != before) == (4, True)


def test_keep_is_allowed_while_locked_and_makes_unlocking_free(locked: Studio) -> None:
    assert locked.doit("keep", "shot=2") == 0
    assert locked.doit("unlock", "shot=2") == 0
    assert locked.said("2 is unlocked; its clip is up to date")
    assert locked.doit() == 0
    assert locked.bought() == 3


def test_a_locked_clip_comes_back_from_its_take_and_an_edited_one_is_kept(locked: Studio) -> None:
    shown = locked.clip(2).read_bytes()
    locked.clip(2).unlink()
    assert locked.doit() == 0
    assert locked.clip(2).read_bytes() == shown
    edited = fake_clip(width=720, height=1280, duration_s=5)
    locked.clip(2).write_bytes(edited)
    assert locked.doit() == 0
    assert locked.doit("plan") == 0
    assert locked.clip(2).read_bytes() == edited
    assert "locked; edited by hand" in (locked.outputs / "plan.json").read_text("utf-8")
    assert locked.bought() == 3


def test_a_shot_without_a_clip_is_not_locked(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("lock", "shot=2") == 3
    assert "shot=2: has no clip to lock; `doit clip:2` makes it first" in capfd.readouterr().err
    assert studio.doit("lock", "shot=9") == 3
    assert studio.doit("unlock", "shot=2") == 0
    assert studio.said("2 is not locked") or "is not locked" in capfd.readouterr().out
    assert not studio.rows("SELECT * FROM locks")


def test_lock_and_note_follow_their_shot_through_numbers_edits_and_both(locked: Studio) -> None:
    """Edited, seen by a run that buys nothing, then moved by a shot that comes before it."""
    shown = locked.clip(2).read_bytes()
    assert locked.doit("note", "shot=2", "text=slower") == 0
    assert locked.doit() == 0
    assert locked.bought() == 3
    before = locked.read_shots()
    new = {"shot_number": 1, "duration": 5, "runway_prompt": "the opening"}
    locked.write_shots([new, *({**shot, "shot_number": shot["shot_number"] + 1} for shot in before)])
    assert locked.doit() == 0
    assert locked.clip(3).read_bytes() == shown
    assert [(entry.get("locked"), entry.get("note")) for entry in locked.clips()] == [
        (None, None), (None, None), (True, "slower"), (None, None),
    ]  # fmt: skip
    assert locked.bought() == 4, "the opening alone"
    locked.write_shots(before)
    assert locked.doit() == 0
    assert (locked.clip(2).read_bytes(), locked.bought()) == (shown, 4)
    assert locked.clips()[1]["note"] == "slower"


def test_the_lock_of_a_shot_that_left_waits_for_it_and_is_not_that_of_a_new_one(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    assert studio.doit() == 0
    shown = studio.clip(3).read_bytes()
    assert studio.doit("lock", "shot=3") == 0
    everything = studio.read_shots()
    studio.write_shots(everything[:2])
    assert studio.doit() == 0
    assert not studio.clip(3).exists()
    studio.write_shots([*everything[:2], {**everything[2], "runway_prompt": "another"}])
    assert studio.doit() == 0
    assert (studio.bought(), studio.shown_clip(3)) == (4, "another")
    assert "locked" not in studio.clips()[2]
    studio.write_shots(
        [*everything[:2], {**everything[2], "runway_prompt": "another"}, {**everything[2], "shot_number": 4}]
    )
    assert studio.doit() == 0
    assert studio.clips()[3]["locked"]
    assert (studio.bought(), studio.clip(4).read_bytes()) == (4, shown)


def test_a_shot_with_the_same_prompt_is_another_shot(studio: Studio) -> None:
    """Shots 1 and 3 are alike; the lock of 1 does not go to 3 when 1 is edited."""
    studio.change_shot(3, runway_prompt=studio.read_shots()[0]["runway_prompt"])
    assert studio.doit() == 0
    assert studio.doit("lock", "shot=1") == 0
    studio.change_shot(1, runway_prompt="something else")
    assert studio.doit() == 0
    assert studio.bought() == 2
    assert [entry.get("locked", False) for entry in studio.clips()] == [True, False, False]


def test_a_job_of_a_locked_shot_comes_home_and_does_not_replace_the_clip(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    assert studio.doit() == 0
    shown = studio.clip(2).read_bytes()
    studio.worsen("job_slow=1")
    studio.doit("-a", "clip:2", "clip_timeout_s=60")
    assert "rendering" in studio.states()
    assert studio.doit("lock", "shot=2") == 0
    studio.calm()
    studio.pass_time(4000)
    assert studio.doit() == 0
    assert studio.states().count("accepted") == 4
    assert (studio.clip(2).read_bytes(), studio.bought()) == (shown, 4)
    assert studio.said("for shot 2, which is locked")


def test_what_is_made_from_a_locked_clip_stays_with_it(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9, "primary_api": "runway"})
    studio.change_shot(2, image="clip:1")
    studio.change_shot(3, image="clip:2")
    assert studio.doit() == 0
    assert studio.doit("lock", "shot=2") == 0
    studio.change_shot(1, runway_prompt="something else")
    assert studio.doit() == 0
    assert studio.bought() == 4, "shot 1 alone: 2 is locked, and 3 is made from it"
    studio.clip(1).unlink()
    assert studio.doit("clip:2") == 0
    assert not studio.clip(1).exists(), "a locked clip needs no other"


def test_a_shot_that_is_inserted_into_a_chain_moves_the_locks_after_it(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.change_shot(2, image="clip:1")
    studio.change_shot(3, image="clip:2")
    assert studio.doit() == 0
    shown = [studio.clip(number).read_bytes() for number in (2, 3)]
    for number in (2, 3):
        assert studio.doit("lock", f"shot={number}") == 0
        assert studio.doit("note", f"shot={number}", f"text=was {number}") == 0
    one, two, three = studio.read_shots()
    new = {"shot_number": 2, "duration": 5, "runway_prompt": "between", "image": "clip:1"}
    two, three = {**two, "shot_number": 3, "image": "clip:2"}, {**three, "shot_number": 4, "image": "clip:3"}
    studio.write_shots([one, new, two, three])
    assert studio.doit("plan") == 0
    assert studio.doit() == 0
    assert [studio.clip(number).read_bytes() for number in (3, 4)] == shown
    told = [(entry.get("locked", False), entry.get("note")) for entry in studio.clips()]
    assert told == [(False, None), (False, None), (True, "was 2"), (True, "was 3")]
    assert studio.bought() == 4, "the new shot alone"


HOSTILE = "<script>alert(1)</script>\x1b[31m red\x1b]0;title\x07\n\nand \x00 more \u202e & \U0001f468\u200d\U0001f469"
HARMLESS = "<script>alert(1)</script> red and more & \U0001f468\u200d\U0001f469"


def test_a_note_is_told_everywhere_and_hostile_text_is_harmless(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit() == 0
    spent = studio.booked()
    assert studio.doit("note", "shot=2", f"text={HOSTILE}") == 0
    assert studio.clips()[1]["note"] == HARMLESS
    assert studio.report()["clips"][1]["note"] == HARMLESS
    page = (studio.outputs / "gallery.html").read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; red and more" in page
    assert "<script>alert(1)" not in page
    assert "\x1b[31m" not in capfd.readouterr().out
    assert studio.doit("note", "shot=2", "text=slower") == 0
    assert studio.clips()[1]["note"] == "slower"
    assert len(studio.rows("SELECT * FROM notes")) == 1
    before = studio.disk()
    assert studio.doit() == 0
    assert studio.disk() == before, "a note makes nothing stale"
    assert studio.doit("note", "shot=2", "text= ") == 0
    assert "note" not in studio.clips()[1]
    assert (studio.booked(), studio.rows("SELECT * FROM notes")) == (spent, [])
    assert studio.doit("note", "shot=2") == 3
    assert studio.doit("note", "shot=2", f"text={'x' * 1001}") == 3
    assert studio.doit("note", "shot=2", f"text=my {KEYS['RUNWAY_API_KEY']}") == 3


def test_a_rebuilt_ledger_has_the_locks_and_notes_of_the_log(locked: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert locked.doit("note", "shot=1", "text=slower") == 0
    assert locked.doit("lock", "shot=3") == 0
    assert locked.doit("unlock", "shot=3") == 0
    shown = locked.clip(2).read_bytes()
    (locked.outputs / "ledger.db").unlink()
    capfd.readouterr()
    assert locked.doit("recover") == 0
    said = capfd.readouterr().out
    assert "shot 2: is locked again" in said
    assert "shot 1: its note is as it was last" in said
    assert locked.doit() == 0
    assert (locked.clip(2).read_bytes(), locked.bought()) == (shown, 3)
    assert [entry.get("locked", False) for entry in locked.clips()] == [False, True, False]


def test_a_ledger_that_is_rebuilt_without_its_mark_has_its_locks(locked: Studio) -> None:
    shown = locked.clip(2).read_bytes()
    assert locked.doit("note", "shot=1", "text=slower") == 0
    (locked.outputs / "ledger.db").unlink()
    shutil.rmtree(locked.outputs / ".vgen")
    assert locked.doit("recover") == 0
    assert locked.doit() == 0
    assert (locked.clip(2).read_bytes(), locked.bought()) == (shown, 3)
    assert [(entry.get("locked"), entry.get("note")) for entry in locked.clips()[:2]] == [
        (None, "slower"),
        (True, None),
    ]


def test_a_locked_take_that_was_deleted_with_its_clip_is_not_advised_to_be_bought_while_locked(locked: Studio) -> None:
    locked.clip(2).unlink()
    for take in (locked.outputs / "takes").glob("*/*.mp4"):
        take.unlink()
    assert locked.doit() == 1
    assert "buy a new one with `doit unlock shot=2` and then `doit -a clip:2`" in str(locked.errors()[1])
    assert locked.bought() == 3


def test_the_plan_wants_no_takes_of_a_locked_shot(locked: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert locked.doit("plan", "takes_wanted=2") == 0
    lines = capfd.readouterr().out.splitlines()
    assert [line for line in lines if "takes wanted" in line and "to be bought" not in line] == []


def test_an_older_ledger_that_misses_a_lock_is_refused(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    assert studio.doit() == 0
    older = (studio.outputs / "ledger.db").read_bytes()
    assert studio.doit("lock", "shot=2") == 0
    shown = studio.clip(2).read_bytes()
    (studio.outputs / "ledger.db").write_bytes(older)
    studio.change_shot(2, runway_prompt="something else")
    assert studio.doit() == 3
    assert "it does not know the last `doit lock`" in capfd.readouterr().err
    assert studio.doit("recover") == 0
    assert "shot 2: is locked again" in capfd.readouterr().out
    assert studio.doit() == 0
    assert (studio.bought(), studio.clip(2).read_bytes()) == (3, shown)
    (studio.outputs / "ledger.db").write_bytes(older)
    (studio.outputs / "vgen.log").unlink()
    assert studio.doit("recover") == 0
    assert "vgen.log does not tell of the last `doit lock`" in capfd.readouterr().out
    assert studio.doit("keep", "shot=2") == 0
    assert studio.doit("lock", "shot=2") == 0
    for number in (2, 1):
        assert studio.doit("unlock" if number == 2 else "lock", f"shot={number}") == 0
    assert studio.doit("plan") == 0, "what is unlocked is missed by nobody"


def test_a_locked_clip_stays_in_both_tiers(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9}, runway={"draft": {"max_retries": 2}})
    assert studio.doit("tier=draft", "clip:1", "clip:2") == 0
    assert studio.doit("lock", "shot=1", "tier=draft") == 0
    shown = studio.clip(1).read_bytes()
    assert studio.doit() == 0
    assert studio.clip(1).read_bytes() == shown, "a draft, though finals are wanted"
    assert studio.doit("lock", "shot=2") == 0
    final = studio.clip(2).read_bytes()
    studio.change_shot(2, runway_prompt="something else")
    assert studio.doit("tier=draft") == 0
    assert studio.clip(2).read_bytes() == final
    assert studio.bought() == 2 + 2, "two drafts, two finals"


def test_shots_with_one_recipe_of_which_one_is_locked(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.change_shot(3, runway_prompt=studio.read_shots()[0]["runway_prompt"])
    assert studio.doit() == 0
    first = studio.clip(1).read_bytes()
    assert studio.doit("lock", "shot=1") == 0
    assert studio.doit("-a", "clip:3") == 0
    assert (studio.clip(1).read_bytes(), studio.clip(3).read_bytes() != first) == (first, True)
    assert studio.doit("pick", "shot=3", "take=1") == 0
    assert studio.doit("pick", "shot=3", "take=2") == 0
    assert studio.doit() == 0
    assert (studio.clip(1).read_bytes(), studio.clip(3).read_bytes() != first) == (first, True)


def test_a_lock_ends_an_unfinished_again_and_an_approved_plan_allows_it(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    assert studio.doit() == 0
    studio.change_shot(2, runway_prompt="something else")
    assert studio.doit("plan") == 0
    assert studio.doit("lock", "shot=2") == 0
    assert studio.doit("plan=outputs/plan.json") == 0
    assert studio.bought() == 3
    studio.faults("create_moderation=1")
    assert studio.doit("-a", "clip:1", "clip:3") == 1
    assert studio.said("unfinished -a") or studio.rows("SELECT * FROM retakes WHERE NOT settled")
    for number in (1, 3):
        assert studio.doit("lock", f"shot={number}") == 0
    assert not studio.rows("SELECT * FROM retakes WHERE NOT settled")


def test_nothing_is_locked_or_noted_while_a_build_holds_the_outputs(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    assert studio.doit() == 0
    with run_lock(Outputs(studio.outputs), wait=False):
        for words in (("lock", "shot=1"), ("unlock", "shot=1"), ("note", "shot=1", "text=slower")):
            assert studio.doit(*words) == 3
            assert "another" in capfd.readouterr().err
    assert not studio.rows("SELECT id FROM locks UNION SELECT id FROM notes")


def test_a_chain_that_was_renumbered_keeps_its_locks(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.change_shot(2, image="clip:1")
    studio.change_shot(3, image="clip:2")
    assert studio.doit() == 0
    shown = studio.clip(3).read_bytes()
    assert studio.doit("lock", "shot=1") == 0
    assert studio.doit("lock", "shot=3") == 0
    new = {"shot_number": 1, "duration": 5, "runway_prompt": "the opening"}
    links = {2: {}, 3: {"image": "clip:2"}, 4: {"image": "clip:3"}}
    moved = [{**shot, "shot_number": shot["shot_number"] + 1} for shot in studio.read_shots()]
    studio.write_shots([new, *({**shot, **links[shot["shot_number"]]} for shot in moved)])
    assert studio.doit() == 0
    assert [entry.get("locked", False) for entry in studio.clips()] == [False, True, False, True]
    assert (studio.bought(), studio.clip(4).read_bytes()) == (4, shown)


def test_a_lock_whose_shot_is_not_found_any_more_says_so_once(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    """Renumbered, and another text, between two builds: its number is another locked shot's."""
    studio.write_shots(shots(2))
    assert studio.doit() == 0
    assert (studio.doit("lock", "shot=1"), studio.doit("lock", "shot=2")) == (0, 0)
    first, second = studio.read_shots()
    moved = [{**second, "shot_number": 1, "runway_prompt": "something else"}, {**first, "shot_number": 2}]
    studio.write_shots(moved)
    capfd.readouterr()
    told = "no shot of this list is the one that was locked as shot 2"
    assert studio.doit("plan") == 0
    assert told in capfd.readouterr().out
    assert studio.doit() == 0
    assert told in capfd.readouterr().out
    assert studio.doit() == 0
    assert told not in capfd.readouterr().out
    studio.write_shots([{**second, "shot_number": 1}, {**first, "shot_number": 2}])
    assert studio.doit() == 0
    assert [clip.get("locked") for clip in studio.clips()] == [True, True]
