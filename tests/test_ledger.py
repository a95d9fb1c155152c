"""The ledger keeps the promises about money by itself: SQLite refuses what would break them."""

import contextlib
import gc
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from killed import kill_in_a_commit

from vgen.errors import AlreadyBought, IllegalMove, LedgerError, OverBudget, Refusal
from vgen.store import failpoints, purchase, row_mapping
from vgen.store.ledger import Ledger
from vgen.store.migrations import SCHEMA
from vgen.store.purchase import MOVES, State, Why
from vgen.store.reader import LedgerReader
from vgen.store.records import Budget, NewPurchase, Placed, Take

NOW = 1_795_000_000.0
PRICE = 600_000
RECIPE = "a" * 64
OPENERS = (pytest.param(lambda path: Ledger(path, now=lambda: NOW), id="write"), pytest.param(LedgerReader, id="look"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """In memory: the rules are SQLite's own, and a disk's sync takes longer than all the rest."""
    with opened(None) as made:
        yield made


@pytest.fixture
def on_disk(path: Path) -> Iterator[Ledger]:
    with opened(path) as made:
        yield made


@contextlib.contextmanager
def opened(path: Path | None, *, cap: int | None = None, run: str = "r1") -> Iterator[Ledger]:
    """A ledger with a live run and a simulated one (`<run>-s`), both under the cap."""
    with contextlib.closing(Ledger(path, now=lambda: NOW)) as made:
        made.start_run(run, simulated=False, cap=cap)
        made.start_run(f"{run}-s", simulated=True, cap=cap)
        yield made


def row(recipe: str = RECIPE, **changes: Any) -> NewPurchase:
    simulated = changes.get("simulated", False)
    values: dict[str, Any] = {
        "run_id": "r1-s" if simulated else "r1", "shot_number": 1, "recipe": recipe,
        "manifest": (("prompt", "a boat"),), "correlation_seed": "7",
        "simulated": False, "provider": "runway", "account": "acc", "base_url": "https://x", "model": "gen4.5",
        "path": "/v1/text_to_video", "request": "{}", "bought_s": "5", "price": PRICE,
    }  # fmt: skip
    return NewPurchase(**(values | changes))


def walk_to(target: State) -> list[State]:
    """The shortest legal way from a reservation."""
    ways: list[list[State]] = [[State.RESERVED]]
    for way in ways:
        if way[-1] is target:
            return way[1:]
        ways.extend([*way, to] for to in sorted(MOVES[way[-1]]) if to not in way)
    raise AssertionError(target)


def bring_to(ledger: Ledger, state: State, *, charged: int = 0, recipe: str = RECIPE, **changes: Any) -> int:
    """A purchase in a state, by legal moves."""
    number = ledger.reserve(row(recipe, **changes))
    for to in walk_to(state):
        ledger.move(number, to)
    if charged:
        ledger.note(number, charged=charged, charged_by="provider")
    return number


def raw(path: Path, sql: str, *values: Any) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.create_function("wall_clock", 0, lambda: NOW)
        return db.execute(sql, values).fetchall()


def states(ledger: Ledger) -> list[State]:
    return [one.state for one in ledger.of_recipes([RECIPE], simulated=False)]


# ── moves ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("was", "to"), [(was, to) for was in State for to in sorted(MOVES[was])])
def test_a_legal_move_is_made_with_what_it_brings(ledger: Ledger, was: State, to: State) -> None:
    number = bring_to(ledger, was)
    ledger.move(number, to, error="why")
    assert (to, "why") == (ledger.get(number).state, ledger.get(number).error)


@pytest.mark.parametrize("was", State)
def test_an_illegal_move_moves_nothing(ledger: Ledger, was: State) -> None:
    number = bring_to(ledger, was)
    before = ledger.get(number)
    for to in set(State) - MOVES[was] - {was}:
        with pytest.raises(IllegalMove, match="BUG"):
            ledger.move(number, to, charged=1, error="why")
        assert before == ledger.get(number)


@pytest.mark.parametrize("column", ["'accepted', 0", "'reserved', 1"])
def test_a_purchase_is_born_reserved_and_uncharged(on_disk: Ledger, path: Path, column: str) -> None:
    on_disk.reserve(row("b" * 64))
    names = (
        "run_id, shot_number, manifest, simulated, provider, account, base_url, model, path, request, bought_s, price, "
        "created_at"
    )
    with pytest.raises(sqlite3.IntegrityError, match="begins reserved"):
        raw(
            path,
            f"INSERT INTO purchases ({names}, recipe, state, charged) "
            f"SELECT {names}, '{RECIPE}', {column} FROM purchases",
        )
    assert states(on_disk) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"price": -1},
        {"recipe": "short"},
        {"run_id": "nobody"},
        {"price": "much"},
    ],
    ids=str,
)
def test_a_row_that_makes_no_sense_is_refused(ledger: Ledger, changes: dict[str, Any]) -> None:
    with pytest.raises(LedgerError):
        ledger.reserve(row(**changes))
    assert states(ledger) == []


@pytest.mark.parametrize("facts", [{"charged_by": "guess"}, {"job_id": ""}, {"charged": -1}], ids=str)
def test_a_fact_that_makes_no_sense_is_refused(ledger: Ledger, facts: dict[str, Any]) -> None:
    number = ledger.reserve(row())
    before = ledger.get(number)
    with pytest.raises(LedgerError):
        ledger.note(number, **facts)
    assert ledger.get(number) == before


def test_every_move_is_written_down_with_its_time(on_disk: Ledger, path: Path) -> None:
    number = bring_to(on_disk, State.RENDERED)
    on_disk.note(number, charged=5)
    on_disk.supersede(number, Why.AGAIN)
    found = raw(path, "SELECT state, charged, superseded, at FROM moves ORDER BY id")
    assert found == [
        ("reserved", 0, None, NOW), ("submitting", 0, None, NOW), ("rendering", 0, None, NOW),
        ("rendered", 0, None, NOW), ("rendered", 5, None, NOW), ("rendered", 5, "again", NOW),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM moves",
        "UPDATE moves SET charged = 0",
        "DELETE FROM purchases",
        "UPDATE purchases SET state = 'released'",
        "UPDATE purchases SET state = 'nonsense'",
        "UPDATE purchases SET charged = -1",
        "UPDATE purchases SET price = NULL",
    ],
)
def test_not_even_raw_sql_rewrites_history(on_disk: Ledger, path: Path, sql: str) -> None:
    number = bring_to(on_disk, State.RENDERED)
    with pytest.raises(sqlite3.IntegrityError):
        raw(path, sql)
    assert State.RENDERED is on_disk.get(number).state


# ── one purchase a recipe ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("charged", [0, 1])
def test_a_second_purchase_is_refused_unless_the_first_ended_for_free(
    ledger: Ledger, state: State, charged: int
) -> None:
    first = bring_to(ledger, state, charged=charged)
    if purchase.blocks(state, charged):
        with pytest.raises(AlreadyBought):
            ledger.reserve(row())
        assert [state] == states(ledger)
    else:
        assert ledger.reserve(row()) > first


@pytest.mark.parametrize("state", State)
def test_a_superseded_purchase_lets_another_be_made(ledger: Ledger, state: State) -> None:
    first = bring_to(ledger, state, charged=1)
    second = ledger.reserve(row(), supersede={first: Why.AGAIN})
    assert (ledger.get(first).superseded, ledger.get(second).state) == ("again", State.RESERVED)
    with pytest.raises(AlreadyBought):
        ledger.reserve(row())


def test_what_would_be_superseded_stays_if_the_reservation_fails() -> None:
    with opened(None, cap=PRICE) as ledger:
        first = bring_to(ledger, State.REJECTED, charged=PRICE)
        with pytest.raises(OverBudget):
            ledger.reserve(row(), supersede={first: Why.REJECTED})
        assert ledger.get(first).superseded is None


def test_another_provider_of_the_same_recipe_is_a_second_purchase_too(ledger: Ledger) -> None:
    bring_to(ledger, State.RENDERING)
    with pytest.raises(AlreadyBought):
        ledger.reserve(row(provider="pika"))


def test_simulated_and_live_never_stand_in_each_others_way(ledger: Ledger) -> None:
    live = bring_to(ledger, State.ACCEPTED)
    simulated = bring_to(ledger, State.ACCEPTED, simulated=True)
    found = [ledger.of_recipes([RECIPE], simulated=world) for world in (False, True)]
    assert [[live], [simulated]] == [[one.id for one in rows] for rows in found]
    seen = [ledger.snapshot(simulated=world, cap=None).purchases.keys() for world in (False, True)]
    assert [{live}, {simulated}] == seen


def test_a_job_belongs_to_one_purchase(ledger: Ledger) -> None:
    first, second = bring_to(ledger, State.SUBMITTING), bring_to(ledger, State.SUBMITTING, recipe="b" * 64)
    ledger.move(first, State.RENDERING, job_id="job-1")
    with pytest.raises(AlreadyBought):
        ledger.move(second, State.RENDERING, job_id="job-1")
    assert State.SUBMITTING is ledger.get(second).state


def test_another_accounts_job_may_have_the_same_id(ledger: Ledger) -> None:
    for number, (recipe, account) in enumerate((("a" * 64, "one"), ("b" * 64, "two")), start=1):
        assert number == bring_to(ledger, State.SUBMITTING, recipe=recipe, account=account)
        ledger.move(number, State.RENDERING, job_id="job-1")


# ── money ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", State)
def test_money_is_reserved_spent_or_uncertain_by_the_state(ledger: Ledger, state: State) -> None:
    bring_to(ledger, state, charged=7)
    found = ledger.budget(False, 1)
    expected = {
        **dict.fromkeys(purchase.HOLDS, (0, PRICE, 0)),
        **dict.fromkeys(purchase.SETTLED, (7, 0, 0)),
        **dict.fromkeys(purchase.FREE, (0, 0, 0)),
        State.UNCERTAIN: (0, 0, PRICE),
    }
    assert expected[state] == (found.spent, found.reserved, found.uncertain)
    assert Budget() == ledger.budget(True, None)


def kept_and_summed(ledger: Ledger) -> list[list[Budget]]:
    """The totals that SQLite keeps, and the same from the rows."""
    kept, summed = [], []
    for world in (False, True):
        rows = ledger.snapshot(simulated=world, cap=None).purchases.values()
        kept.append(ledger.budget(world, None))
        summed.append(
            Budget(
                spent=sum(row.charged for row in rows if row.state in purchase.SETTLED),
                reserved=sum(row.price for row in rows if row.state in purchase.HOLDS),
                uncertain=sum(row.price for row in rows if row.state is State.UNCERTAIN),
            )
        )
    return [kept, summed]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(State), st.integers(0, 9), st.booleans(), st.integers(0, 9)), max_size=8))
def test_the_totals_are_the_rows_sums_after_every_move(lives: list[tuple[State, int, bool, int]]) -> None:
    with opened(None) as ledger:
        for number, (state, charged, simulated, more) in enumerate(lives):
            made = bring_to(ledger, state, charged=charged, recipe=f"{number:064}", simulated=simulated)
            ledger.note(made, price=PRICE + more)
            kept, summed = kept_and_summed(ledger)
            assert kept == summed


def test_the_totals_of_a_move_that_is_undone_are_undone(on_disk: Ledger) -> None:
    made = bring_to(on_disk, State.RENDERING)
    before = kept_and_summed(on_disk)

    def fail(name: str, when: str) -> None:
        raise sqlite3.OperationalError("disk full")

    with failpoints.hooked(fail), pytest.raises(LedgerError):
        on_disk.move(made, State.RENDERED, charged=7)
    with pytest.raises(IllegalMove):
        on_disk.move(made, State.ACCEPTED, charged=7)
    assert kept_and_summed(on_disk) == before
    assert before[0] == before[1]


def test_a_purchase_stays_in_its_world(on_disk: Ledger, path: Path) -> None:
    bring_to(on_disk, State.RENDERING)
    with pytest.raises(sqlite3.IntegrityError, match="world"):
        raw(path, "UPDATE purchases SET simulated = 1")


def test_nothing_bought_is_nothing_spent(ledger: Ledger) -> None:
    assert Budget(cap=5) == ledger.budget(False, 5)


def test_what_is_left_is_never_negative() -> None:
    assert (Budget(cap=10, spent=15).left, Budget(cap=10, spent=15).exposure, Budget(spent=15).left) == (0, 15, None)


@pytest.mark.parametrize(
    ("cap", "fits"), [(3 * PRICE, True), (3 * PRICE - 1, False), (None, True), (0, False), (2 * PRICE, False)]
)
@pytest.mark.parametrize("states_", [(State.RENDERING, State.UNCERTAIN), (State.ACCEPTED, State.LOST)])
def test_no_reservation_passes_the_cap(cap: int | None, fits: bool, states_: tuple[State, State]) -> None:
    with opened(None) as ledger:
        for state, recipe in zip(states_, "bc", strict=True):
            bring_to(ledger, state, recipe=recipe * 64, charged=PRICE if state in purchase.SETTLED else 0)
        ledger.start_run("r2", simulated=False, cap=cap)
        if fits:
            ledger.reserve(row(run_id="r2"))
        else:
            with pytest.raises(OverBudget) as caught:
                ledger.reserve(row(run_id="r2"))
            assert (PRICE, max(0, (cap or 0) - 2 * PRICE)) == (caught.value.needed, caught.value.left)


def test_a_free_purchase_fits_any_cap() -> None:
    with opened(None, cap=0) as ledger:
        assert ledger.reserve(row(price=0)) == 1


def test_play_money_does_not_eat_the_budget() -> None:
    with opened(None, cap=PRICE) as ledger:
        bring_to(ledger, State.ACCEPTED, simulated=True, charged=PRICE)
        ledger.reserve(row())
        assert [ledger.budget(False, None).reserved, ledger.budget(False, None).spent] == [PRICE, 0]


def test_money_that_came_back_can_be_reserved_again() -> None:
    with opened(None, cap=PRICE) as ledger:
        for state in (State.REFUSED, State.RELEASED, State.FAILED):
            bring_to(ledger, state)
        ledger.reserve(row())


@pytest.mark.slow
def test_two_at_once_do_not_pass_the_cap_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own connection, as two processes would."""
    monkeypatch.setattr("vgen.store.database.BUSY_S", 60.0)  # eight in a row on a slow disk
    with opened(path, cap=4 * PRICE):
        pass
    results: list[str] = []
    start = threading.Barrier(8)

    def buy(n: int) -> None:
        with contextlib.closing(Ledger(path, now=lambda: NOW)) as mine:
            start.wait()
            try:
                mine.reserve(row(f"{n:064d}"))
            except OverBudget:
                results.append("over")
            else:
                results.append("bought")

    threads = [threading.Thread(target=buy, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["bought"] * 4 + ["over"] * 4


def test_two_at_once_do_not_buy_one_recipe_twice(path: Path) -> None:
    with opened(path) as one, contextlib.closing(Ledger(path, now=lambda: NOW)) as other:
        one.reserve(row())
        with pytest.raises(AlreadyBought):
            other.reserve(row())


Step = tuple[int, State, int]


@pytest.mark.slow
@hypothesis_settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(State), st.integers(0, 3)), max_size=25), st.integers(0, 8)
)
def test_whatever_is_tried_money_adds_up_and_stays_under_the_cap(steps: list[Step], cap: int) -> None:
    with opened(None, cap=cap) as ledger:
        held: dict[int, tuple[int, State, int]] = {}  # recipe → purchase, state, charged
        for recipe, to, price in steps:
            try:
                if recipe not in held or not purchase.blocks(*held[recipe][1:]):
                    number = ledger.reserve(row(str(recipe) * 64, price=price))
                    held[recipe] = (number, State.RESERVED, 0)
                else:
                    charged = ledger.get(held[recipe][0]).price if to in purchase.SETTLED else 0
                    ledger.move(held[recipe][0], to, charged=charged)
                    held[recipe] = (held[recipe][0], to, charged)
            except (OverBudget, IllegalMove):
                pass
            budget = ledger.budget(False, cap)
            rows = [one for key in held for one in ledger.of_recipes([str(key) * 64], simulated=False)]
            assert budget.exposure == sum(one.cost for one in rows) <= cap


# ── runs, leftovers, looking ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (State.RESERVED, State.RELEASED),
        (State.NOT_SENT, State.RELEASED),
        (State.SUBMITTING, State.UNCERTAIN),
        (State.RENDERING, State.RENDERING),
        (State.RENDERED, State.RENDERED),
        (State.FETCHED, State.FETCHED),
        (State.UNCERTAIN, State.UNCERTAIN),
        (State.ACCEPTED, State.ACCEPTED),
    ],
)
def test_after_a_crash_only_what_was_provably_not_sent_is_released(ledger: Ledger, was: State, becomes: State) -> None:
    number = bring_to(ledger, was)
    ledger.settle_left_over()
    assert becomes is ledger.get(number).state
    ledger.settle_left_over()
    assert (becomes, []) == (ledger.get(number).state, ledger.left_over())


def take(number: int, **changes: Any) -> Take:
    values: dict[str, Any] = {
        "recipe": RECIPE, "simulated": False, "take": 1, "path": "takes/a/take_001.mp4", "good": True, "reason": None,
        "sha256": "0" * 64, "size_bytes": 150_000, "width": 720, "height": 1280, "duration_s": 5.0, "has_audio": False,
    }  # fmt: skip
    return Take(purchase_id=number, **(values | changes))


def test_a_take_and_its_purchases_last_move_are_booked_together(ledger: Ledger) -> None:
    number = bring_to(ledger, State.FETCHED)
    ledger.book_take(take(number), State.ACCEPTED, charged=5)
    assert (ledger.take_of(number), ledger.get(number).state, ledger.get(number).charged) == (
        take(number), State.ACCEPTED, 5
    )  # fmt: skip


def test_without_the_move_there_is_no_take(ledger: Ledger) -> None:
    number = bring_to(ledger, State.RENDERING)
    with pytest.raises(IllegalMove):
        ledger.book_take(take(number), State.ACCEPTED)
    assert ledger.take_of(number) is None


def test_takes_count_from_one_within_a_recipe_and_world(ledger: Ledger) -> None:
    assert ledger.next_take([RECIPE], simulated=False) == 1
    number = bring_to(ledger, State.FETCHED)
    ledger.book_take(take(number, good=False), State.REJECTED)
    found = [
        ledger.next_take([recipe], simulated=world)
        for recipe, world in ((RECIPE, False), (RECIPE, True), ("b" * 64, False))
    ]
    assert found == [2, 1, 1]


def test_a_snapshot_has_all_of_one_world(ledger: Ledger) -> None:
    number = bring_to(ledger, State.FETCHED)
    ledger.book_take(take(number), State.ACCEPTED, charged=5)
    other = bring_to(ledger, State.RENDERING, recipe="b" * 64)
    bring_to(ledger, State.ACCEPTED, simulated=True)
    spot = Placed(name="clip_001.mp4", shot_number=1, purchase_id=number, sha256="0", size_bytes=1, mtime_ns=2)
    ledger.place(spot)
    found = ledger.snapshot(simulated=False, cap=9)
    assert {number, other} == found.purchases.keys()
    assert {RECIPE: [number], "b" * 64: [other]} == {
        key: [one.id for one in rows] for key, rows in found.by_recipe.items()
    }
    assert ({number}, {"clip_001.mp4": spot}) == (found.takes.keys(), found.placed)
    assert Budget(cap=9, spent=5, reserved=PRICE) == found.budget


def test_a_place_is_kept_replaced_and_given_up(ledger: Ledger) -> None:
    for number, recipe in ((1, "a" * 64), (2, "b" * 64)):
        bring_to(ledger, State.FETCHED, recipe=recipe)
        ledger.book_take(take(number, recipe=recipe), State.ACCEPTED)
        spot = Placed(name="c", shot_number=1, purchase_id=number, sha256="0", size_bytes=1, mtime_ns=2, edited=True)
        ledger.place(spot)
        assert spot == ledger.placed("c")
    ledger.unplace("c")
    assert ledger.placed("c") is None


def test_what_is_read_is_what_was_written(ledger: Ledger) -> None:
    number = bring_to(ledger, State.SUBMITTING, provider="pika")
    urls = {"status": "https://x/s", "response": "https://x/r"}
    ledger.move(number, State.RENDERING, job_id="job", urls=urls, submitted_at=3.5)
    found = ledger.get(number)
    assert (urls, (("prompt", "a boat"),), "job", 3.5, NOW, False, None) == (
        found.urls, found.manifest, found.job_id, found.submitted_at, found.created_at, found.final, found.rendered_at
    )  # fmt: skip


@pytest.mark.parametrize("state", sorted(State))
def test_what_was_read_before_is_read_as_it_is_now(on_disk: Ledger, path: Path, state: State) -> None:
    number = on_disk.reserve(row())
    for to in walk_to(state):
        on_disk.get(number)
        on_disk.move(number, to)
        with contextlib.closing(LedgerReader(path)) as fresh:
            assert fresh.get(number) == on_disk.get(number)
    facts: dict[str, Any] = {
        "job_id": "job", "urls": {"status": "https://x/s"}, "account": "other", "error": "why", "final": True,
        "charged": 5, "charged_by": "provider", "submitted_at": 3.5, "unreadable_since": None,
    }  # fmt: skip
    for name, value in facts.items():
        on_disk.note(number, **{name: value} | ({"charged_by": "user"} if name == "charged" else {}))
        with contextlib.closing(LedgerReader(path)) as fresh:
            assert fresh.get(number) == on_disk.get(number)
        assert getattr(on_disk.get(number), name) == value


def test_what_was_read_before_and_is_undone_is_read_as_it_was(on_disk: Ledger) -> None:
    number = bring_to(on_disk, State.RENDERING)
    before = on_disk.get(number)
    with contextlib.suppress(RuntimeError), on_disk.changing("test") as (db, _):
        db.execute("UPDATE purchases SET job_id = 'other' WHERE id = ?", (number,))
        assert on_disk.get(number).job_id == "other"
        raise RuntimeError
    assert on_disk.get(number) == before


def test_what_another_program_wrote_is_read(on_disk: Ledger, path: Path) -> None:
    number = bring_to(on_disk, State.RENDERING)
    assert on_disk.get(number).error is None
    raw(path, "UPDATE purchases SET error = 'by hand' WHERE id = ?", number)
    assert on_disk.get(number).error == "by hand"


def test_more_purchases_than_are_remembered_are_read(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_mapping, "MOST_RECENT", 3)
    made = [bring_to(ledger, State.RENDERING, recipe=f"{number:064}") for number in range(8)]
    for _ in range(2):
        assert [ledger.get(number).recipe for number in made] == [f"{number:064}" for number in range(8)]


# ── the file ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_that_was_committed_is_there_after_reopening(path: Path) -> None:
    with opened(path) as ledger:
        number = bring_to(ledger, State.RENDERING)
        before = ledger.get(number)
    with contextlib.closing(Ledger(path, now=lambda: NOW)) as again:
        assert before == again.get(number)


def test_only_its_owner_may_read_the_file(path: Path) -> None:
    with opened(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with contextlib.closing(Ledger(path, now=lambda: NOW)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_looking_makes_no_file(path: Path) -> None:
    with contextlib.closing(LedgerReader(path)) as empty:
        assert ({}, Budget()) == (empty.snapshot(simulated=False, cap=None).purchases, empty.budget(False, None))
    assert not path.exists()


def test_who_only_looks_changes_no_byte_and_makes_no_file(path: Path) -> None:
    with opened(path) as ledger:
        number = bring_to(ledger, State.RENDERING)
    path.chmod(0o644)
    before = (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode)
    with contextlib.closing(LedgerReader(path)) as reader:
        assert reader.get(number).state is State.RENDERING
        assert list(path.parent.iterdir()) == [path]
    assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_mode) == before


@pytest.mark.parametrize("there", [True, False], ids=["a ledger", "no ledger"])
def test_without_the_lock_nothing_can_be_written(path: Path, there: bool) -> None:
    if there:
        with opened(path) as ledger:
            ledger.reserve(row())
    before = path.read_bytes() if there else None
    with contextlib.closing(Ledger(path, now=lambda: NOW, read_only=True)) as unlocked:
        with pytest.raises(LedgerError, match="readonly"):
            unlocked.start_run("r2", simulated=False, cap=None)
        assert len(states(unlocked)) == there
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_path_may_hold_any_sign(tmp_path: Path) -> None:
    path = tmp_path / "100%25 ?a#b" / "ledger.db"
    path.parent.mkdir()
    with opened(path) as ledger:
        number = bring_to(ledger, State.ACCEPTED)
    with contextlib.closing(LedgerReader(path)) as reader:
        assert reader.get(number).state is State.ACCEPTED


@pytest.fixture
def killed_in_a_commit(path: Path) -> Path:
    """Some pages of a transaction are in the file, and the journal that undoes them is beside it."""
    with opened(path) as ledger:
        for n in range(20):
            bring_to(ledger, State.RENDERING, recipe=f"{n:064d}")
    kill_in_a_commit(path)
    return path


@pytest.mark.slow
def test_who_looks_after_a_kill_sees_what_was_committed_and_changes_nothing(killed_in_a_commit: Path) -> None:
    folder = killed_in_a_commit.parent
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}
    with contextlib.closing(LedgerReader(killed_in_a_commit)) as reader:
        rows = reader.snapshot(simulated=False, cap=None).purchases.values()
        assert [row.price for row in rows] == [PRICE] * 20
        assert reader.budget(False, None).reserved == 20 * PRICE
    assert {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()} == before


@pytest.mark.slow
def test_who_writes_after_a_kill_undoes_what_was_not_committed(killed_in_a_commit: Path) -> None:
    with contextlib.closing(Ledger(killed_in_a_commit, now=lambda: NOW)) as ledger:
        assert ledger.budget(False, None).reserved == 20 * PRICE
    assert [file.name for file in killed_in_a_commit.parent.iterdir()] == ["ledger.db"]


@pytest.mark.slow
def test_a_reader_is_not_misled_by_a_run_that_begins_while_it_copies(
    killed_in_a_commit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def overtaken(source: Path, target: Path) -> None:
        copy(source, target)
        with contextlib.closing(Ledger(killed_in_a_commit, now=lambda: NOW)) as other:
            other.note(1, price=PRICE + 5)

    monkeypatch.setattr(shutil, "copyfile", overtaken)
    with contextlib.closing(LedgerReader(killed_in_a_commit)) as reader:
        assert reader.budget(False, None).reserved == 20 * PRICE + 5


@pytest.mark.parametrize("open_", OPENERS)
@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"SQLite format 3\x00" + bytes(2000)])
def test_a_damaged_file_is_refused_and_left_alone(path: Path, open_: Any, damage: bytes) -> None:
    path.write_bytes(damage)
    with pytest.raises(Refusal, match="restore it from a backup, or run `doit recover`"):
        open_(path)
    assert damage == path.read_bytes()


@pytest.mark.slow
def test_a_file_cut_in_half_is_refused(path: Path) -> None:
    with opened(path) as ledger:
        for n in range(50):
            bring_to(ledger, State.RENDERING, recipe=f"{n:064d}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises((Refusal, LedgerError)), contextlib.closing(Ledger(path, now=lambda: NOW)) as ledger:
        ledger.snapshot(simulated=False, cap=None)


@pytest.mark.parametrize("version", [99, 0, -1])
@pytest.mark.parametrize("open_", OPENERS)
def test_a_ledger_of_another_vgen_is_refused(path: Path, version: int, open_: Any) -> None:
    with opened(path):
        pass
    raw(path, f"PRAGMA user_version = {version}")
    with pytest.raises(Refusal, match=rf"the ledger has schema \S+, this vgen writes {SCHEMA}; use the vgen"):
        open_(path)


def test_a_database_of_somebody_else_is_refused_and_left_alone(path: Path) -> None:
    raw(path, "CREATE TABLE photos (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(Refusal, match="schema"):
        Ledger(path, now=lambda: NOW)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal):
        Ledger(tmp_path / "absent" / "ledger.db", now=lambda: NOW)


class Killed(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_kill_while_the_file_is_made_leaves_one_that_can_be_made(path: Path) -> None:
    def die(name: str, when: str) -> None:
        if (name, when) == ("ledger.create", "before"):
            raise Killed

    def killed() -> bool:
        try:
            Ledger(path, now=lambda: NOW)
        except Killed:
            return True
        return False

    with failpoints.hooked(die):
        assert killed()
    gc.collect()  # the connection goes, as it would with its process
    with opened(path) as ledger:
        bring_to(ledger, State.ACCEPTED)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("act", "state"), [("reserve", None), ("move.submitting", State.RESERVED)])
def test_a_kill_at_a_commit_leaves_the_move_done_or_not_done(
    path: Path, when: str, act: str, state: State | None
) -> None:
    def die(name: str, at: str) -> None:
        if (name, at) == (f"ledger.{act}", when):
            raise Killed

    with opened(path) as ledger:
        number = bring_to(ledger, state) if state else 0
        with failpoints.hooked(die), pytest.raises(Killed):
            ledger.move(number, State.SUBMITTING) if state else ledger.reserve(row())
    after = {"reserve": State.RESERVED, "move.submitting": State.SUBMITTING}[act]
    expected = [after] if when == "after" else [state] if state else []
    with contextlib.closing(Ledger(path, now=lambda: NOW)) as again:
        assert expected == states(again)


def moves_of(table: Mapping[State, frozenset[State]]) -> set[tuple[str, str]]:
    return {(was.value, to.value) for was, allowed in table.items() for to in allowed}


def test_the_tables_in_the_file_are_those_of_the_code(path: Path) -> None:
    with opened(path):
        pass
    assert moves_of(MOVES) == set(raw(path, "SELECT was, becomes FROM legal_move"))
    assert {state.value for state in State} == {state for (state,) in raw(path, "SELECT state FROM state_money")}
