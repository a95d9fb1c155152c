"""A shot as the planner sees it: its recipe for each provider, and what each provider offers."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vgen.inputs.settings import Provider
from vgen.inputs.shots import Shot
from vgen.providers.base import MIN_SIDE, CannotMake, NoPrice, Order
from vgen.providers.kinds import FOLLOWS_PICTURE, flat
from vgen.recipe import Recipe, first_of, has_shape
from vgen.store.records import Purchase


def of(
    shot: Shot, provider: str, *, aspect_ratio: str, image: str | None, tier: str | None = None, take: int = 1
) -> Recipe | None:
    """The recipe of a shot at a provider, or None if the shot has no text for it. The rest is as in Recipe."""
    prompt = shot.prompt_for(provider)
    if prompt is None:
        return None
    return _made(
        prompt=prompt,
        negative_prompt=shot.negative_prompt,
        duration_s=shot.duration_s,
        aspect_ratio=shot.aspect_ratio or aspect_ratio,
        image=image,
        seed=None if shot.seed is None else shot.seed + take - 1,
        tier=tier,
        take=take,
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
    """A shot with its recipe for each provider, and the offers in the order of preference.

    `tier` as in Recipe; `final`: of a draft, the request for its final, which buys nothing.
    `take`: which of the takes wanted it is for. `further`: of the first, the requests for the others, in order.
    `others`: digests of the recipes of further takes, those that were bought when more were wanted included.
    """

    shot: Shot
    recipes: Mapping[str, Recipe]
    offers: Sequence[Offer]
    aspect_ratio: str = "9:16"
    image: str | None = None
    tier: str | None = None
    final: "ShotRequest | None" = None
    take: int = 1
    further: tuple["ShotRequest", ...] = ()
    others: frozenset[str] = frozenset()
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
        return of(self.shot, provider, aspect_ratio=self.aspect_ratio, image=self.image, tier=self.tier, take=self.take)

    @property
    def takes_wanted(self) -> int:
        return 1 + len(self.further)

    def digests(self) -> frozenset[str]:
        """Digests of the shot's own recipes: of the take that it is for."""
        return frozenset(self._digests)

    def all_digests(self) -> frozenset[str]:
        """Digests of all recipes that a take of this shot may have: further takes included, and a draft's final."""
        found = self.others.union(self._digests) if self.others else frozenset(self._digests)
        return found | self.final.all_digests() if self.final is not None else found

    def matches(self, row: Purchase) -> bool:
        """Whether a purchase is of this shot's recipe, for the provider that it was made with."""
        wanted = self.recipe_for(row.provider)
        return wanted is not None and wanted.digest == row.recipe

    def has_take(self, row: Purchase) -> bool:
        """Whether a purchase is of this shot as it is now: its own recipe's, or a further take's."""
        if row.recipe not in self.others:
            return self.matches(row)
        wanted = self.recipe_for(row.provider)
        return wanted is not None and wanted.digest == first_of(row.manifest)

    def is_served_by(self, row: Purchase) -> bool:
        """Whether a take of this purchase is a clip of the shot as it is now; for a draft, its final is one too."""
        return self.has_take(row) or (self.final is not None and self.final.has_take(row))


def offer(
    provider: Provider, made: Recipe | None, picture: Callable[[], tuple[int, int] | None] = lambda: None
) -> Offer:
    """What a provider offers for a recipe. `picture`: the size of the shot's picture, if known. Raises NoPrice."""
    if made is None:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem="no prompt for this provider")
    try:
        order = provider.codec.order(made, provider.terms)
        _refuse_foreseeable(order, provider.terms.resolution, made.aspect_ratio, picture)
    except NoPrice:
        raise
    except CannotMake as exc:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem=str(exc))
    return Offer(provider=provider.name, max_retries=provider.max_retries, order=order)


def _refuse_foreseeable(
    order: Order, resolution: str | None, aspect_ratio: str, picture: Callable[[], tuple[int, int] | None]
) -> None:
    """What could only be rejected when it comes is not bought. Raises CannotMake with the limit."""
    said = flat(order.body)
    told = (resolution, said.get("resolution"), said.get("ratio"), said.get("size"))
    for lines in (_lines(str(one or "").lower()) for one in told):
        if lines is not None and lines < MIN_SIDE:
            raise CannotMake(
                f"{order.model} would make {lines} lines, and a good clip has {MIN_SIDE} or more; "
                f"set its resolution to {MIN_SIDE}p"
            )
    if order.image_field and said.get("video_size") == "auto" and (size := picture()) and min(size) < MIN_SIDE:
        raise CannotMake(
            f"{order.model} makes a video in the size of its picture, {size[0]}x{size[1]}, and a good clip has "
            f"{MIN_SIDE} lines or more; give the shot a larger picture"
        )
    ratio = str(said.get("aspect_ratio", said.get("ratio", FOLLOWS_PICTURE[0])))
    if order.image_field and ratio.startswith(FOLLOWS_PICTURE) and (size := picture()):
        width, height = size
        if not has_shape(width, height, aspect_ratio):
            raise CannotMake(
                f"{order.model} makes a video in the shape of its picture, which is {width}x{height}, "
                f"and the shot asks for {aspect_ratio}; crop the picture or set the shot's aspect_ratio"
            )


@functools.lru_cache(maxsize=1024)
def _lines(text: str) -> int | None:
    """The shorter side that `480p`, `480`, `848:480` or `848x480` means; None if that is not known."""
    if (match := re.fullmatch(r"(\d{3,4})p?", text)) is not None:
        return int(match[1])
    if (match := re.fullmatch(r"(\d{3,5})[:x*](\d{3,5})", text)) is not None:
        return min(int(match[1]), int(match[2]))
    return None
