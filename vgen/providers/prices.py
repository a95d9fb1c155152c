"""What Runway's models cost a second, dated; and what a clip is reserved at, whoever sells it. (fal's: fal_prices.)"""

from collections.abc import Mapping
from decimal import Decimal

from vgen.money import CREDIT, up
from vgen.providers.base import NoPrice, Terms

AS_OF = "2026-11-22"
"""Sources: Runway's own rw-api-reference (gen4.5, gen4_turbo, veo3.1*), third-party figures that agree with create
replies (seedance2*, hailuo3, gemini_omni_flash, grok_imagine_1_5). A price that is too low is noticed at the first
create (`estimatedCost`) and stops further buying of that model."""

Prices = Mapping[str, int]
"""Micro-dollars a second by resolution; "" stands for any other."""


def _credits(by_resolution: Mapping[str, float]) -> Prices:
    return {resolution: int(rate * CREDIT) for resolution, rate in by_resolution.items()}


RUNWAY: Mapping[str, Prices] = {
    "gen4.5": _credits({"": 12}),
    "gen4_turbo": _credits({"": 5}),
    "veo3.1": _credits({"": 20}),  # silent; 40 with audio, which vgen does not order
    "veo3.1_fast": _credits({"": 10}),  # silent; 15 with audio
    "seedance2": _credits({"480p": 36, "720p": 36}),  # nobody told the price of 1080p and 4K
    "seedance2_fast": _credits({"": 29}),
    "seedance2_mini": _credits({"": 16}),
    "seedance2_5": _credits({"480p": 20, "720p": 30}),
    "hailuo3": _credits({"768p": 10, "2k": 15}),
    "gemini_omni_flash": _credits({"": 10}),
    "grok_imagine_1_5": _credits({"480p": 11, "720p": 16.25}),
}


def per_second(table: Mapping[str, Prices], model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second, or None for a model or resolution whose price nobody told."""
    prices = table.get(model, {})
    return prices.get(resolution or "", prices.get(""))


def agreed(listed: int | None, terms: Terms, bought_s: Decimal) -> int | None:
    """What a clip is reserved at: its configured price, but never below its list price. Micro-dollars, of the clip."""
    return settled(listed, configured(terms, bought_s))


def settled(listed: int | None, configured: int | None) -> int | None:
    """The higher of two prices of the same thing; None if neither is known."""
    return max((price for price in (listed, configured) if price is not None), default=None)


def configured(terms: Terms, bought_s: Decimal) -> int | None:
    """What a clip costs by the config, in micro-dollars; None if that does not say."""
    if terms.tariff is not None:
        return terms.tariff.of(bought_s)
    return None if terms.price is None else up(terms.price * bought_s)


def missing(what: str, page: str = "") -> NoPrice:
    """Nobody told the price of `what`. `page`: where the vendor tells it."""
    look = f"look at {page} and " if page else ""
    return NoPrice(f"no price known for {what}; {look}set its cost_per_second_usd or cost_per_clip_usd in the config")
