"""The Pika models on fal, and what fal's runner says of bad input. Knows no jobs and no HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ASPECTS = ("16:9", "9:16", "1:1", "4:5", "5:4", "3:2", "2:3")
RESOLUTIONS = ("720p", "1080p")
DURATIONS_S = (5, 10)
DEFAULT_DURATION_S = 5

Problem = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What one endpoint takes."""

    required: tuple[str, ...] = ("prompt",)
    aspects: tuple[str, ...] = ASPECTS
    durations_s: tuple[int, ...] = DURATIONS_S


MODELS: dict[str, Model] = {
    "fal-ai/pika/v2.2/text-to-video": Model(),
    "fal-ai/pika/v2.2/image-to-video": Model(required=("image_url", "prompt"), aspects=()),
}
"""fal checks what is listed here. Other fal-ai models are taken as they come, with a prompt."""

_ANY = Model(aspects=(), durations_s=())


def problems(endpoint: str, body: Any) -> list[Problem]:
    """All that the runner finds wrong with `body`, as the `detail` of its 422."""
    if not isinstance(body, dict):
        return [_problem("dict_type", (), "Input should be a valid dictionary", body)]
    model = MODELS.get(endpoint, _ANY)
    found = [_problem("missing", (name,), "Field required", body) for name in model.required if name not in body]
    checks: list[tuple[str, Callable[[Any], Problem | None]]] = [
        ("prompt", lambda value: _text("prompt", value)),
        ("negative_prompt", lambda value: _text("negative_prompt", value)),
        ("seed", lambda value: _whole("seed", value)),
    ]
    if endpoint in MODELS:
        checks.append(("resolution", lambda value: _one_of("resolution", value, RESOLUTIONS)))
    if model.aspects:
        checks.append(("aspect_ratio", lambda value: _one_of("aspect_ratio", value, model.aspects)))
    if model.durations_s:
        checks.append(("duration", lambda value: _seconds(value, model.durations_s)))
    for name, check in checks:
        problem = check(body[name]) if body.get(name) is not None else None
        if problem:
            found.append(problem)
    return found


def duration_s(body: Mapping[str, Any]) -> float:
    """Seconds that the clip will last; the least sensible ones for input that will be refused."""
    seconds = _number(body.get("duration"))
    return seconds if seconds and 0 < seconds <= 600 else float(DEFAULT_DURATION_S)


def resolution(body: Mapping[str, Any]) -> str:
    """The resolution that was asked for, or the models' own."""
    return str(body.get("resolution") or RESOLUTIONS[0])


def _problem(kind: str, where: tuple[str, ...], message: str, value: Any) -> Problem:
    return {"loc": ["body", *where], "msg": message, "type": kind, "input": value}


def _number(value: Any) -> float | None:
    """A number, also written as text ("5", "5s")."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(str(value).removesuffix("s"))
    except ValueError:
        return None


def _text(name: str, value: Any) -> Problem | None:
    if not isinstance(value, str):
        return _problem("string_type", (name,), "Input should be a valid string", value)
    if name == "prompt" and not value:
        return _problem("string_too_short", (name,), "String should have at least 1 character", value)
    return None


def _whole(name: str, value: Any) -> Problem | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return None
    return _problem("int_type", (name,), "Input should be a valid integer", value)


def _one_of(name: str, value: Any, options: tuple[str, ...]) -> Problem | None:
    if value in options:
        return None
    *front, last = (f"'{option}'" for option in options)
    return _problem("literal_error", (name,), f"Input should be {', '.join(front)} or {last}", value)


def _seconds(value: Any, options: tuple[int, ...]) -> Problem | None:
    """fal took a number, then text, then a number again: both are fine."""
    if _number(value) in options:
        return None
    return _one_of("duration", value, tuple(str(option) for option in options))
