"""What people read of fal's endpoints: a line each, for `doit models`. Decides nothing."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from vgen.money import micros, show
from vgen.providers import fal_table
from vgen.providers.fal_prices import is_ladder
from vgen.providers.fal_table import Endpoint, Field, Row

_KINDS = {
    "text": "from text",
    "image": "from a picture",
    "reference": "from reference pictures",
    "first-last": "between two pictures",
}
_UNITS = {
    "per_second_usd": "a second",
    "per_second_with_sound_usd": "a second with sound",
    "per_clip_usd": "a clip",
    "per_clip_with_sound_usd": "a clip with sound",
}
_SURE = {"page": "fal's page", "kin": "reckoned", "unit": "unit price of unclear meaning, not used"}


def listed(own: Mapping[str, Row]) -> Iterator[tuple[str, str]]:
    """Id and description of every endpoint that is known; the project's own rows say so."""
    for endpoint in fal_table.every(own):
        mine = own.get(endpoint.id)
        whose = "" if mine is None else f"; learned {mine['learned']}" if "learned" in mine else "; a row of your own"
        yield endpoint.id, f"{_described(endpoint)}; {_price(endpoint.price)}{whose}"


def _described(taken: Endpoint) -> str:
    parts = [_KINDS[taken.kind], _length(taken), *_shapes(taken)]
    if taken.kind == "image" and "end_image" in taken.images:
        parts.append("a last picture too")
    if "references" in taken.images and taken.kind != "reference":
        parts.append("reference pictures too")
    if taken.sound:
        parts.append("sound if `audio` is yes")
    missing = [word for word, there in (("seed", taken.seed), ("negative prompt", taken.negative_prompt)) if not there]
    if missing:
        parts.append(f"no {' and no '.join(missing)}")
    if taken.prompt_most:
        parts.append(f"prompts of {taken.prompt_most} {'bytes' if taken.prompt_in_bytes else 'characters'}")
    if taken.image_endpoint:
        parts.append(f"with a picture {taken.image_endpoint}")
    return "; ".join(parts)


def _length(taken: Endpoint) -> str:
    if (field := taken.duration) is not None:
        if field.type in ("number", "integer"):
            return f"{field.least or 1} to {field.most or '?'} s"
        return f"{_runs(sorted(int(s) for s in (str(v).removesuffix('s') for v in field.known) if s.isdecimal()))} s"
    if taken.frames is not None and taken.frames.default is not None and taken.fps:
        return f"one length, {Decimal(taken.frames.default) / taken.fps:.2f} s"
    return "one length, not told: set durations"


def _runs(seconds: Sequence[int]) -> str:
    """`3 to 15`, or `6, 8, 10`."""
    first, last = seconds[0], seconds[-1]
    whole = last - first > 1 and len(seconds) == last - first + 1
    return f"{first} to {last}" if whole else ", ".join(map(str, seconds))


def _shapes(taken: Endpoint) -> Iterator[str]:
    if taken.ratio is not None:
        yield _values(taken.ratio)
    elif taken.size is None and taken.kind == "text":
        yield "one shape, not told: set ratios"
    for field in (taken.resolution, taken.size):
        if field is not None:
            yield _values(field)


def _values(field: Field) -> str:
    return ", ".join(str(value) for value in field.known if value not in ("auto", "adaptive"))


def _price(price: Mapping[str, Any] | None) -> str:
    if price is None:
        return "no price known"
    said = [f"{_amounts(price[name])} {per}" for name, per in _UNITS.items() if name in price]
    return f"{', '.join(said)} ({_SURE.get(price.get('sure', ''), 'your own')}, {price.get('date', 'undated')})"


def _amounts(amount: Any) -> str:
    if not isinstance(amount, Mapping):
        return show(micros(amount))
    unit = " s" if is_ladder(amount) else ""
    return ", ".join(f"{key}{unit} {_amounts(value)}" for key, value in amount.items())
