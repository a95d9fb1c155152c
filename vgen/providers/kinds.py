"""What orders have in common that must cost the same. Knows a request's body, and no protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DECIDE_PRICE = (
    "duration", "duration_s", "num_frames", "resolution", "size", "video_size", "image_size", "dimensions", "ratio",
    "aspect_ratio", "audio", "generate_audio", "generate_audio_switch", "bgm",
)  # fmt: skip
"""The fields of a request's body that may decide its price, by any protocol's names: length, size, shape and sound."""

FOLLOWS_PICTURE = ("auto", "adaptive")
"""How a ratio begins that leaves the video's shape to the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What orders have in common that must cost the same: model, seconds billed, and what else decides.

    Not the endpoint: what was told of a shot with a picture binds the same model's shots without one.
    """

    model: str
    bought_s: str
    fields: tuple[tuple[str, str], ...]


def flat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request's body by name, also those that a protocol keeps in an object within (`settings`)."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        found |= flat(value) if isinstance(value, Mapping) else {name: value}
    return found


def kind_of(model: str, bought_s: str, body: Mapping[str, Any]) -> Kind:
    """The kind of an order, today's or one of the ledger."""
    said = flat(body)
    fields = tuple((name, str(said[name])) for name in DECIDE_PRICE if name in said)
    return Kind(model=model, bought_s=bought_s, fields=fields)
