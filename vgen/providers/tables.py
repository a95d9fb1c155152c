"""Tables of models as JSON data, and the checks that each of them needs before an order. Knows no vendor.

Some vendors ignore what they do not understand, and make, and bill, a clip of their default length and shape instead:
so nothing is sent that its table does not list.
"""

import functools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from importlib import resources
from typing import Any

from vgen.money import micros, up
from vgen.pictures import WORDS
from vgen.providers import prices
from vgen.providers.base import MIN_SIDE, CannotMake, Terms, next_longer
from vgen.recipe import Recipe, plain


@functools.cache
def read(name: str) -> Mapping[str, Any]:
    """A table of this folder; fractions come as Decimal."""
    text = resources.files("vgen.providers").joinpath(name).read_text("utf-8")
    loaded: Mapping[str, Any] = json.loads(text, parse_float=Decimal)
    return loaded


def row(table: Mapping[str, Any], model: str, vendor: str) -> Mapping[str, Any]:
    """A model's row. Raises CannotMake for one that is not listed, with those that are."""
    found: Mapping[str, Any] | None = table["models"].get(model)
    if found is None:
        raise CannotMake(f"{model} is no model of {vendor} that vgen knows; there are {', '.join(table['models'])}")
    return found


def resolution(offered: Sequence[str], wanted: str | None, model: str) -> str:
    """The resolution as the vendor spells it; of none, the lowest with 720 lines. Raises CannotMake."""
    if wanted is None:
        return next((text for text in offered if (_lines(text) or MIN_SIDE) >= MIN_SIDE), offered[0])
    found = next((text for text in offered if text.lower() == wanted.lower()), None)
    if found is None:
        raise CannotMake(f"{model} offers {', '.join(offered)}, not {wanted}")
    return found


def seconds(asked_s: Decimal, offered: Sequence[int], terms: Terms, model: str) -> int:
    """The whole seconds to buy: of the table, and of those in the config if it names some. Raises CannotMake."""
    listed = tuple(map(Decimal, offered))
    chosen = tuple(one for one in listed if one in terms.durations) if terms.durations else listed
    if not chosen:
        said = ", ".join(plain(one) for one in terms.durations or ())
        raise CannotMake(f"{model} makes {lengths(offered)} s, and its durations in the config are {said}")
    return int(next_longer(asked_s, chosen, model))


def lengths(offered: Sequence[int]) -> str:
    """`3–15`, or `5, 10`."""
    first, last = offered[0], offered[-1]
    if len(offered) > 2 and list(offered) == list(range(first, last + 1)):
        return f"{first}–{last}"
    return ", ".join(map(str, offered))


def prompt(text: str, limit: int | None, model: str) -> str:
    """The prompt as it is. Raises CannotMake if it is too long for the model."""
    if limit is not None and len(text) > limit:
        raise CannotMake(f"{model} takes prompts of {limit} characters, this one has {len(text)}")
    return text


def shape(aspect_ratio: str, offered: Sequence[str], model: str) -> str:
    """The shape as it is asked for. Raises CannotMake."""
    if aspect_ratio not in offered:
        raise CannotMake(f"{model} offers {', '.join(offered)}, not {aspect_ratio}")
    return aspect_ratio


def pictures(recipe: Recipe, table_row: Mapping[str, Any], model: str) -> dict[str, str]:
    """Role of each picture of the shot → what the vendor calls it. Raises CannotMake with what the model can't take.

    Of the row: `pictures`, that map; `most_pictures` in all; `frames_or_references`: not both in one request.
    """
    given, places = recipe.pictures, table_row.get("pictures", {})
    for role in given.roles:
        if role not in places:
            raise CannotMake(f"{model} takes no {WORDS[role]}; take {role} out or choose another model")
    if "end_image" in given and "image" not in given:
        raise CannotMake(f"{model} takes a last picture only with a first one; give the shot an image too")
    if table_row.get("frames_or_references") and "references" in given and "image" in given:
        raise CannotMake(f"{model} takes a first picture or reference pictures, not both; take one of them out")
    most, count = table_row.get("most_pictures"), len(given.pairs)
    if most is not None and count > most:
        raise CannotMake(f"{model} takes at most {most} pictures, the shot has {count}")
    return {role: places[role] for role in given.roles}


def to_reserve(listed: int | None, bought_s: int, terms: Terms, model: str) -> int:
    """The most that an order costs: by the table, or by the config if that is more. Raises NoPrice."""
    price = prices.agreed(listed, terms, Decimal(bought_s))
    if price is None:
        raise prices.missing(model)
    return price


def left_out(recipe: Recipe, *, takes: Collection[str] = ()) -> tuple[str, ...]:
    """What a shot asks for beside its prompt, and a model that `takes` no more does not take."""
    asked = {
        "negative_prompt": bool(recipe.negative_prompt), "seed": recipe.seed is not None, "audio": recipe.audio,
    }  # fmt: skip
    return tuple(name for name, wanted in asked.items() if wanted and name not in takes)


def sound(recipe: Recipe, table_row: Mapping[str, Any], resolution: str, model: str) -> Mapping[str, Any] | None:
    """What of the row's `with_sound` an order has, if sound is wanted and the model has a switch for it, else None.

    `fields`: what the body says then; `usd_per_s`: the rates, where they are others. Raises CannotMake for a resolution
    that has no sound.
    """
    switched: Mapping[str, Any] | None = table_row.get("with_sound") if recipe.audio else None
    if switched is None:
        return None
    rates = switched.get("usd_per_s", {resolution: None})
    if resolution not in rates:
        raise CannotMake(f"{model} makes sound at {', '.join(rates)} only, not at {resolution}")
    return switched


def takes_audio(table_row: Mapping[str, Any]) -> bool:
    """Whether a clip with sound can be had: by a switch, or because the model makes no other."""
    return "with_sound" in table_row or bool(table_row.get("always_sound"))


def by_seconds(usd_per_s: str | None, bought_s: int | Decimal) -> int | None:
    """Micro-dollars for so long a clip at a rate; None if there is none."""
    return None if usd_per_s is None else up(Decimal(micros(usd_per_s)) * bought_s)


def _lines(told: str) -> int | None:
    match = re.fullmatch(r"(\d{3,4})p", told, re.IGNORECASE)
    return int(match[1]) if match else None
