"""Money: exact inside, never rounded down, at most six decimals outside."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgen.money import CREDIT, MICRO, micros, show, usd


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [
        (0, 0),
        (1, 1_000_000),
        ("2.00", 2_000_000),
        (Decimal("0.05"), 50_000),
        (0.1, 100_000),  # the float as it is written, not its binary neighbour
        (1e-7, 1),
        ("0.0000001", 1),
        ("0.0333333333", 33_334),
        ("1.0000001", 1_000_001),
        ("1.0000000000000000000000000000000001", 1_000_001),
        ("1e-999999", 1),
        (999_999_999, 999_999_999_000_000),
    ],
)
def test_dollars_become_micros_rounded_up(dollars: Decimal | float | str, expected: int) -> None:
    assert expected == micros(dollars)


@pytest.mark.parametrize("junk", ["", "nan", "inf", "-Infinity", "two", "1,00", True, float("nan")])
def test_what_is_no_amount_is_refused(junk: float | str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        micros(junk)


@given(st.integers(0, 10**15))
def test_micros_survive_the_way_through_json(amount: int) -> None:
    assert amount == micros(json.loads(json.dumps(usd(amount)), parse_float=Decimal))


@given(st.decimals(0, 10**6, allow_nan=False, places=9))
def test_rounding_adds_less_than_a_micro_dollar(dollars: Decimal) -> None:
    assert 0 <= micros(dollars) - dollars * MICRO < 1


@given(st.integers(-(10**12), 10**12))
def test_json_numbers_have_at_most_six_decimals(amount: int) -> None:
    assert int(Decimal(json.dumps(usd(amount))).as_tuple().exponent) >= -6


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0, "$0.00"),
        (600_000, "$0.60"),
        (1_000_000, "$1.00"),
        (33_300, "$0.0333"),
        (1, "$0.000001"),
        (12_345_678, "$12.345678"),
        (-600_000, "-$0.60"),
    ],
)
def test_amounts_are_shown_with_the_decimals_they_have(amount: int, expected: str) -> None:
    assert expected == show(amount)


def test_a_runway_credit_is_one_cent() -> None:
    assert micros("0.01") == CREDIT


@pytest.mark.parametrize(("amount", "expected"), [(2_000_000, 2), (150_000, 0.15), (1, 1e-06)])
def test_whole_dollars_are_integers_in_json(amount: int, expected: float) -> None:
    assert (expected, type(expected)) == (usd(amount), type(usd(amount)))
