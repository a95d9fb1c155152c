"""Takes: listed, picked, kept; none of it buys, none of it is lost."""

import pytest
from fake_clips import fake_clip
from studio import Studio, shots


def in_place(studio: Studio, number: int = 2) -> int:
    return int(studio.report()["clips"][number - 1]["take"])


def outputs(studio: Studio) -> dict[str, tuple[bytes, int]]:
    return {name: state for name, state in studio.disk().items() if name.startswith("outputs/")}


@pytest.mark.slow
def test_takes_lists_every_take_with_its_file_and_marks_the_one_in_place(
    two: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    before = outputs(two)
    capfd.readouterr()
    assert two.doit("takes") == 0
    said = capfd.readouterr().out.splitlines()
    assert [line.split()[:4] for line in said] == [
        ["shot", "1", "*take", "1"],
        ["shot", "2", "take", "1"],
        ["shot", "2", "*take", "2"],
    ]
    files = {str(path.relative_to(two.outputs)) for path in two.takes()}
    assert {word for line in said for word in line.split() if word.endswith(".mp4")} == files
    assert outputs(two) == before


@pytest.mark.slow
def test_a_picked_take_is_put_in_place_free_and_stays(two: Studio) -> None:
    spent = two.booked()
    assert in_place(two) == 2
    assert two.doit("pick", "shot=2", "take=1") == 0
    assert in_place(two) == 1
    assert two.clip(2).read_bytes() in [take.read_bytes() for take in two.takes("take_001.mp4")]
    before = two.disk()
    assert two.doit() == 0
    assert two.disk() == before, "the choice holds, and a run with nothing to do writes nothing"
    two.clip(2).unlink()
    assert two.doit() == 0
    assert in_place(two) == 1
    assert two.doit("pick", "shot=2", "take=2") == 0
    assert in_place(two) == 2
    assert (two.booked(), two.bought()) == (spent, 3)


@pytest.mark.slow
def test_a_new_take_ends_an_earlier_pick(two: Studio) -> None:
    two.doit("pick", "shot=2", "take=1")
    assert two.doit("-a", "clip:2") == 0
    assert two.doit() == 0
    assert (in_place(two), two.bought()) == (3, 4)
    assert len(two.takes()) == 4, "losers are kept"


@pytest.mark.slow
def test_keep_accepts_the_present_clip_for_the_changed_prompt(two: Studio) -> None:
    spent = two.booked()
    shown = two.clip(2).read_bytes()
    two.change_shot(2, runway_prompt="something else")
    assert two.doit("keep", "shot=2") == 0
    entry = two.report()["clips"][1]
    assert (entry["success"], entry["kept"], entry["take"]) == (True, True, 2)
    assert two.doit() == 0
    assert (two.clip(2).read_bytes(), two.booked()) == (shown, spent)
    two.change_shot(2, runway_prompt="yet another thing")
    assert two.doit() == 0
    assert two.bought() == 4, "it was kept for that prompt, not for every one"
    assert two.report()["clips"][1]["kept"] is False


@pytest.mark.slow
def test_a_kept_clip_gives_way_to_a_new_take_and_its_own_prompt_still_has_it(two: Studio) -> None:
    old = two.read_shots()[1]["runway_prompt"]
    shown = two.clip(2).read_bytes()
    two.change_shot(2, runway_prompt="something else")
    two.doit("keep", "shot=2")
    assert two.doit("-a", "clip:2") == 0
    assert two.clip(2).read_bytes() != shown
    assert two.doit() == 0
    assert two.bought() == 4
    two.change_shot(2, runway_prompt=old)
    assert two.doit() == 0
    assert (two.clip(2).read_bytes(), two.bought()) == (shown, 4)


@pytest.mark.slow
def test_a_new_take_can_be_bought_of_a_shot_whose_clip_was_kept(two: Studio) -> None:
    two.change_shot(1, runway_prompt="something else")
    assert two.doit("keep", "shot=1") == 0, "its purchase is not the newest of all"
    assert two.doit("-a", "clip:1") == 0
    assert two.bought() == 4
    assert two.doit() == 0
    assert (two.bought(), two.report()["clips"][0]["kept"]) == (4, False)


@pytest.mark.slow
def test_a_new_take_of_another_provider_ends_an_earlier_pick(two: Studio) -> None:
    two.change_shot(2, pika_prompt="in Pika's words")
    two.doit("pick", "shot=2", "take=1")
    assert two.doit("-a", "clip:2", "primary_api=pika") == 0
    assert two.doit() == 0
    assert two.report()["clips"][1]["api_used"] == "pika"


@pytest.mark.slow
def test_a_clip_that_cannot_be_put_in_place_says_why(two: Studio) -> None:
    two.clip(1).unlink()
    two.clip(1).with_name(".clip_001.mp4.part").mkdir()
    assert two.doit("clip:1") == 1
    assert two.said(".clip_001.mp4.part")


def test_a_prompt_cannot_steer_the_terminal(two: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    two.change_shot(1, runway_prompt="\x1b[2J\x1b]0;owned\x07 a boat")
    capfd.readouterr()
    two.doit("plan")
    two.doit("takes")
    two.doit("list", "--all")
    assert not {"\x1b", "\x07"} & set(capfd.readouterr().out)


@pytest.mark.slow
def test_takes_marks_no_clip_that_is_not_there(two: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    two.clip(2).unlink()
    capfd.readouterr()
    assert two.doit("takes") == 0
    assert "*" not in "".join(line for line in capfd.readouterr().out.splitlines() if "shot   2" in line)


@pytest.mark.slow
def test_a_take_of_an_earlier_prompt_can_be_picked_by_its_full_name(two: Studio) -> None:
    recipe = two.rows()[1]["recipe"] if two.rows()[1]["shot_number"] == 2 else two.rows()[0]["recipe"]
    two.change_shot(2, runway_prompt="something else")
    assert two.doit() == 0
    assert two.doit("pick", "shot=2", f"take={recipe[:8]}/1") == 0
    entry = two.report()["clips"][1]
    assert (entry["kept"], entry["take"], entry["prompt_hash"]) == (True, 1, recipe)
    assert two.doit() == 0
    assert two.bought() == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("pick", "shot=9", "take=1"), "no such shot; the list has 1-2"),
        (("pick", "shot=2", "take=7"), "no such take (it has 1, 2)"),
        (("pick", "shot=2", "take=best"), "by its number"),
        (("pick", "shot=two", "take=1"), "by its number"),
        (("pick", "shot=2"), "say which"),
        (("keep",), "doit keep shot=7"),
        (("keep", "shot=2", "take=1"), "belongs to `doit pick`"),
        (("pick", "keep", "shot=2", "take=1"), "`doit pick` runs alone, as in `doit pick shot=7 take=2`"),
        (("takes", "shot=2"), "not to this command"),
    ],
)
def test_a_choice_that_means_nothing_is_refused_and_nothing_changes(
    two: Studio, capfd: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    before = outputs(two)
    capfd.readouterr()
    assert two.doit(*args) == 3
    assert words in capfd.readouterr().err
    assert outputs(two) == before


def test_a_rejected_take_cannot_be_picked(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots(shots(1))
    studio.faults("clip_short=first:1")
    studio.doit()
    assert studio.doit("pick", "shot=1", "take=1") == 3
    assert "was rejected" in capfd.readouterr().err


@pytest.mark.slow
def test_an_edited_clip_is_not_overwritten_by_a_pick(two: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    edited = fake_clip(width=720, height=1280, duration_s=5)
    two.clip(2).write_bytes(edited)
    assert two.doit("pick", "shot=2", "take=1") == 3
    assert "edited by hand" in capfd.readouterr().err
    assert two.clip(2).read_bytes() == edited


def test_keep_without_a_clip_says_so(studio: Studio, capfd: pytest.CaptureFixture[str]) -> None:
    studio.write_shots(shots(1))
    assert studio.doit("keep", "shot=1") == 3
    assert "has no clip to keep" in capfd.readouterr().err


@pytest.mark.slow
def test_two_shots_of_one_recipe_share_the_choice(studio: Studio) -> None:
    one, other = shots(2)
    other["runway_prompt"] = one["runway_prompt"]
    studio.write_shots([one, other])
    studio.doit()
    studio.doit("-a", "clip:1")
    assert studio.doit("pick", "shot=1", "take=1") == 0
    assert studio.said("shots with the same recipe use it too")
    assert studio.successes() == [True, True], "at once"
    before = outputs(studio)
    assert studio.doit() == 0
    assert outputs(studio) == before
    assert [entry["take"] for entry in studio.report()["clips"]] == [1, 1]
    assert studio.bought() == 2


@pytest.mark.slow
def test_a_single_report_reads_what_is_there_and_buys_nothing(two: Studio) -> None:
    two.change_shot(1, runway_prompt="something else")
    assert two.doit("-s", "report") == 1
    assert [clip["success"] for clip in two.report()["clips"]] == [False, True]
    assert two.bought() == 3


@pytest.mark.slow
def test_a_single_report_of_a_plan_that_does_not_fit_is_written(two: Studio) -> None:
    two.write_shots(shots(40))
    assert two.doit("-s", "report") == 1
    assert two.report()["total_clips"] == 40
    assert two.doit("report") == 3
