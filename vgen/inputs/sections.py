"""Reads one provider's section of the config file: which protocol it speaks, where, at what price, with which key."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from vgen import money, providers
from vgen.inputs.keys import fingerprint, is_loopback, key_names
from vgen.inputs.settings import Provider
from vgen.inputs.shots import MAX_DURATION_S
from vgen.inputs.variables import _ALIASES, ProviderConfig, Run
from vgen.inputs.wording import nearest, refused, shown
from vgen.providers.base import Tariff, Terms
from vgen.providers.codec import Vendor
from vgen.providers.plugins import BrokenPlugin
from vgen.recipe import DRAFT

NOT_IN_DRAFT = frozenset({"protocol", "base_url", "endpoint", "enabled", "draft"})
"""What is the provider's, and not its models'."""
PRICES = frozenset({"cost_per_second_usd", "cost_per_clip_usd"})
MARKS = frozenset({"protocol", "model", "base_url", "endpoint"})
"""A further section with one of these is a provider's; others belong to other tools."""


@dataclass(kw_only=True)
class Sections:
    """Reads one section after the other, and collects what is wrong with them.

    `given`: the variables named on the command line or in the environment; they override a section's own.
    `own_models`: the project's own rows for a protocol's table of models.
    """

    where: str
    environ: Mapping[str, str]
    run: Run
    given: frozenset[str]
    own_models: Callable[[str], Mapping[str, Mapping[str, Any]]] = lambda protocol: {}  # noqa: ARG005
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def provider(self, name: str, section: Mapping[str, Any]) -> Provider | None:
        """The provider of a section, or None if a problem with it was found."""
        before = len(self.problems)
        protocol = self._protocol(name, section)
        vendor = providers.CODECS[protocol].VENDOR
        self._typos(name, section, protocol)
        section = self._in_its_tier(name, section, protocol)
        config = self._config(name, section)
        if config is None:
            return None
        base_url = self._base_url(config.base_url or vendor.base_url, name, protocol)
        model = config.model or (vendor.model if name == vendor.section else "")
        if not model:
            self._problem(f"{name}.model: missing; name the model or endpoint to buy from")
        else:
            self._named_rightly(name, protocol, model.strip("/"))
        terms = self._terms(name, protocol, config, Terms(provider=name, base_url=base_url, model=model.strip("/")))
        if len(self.problems) > before:
            return None
        self._cheap(terms, protocol)
        names = key_names(name, protocol, base_url)
        key = self._key(names)
        run = self.run
        lacks_draft = run.tier == DRAFT and config.draft is None
        return Provider(
            terms=terms,
            protocol=protocol,
            key=key,
            key_names=names,
            account=fingerprint(key) if key else "",
            timeout_s=config.timeout_seconds,
            poll_interval_s=config.poll_interval_s,
            poll_exactly=config.poll_interval_s is not None,
            max_concurrent=config.max_concurrent or run.max_concurrent,
            requests_per_minute=config.requests_per_minute,
            max_retries=run.max_retries if "max_retries" in self.given else config.max_retries or run.max_retries,
            closed=self._closed(name, config, lacks_draft=lacks_draft),
            lacks_draft=lacks_draft,
        )

    def _closed(self, name: str, config: ProviderConfig, *, lacks_draft: bool) -> str | None:
        if not config.enabled:
            return f"{name} is switched off in {self.where} (enabled)"
        return f'{name} makes no drafts: its section in {self.where} has no "draft"' if lacks_draft else None

    def _in_its_tier(self, name: str, section: Mapping[str, Any], protocol: str) -> Mapping[str, Any]:
        """The section as this run buys from it: for drafts with what its "draft" says, which is checked in any case."""
        draft = section.get("draft")
        if not isinstance(draft, dict):
            return section
        place, before = f"{name}.draft", len(self.problems)
        self._typos(place, draft, protocol, strict=True)
        for key in sorted(draft.keys() & NOT_IN_DRAFT):
            self._problem(f"{place}.{key}: a draft is bought at the same provider; only the model and its terms differ")
        kept = {key: value for key, value in section.items() if key not in PRICES or not draft.keys() & PRICES}
        merged = {**kept, **{key: value for key, value in draft.items() if key not in NOT_IN_DRAFT}}
        if (config := self._config(place, merged, told=draft)) is not None:
            self._durations(config.durations if "durations" in draft else None, place)
            self._tariff(config, place)
        return merged if self.run.tier == DRAFT and len(self.problems) == before else section

    def _terms(self, name: str, protocol: str, config: ProviderConfig, terms: Terms) -> Terms:
        """With all that the section says of the model and its price."""
        tariff = self._tariff(config, name)
        flat = None if tariff is None else tariff.flat
        return dataclasses.replace(
            terms,
            resolution=config.resolution,
            price=flat,
            tariff=tariff if flat is None else None,
            durations=self._durations(config.durations, name),
            ratios=tuple(config.ratios or ()),
            own_models=self.own_models(protocol),
        )

    def _problem(self, text: str) -> None:
        self.problems.append(f"{self.where}: {text}")

    def _protocol(self, name: str, section: Mapping[str, Any]) -> str:
        said = section.get("protocol")
        if said is None:
            return providers.protocol_of(name)
        try:
            if isinstance(said, str) and providers.has_protocol(said):
                return said
        except BrokenPlugin as exc:
            self._problem(f"{name}.protocol: {shown(said)}: {exc}")
            return providers.protocol_of(name)
        known = ", ".join(providers.CODECS)
        close = nearest(said, providers.CODECS) if isinstance(said, str) else ""
        self._problem(f"{name}.protocol: {shown(said)}: no such protocol{close}; there are {known}")
        return providers.protocol_of(name)

    def _named_rightly(self, name: str, protocol: str, model: str) -> None:
        """Refuse a model that is called as another vendor calls its own: the section speaks the wrong protocol."""
        vendor = providers.CODECS[protocol].VENDOR
        if not vendor.model_names or re.fullmatch(vendor.model_names, model):
            return
        text = f"{name}.model: {shown(model)}: protocol {protocol} has models like {vendor.example}"
        like_an_endpoint = providers.DEFAULT if "/" in model else None
        alike = (one for one, codec in providers.CODECS.items() if _is_called_as(codec.VENDOR, model))
        other = next(alike, like_an_endpoint)
        self._problem(f'{text}; for this one add "protocol": "{other}"' if other else text)

    def _config(
        self, name: str, section: Mapping[str, Any], told: Mapping[str, Any] | None = None
    ) -> ProviderConfig | None:
        """The section's keys, checked. `told`: of the others the problems are told elsewhere."""
        flat = {key: value for key, value in section.items() if value is not None and key != "protocol"}
        for key, path in _ALIASES.items():
            value: Any = section
            for part in path:
                value = value.get(part) if isinstance(value, dict) else None
            if key not in flat and value is not None:
                flat[key] = value
        try:
            return ProviderConfig(**flat)
        except ValidationError as exc:
            for error in exc.errors(include_input=False, include_url=False):
                key = str(error["loc"][0])
                if told is not None and key not in told:
                    continue
                self._problem(f"{name}.{key}: {shown(flat.get(key))}: {refused(error, flat.get(key))}")
            return None

    def _typos(self, name: str, section: Mapping[str, Any], protocol: str, *, strict: bool = False) -> None:
        """Keys that nothing reads: of a section those that are near misses or secrets; `strict`: all of them."""
        known = {*ProviderConfig.model_fields, "endpoint", "rate_limits", "retry"}
        for key in section.keys() - known:
            if is_secret(key, section[key]):
                vendor = providers.CODECS[protocol].VENDOR
                names = " or ".join(key_names(name.partition(".")[0], protocol, vendor.base_url))
                self._problem(f"{name}.{shown(key)}: keys don't belong in this file; set {names} in the environment")
            elif close := difflib.get_close_matches(key, known, n=1, cutoff=0.85):
                self._problem(f"{name}.{shown(key)}: unknown; did you mean {close[0]}?")
            elif strict:
                self._problem(f"{name}.{shown(key)}: unknown{nearest(key, known)}")

    def _base_url(self, text: str, name: str, protocol: str) -> str:
        vendor = providers.CODECS[protocol].VENDOR
        try:
            url = urlsplit(text.strip())
            host = (url.hostname or "").lower() if url.port != 0 else ""
        except ValueError:
            url, host = urlsplit(""), ""
        if url.scheme not in ("http", "https") or not host or url.query or url.fragment or "@" in url.netloc:
            self._problem(f"{name}.base_url: not the origin of an API, like {vendor.base_url}")
            return vendor.base_url
        if url.scheme == "http" and not is_loopback(text.strip()) and not host.endswith(providers.SIMULATED):
            self._problem(f"{name}.base_url: http would show your key to the network; use https")
        if any(host in codec.VENDOR.invented_hosts for codec in providers.CODECS.values()):
            self.warnings.append(f"{self.where}: {name}: {host} serves no API; {vendor.base_url} is used")
            return vendor.base_url
        spoken = providers.protocol_at(text.strip())
        if spoken not in (None, protocol):
            wrong = f'{name}.base_url: {host} speaks {spoken}, not {protocol}; say "protocol": "{spoken}"'
            self._problem(f"{wrong}, or leave base_url out")
        return text.strip().rstrip("/").removesuffix(vendor.version).rstrip("/")

    def _durations(self, value: Any, name: str) -> tuple[Decimal, ...] | None:
        """Seconds on offer: a list, {"min", "max"} in whole seconds, or "any"."""
        if value is None:
            return None
        if value == "any":
            return ()
        if isinstance(value, dict) and value.keys() == {"min", "max"}:
            value = list(range(int(value["min"]), int(value["max"]) + 1)) if _whole(value.values()) else None
        good = isinstance(value, list) and value and all(_positive(item) for item in value)
        if not good:
            self._problem(f'{name}.durations: give a list of seconds, {{"min", "max"}}, or "any"')
            return None
        return tuple(sorted(Decimal(item) for item in value))

    def _tariff(self, config: ProviderConfig, name: str) -> Tariff | None:
        by_second, by_clip = config.cost_per_second_usd, config.cost_per_clip_usd
        if by_second is not None and by_clip is not None:
            self._problem(f"{name}: cost_per_second_usd and cost_per_clip_usd: give one of the two")
        ladder = by_second if by_clip is None else by_clip
        if ladder is None:
            return None
        steps = tuple((length, money.micros(price)) for length, price in ladder)
        return Tariff(steps=steps, per_clip=by_clip is not None)

    def _cheap(self, terms: Terms, protocol: str) -> None:
        listed = providers.CODECS[protocol].list_price(terms.model, terms.resolution)
        if listed is not None and terms.price is not None and terms.price < listed:
            self.warnings.append(
                f"{self.where}: {terms.provider}.cost_per_second_usd: {money.show(terms.price)} is below the list "
                f"price of {terms.model}, {money.show(listed)} a second; the list price is reserved"
            )

    def _key(self, names: Iterable[str]) -> str | None:
        for variable in names:
            key = self.environ.get(variable, "").strip()
            if key and not re.fullmatch(r"[\x21-\x7e]+", key):
                self.problems.append(f"{variable}: holds a blank or a strange character; copy the key again")
            elif key:
                return key
        return None


def _is_called_as(vendor: Vendor, model: str) -> bool:
    return bool(vendor.model_names and re.fullmatch(vendor.model_names, model))


def is_secret(key: str, value: Any) -> bool:
    """Whether a field looks like a key itself, and not like the name of a variable that holds one, or nothing."""
    if not re.search(r"(key|secret|token|password)$", key, re.IGNORECASE):
        return False
    return bool(value) and not re.fullmatch(r"\$\{?\w+\}?", str(value))


def _whole(values: Iterable[Any]) -> bool:
    return all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= MAX_DURATION_S for v in values)


def _positive(value: Any) -> bool:
    if not isinstance(value, (int, Decimal)) or isinstance(value, bool):
        return False
    return Decimal(value).is_finite() and 0 < value <= MAX_DURATION_S
