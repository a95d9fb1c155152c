"""The run variables and the keys of a provider's section, with their types and defaults."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from vgen.recipe import MAX_TAKES

PREFIX = "VGEN_"
FOR_TESTS = frozenset({"VGEN_TEST_LIVE", "VGEN_TEST_ALL"})
"""Variables of the test suite."""
OTHER_ENVIRONMENT = frozenset({"VGEN_EVENT", "VGEN_TEXT", "VGEN_FFMPEG", "VGEN_FFPROBE", *FOR_TESTS})


SIGN_DETAILS = ("prompt", "seed", "price", "provider", "model")
"""What a signature may tell of a shot if it is asked to: everybody can read it there."""


MOST_NAME_BYTES = 255
"""Of a file or a folder, on all common file systems."""


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a number")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _plain(value: str) -> str:
    if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise ValueError("holds a control character, or half a character")
    return value


def _path(value: str) -> str:
    if any(len(part.encode("utf-8", "surrogatepass")) > MOST_NAME_BYTES for part in value.split("/")):
        raise ValueError(f"holds a name of more than {MOST_NAME_BYTES} bytes, and no file system takes that")
    return _plain(value)


def _details(value: str) -> str:
    """Names with commas between, each once, in one order."""
    found = {name.strip() for name in value.split(",") if name.strip()}
    if found - set(SIGN_DETAILS):
        raise ValueError(f"give some of {', '.join(SIGN_DETAILS)}, with commas between")
    return ",".join(name for name in SIGN_DETAILS if name in found)


def _proxy(value: str) -> str:
    wrong = "give http://HOST:PORT or https://HOST:PORT, with USER:PASSWORD@ before it if the proxy wants that"
    try:
        parts = urlsplit(_plain(value))
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and parts.path in ("", "/")
    except ValueError as exc:
        raise ValueError(wrong) from exc
    if value and (not whole or parts.query or parts.fragment or " " in value):
        raise ValueError(wrong)
    return value.rstrip("/")


def _cluster(value: str) -> str:
    """TLS unless it is this machine: a Dask scheduler does whatever somebody asks who reaches it."""
    match = re.fullmatch(r"(tcp|tls)://(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", value)
    if value and (match is None or not 0 < int(match[3]) < 1 << 16):
        raise ValueError("give tls://HOST:PORT of a Dask scheduler, or tcp://127.0.0.1:PORT on this machine")
    if match and match[1] == "tcp" and not re.fullmatch(r"localhost|127(\.\d+){3}|\[::1\]", match[2]):
        raise ValueError("tcp:// is for this machine only, others could reach it too: give tls://HOST:PORT")
    return value


Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=10_000)]
Seconds = Annotated[float, BeforeValidator(_no_bool), Field(gt=0, le=1e7, allow_inf_nan=False)]
Pause = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=1e6, allow_inf_nan=False)]
Dollars = Annotated[Decimal, BeforeValidator(_no_bool), Field(ge=0, le=10**9, allow_inf_nan=False)]
Ladder = tuple[tuple[Decimal | None, Decimal], ...]
"""(longest clip in seconds, or None for any, and dollars), the shortest first."""
_DOLLARS: TypeAdapter[Decimal] = TypeAdapter(Dollars)


def _ladder(value: Any) -> Ladder:
    """A price, as one number or by length: `{"6": 0.28, "10": 0.56}`."""
    steps = value if isinstance(value, dict) else {None: value}
    try:
        found = [(None if length is None else Decimal(length), _DOLLARS.validate_python(price)) for length, price in
                 steps.items()]  # fmt: skip
    except (ArithmeticError, ValidationError) as exc:
        raise ValueError('give dollars, or dollars by length in seconds, as in {"6": 0.28, "10": 0.56}') from exc
    if not found or any(length is not None and not 0 < length <= 10**6 for length, _ in found):
        raise ValueError('its lengths must be seconds above 0, as in {"6": 0.28, "10": 0.56}')
    return tuple(sorted(found, key=lambda step: step[0] or 0))


Price = Annotated[Any, AfterValidator(_ladder)]
"""A `Ladder` when it is read."""
Shape = Literal["9:16", "16:9", "1:1"]
Rate = Annotated[float, BeforeValidator(_no_bool), Field(ge=0, le=1, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_plain)]


FilePath = Annotated[Text, AfterValidator(_path)]


class Run(BaseModel):
    """The run variables of contract 2, with their defaults."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    visual_prompts: FilePath = "config/visual_prompts.json"
    api_config: FilePath = "config/api_config.json"
    outputs: FilePath = "outputs"
    primary_api: Text = "runway"
    fallback_api: Text = "pika"
    max_concurrent: Count = 5
    max_retries: Count = 3
    clip_timeout_s: Seconds = 300
    budget_usd: Dollars = Decimal("2.00")
    partial: bool = False
    takes_wanted: Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=MAX_TAKES)] = 1
    tier: Literal["final", "draft"] = "final"
    audio: bool = False
    on_uncertain: Literal["hold", "rebuy"] = "hold"
    min_success_rate: Rate = 0.8
    min_clip_bytes: Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=1 << 30)] = 100_000
    aspect_ratio: Shape = "9:16"
    mode: Literal["auto", "live", "simulate"] = "auto"
    clip_paths: Literal["relative", "absolute"] = "relative"
    backoff_base_s: Pause = 1
    backoff_max_s: Pause = 60
    wait: bool = False
    ai_mark: bool = True
    sign: bool = True
    sign_certificate: Annotated[str, AfterValidator(_plain)] = ""
    sign_key: Annotated[str, AfterValidator(_plain)] = ""
    sign_details: Annotated[str, AfterValidator(_details)] = ""
    proxy: Annotated[str, AfterValidator(_proxy)] = ""
    cluster: Annotated[str, AfterValidator(_cluster)] = ""
    cluster_ca: Annotated[str, AfterValidator(_plain)] = ""
    cluster_cert: Annotated[str, AfterValidator(_plain)] = ""
    cluster_key: Annotated[str, AfterValidator(_plain)] = ""
    cluster_timeout_s: Seconds = 600
    notify_command: Annotated[str, AfterValidator(_plain)] = ""
    notify_url: Annotated[str, Field(pattern=r"^(https?://\S+)?$"), AfterValidator(_plain)] = ""


VARIABLES = tuple(Run.model_fields)


def switch(text: str) -> bool | None:
    """What yes, no and their like say; None if it is neither."""
    word = text.lower()
    return word in _YES if word in (*_YES, *_NO) else None


_YES, _NO = ("yes", "true", "1", "on", "y", "t"), ("no", "false", "0", "off", "n", "f")
"""As pydantic takes them for a run variable."""


def is_default(name: str, text: str) -> bool:
    """Whether a run variable, as it was typed, says what holds anyway."""
    field = Run.model_fields.get(name)
    if field is None:
        return False
    if isinstance(field.default, bool):
        return switch(text) is field.default
    return text == str(field.default)


class ProviderConfig(BaseModel):
    """One provider's object in api_config.json, its aliases already unfolded. Other keys are the parent project's."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, protected_namespaces=())

    protocol: Text | None = None
    base_url: Text | None = None
    model: Text | None = None
    timeout_seconds: Seconds | None = None
    poll_interval_s: Seconds | None = None
    max_concurrent: Count | None = None
    requests_per_minute: Annotated[float, BeforeValidator(_no_bool), Field(gt=0, allow_inf_nan=False)] | None = None
    max_retries: Count | None = None
    cost_per_second_usd: Price | None = None
    cost_per_clip_usd: Price | None = None
    resolution: Text | None = None
    durations: Any = None
    ratios: list[Shape] | None = None
    enabled: bool = True
    draft: dict[str, Any] | None = None


_ALIASES: Mapping[str, tuple[str, ...]] = {
    "base_url": ("endpoint",),
    "max_concurrent": ("rate_limits", "concurrent_requests"),
    "requests_per_minute": ("rate_limits", "requests_per_minute"),
    "max_retries": ("retry", "max_attempts"),
}
