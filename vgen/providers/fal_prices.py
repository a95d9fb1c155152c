"""List prices of fal's endpoints: what a clip costs as it is ordered, with sound or without. Knows no order, no config.

A row's `price` is in dollars a second (`per_second_usd`) or a clip (`per_clip_usd`): one number, or one for each
resolution as it is spelled ("720p"), and in place of a number a ladder of lengths ({"6": 0.28, "10": 0.56}).
`…_with_sound_usd` beside it is the price with sound, where that has one of its own. `sure` says where it is from:

- `page`: the endpoint's own page says it;
- `kin`: reckoned from the page's rule, or from the page of an endpoint that costs the same, or told by several others;
- `unit`: only the unit price of fal's pricing API is known, and a unit is not always a second: shown, never reserved.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from vgen.money import micros, up

SURE = ("page", "kin", "unit")
AMOUNTS = ("per_second_usd", "per_clip_usd")
WITH_SOUND = ("per_second_with_sound_usd", "per_clip_with_sound_usd")


def listed(price: Mapping[str, Any] | None, resolution: str | None, bought_s: Decimal) -> int | None:
    """Micro-dollars of a clip in this resolution (None: the endpoint has no such field) and length, or None."""
    return _first(AMOUNTS, price, resolution, bought_s)


def with_sound(
    price: Mapping[str, Any] | None, resolution: str | None, bought_s: Decimal, *, is_default: bool
) -> int | None:
    """The same with sound. `is_default`: the endpoint makes sound unless it is told not to, so the only price that its
    page tells is one with sound.
    """
    if price is not None and (any(name in price for name in WITH_SOUND) or not is_default):
        return _first(WITH_SOUND, price, resolution, bought_s)
    return listed(price, resolution, bought_s)


def _first(
    names: Sequence[str], price: Mapping[str, Any] | None, resolution: str | None, bought_s: Decimal
) -> int | None:
    if price is None or price.get("sure") == "unit":
        return None
    for name in names:
        amount = _at(price.get(name), resolution, bought_s)
        if amount is not None:
            return micros(amount) if name.startswith("per_clip") else up(Decimal(micros(amount)) * bought_s)
    return None


def per_second(price: Mapping[str, Any] | None, resolution: str | None) -> int | None:
    """Micro-dollars a second, where the length does not matter."""
    amount = (price or {}).get("per_second_usd")
    if isinstance(amount, Mapping):
        amount = amount.get(resolution or "")
    return (
        None
        if amount is None or isinstance(amount, Mapping) or price is None or price["sure"] == "unit"
        else micros(amount)
    )


def _at(amount: Any, resolution: str | None, bought_s: Decimal) -> Any:
    """The number for a resolution and a length; of a ladder, the step of the next longer clip."""
    if isinstance(amount, Mapping) and not is_ladder(amount):
        amount = amount.get(resolution or "")
    if isinstance(amount, Mapping):
        steps = sorted((Decimal(length), value) for length, value in amount.items())
        amount = next((value for length, value in steps if bought_s <= length), None)
    return amount


def is_ladder(amount: Mapping[str, Any]) -> bool:
    """Whether the keys are lengths in seconds, and not resolutions."""
    return all(key.replace(".", "", 1).isdecimal() for key in amount)
