"""The values that every codec speaks: calls out, replies in, and what a reply means. Neither sends nor sleeps."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeGuard
from urllib.parse import urlsplit

from vgen.money import up
from vgen.providers.kinds import Kind, kind_of

JOB_ID = r"[A-Za-z0-9._:-]{1,200}"
"""What a job id may be; anything else in its place is not an answer."""

MAX_URL = 8_192
"""Signed URLs have some hundred characters; httpx refuses more than 65,536."""


class CannotMake(Exception):
    """This model can't make this shot; `str()` says which limit, and the limit."""


class NoPrice(CannotMake):
    """Nobody told what this model costs: nothing may be bought from it."""


MIN_SIDE = 720
"""Lines of a good clip, on its shorter side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A configured price: micro-dollars a second, or a clip if `per_clip`.

    `steps`: (longest clip that it is for in seconds, price), the shortest first; None is for any length.
    """

    steps: tuple[tuple[Decimal | None, int], ...]
    per_clip: bool = False

    @property
    def flat(self) -> int | None:
        """Micro-dollars a second, if it is that for any length."""
        longest, price = self.steps[0]
        return price if longest is None and not self.per_clip else None

    def of(self, bought_s: Decimal) -> int | None:
        """Micro-dollars of a clip of this length: the step of the next longer one. None if no step is so long."""
        for longest, price in self.steps:
            if longest is None or bought_s <= longest:
                return price if self.per_clip else up(price * bought_s)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One provider as configured: where it is, what to buy there, and at what price.

    `price`: micro-dollars a second, or None to look it up; `tariff` instead, if a clip's price depends on its length or
    is for the whole clip (see prices.agreed). `durations`: seconds on offer; `()` any; None the model's. `ratios`: the
    shapes of a model that can't be told which. `own_models`: the project's own rows for the protocol's table of models,
    by model (codec.ModelTable).
    """

    provider: str
    base_url: str
    model: str
    resolution: str | None = None
    price: int | None = None
    tariff: Tariff | None = None
    durations: tuple[Decimal, ...] | None = None
    ratios: tuple[str, ...] = ()
    own_models: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is bought for a recipe: the body without the image's bytes, the seconds billed, the most it costs.

    `told`: whether `price` is what the provider itself has told for this kind, above the table's. `left_out`: what the
    shot asks for and the model does not take, by the names of a shot's keys.
    """

    model: str
    path: str
    body: Mapping[str, Any]
    image_field: str | None
    bought_s: Decimal
    price: int
    told: bool = False
    left_out: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it has in common with all orders that must cost the same."""
        return kind_of(self.model, str(self.bought_s), self.body)

    @property
    def text(self) -> str:
        """The canonical body, as stored with the purchase."""
        return json.dumps(self.body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request to a provider's API. `auth` goes into the header `auth_header`, and nowhere else.

    Without `auth` the header is left out. `step`: what it is for; "create" is the paid one.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    auth: str = field(default="", repr=False)
    auth_header: str = "Authorization"
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One whole HTTP answer; header names are lower case, `at` is unix time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        """The body as JSON, or None if it is none."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            return None

    def object(self) -> dict[str, Any]:
        """The body as a JSON object, or an empty one."""
        value = self.json()
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job at a provider: its id, and the URLs that came with it."""

    id: str
    urls: Mapping[str, str] = field(default_factory=dict)


# What a create's reply means.


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The provider has the job. `quoted`: the most it says it may charge, in micro-dollars."""

    job: Job
    quoted: int | None = None


class RefusalReason(StrEnum):
    """Why a provider refused."""

    # The values are error codes in ledgers that exist, so they stay, whatever the names are.
    RATE_LIMITED = "later"  # 429: try again, not before Retry-After
    SERVER_ERROR = "broken"  # a 5xx in the provider's own words: an explicit no; try again
    INPUT = "input"  # moderation or validation: never again at this API
    CREDIT = "credit"  # out of credit: close the provider
    KEY = "key"  # key rejected: close the provider
    SETUP = "setup"  # no such endpoint or model: close the provider
    DUPLICATE = "duplicate"  # it has an order with this tag already: look it up


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An explicit no: nothing was accepted, nothing is charged.

    `job`: the provider keeps a job of the order all the same, one that has failed, and gives it again to every repeat.
    """

    reason: RefusalReason
    message: str
    retry_after_s: float | None = None
    job: Job | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear:
    """Not an answer: the job may exist, and may be charged."""

    message: str


# What a poll's reply means.


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Waits at the provider; `position` from 0."""

    position: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Being made; `progress` 0..1 if the provider tells."""

    progress: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Made. `charged` in micro-dollars, None if the provider does not tell; `url` "" if it names no file.

    `unsettled`: the provider says that it has not settled the charge yet; asked again, it will tell. `instead`: what
    the result holds where a file was expected, in words. `ended_at`: when the job ended, by the provider's clock (Unix
    seconds); None if it does not tell.
    """

    url: str
    charged: int | None = None
    unsettled: bool = False
    instead: str = ""
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Ended without a video. `again`: the provider's fault, worth another try; else never at this API.

    `unconfirmed`: read off a question that failed, not off the job's own status; counts if it is said again later.
    `unsettled`: as of Done.
    `wrong_order`: the model does not take orders of this form at all, so no further one is sent to it.
    """

    message: str
    code: str = ""
    again: bool = False
    charged: int | None = None
    unconfirmed: bool = False
    unsettled: bool = False
    wrong_order: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """Stopped before its end."""

    charged: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The provider does not know this job: deleted, cancelled, or another account's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconclusive:
    """This reply says nothing about the job; ask again. `key_rejected`: with another key.

    `ended`: the provider says that the job is over, but what came of it can't be read.
    """

    message: str
    key_rejected: bool = False
    ended: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A job in a provider's own list, with what tells whose it is.

    `tag`: as it was sent, "" if it was sent none. `prompt`: None if the list does not show it. `created_at`: unix time
    by the provider's clock. `fields`: what else the list shows of the request, by the names of the request's body.
    """

    id: str
    tag: str = ""
    prompt: str | None = None
    created_at: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of that list. `more`: the cursor of the next."""

    jobs: tuple[Listed, ...]
    more: str | None = None


Answer = Accepted | Refused | Unclear
Status = Queued | Running | Done | Failed | Cancelled | Missing | Inconclusive


@functools.lru_cache(maxsize=4096)
def next_longer(asked_s: Decimal, offered: tuple[Decimal, ...], model: str) -> Decimal:
    """The shortest duration on offer that is not shorter than asked; any if `offered` is empty. Raises CannotMake."""
    if not offered:
        return asked_s
    fitting = [seconds for seconds in offered if seconds >= asked_s]
    if not fitting:
        raise CannotMake(f"{model} makes at most {max(offered)} s, the shot asks {asked_s} s")
    return min(fitting)


def brief(text: object, limit: int = 300) -> str:
    """Provider's text for a person: one line, printable, at most `limit` characters."""
    clean = "".join(c if c.isprintable() else " " for c in str(text))
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def is_url(value: object) -> TypeGuard[str]:
    """Whether a provider's field is a URL that can be stored and asked for; what it leads to is checked there."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > MAX_URL:
        return False
    try:
        return bool(urlsplit(value).hostname)
    except ValueError:
        return False


def number(value: float | Decimal) -> int | float:
    """A JSON number: an integer where the value is one."""
    return int(value) if value == int(value) else float(value)
