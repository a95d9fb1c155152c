"""What Runway's models cost a second, dated; and what a clip is reserved at, whoever sells it. (fal's: fal_prices.)"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from vgen.money import CREDIT, up
from vgen.providers.base import NoPrice, Terms

AS_OF = "2026-11-28"
"""Source: Runway's price page (docs.dev.runwayml.com/guides/pricing) as others copied it between 2026-09-27 and
2026-10-08; two copies or more agree unless a line says otherwise. A price too low is noticed at the first create
(`estimatedCost`) and stops further buying of that model."""

Prices = Mapping[str, int]
"""Micro-dollars a second by resolution; "" stands for any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What Runway takes for a model, in micro-dollars.

    `silent`, `sound`: a second without and with sound; a table of its own only where sound costs more. `picture`: on
    top for each picture that it is made from. `least`: for any clip.
    """

    silent: Prices
    sound: Prices
    picture: int = 0
    least: int = 0

    def per_second(self, resolution: str | None, *, sound: bool) -> int | None:
        """A second of video; where only the price with sound was told, that one, which is not the lower one."""
        for table in (self.sound,) if sound else (self.silent, self.sound):
            price = table.get(resolution or "", table.get(""))
            if price is not None:
                return price
        return None

    def clip(self, seconds: Decimal, resolution: str | None, *, sound: bool, pictures: int) -> int | None:
        """A whole clip, in whole credits, as Runway charges; None if nobody told the price."""
        rate = self.per_second(resolution, sound=sound)
        if rate is None:
            return None
        price = max(up(rate * seconds) + self.picture * pictures, self.least)
        return -(-price // CREDIT) * CREDIT


def _rates(
    silent: Mapping[str, str], sound: Mapping[str, str] | None = None, *, picture: int = 0, least: int = 0
) -> Rates:
    """Of credits, and credits a second by resolution."""
    return Rates(
        silent=_credits(silent),
        sound=_credits(silent if sound is None else sound),
        picture=picture * CREDIT,
        least=least * CREDIT,
    )


def _credits(by_resolution: Mapping[str, str]) -> Prices:
    return {resolution: up(Decimal(rate) * CREDIT) for resolution, rate in by_resolution.items()}


RUNWAY: Mapping[str, Rates] = {
    "gen4.5": _rates({"": "12"}),
    "gen4_turbo": _rates({"": "5"}),
    "veo3.1": _rates({"": "20"}, {"": "40"}),
    "veo3.1_fast": _rates({"": "10"}, {"": "15"}),
    "seedance2": _rates({"480p": "36", "720p": "36", "1080p": "40", "2160p": "150"}),
    "seedance2_fast": _rates({"": "29"}),
    "seedance2_mini": _rates({"": "16"}, least=64),
    "seedance2_5": _rates({"480p": "20", "720p": "30", "1080p": "68"}, least=80),
    "hailuo3": _rates({"768p": "10", "2k": "15"}, picture=2),  # told of reference pictures; perhaps not of a first one
    "h3_max": _rates({"480p": "5", "768p": "8"}),
    "happyhorse_1_0": _rates({"720p": "15", "1080p": "30"}),
    "gemini_omni_flash": _rates({"": "10"}, picture=1),
    # one copy has 10 for every resolution; the others, and LiteLLM's table, these
    "gemini_omni_flash_1.1": _rates({"360p": "3.4", "720p": "10", "1080p": "15", "2160p": "30"}, picture=1),
    # until 2026-11 11 and 16.25, measured on clips of 1 and 4 s with the picture's credit in them
    "grok_imagine_1_5": _rates({"480p": "10", "720p": "16", "1080p": "29"}, picture=1),
    "grok_imagine_1_5_lite": _rates({"480p": "2", "720p": "3", "1080p": "14"}, picture=1),
    "wan3": _rates({"480p": "5", "720p": "10", "1080p": "20"}),
    "wan3_prime": _rates({"480p": "6.8", "720p": "14", "1080p": "28"}),  # one copy; another repeats h3_max's by mistake
    # not on the page: Runway Academy's figure without sound (2026-10-06), 85 credits measured for 5 s with it
    "kling3.0_pro": _rates({"": "12"}, {"": "17"}),
    "kling3.0_standard": _rates({}, {"": "13"}),  # one report of 2026-10-01; without sound nobody told
}


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
