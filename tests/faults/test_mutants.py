"""Bugs put in on purpose that no schedule draws yet: each breaks the story of its row, or the row proves nothing."""

from collections.abc import Callable

import pytest
from faults import test_faults_changes as changed
from faults import test_faults_over as over
from faults import test_faults_prices as prices
from faults import test_faults_worlds as worlds
from faults.scripted import ScriptedStudio
from simulation.mutants import UNDRAWN, mutated

STORIES: dict[str, Callable[[ScriptedStudio], None]] = {
    "unknown_kinds_at_once": prices.test_fault_100_four_at_once_are_not_ordered_at_a_price_that_nobody_knows,
    "keep_what_is_too_dear": prices.test_fault_100_four_at_once_are_not_ordered_at_a_price_that_nobody_knows,
    "forget_told_prices": lambda studio: _with_one(
        studio, prices.test_fault_102_a_charge_above_the_table_binds_the_next_run
    ),
    "send_what_lies_there": lambda studio: _with_pictures(
        studio, changed.test_fault_103_a_picture_that_was_replaced_while_its_shot_waited_is_not_sent
    ),
    "overwrite_edits": changed.test_fault_104_a_clip_that_is_edited_during_the_run_is_kept_and_told,
    "believe_anothers_file": changed.test_fault_105_another_shots_file_served_by_mistake_is_fetched_again,
    "simulator_passes_for_real": (
        worlds.test_fault_106_what_the_simulators_server_delivers_is_simulated_whatever_the_mode_says
    ),
    "simulate_over_the_film": lambda studio: _with_film(
        studio, worlds.test_fault_107_a_terminal_without_the_key_leaves_a_finished_film_as_it_is
    ),
    "mix_the_worlds": lambda studio: _mixed(studio),
    "believe_the_port": lambda studio: (
        worlds.test_fault_109_who_answers_at_an_address_is_asked_again_before_the_first_order(studio, later=True)
    ),
    "absent_at_first_sight": lambda studio: _with_one(
        studio, over.test_fault_112_two_not_founds_at_the_ends_of_two_runs_do_not_add_up
    ),
    "absences_add_up": lambda studio: _with_one(
        studio, over.test_fault_110_not_found_for_most_of_a_minute_and_then_running_begins_the_minute_anew
    ),
    "lost_for_good": lambda studio: _with_one(
        studio, over.test_fault_085_a_result_that_was_given_up_is_asked_for_right_before_another_is_bought
    ),
    "bad_at_first_sight": lambda studio: _with_one(
        studio, over.test_fault_113_a_preview_that_is_served_once_costs_one_more_get
    ),
    "any_account_forgets": lambda studio: _with_one(
        studio, over.test_fault_111_another_accounts_key_writes_off_no_rendered_clip
    ),
    "our_clock_tells": lambda studio: _with_one(
        studio, over.test_fault_086_a_clock_that_is_days_ahead_ends_no_waiting_for_a_file
    ),
    "no_earlier_order_needed": over.test_fault_087_an_order_is_not_there_only_if_an_earlier_one_is_listed,
    "settle_uncertain_only": lambda studio: _with_one(
        studio, over.test_fault_090_a_job_of_a_shot_that_left_the_list_ends_by_its_id
    ),
    "no_way_out": lambda studio: _with_one(studio, _settled_as_not_charged),
}


def _settled_as_not_charged(studio: ScriptedStudio) -> None:
    over.test_fault_090_as_not_charged_frees_the_price_and_the_shot(studio, over.renders_for_ever)


def _with_one(studio: ScriptedStudio, story: Callable[[ScriptedStudio], None]) -> None:
    studio.write_shots(studio.read_shots()[:1])
    studio.configure(run={"budget_usd": 20})
    story(studio)


def _with_pictures(studio: ScriptedStudio, story: Callable[[ScriptedStudio], None]) -> None:
    story(changed.with_pictures(studio))


def _with_film(studio: ScriptedStudio, story: Callable[[ScriptedStudio], None]) -> None:
    story(worlds.finished(studio))


def _mixed(studio: ScriptedStudio) -> None:
    worlds.at_the_simulator(studio)
    assert studio.doit("mode=live") == 0
    worlds.at_its_own_address(studio)
    assert studio.doit("mode=live") == 3


@pytest.mark.slow
@pytest.mark.parametrize("name", UNDRAWN)
def test_a_bug_put_in_on_purpose_breaks_its_story(name: str, studio: ScriptedStudio) -> None:
    studio.provider_lies = True
    with mutated(name), pytest.raises((AssertionError, IndexError)):
        STORIES[name](studio)
    studio.check_clips = lambda: None  # type: ignore[method-assign]  # broken on purpose


def test_every_story_is_of_a_bug() -> None:
    assert STORIES.keys() == UNDRAWN.keys()
