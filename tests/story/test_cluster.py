"""Whole runs on simulated workers, in virtual time: whatever becomes of the workers, money and clips are the same."""

import math
import random
from collections.abc import Callable

import pytest
from simulated_workers import fates, lying, on_a_cluster
from studio import KEYS, Studio, shots


def assert_each_clip_was_bought_once(studio: Studio, count: int) -> None:
    assert [clip["success"] for clip in studio.clips()] == [True] * count
    assert studio.states() == ["accepted"] * count
    assert studio.creates() == count
    studio.check_money()
    left = [
        *studio.outputs.glob(".vgen/parts/*"),
        *studio.outputs.glob(".vgen/cluster-*"),
        *studio.outputs.rglob("*.part"),
    ]
    assert left == []


def test_a_production_is_made_on_workers_and_says_where(studio: Studio) -> None:
    studio.write_shots(shots(40))
    workers = on_a_cluster(studio)
    assert studio.doit("budget_usd=50", "max_concurrent=40") == 0
    assert_each_clip_was_bought_once(studio, 40)
    kinds = [one["kind"] for one in workers.asked]
    assert (kinds.count("Bring"), kinds.count("Put")) == (40, 40)
    assert sum("checked at host-" in line for line in studio.lines) == 40
    assert "OK (at host-" in (studio.outputs / "gallery.html").read_text("utf-8")
    assert not any(key in line for key in KEYS.values() for line in workers.lines)
    assert not any("cluster:" in line for line in studio.lines)


@pytest.mark.parametrize("seed", range(6))
def test_workers_that_die_lie_and_do_things_twice_change_no_clip_and_no_money(studio: Studio, seed: int) -> None:
    rng = random.Random(seed)
    studio.write_shots(shots(12))
    on_a_cluster(studio, lot=fates(rng, 0.15 * seed), lie=lying(rng))
    assert studio.doit("budget_usd=50", "max_concurrent=12", "cluster_timeout_s=30") == 0
    assert_each_clip_was_bought_once(studio, 12)


@pytest.mark.parametrize("part", range(4))
def test_a_head_that_dies_at_any_durable_point_collects_all_with_its_next_run(
    new_studio: Callable[..., Studio], part: int
) -> None:
    def project() -> Studio:
        made = new_studio()
        made.write_shots(shots(2))
        on_a_cluster(made)
        return made

    points = project().crash(math.inf, "budget_usd=5").seen
    assert points > 40
    for k in range(1 + 3 * part, points, 12):
        studio = project()
        studio.crash(k, "budget_usd=5")
        assert studio.doit("budget_usd=5", "on_uncertain=hold") in (0, 1)
        studio.check_money()
        assert studio.creates() <= 2
        assert all(clip["success"] or "may have charged" in clip["error"] for clip in studio.clips())
        assert [*studio.outputs.glob(".vgen/parts/*"), *studio.outputs.glob(".vgen/cluster-*")] == []


def test_an_order_of_nothing_starts_no_cluster(studio: Studio) -> None:
    studio.write_shots(shots(1))
    workers = on_a_cluster(studio)
    assert studio.doit() == 0
    before = len(workers.lines)
    assert studio.doit() == 0
    assert studio.doit("plan") == 0
    assert len(workers.lines) == before


def test_workers_that_differ_are_refused_before_anything_is_ordered(
    studio: Studio, capsys: pytest.CaptureFixture[str]
) -> None:
    on_a_cluster(studio, probe={"vgen": "0.0.1"})
    assert studio.doit() == 3
    assert studio.rows() == []
    assert "has vgen 0.0.1" in capsys.readouterr().err
