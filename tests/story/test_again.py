"""An unfinished -a is remembered: typed again it goes on, and buys nothing twice. It never loses somebody's edit."""

import re
import shlex
import signal
from collections.abc import Callable

import pytest
from fake_clips import fake_clip
from studio import CrashAt, Kept, Studio, shots

from vgen.store import failpoints

pytestmark = pytest.mark.slow

SHELF: list[Kept] = []
"""The three clips, bought once for all stories that begin with them."""
NewStudio = Callable[..., Studio]
EDIT = fake_clip(width=720, height=1280, duration_s=5, size_bytes=170_000)
ALL = ("clip:1", "clip:2", "clip:3")


@pytest.fixture
def film(studio: Studio) -> Studio:
    """Three shots, bought and in place; one order at a time."""
    return filmed(studio)


def filmed(studio: Studio) -> Studio:
    studio.configure(run={"budget_usd": 20, "max_concurrent": 1})
    if not SHELF:
        assert studio.doit() == 0
        SHELF.append(studio.keep())
    else:
        studio.become(SHELF[0])
    return studio


class SignalAt:
    """A failpoint's hook: Ctrl-C when an act of this name has been done for the n-th time."""

    def __init__(self, name: str, n: int = 1) -> None:
        self.name, self.left = name, n

    def __call__(self, name: str, when: str) -> None:
        if (name, when) == (self.name, "after"):
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)


def interrupted(studio: Studio, *args: str, at: str = "ledger.place", n: int = 1) -> None:
    with failpoints.hooked(SignalAt(at, n)):
        assert studio.doit(*args) == 130


def cut_short(studio: Studio, *names: str) -> tuple[int, list[int]]:
    """-a for these clips with money for one new take. The clip that got it, and those that did not."""
    assert studio.doit("-a", *names, "partial=yes", "budget_usd=2.4") == 1
    assert studio.bought() == 4
    (done,) = served(studio)
    return done, sorted({int(name.removeprefix("clip:")) for name in names} - {done})


def takes_in_place(studio: Studio) -> list[int]:
    found = studio.rows("SELECT take FROM placed JOIN takes USING (purchase_id) ORDER BY placed.shot_number")
    return [row["take"] for row in found]


def served(studio: Studio) -> list[int]:
    """Shots whose clip is a second take."""
    return [number for number, take in enumerate(takes_in_place(studio), 1) if take > 1]


def remembered(studio: Studio) -> list[int]:
    return [row["shot_number"] for row in studio.rows("SELECT * FROM retakes ORDER BY shot_number")]


# ── continued ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_interrupted_command_typed_again_buys_only_what_is_missing(film: Studio) -> None:
    interrupted(film, "-a", *ALL)
    assert film.bought() == 5, "one is here, one in flight"
    assert len(served(film)) == 1
    assert film.doit("-a", *ALL) == 0
    assert film.bought() == 6
    assert served(film) == [1, 2, 3]
    assert remembered(film) == []


def test_a_finished_command_typed_again_is_a_new_wish(film: Studio) -> None:
    interrupted(film, "-a", *ALL)
    film.doit("-a", *ALL)
    assert film.doit("-a", *ALL) == 0
    assert film.bought() == 9


def test_the_end_says_what_is_done_what_is_not_and_the_command_that_goes_on(
    film: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    film.configure(run={"budget_usd": 2})
    interrupted(film, "-a", *ALL, "budget_usd=9.5")
    said = capfd.readouterr().out
    (done,) = served(film)
    assert f"clip {done} has its new take" in said
    command = re.search(r"`(doit -a [^`]*)` continues it", said)
    assert command is not None, said
    words = shlex.split(command[1])[1:]
    assert {word for word in words if word.startswith("clip:")} == set(ALL) - {f"clip:{done}"}
    assert "budget_usd=9.5" in words
    assert film.doit(*words) == 0
    assert film.bought() == 6


def test_the_plan_says_it_too_until_it_is_finished(film: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    interrupted(film, "-a", *ALL)
    capfd.readouterr()
    assert film.doit("plan") == 0
    assert "unfinished -a" in capfd.readouterr().out
    film.doit("-a", *ALL)
    capfd.readouterr()
    film.doit("plan")
    assert "unfinished" not in capfd.readouterr().out


def test_naming_one_of_its_clips_buys_no_other(film: Studio) -> None:
    done, missing = cut_short(film, *ALL)
    assert film.doit("-a", f"clip:{missing[0]}") == 0
    assert film.bought() == 5
    for number in (done, missing[0]):
        assert film.doit("-a", f"clip:{number}") == 0
        assert film.bought() == 5, "what it has brought is not bought again"
    assert film.said("has its new take already")
    assert film.doit("-a", f"clip:{missing[1]}") == 0
    assert (film.bought(), remembered(film)) == (6, [])
    assert film.doit("-a", f"clip:{done}") == 0
    assert film.bought() == 7, "a new wish"


def test_an_order_in_flight_is_collected_by_the_same_command(film: Studio) -> None:
    interrupted(film, "-a", "clip:2", at="ledger.move.rendering")
    assert film.bought() == 4
    assert film.doit("-a", "clip:2") == 0
    assert (film.bought(), served(film), remembered(film)) == (4, [2], [])


def test_a_plain_run_that_brings_the_take_finishes_it(film: Studio) -> None:
    interrupted(film, "-a", "clip:2", at="ledger.move.rendering")
    assert film.doit() == 0
    assert (film.bought(), served(film), remembered(film)) == (4, [2], [])
    assert film.doit("-a", "clip:2") == 0
    assert film.bought() == 5


def test_plain_runs_buy_nothing_for_it_meanwhile(film: Studio) -> None:
    cut_short(film, *ALL)
    for args in [(), ALL]:
        assert film.doit(*args) == 0
    assert film.bought() == 4
    assert remembered(film) == [1, 2, 3]


def test_other_clips_join_the_command_that_continues_it(film: Studio) -> None:
    done, missing = cut_short(film, "clip:1", "clip:2")
    interrupted(film, "-a", f"clip:{done}", "clip:3")
    assert film.bought() == 5
    assert film.doit("-a", f"clip:{done}", "clip:3") == 0
    assert (film.bought(), remembered(film)) == (5, [1, 2, 3])
    assert film.doit("-a", f"clip:{missing[0]}") == 0
    assert (film.bought(), served(film), remembered(film)) == (6, [1, 2, 3], [])


def test_a_command_for_other_clips_alone_is_a_wish_of_its_own(film: Studio) -> None:
    cut_short(film, "clip:1", "clip:2")
    for more in (1, 2):
        assert film.doit("-a", "clip:3") == 0
        assert film.bought() == 4 + more
    assert remembered(film) == [1, 2]


def test_what_the_budget_left_out_is_bought_when_there_is_more(film: Studio) -> None:
    cut_short(film, "clip:1", "clip:2")
    assert film.said("it costs $0.60")
    assert film.doit("-a", "clip:1", "clip:2") == 0
    assert (film.bought(), served(film)) == (5, [1, 2])


def test_what_a_provider_refused_is_asked_for_again_and_the_rest_is_not_bought_twice(film: Studio) -> None:
    film.worsen("create_moderation=~shot-2")
    film.configure(run={"fallback_api": "none"})
    assert film.doit("-a", "clip:1", "clip:2") == 1
    assert film.bought() == 4
    film.calm()
    assert film.doit("-a", "clip:1", "clip:2") == 0
    assert (film.bought(), served(film), remembered(film)) == (5, [1, 2], [])


def test_a_command_that_does_not_fit_is_refused_and_not_remembered(film: Studio) -> None:
    assert film.doit("-a", "clip:1", "budget_usd=2") == 3
    assert remembered(film) == []


@pytest.mark.parametrize("share", [pytest.param(k, marks=[pytest.mark.slow] if k else []) for k in range(8)])
def test_killed_anywhere_and_typed_again_it_buys_each_new_take_once(new_studio: NewStudio, share: int) -> None:
    """Up to the commit that ends the run: from there on the same words are a new wish."""
    words = ("-a", "clip:1", "clip:3")
    whole, studio = CrashAt(names=[]), filmed(new_studio())
    with failpoints.hooked(whole):
        studio.doit(*words)
    assert whole.names is not None
    end = whole.names.index("ledger.run.finish after")
    for k in range(1 + share, end + 1, 8):
        studio = filmed(new_studio())
        studio.crash(k, *words)
        studio.pass_time(300)
        code = studio.doit(*words)
        is_held = "uncertain" in studio.states()
        assert code == (1 if is_held else 0), whole.names[k - 1]
        assert studio.creates() == 5 or (is_held and studio.creates() < 5), whole.names[k - 1]
        assert (served(studio) == [1, 3]) is not is_held
        assert (remembered(studio) == []) is not is_held


# ── what ends it ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def half(film: Studio) -> tuple[Studio, int, int]:
    """An -a for clips 1 and 2 that the budget ended: the project, the clip with its new take, the one without."""
    done, missing = cut_short(film, "clip:1", "clip:2")
    return film, done, missing[0]


Half = tuple[Studio, int, int]


def test_keep_gives_up_what_is_missing(half: Half) -> None:
    film, done, missing = half
    assert film.doit("keep", f"shot={missing}") == 0
    assert (film.bought(), served(film), remembered(film)) == (4, [done], [])
    assert film.doit("-a", f"clip:{missing}") == 0
    assert (film.bought(), served(film)) == (5, [1, 2])


def test_a_clip_for_which_another_take_was_picked_is_not_bought_again(half: Half) -> None:
    film, done, missing = half
    assert film.doit("pick", f"shot={done}", "take=1") == 0
    assert film.doit("-a", "clip:1", "clip:2") == 0
    assert film.bought() == 5
    assert served(film) == [missing], "the choice is newer than the -a"
    assert remembered(film) == []


def test_a_take_picked_before_it_gives_way_to_the_job_that_it_collects(film: Studio) -> None:
    """The job was ordered before the pick, but the wish is newer."""
    interrupted(film, "-a", "clip:2", at="ledger.move.rendering")
    assert film.doit("pick", "shot=2", "take=1") == 0
    assert film.doit("-a", "clip:2") == 0
    assert (film.bought(), served(film)) == (4, [2])
    assert film.doit() == 0
    assert served(film) == [2]


def test_another_prompt_for_what_is_missing_is_bought_by_a_plain_run_and_ends_it(half: Half) -> None:
    film, done, missing = half
    film.change_shot(missing, runway_prompt="another boat")
    assert film.doit() == 0
    assert (film.bought(), remembered(film)) == (5, [])
    assert film.doit("-a", f"clip:{done}") == 0
    assert film.bought() == 6


def test_another_prompt_is_bought_once_by_the_command_that_continues_it(half: Half) -> None:
    film, _, missing = half
    film.change_shot(missing, runway_prompt="another boat")
    assert film.doit("-a", "clip:1", "clip:2") == 0
    assert (film.bought(), remembered(film)) == (5, [])
    assert film.shown_clip(missing) == "another boat"


def test_another_prompt_for_what_it_has_brought_costs_one_take_of_that(half: Half) -> None:
    film, done, _ = half
    old = film.read_shots()[done - 1]["runway_prompt"]
    film.change_shot(done, runway_prompt="another boat")
    assert film.doit() == 0
    film.change_shot(done, runway_prompt=old)
    assert film.doit("-a", "clip:1", "clip:2") == 0
    assert (film.bought(), served(film)) == (6, [1, 2])


def test_a_renumbered_list_changes_nothing(half: Half) -> None:
    film, *_ = half
    film.write_shots([shot | {"shot_number": shot["shot_number"] + 10} for shot in film.read_shots()])
    assert film.doit("-a", "clip:11", "clip:12") == 0
    assert (film.bought(), remembered(film)) == (5, [])


def test_a_shot_that_leaves_the_list_is_waited_for_no_more(half: Half) -> None:
    film, _, missing = half
    film.write_shots([shot for shot in film.read_shots() if shot["shot_number"] != missing])
    assert film.doit() == 0
    assert remembered(film) == []


# ── nothing twice, nothing silently ───────────────────────────────────────────────────────────────────────────────────


def test_two_clips_of_one_recipe_share_the_new_take_as_the_plan_says(studio: Studio) -> None:
    one, other = shots(2)
    studio.write_shots([one, other | {"runway_prompt": one["runway_prompt"]}])
    assert studio.doit() == 0
    assert studio.doit("-a", "clip:1", "clip:2", "budget_usd=1.2") == 0
    assert studio.bought() == 2
    assert takes_in_place(studio) == [2, 2]
    before = studio.disk()
    assert studio.doit("budget_usd=1.2") == 0
    assert takes_in_place(studio) == [2, 2]
    assert {name: state for name, state in studio.disk().items() if "clips/" in name} == {
        name: state for name, state in before.items() if "clips/" in name
    }


def test_a_live_job_that_is_collected_and_fails_is_no_new_take(film: Studio) -> None:
    """It was told as done, with the old take in place."""
    film.worsen("runway.job_failed=~shot-2")
    interrupted(film, "-a", "clip:2", at="ledger.move.rendering")
    film.calm()
    assert film.doit("-a", "clip:2") == 0
    assert (film.bought(), served(film)) == (5, [2])


def test_what_free_work_collected_is_not_bought_again_and_the_rest_is_refused(film: Studio) -> None:
    """The plan that is looked at after the free work still knows what -a asks for."""
    interrupted(film, "-a", "clip:2", at="ledger.move.rendering")
    assert film.doit("-a", "clip:1", "clip:2", "budget_usd=2.4") == 3
    assert (film.bought(), served(film)) == (4, [2])
    assert film.doit("-a", "clip:1", "clip:2") == 0
    assert (film.bought(), served(film)) == (5, [1, 2])


def test_a_lost_order_that_is_found_is_the_new_take(new_studio: NewStudio) -> None:
    studio = new_studio()
    studio.write_shots(shots(1))
    studio.configure(run={"budget_usd": 20, "primary_api": "pika", "fallback_api": "none"})
    studio.faults("create_lost=first:1")
    assert studio.doit() == 1
    assert studio.states() == ["uncertain"]
    studio.calm()
    studio.pass_time(4000)
    assert studio.doit("-a", "clip:1") == 0
    assert (studio.bought(), studio.states(), remembered(studio)) == (1, ["accepted"], [])


def test_a_clip_edited_while_its_new_take_came_is_moved_and_the_take_put_in_place_free(film: Studio) -> None:
    def save(name: str, when: str) -> None:
        if (name, when) == ("ledger.move.accepted", "after"):
            film.clip(2).write_bytes(EDIT)

    with failpoints.hooked(save):
        assert film.doit("-a", "clip:2") == 1
    assert film.clip(2).read_bytes() == EDIT
    assert film.said("puts the take in place, free")
    assert film.doit("-a", "clip:2") == 0
    assert (film.bought(), served(film)) == (4, [2])
    assert edits(film) == [EDIT]


# ── edits ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def edits(studio: Studio) -> list[bytes]:
    """What is among the takes as an edit."""
    return [path.read_bytes() for path in studio.takes("edited/*")]


def places_of(studio: Studio, data: bytes) -> int:
    """In how many of the two places some bytes are."""
    return [studio.clip(2).exists() and studio.clip(2).read_bytes() == data, data in edits(studio)].count(True)


def test_an_edit_is_moved_before_it_is_replaced_and_told(film: Studio) -> None:
    film.clip(2).write_bytes(EDIT)
    assert film.doit("-a", "clip:2") == 0
    assert film.said("your edit of clip_002.mp4 is now outputs/takes/edited/clip_002_edit_1.mp4")
    assert (edits(film), served(film)) == ([EDIT], [2])
    assert film.doit("audit") == 0


def test_no_earlier_edit_is_overwritten(film: Studio) -> None:
    found = []
    for n in range(3):
        data = fake_clip(width=720, height=1280, duration_s=5, size_bytes=180_000 + n)
        film.clip(2).write_bytes(data)
        assert film.doit("-a", "clip:2") == 0
        found.append(data)
    assert edits(film) == found


def test_a_new_take_that_does_not_come_leaves_the_edit_where_it_is(film: Studio) -> None:
    film.clip(2).write_bytes(EDIT)
    film.worsen("create_moderation=1.0")
    assert film.doit("-a", "clip:2") == 1
    assert (film.clip(2).read_bytes(), edits(film)) == (EDIT, [])


def test_an_edit_of_the_new_take_is_kept_by_the_command_that_continues(film: Studio) -> None:
    done, _ = cut_short(film, "clip:2", "clip:3")
    film.clip(done).write_bytes(EDIT)
    assert film.doit("-a", "clip:2", "clip:3") == 0
    assert (film.clip(done).read_bytes(), film.bought()) == (EDIT, 5)


def test_a_foreign_file_and_what_a_link_leads_to_are_kept_too(film: Studio) -> None:
    mine = film.outputs / "mine.mp4"
    mine.write_bytes(EDIT)
    film.clip(2).unlink()
    film.clip(2).symlink_to(mine)
    assert film.doit("-a", "clip:2") == 0
    assert (mine.read_bytes(), edits(film)) == (EDIT, [EDIT])
    assert not film.clip(2).is_symlink()
    assert served(film) == [2]


@pytest.mark.parametrize("share", [pytest.param(k, marks=[pytest.mark.slow] if k else []) for k in range(6)])
def test_killed_anywhere_an_edit_is_in_one_of_the_two_places(new_studio: NewStudio, share: int) -> None:
    def edited() -> Studio:
        studio = filmed(new_studio())
        studio.clip(2).write_bytes(EDIT)
        return studio

    whole = edited().crash(float("inf"), "-a", "clip:2").seen
    for k in range(1 + share, whole + 1, 6):
        studio = edited()
        studio.crash(k, "-a", "clip:2")
        assert places_of(studio, EDIT) == 1, k
        studio.pass_time(300)
        studio.doit("-a", "clip:2")
        assert places_of(studio, EDIT) == 1, k


def test_a_move_that_was_killed_between_the_two_names_leaves_no_second_copy(film: Studio) -> None:
    """A process dies between a link and the removal of the old name."""
    film.clip(2).write_bytes(EDIT)
    folder = film.outputs / "takes" / "edited"
    folder.mkdir()
    (folder / "clip_002_edit_1.mp4").hardlink_to(film.clip(2))
    assert film.doit("-a", "clip:2") == 0
    assert edits(film) == [EDIT]


def test_a_disk_error_while_an_edit_is_moved_loses_neither(film: Studio) -> None:
    film.clip(2).write_bytes(EDIT)
    for when in ("before", "after"):

        def fail(name: str, moment: str, when: str = when) -> None:
            if (name, moment) == ("edit.move", when):
                raise OSError(28, "No space left on device")

        with failpoints.hooked(fail):
            assert film.doit("-a", "clip:2") == 1
        assert places_of(film, EDIT) == 1
    assert film.doit("-a", "clip:2") == 0
    assert (film.bought(), served(film), edits(film)) == (4, [2], [EDIT])


def test_edits_are_no_takes_of_a_ledger_that_is_lost(studio: Studio) -> None:
    """A folder of edits alone does not mean that something was bought."""
    folder = studio.outputs / "takes" / "edited"
    folder.mkdir(parents=True)
    (folder / "clip_001_edit_1.mp4").write_bytes(EDIT)
    assert studio.doit() == 0
