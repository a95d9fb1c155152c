"""The benchmarks run and tell figures. How fast anything is, is no test's business."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def benchmarks_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.usefixtures("benchmarks_path")
def test_every_contender_has_its_turn_in_every_round() -> None:
    from benchmarks.measure import interleaved

    turns: list[tuple[str, int]] = []

    def turn(name: str, number: int, value: float) -> float:
        turns.append((name, number))
        return value

    rows = interleaved({"ours": lambda k: turn("ours", k, 3.0), "make": lambda k: turn("make", k, 2.0)}, 4, ours="ours")
    assert sorted(turns) == [(name, k) for name in ("make", "ours") for k in range(4)]
    assert [number for _, number in turns] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {row.name: (row.median, row.ratio) for row in rows} == {"ours": (3.0, 1.0), "make": (2.0, 1.5)}


@pytest.mark.usefixtures("benchmarks_path")
def test_the_ideal_schedule_gives_each_job_the_place_that_is_free_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import workload

    monkeypatch.setattr(workload, "factor", lambda prompt, *, tail: 3.0 if "shot-1 " in prompt else 1.0)
    assert workload.ideal_s(workload.Case(shots=5, at_once=2, queue_s=1.0, render_s=9.0)) == 1 + 27 + 10
    assert workload.ideal_s(workload.Case(shots=4, at_once=2, queue_s=1.0, render_s=9.0)) == 30


@pytest.mark.usefixtures("benchmarks_path")
def test_a_clip_is_missing_unless_moderation_refuses_it_for_ever() -> None:
    from benchmarks.workload import Case, missing

    case = Case(shots=3, at_once=1, faults=("create_moderation=~shot-3 ", "create_500=0.5"))
    assert missing(case, {1})
    assert not missing(case, {1, 2})
    assert missing(Case(shots=3, at_once=1), {1, 2})


@pytest.mark.usefixtures("benchmarks_path")
def test_the_one_that_is_better_than_vgen_is_named() -> None:
    from benchmarks.measure import Row, Table

    rows = [Row(name="vgen", ratio=1.0), Row(name="slower", ratio=0.5), Row(name="faster", ratio=1.5)]
    table = Table(key="d", title="time", unit="s", rows=[*rows, Row(name="equal", ratio=1.001), Row(name="absent")])
    assert list(table.behind()) == ["(d) time: 1.5 of faster"]
    table.more = True
    assert list(table.behind()) == ["(d) time: 0.5 of slower"]


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    done = command("--only", "a,z")
    assert done.returncode == 2
    assert "'z': there are a, b, c, d, e, f, g, h, i" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("parts", ["b", "d", "f", "g"])
def test_a_quick_run_tells_figures_and_writes_them(parts: str, tmp_path: Path) -> None:
    done = command("--quick", "--rounds", "1", "--only", parts, "--json", tmp_path / "figures.json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert {table["key"] for table in told["tables"]} == set(parts.split(","))
    for table in told["tables"]:
        assert table["title"] in done.stdout
        measured = [row for row in table["rows"] if "skipped" not in row]
        assert any("vgen" in row["name"] for row in measured)
        assert all(0 < row["low"] <= row["median"] <= row["high"] for row in measured)
        assert all(row["skipped"] for row in table["rows"] if row not in measured)
