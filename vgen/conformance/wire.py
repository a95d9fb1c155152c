"""What a codec's functions must do with any vendor: exact orders, no key but in its header, no guess about money."""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from vgen.conformance.rule import Result
from vgen.pictures import Pictures
from vgen.providers.base import (
    Accepted,
    Call,
    Cancelled,
    CannotMake,
    Done,
    Failed,
    Job,
    Missing,
    Order,
    Refused,
    Reply,
    Terms,
    Unclear,
)
from vgen.providers.codec import Codec, LookUp, Place, Upload
from vgen.recipe import Recipe

KEY = "conformance-key-0123456789abcdef"
TAG, OTHER_TAG = "0066e72ce7e8-910499383", "0066e72ce7e8-910499384"
AT = 1_795_824_000.0
_PAGE = b"<html><body>502 Bad Gateway</body></html>"
_STRANGE = (b"", _PAGE, b"null", b"[]", b"7", b'"ok"', b"{", b"\xff\xfe", b'{"a":' * 2000)
"""Bodies that no vendor sends as the answer to an order."""


def rules(codec: Codec, model: str) -> Iterator[Result]:
    """Try each rule that needs no network; print it too."""
    terms = Terms(provider="x", base_url=codec.VENDOR.base_url, model=model)
    tried: tuple[tuple[str, Callable[[Codec, Terms], str]], ...] = (
        ("an order can be made, with a price and what decides it", _orders),
        ("what a shot asks for is ordered, or told as left out", _wishes),
        ("the same order is the same request, and a tag changes nothing but the request", _repeats),
        ("the key is in its header and nowhere else", _keys),
        ("a page that is not the vendor's is no answer to an order", _strange_answers),
        ("a question that fails is not the job's end", _strange_statuses),
        ("a look-up believes only the vendor's own word", _look_ups),
        ("an upload is asked for with the key in its header, and what names no place is none", _uploads),
    )
    for name, rule in tried:
        try:
            problem = rule(codec, terms)
        except Exception as exc:  # noqa: BLE001 - a codec may raise anything: that is the finding
            problem = f"{type(exc).__name__}: {exc}"
        result = Result(name, problem)
        print(result, flush=True)
        yield result


def recipe(seconds: int = 5, ratio: str = "9:16", **more: Any) -> Recipe:
    """A shot of a film."""
    facts: dict[str, Any] = {"negative_prompt": None, "seed": None, **more}
    return Recipe(prompt="a paper boat in the rain", duration_s=Decimal(seconds), aspect_ratio=ratio, **facts)


def orders(codec: Codec, terms: Terms) -> list[Order]:
    """Orders of several lengths and shapes, as far as the model makes them."""
    made = []
    for seconds in (3, 5, 8, 10):
        for ratio in ("9:16", "16:9", "1:1"):
            try:
                made.append(codec.order(recipe(seconds, ratio), terms))
            except CannotMake as exc:
                if not str(exc):
                    raise AssertionError("CannotMake says no limit") from exc
    return made


def _orders(codec: Codec, terms: Terms) -> str:
    made = orders(codec, terms)
    if not made:
        return f"{terms.model} makes none of 3, 5, 8 and 10 s in 9:16, 16:9 and 1:1"
    for order in made:
        if not isinstance(order.price, int) or order.price <= 0:
            return f"the price of {order.text} is {order.price!r}, not micro-dollars"
        if not isinstance(order.bought_s, Decimal) or order.bought_s <= 0:
            return f"bought_s of {order.text} is {order.bought_s!r}"
        json.loads(order.text)
    by_length = {order.bought_s: order.price for order in made}
    if sorted(by_length.values()) != [by_length[seconds] for seconds in sorted(by_length)]:
        return f"a longer clip costs less: {by_length}"
    return ""


_WISHES: Mapping[str, Any] = {"seed": 7, "negative_prompt": "fog"}
"""Keys of a shot that a model may lack. (Sound is not among them: some models make it whatever is asked.)"""


def _wishes(codec: Codec, terms: Terms) -> str:
    for seconds in (3, 5, 8, 10):
        for ratio in ("9:16", "16:9", "1:1"):
            for name, value in _WISHES.items():
                try:
                    plain = codec.order(recipe(seconds, ratio), terms)
                    made = codec.order(recipe(seconds, ratio, **{name: value}), terms)
                except CannotMake:
                    continue
                if made.body == plain.body and name not in made.left_out:
                    return f"{name} is not in the body, and left_out does not name it"
    return ""


def _repeats(codec: Codec, terms: Terms) -> str:
    for order in orders(codec, terms):
        first, second = (codec.create(order, terms, KEY, Pictures(), TAG) for _ in range(2))
        if first != second:
            return "create() gives another request for the same order and tag"
        if codec.LOST_ORDERS is not None and isinstance(codec.LOST_ORDERS, LookUp):
            other = codec.create(order, terms, KEY, Pictures(), OTHER_TAG)
            if other == first:
                return "its lost orders are looked up by their tag, and create() sends none"
        if first.step != "create":
            return f'the paid request says step={first.step!r}; say "create"'
    return ""


def _keys(codec: Codec, terms: Terms) -> str:
    job = codec.job_from_id("job-1", terms.model, terms.base_url)
    order = orders(codec, terms)[0]
    calls = [codec.create(order, terms, KEY, Pictures(), TAG), codec.poll(job, terms.base_url, KEY)]
    if (cancel := codec.cancel(job, terms.base_url, KEY)) is not None:
        calls.append(cancel)
    if codec.ACCOUNT is not None:
        calls.append(codec.ACCOUNT.ask(terms.base_url, KEY))
    if codec.QUOTE is not None:
        calls.append(codec.QUOTE.ask(order, terms.base_url))
    return next((problem for call in calls if (problem := _shown(codec, terms, call))), "")


def _shown(codec: Codec, terms: Terms, call: Call) -> str:
    """Who sees the key of a call that should not."""
    seen = (call.url, repr(call.headers), (call.body or b"").decode("utf-8", "replace"), repr(call))
    if any(KEY in text for text in seen):
        return f"the {call.step} call shows the key outside of `auth`"
    if not call.url.startswith((terms.base_url, *(f"https://{host}/" for host in codec.VENDOR.hosts))):
        return f"the {call.step} call goes to {call.url}, which is not the vendor's"
    return ""


def _uploads(codec: Codec, terms: Terms) -> str:
    theirs = codec.VENDOR.uploads
    if theirs is None:
        return ""
    if theirs.most_bytes <= codec.VENDOR.accepts.most_bytes or theirs.good_for_s <= 0:
        return "it takes no more than a request does, or for no time"
    upload = Upload(kind="image/png", content=b"\x89PNG picture")
    call = theirs.ask(upload, terms.base_url, KEY)
    if call.step == "create" or call != theirs.ask(upload, terms.base_url, KEY):
        return "ask() is no free question, or another one each time"
    if problem := _shown(codec, terms, call):
        return problem
    for body in _STRANGE:
        for status in (200, 201, 301, 401, 403, 404, 500, 502):
            if isinstance(theirs.place(_reply(status, body), upload), Place):
                return f"HTTP {status} with {body[:40]!r} is taken for a place"
    return ""


def _reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status=status, headers=headers or {}, body=body, at=AT)


def _strange_answers(codec: Codec, terms: Terms) -> str:
    for body in _STRANGE:
        for status in (200, 201, 202, 301, 500, 502, 503, 504):
            meant = codec.answer(_reply(status, body), terms)
            if isinstance(meant, Accepted | Refused) or not isinstance(meant, Unclear):
                return f"HTTP {status} with {body[:40]!r} is taken for {type(meant).__name__}; the job may exist"
    return ""


def _strange_statuses(codec: Codec, terms: Terms) -> str:
    job = codec.job_from_id("job-1", terms.model, terms.base_url)
    call = codec.poll(job, terms.base_url, KEY)
    for body in _STRANGE:
        for status in (200, 404, 500, 502, 503):
            meant = codec.status(call, _reply(status, body), job, KEY)
            if isinstance(meant, Done | Failed | Cancelled | Missing) and not _is_open(meant):
                return f"HTTP {status} with {body[:40]!r} is taken for {type(meant).__name__}"
    return _next_call(codec, call, job)


def _is_open(meant: object) -> bool:
    """A failure that counts only if it is said again later."""
    return isinstance(meant, Failed) and meant.unconfirmed


def _next_call(codec: Codec, call: Call, job: Job) -> str:
    meant = codec.status(call, _reply(401, b"{}"), job, KEY)
    if isinstance(meant, Done | Failed | Cancelled | Missing):
        return f"a rejected key is taken for the job's end ({type(meant).__name__})"
    return ""


def _look_ups(codec: Codec, terms: Terms) -> str:  # noqa: ARG001 - as all rules
    lost = codec.LOST_ORDERS
    if not isinstance(lost, LookUp):
        return ""
    for body in _STRANGE:
        for status in (200, 404, 500, 502):
            if lost.found(_reply(status, body), TAG) is not None:
                return f"HTTP {status} with {body[:40]!r} is taken for an answer"
    return ""
