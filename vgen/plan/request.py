"""A shot as the planner sees it: its recipe for each provider, and what each provider offers."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vgen.inputs.settings import Provider
from vgen.inputs.shots import Shot
from vgen.providers.base import CannotMake, NoPrice, Order
from vgen.recipe import Recipe
from vgen.store.records import Purchase


def of(shot: Shot, provider: str, *, aspect_ratio: str, image: str | None) -> Recipe | None:
    """The recipe of a shot at a provider, or None if the shot has no text for it. `image` as in Recipe."""
    prompt = shot.prompt_for(provider)
    if prompt is None:
        return None
    return _made(
        prompt=prompt,
        negative_prompt=shot.negative_prompt,
        duration_s=shot.duration_s,
        aspect_ratio=shot.aspect_ratio or aspect_ratio,
        image=image,
        seed=shot.seed,
    )


_made = functools.lru_cache(maxsize=16)(Recipe)
"""Kept for a moment: most shots have one recipe for all providers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One provider's offer for a shot: an order, or the reason why there is none."""

    provider: str
    max_retries: int
    order: Order | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRequest:
    """A shot with its recipe for each provider, and the offers in the order of preference."""

    shot: Shot
    recipes: Mapping[str, Recipe]
    offers: Sequence[Offer]
    aspect_ratio: str = "9:16"
    image: str | None = None
    _digests: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        others = (self.recipe_for(provider) for provider in self.shot.prompts.keys() - self.recipes.keys())
        found = (recipe_.digest for recipe_ in (*self.recipes.values(), *others) if recipe_ is not None)
        object.__setattr__(self, "_digests", tuple(dict.fromkeys(found)))

    @property
    def number(self) -> int:
        return self.shot.number

    def recipe_for(self, provider: str) -> Recipe | None:
        """The recipe at any provider, also at one that is not configured any more."""
        if provider in self.recipes:
            return self.recipes[provider]
        return of(self.shot, provider, aspect_ratio=self.aspect_ratio, image=self.image)

    def digests(self) -> frozenset[str]:
        """Digests of all recipes that a take of this shot may have."""
        return frozenset(self._digests)

    def matches(self, row: Purchase) -> bool:
        """Whether a purchase is of this shot's recipe, for the provider that it was made with."""
        wanted = self.recipe_for(row.provider)
        return wanted is not None and wanted.digest == row.recipe


def offer(provider: Provider, made: Recipe | None) -> Offer:
    """What a provider offers for a recipe. Raises NoPrice."""
    if made is None:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem="no prompt for this provider")
    try:
        order = provider.codec.order(made, provider.terms)
    except NoPrice:
        raise
    except CannotMake as exc:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem=str(exc))
    return Offer(provider=provider.name, max_retries=provider.max_retries, order=order)
