"""What a wire protocol brings: its vendor, its calls, and what else it can do. mypy checks every codec against it.

A codec is a module with these members. Its functions are pure: they neither send nor sleep nor read the environment.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from vgen.pictures import Accepts, Pictures
from vgen.providers.base import Answer, Call, Job, Listing, Order, Refused, Reply, Status, Terms
from vgen.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTable:
    """A protocol's table of models, and the project's own file beside it, whose rows go before the shipped ones.

    `as_of()`: the shipped table's size, source, date. `shipped()`: its rows. `listed(own)`: what each model takes, for
    people. `own_file`: relative to the directory of dodo.py. `read(document)`: its rows, for Terms.own_models, and what
    is wrong with it, a line each. `ask(model, base_url)`: ask the vendor what a model takes, without a key, at
    `learn_from` or at a loopback address. `row(reply, model)`: what the answer says; raises CannotMake.
    """

    as_of: Callable[[], str]
    shipped: Callable[[], Mapping[str, Mapping[str, Any]]]
    listed: Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]
    own_file: str
    read: Callable[[object], tuple[dict[str, Mapping[str, Any]], list[str]]]
    learn_from: str
    ask: Callable[[str, str], Call]
    row: Callable[[Reply, str], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A picture on its way to a vendor's storage: its media type, and its bytes as the vendor takes them."""

    kind: str
    content: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """A file name that says nothing of the user's: `picture.png`."""
        return f"picture.{self.kind.rpartition('/')[2].replace('jpeg', 'jpg')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an upload goes: `call` holds its bytes, and no key; `uri` is what an order names then."""

    call: Call
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """The vendor keeps pictures that are too big for a request, in two steps: ask the API, then send to its storage.

    `most_bytes`: of such a picture. `good_for_s`: how long after its upload an order may name it; less than the vendor
    keeps it. `ask(upload, base_url, key)`: ask for a place, at the API's own origin or one of `Vendor.hosts`.
    `place(reply, upload)`: the place, or why there is none. The storage's 2xx means that it has the bytes.
    """

    most_bytes: int
    good_for_s: float
    ask: Callable[[Upload, str, str], Call]
    place: Callable[[Reply, Upload], Place | Refused]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Who sells by a protocol: all that the settings and the simulator know of it.

    `section`: the section of api_config.json that is there even if nobody wrote it ("": none), with `model` for a
    default. `keys`: the environment variables that hold the vendor's own keys; what is in them goes only to `hosts`
    over https, or to loopback. `invented_hosts`: names that code generators like to write, and that serve no API.
    `quotes`: whether the answer to a create says what the job may cost at most. `model_names`: how the vendor's models
    are called (a regular expression), with `example` for one; "": any way. `models`: its table of models, if it has one
    that people can list and extend. `version`: what a `base_url` may end with. `accepts`: pictures.
    `uploads`: how a picture comes to the vendor that is too big for a request; None: it is made smaller.
    `files_kept_s`: how long after its job's end, by the vendor's clock, a video can be had at most: later, no question
    brings another address. None: unknown.
    """

    protocol: str
    keys: tuple[str, ...]
    hosts: tuple[str, ...]
    base_url: str
    poll_interval_s: float
    section: str = ""
    model: str = ""
    invented_hosts: tuple[str, ...] = ()
    quotes: bool = False
    model_names: str = ""
    example: str = ""
    version: str = "/v1"
    accepts: Accepts = field(default_factory=Accepts)
    uploads: Uploads | None = None
    files_kept_s: float | None = None
    models: ModelTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The same create again, with the same tag, brings the first job: nothing is bought twice.

    `remembers_s`: how long after the first one that holds at least.
    """

    remembers_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookUp:
    """The provider takes each tag once, refuses it the second time (DUPLICATE), and finds the job by it.

    `find(tag, base_url, key)`: ask for the job. `found(reply, tag)`: its id; "" if the provider says, in its own shape,
    that it has none; None if the reply says nothing.
    """

    find: Callable[[str, str, str], Call]
    found: Callable[[Reply, str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedList:
    """The provider lists jobs, each with the tag that its order carried.

    `list_jobs(model, since, base_url, key, cursor)`: ask for a page of the jobs since (unix time, by its clock).
    `parse_job_list(reply, cursor)`: that page, or None if the reply says nothing; then it proves nothing either.
    `sent_as(tag)`: how the order's tag reads in the list. `lag_s`: so long after it was sent an order may be missing
    from the list though it arrived. `shows_running`: whether it lists jobs that have not ended. `apart_s`: the least
    time between two questions for the list. `shared_field`: the field of the body that holds the tag, where a shot may
    want it for itself; such an order carries no tag.
    """

    list_jobs: Callable[[str, float, str, str, str | None], Call]
    parse_job_list: Callable[[Reply, str | None], Listing | None]
    sent_as: Callable[[str], str]
    lag_s: float
    shows_running: bool
    apart_s: float = 0.0
    shared_field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """The provider lists jobs without a tag: those of the same `fields` and about the same time look like an order.

    Which of them it is, if any, is the user's to say. `list_jobs`, `parse_job_list`, `apart_s`: as of TaggedList.
    """

    list_jobs: Callable[[str, float, str, str, str | None], Call]
    parse_job_list: Callable[[Reply, str | None], Listing | None]
    fields: tuple[str, ...]
    apart_s: float = 0.0


LostOrders = Replay | LookUp | TaggedList | Likeness | None
"""How an order whose answer was lost is found again; None: not at all. Each further way is a type in this union."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteCall:
    """A call that costs nothing and says what an order would cost.

    `ask(order, base_url)`, without a key; `quoted(reply)`: micro-dollars, or None if it does not say.
    """

    ask: Callable[[Order, str], Call]
    quoted: Callable[[Reply], int | None]


def _not_told(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCall:
    """A call that costs nothing and shows whether the key works.

    `ask(base_url, key)`; of its reply: the credits left, and how many generations of a model the vendor counts in its
    last 24 h. Both None if it does not say.
    """

    ask: Callable[[str, str], Call]
    credits_left: Callable[[Reply], int | None] = _not_told
    generations_today: Callable[[Reply, str], int | None] = _not_told


class Codec(Protocol):
    """One wire protocol; a module can be one. `key` is the secret itself, each picture a URL, a data URI or
    the `uri` of a Place.

    `tag`: RUN-NUMBER (hexadecimal, decimal), which no other order has; the codec spells it as the vendor wants it.
    """

    VENDOR: Vendor
    LOST_ORDERS: LostOrders
    ACCOUNT: AccountCall | None
    QUOTE: QuoteCall | None

    def list_price(self, model: str, resolution: str | None) -> int | None:
        """Micro-dollars a second by the dated table, or None."""
        ...

    def order(self, recipe: Recipe, terms: Terms) -> Order:
        """What to buy. Raises CannotMake."""
        ...

    def create(self, order: Order, terms: Terms, key: str, pictures: Pictures[str], tag: str) -> Call:
        """The paid request; for the same arguments the same, byte for byte."""
        ...

    def answer(self, reply: Reply, terms: Terms) -> Answer:
        """What the reply to a create means."""
        ...

    def poll(self, job: Job, base_url: str, key: str) -> Call:
        """Ask how the job is."""
        ...

    def status(self, call: Call, reply: Reply, job: Job, key: str) -> Status | Call:
        """What the reply to a poll means, or the next question; of the reply to a cancel, only Cancelled counts."""
        ...

    def cancel(self, job: Job, base_url: str, key: str) -> Call | None:
        """Ask to stop a job that is queued by the vendor's word of right now; None if that can't be asked."""
        ...

    def job_from_id(self, job_id: str, model: str, base_url: str) -> Job:
        """A job that was found or named, with the URLs that it must have."""
        ...
