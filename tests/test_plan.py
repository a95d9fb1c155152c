"""What to do next for a shot: one decision from the ledger's rows, shown before it is acted upon."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest

from vgen.inputs.shots import Shot
from vgen.plan import plan as planning
from vgen.plan import plan_json, refusal
from vgen.plan.decision import QUEUE, Action, Decision, File, Policy, decide
from vgen.plan.plan import Plan
from vgen.plan.request import Offer, ShotRequest
from vgen.plan.step import Step
from vgen.providers.base import Order
from vgen.recipe import Recipe
from vgen.store.purchase import State, Why
from vgen.store.records import Budget, Placed, Purchase, Snapshot, Take

NOW = 1_795_000_000.0
PRICE, FALLBACK_PRICE = 600_000, 200_000
S = State


def recipe(prompt: str = "a boat", **changes: Any) -> Recipe:
    return Recipe(**{"prompt": prompt, "duration_s": Decimal(5), "aspect_ratio": "9:16", **changes})


def order(prompt: str = "a boat", price: int = PRICE) -> Order:
    return Order(model="gen4.5", path="/v1/x", body={"p": prompt}, bought_s=Decimal(5), price=price)


def request(
    number: int = 1, prompt: str = "a boat", *, offers: Sequence[Offer] | None = None, pika: str = ""
) -> ShotRequest:
    """A shot at Runway, else at Pika; `pika`: another prompt there."""
    both = [
        Offer(provider="runway", max_retries=3, order=order(prompt)),
        Offer(provider="pika", max_retries=2, order=order(pika or prompt, FALLBACK_PRICE)),
    ]
    return ShotRequest(
        shot=Shot(number=number, duration_s=Decimal(5), prompts={"": prompt}),
        recipes={"runway": recipe(prompt), "pika": recipe(pika or prompt)},
        offers=both if offers is None else offers,
    )


def row(id_: int = 1, state: State = S.ACCEPTED, prompt: str = "a boat", **changes: Any) -> Purchase:
    made = recipe(prompt)
    values: dict[str, Any] = {
        "id": id_, "run_id": "earlier", "shot_number": 1, "recipe": made.digest, "manifest": made.manifest,
        "simulated": False, "provider": "runway", "account": "acc", "base_url": "https://x", "model": "gen4.5",
        "path": "/v1/x", "request": order(prompt).text, "correlation_seed": "", "bought_s": "5", "price": PRICE,
        "charged": 0, "charged_by": None, "state": state, "superseded": None, "job_id": f"job-{id_}", "urls": {},
        "error": None, "error_code": None, "final": False, "created_at": NOW, "submitted_at": NOW, "rendered_at": None,
        "sha256": None, "size_bytes": None, **changes,
    }  # fmt: skip
    return Purchase(**values)


PIKA = {"provider": "pika", "request": order(price=FALLBACK_PRICE).text, "price": FALLBACK_PRICE}
BILLED: dict[str, Any] = {"charged": PRICE}
SMALL: dict[str, Any] = {**BILLED, "error_code": "too_small"}
NO: dict[str, Any] = {"final": True, "error": "moderated"}
BUY_RUNWAY, BUY_PIKA = (Action.BUY, "runway"), (Action.BUY, "pika")


def failures(n: int, state: State = S.FAILED, **changes: Any) -> list[Purchase]:
    """n attempts that are over."""
    return [row(k, state, **changes) for k in range(1, n + 1)]


def told(now: Decision) -> tuple[Action, str | int | None]:
    """The act, with the provider to buy at or else the row."""
    if now.offer:
        return now.action, now.offer.provider
    return now.action, now.row.id if now.row else None


SITUATIONS: dict[str, tuple[list[Purchase], Policy, tuple[Action, str | int | None]]] = {
    "nothing yet": ([], Policy(), BUY_RUNWAY),
    "accepted": ([row(**BILLED)], Policy(), (Action.KEEP, 1)),
    "accepted from the other provider": ([row(**PIKA)], Policy(), (Action.KEEP, 1)),
    "accepted, then failed": ([row(1), row(2, S.FAILED)], Policy(), (Action.KEEP, 1)),
    "accepted twice: the newest": ([row(1, superseded="again"), row(2)], Policy(), (Action.KEEP, 2)),
    "of another recipe": ([row(prompt="a ship")], Policy(), BUY_RUNWAY),
    "rendering": ([row(1, S.RENDERING)], Policy(), (Action.COLLECT, 1)),
    "rendered": ([row(1, S.RENDERED)], Policy(), (Action.COLLECT, 1)),
    "fetched": ([row(1, S.FETCHED)], Policy(), (Action.COLLECT, 1)),
    "rendering at a closed provider": ([row(1, S.RENDERING)], Policy(closed={"runway": "no key"}), (Action.COLLECT, 1)),
    "rendering at the other provider": ([row(1, S.RENDERING, **PIKA)], Policy(), (Action.COLLECT, 1)),
    "being bought": ([row(1, S.SUBMITTING)], Policy(), (Action.HELD, 1)),
    "detached": ([row(1, S.RENDERING)], Policy(detached={1}), (Action.STOP, 1)),
    "uncertain": ([row(1, S.UNCERTAIN)], Policy(), (Action.HELD, 1)),
    "uncertain, rebuy": ([row(1, S.UNCERTAIN)], Policy(on_uncertain="rebuy"), BUY_RUNWAY),
    "uncertain at the other provider": ([row(1, S.UNCERTAIN, **PIKA)], Policy(), (Action.HELD, 1)),
    "rendering for too long, and another job": (
        [row(1, S.RENDERING), row(2, S.RENDERED, **PIKA)], Policy(detached={1}), (Action.COLLECT, 2),
    ),
    "uncertain, and rendering at the other provider": (
        [row(1, S.UNCERTAIN), row(2, S.RENDERING, **PIKA)], Policy(), (Action.COLLECT, 2),
    ),
    "uncertain too often, rebuy": (failures(3, S.UNCERTAIN), Policy(on_uncertain="rebuy"), BUY_PIKA),
    "refused for good": ([row(1, S.REFUSED, **NO)], Policy(), BUY_PIKA),
    "refused for good, another request now": ([row(1, S.REFUSED, **NO, request="{}")], Policy(), BUY_RUNWAY),
    "refused for good by both": (
        [row(1, S.REFUSED, **NO), row(2, S.REFUSED, **NO, **PIKA)], Policy(), (Action.STOP, None)
    ),
    "refused for good, then -a": ([row(1, S.REFUSED, **NO, superseded="again")], Policy(), BUY_RUNWAY),
    "failed for good, billed": ([row(1, S.FAILED, **NO, **BILLED)], Policy(), BUY_PIKA),
    "refused for now in this run": (failures(2, S.REFUSED, run_id="now"), Policy(run_id="now"), BUY_RUNWAY),
    "refused for now too often in this run": (failures(3, S.REFUSED, run_id="now"), Policy(run_id="now"), BUY_PIKA),
    "refused for now too often in an earlier run": (failures(3, S.REFUSED), Policy(run_id="now"), BUY_RUNWAY),
    "never sent, too often in this run": (failures(3, S.RELEASED, run_id="now"), Policy(run_id="now"), BUY_PIKA),
    "failed unpaid in an earlier run": (failures(3), Policy(run_id="now"), BUY_RUNWAY),
    "failed unpaid too often in this run": (failures(3, run_id="now"), Policy(run_id="now"), BUY_PIKA),
    "failed paid once": (failures(1, **BILLED), Policy(), BUY_RUNWAY),
    "failed paid too often, in any run": (failures(3, **BILLED), Policy(run_id="now"), BUY_PIKA),
    "rejected within the tries": (failures(1, S.REJECTED, **SMALL), Policy(), BUY_RUNWAY),
    "rejected for two reasons": (
        [row(1, S.REJECTED, **SMALL), row(2, S.REJECTED, **BILLED, error_code="too_short")], Policy(), BUY_RUNWAY
    ),
    "rejected twice for the same reason": (failures(2, S.REJECTED, **SMALL), Policy(), BUY_PIKA),
    "rejected twice for the same reason among others": (
        [row(1, S.REJECTED, **SMALL), row(2, S.REJECTED, **BILLED, error_code="wrong_shape,too_small")],
        Policy(), BUY_PIKA,
    ),
    "rejected twice by an earlier vgen, in other sizes": (
        [row(k, S.REJECTED, **BILLED, error=f"wanted 720 px, got {k}80 ({k}80x854)") for k in (1, 2)],
        Policy(), BUY_PIKA,
    ),
    "rejected twice for the same reason, another request now": (
        failures(2, S.REJECTED, **SMALL, request="{}"), Policy(), BUY_RUNWAY
    ),
    "rejected twice for the same reason, and -a": (
        failures(2, S.REJECTED, **SMALL), Policy(fresh_after=2), BUY_RUNWAY
    ),
    "rejected too often": (failures(3, S.REJECTED, **BILLED), Policy(), BUY_PIKA),
    "rejected too often by both": (
        failures(3, S.REJECTED, **BILLED) + [row(k, S.REJECTED, **PIKA, **BILLED) for k in (4, 5)],
        Policy(),
        (Action.STOP, None),
    ),
    "cancelled in the queue in this run": (
        [row(1, S.CANCELLED, error_code=QUEUE, run_id="now", **BILLED)], Policy(run_id="now"), BUY_PIKA
    ),
    "cancelled in the queue in an earlier run": (
        [row(1, S.CANCELLED, error_code=QUEUE, **BILLED)], Policy(run_id="now"), BUY_RUNWAY
    ),
    "primary closed": ([], Policy(closed={"runway": "no credit"}), BUY_PIKA),
    "both closed": ([], Policy(closed={"runway": "no credit", "pika": "no key"}), (Action.STOP, None)),
    "lost": ([row(1, S.LOST, **BILLED)], Policy(), (Action.STOP, 1)),
    "lost, then settled by -a": ([row(1, S.LOST, superseded="again", **BILLED)], Policy(), BUY_RUNWAY),
    "accepted, and -a": ([row(1)], Policy(fresh_after=1), BUY_RUNWAY),
    "accepted again since -a": ([row(1, superseded="again"), row(2)], Policy(fresh_after=1), (Action.KEEP, 2)),
    "lost, and -a": ([row(1, S.LOST, **BILLED)], Policy(fresh_after=1), BUY_RUNWAY),
    "rejected too often, and -a": (failures(3, S.REJECTED, **BILLED), Policy(fresh_after=3), BUY_RUNWAY),
    "refused for good, and -a": ([row(1, S.REFUSED, **NO)], Policy(fresh_after=1), BUY_RUNWAY),
    "rendering, and -a": ([row(1, S.RENDERING)], Policy(fresh_after=1), (Action.COLLECT, 1)),
    "uncertain, and -a": ([row(1, S.UNCERTAIN)], Policy(fresh_after=1), (Action.HELD, 1)),
}  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_next_act_follows_from_the_rows(situation: str) -> None:
    rows, policy, expected = SITUATIONS[situation]
    assert expected == told(decide(request(), rows, policy))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_every_act_is_explained_and_what_is_bought_supersedes_exactly_what_stands_in_its_way(situation: str) -> None:
    """Or the ledger would refuse it."""
    rows, policy, _ = SITUATIONS[situation]
    now = decide(request(), rows, policy)
    assert now.action is Action.KEEP or (len(now.why) > 10 and now.why.isprintable())
    in_the_way = {one.id for one in rows if one.blocks and request().matches(one)}
    assert (in_the_way if now.action is Action.BUY else set()) == now.supersede.keys()


@pytest.mark.parametrize(
    ("rows", "policy", "expected"),
    [
        ([row(1, S.UNCERTAIN)], Policy(on_uncertain="rebuy"), {1: Why.REBUY}),
        ([row(1, S.REJECTED)], Policy(), {1: Why.REJECTED}),
        ([row(1, S.FAILED, **BILLED)], Policy(), {1: Why.FAILED}),
        ([row(1, S.FAILED)], Policy(), {}),
        ([row(1, S.FAILED, **NO, **BILLED)], Policy(), {1: Why.FALLBACK}),
        ([row(1, S.REJECTED)], Policy(closed={"runway": "no credit"}), {1: Why.FALLBACK}),
        ([row(1)], Policy(fresh_after=1), {1: Why.AGAIN}),
        ([row(1, S.REJECTED, superseded="rejected"), row(2, S.REJECTED)], Policy(), {2: Why.REJECTED}),
    ],
)
def test_each_superseded_row_is_told_why(rows: list[Purchase], policy: Policy, expected: dict[int, Why]) -> None:
    assert expected == decide(request(), rows, policy).supersede


@pytest.mark.parametrize(("tries", "expected"), [(0, 1), (1, 2), (2, 3)])
def test_attempts_are_counted(tries: int, expected: int) -> None:
    assert expected == decide(request(), failures(tries, S.REJECTED, **BILLED), Policy()).attempt


def test_a_newer_take_goes_in_place_of_a_superseded_one_only_if_it_was_bought_for_this_very_shot() -> None:
    placed = Placed(name="c", shot_number=1, purchase_id=1, sha256="0", size_bytes=1, mtime_ns=1)
    old = row(1, superseded="again")
    assert told(decide(request(), [old, row(2)], Policy(), placed)) == (Action.KEEP, 2)
    assert told(decide(request(), [old, row(2, shot_number=9)], Policy(), placed)) == (Action.KEEP, 1)


def test_a_take_counts_for_the_provider_that_made_it() -> None:
    """Pika's own prompt was edited; the clip that Runway made is still the shot's."""
    assert told(decide(request(pika="for pika, edited"), [row(1)], Policy())) == (Action.KEEP, 1)
    paid = decide(request(pika="for pika, edited"), [row(1, **PIKA)], Policy())
    assert told(paid) == (Action.STOP, 1), "the text that Runway would get was paid for already"
    assert "-a clip:1" in paid.why


def test_what_nobody_can_make_is_told_with_the_reasons() -> None:
    offers = [
        Offer(provider="runway", max_retries=3, problem="at most 10 s"),
        Offer(provider="pika", max_retries=3, problem="no"),
    ]
    now = decide(request(offers=offers), [], Policy())
    assert (now.action, now.why) == (Action.STOP, "runway: at most 10 s; pika: no")


# ── the plan ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def snapshot(
    *rows: Purchase, cap: int | None = None, placed: Mapping[str, int] | None = None, **money: int
) -> Snapshot:
    """Of rows; each accepted one has its take. `placed`: clip name → purchase."""
    by_recipe: dict[str, list[Purchase]] = {}
    for one in rows:
        by_recipe.setdefault(one.recipe, []).append(one)
    takes = {
        one.id: Take(
            purchase_id=one.id, recipe=one.recipe, simulated=False, take=1, path="t", good=True, reason=None,
            sha256="0", size_bytes=1, generation_s=50.0,
        )
        for one in rows if one.state is S.ACCEPTED
    }  # fmt: skip
    spots = {
        name: Placed(name=name, shot_number=1, purchase_id=id_, sha256="0", size_bytes=1, mtime_ns=1)
        for name, id_ in (placed or {}).items()
    }
    return Snapshot({one.id: one for one in rows}, by_recipe, takes, spots, Budget(cap=cap, **money))


def made(requests: Sequence[ShotRequest], seen: Snapshot, files: Mapping[str, File] | None = None, **more: Any) -> Plan:
    names = {one.number: f"clip_{one.number:03d}.mp4" for one in requests}
    return planning.plan(requests, seen, files or {}, names, **{"policy": Policy(), "simulated": False, **more})


def one(seen: Snapshot, file: File = File.MISSING, **more: Any) -> Step:
    [step] = made([request()], seen, {"clip_001.mp4": file}, **more).steps
    return step


HERE = {"clip_001.mp4": 1}


@pytest.mark.parametrize(
    ("rows", "placed", "file", "action", "why"),
    [
        ([], {}, File.MISSING, Action.BUY, "no clip yet"),
        ([row(1)], HERE, File.INTACT, Action.KEEP, "up to date"),
        ([row(1)], HERE, File.MISSING, Action.RESTORE, "the clip is missing; its take is on disk"),
        ([row(1)], HERE, File.DAMAGED, Action.RESTORE, "the clip's file is damaged; its take is on disk"),
        ([row(1)], HERE, File.EDITED, Action.KEEP, "edited by hand; kept as it is"),
        ([row(1)], {}, File.MISSING, Action.RESTORE, "the clip is missing; its take is on disk"),
        ([row(1)], {}, File.EDITED, Action.STOP, "a file that vgen did not make has its name"),
        ([row(1, prompt="a ship"), row(2)], HERE, File.INTACT, Action.RESTORE,
         "the clip in place is from a different prompt or picture"),
        ([row(1, prompt="a ship")], HERE, File.INTACT, Action.BUY, "prompt: 'a ship' → 'a boat' changed"),
        ([row(1, prompt="a ship")], HERE, File.MISSING, Action.BUY, "prompt: 'a ship' → 'a boat' changed"),
        ([row(1, prompt="a ship")], HERE, File.EDITED, Action.STOP, "edited by hand, and its prompt has changed since"),
        ([row(1, prompt="a ship"), row(2, S.RENDERING)], HERE, File.EDITED, Action.COLLECT,
         "bought at runway, job job-2 is to be collected; its clip was edited by hand and is kept"),
        ([row(1, S.RENDERING)], {}, File.MISSING, Action.COLLECT, "bought at runway, job job-1 is to be collected"),
        ([row(1, S.UNCERTAIN, error="no answer.")], {}, File.MISSING, Action.HELD,
         ("runway may have charged $0.60: no answer; look there, then `doit settle shot=1 as=charged job=job-1` "
          "(or as=not-charged, or the job's id), or `doit on_uncertain=rebuy clip:1` buys it again")),
        ([row(1, S.LOST, error="gone", **BILLED)], {}, File.MISSING, Action.STOP,
         "paid $0.60 at runway, but gone; `doit -a clip:1` buys it again"),
    ],
)  # fmt: skip
def test_each_shot_is_held_against_its_file(
    rows: list[Purchase], placed: dict[str, int], file: File, action: Action, why: str
) -> None:
    step = one(snapshot(*rows, placed=placed), file)
    assert (action, True) == (step.action, step.why.startswith(why) or why in step.why)


@pytest.mark.parametrize("file", File)
def test_a_clip_named_with_a_is_bought_anew_whatever_lies_there(file: File) -> None:
    step = one(snapshot(row(1), placed=HERE), file, again={1})
    assert (step.action, step.why, step.price) == (Action.BUY, "a new take was asked for", PRICE)


def test_with_a_a_live_job_is_collected_instead_of_bought() -> None:
    step = one(snapshot(row(1, S.RENDERING)), again={1})
    assert (step.action, step.price) == (Action.COLLECT, 0)


@pytest.mark.parametrize("again", [(), (1,)])
@pytest.mark.parametrize("state", [S.RENDERING, S.RENDERED, S.FETCHED])
def test_a_new_take_whose_run_was_interrupted_is_collected(again: tuple[int, ...], state: State) -> None:
    """It is paid for, and nobody else brings it home."""
    seen = snapshot(row(1, superseded="again"), row(2, state), placed=HERE)
    step = one(seen, File.INTACT, again=again)
    assert Action.COLLECT is step.action


def test_only_the_clips_named_are_bought_anew() -> None:
    seen = snapshot(row(1), row(2, prompt="a ship"), placed={"clip_001.mp4": 1, "clip_002.mp4": 2})
    intact = dict.fromkeys(seen.placed, File.INTACT)
    plan = made([request(1), request(2, "a ship")], seen, intact, again={2})
    assert [step.action for step in plan.steps] == [Action.KEEP, Action.BUY]


def test_two_shots_with_one_recipe_share_one_purchase() -> None:
    plan = made([request(1), request(2), request(3, "a ship")], snapshot())
    assert [step.action for step in plan.steps] == [Action.BUY, Action.SHARE, Action.BUY]
    assert (plan.step(2).why, plan.total) == ("the same recipe as shot 1: one purchase serves both", 2 * PRICE)


def test_a_shared_take_is_put_back_for_both() -> None:
    plan = made([request(1), request(2)], snapshot(row(1)))
    assert [step.action for step in plan.steps] == [Action.RESTORE, Action.RESTORE]


def test_the_worst_case_counts_all_retries_and_the_fallback() -> None:
    plan = made([request(1), request(2, "a ship")], snapshot())
    assert (plan.total, plan.worst) == (2 * PRICE, 2 * (3 * PRICE + 2 * FALLBACK_PRICE))


def test_the_worst_case_leaves_out_who_cannot_make_it() -> None:
    offers = [
        Offer(provider="runway", max_retries=2, order=order()),
        Offer(provider="pika", max_retries=9, problem="no"),
    ]
    assert made([request(offers=offers)], snapshot()).worst == 2 * PRICE


def test_the_price_is_that_of_whom_it_is_bought_from() -> None:
    assert made([request()], snapshot(), policy=Policy(closed={"runway": "no credit"})).total == FALLBACK_PRICE


@pytest.mark.parametrize(
    ("cap", "money", "fits"),
    [
        (None, {}, True),
        (2 * PRICE, {}, True),
        (2 * PRICE - 1, {}, False),
        (3 * PRICE, {"spent": PRICE}, True),
        (3 * PRICE, {"spent": PRICE, "uncertain": 1}, False),
        (3 * PRICE, {"reserved": PRICE + 1}, False),
        (0, {}, False),
    ],
)
def test_a_plan_fits_if_all_purchases_fit_what_is_left(cap: int | None, money: dict[str, int], fits: bool) -> None:
    assert fits is made([request(1), request(2, "a ship")], snapshot(cap=cap, **money)).fits()


def test_named_shots_are_counted_alone() -> None:
    plan = made([request(1), request(2, "a ship")], snapshot(cap=PRICE))
    assert [plan.fits(), plan.fits({2})] == [False, True]


def test_a_named_shot_that_shares_its_recipe_is_not_free() -> None:
    plan = made([request(1), request(2)], snapshot(cap=PRICE - 1))
    assert not plan.fits({2})


def test_free_work_fits_any_budget() -> None:
    seen = snapshot(row(1, S.RENDERING), row(2, prompt="a ship"), cap=PRICE, spent=5 * PRICE)
    assert made([request(1), request(2, "a ship")], seen).fits()


def test_a_refusal_has_the_figures_and_the_commands_that_help() -> None:
    seen = snapshot(cap=2_000_000, spent=1_000_000, reserved=100_000, uncertain=200_000)
    text = refusal.refusal(made([request(1), request(2, "a ship")], seen))
    expected = [
        "2 clips cost $1.20", "$0.70 is left of the budget of $2.00", "$1.00 spent", "$0.10 reserved",
        "$0.20 uncertain", "nothing was bought", "`doit budget_usd=2.50`", "`doit partial=yes`", "`doit plan`",
    ]  # fmt: skip
    assert [words for words in expected if words not in text] == []


def test_the_budget_that_a_refusal_names_is_enough() -> None:
    money = {"spent": 999_999, "reserved": 1, "uncertain": 333_334}
    text = refusal.refusal(made([request(1)], snapshot(cap=1, **money)))
    named = Decimal(text.split("budget_usd=")[1].split("`")[0])
    assert made([request(1)], snapshot(cap=int(named * 1_000_000), **money)).fits()


def test_a_refusal_of_named_shots_counts_those() -> None:
    plan = made([request(1), request(2, "a ship"), request(3, "a raft")], snapshot(cap=PRICE))
    assert refusal.refusal(plan, {2, 3}).startswith("2 clips cost $1.20")


def test_shots_that_nobody_can_make_are_bad_input() -> None:
    cannot = [Offer(provider="runway", max_retries=3, problem="makes at most 10 s")]
    plan = made([request(1), request(2, offers=cannot)], snapshot())
    assert plan.impossible() == ["shot 2: runway: makes at most 10 s"]
    assert plan.impossible({1}) == []


def test_a_shot_that_nobody_can_make_but_has_its_take_is_fine() -> None:
    cannot = [Offer(provider="runway", max_retries=3, problem="makes at most 10 s")]
    assert made([request(1, offers=cannot)], snapshot(row(1))).impossible() == []


def test_paid_jobs_that_no_shot_wants_are_orphans() -> None:
    old = [
        row(1, S.RENDERING, "a ship"),
        row(2, S.RENDERED, "a raft"),
        row(3, S.FAILED, "a kayak"),
        row(4, S.RENDERING),
    ]
    assert [orphan.id for orphan in made([request()], snapshot(*old)).orphans] == [1, 2]


def test_clips_whose_shot_has_left_the_list_are_told() -> None:
    seen = snapshot(row(1), row(2, prompt="a ship"), placed={"clip_001.mp4": 1, "clip_002.mp4": 2, "clip_003.mp4": 2})
    plan = made([request(1)], seen, {"clip_002.mp4": File.EDITED})
    assert plan.departed == {"clip_002.mp4": File.EDITED, "clip_003.mp4": File.MISSING}


@pytest.mark.parametrize(("n", "at_once", "expected"), [(0, 5, 0), (1, 5, 60), (5, 5, 60), (6, 5, 120), (3, 1, 180)])
def test_the_expected_time_goes_by_rounds(n: int, at_once: int, expected: float) -> None:
    plan = made([request(k, f"boat {k}") for k in range(n)], snapshot())
    assert expected == planning.expected_s(plan, snapshot(), at_once)


def test_the_expected_time_learns_from_this_production() -> None:
    seen = snapshot(row(9, prompt="a raft"))
    assert planning.expected_s(made([request()], seen), seen, 5) == 50


def test_the_plan_as_json_says_what_the_plan_says() -> None:
    seen = snapshot(row(1), cap=2_000_000, spent=333_333, placed=HERE)
    plan = made([request(1), request(2, "a ship")], seen, {"clip_001.mp4": File.INTACT})
    found = json.loads(json.dumps(plan_json.as_json(plan, expected=60.04)))
    assert tuple(
        found[key] for key in ("plan_version", "simulated", "total_usd", "worst_case_usd", "fits", "expected_time_s")
    ) == (1, False, 0.6, 2.2, True, 60.0)
    assert found["budget"] == {
        "cap_usd": 2,
        "spent_usd": 0.333333,
        "reserved_usd": 0,
        "uncertain_usd": 0,
        "left_usd": 1.666667,
    }
    offers = [shot.pop("offers") for shot in found["shots"]]
    assert offers[1] == [
        {"provider": "runway", "model": "gen4.5", "price_usd": 0.6, "max_retries": 3,
         "prompt_hash": recipe("a ship").digest},
        {"provider": "pika", "model": "gen4.5", "price_usd": 0.2, "max_retries": 2,
         "prompt_hash": recipe("a ship").digest},
    ]  # fmt: skip
    assert [
        {"shot_number": 1, "action": "keep", "why": "up to date", "provider": "runway", "model": None, "price_usd": 0,
         "worst_case_usd": 0, "prompt_hash": recipe().digest},
        {"shot_number": 2, "action": "buy", "why": "no clip yet", "provider": "runway", "model": "gen4.5",
         "price_usd": 0.6, "worst_case_usd": 2.2, "prompt_hash": recipe("a ship").digest},
    ] == found["shots"]  # fmt: skip


@pytest.mark.slow
def test_planning_is_quick_for_many_shots() -> None:
    """Each shot looks at its own rows only; a quadratic plan of this size takes a minute."""
    requests = [request(k, f"boat {k}") for k in range(1, 2001)]
    rows = [row(k, prompt=f"boat {k}") for k in range(1, 2001)]
    plan = made(requests, snapshot(*rows))
    assert {Action.RESTORE} == {step.action for step in plan.steps}


def test_the_digest_of_the_fixture_is_a_sha256() -> None:
    assert hashlib.sha256().digest_size * 2 == len(row().recipe)
