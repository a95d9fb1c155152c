"""A shot as the planner sees it: its recipe for each provider, and what each provider offers."""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vgen.inputs.pictures import Frame, Source
from vgen.inputs.settings import Provider
from vgen.inputs.shots import Shot
from vgen.pictures import FRAMES, WORDS, Accepts, Pictures, Size, fitted
from vgen.providers.base import MIN_SIDE, CannotMake, NoPrice, Order
from vgen.providers.kinds import FOLLOWS_PICTURE, flat
from vgen.recipe import Manifest, Recipe, difference, family, first_of, has_shape
from vgen.store.records import Purchase

NO_PICTURES: Pictures[str] = Pictures()
Sizes = Pictures[Size | None]
"""The sizes of a shot's pictures; None of one that nobody here can look at."""
NO_SIZES: Sizes = Pictures()


def of(
    shot: Shot,
    provider: str,
    *,
    aspect_ratio: str,
    pictures: Pictures[str] = NO_PICTURES,
    tier: str | None = None,
    take: int = 1,
    audio: bool = False,
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
        pictures=pictures,
        image_fit=shot.image_fit if any(role in pictures for role in FRAMES) else None,
        seed=None if shot.seed is None else shot.seed + take - 1,
        audio=audio if shot.audio is None else shot.audio,
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
    pictures: Pictures[str] = NO_PICTURES
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

    @property
    def waits_for(self) -> tuple[int, ...]:
        """The shots whose takes it can't be ordered without, and that are not known yet."""
        named = zip(self.shot.pictures.pairs, self.pictures.pairs, strict=True) if self.shot.sources else ()
        found = {one.shot for (_, one), (_, known) in named if isinstance(one, Frame) and known == one.of(None)}
        return tuple(sorted(found))

    def comes_from(self, old: Manifest | None = None) -> list[str]:
        """`its first picture comes from clip 3`, of each frame. `old`: of those that this manifest has otherwise."""
        was = None if old is None else dict(old)
        known = dict(self.pictures.named())
        return [
            f"its {WORDS[name.partition('[')[0]]} come{'' if '[' in name else 's'} from clip {one.shot}"
            for name, one in self.shot.pictures.named()
            if isinstance(one, Frame) and (was is None or was.get(name) != known[name])
        ]

    def other_frames(self, old: Manifest, provider: str) -> list[str]:
        """As `comes_from`, where a clip of that manifest differs from the shot in such frames only; else none."""
        frames = self.comes_from(old)
        return frames if len(frames) == len(difference(old, self.recipes[provider].manifest)) else []

    def after(self, takes: Mapping[int, str]) -> "ShotRequest":
        """The same, made from frames of these takes: shot → the sha256 of its take. Of other shots none is known."""
        if not self.shot.sources:
            return self
        known = dict(self.pictures.named())

        def identity(name: str, source: Source) -> str:
            return source.of(takes.get(source.shot)) if isinstance(source, Frame) else known[name]

        pictures = self.shot.pictures.map(identity)
        if pictures == self.pictures:
            return self
        recipes = {provider: dataclasses.replace(old, pictures=pictures) for provider, old in self.recipes.items()}
        further = tuple(one.after(takes) for one in self.further)
        others = frozenset[str]().union(*(one.digests() for one in further))
        final = self.final.after(takes) if self.final is not None else None
        return dataclasses.replace(
            self, recipes=recipes, pictures=pictures, further=further, others=others, final=final
        )

    def with_all_takes(self) -> "ShotRequest":
        """The same, which knows the recipes of all further takes that could have been bought."""
        found = {digest for made in self.recipes.values() for digest in family(made.manifest)}
        final = self.final.with_all_takes() if self.final is not None else None
        return dataclasses.replace(self, others=frozenset(found - self.digests()), final=final)

    def recipe_for(self, provider: str) -> Recipe | None:
        """The recipe at any provider, also at one that is not configured any more."""
        if provider in self.recipes:
            return self.recipes[provider]
        ratio, pictures = self.aspect_ratio, self.pictures
        return of(self.shot, provider, aspect_ratio=ratio, pictures=pictures, tier=self.tier, take=self.take)

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


def least_size(aspect_ratio: str) -> Size:
    """The smallest good clip of a shape."""
    across, down = map(int, aspect_ratio.split(":"))
    return MIN_SIDE * across // min(across, down), MIN_SIDE * down // min(across, down)


def offer(provider: Provider, made: Recipe | None, sizes: Sizes = NO_SIZES) -> Offer:
    """What a provider offers for a recipe. `sizes`: of its pictures. Raises NoPrice."""
    if made is None:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem="no prompt for this provider")
    try:
        order = provider.codec.order(made, provider.terms)
        _refuse_left_out(order, made)
        _refuse_foreseeable(order, provider.terms.resolution, made, sizes)
        _refuse_sizes(order, provider.codec.VENDOR.accepts, made, sizes)
    except NoPrice:
        raise
    except CannotMake as exc:
        return Offer(provider=provider.name, max_retries=provider.max_retries, problem=str(exc))
    return Offer(provider=provider.name, max_retries=provider.max_retries, order=order)


def _refuse_left_out(order: Order, made: Recipe) -> None:
    """A picture that a codec has no place for would be bought away without a word. Raises CannotMake."""
    for role in made.pictures.roles:
        if role not in order.pictures:
            raise CannotMake(f"{order.model} takes no {WORDS[role]}; take {role} out or choose another model")


def _refuse_foreseeable(order: Order, resolution: str | None, made: Recipe, sizes: Sizes) -> None:
    """What could only be rejected when it comes is not bought. Raises CannotMake with the limit."""
    said = flat(order.body)
    told = (resolution, said.get("resolution"), said.get("ratio"), said.get("size"))
    for lines in (_lines(str(one or "").lower()) for one in told):
        if lines is not None and lines < MIN_SIDE:
            raise CannotMake(
                f"{order.model} would make {lines} lines, and a good clip has {MIN_SIDE} or more; "
                f"set its resolution to {MIN_SIDE}p"
            )
    size = _fitted("image", sizes.get("image"), made)
    if said.get("video_size") == "auto" and size is not None and min(size) < MIN_SIDE:
        raise CannotMake(
            f"{order.model} makes a video in the size of its picture, {size[0]}x{size[1]}, and a good clip has "
            f"{MIN_SIDE} lines or more; give the shot a larger picture"
        )
    ratio = str(said.get("aspect_ratio", said.get("ratio", FOLLOWS_PICTURE[0])))
    follows = not made.image_fit and ratio.startswith(FOLLOWS_PICTURE)
    for name, size in sizes.named() if follows else ():
        if name in FRAMES and size is not None and not has_shape(*size, made.aspect_ratio):
            raise CannotMake(
                f"{order.model} makes a video in the shape of its picture, which is {size[0]}x{size[1]}, and the shot "
                f'asks for {made.aspect_ratio}; crop the picture, set "image_fit": "crop" or "pad", or set the '
                f"shot's aspect_ratio"
            )


def _refuse_sizes(order: Order, accepts: Accepts, made: Recipe, sizes: Sizes) -> None:
    """A picture that its provider would refuse for its size, shape or address. Raises CannotMake with the limit."""
    for name, identity in made.pictures.named():
        if identity.startswith("https://") and len(identity) > accepts.longest_url:
            most = accepts.longest_url
            raise CannotMake(
                f"{order.model} takes addresses of {most} characters, this one has {len(identity)} ({name})"
            )
    for name, size in sizes.named():
        shown = _fitted(name, size, made)
        if shown is not None and (problem := accepts.problem(shown)):
            raise CannotMake(f"{order.model} takes pictures of {problem} ({name})")


def _fitted(name: str, size: Size | None, made: Recipe) -> Size | None:
    """The size of a picture as it will be sent, but for scaling."""
    if size is None or made.image_fit is None or name not in FRAMES:
        return size
    return fitted(size, made.aspect_ratio, made.image_fit)


@functools.lru_cache(maxsize=1024)
def _lines(text: str) -> int | None:
    """The shorter side that `480p`, `480`, `848:480` or `848x480` means; None if that is not known."""
    if (match := re.fullmatch(r"(\d{3,4})p?", text)) is not None:
        return int(match[1])
    if (match := re.fullmatch(r"(\d{3,5})[:x*](\d{3,5})", text)) is not None:
        return min(int(match[1]), int(match[2]))
    return None
