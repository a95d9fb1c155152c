"""What ModelArk makes of a create's body: defaults for what it does not find, refusals of values it does not know.

Unknown fields are ignored (measured 2026-08-20). Without `duration` Seedance 2.5 chooses the length, and with it the
price; without `generate_audio` there is sound. Parameters at the end of the prompt are still obeyed. Knows no jobs.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from vgen.simulator import prices
from vgen.simulator.picture import shape_of

ADAPTIVE_ONLY = "The parameter `ratio` is not valid for this type of task: only adaptive is supported."
TASK_TYPE = "InvalidParameter.TaskTypeConstraint"
FRAMES = ("first_frame", "last_frame")
ROLES = {
    "image_url": (*FRAMES, "reference_image"),
    "video_url": ("reference_video",),
    "audio_url": ("reference_audio",),
}
MOST_TAG = 64
EXPIRES_S = (3600, 259_200, 172_800)
"""execution_expires_after: least, most, default."""
HEARD = {
    *("model", "content", "resolution", "ratio", "duration", "generate_audio", "watermark", "safety_identifier"),
    *("execution_expires_after", "priority", "callback_url", "return_last_frame", "output_format", "draft"),
    *("omni_reference_task_type", "service_tier"),
}
_SUFFIX = re.compile(r"\s--(rs|rt|dur|resolution|ratio|duration)\s+(\S+)")
_SUFFIXES = {"rs": "resolution", "rt": "ratio", "dur": "duration"}


class BadParameter(Exception):
    """HTTP 400; `field` is the parameter."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"The parameter `{field}` specified in the request is not valid: {problem}.")
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a body orders. `most_s`: the longest that the model may choose. Price: by tokens, or by the second."""

    prompt: str
    seconds: int
    most_s: int
    resolution: str
    ratio: str
    width: int
    height: int
    sound: bool
    expires_s: int
    usd_per_million: Decimal | None
    micro_per_s: int = 0
    fails: str = ""
    ignored: tuple[str, ...] = ()

    def tokens(self, seconds: float) -> int:
        return prices.tokens(self.width, self.height, seconds)

    def micro(self, seconds: float) -> int:
        """A dollar for a million tokens is a micro-dollar for one."""
        if self.usd_per_million is None:
            return math.ceil(self.micro_per_s * seconds)
        return math.ceil(self.tokens(seconds) * self.usd_per_million)


@cache
def table() -> Mapping[str, Any]:
    """ark.json."""
    loaded: dict[str, Any] = json.loads(files("vgen.simulator").joinpath("ark.json").read_text(encoding="utf-8"))
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
    resolutions = dict.fromkeys(("480p", "720p", "1080p", "4k"))
    return {"durations_s": [1, 60], "default_s": 5, "usd_per_million": resolutions, "micro_per_s": extra[model]}


def again(model: str, body: Mapping[str, Any], extra: Mapping[str, int]) -> Wanted:
    """What a body that was accepted orders."""
    rules = row(model, extra) or row(model, {model: 0})
    assert rules, "BUG: a task of a model that nobody sells"
    return read(rules, body)


def read(rules: Mapping[str, Any], body: Mapping[str, Any]) -> Wanted:
    """What `body` orders of a model. A null is nothing: the vendor's own SDK sends one for all that is left out.

    Raises BadParameter.
    """
    body = {name: value for name, value in body.items() if value is not None}
    text, inputs = _content(body, rules.get("references_most"))
    settings = {**body, **_suffixes(rules, text)}
    resolution = _one_of(settings, "resolution", rules["usd_per_million"], "720p")
    asked = _one_of(settings, "ratio", table()["ratios"], "adaptive")
    framed = any(role in inputs for role in FRAMES)
    shape = shape_of(inputs.get("first_frame")) if framed else None
    ratio = (shape or "16:9") if asked == "adaptive" else asked
    seconds, most_s = _seconds(rules, settings, text)
    width, height = prices.pixels(ratio, resolution)
    rate = rules["usd_per_million"][resolution]
    least, most, usual = EXPIRES_S
    _checked(body)
    return Wanted(
        prompt=text,
        seconds=seconds,
        most_s=most_s,
        resolution=resolution,
        ratio=ratio,
        width=width,
        height=height,
        sound=_flag(body, "generate_audio", default=True),
        expires_s=_whole(body, "execution_expires_after", usual, (least, most)),
        usd_per_million=None if rate is None else Decimal(rate),
        micro_per_s=rules.get("micro_per_s", 0),
        fails=TASK_TYPE if framed and rules.get("adaptive_frames") and asked != "adaptive" else "",
        ignored=tuple(sorted(set(body) - HEARD)),
    )


def _content(body: Mapping[str, Any], most: int | None) -> tuple[str, dict[str, str]]:
    """The text, and the inputs by their role."""
    content = body.get("content")
    if not isinstance(content, list) or not content:
        raise BadParameter("content", "expected a list")
    texts, inputs, roles = list[str](), dict[str, str](), list[str]()
    for one in content:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind == "text" and isinstance(one.get("text"), str):
            texts.append(one["text"])
        elif isinstance(kind, str) and kind in ROLES:
            role, url = _input(kind, one)
            inputs[role] = url
            roles.append(role)
        else:
            raise BadParameter("content", f"unknown type {kind}")
    _check_roles(roles, most)
    if not "".join(texts).strip() and not inputs:
        raise BadParameter("content", "expected a text or an image")
    return " ".join(texts), inputs


def _check_roles(roles: list[str], most: int | None) -> None:
    """First frame, first and last frame, references: "three scenarios that cannot be mixed"."""
    if "last_frame" in roles and "first_frame" not in roles:
        raise BadParameter("content", "last_frame needs a first_frame")
    if any(roles.count(role) > 1 for role in FRAMES):
        raise BadParameter("content", "more than one image of a role that takes one")
    if set(roles) & set(FRAMES) and set(roles) - set(FRAMES):
        raise BadParameter("content", "first or last frame cannot be mixed with reference media")
    if most is not None and roles.count("reference_image") > most:
        raise BadParameter("content", f"at most {most} reference images")


def _input(kind: str, one: Mapping[str, Any]) -> tuple[str, str]:
    role = one.get("role") or ROLES[kind][0]
    if role not in ROLES[kind]:
        raise BadParameter("content", f"unknown role {role}")
    held = one.get(kind)
    url = held.get("url") if isinstance(held, dict) else None
    if not isinstance(url, str) or not url.startswith(("http://", "https://", "data:")):
        raise BadParameter("content", f"{kind}.url must be a URL or a data URI")
    if url.startswith("data:image/") and shape_of(url) is None:
        raise BadParameter("content", "the image cannot be read")
    return role, url


def _suffixes(rules: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Parameters at the end of the prompt: before those of the body, and what is no value of theirs is ignored.

    Which of the two comes first nobody tells; this way a prompt that should not have them shows.
    """
    least, most = rules["durations_s"]
    allowed = {
        "resolution": list(rules["usd_per_million"]),
        "ratio": table()["ratios"],
        "duration": [str(seconds) for seconds in range(least, most + 1)],
    }
    said = {_SUFFIXES.get(name, name): value for name, value in _SUFFIX.findall(text)}
    found: dict[str, Any] = {name: value for name, value in said.items() if value in allowed[name]}
    return found | ({"duration": int(found["duration"])} if "duration" in found else {})


def _seconds(rules: Mapping[str, Any], settings: Mapping[str, Any], prompt: str) -> tuple[int, int]:
    """Seconds that will be made, and the most that might have been."""
    least, most = rules["durations_s"]
    if settings.get("duration", rules["default_s"]) == -1 == rules["default_s"]:
        return prices.chosen_s(prompt, least, most), most
    seconds = _whole(settings, "duration", rules["default_s"], (least, most))
    return seconds, seconds


def _checked(body: Mapping[str, Any]) -> None:
    """The fields that decide neither length nor price."""
    tag = body.get("safety_identifier", "")
    if not isinstance(tag, str) or len(tag) > MOST_TAG:
        raise BadParameter("safety_identifier", f"at most {MOST_TAG} characters")
    for name in ("watermark", "return_last_frame", "draft"):
        _flag(body, name, default=False)
    _whole(body, "priority", 0, (0, 9))
    _one_of(body, "output_format", ("mp4", "mov"), "mp4")
    _one_of(body, "service_tier", ("default",), "default")


def _one_of(body: Mapping[str, Any], field: str, options: Iterable[str], usual: str) -> str:
    value = body.get(field, usual)
    if not isinstance(value, str) or value not in options:
        raise BadParameter(field, f"expected one of {', '.join(options)}")
    return value


def _flag(body: Mapping[str, Any], field: str, *, default: bool) -> bool:
    value = body.get(field, default)
    if not isinstance(value, bool):
        raise BadParameter(field, "expected true or false")
    return value


def _whole(body: Mapping[str, Any], field: str, usual: int, bounds: tuple[int, int]) -> int:
    value = body.get(field, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not bounds[0] <= value <= bounds[1]:
        raise BadParameter(field, f"expected an integer from {bounds[0]} to {bounds[1]}")
    return value
