"""What a second of video costs, by provider and model: the one price table. Dated; edit it here and nowhere else."""

from collections.abc import Mapping

from vgen.money import CREDIT, micros

AS_OF = "2026-11-22"
"""Sources: Runway's own rw-api-reference (gen4.5, gen4_turbo, veo3.1*), third-party figures that agree with create
replies (seedance2*, hailuo3, gemini_omni_flash, grok_imagine_1_5), fal's model pages (pika, kling). A price that is too
low is noticed at the first create (`estimatedCost`) and stops further buying of that model."""

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

_PIKA: Prices = {"720p": micros("0.04"), "1080p": micros("0.09")}  # $0.20 and $0.45 for 5 s

FAL: Mapping[str, Prices] = {
    "fal-ai/pika/v2.2/text-to-video": _PIKA,
    "fal-ai/pika/v2.2/image-to-video": _PIKA,
    "fal-ai/kling-video/v3/standard/text-to-video": {"": micros("0.084")},
    "fal-ai/kling-video/v3/pro/text-to-video": {"": micros("0.112")},
    "fal-ai/kling-video/v2.5-turbo/pro/text-to-video": {"": micros("0.07")},
}


def per_second(table: Mapping[str, Prices], model: str, resolution: str | None) -> int | None:
    """Micro-dollars a second, or None for a model or resolution whose price nobody told."""
    prices = table.get(model, {})
    return prices.get(resolution or "", prices.get(""))


def settled(table_price: int | None, configured: int | None) -> int | None:
    """The price to reserve: the configured one, but never below the table's."""
    if table_price is None or configured is None:
        return table_price if configured is None else configured
    return max(table_price, configured)
