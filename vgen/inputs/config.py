"""The only reader of config files and of the environment: command line, environment, file, default."""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from vgen import money, providers
from vgen.errors import InputError
from vgen.inputs import json_source
from vgen.inputs.keys import _names_a_key, environment, fingerprint, key_names
from vgen.inputs.settings import SIMULATED_POLL_S, Provider, Settings
from vgen.inputs.shots import MAX_DURATION_S
from vgen.inputs.variables import _ALIASES, OTHER_ENVIRONMENT, PREFIX, VARIABLES, ProviderConfig, Run
from vgen.providers import fal, runway
from vgen.providers.base import Terms

# Hosts that code generators like to invent; neither serves an API (providers.md 1.1, 2.0).
_INVENTED = {"api.runwayml.com": runway.BASE_URL, "api.pika.art": fal.BASE_URL}
_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|\[?::1\]?|[a-z]+\.simulated")


def load(root: Path, command_line: Mapping[str, str], environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check it all. `root`: the directory of dodo.py. Raises InputError with one line per problem."""
    return _Loader(root, command_line, os.environ if environ is None else environ).settings()


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


class _Loader:
    def __init__(self, root: Path, command_line: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._root = root
        self._command_line = command_line
        self._environ = environment(root, environ)
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._sections: frozenset[str] = frozenset()

    def settings(self) -> Settings:
        first = self._merged({})
        config, where = self._config(str(first.get("api_config", (Run.model_fields["api_config"].default, ""))[0]))
        values = self._merged(config.get("run"), where)
        run = self._run(values)
        if run is None:
            raise InputError(self._problems)
        providers_ = self._providers(config, where, run)
        primary = self._chosen(run.primary_api, "primary_api", providers_)
        fallback = None
        if run.fallback_api not in ("none", run.primary_api):
            fallback = self._chosen(run.fallback_api, "fallback_api", providers_, also=("none",))
        if self._problems or primary is None:
            raise InputError(self._problems)
        return self._finished(run, providers_, primary, fallback, explicit="budget_usd" in values)

    # ── the run variables ─────────────────────────────────────────────────────────────────────────────────────────

    def _merged(self, file: Any, where: str = "") -> dict[str, tuple[Any, str]]:
        """Variable → (raw value, where it came from), by precedence."""
        merged: dict[str, tuple[Any, str]] = {}
        if isinstance(file, dict):
            merged |= {name: (value, f"{where}: run.{_shown(name)}") for name, value in file.items()}
        for name, value in self._environ.items():
            if name.startswith(PREFIX) and name not in OTHER_ENVIRONMENT:
                merged[name.removeprefix(PREFIX).lower()] = (value, name)
        merged |= {name: (value, name) for name, value in self._command_line.items()}
        return merged

    def _run(self, values: Mapping[str, tuple[Any, str]]) -> Run | None:
        for name in values.keys() - set(VARIABLES):
            said = values[name][1]
            close = nearest(name, VARIABLES)
            self._problems.append(f"{said}: unknown variable{close}; `doit help vgen` lists them all")
        known = {name: value for name, (value, _) in values.items() if name in VARIABLES}
        try:
            return Run(**known)
        except ValidationError as exc:
            for error in exc.errors(include_input=False, include_url=False):
                name = str(error["loc"][0])
                value, said = values[name]
                self._problems.append(f"{said}={_shown(value)}: {_lowered(error['msg'])}")
            return None

    # ── the config file ───────────────────────────────────────────────────────────────────────────────────────────

    def _config(self, name: str) -> tuple[dict[str, Any], str]:
        path = self._root / name
        try:
            value = json_source.parse(path.read_bytes(), name)
        except OSError as exc:
            self._problems.append(f"{name}: can't be read ({exc.strerror}); name another with api_config=FILE")
            return {}, name
        except InputError as exc:
            self._problems.extend(exc.problems)
            return {}, name
        if not isinstance(value, dict):
            self._problems.append(f"{name}: not an object with a section for each provider")
            return {}, name
        self._doubled(value, name, "")
        inner = value.get("video_generation")
        section = value | inner if isinstance(inner, dict) else value
        self._sections = frozenset(inner if isinstance(inner, dict) else value)  # the rest is the parent's business
        for key, said in section.items():
            if key in ("video_generation", "run", "runway", "pika"):
                self._doubled(said, name, f"{key}: ")
            elif isinstance(said, str) and _is_secret(key, said):
                self._problems.append(
                    f"{name}: {_shown(key)}: keys don't belong in this file; set them in the environment"
                )
        if not isinstance(section.get("run", {}), dict):
            self._problems.append(f"{name}: run: not an object of run variables")
        return section, name

    def _doubled(self, value: Any, where: str, place: str) -> None:
        if isinstance(value, json_source.Duplicate):
            self._problems.append(f"{where}: {place}{', '.join(map(_shown, value.keys_twice))}: given twice; keep one")

    def _providers(self, config: Mapping[str, Any], where: str, run: Run) -> dict[str, Provider]:
        found: dict[str, Provider] = {}
        for name in ("runway", "pika"):
            section = config.get(name, {})
            if not isinstance(section, dict):
                self._problems.append(f"{where}: {name}: not an object")
                section = {}
            if provider := self._provider(name, section, where, run):
                found[name] = provider
        for name in config.keys() & self._sections - {"runway", "pika", "run"}:
            section = config[name]
            marks = {"model", "base_url", "endpoint"}
            if not (isinstance(section, dict) and section.keys() & marks and re.fullmatch(r"[a-z][a-z0-9_]*", name)):
                continue
            before = len(self._problems), len(self._warnings)
            provider = self._provider(name, section, where, run)
            if provider:
                found[name] = provider
            elif name not in (run.primary_api, run.fallback_api):  # another tool's section: not ours to judge
                del self._problems[before[0] :], self._warnings[before[1] :]
        return found

    def _provider(self, name: str, section: Mapping[str, Any], where: str, run: Run) -> Provider | None:
        before = len(self._problems)
        self._typos(name, section, where)
        config = self._provider_config(name, section, where)
        if config is None:
            return None
        codec = providers.codec(name)
        base_url = self._base_url(config.base_url or codec.BASE_URL, name, where)
        if config.model is None and name not in providers.CODECS:
            self._problems.append(f"{where}: {name}.model: missing; name the endpoint to buy from")
        durations = self._durations(config.durations, name, where)
        if len(self._problems) > before:
            return None
        terms = Terms(
            provider=name,
            base_url=base_url,
            model=(config.model or codec.MODEL).strip("/"),
            resolution=config.resolution,
            price=None if config.cost_per_second_usd is None else money.micros(config.cost_per_second_usd),
            durations=durations,
        )
        self._cheap(terms, where)
        key = self._key(name)
        return Provider(
            terms=terms,
            key=key,
            account=fingerprint(key) if key else "",
            timeout_s=config.timeout_seconds,
            poll_interval_s=config.poll_interval_s,
            poll_exactly=config.poll_interval_s is not None,
            max_concurrent=config.max_concurrent or run.max_concurrent,
            requests_per_minute=config.requests_per_minute,
            max_retries=run.max_retries if "max_retries" in self._given() else config.max_retries or run.max_retries,
            closed=None if config.enabled else f"{name} is switched off in {where} (enabled)",
        )

    def _given(self) -> set[str]:
        """Variables named on the command line or in the environment: those go before a provider's own."""
        env = {n.removeprefix(PREFIX).lower() for n in self._environ if n.startswith(PREFIX)}
        return env | set(self._command_line)

    def _provider_config(self, name: str, section: Mapping[str, Any], where: str) -> ProviderConfig | None:
        flat = {key: value for key, value in section.items() if value is not None}
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
                self._problems.append(f"{where}: {name}.{key}: {_shown(flat.get(key))}: {_lowered(error['msg'])}")
            return None

    def _typos(self, name: str, section: Mapping[str, Any], where: str) -> None:
        known = {*ProviderConfig.model_fields, "endpoint", "rate_limits", "retry"}
        for key in section.keys() - known:
            if _is_secret(key, section[key]):
                names = " or ".join(key_names(name))
                self._problems.append(
                    f"{where}: {name}.{_shown(key)}: keys don't belong in this file; set {names} in the environment"
                )
            elif close := difflib.get_close_matches(key, known, n=1, cutoff=0.85):
                self._problems.append(f"{where}: {name}.{_shown(key)}: unknown; did you mean {close[0]}?")

    def _base_url(self, text: str, name: str, where: str) -> str:
        try:
            url = urlsplit(text.strip())
            host = (url.hostname or "").lower() if url.port != 0 else ""
        except ValueError:
            url, host = urlsplit(""), ""
        if url.scheme not in ("http", "https") or not host or url.query or url.fragment or "@" in url.netloc:
            self._problems.append(f"{where}: {name}.base_url: not the origin of an API, like {runway.BASE_URL}")
            return runway.BASE_URL
        if url.scheme == "http" and not _LOOPBACK.fullmatch(host):
            self._problems.append(f"{where}: {name}.base_url: http would show your key to the network; use https")
        if host in _INVENTED:
            self._warnings.append(f"{where}: {name}: {host} serves no API; {_INVENTED[host]} is used")
            return _INVENTED[host]
        return text.strip().rstrip("/").removesuffix("/v1").rstrip("/")

    def _durations(self, value: Any, name: str, where: str) -> tuple[Decimal, ...] | None:
        """Seconds on offer: a list, {"min", "max"} in whole seconds, or "any"."""
        if value is None:
            return None
        if value == "any":
            return ()
        if isinstance(value, dict) and value.keys() == {"min", "max"}:
            value = list(range(int(value["min"]), int(value["max"]) + 1)) if _whole(value.values()) else None
        good = isinstance(value, list) and value and all(_positive(item) for item in value)
        if not good:
            self._problems.append(f'{where}: {name}.durations: give a list of seconds, {{"min", "max"}}, or "any"')
            return None
        return tuple(sorted(Decimal(item) for item in value))

    def _cheap(self, terms: Terms, where: str) -> None:
        listed = providers.codec(terms.provider).list_price(terms.model, terms.resolution)
        if listed is not None and terms.price is not None and terms.price < listed:
            self._warnings.append(
                f"{where}: {terms.provider}.cost_per_second_usd: {money.show(terms.price)} is below the list price of "
                f"{terms.model}, {money.show(listed)} a second; the list price is reserved"
            )

    def _key(self, name: str) -> str | None:
        for variable in key_names(name):
            key = self._environ.get(variable, "").strip()
            if key and not re.fullmatch(r"[\x21-\x7e]+", key):
                self._problems.append(f"{variable}: holds a blank or a strange character; copy the key again")
            elif key:
                return key
        return None

    # ── putting it together ───────────────────────────────────────────────────────────────────────────────────────

    def _chosen(
        self, name: str, variable: str, found: Mapping[str, Provider], also: tuple[str, ...] = ()
    ) -> Provider | None:
        if name not in found:
            if not any(line.split(": ")[1:2] == [name] or f": {name}." in line for line in self._problems):
                known = ", ".join((*found, *also))
                self._problems.append(
                    f"{variable}={_shown(name)}: no such provider; configured: {known}{nearest(name, found)}"
                )
            return None
        return found[name]

    def _finished(
        self, run: Run, found: dict[str, Provider], primary: Provider, fallback: Provider | None, *, explicit: bool
    ) -> Settings:
        wanted = [primary] if fallback is None else [primary, fallback]
        live = run.mode == "live" or (run.mode == "auto" and any(p.key and not p.closed for p in wanted))
        ready = {name: self._opened(provider, live=live) for name, provider in found.items()}
        if live:
            usable = [p for p in wanted if not ready[p.name].closed]
            if not usable:
                names = " or ".join(dict.fromkeys(v for p in wanted for v in key_names(p.name)))
                self._problems.append(
                    f"mode=live: no provider can be used: set {names}, or rehearse with mode=simulate"
                )
            self._warnings.extend(str(ready[p.name].closed) for p in wanted if ready[p.name].closed and usable)
        elif any(ready[p.name].closed for p in wanted):
            self._warnings.extend(str(ready[p.name].closed) for p in wanted if ready[p.name].closed)
            if all(ready[p.name].closed for p in wanted):
                self._problems.append("all chosen providers are switched off in the config (enabled)")
        if self._problems:
            raise InputError(self._problems)
        cap = money.micros(run.budget_usd) if live or explicit else None
        return Settings(
            root=self._root,
            run=run,
            providers=ready,
            primary=ready[primary.name],
            fallback=ready[fallback.name] if fallback else None,
            simulated=not live,
            cap=cap,
            cap_is_explicit=explicit,
            keys={name: text.strip() for name, text in self._environ.items() if _names_a_key(name) and text.strip()},
            ffmpeg=self._environ.get("VGEN_FFMPEG") or None,
            ffprobe=self._environ.get("VGEN_FFPROBE") or None,
            warnings=tuple(self._warnings),
        )

    def _opened(self, provider: Provider, *, live: bool) -> Provider:
        """The provider as this mode uses it: with its key, or in the simulator."""
        terms = provider.terms
        values = {name: getattr(provider, name) for name in Provider.__dataclass_fields__}
        if provider.poll_interval_s is None:
            values["poll_interval_s"] = providers.codec(terms.provider).POLL_INTERVAL_S if live else SIMULATED_POLL_S
        if live:
            if provider.key is None and provider.closed is None:
                names = " or ".join(key_names(terms.provider))
                values["closed"] = f"{terms.provider} is closed: no key; set {names}"
            return Provider(**values)
        swapped = {name: getattr(terms, name) for name in Terms.__dataclass_fields__}
        swapped["base_url"] = f"http://{terms.provider}.simulated"
        values |= {"terms": Terms(**swapped), "key": f"key_simulated_{terms.provider}", "account": "simulated"}
        return Provider(**values)


def _whole(values: Iterable[Any]) -> bool:
    return all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= MAX_DURATION_S for v in values)


def _positive(value: Any) -> bool:
    if not isinstance(value, (int, Decimal)) or isinstance(value, bool):
        return False
    return Decimal(value).is_finite() and 0 < value <= MAX_DURATION_S


def _is_secret(key: str, value: Any) -> bool:
    """Whether a field looks like a key itself, and not like the name of a variable that holds one, or nothing."""
    if not re.search(r"(key|secret|token|password)$", key, re.IGNORECASE):
        return False
    return bool(value) and not re.fullmatch(r"\$\{?\w+\}?", str(value))


def _shown(value: Any) -> str:
    try:
        text = str(value)
    except RecursionError:
        return "a deep nest"
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 60 else text[:57] + "..."


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
