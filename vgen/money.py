"""Money: whole micro-dollars (1 USD = 1,000,000 µ$) inside, numbers with up to 6 decimals in JSON. No prices."""

from decimal import ROUND_CEILING, Context, Decimal, InvalidOperation
from functools import lru_cache

MICRO = 1_000_000
"""Micro-dollars in a dollar."""

CREDIT = 10_000
"""Micro-dollars in a Runway credit: 1 credit = $0.01 (providers.md 1.10)."""

_UP = Context(prec=40, rounding=ROUND_CEILING)


def micros(usd: Decimal | int | float | str) -> int:
    """Micro-dollars of an amount in dollars, rounded up: an estimate may be too high, never too low.

    Raises ValueError for anything that is not a finite number.
    """
    try:
        amount = Decimal(str(usd))
    except InvalidOperation as exc:
        raise ValueError(f"not an amount of money: {usd!r}") from exc
    if not amount.is_finite():
        raise ValueError(f"not an amount of money: {usd!r}")
    return up(_UP.multiply(amount, Decimal(MICRO)))


@lru_cache(maxsize=4096)
def up(amount: Decimal) -> int:
    """The next whole micro-dollar. One object for one amount: of many shots most cost the same."""
    return int(amount.to_integral_value(rounding=ROUND_CEILING))


def usd(amount: int) -> float | int:
    """A JSON number of dollars. Exact to the micro-dollar for amounts below a billion dollars."""
    return amount // MICRO if amount % MICRO == 0 else amount / MICRO


def show(amount: int) -> str:
    """`$0.60`, or with as many decimals as the amount has: `$0.0333`."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    whole, part = divmod(amount, MICRO)
    decimals = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}${whole}.{decimals}"
