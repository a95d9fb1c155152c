"""What Kling makes of a create's body: defaults for what it does not find, and the few things it refuses.

Kling ignores fields that it does not know (measured 2026-09): a length at the wrong place is a clip of the usual
length, and billed. Nor does it check the range of lengths at create; here the nearest one is made. Knows no jobs.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from vgen.simulator.picture import ratio, size_of

EXTRA = "text-to-video/kling-3.0", "image-to-video/kling-3.0"
"""Models beyond the table take what these take."""
SEVERAL = ("element", "refer_image")
IMAGES = ("first_frame", "last_frame", "refer_image")
LEAST_SIDE_PX = 300
MOST_RATIO = 2.5
UNREACHABLE = ".invalid"
"""Hosts of this top-level domain have no pictures (RFC 2606)."""
OPTIONS = {"external_task_id", "callback_url", "watermark_info"}


class BadValue(Exception):
    """HTTP 400, code 1201; `str()` is the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a body orders. `units_per_s` None: the model is not in the table."""

    prompt: str
    tag: str
    seconds: int
    resolution: str
    shape: str
    sound: bool
    units_per_s: Decimal | None
    fails: str = ""
    """Why the task will fail, though its create succeeds."""
    ignored: tuple[str, ...] = ()


@cache
def table() -> Mapping[str, Any]:
    """kling.json."""
    loaded: dict[str, Any] = json.loads(files("vgen.simulator").joinpath("kling.json").read_text(encoding="utf-8"))
    return loaded


def model(path: str) -> Mapping[str, Any] | None:
    """The table's row for `function/model`, or None."""
    found: Mapping[str, Any] | None = table()["models"].get(table()["aliases"].get(path, path))
    return found


def row(path: str, extra: Iterable[str]) -> Mapping[str, Any] | None:
    """The row for `function/model`, for models in `extra` one without prices; None for what nobody sells."""
    function, _, name = path.partition("/")
    if model(path) is None and name in extra:
        like = next((one for one in EXTRA if one.startswith(f"{function}/")), "")
        return {**table()["models"][like], "units_per_s": None} if like else None
    return model(path)


def read(function: str, rules: Mapping[str, Any], body: Any) -> Wanted:
    """What `body` orders of a model. Raises BadValue."""
    if not isinstance(body, dict):
        raise BadValue("request body is not an object")
    settings, options = _object(body, "settings"), _object(body, "options")
    prompt, pictures = _contents(function, rules, body)
    _check_pictures(pictures, rules.get("most_images"))
    if not prompt or len(prompt) > rules["prompt_most"]:
        raise BadValue(f"prompt must have 1 to {rules['prompt_most']} characters")
    resolution = _resolution(rules, settings, pictures)
    sound = _sound(rules, settings, resolution)
    moving = "base_video" in pictures or "feature_video" in pictures
    late = resolution in rules.get("late_resolutions", ())
    return Wanted(
        prompt=prompt,
        tag=_tag(options),
        seconds=_seconds(rules, settings),
        resolution=resolution,
        shape=_shape(function, rules, settings, pictures),
        sound=sound,
        units_per_s=None if late else _units_per_s(rules, resolution, sound=sound, moving=moving),
        fails=f"resolution {resolution} is not supported" if late else _unreachable(pictures),
        ignored=tuple(_ignored(function, rules, body, settings, options)),
    )


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name, {})
    if not isinstance(value, dict):
        raise BadValue(f"{name} must be an object")
    return value


def _contents(function: str, rules: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The prompt, and the inputs by their type."""
    if function == "text-to-video":
        prompt = body.get("prompt")
        return (prompt if isinstance(prompt, str) else ""), {}
    contents = body.get("contents")
    if not isinstance(contents, list):
        raise BadValue("contents must be a list")
    prompt, inputs = "", dict[str, str]()
    for one in contents:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind == "prompt" and isinstance(one.get("text"), str):
            prompt = one["text"]
        elif isinstance(kind, str) and kind in rules["inputs"] and isinstance(one.get("url"), str) and one["url"]:
            if kind in inputs and kind not in SEVERAL:
                raise BadValue(f"contents has more than one {kind}")
            inputs[f"{kind} {len(inputs)}" if kind in inputs else kind] = one["url"]
        else:
            raise BadValue(f"contents type value '{kind}' is invalid, allowed: {_list(['prompt', *rules['inputs']])}")
    if function == "image-to-video" and "first_frame" not in inputs:
        raise BadValue("contents must have a first_frame")
    return prompt, inputs


def _check_pictures(inputs: Mapping[str, str], most: int | None) -> None:
    if "last_frame" in inputs and "first_frame" not in inputs:
        raise BadValue("last_frame needs a first_frame")
    images = {kind: url for kind, url in inputs.items() if kind.partition(" ")[0] in IMAGES}
    if most is not None and len(images) > most:
        raise BadValue(f"contents must have at most {most} images")
    for kind, url in images.items():
        if url.startswith(("http://", "https://")):
            continue
        size = None if url.startswith("data:") else size_of(url)
        if size is None:
            raise BadValue(f"{kind} is neither a URL nor a picture in base64 (without a prefix)")
        if min(size) < LEAST_SIDE_PX or max(size) > MOST_RATIO * min(size):
            raise BadValue(f"{kind}: at least {LEAST_SIDE_PX} px a side, and a ratio from 1:2.5 to 2.5:1")


def _unreachable(inputs: Mapping[str, str]) -> str:
    hosts = [(kind, urlsplit(url).hostname or "") for kind, url in inputs.items() if url.startswith("http")]
    return next((f"{kind} could not be downloaded" for kind, host in hosts if host.endswith(UNREACHABLE)), "")


def _resolution(rules: Mapping[str, Any], settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    options = [*rules["resolutions"], *rules.get("late_resolutions", ())]
    if "last_frame" in inputs:
        options = rules.get("pair_resolutions", options)
    return _one_of(settings, "resolution", options, default=rules["resolutions"][0])


def _sound(rules: Mapping[str, Any], settings: Mapping[str, Any], resolution: str) -> bool:
    """Models without a switch always make sound, or never: as they are priced."""
    prices = rules["units_per_s"]
    if not rules["audio"]:
        return "silent" not in prices
    sound = _one_of(settings, "audio", rules["audio"], default=rules["audio"][0]) != "off"
    if sound and prices and resolution in rules["resolutions"] and resolution not in prices["sound"]:
        raise BadValue(f"settings.audio value 'native' needs the resolution {_list(prices['sound'])}")
    return sound


def _units_per_s(rules: Mapping[str, Any], resolution: str, *, sound: bool, moving: bool) -> Decimal | None:
    prices = rules["units_per_s"]
    if prices is None:
        return None
    column = "video" if moving and "video" in prices else "sound" if sound else "silent"
    return Decimal(prices[column][resolution])


def _shape(function: str, rules: Mapping[str, Any], settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    first = inputs.get("first_frame")
    if first:
        size = None if first.startswith("http") else size_of(first)
        return ratio(size) if size else "16:9"  # nobody here may open a URL
    if function == "omni-video" and "aspect_ratio" not in settings and "base_video" not in inputs:
        raise BadValue("settings.aspect_ratio is required")
    return _one_of(settings, "aspect_ratio", rules["aspect_ratios"], default="16:9")


def _seconds(rules: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    seconds = settings.get("duration", rules["default_s"])
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise BadValue(f"settings.duration value {json.dumps(seconds)} is not an integer")
    if "only_s" in rules and seconds not in rules["only_s"]:
        raise BadValue(f"settings.duration value {seconds} is invalid, allowed: {_list(rules['only_s'])}")
    least, most = rules["durations_s"]
    return int(min(max(seconds, least), most))


def _tag(options: Mapping[str, Any]) -> str:
    tag = options.get("external_task_id", "")
    if not isinstance(tag, str):
        raise BadValue("options.external_task_id must be a string")
    return tag


def _ignored(
    function: str,
    rules: Mapping[str, Any],
    body: Mapping[str, Any],
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
) -> list[str]:
    """What was sent for nothing."""
    top = {"settings", "options", "prompt" if function == "text-to-video" else "contents"}
    switches = {"aspect_ratio": rules["aspect_ratios"], "audio": rules["audio"], "multi_shot": rules["multi_shot"]}
    heard = {"resolution", "duration", *(name for name, options in switches.items() if options)}
    return [
        *sorted(set(body) - top),
        *(f"settings.{name}" for name in sorted(set(settings) - heard)),
        *(f"options.{name}" for name in sorted(set(options) - OPTIONS)),
    ]


def _one_of(settings: Mapping[str, Any], name: str, options: Iterable[str], *, default: str) -> str:
    value = settings.get(name, default)
    if not isinstance(value, str) or value not in options:
        raise BadValue(f"settings.{name} value {_shown(value)} is invalid, allowed: {_list(options)}")
    return value


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def _list(options: Iterable[Any]) -> str:
    return f"[{', '.join(map(str, options))}]"
