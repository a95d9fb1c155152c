"""What MiniMax's video API V2 makes of a create's body: what is missing or not on offer is refused. Knows no jobs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from vgen.simulator import prices
from vgen.simulator.picture import shape_of

FRAMES = ("first_frame", "last_frame")
ROLES = (*FRAMES, "reference_image")
PROMPT_MOST = 7000
ADAPTIVE = "adaptive"
EXPANSIONS = ("disabled", "balanced", "quality")
HEARD = {"model", "content", "resolution", "duration", "ratio", "callback_url", "extra"}
"""aigc_watermark is not among them: the schema has it for regeneration only, though SDKs send it."""


class BadParams(Exception):
    """HTTP 400, code 2013; `str()` says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a body orders; prices in micro-dollars."""

    prompt: str
    seconds: int
    width: int
    height: int
    images: int
    micro_per_s: int
    micro_images: int
    ignored: tuple[str, ...] = ()

    @property
    def micro(self) -> int:
        """By the seconds that are asked for, not by those that are made."""
        return self.micro_per_s * self.seconds + self.micro_images


@cache
def table() -> Mapping[str, Any]:
    """minimax.json."""
    loaded: dict[str, Any] = json.loads(files("vgen.simulator").joinpath("minimax.json").read_text(encoding="utf-8"))
    return loaded


def row(model: Any, extra: Mapping[str, int]) -> Mapping[str, Any] | None:
    """The table's row; for models in `extra` one with that price a second; None for what nobody sells."""
    if not isinstance(model, str):
        return None
    if model in table()["models"]:
        found: Mapping[str, Any] = table()["models"][model]
        return found
    if model not in extra:
        return None
    prices_ = dict.fromkeys(("480P", "768P", "2K"), extra[model])
    return {"durations_s": [1, 60], "micro_per_s": prices_, "images": {"free": 9, "micro": 0}}


def read(rules: Mapping[str, Any], body: Mapping[str, Any]) -> Wanted:
    """What `body` orders of a model. Raises BadParams."""
    prompt, images = _content(body)
    resolution = _one_of(body, "resolution", rules["micro_per_s"])
    framed = any(role in FRAMES for role, _ in images)
    if framed:
        _one_of(body, "ratio", (ADAPTIVE,), ADAPTIVE)
        ratio = shape_of(dict(images).get("first_frame")) or "16:9"
    else:
        ratio = _one_of(body, "ratio", table()["ratios"])
    _extra(rules, body.get("extra", {}))
    width, height = prices.pixels(ratio, resolution)
    references = sum(role == "reference_image" for role, _ in images)
    if references > rules["images"].get("most", references) or (references and framed):
        raise BadParams("too many reference images, or reference images beside a frame")
    return Wanted(
        prompt=prompt,
        seconds=_seconds(rules, body),
        width=width,
        height=height,
        images=len(images),
        micro_per_s=rules["micro_per_s"][resolution],
        micro_images=max(references - rules["images"]["free"], 0) * rules["images"]["micro"],
        ignored=tuple(sorted(set(body) - HEARD)),
    )


def _content(body: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """The prompt, and the images with their roles."""
    content = body.get("content")
    if not isinstance(content, list):
        raise BadParams("content is required")
    texts, images = list[str](), list[tuple[str, str]]()
    for one in content:
        match one:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)}, "role": str(role)} if role in ROLES:
                images.append((role, url))
            case _:
                raise BadParams("content has an item of an unknown form")
    if len(texts) != 1 or not texts[0].strip():
        raise BadParams("content must include a non-empty text item (prompt is required)")
    if len(texts[0]) > PROMPT_MOST:
        raise BadParams(f"the text must have at most {PROMPT_MOST} characters")
    roles = [role for role, _ in images]
    if any(roles.count(role) > 1 for role in FRAMES):
        raise BadParams("a role that takes one image has more")
    if "last_frame" in roles and "first_frame" not in roles:
        raise BadParams("last_frame needs a first_frame")
    for role, url in images:
        if not url.startswith(("http://", "https://")) and shape_of(url) is None:
            raise BadParams(f"{role} must be a URL or a data URI of an image")
    return texts[0], images


def _seconds(rules: Mapping[str, Any], body: Mapping[str, Any]) -> int:
    least, most = rules["durations_s"]
    seconds = body.get("duration")
    if seconds is None:
        raise BadParams("duration is required")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not least <= seconds <= most:
        raise BadParams(f"duration must be an integer from {least} to {most}")
    return seconds


def _extra(rules: Mapping[str, Any], extra: Any) -> None:
    mode = extra.get("prompt_expansion_mode") if isinstance(extra, dict) else 0
    if mode is not None and (not rules.get("expands") or mode not in EXPANSIONS):
        raise BadParams("extra.prompt_expansion_mode is not supported")


def _one_of(body: Mapping[str, Any], field: str, options: Iterable[str], usual: str | None = None) -> str:
    value = body.get(field, usual)
    if value is None:
        raise BadParams(f"{field} is required")
    if not isinstance(value, str) or value not in options:
        raise BadParams(f"{field} must be one of {', '.join(options)}")
    return value
