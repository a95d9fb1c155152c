"""The table of a purchase's life: complete, without contradiction, and free of shortcuts."""

from vgen.store import purchase
from vgen.store.purchase import COLLECTABLE, FREE, HOLDS, MOVES, SETTLED, UNFINISHED, State

END = {State.ACCEPTED, State.REJECTED, State.REFUSED, State.RELEASED, State.FAILED, State.CANCELLED, State.LOST}


def reachable(start: State) -> set[State]:
    seen: set[State] = set()
    todo = [start]
    while todo:
        if (state := todo.pop()) not in seen:
            seen.add(state)
            todo.extend(MOVES[state])
    return seen


def test_the_tables_do_not_contradict_each_other() -> None:
    purchase.check()


def test_every_state_can_be_reached_from_a_reservation() -> None:
    assert set(State) == reachable(State.RESERVED)


def test_from_every_state_an_end_can_be_reached() -> None:
    assert set() == {state for state in State if not reachable(state) & END}


def test_what_has_ended_stays_unless_its_provider_has_it_after_all() -> None:
    again = {State.LOST: {State.RENDERING, State.RENDERED}, State.FAILED: {State.RENDERED}}
    assert {state: set(MOVES[state]) for state in END} == {state: set() for state in END} | again


def test_nothing_moves_to_itself() -> None:
    assert set() == {state for state in State if state in MOVES[state]}


def test_what_has_not_ended_holds_its_price_or_can_be_collected_or_is_uncertain() -> None:
    assert set(State) - END == HOLDS | UNFINISHED


def test_what_can_be_collected_has_a_job() -> None:
    assert {State.RENDERING, State.RENDERED, State.FETCHED} == COLLECTABLE


def test_money_that_is_spent_never_comes_back() -> None:
    """But for a job that was lost and renders still: its price is reserved again."""
    assert {(State.LOST, State.RENDERING)} == {(w, to) for w in SETTLED for to in MOVES[w] if to not in SETTLED}


def test_nothing_is_free_that_may_have_arrived() -> None:
    """Free ends come from an explicit no or from what provably never left."""
    assert {State.SUBMITTING} == {was for was in State if State.REFUSED in MOVES[was]}
    assert {State.RESERVED, State.NOT_SENT} == {was for was in State if State.RELEASED in MOVES[was]}


def test_there_is_no_shortcut() -> None:
    never = {
        State.RESERVED: {State.RENDERING},
        State.SUBMITTING: {State.RELEASED, State.RESERVED},
        State.UNCERTAIN: {State.RESERVED, State.RELEASED, State.ACCEPTED},
        State.RENDERING: {State.SUBMITTING, State.RELEASED, State.ACCEPTED},
        State.RENDERED: {State.RENDERING, State.ACCEPTED},
        State.LOST: {State.RESERVED},
    }
    assert {(was, to) for was, all_to in never.items() for to in all_to if to in MOVES[was]} == set()


def test_only_what_cost_nothing_and_has_ended_lets_another_be_bought() -> None:
    blocking = {*HOLDS, *UNFINISHED, State.ACCEPTED, State.REJECTED, State.LOST}
    assert {state for state in State if state not in FREE and purchase.blocks(state, 1)} == blocking | {
        State.FAILED,
        State.CANCELLED,
    }
    assert {state for state in State if purchase.blocks(state, 0)} == blocking
