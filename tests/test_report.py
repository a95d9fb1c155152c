"""The report says the truth: what was made, for how much, what is missing, and why."""

import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.inputs.shots import Shot
from vgen.plan import plan as planning
from vgen.plan.decision import File, Policy
from vgen.plan.plan import Plan
from vgen.plan.request import Offer, ShotRequest
from vgen.providers.base import Order
from vgen.recipe import Recipe
from vgen.store.purchase import State
from vgen.store.records import Budget, Placed, Purchase, Snapshot, Take
from vgen.views import report
from vgen.views.report import Gate, RunFacts

NOW = 1_795_000_000.0
SEVEN = ["shot_number", "clip_path", "success", "api_used", "cost_usd", "generation_time_s", "error"]
RUN = RunFacts(id="r1", started_at=NOW, finished_at=NOW + 12.25, generated=1, reused=2, resumed=3)
PRICE = 600_000
S = State


def recipe(number: int) -> Recipe:
    return Recipe(prompt=f"boat {number}", duration_s=Decimal(5), aspect_ratio="9:16")


def request(number: int) -> ShotRequest:
    order = Order(model="gen4.5", path="/", body={}, bought_s=Decimal(5), price=PRICE)
    return ShotRequest(
        shot=Shot(number=number, duration_s=Decimal(5), prompts={"": f"boat {number}"}),
        recipes={name: recipe(number) for name in ("runway", "pika")},
        offers=[Offer(provider=name, max_retries=3, order=order) for name in ("runway", "pika")],
    )


def row(id_: int, number: int, state: State = S.ACCEPTED, **changes: Any) -> Purchase:
    made = recipe(number)
    values: dict[str, Any] = {
        "id": id_, "run_id": "r0", "shot_number": number, "recipe": made.digest, "manifest": made.manifest,
        "simulated": False, "provider": "runway", "account": "acc", "base_url": "https://x", "model": "gen4.5",
        "path": "/", "request": "{}", "correlation_seed": "", "bought_s": "5", "price": PRICE,
        "charged": PRICE if state is S.ACCEPTED else 0,
        "charged_by": None, "state": state, "superseded": None, "job_id": f"job-{id_}", "urls": {}, "error": None,
        "error_code": None, "final": False, "created_at": NOW, "submitted_at": NOW, "rendered_at": None,
        "sha256": None, "size_bytes": None, **changes,
    }  # fmt: skip
    return Purchase(**values)


def take(of: Purchase, **changes: Any) -> Take:
    values: dict[str, Any] = {
        "purchase_id": of.id, "recipe": of.recipe, "simulated": False, "take": 1, "path": "t", "good": True,
        "reason": None, "sha256": "0" * 64, "size_bytes": 150_000, "width": 720, "height": 1280, "duration_s": 5.0,
        "fps": 24.0, "codec": "h264", "has_audio": False, "generation_s": 45.2, **changes,
    }  # fmt: skip
    return Take(**values)


def produced(
    *rows: Purchase,
    shots: Sequence[int] = (1,),
    takes: Sequence[Take] | None = None,
    budget: Budget | None = None,
    file: File = File.INTACT,
    messages: dict[int, str] | None = None,
) -> tuple[Plan, list[dict[str, Any]]]:
    """The plan after a run and its entries; each accepted row has its take, and lies in its place."""
    good = [one for one in rows if one.state is S.ACCEPTED]
    found = [take(one) for one in good] if takes is None else takes
    names = {number: f"clip_{number:03d}.mp4" for number in shots}
    placed = {
        names[one.shot_number]: Placed(
            name=names[one.shot_number],
            shot_number=one.shot_number,
            purchase_id=one.id,
            sha256="0",
            size_bytes=1,
            mtime_ns=1,
        )
        for one in good
        if one.shot_number in names
    }
    by_recipe: dict[str, list[Purchase]] = {}
    for one in rows:
        by_recipe.setdefault(one.recipe, []).append(one)
    seen = Snapshot(
        {one.id: one for one in rows}, by_recipe, {one.purchase_id: one for one in found}, placed, budget or Budget()
    )
    files = dict.fromkeys(placed, file)
    plan = planning.plan([request(n) for n in shots], seen, files, names, policy=Policy(), simulated=False)
    paths = {number: f"outputs/clips/{name}" for number, name in names.items()}
    return plan, report.clips(plan, seen, paths.__getitem__, messages or {})


def entry(*rows: Purchase, **more: Any) -> dict[str, Any]:
    [found] = produced(*rows, **more)[1]
    return found


def whole(*rows: Purchase, **more: Any) -> dict[str, Any]:
    plan, entries = produced(*rows, **more)
    judged = report.gates(entries, plan.budget, min_success_rate=0.8)
    return report.production_report(entries, judged, plan, RUN)


def judged(entries: list[dict[str, Any]], budget: Budget | None = None, rate: float = 0.8) -> dict[str, Gate]:
    return {gate.name: gate for gate in report.gates(entries, budget or Budget(), min_success_rate=rate)}


# ── entries ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_begins_with_the_seven_keys_in_order() -> None:
    assert SEVEN == list(entry(row(1, 1)))[:7] == list(entry(row(1, 1, S.FAILED)))[:7]
    assert [list(one) for one in report.seven([entry(row(1, 1))])] == [SEVEN]


def test_a_good_clip_says_what_it_is_and_what_it_cost() -> None:
    assert report.seven([entry(row(1, 1))])[0] == {
        "shot_number": 1, "clip_path": "outputs/clips/clip_001.mp4", "success": True, "api_used": "runway",
        "cost_usd": 0.6, "generation_time_s": 45.2, "error": None,
    }  # fmt: skip


def test_a_good_clip_tells_all_of_its_take() -> None:
    expected = {
        "prompt_hash": recipe(1).digest, "take": 1, "model": "gen4.5", "job_id": "job-1", "attempts": 1, "kept": False,
        "width": 720, "height": 1280, "duration_s": 5.0, "fps": 24.0, "codec": "h264", "has_audio": False,
        "size_bytes": 150_000, "sha256": "0" * 64, "simulated": False,
    }  # fmt: skip
    found = entry(row(1, 1))
    assert expected == {key: found[key] for key in expected}
    assert expected.keys() == entry().keys() - set(SEVEN)


def test_a_good_clips_cost_is_that_of_its_own_take() -> None:
    found = entry(row(1, 1, S.FAILED, charged=PRICE), row(2, 1, charged=250_000))
    assert (found["cost_usd"], found["attempts"]) == (0.25, 2)


def test_a_clip_edited_by_hand_is_marked() -> None:
    assert (entry(row(1, 1), file=File.EDITED)["edited"], entry(row(1, 1), file=File.EDITED)["success"]) == (True, True)


@pytest.mark.parametrize(
    ("rows", "cost", "api", "attempts"),
    [
        ([], 0, None, 0),
        ([row(1, 1, S.REFUSED)], 0, "runway", 1),
        ([row(1, 1, S.RELEASED, submitted_at=None)], 0, "runway", 0),
        ([row(1, 1, S.FAILED, charged=PRICE)], 0.6, "runway", 1),
        ([row(1, 1, S.REJECTED, charged=PRICE), row(2, 1, S.FAILED, provider="pika", charged=1)], 0.600001, "pika", 2),
        ([row(1, 1, S.LOST, charged=PRICE)], 0.6, "runway", 1),
        ([row(1, 1, S.RENDERING)], 0, "runway", 1),
        ([row(1, 1, S.UNCERTAIN)], 0, "runway", 1),
    ],
)
def test_a_failed_shot_says_what_its_attempts_cost_all_the_same(
    rows: list[Purchase], cost: float, api: str | None, attempts: int
) -> None:
    found = entry(*rows)
    assert (False, None, cost, api, attempts, 0) == (
        found["success"], found["clip_path"], found["cost_usd"], found["api_used"], found["attempts"],
        found["generation_time_s"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "not made yet: no clip yet"),
        ([row(1, 1, S.REFUSED, error="moderated")], "runway: moderated"),
        ([row(1, 1, S.REJECTED, error="too short", provider="pika")], "pika: too short"),
        ([row(1, 1, S.UNCERTAIN, error="no answer")], "runway may have charged $0.60: no answer"),
        ([row(1, 1, S.LOST, charged=PRICE, error="gone")], "paid $0.60 at runway, but gone"),
        ([row(1, 1, S.RENDERING)], "job job-1 is to be collected"),
    ],
)
def test_a_failed_shot_says_why_in_a_sentence(rows: list[Purchase], words: str) -> None:
    assert words in entry(*rows)["error"]


def test_what_this_run_found_out_goes_before_what_can_be_guessed() -> None:
    assert entry(row(1, 1, S.RENDERING), messages={1: "still running"})["error"] == "still running"


def test_a_clip_that_lies_somewhere_else_is_not_a_success() -> None:
    assert tuple(entry(row(1, 1), file=File.MISSING)[key] for key in ("success", "clip_path")) == (False, None)


# ── gates ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

GOOD: dict[str, Any] = {"success": True, "width": 720, "height": 1280, "cost_usd": 0.6, "generation_time_s": 1}
BAD: dict[str, Any] = {"success": False, "width": None, "height": None, "cost_usd": 0, "generation_time_s": 0}


@pytest.mark.parametrize(
    ("good", "bad", "rate", "passed", "value"),
    [
        (0, 0, 0.8, False, 0.0),
        (0, 0, 0.0, False, 0.0),
        (5, 0, 0.8, True, 1.0),
        (4, 1, 0.8, True, 0.8),
        (3, 1, 0.8, False, 0.75),
        (0, 3, 0.0, True, 0.0),
        (2, 1, 0.666667, False, 0.666667),
        (1, 2, 1 / 3, True, 0.333333),
        (6, 0, 1.0, True, 1.0),
    ],
)
def test_the_success_rate_is_over_the_whole_list(good: int, bad: int, rate: float, passed: bool, value: float) -> None:
    gate = judged([GOOD] * good + [BAD] * bad, rate=rate)["success_rate"]
    assert (passed, value, rate) == (gate.passed, gate.value, gate.threshold)


@pytest.mark.parametrize(
    ("sizes", "passed", "value"),
    [
        ([(720, 1280)], True, 720),
        ([(1280, 720), (719, 1280)], False, 719),
        ([], True, None),
        ([(1080, 1920)], True, 1080),
    ],
)
def test_every_successful_clip_has_720_on_its_shorter_side(
    sizes: list[tuple[int, int]], passed: bool, value: int | None
) -> None:
    gate = judged([BAD, *({**GOOD, "width": w, "height": h} for w, h in sizes)])["resolution"]
    assert (passed, value, 720) == (gate.passed, gate.value, gate.threshold)


@pytest.mark.parametrize(
    ("budget", "passed", "value", "threshold"),
    [
        (Budget(cap=2_000_000, spent=2_000_000), True, 2, 2),
        (Budget(cap=2_000_000, spent=2_000_000, uncertain=1), False, 2.000001, 2),
        (Budget(cap=2_000_000, spent=1_500_000, reserved=1_000_000), True, 1.5, 2),
        (Budget(spent=10**9), True, 1000, None),
        (Budget(cap=0), True, 0, 0),
    ],
)
def test_what_is_spent_or_uncertain_is_within_the_budget(
    budget: Budget, passed: bool, value: float, threshold: float | None
) -> None:
    gate = judged([GOOD], budget)["budget"]
    assert (passed, value, threshold) == (gate.passed, gate.value, gate.threshold)


# ── the whole report ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_begins_with_the_specifications_keys() -> None:
    expected = [
        "total_clips",
        "successful_clips",
        "failed_clips",
        "success_rate",
        "total_cost_usd",
        "total_time_s",
        "clips",
    ]
    assert expected == list(whole(row(1, 1)))[:7]


def test_totals_are_over_the_whole_list() -> None:
    found = whole(row(1, 1), row(2, 2, charged=333_333), row(3, 3, S.FAILED, charged=PRICE), shots=(1, 2, 3, 4))
    assert tuple(
        found[key] for key in
        ("total_clips", "successful_clips", "failed_clips", "success_rate", "total_cost_usd", "total_time_s")
    ) == (4, 2, 2, 0.5, 0.933333, 90.4)  # fmt: skip


def test_zero_shots_are_a_report_too_and_its_gate_fails() -> None:
    found = whole(shots=())
    assert tuple(found[key] for key in ("total_clips", "success_rate", "total_cost_usd", "total_time_s", "clips")) == (
        0,
        0.0,
        0,
        0,
        [],
    )
    assert {g["name"]: g["passed"] for g in found["gates"]} == {
        "success_rate": False,
        "resolution": True,
        "budget": True,
    }


def test_the_budget_is_all_that_this_production_ever_cost() -> None:
    found = whole(row(1, 1), budget=Budget(cap=2_000_000, spent=700_000, reserved=100_000, uncertain=333_333))
    assert found["budget"] == {
        "cap_usd": 2, "spent_usd": 0.7, "reserved_usd": 0.1, "uncertain_usd": 0.333333, "remaining_usd": 0.866667
    }  # fmt: skip
    assert tuple(whole(row(1, 1))["budget"][key] for key in ("cap_usd", "remaining_usd")) == (None, None)


def test_the_run_is_told() -> None:
    assert whole(row(1, 1))["run"] == {
        "id": "r1", "started_at": "2026-11-18T11:06:40.000Z", "finished_at": "2026-11-18T11:06:52.250Z",
        "wall_time_s": 12.25, "generated": 1, "reused": 2, "resumed": 3, "interrupted": False,
    }  # fmt: skip


def test_what_belongs_to_no_shot_is_told() -> None:
    [line] = whole(row(1, 1), row(2, 7, S.RENDERING))["left_over"]
    assert line == "job job-2 at runway (shot 7 of an earlier list) is still to be collected"


def test_two_reports_that_differ_in_the_run_only_are_the_same() -> None:
    later = whole(row(1, 1))
    later["run"] = later["run"] | {"id": "r2", "wall_time_s": 3}
    told = [whole(row(1, 1)), later, whole(row(1, 1, S.LOST)), whole(row(1, 1)) | {"left_over": ["a job"]}]
    files = [report.to_bytes(value) for value in told]
    files += [b"", files[0][:-9], files[0] + b" "]
    assert [report.says(io.BytesIO(file), told[0]) for file in files] == [True, True] + [False] * 5
    assert [report.says(io.BytesIO(file), told[1]) for file in files] == [True, True] + [False] * 5


def decimals(text: str) -> int:
    """The most decimals of any number in a JSON text."""
    found: list[int] = []
    json.loads(text, parse_float=lambda number: found.append(-int(Decimal(number).as_tuple().exponent)))
    return max(found, default=0)


@pytest.mark.slow
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.floats(0, 10**5), st.integers(1, 7))
def test_numbers_in_json_have_at_most_six_decimals(a: int, b: int, c: int, seconds: float, shots: int) -> None:
    first = row(1, 1, charged=a)
    found = whole(
        first,
        row(2, 2, S.FAILED, charged=b),
        shots=range(1, shots + 1),
        takes=[take(first, generation_s=seconds)],
        budget=Budget(cap=a + b + c, spent=a, uncertain=b, reserved=c),
    )
    assert decimals(report.to_bytes(found).decode()) <= 6


@pytest.mark.slow
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6))
def test_the_total_is_the_exact_sum_of_the_clips(charges: list[int]) -> None:
    rows = [row(n, n, charged=charge) for n, charge in enumerate(charges, start=1)]
    found = json.loads(report.to_bytes(whole(*rows, shots=range(1, len(rows) + 1))), parse_float=Decimal)
    assert (
        Decimal(sum(charges)) / 1_000_000 == found["total_cost_usd"] == sum(clip["cost_usd"] for clip in found["clips"])
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@given(JSON)
def test_the_fast_spelling_is_that_of_the_standard_library(value: object) -> None:
    assert report.to_bytes(value).decode() == json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def test_the_report_is_written_for_people_and_for_jq() -> None:
    data = report.to_bytes({"error": "é 🛶"})
    assert data == b'{\n  "error": "\xc3\xa9 \xf0\x9f\x9b\xb6"\n}\n'
