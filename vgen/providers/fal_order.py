"""The body of an order for any endpoint of fal, exactly as its row says, or the limit that it breaks. Pure.

The rules, and why: a length is the next longer one on offer, spelled as the row spells it; where a length can't be
ordered, none is sent. A resolution that nobody chose is the lowest with 720 lines: fal's own default is often a smaller
or a dearer one. The sound switch is always sent, on or off, and the price is for that. fal ignores fields that an
endpoint does not have, so a wish for one would be lost without a word: seed, negative prompt and sound are told as left
out, shape, length and resolution are refused.
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Any

from vgen.pictures import WORDS
from vgen.providers import fal_prices, fal_table, prices
from vgen.providers.base import MIN_SIDE, CannotMake, Order, Tariff, Terms, next_longer, number
from vgen.providers.fal_table import Endpoint, Field
from vgen.recipe import Recipe

FOLLOWS = ("auto", "adaptive")
"""Values of a shape that mean: as the picture is."""
CLOSE_S = Decimal("0.5")
"""A configured length this near to the one that an endpoint makes means that one."""
MILLISECOND = Decimal("0.001")
SHAPE_WITHIN = Decimal("0.03")

_PRESETS = {
    "square_hd": (1024, 1024), "square": (512, 512), "portrait_4_3": (768, 1024), "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768), "landscape_16_9": (1024, 576),
}  # fmt: skip
"""fal's names for sizes (ImageSize in its docs)."""
_NAMED_LINES = {"2k": 1440, "4k": 2160}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """What all orders of one length and shape have in common. `body`: without what is the shot's own."""

    path: str
    bought_s: Decimal
    body: Mapping[str, Any]
    price: int


def order(recipe: Recipe, terms: Terms) -> Order:
    """The request for a recipe. Raises CannotMake with the limit that the shot breaks, NoPrice if nobody told one."""
    taken, pictured = _endpoint(recipe, terms), "image" in recipe.pictures
    prompt = _prompt(recipe.prompt, taken)
    form = _form(
        taken, recipe.duration_s, recipe.aspect_ratio, pictured,
        terms.resolution, terms.durations, terms.ratios, terms.price, terms.tariff, recipe.audio,
    )  # fmt: skip
    body: dict[str, Any] = {"prompt": prompt, **form.body}
    left_out = []
    if recipe.negative_prompt:
        if taken.negative_prompt:
            body["negative_prompt"] = recipe.negative_prompt
        else:
            left_out.append("negative_prompt")
    if recipe.seed is not None:
        if taken.seed:
            body["seed"] = recipe.seed
        else:
            left_out.append("seed")
    if recipe.audio and not taken.sound:
        left_out.append("audio")
    return Order(
        model=taken.id,
        path=form.path,
        body=body,
        bought_s=form.bought_s,
        price=form.price,
        pictures={role: taken.images[role] for role in recipe.pictures.roles},
        left_out=tuple(left_out),
    )


@functools.lru_cache(maxsize=1024)
def _form(
    taken: Endpoint, asked_s: Decimal, aspect_ratio: str, pictured: bool,
    resolution: str | None, durations: tuple[Decimal, ...] | None, ratios: tuple[str, ...],
    price: int | None, tariff: Tariff | None, audio: bool,
) -> _Form:  # fmt: skip
    """The parts of an order that many shots have alike: of a long list, most. Raises CannotMake."""
    terms = Terms(
        provider="", base_url="", model=taken.id,
        resolution=resolution, durations=durations, ratios=ratios, price=price, tariff=tariff,
    )  # fmt: skip
    bought_s, length = _length(asked_s, taken, terms)
    body = {**length, **_shape(aspect_ratio, pictured, taken, terms)}
    if taken.sound:
        body[taken.sound] = audio
    lines = body.get("resolution")
    agreed = _price(taken, lines, terms, bought_s, sound=audio and taken.sound is not None)
    return _Form(path=f"/{taken.id}", bought_s=bought_s, body=body, price=agreed)


def _price(taken: Endpoint, lines: str | None, terms: Terms, bought_s: Decimal, *, sound: bool) -> int:
    """What is reserved, in micro-dollars; with sound never less than without. Raises NoPrice."""
    silent = fal_prices.listed(taken.price, lines, bought_s)
    if not sound:
        agreed = prices.agreed(silent, terms, bought_s)
    else:
        listed = fal_prices.with_sound(taken.price, lines, bought_s, is_default=taken.sounds)
        known = prices.agreed(listed, terms, bought_s)
        agreed = None if known is None else prices.settled(known, silent)
    if agreed is None:
        raise _no_price(taken, lines, bought_s, sound=sound)
    return agreed


def _no_price(taken: Endpoint, lines: object, bought_s: Decimal, *, sound: bool) -> CannotMake:
    price = taken.price or {}
    unclear = "; its unit price is known, but not what a unit is" if price.get("sure") == "unit" else ""
    what = f"{taken.id} at {lines}" if lines and price else taken.id
    what += " with sound" if sound and price else ""
    at = f", {bought_s} s{unclear}" if price else ""
    return prices.missing(f"{what}{at}", f"{taken.page}/llms.txt")


def _endpoint(recipe: Recipe, terms: Terms) -> Endpoint:
    """The row to order from: the model's own, or for a shot with a picture that of its sibling for pictures."""
    taken = fal_table.endpoint(terms.model, terms.own_models)
    if taken.kind == "text" and "image" in recipe.pictures:
        if taken.image_endpoint is None:
            raise CannotMake(f"{taken.id} takes no image, and fal lists no endpoint like it that does")
        taken = fal_table.endpoint(taken.image_endpoint, terms.own_models)
    _check_pictures(recipe, taken)
    return taken


def _check_pictures(recipe: Recipe, taken: Endpoint) -> None:
    """Each picture has its field, and each field that must be filled its picture. Raises CannotMake."""
    name, given = taken.id, recipe.pictures
    for role in given.roles:
        if role not in taken.images:
            raise CannotMake(f"{name} takes no {WORDS[role]}; take {role} out or choose another model")
    lacking = [role for role, field in taken.images.items() if field in taken.required and role not in given]
    if taken.kind == "first-last" and lacking:
        raise CannotMake(f"{name} makes the film between two pictures; give the shot an image and an end_image")
    if taken.kind == "reference" and "references" not in given:
        raise CannotMake(f"{name} makes a video after reference pictures; give the shot references")
    if "image" in lacking or (taken.kind == "image" and "image" not in given):
        raise CannotMake(f"{name} needs an image; give the shot one or choose another model")
    if "end_image" in given and "image" not in given:
        raise CannotMake(f"{name} takes a last picture only with a first one; give the shot an image too")
    if (count := len(given.all("references"))) > 1 and taken.images["references"] in fal_table.ONE_PICTURE:
        raise CannotMake(f"{name} takes 1 reference picture, the shot has {count}")


def _prompt(text: str, taken: Endpoint) -> str:
    if not taken.takes_prompt:
        raise CannotMake(f"{taken.id} takes no prompt, only a picture; choose another model")
    if taken.prompt_most is not None:
        unit = "bytes" if taken.prompt_in_bytes else "characters"
        has = len(text.encode()) if taken.prompt_in_bytes else len(text)
        if has > taken.prompt_most:
            raise CannotMake(f"{taken.id} takes prompts of {taken.prompt_most} {unit}, this one has {has}")
    return text


# ── length ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _length(asked_s: Decimal, taken: Endpoint, terms: Terms) -> tuple[Decimal, Mapping[str, Any]]:
    """The seconds that are bought, and how they are ordered."""
    field = taken.duration
    if field is None:
        return _only_length(asked_s, taken, terms), {}
    if not field.known or field.type in ("number", "integer"):
        return _any_length(asked_s, field, taken, terms)
    spelled = {seconds: value for value in field.known if (seconds := _seconds(value)) is not None}
    offered = _wanted(tuple(sorted(spelled)), taken, terms)
    bought_s = next_longer(asked_s, offered, taken.id)
    return bought_s, {field.name: spelled[bought_s]}


def _any_length(asked_s: Decimal, field: Field, taken: Endpoint, terms: Terms) -> tuple[Decimal, Mapping[str, Any]]:
    """Whole seconds: whether the field takes a fraction is not told."""
    if terms.durations:
        bought_s = next_longer(asked_s, terms.durations, taken.id)
    else:
        bought_s = Decimal(max(math.ceil(asked_s), field.least or 1))
    if field.most is not None and bought_s > field.most:
        raise CannotMake(f"{taken.id} makes at most {field.most} s, the shot asks {asked_s} s")
    return bought_s, {field.name: number(bought_s)}


def _only_length(asked_s: Decimal, taken: Endpoint, terms: Terms) -> Decimal:
    """The one length of an endpoint that can't be told a length."""
    frames, fps = taken.frames, taken.fps
    if frames is not None and frames.default is not None and fps:
        only_s = (Decimal(frames.default) / fps).quantize(MILLISECOND, ROUND_UP).normalize()
        if terms.durations and all(abs(only_s - s) > CLOSE_S for s in terms.durations):
            raise CannotMake(f"{taken.id} makes one length, {only_s} s, which is not among its durations in the config")
    elif terms.durations and len(terms.durations) == 1:
        only_s = terms.durations[0]
    else:
        raise CannotMake(
            f"{taken.id} makes one length, which fal's list doesn't tell; look at {taken.page} and set durations "
            f"in the config, as in [6]"
        )
    return next_longer(asked_s, (only_s,), taken.id)


def _wanted(offered: tuple[Decimal, ...], taken: Endpoint, terms: Terms) -> tuple[Decimal, ...]:
    """The lengths on offer, or those of them that the config names."""
    if not terms.durations:
        return offered
    wanted = tuple(seconds for seconds in offered if seconds in terms.durations)
    if not wanted:
        raise CannotMake(f"{taken.id} makes {_list(offered)} s, none of which is among its durations in the config")
    return wanted


def _seconds(value: int | str) -> Decimal | None:
    """The length that 5, "5" or "5s" stands for; None for "auto"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s?", str(value))
    return Decimal(match[1]) if match else None


# ── shape and resolution ──────────────────────────────────────────────────────────────────────────────────────────────


def _shape(aspect_ratio: str, pictured: bool, taken: Endpoint, terms: Terms) -> Mapping[str, Any]:
    sized = _sized(taken)
    body: dict[str, Any] = {}
    if taken.ratio is not None:
        body[taken.ratio.name] = _ratio(aspect_ratio, pictured, taken, taken.ratio)
    elif sized is not None:
        return _size(aspect_ratio, pictured, taken, sized, terms)
    elif not pictured:
        _refuse_unknown_shape(aspect_ratio, taken, terms)
    lines = resolution(taken, terms.resolution)
    return body if lines is None else {**body, "resolution": lines}


def _ratio(aspect_ratio: str, pictured: bool, taken: Endpoint, field: Field) -> int | str:
    if aspect_ratio in field.known:
        return aspect_ratio
    follows = next((value for value in field.known if value in FOLLOWS), None)
    if pictured and follows is not None:
        return follows
    raise CannotMake(f"{taken.id} makes {_list(v for v in field.known if v not in FOLLOWS)}, not {aspect_ratio}")


def _refuse_unknown_shape(aspect_ratio: str, taken: Endpoint, terms: Terms) -> None:
    if not terms.ratios:
        raise CannotMake(
            f"{taken.id} can't be told a shape, and fal's list doesn't tell which one it makes; look at {taken.page} "
            f'and set ratios in the config, as in ["16:9"]'
        )
    if aspect_ratio not in terms.ratios:
        raise CannotMake(f"{taken.id} makes {_list(terms.ratios)} by its ratios in the config, not {aspect_ratio}")


def resolution(taken: Endpoint, wanted: str | None) -> str | None:
    """The resolution to order, as the row spells it: the configured one, else the lowest with 720 lines.

    None if the endpoint takes none. Raises CannotMake.
    """
    if taken.resolution is None:
        if wanted:
            raise CannotMake(f"{taken.id} takes no resolution; take {wanted} out of the config")
        return None
    field = taken.resolution
    known = sorted((lines, str(value)) for value in field.known if (lines := _lines(value)) is not None)
    offered = {value: lines for lines, value in known}
    if wanted:
        for value, lines in offered.items():
            if wanted.lower() == value.lower() or lines == _lines(wanted):
                return value
        raise CannotMake(f"{taken.id} offers {_list(offered)}, not {wanted}")
    enough = [value for value, lines in offered.items() if lines >= MIN_SIDE]
    if not enough:
        raise CannotMake(f"{taken.id} offers {_list(offered)}, and a good clip has {MIN_SIDE} lines")
    return enough[0]


def _sized(taken: Endpoint) -> Field | None:
    """The field that decides width and height in one, if there is one."""
    for field in (taken.size, taken.resolution):
        if field is not None and any(_pixels(value) for value in field.known):
            return field
    return None


def _size(aspect_ratio: str, pictured: bool, taken: Endpoint, field: Field, terms: Terms) -> Mapping[str, Any]:
    """The smallest size of the shot's shape with 720 lines; else the picture's own, where that can be asked for."""
    across, _, down = aspect_ratio.partition(":")
    shape = Decimal(across) / Decimal(down)
    fitting = [
        (size[0] * size[1], str(value))
        for value in field.known
        if (size := _pixels(value)) and min(size) >= MIN_SIDE
        if abs(Decimal(size[0]) / size[1] / shape - 1) < SHAPE_WITHIN
        if terms.resolution is None or str(value).lower() == terms.resolution.lower()
    ]
    if fitting:
        return {field.name: min(fitting)[1]}
    follows = next((value for value in field.known if value in FOLLOWS), None)
    if pictured and follows is not None and terms.resolution is None:
        return {field.name: follows}
    sizes = _list(value for value in field.known if value not in FOLLOWS)
    wish = f" in {terms.resolution}" if terms.resolution else ""
    raise CannotMake(f"{taken.id} offers {sizes}, none of which is {aspect_ratio} with {MIN_SIDE} lines{wish}")


def _pixels(value: int | str) -> tuple[int, int] | None:
    match = re.fullmatch(r"(\d{3,5})x(\d{3,5})", str(value))
    return (int(match[1]), int(match[2])) if match else _PRESETS.get(str(value))


def _lines(value: int | str) -> int | None:
    """The shorter side that "720p", "768P", "4k" or "768x512" stands for; None for anything else."""
    text = str(value).lower()
    if (size := _pixels(text)) is not None:
        return min(size)
    match = re.fullmatch(r"(\d{3,4})p?", text)
    return int(match[1]) if match else _NAMED_LINES.get(text)


def _list(values: Any) -> str:
    return ", ".join(map(str, values))
