"""The ledger as a state machine beside an oracle of plain dicts: Hypothesis looks for a sequence that parts them.

The oracle knows the truth at the provider: whether each order was accepted, and what it came to cost.
"""

import contextlib
import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vgen.errors import AlreadyBought, IllegalMove, LedgerError, OverBudget
from vgen.store import failpoints
from vgen.store.ledger import Ledger
from vgen.store.purchase import FREE, HOLDS, MOVES, SETTLED, State, Why
from vgen.store.records import NewPurchase

MEMORY = Path("/dev/shm")
RECIPES = ("a" * 64, "b" * 64, "c" * 64)
PRICES = st.sampled_from((0, 1, 7, 20))
NUMBERS = st.integers(0, 50)


class Died(BaseException):
    """The process is killed."""


@dataclass(slots=True)
class Order:
    """What the oracle knows of one purchase. `truth`: what the provider charges, or will; 0 if it never had it."""

    recipe: str
    price: int
    state: State = State.RESERVED
    charged: int = 0
    superseded: bool = False
    truth: int = 0
    job: bool = False

    @property
    def stands(self) -> bool:
        unpaid = self.state in (State.FAILED, State.CANCELLED) and not self.charged
        return not (self.superseded or self.state in FREE or unpaid)

    @property
    def exposure(self) -> int:
        if self.state in SETTLED:
            return self.charged
        return 0 if self.state in FREE else self.price


class LedgerMachine(RuleBasedStateMachine):
    """Runs, reservations, moves, kills and a second connection, in any order."""

    @initialize(cap=st.integers(0, 60))
    def begin(self, cap: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vgen-ledger-", dir=MEMORY if MEMORY.is_dir() else None))
        self.path = self.folder / "ledger.db"
        self.ledger = self._opened()
        self.other = self._opened()
        self.orders: dict[int, Order] = {}
        self.runs = 0
        self.caps: list[int] = []
        self.moves = 0
        self._start(cap)

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.ledger.close()
            self.other.close()
            shutil.rmtree(self.folder)

    def _opened(self) -> Ledger:
        return Ledger(self.path, now=lambda: 1_795_000_000.0)

    def _start(self, cap: int) -> None:
        self.runs += 1
        self.cap = cap
        self.caps.append(cap)
        self.ledger.start_run(f"run {self.runs}", simulated=False, cap=cap)

    # ── rules ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @rule(cap=st.integers(0, 90))
    def a_new_run(self, cap: int) -> None:
        self._start(cap)

    @rule(recipe=st.sampled_from(RECIPES), price=PRICES, number=NUMBERS, why=st.sampled_from(Why), other=st.booleans())
    def reserve(self, recipe: str, price: int, number: int, why: Why, other: bool) -> None:
        """From this connection or another; now and then it supersedes what stands in its way."""
        ledger = self.other if other else self.ledger
        rivals = [number for number, order in self.orders.items() if order.recipe == recipe and order.stands]
        supersede = dict.fromkeys(rivals, why) if number % 3 == 0 else {}
        order = NewPurchase(
            run_id=f"run {self.runs}", shot_number=1, recipe=recipe, manifest=(), simulated=False, provider="runway",
            account="a", base_url="https://x", model="m", path="/", request="{}", correlation_seed="", bought_s="5",
            price=price,
        )  # fmt: skip
        try:
            number = ledger.reserve(order, supersede=supersede)
        except OverBudget:
            assert self._exposure() + price > self.cap, "M1: refused, though it fits"
            return
        except AlreadyBought:
            assert bool(rivals) > bool(supersede), "M4: refused, though nothing stands in its way"
            return
        assert self._exposure() + price <= self.cap, "M1: the cap was passed"
        assert not rivals or supersede, "M4: two purchases of one recipe"
        for old in supersede:
            self.orders[old].superseded = True
        self.orders[number] = Order(recipe, price)

    @precondition(lambda self: self.orders)
    @rule(number=NUMBERS, to=st.sampled_from(State))
    def any_move(self, number: int, to: State) -> None:
        """An arrow that the table does not have moves nothing."""
        key, order = self._pick(number)
        if to in MOVES[order.state] or to is order.state:
            return
        with pytest.raises(IllegalMove):
            self.ledger.move(key, to, charged=1)

    @precondition(lambda self: self.orders)
    @rule(number=NUMBERS, accepted=st.booleans(), half=st.booleans(), choice=NUMBERS)
    def live_on(self, number: int, accepted: bool, half: bool, choice: int) -> None:
        """One legal arrow, as the provider's truth would have it."""
        key, order = self._pick(number)
        ways = sorted(MOVES[order.state])
        if not ways:
            return
        to = ways[choice % len(ways)]
        columns: dict[str, object] = {}
        if order.state is State.SUBMITTING:
            order.truth = (order.price // 2 if half else order.price) if accepted or to is State.RENDERING else 0
            if to in (State.REFUSED, State.NOT_SENT):
                order.truth = 0
        asked = order.state is State.UNCERTAIN and to in (State.NOT_SENT, State.RENDERING)
        if asked and (to is State.RENDERING) != bool(order.truth):
            return  # a look-up tells the truth
        back = order.state in (State.LOST, State.FAILED)
        if back and not (order.truth and order.job):
            return  # only a job that its provider has comes back
        if to is State.RENDERING:
            order.job = True
            columns["job_id"] = f"job-{key}"
        if order.state is State.RENDERING or (order.state is State.UNCERTAIN and to is State.LOST):
            assumed = to is State.LOST
            columns |= {"charged": order.price if assumed else order.truth}
            columns |= {"charged_by": "assumed" if assumed else "provider"}
        if back and to is State.RENDERED:
            columns |= {"charged": order.truth, "charged_by": "provider"}
        self.ledger.move(key, to, **columns)
        order.state = to
        order.charged = int(str(columns.get("charged", order.charged)))

    @precondition(lambda self: self.orders)
    @rule(number=NUMBERS, why=st.sampled_from(Why))
    def supersede(self, number: int, why: Why) -> None:
        key, order = self._pick(number)
        self.ledger.supersede(key, why)
        order.superseded = True

    @precondition(lambda self: self.orders)
    @rule(number=NUMBERS, choice=NUMBERS, when=st.sampled_from(("before", "after")))
    def a_kill_in_the_middle_of_a_move(self, number: int, choice: int, when: str) -> None:
        """Before the commit nothing has happened, after it all of it has; then the next run settles what was left."""
        key, order = self._pick(number)
        ways = sorted(MOVES[order.state] & (HOLDS | FREE | {State.UNCERTAIN}))
        if order.state is State.UNCERTAIN or not ways:
            return
        to = ways[choice % len(ways)]

        def hook(name: str, moment: str) -> None:
            if moment == when:
                raise Died(name)

        columns = {"job_id": f"job-{key}"} if to is State.RENDERING else {}
        with failpoints.hooked(hook), contextlib.suppress(Died):
            self.ledger.move(key, to, **columns)
        if order.state is State.SUBMITTING:
            order.truth = order.price if to in (State.RENDERING, State.UNCERTAIN) else 0
        if when == "after":
            order.state, order.job = to, order.job or to is State.RENDERING
        self.settle_left_over()

    @rule()
    def settle_left_over(self) -> None:
        """The next process: what was provably not sent is released, what may have been sent is uncertain."""
        self.ledger.close()
        self.ledger = self._opened()
        self.ledger.settle_left_over()
        for order in self.orders.values():
            if order.state in (State.RESERVED, State.NOT_SENT):
                order.state = State.RELEASED
            elif order.state is State.SUBMITTING:
                order.state = State.UNCERTAIN
        assert not self.ledger.left_over()

    @precondition(lambda self: self.moves)
    @rule(number=NUMBERS)
    def history_can_not_be_changed(self, number: int) -> None:
        for statement in ("UPDATE moves SET price = 0", "DELETE FROM moves", "DELETE FROM purchases"):
            with pytest.raises(sqlite3.IntegrityError, match="append only"):
                self._sql(statement)

    @precondition(lambda self: sum(order.job for order in self.orders.values()) > 1)
    @rule()
    def a_job_has_one_owner(self) -> None:
        first, second = [key for key, order in self.orders.items() if order.job][:2]
        with pytest.raises((AlreadyBought, LedgerError)):
            self.ledger.note(second, job_id=f"job-{first}")

    # ── invariants ────────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def money_is_as_the_oracle_says(self) -> None:
        """M1, M2, M3, M7."""
        if not hasattr(self, "orders"):
            return
        budget = self.other.budget(False, self.cap)
        mine: Counter[str] = Counter()
        for order in self.orders.values():
            kind = "spent" if order.state in SETTLED else "reserved" if order.state in HOLDS else "uncertain"
            mine[kind] += order.exposure
        assert (budget.spent, budget.reserved, budget.uncertain) == (mine["spent"], mine["reserved"], mine["uncertain"])
        assert min(budget.spent, budget.reserved, budget.uncertain) >= 0, "M3"
        truth = sum(order.truth for order in self.orders.values())
        assert truth <= budget.exposure <= max(self.caps), "M1, M2"
        known = sum(order.truth for order in self.orders.values() if order.state in SETTLED)
        assumed = sum(order.charged for order in self.orders.values() if order.state is State.LOST)
        assert budget.spent - assumed <= known, "M2: more booked than charged"

    @invariant()
    def rows_and_history_agree(self) -> None:
        """M4, M7: rows are the oracle's, history only grows and ends with the rows."""
        if not hasattr(self, "orders"):
            return
        rows = {row.id: row for row in self.other.of_recipes(RECIPES, simulated=False)}
        assert {key: row.state for key, row in rows.items()} == {key: order.state for key, order in self.orders.items()}
        stands = Counter(row.recipe for row in rows.values() if row.blocks)
        assert all(count == 1 for count in stands.values()), "M4"
        moves = self._sql("SELECT purchase_id, state, price, charged FROM moves ORDER BY id")
        assert len(moves) >= self.moves, "M7: history has shrunk"
        self.moves = len(moves)
        last = {purchase_id: state for purchase_id, *state in moves}
        assert last == {key: [row.state, row.price, row.charged] for key, row in rows.items()}, "M7"

    # ── helpers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Past vgen, as somebody with a shell would."""
        with contextlib.closing(sqlite3.connect(self.path)) as db:
            return db.execute(statement).fetchall()

    def _pick(self, number: int) -> tuple[int, Order]:
        keys = sorted(self.orders)
        key = keys[number % len(keys)]
        return key, self.orders[key]

    def _exposure(self) -> int:
        return sum(order.exposure for order in self.orders.values())
