"""Decides when the simulated providers misbehave. Knows no protocol, no money and no clock."""

import difflib
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vgen.errors import InputError
from vgen.providers import CODECS, protocol_of

BEFORE_ACCEPTING = (
    "bad_key",
    "no_credits",
    "create_429",
    "create_500",
    "create_503",
    "create_502",
    "create_reset",
)
"""At a create, asked in this order until one comes: the job is not accepted."""

VENDORS_BEFORE = (
    "create_504",
    "create_busy",
    "create_arrears",
    "model_closed",
    "account_closed",
    "address_refused",
)
"""Further ones of the kind, for vendors that have an answer of their own for them."""

AFTER_ACCEPTING = (
    "create_502_accepted",
    "create_lost",
    "create_hang",
    "create_garbage",
    "create_cut",
)
"""At a create, asked in this order until one comes: the job is accepted, the answer is spoilt."""

VENDORS_AFTER = ("create_500_accepted", "create_503_accepted", "create_504_accepted")
"""Further ones of the kind, for vendors whose 5xx says nothing of whether the job exists."""

POLL = ("poll_reset", "poll_hang", "poll_500", "poll_502", "poll_garbage", "poll_404")
MEDIA = (
    "media_500",
    "media_html",
    "media_cut",
    "media_cut_nolen",
    "media_stall",
    "media_damaged",
    "media_label",
)
JOB_END = ("job_failed", "job_moderated", "job_stuck", "job_queued")
"""At most one of these a job; drawn at create."""

JOB_EXTRA = ("job_slow", "price_overrun", "clip_damaged", "clip_small", "clip_short")
JOB_SIZE = ("clip_480p", "clip_landscape")
"""At most one of these a job; drawn at create."""

KNOWN: dict[str, str] = {
    "connect_refused": "no connection is made: nothing was sent (in-process network only)",
    "bad_key": "create: 401, the key is not known; not accepted",
    "no_credits": "create: out of money: Runway 400, fal, Ark 403, MiniMax 402, Kling 429, Pika 403 and a failed job",
    "create_429": "create: 429, too fast (Runway, fal: Retry-After: 1; Pika: as a date); not accepted",
    "create_500": "create: 500 with the provider's own JSON error body; not accepted",
    "create_503": "create: 503 (MiniMax: 529) with the provider's own JSON error body; not accepted",
    "create_504": "Kling: create: 504, internal timeout, with its own JSON error body; not accepted",
    "create_502": "create: 502 with a gateway's HTML page; not accepted",
    "create_502_accepted": "create: 502 with a gateway's HTML page, but the job was accepted",
    "create_busy": "create: too many jobs: Kling 429/1303 without data, Ark 429 QuotaExceeded; not accepted",
    "create_arrears": "create: money again: Kling 429/1101, Ark 403 ServiceOverdue, Pika 429 usage limit; not accepted",
    "model_closed": "create: not this model: Kling 403/1103, Ark 404 ModelNotOpen, Pika 403; not accepted",
    "account_closed": "create: Kling 429/1100 (account abnormal), Pika 403 (inactive key); not accepted",
    "address_refused": "Kling: create: 429/1304, not from this address; not accepted",
    "create_500_accepted": "Kling, Pika, Ark, MiniMax: create: as create_500, but the job was accepted",
    "create_503_accepted": "Kling, Pika, Ark, MiniMax: create: as create_503, but the job was accepted",
    "create_504_accepted": "Kling: create: as create_504, but the job was accepted",
    "create_reset": "create: connection reset before the request is acted upon; not accepted",
    "create_lost": "create: accepted, then the connection closes without an answer",
    "create_hang": "create: accepted, and no answer ever comes",
    "create_garbage": "create: accepted, answered 200 with an HTML page",
    "create_cut": "create: accepted, the JSON answer is cut in the middle",
    "create_moderation": "the prompt is refused: at create; fal and Pika accept, then fail",
    "failed_on_create": "Pika: create: 200 with a job that has already failed (insufficient_balance), free of charge",
    "failed_id_free": "Kling: the external_task_id of a task that failed may be used again, this time",
    "find_late": "Kling: a look-up by external_task_id does not show the task, though it exists, this time",
    "list_hides_tag": "Ark: list: safety_identifier is left out, this time",
    "billing_pending": "Pika: status: the charge of a completed job is still pending, this time",
    "grid_nearest": "MiniMax: the clip has the nearest length that the model can make, not the next longer one",
    "job_failed": "the job ends failed, free of charge",
    "job_moderated": "the job ends refused by moderation: charged in full at Runway, free elsewhere",
    "job_stuck": "the job stays running for ever",
    "job_queued": "the job never leaves the queue",
    "job_slow": "the render takes ten times as long",
    "price_overrun": "the job charges three times its estimate, and says so (fal never says)",
    "poll_500": "status: 500 with a JSON error body",
    "poll_502": "status: 502 with a gateway's HTML page",
    "poll_reset": "status: connection reset",
    "poll_garbage": "status: 200 with bytes that are no JSON",
    "poll_404": "status: the provider's words for a job that it does not know, although the job exists",
    "poll_hang": "status: no answer ever comes",
    "url_expired": "the media URL answers 403 until the job is asked again, which gives a fresh URL",
    "result_504": "fal: the result of a finished job answers 504 in fal's own words, though the video is there",
    "media_500": "download: 500",
    "media_html": "download: 200 with an HTML page",
    "media_cut": "download: Content-Length of the whole, connection closed half-way",
    "media_cut_nolen": "download: no Content-Length, connection closed half-way",
    "media_stall": "download: half of the bytes, then nothing",
    "media_damaged": "download: right length, damaged bytes in the middle, this time only",
    "media_label": "download: the whole file, labelled as a packed page (Content-Encoding: aws-chunked, text/html)",
    "clip_damaged": "the provider's own file is damaged: the same bytes at every download",
    "clip_small": "the clip is a valid video of 100,000 bytes or less",
    "clip_short": "the clip lasts 0.5 s",
    "clip_480p": "the clip's shorter side has 480 pixels",
    "clip_landscape": "the clip has the wrong orientation",
}
"""Every fault by name, and what it does. Accepted: the job exists, runs and is charged as usual."""

_VALUE = re.compile(r"(?:first:(?P<first>\d+))?(?:~(?P<text>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One `name=value`. No field set but `chance`: that probability; else the first `first` with `text`.

    `providers`: the protocols that it is confined to; empty: none.
    """

    key: str
    name: str
    providers: frozenset[str] = frozenset()
    chance: float = 1.0
    first: int | None = None
    text: str = ""


def prefixes() -> dict[str, frozenset[str]]:
    """What a fault's name may begin with, protocols and their usual sections → the protocols that it is confined to.

    `pika` is a section of fal's and a protocol of its own: it means both.
    """
    sections = [codec.VENDOR.section for codec in CODECS.values() if codec.VENDOR.section]
    return {name: frozenset({protocol_of(name), name}) & CODECS.keys() for name in (*CODECS, *sections)}


def parse(key: str, value: str) -> Rule:
    """The rule that `key=value` says. Raises InputError with one line that names the nearest known fault."""
    prefix, dot, name = key.strip().rpartition(".")
    if name not in KNOWN:
        near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.0)[0]
        raise InputError([f"fault {key}: there is no such fault; did you mean {near}?"])
    if dot and prefix not in prefixes():
        raise InputError([f"fault {key}: {prefix!r} is no provider; write {', '.join(prefixes())}"])
    providers = prefixes()[prefix] if dot else frozenset()
    value = value.strip()
    found = _VALUE.fullmatch(value)
    if value and found:
        first = None if found["first"] is None else int(found["first"])
        return Rule(key=key, name=name, providers=providers, first=first, text=found["text"] or "")
    try:
        chance = float(value)
    except ValueError:
        chance = -1.0
    if not 0 <= chance <= 1:
        raise InputError([f"fault {key}={value}: write a probability from 0 to 1, first:N, ~TEXT or first:N~TEXT"])
    return Rule(key=key, name=name, providers=providers, chance=chance)


class Faults:
    """All rules of one run.

    A drawn decision depends on the seed, the fault, the provider, the prompt and how often these met before:
    not on what other shots do at the same time, nor on the other faults that are set.
    """

    def __init__(self, spec: Mapping[str, str] | Iterable[str] = (), seed: int = 0) -> None:
        pairs = spec.items() if isinstance(spec, Mapping) else [_split(text) for text in spec]
        problems: list[str] = []
        rules: list[Rule] = []
        for key, value in pairs:
            try:
                rules.append(parse(key, value))
            except InputError as exc:
                problems += exc.problems
        if problems:
            raise InputError(problems)
        self._seed = str(seed)
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault(rule.name, []).append(rule)
        self._met: Counter[tuple[str, str, str, str]] = Counter()
        self._hits: Counter[tuple[str, str]] = Counter()
        self.counts: Counter[str] = Counter()
        """How often each fault came, by name."""

    def reseed(self, salt: int) -> None:
        """Draw differently from now on: a provider that remembers earlier jobs must not repeat its luck."""
        self._seed = f"{self._seed}/{salt}"

    def pick(self, name: str, provider: str, prompt: str) -> bool:
        """Whether this opportunity for the fault `name` becomes one. Each call is one opportunity."""
        assert name in KNOWN, name
        hit = False
        for rule in self._rules.get(name, ()):
            if (not rule.providers or provider in rule.providers) and rule.text in prompt:
                hit = self._decide(rule, provider, prompt) or hit
        if hit:
            self.counts[name] += 1
        return hit

    def first_of(self, names: Iterable[str], provider: str, prompt: str) -> str | None:
        """The first of `names` that comes; those behind it are not asked."""
        return next((name for name in names if self.pick(name, provider, prompt)), None)

    def _decide(self, rule: Rule, provider: str, prompt: str) -> bool:
        if rule.first is not None:
            self._hits[rule.key, rule.text] += 1
            return self._hits[rule.key, rule.text] <= rule.first
        if rule.chance in (0.0, 1.0):
            return rule.chance == 1.0
        met = (rule.key, rule.name, provider, prompt)
        self._met[met] += 1
        rng = random.Random(repr((self._seed, *met, self._met[met])))  # noqa: S311 - repeatable, not secret
        return rng.random() < rule.chance


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError([f"fault {text}: write name=value, for example create_429=0.2"])
    return key, value
