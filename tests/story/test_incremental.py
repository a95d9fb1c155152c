"""Only what is stale or missing is bought; everything else is left exactly as it is."""

import os
from collections.abc import Callable

import pictured
import pytest
from fake_clips import fake_clip
from studio import PROBED, Kept, Studio, shots

SHELF: list[Kept] = []
"""The three clips, bought once for all stories that begin with them."""
PNG = pictured.png()


@pytest.fixture
def built(studio: Studio) -> Studio:
    """Three shots, bought and in place."""
    studio.configure(run={"budget_usd": 20})
    if not SHELF:
        assert studio.doit() == 0
        SHELF.append(studio.keep())
    else:
        studio.become(SHELF[0])
    return studio


def other_clip() -> bytes:
    """A video that vgen did not make."""
    return fake_clip(width=720, height=1280, duration_s=5)


def edit(studio: Studio, number: int) -> bytes:
    data = other_clip()
    studio.clip(number).write_bytes(data)
    return data


def assert_bought(studio: Studio, more: int) -> None:
    """So many more purchases than the first three."""
    assert studio.bought() == 3 + more
    assert studio.creates() == 3 + more
    assert studio.booked() == (round(1.8 + 0.6 * more, 6), 0, 0)


# ── nothing to do ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_second_run_asks_nobody_and_touches_nothing(built: Studio) -> None:
    before, asked = built.disk(), built.requests()
    assert built.doit() == 0
    assert built.disk() == before
    assert built.requests() == asked


@pytest.mark.parametrize("args", [("report",), ("clip",), ("clip:2",), ("collect",), ("outputs/clips/clip_002.mp4",)])
def test_any_selection_has_nothing_to_do_either(built: Studio, args: tuple[str, ...]) -> None:
    before, asked = built.disk(), built.requests()
    assert built.doit(*args) == 0
    assert built.disk() == before
    assert built.requests() == asked


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"transition": "fade"},
        {"camera": {"movement": "pan"}},
        {"lighting": "soft"},
        {"style": "noir"},
        {"whatever": [1, 2, 3]},
        {"platform_params": {"motion": 5}},
        {"duration": 5.0},
        {"note": "zażółć"},
    ],
)
def test_what_does_not_decide_the_pixels_costs_nothing(built: Studio, change: dict[str, object]) -> None:
    before = {name: state for name, state in built.disk().items() if not name.startswith("config")}
    built.change_shot(2, **change)
    assert built.doit() == 0
    assert_bought(built, 0)
    assert {name: state for name, state in built.disk().items() if not name.startswith("config")} == before


def test_order_in_the_file_does_not_matter(built: Studio) -> None:
    built.write_shots(list(reversed(built.read_shots())))
    before = built.disk()
    assert built.doit() == 0
    assert built.disk() == before


def test_the_other_shape_of_the_file_is_the_same_list(built: Studio) -> None:
    renamed = [
        {"shot_number": s["shot_number"], "duration": s["duration"], "prompt": s["runway_prompt"]}
        for s in built.read_shots()
    ]
    built.write_shots({"platform": "runway", "prompts": renamed})
    assert built.doit() == 0
    built.write_shots({"visual_prompts": {"prompts": renamed}})
    assert built.doit() == 0
    assert_bought(built, 0)


@pytest.mark.parametrize("section", [{"resolution": "720p"}, {"cost_per_second_usd": 0.5}, {"timeout_seconds": 60}])
def test_price_and_resolution_cost_nothing(built: Studio, section: dict[str, object]) -> None:
    built.configure(runway=section)
    assert built.doit() == 0
    assert_bought(built, 0)


def test_another_model_costs_nothing(built: Studio) -> None:
    built.configure(runway={"model": "veo3.1"})
    assert built.doit() == 0
    assert_bought(built, 0)


def test_another_primary_costs_nothing(built: Studio) -> None:
    assert built.doit("primary_api=pika", "fallback_api=runway") == 0
    assert built.doit("primary_api=pika", "fallback_api=none") == 0
    assert_bought(built, 0)


def test_another_key_costs_nothing(built: Studio) -> None:
    built.environ["RUNWAY_API_KEY"] = "key_vgencanaryfedcba9876543210"
    assert built.doit() == 0
    assert_bought(built, 0)


# ── edits ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_edited_prompt_buys_one_clip_and_leaves_the_others(built: Studio) -> None:
    before = built.disk()
    built.change_shot(2, runway_prompt="another boat")
    assert built.doit() == 0
    assert_bought(built, 1)
    after = built.disk()
    for number in (1, 3):
        name = f"outputs/clips/clip_{number:03d}.mp4"
        assert after[name] == before[name]
    assert built.shown_clip(2) == "another boat"


@pytest.mark.slow
def test_an_undone_edit_costs_nothing_and_brings_the_old_clip_back(built: Studio) -> None:
    old = built.clip(2).read_bytes()
    built.change_shot(2, runway_prompt="another boat")
    built.doit()
    built.change_shot(2, runway_prompt="shot-2 a paper boat")
    assert built.doit() == 0
    assert_bought(built, 1)
    assert built.clip(2).read_bytes() == old


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"duration": 6},
        {"aspect_ratio": "16:9"},
        {"seed": 7},
        {"runway_prompt": "shot-2 a paper boat "},
        {"negative_prompt": "no rain"},
    ],
)
def test_what_decides_the_pixels_buys_one(built: Studio, change: dict[str, object]) -> None:
    built.change_shot(2, **change)
    assert built.doit() == 0
    assert built.bought() == 4
    assert built.doit() == 0
    assert built.bought() == 4


@pytest.mark.slow
def test_the_default_aspect_ratio_buys_all_again_but_for_shots_with_their_own(built: Studio) -> None:
    built.change_shot(1, aspect_ratio="9:16")
    assert built.doit("aspect_ratio=16:9") == 0
    assert_bought(built, 2)


@pytest.mark.slow
def test_a_prompt_for_the_fallback_only_does_not_make_the_clip_stale(built: Studio) -> None:
    built.change_shot(2, pika_prompt="a boat for pika")
    assert built.doit() == 0
    assert_bought(built, 0)
    assert built.doit("primary_api=pika") == 0
    assert_bought(built, 0)


@pytest.mark.slow
def test_each_provider_gets_its_own_prompt(studio: Studio) -> None:
    studio.change_shot(2, pika_prompt="a boat for pika")
    studio.faults("runway.create_moderation=1.0")
    assert studio.doit() == 0
    assert [job["prompt"] for job in studio.jobs("fal")].count("a boat for pika") == 1


def test_a_changed_prompt_of_the_provider_that_made_the_take_makes_it_stale(studio: Studio) -> None:
    studio.change_shot(2, pika_prompt="a boat for pika")
    studio.faults("runway.create_moderation=~shot-2")
    assert studio.doit() == 0
    assert studio.clips()[1]["api_used"] == "pika"
    studio.change_shot(2, pika_prompt="another boat for pika")
    assert studio.doit() == 0
    assert studio.bought() == 4
    assert studio.shown_clip(2) == "another boat for pika"


def test_a_shot_inserted_in_front_buys_one_and_renumbers_the_rest(built: Studio) -> None:
    old = {number: built.clip(number).read_bytes() for number in (1, 2, 3)}
    moved = [shot | {"shot_number": shot["shot_number"] + 1} for shot in built.read_shots()]
    built.write_shots([{"shot_number": 1, "duration": 5, "prompt": "a new beginning"}, *moved])
    assert built.doit() == 0
    assert_bought(built, 1)
    for number in (1, 2, 3):
        assert built.clip(number + 1).read_bytes() == old[number]
    assert built.shown_clip(1) == "a new beginning"


def test_swapped_numbers_swap_the_clips(built: Studio) -> None:
    one, two = built.clip(1).read_bytes(), built.clip(2).read_bytes()
    first, second, third = built.read_shots()
    built.write_shots([first | {"shot_number": 2}, second | {"shot_number": 1}, third])
    assert built.doit() == 0
    assert_bought(built, 0)
    assert (built.clip(1).read_bytes(), built.clip(2).read_bytes()) == (two, one)


@pytest.mark.slow
def test_an_image_is_part_of_the_recipe_by_content(studio: Studio) -> None:
    picture = studio.root / "frame.png"
    picture.write_bytes(PNG + b"one")
    studio.change_shot(2, image="frame.png")
    assert studio.doit() == 0
    picture.rename(studio.root / "renamed.png")
    studio.change_shot(2, image="renamed.png")
    assert studio.doit() == 0
    assert studio.bought() == 3
    (studio.root / "renamed.png").write_bytes(PNG + b"two")
    assert studio.doit("budget_usd=9") == 0
    assert studio.bought() == 4


# ── shots of one recipe ───────────────────────────────────────────────────────────────────────────────────


def test_two_shots_of_one_recipe_share_a_purchase(studio: Studio) -> None:
    first = shots(1)[0]
    studio.write_shots([first, first | {"shot_number": 2, "transition": "fade"}])
    assert studio.doit() == 0
    assert studio.bought() == 1
    assert studio.clip(1).read_bytes() == studio.clip(2).read_bytes()
    assert studio.successes() == [True, True]
    assert studio.booked() == (0.6, 0, 0)


@pytest.mark.slow
def test_a_seed_tells_two_shots_apart(studio: Studio) -> None:
    first = shots(1)[0]
    studio.write_shots([first | {"seed": 1}, first | {"shot_number": 2, "seed": 2}])
    assert studio.doit() == 0
    assert studio.bought() == 2


@pytest.mark.slow
def test_shots_that_share_a_fallback_recipe_buy_it_once(studio: Studio) -> None:
    first = shots(1)[0] | {"pika_prompt": "one for both"}
    second = shots(2)[1] | {"pika_prompt": "one for both"}
    studio.write_shots([first, second])
    studio.faults("runway.create_moderation=1.0")
    assert studio.doit() == 0
    assert studio.bought() == 1
    assert studio.successes() == [True, True]


def test_a_copied_shot_costs_nothing(built: Studio) -> None:
    third = built.read_shots()[2]
    built.write_shots([*built.read_shots(), third | {"shot_number": 9}])
    assert built.doit() == 0
    assert_bought(built, 0)
    assert built.clip(9).read_bytes() == built.clip(3).read_bytes()


# ── files that are gone, damaged or changed ───────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b'{"clip:1": 5}',
    ],
)
def test_doits_database_can_be_lost(built: Studio, content: bytes | None) -> None:
    database = built.root / ".doit.db"
    if content is None:
        database.unlink(missing_ok=True)
    else:
        database.write_bytes(content)
    asked = built.requests()
    assert built.doit() == 0
    assert_bought(built, 0)
    assert built.requests() == asked


def test_a_deleted_clip_comes_back_free(built: Studio) -> None:
    old, asked = built.clip(2).read_bytes(), built.requests()
    built.clip(2).unlink()
    assert built.doit() == 0
    assert built.clip(2).read_bytes() == old
    assert built.requests() == asked


def test_all_clips_deleted_come_back_free(built: Studio) -> None:
    asked = built.requests()
    for number in (1, 2, 3):
        built.clip(number).unlink()
    built.clip(1).parent.rmdir()
    assert built.doit() == 0
    assert all(built.clip(number).exists() for number in (1, 2, 3))
    assert built.requests() == asked


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0, 10, 50_000, 149_999])
def test_a_truncated_clip_comes_back_free(built: Studio, keep: int) -> None:
    old, asked = built.clip(2).read_bytes(), built.requests()
    built.clip(2).write_bytes(old[:keep])
    assert built.doit() == 0
    assert built.clip(2).read_bytes() == old
    assert built.requests() == asked


@pytest.mark.slow
def test_a_touched_clip_is_left_alone(built: Studio) -> None:
    os.utime(built.clip(2), (1, 1))
    before = built.disk()
    assert built.doit() == 0
    assert built.disk()["outputs/clips/clip_002.mp4"] == before["outputs/clips/clip_002.mp4"]
    assert_bought(built, 0)


@pytest.mark.slow
def test_a_clip_edited_by_hand_is_left_and_told(built: Studio) -> None:
    edited = edit(built, 2)
    for _ in range(2):
        assert built.doit() == 0
        assert built.clip(2).read_bytes() == edited
    assert_bought(built, 0)
    assert built.report()["clips"][1]["edited"] is True
    assert built.doit("-a", "report") == 0
    assert built.doit("clip:2") == 0
    assert built.clip(2).read_bytes() == edited


def test_an_edited_clip_is_judged_once(built: Studio) -> None:
    edit(built, 2)
    built.doit()
    before = built.disk()
    PROBED.clear()
    assert built.doit() == 0
    assert built.disk() == before
    assert not PROBED


@pytest.mark.slow
def test_an_edit_that_is_put_back_is_no_edit_any_more(built: Studio) -> None:
    old = built.clip(2).read_bytes()
    edit(built, 2)
    built.doit()
    assert built.report()["clips"][1].get("edited")
    built.clip(2).write_bytes(old)
    assert built.doit() == 0
    assert not built.report()["clips"][1].get("edited")
    built.change_shot(2, runway_prompt="another boat")
    assert built.doit() == 0
    assert built.shown_clip(2) == "another boat"


@pytest.mark.slow
def test_an_edited_clip_that_is_damaged_later_gives_the_take_back(built: Studio) -> None:
    old = built.clip(2).read_bytes()
    edit(built, 2)
    built.doit()
    built.clip(2).write_bytes(b"nothing that plays")
    assert built.doit() == 0
    assert built.clip(2).read_bytes() == old
    assert_bought(built, 0)


def test_a_clip_that_is_a_link_out_of_the_outputs_is_refused(built: Studio) -> None:
    outside = built.root / "precious.mp4"
    outside.write_bytes(other_clip())
    built.clip(2).unlink()
    built.clip(2).symlink_to(outside)
    for args in [(), ("-a", "clip:2")]:
        assert built.doit(*args) == 3
    assert outside.read_bytes() == other_clip()
    assert_bought(built, 0)


def test_one_clip_copied_over_another_is_an_edit(built: Studio) -> None:
    data = built.clip(1).read_bytes()
    built.clip(2).write_bytes(data)
    assert built.doit() == 0
    assert built.clip(2).read_bytes() == data
    assert built.report()["clips"][1]["edited"] is True


def test_a_damaged_clip_whose_new_purchase_fails_is_not_called_good(built: Studio) -> None:
    built.clip(2).write_bytes(b"")
    built.change_shot(2, runway_prompt="another boat")
    built.worsen("create_moderation=~another")
    assert built.doit() == 1
    assert built.successes() == [True, False, True]
    assert built.clips()[1]["clip_path"] is None


def test_an_edited_clip_is_replaced_by_minus_a_and_its_take_stays(built: Studio) -> None:
    edited = edit(built, 2)
    assert built.doit("-a", "clip:2") == 0
    assert_bought(built, 1)
    assert built.clip(2).read_bytes() != edited
    assert len(built.takes("take_*.mp4")) == 4
    assert [path.read_bytes() for path in built.takes("edited/*")] == [edited]
    assert built.doit() == 0
    assert "edited" not in built.report()["clips"][1]


@pytest.mark.slow
def test_an_edited_clip_whose_prompt_has_changed_is_held(built: Studio) -> None:
    edited = edit(built, 2)
    built.change_shot(2, runway_prompt="another boat")
    assert built.doit("min_success_rate=0") == 0
    assert_bought(built, 0)
    assert built.clip(2).read_bytes() == edited
    assert "edited by hand" in built.errors()[1]
    assert "-a clip:2" in built.errors()[1]
    assert built.doit("clip:2") == 1
    assert built.clip(2).read_bytes() == edited
    assert built.doit("-a", "clip:2") == 0
    assert built.shown_clip(2) == "another boat"
    assert_bought(built, 1)


@pytest.mark.slow
def test_an_edit_seen_with_the_change_of_the_prompt_is_held_too(built: Studio) -> None:
    edit(built, 2)
    built.doit()
    built.change_shot(2, runway_prompt="another boat")
    assert built.doit() == 1
    built.change_shot(2, runway_prompt="shot-2 a paper boat")
    assert built.doit() == 0
    assert_bought(built, 0)


@pytest.mark.slow
def test_a_deleted_edit_gives_the_take_back(built: Studio) -> None:
    old = built.clip(2).read_bytes()
    edit(built, 2)
    built.doit()
    built.clip(2).unlink()
    assert built.doit() == 0
    assert built.clip(2).read_bytes() == old
    assert_bought(built, 0)


@pytest.mark.slow
def test_a_foreign_file_under_a_clips_name_is_not_overwritten(studio: Studio) -> None:
    studio.clip(2).parent.mkdir(parents=True)
    foreign = edit(studio, 2)
    assert studio.doit() == 1
    assert studio.clip(2).read_bytes() == foreign
    assert studio.bought() == 2
    assert studio.doit("-a", "clip:2") == 0
    assert studio.clip(2).read_bytes() != foreign
    assert studio.bought() == 3


def test_a_deleted_master_is_no_reason_to_do_anything(built: Studio) -> None:
    for take in built.takes():
        take.unlink()
    assert built.doit() == 0
    assert_bought(built, 0)


def test_a_deleted_master_comes_back_from_a_clip_that_holds_it(built: Studio) -> None:
    for take in built.takes():
        take.unlink()
    moved = [shot | {"shot_number": shot["shot_number"] + 3} for shot in built.read_shots()]
    built.write_shots([*built.read_shots(), *moved])
    assert built.doit() == 0
    assert_bought(built, 0)
    assert built.clip(4).read_bytes() == built.clip(1).read_bytes()


@pytest.mark.slow
def test_clip_and_master_deleted_is_told_or_fetched_but_never_bought_unasked(built: Studio) -> None:
    built.clip(2).unlink()
    (take,) = [path for path in built.takes() if path.read_bytes().find(b"shot-2") > 0]
    take.unlink()
    built.doit()
    assert_bought(built, 0)
    if not built.successes()[1]:
        assert "-a clip:2" in built.errors()[1]
        assert built.doit("clip:2") == 1
    assert built.doit("-a", "clip:2") == 0
    assert_bought(built, 1)


@pytest.mark.slow
def test_a_damaged_master_is_not_put_in_place(built: Studio) -> None:
    built.clip(2).unlink()
    (take,) = [path for path in built.takes() if path.read_bytes().find(b"shot-2") > 0]
    data = take.read_bytes()
    take.chmod(0o644)
    take.write_bytes(data[:1000])
    built.doit()
    assert_bought(built, 0)
    assert not built.clip(2).exists() or built.clip(2).read_bytes() == data
    take.write_bytes(data)
    assert built.doit() == 0
    assert built.clip(2).read_bytes() == data


# ── shots that leave ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_removed_shot_takes_its_clip_along_and_leaves_its_take(built: Studio) -> None:
    built.write_shots(built.read_shots()[:2])
    assert built.doit() == 0
    assert not built.clip(3).exists()
    assert len(built.takes()) == 3
    assert len(built.clips()) == 2
    before = built.disk()
    assert built.doit() == 0
    assert built.disk() == before


def test_a_removed_shot_that_comes_back_costs_nothing(built: Studio) -> None:
    everything = built.read_shots()
    built.write_shots(everything[:2])
    built.doit()
    built.write_shots(everything)
    assert built.doit() == 0
    assert_bought(built, 0)
    assert built.clip(3).exists()


def test_an_edited_clip_of_a_removed_shot_is_left_and_told(built: Studio) -> None:
    edited = edit(built, 3)
    built.write_shots(built.read_shots()[:2])
    for _ in range(2):
        assert built.doit() == 0
        assert built.clip(3).read_bytes() == edited
    assert any("clip_003.mp4" in line for line in built.report()["left_over"])


@pytest.mark.slow
def test_naming_a_clip_removes_no_other(built: Studio) -> None:
    built.write_shots(built.read_shots()[:2])
    assert built.doit("clip:1") == 0
    assert built.clip(3).exists()


def test_renumbering_leaves_no_stale_clip_behind(built: Studio) -> None:
    built.write_shots([shot | {"shot_number": shot["shot_number"] + 10} for shot in built.read_shots()])
    assert built.doit() == 0
    assert_bought(built, 0)
    names = sorted(path.name for path in built.clip(1).parent.glob("*.mp4"))
    assert names == ["clip_011.mp4", "clip_012.mp4", "clip_013.mp4"]


def test_foreign_files_beside_the_clips_are_left_alone(built: Studio) -> None:
    foreign = built.clip(1).with_name("music.mp3")
    foreign.write_bytes(b"la la la")
    strange = built.clip(99)
    strange.write_bytes(other_clip())
    assert built.doit() == 0
    built.change_shot(1, runway_prompt="another boat")
    assert built.doit() == 0
    assert foreign.exists()
    assert strange.exists()


# ── simulated and live ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_simulated_takes_never_satisfy_a_live_run(new_studio: Callable[..., Studio]) -> None:
    studio = new_studio()
    studio.faults(render_s=3)
    assert studio.doit("mode=simulate") == 0
    assert studio.report()["simulated"] is True
    assert studio.doit() == 0
    assert studio.bought() == 6
    assert studio.report()["simulated"] is False
    assert all(not entry["simulated"] for entry in studio.report()["clips"])


@pytest.mark.slow
def test_a_simulated_run_puts_nothing_in_the_place_of_clips_that_were_paid(
    new_studio: Callable[..., Studio],
) -> None:
    """Contract 18: one `outputs` never mixes rehearsal and reality."""
    studio = new_studio()
    studio.faults(render_s=3)
    assert studio.doit() == 0
    live, bought = studio.clip(1).read_bytes(), studio.bought()
    assert studio.doit("mode=simulate") == 3
    assert studio.clip(1).read_bytes() == live
    assert studio.report()["simulated"] is False
    assert studio.doit() == 0
    assert studio.bought() == bought


@pytest.mark.slow
def test_without_keys_the_run_simulates_and_says_so(
    new_studio: Callable[..., Studio], capsys: pytest.CaptureFixture[str]
) -> None:
    studio = new_studio(live=False)
    studio.faults(render_s=3)
    assert studio.doit() == 0
    assert "simulated run (no API key is set)" in capsys.readouterr().out
    assert studio.report()["simulated"] is True
    before = studio.disk()
    assert studio.doit() == 0
    assert studio.disk() == before


# ── one by one ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("word", ["clip:2", "outputs/clips/clip_002.mp4"])
def test_one_clip_can_be_named(studio: Studio, word: str) -> None:
    assert studio.doit(word) == 0
    assert studio.bought() == 1
    assert studio.clip(2).exists()
    assert not studio.clip(1).exists()


@pytest.mark.slow
@pytest.mark.parametrize("word", ["clip", "clip:*", "report"])
def test_a_group_or_a_glob_builds_all(studio: Studio, word: str) -> None:
    assert studio.doit(word) == 0
    assert studio.bought() == 3


@pytest.mark.parametrize("word", ["clip:4", "clip:x", "klip", "outputs/clips/clip_004.mp4"])
def test_an_unknown_clip_is_refused(studio: Studio, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert studio.doit(word) == 3
    assert studio.creates() == 0
    assert "Traceback" not in capsys.readouterr().err


def test_minus_a_buys_one_more_take_and_keeps_the_earlier(built: Studio) -> None:
    old = built.clip(3).read_bytes()
    assert built.doit("-a", "clip:3") == 0
    assert_bought(built, 1)
    assert built.clip(3).read_bytes() != old
    assert [path.name for path in built.takes()].count("take_002.mp4") == 1
    assert any(path.read_bytes() == old for path in built.takes())
    assert built.doit() == 0
    assert_bought(built, 1)
    assert built.clips()[2]["cost_usd"] == 0.6
    assert built.report()["clips"][2]["take"] == 2
    assert built.report()["budget"]["spent_usd"] == 2.4


def test_minus_a_by_target_path_buys_one_more(built: Studio) -> None:
    assert built.doit("-a", "outputs/clips/clip_003.mp4") == 0
    assert_bought(built, 1)


def test_minus_a_twice_buys_two_more(built: Studio) -> None:
    for _ in range(2):
        assert built.doit("-a", "clip:3") == 0
    assert_bought(built, 2)


@pytest.mark.parametrize("args", [("-a",), ("-a", "report"), ("-a", "gallery"), ("-a", "collect")])
def test_minus_a_without_a_named_clip_buys_nothing(built: Studio, args: tuple[str, ...]) -> None:
    assert built.doit(*args) == 0
    assert_bought(built, 0)


def test_minus_a_alone_on_a_new_project_buys_each_clip_once(studio: Studio) -> None:
    assert studio.doit("-a") == 0
    assert studio.bought() == 3


def test_minus_a_on_a_clip_that_was_never_made_buys_one(studio: Studio) -> None:
    assert studio.doit("-a", "clip:2") == 0
    assert studio.bought() == 1


@pytest.mark.slow
def test_minus_a_for_one_of_two_shots_of_one_recipe_leaves_the_other(studio: Studio) -> None:
    first = shots(1)[0]
    studio.write_shots([first, first | {"shot_number": 2}])
    studio.doit()
    old = studio.clip(1).read_bytes()
    assert studio.doit("-a", "clip:2") == 0
    assert studio.bought() == 2
    assert studio.clip(1).read_bytes() == old
    assert studio.clip(2).read_bytes() != old
    before = studio.disk()
    assert studio.doit() == 0
    assert studio.clip(1).read_bytes() == old
    assert studio.bought() == 2
    assert {k: v for k, v in studio.disk().items() if "clips/" in k} == {
        k: v for k, v in before.items() if "clips/" in k
    }


@pytest.mark.slow
def test_minus_a_after_a_final_refusal_asks_once_more(studio: Studio) -> None:
    studio.faults("create_moderation=~shot-2")
    studio.doit()
    assert studio.doit() == 1
    assert studio.creates() == 4
    studio.calm()
    assert studio.doit("-a", "clip:2") == 0
    assert studio.creates() == 5


@pytest.mark.slow
def test_minus_a_does_not_buy_beside_an_uncertain_purchase(studio: Studio) -> None:
    studio.configure(run={"budget_usd": 9})
    studio.faults("create_lost=~shot-2")
    studio.doit()
    studio.calm()
    assert studio.doit("-a", "clip:2") == 1
    assert studio.bought() == 3
    assert studio.doit("-a", "clip:2", "on_uncertain=rebuy") == 0
    assert studio.bought() == 4
    assert studio.booked() == (1.8, 0, 0.6)


def test_minus_a_for_two_clips_buys_two(built: Studio) -> None:
    assert built.doit("-a", "clip:1", "clip:3") == 0
    assert_bought(built, 2)


def test_minus_a_with_a_glob_buys_what_it_names(built: Studio) -> None:
    assert built.doit("-a", "clip:*") == 0
    assert_bought(built, 3)


@pytest.mark.slow
def test_minus_a_for_a_bad_clip_is_tried_again_once_more(built: Studio) -> None:
    built.worsen("runway.clip_480p=1.0")
    assert built.doit("-a", "clip:3", "fallback_api=none") == 1
    assert_bought(built, 2)
    built.calm()
    assert built.doit() == 0
    assert built.successes() == [True, True, True]
    assert_bought(built, 2)


def test_minus_a_over_budget_is_refused(built: Studio) -> None:
    assert built.doit("-a", "clip:3", "budget_usd=2.00") == 3
    assert_bought(built, 0)
    assert built.doit("-a", "clip:3", "budget_usd=2.40") == 0


@pytest.mark.slow
def test_minus_a_that_fails_leaves_the_earlier_clip(built: Studio) -> None:
    old = built.clip(3).read_bytes()
    built.worsen("create_moderation=1.0")
    assert built.doit("-a", "clip:3") == 1
    assert built.clip(3).read_bytes() == old
    built.calm()
    assert built.doit() == 0
    assert built.clip(3).read_bytes() == old
    assert built.successes() == [True, True, True]
    assert_bought_at_runway(built, 3)


def assert_bought_at_runway(studio: Studio, jobs: int) -> None:
    assert len(studio.jobs("runway")) == jobs


def test_minus_a_whose_answer_is_lost_leaves_the_earlier_clip(built: Studio) -> None:
    old = built.clip(3).read_bytes()
    built.worsen("create_lost=1.0")
    assert built.doit("-a", "clip:3") == 1
    built.calm()
    built.doit()
    assert built.clip(3).read_bytes() == old
    assert built.bought() == 4
    assert built.booked() == (1.8, 0, 0.6)


@pytest.mark.slow
def test_the_price_of_a_removed_clip_stays_in_the_budget(built: Studio) -> None:
    built.write_shots(built.read_shots()[:1])
    built.doit()
    report = built.report()
    assert report["total_cost_usd"] == 0.6
    assert report["budget"]["spent_usd"] == 1.8


def test_an_edit_is_judged_by_its_own_size_at_the_gate(studio: Studio) -> None:
    assert studio.doit() == 0
    studio.clip(1).write_bytes(fake_clip(width=480, height=854, duration_s=5))
    assert studio.doit() == 1
    entry = studio.report()["clips"][0]
    assert (entry["edited"], entry["width"], entry["height"]) == (True, 480, 854)
    assert [gate["name"] for gate in studio.report()["gates"] if not gate["passed"]] == ["resolution"]
