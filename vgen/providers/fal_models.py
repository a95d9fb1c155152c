"""What the endpoints of fal take that vgen knows: lengths and their spelling, shapes, resolutions, seeds, images."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from sys import intern

from vgen.providers.base import CannotMake, Terms, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What one endpoint takes. `image_model`: the endpoint for shots with an image, which may be this one itself."""

    durations: tuple[int, ...] = ()
    duration_is_text: bool = False
    resolutions: tuple[str, ...] = ()
    has_ratio: bool = True
    has_seed: bool = True
    has_negative: bool = True
    image_model: str | None = None


PIKA = "fal-ai/pika/v2.2/text-to-video"
_PIKA_IMAGE = "fal-ai/pika/v2.2/image-to-video"
_KLING = tuple(range(3, 16))
_MODELS: Mapping[str, Model] = {
    PIKA: Model(durations=(5, 10), resolutions=("720p", "1080p"), image_model=_PIKA_IMAGE),
    _PIKA_IMAGE: Model(durations=(5, 10), resolutions=("720p", "1080p"), has_ratio=False, image_model=_PIKA_IMAGE),
    "fal-ai/kling-video/v3/standard/text-to-video": Model(durations=_KLING, duration_is_text=True, has_seed=False),
    "fal-ai/kling-video/v3/pro/text-to-video": Model(durations=_KLING, duration_is_text=True, has_seed=False),
    "fal-ai/kling-video/v2.5-turbo/pro/text-to-video": Model(durations=(5, 10), duration_is_text=True, has_seed=False),
}
_UNKNOWN = Model()


def of(endpoint: str) -> Model:
    """What an endpoint takes; of one that is not listed, what most take."""
    return _MODELS.get(endpoint, _UNKNOWN)


def resolution(model: Model, terms: Terms) -> str | None:
    """The resolution to order. Raises CannotMake if the endpoint does not offer the configured one."""
    if not model.resolutions:
        return terms.resolution
    wanted = (terms.resolution or model.resolutions[0]).lower()
    if wanted not in model.resolutions:
        raise CannotMake(f"{terms.model} offers {', '.join(model.resolutions)}, not {terms.resolution}")
    return wanted


def spelled(seconds: Decimal, model: Model) -> int | float | str:
    """A duration as the endpoint wants it written."""
    value = number(seconds)
    return intern(str(value)) if model.duration_is_text else value
