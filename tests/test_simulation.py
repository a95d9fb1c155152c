"""Proof by simulation: many bad days, every durable point, bugs put in on purpose. See docs/proof.md."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import thorough
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from simulation import command, odd, points, promises, schedule, vendors
from simulation.ledger_machine import LedgerMachine
from simulation.mutants import MUTANTS, mutated
from simulation.play import play
from simulation.regressions import ODD_REGRESSIONS, REGRESSIONS

BLOCK = 6
"""So many schedules a test: it takes about a second."""
LONG_BLOCK = 30
EACH_CHANGE = 6
MANY = 2000 if thorough.ALL else 36
"""So many schedules with every change that lands; a release plays more."""
SHARES = 16
"""A scene's points are shared out to so many tests."""


def held(seeds: range | list[int]) -> None:
    broken = [f"seed {seed}: {found}" for seed in seeds if (found := play(seed).violation)]
    assert not broken, "\n".join([*broken, "again: python -m tests.simulation --trace --seed N"])


# ── schedules ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", range(0, EACH_CHANGE, BLOCK))
def test_the_promises_hold_on_random_bad_days(first: int) -> None:
    held(range(first, first + BLOCK))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(EACH_CHANGE, MANY, LONG_BLOCK))
def test_the_promises_hold_on_thousands_of_bad_days(first: int) -> None:
    held(range(first, min(first + LONG_BLOCK, MANY)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", REGRESSIONS, ids=lambda seed: f"{seed}: {REGRESSIONS[seed]}")
def test_what_was_broken_once_stays_whole(seed: int) -> None:
    assert not play(seed, odd.DRAWS - odd.LATER).violation  # as then


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "seed"),
    [one for one, (broken, _) in ODD_REGRESSIONS.items() if one[0] not in odd.OFF and broken not in promises.LENIENT],
)
def test_an_odd_day_that_broke_a_promise_breaks_it_no_more(kind: str, seed: int) -> None:
    assert not play(seed, frozenset(kind.split(","))).violation


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 13, 18])
def test_a_seed_tells_the_same_story_again(seed: int) -> None:
    assert play(seed).story == play(seed).story


def test_schedules_are_of_many_kinds() -> None:
    drawn = [schedule.draw(seed) for seed in range(400)]
    kinds = Counter(type(step).__name__ for each in drawn for step in each.steps)
    assert set(kinds) == {"Write", "Doit", "Weather", "Meddle", "Wait", "Settle", "Odd"}
    everything = [schedule.draw(seed, frozenset(odd.KINDS)) for seed in range(400)]
    assert {step.kind for each in everything for step in each.steps if isinstance(step, odd.Odd)} == set(odd.KINDS)
    words = Counter(
        word for each in drawn for step in each.steps if isinstance(step, schedule.Doit) for word in step.args
    )
    assert {"-a", "recover", "partial=yes", "partial=no", "on_uncertain=rebuy", "fallback_api=none"} <= set(words)
    faults = {
        fault.partition("=")[0].rpartition(".")[2]
        for each in drawn
        for step in each.steps
        if isinstance(step, schedule.Weather)
        for fault in step.faults
    }
    assert faults == {name for names in (*schedule.GROUPS.values(), vendors.FAULTS) for name in names}
    assert sum(each.quiet for each in drawn) == 40


@pytest.mark.slow
def test_the_command_line_says_what_held_and_how_to_repeat_what_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--count", "2", "--faults"]) == 0
    assert "2 schedules (from 0)" in capsys.readouterr().out
    assert command.main(["--count", "10", "--mutant", "publish_unjudged"]) == 0
    said = capsys.readouterr().out
    assert "--trace --mutant publish_unjudged" in said
    assert "is caught by schedule" in said
    assert command.main(["--seed", "1", "--trace"]) == 0
    assert "doit max_retries=" in capsys.readouterr().out.replace("clip:", "")


# ── bugs put in on purpose ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_a_bug_put_in_on_purpose_is_caught(name: str) -> None:
    """By the schedule that the page names; if vgen has changed since, by another one."""
    after = told_of(name)
    assert 0 < after <= MUTANTS[name].within
    assert command.caught_by(name, after) or command.caught_after(name)


def told_of(name: str) -> int:
    """After how many schedules a bug is caught, as the page of proof says."""
    page = (Path(__file__).parent.parent / "docs" / "proof.md").read_text("utf-8")
    what, within = re.escape(MUTANTS[name].what), MUTANTS[name].within
    row = re.search(rf"^\| {what} \| `{name}` \| M\d+ \| (\d+) \| {within} \|$", page, re.MULTILINE)
    assert row, f"docs/proof.md: `python -m tests.simulation --mutants` prints the table with {name}"
    return int(row[1])


def test_the_page_of_proof_names_every_bug_that_is_put_in() -> None:
    for name in MUTANTS:
        told_of(name)


# ── every durable point ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_no_durable_act_is_left_out() -> None:
    """The source's points are the table's, and the scenes reach every name of the table."""
    assert points.in_source() == points.NAMES.keys() | points.UNREACHED.keys()
    assert set(points.reached()) == {name for names in points.NAMES.values() for name in names}


def shared(scene: str, share: int, each: Callable[[int], None], where: Sequence[int]) -> Iterator[str]:
    """What went wrong at this share of a scene's points."""
    for k in where[share::SHARES]:
        try:
            each(k)
        except Exception as broken:
            yield f"{scene}, point {k}: {broken}"


@pytest.mark.slow
@pytest.mark.parametrize("share", thorough.some(range(SHARES), SHARES // 2))
@pytest.mark.parametrize("scene", points.SCENES)
def test_a_kill_at_any_durable_point_breaks_no_promise(scene: str, share: int) -> None:
    assert not list(shared(scene, share, lambda k: points.die_at(scene, k), points.every(scene)))


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["at it", "at the next fsync"])
@pytest.mark.parametrize("share", thorough.some(range(SHARES), SHARES))
@pytest.mark.parametrize("scene", points.SCENES)
def test_a_power_loss_at_any_durable_point_breaks_no_promise(scene: str, share: int, late: bool) -> None:
    where = points.ways_to_die_late(scene) if late else points.every(scene)
    assert not list(shared(scene, share, lambda k: points.lose_at(scene, k, late=late), where))


@pytest.mark.slow
def test_points_that_share_their_next_fsync_are_one_death() -> None:
    """So that the test above plays one of them for all."""
    scene = "a shot leaves the list"
    first = points.ways_to_die_late(scene)
    last = [k - 1 for k in first[1:]] + [points.every(scene)[-1]]
    assert any(k < end for k, end in zip(first, last, strict=True))
    for k, end in zip(first, last, strict=True):
        assert points.lose_at(scene, k, late=True) == points.lose_at(scene, end, late=True)


@pytest.mark.slow
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("share", thorough.some(range(SHARES), SHARES))
@pytest.mark.parametrize("scene", points.SCENES)
def test_a_disk_error_at_any_durable_point_breaks_no_promise(scene: str, share: int, for_ever: bool) -> None:
    assert not list(shared(scene, share, lambda k: points.fail_at(scene, k, for_ever=for_ever), points.acts(scene)))


@pytest.mark.slow
@pytest.mark.parametrize("scene", ["a lost answer is found", "two shots", "a new take"])
def test_a_kill_a_power_loss_and_a_disk_error_here_and_there_break_no_promise(scene: str) -> None:
    for k in (9, 20, 31):
        points.die_at(scene, k)
        points.lose_at(scene, k, late=k % 2 == 0)
        points.fail_at(scene, k // 2, for_ever=k % 2 == 0)


# ── the ledger ────────────────────────────────────────────────────────────────────────────────────────────────────────


def machine(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.slow
def test_the_ledger_agrees_with_its_oracle() -> None:
    run_state_machine_as_test(LedgerMachine, settings=machine(30))


@pytest.mark.slow
def test_the_ledger_agrees_with_its_oracle_in_many_stories() -> None:
    run_state_machine_as_test(LedgerMachine, settings=machine(500 if thorough.ALL else 90))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", thorough.some(["uncertain_is_spendable", "supersede_silently", "buy_again_after_crash"], 3)
)
def test_the_oracle_finds_a_broken_ledger(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    broken = settings(machine(3000), phases=[Phase.generate])  # ends with the first that it finds
    with mutated(name), pytest.raises(AssertionError):
        run_state_machine_as_test(LedgerMachine, settings=broken)
