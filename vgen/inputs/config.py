"""The only reader of config files and of the environment: command line, environment, file, default."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vgen import money, providers
from vgen.errors import InputError
from vgen.inputs import json_source, own_models
from vgen.inputs.keys import environment, names_a_key, withheld
from vgen.inputs.sections import MARKS, Sections, is_secret
from vgen.inputs.settings import SIMULATED_POLL_S, Provider, Settings
from vgen.inputs.variables import OTHER_ENVIRONMENT, PREFIX, VARIABLES, Run
from vgen.inputs.wording import nearest, refused, shown, unknown_variable
from vgen.redact import without_password


def load(
    root: Path, command_line: Mapping[str, str], environ: Mapping[str, str] | None = None, *, keyless: bool = False
) -> Settings:
    """Read and check it all. `root`: the directory of dodo.py. Raises InputError with one line per problem.

    `keyless`: with mode=auto and no key it is live all the same, with all providers closed; as with mode=live.
    """
    return _Loader(root, command_line, os.environ if environ is None else environ, keyless=keyless).settings()


def named_outputs(root: Path, command_line: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str:
    """The outputs directory by whatever can be read, for when there are problems with the input."""
    found = os.environ if environ is None else environ
    named = command_line.get("outputs") or found.get(f"{PREFIX}OUTPUTS")
    with contextlib.suppress(InputError):
        named = _Loader(root, command_line, found, keyless=False).named("outputs")
    try:
        return Run.model_validate({"outputs": named}).outputs
    except ValidationError:
        return str(Run.model_fields["outputs"].default)


class _Loader:
    def __init__(
        self, root: Path, command_line: Mapping[str, str], environ: Mapping[str, str], *, keyless: bool
    ) -> None:
        self._keyless = keyless
        self._root = root
        self._command_line = command_line
        self._environ = environment(root, environ)
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._sections: frozenset[str] = frozenset()
        self._own_problems: list[str] = []
        self._own_rows: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        self._set_elsewhere: frozenset[str] = frozenset()

    def named(self, variable: str) -> Any:
        """A run variable as it was written, wherever that was; None if nowhere."""
        return self._read()[2].get(variable, (None, ""))[0]

    def _read(self) -> tuple[dict[str, Any], str, dict[str, tuple[Any, str]]]:
        """The config file, its name, and the run variables."""
        first = self._merged({})
        config, where = self._config(str(first.get("api_config", (Run.model_fields["api_config"].default, ""))[0]))
        run = config.get("run")
        self._set_elsewhere = frozenset(run if isinstance(run, dict) else ()) | _named_in(self._environ)
        return config, where, self._merged(run, where)

    def settings(self) -> Settings:
        config, where, values = self._read()
        run = self._run(values)
        if run is None:
            raise InputError(self._problems)
        providers_ = self._providers(config, where, run)
        self._files(run, "sign_certificate", "sign_key", whole="a certificate and its key")
        self._files(run, "cluster_ca", "cluster_cert", "cluster_key", whole="the files for TLS")
        self._problems += self._own_problems  # whichever section asked first
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
            merged |= {name: (value, f"{where}: run.{shown(name)}") for name, value in file.items()}
        for name, value in self._environ.items():
            if name.startswith(PREFIX) and name not in OTHER_ENVIRONMENT:
                merged[name.removeprefix(PREFIX).lower()] = (value, name)
        merged |= {name: (value, name) for name, value in self._command_line.items()}
        return merged

    def _run(self, values: Mapping[str, tuple[Any, str]]) -> Run | None:
        for name in values.keys() - set(VARIABLES):
            self._problems.append(unknown_variable(values[name][1], name, VARIABLES))
        known = {name: value for name, (value, _) in values.items() if name in VARIABLES}
        try:
            return Run(**known)
        except ValidationError as exc:
            for error in exc.errors(include_input=False, include_url=False):
                name = str(error["loc"][0])
                value, said = values[name]
                told = without_password(value) if isinstance(value, str) else value
                self._problems.append(f"{said}={shown(told)}: {refused(error, value)}")
            return None

    def _files(self, run: Run, *names: str, whole: str) -> None:
        """Variables that go together, and name files."""
        named = {name: str(getattr(run, name)) for name in names}
        if any(named.values()) and not all(named.values()):
            lacking = next(name for name, path in named.items() if not path)
            self._problems.append(f"{lacking}: is missing; {whole} are given together")
        self._problems += [
            f"{name}={shown(path)}: no such file; correct the path, or leave {'both' if len(names) == 2 else 'all'} out"
            for name, path in named.items()
            if path and not (self._root / path).is_file()
        ]

    # ── the config file ───────────────────────────────────────────────────────────────────────────────────────────

    def _config(self, name: str) -> tuple[dict[str, Any], str]:
        path = self._root / name
        if name == Run.model_fields["api_config"].default and not os.path.lexists(path):
            return {}, name
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
            if key in ("video_generation", "run", *_always_there()):
                self._doubled(said, name, f"{key}: ")
            elif isinstance(said, str) and is_secret(key, said):
                self._problems.append(
                    f"{name}: {shown(key)}: keys don't belong in this file; set them in the environment"
                )
        if not isinstance(section.get("run", {}), dict):
            self._problems.append(f"{name}: run: not an object of run variables")
        return section, name

    def _doubled(self, value: Any, where: str, place: str) -> None:
        if isinstance(value, json_source.Duplicate):
            self._problems.append(f"{where}: {place}{', '.join(map(shown, value.keys_twice))}: given twice; keep one")

    def _providers(self, config: Mapping[str, Any], where: str, run: Run) -> dict[str, Provider]:
        found: dict[str, Provider] = {}
        read = Sections(
            where=where,
            environ=self._environ,
            run=run,
            given=self._given(),
            own_models=self._own_models,
            problems=self._problems,
            warnings=self._warnings,
        )
        for name in _always_there():
            section = config.get(name, {})
            if not isinstance(section, dict):
                self._problems.append(f"{where}: {name}: not an object")
                section = {}
            if provider := read.provider(name, section):
                found[name] = provider
        for name in config.keys() & self._sections - {"run", *_always_there()}:
            section = config[name]
            if not (isinstance(section, dict) and section.keys() & MARKS and re.fullmatch(r"[a-z][a-z0-9_]*", name)):
                continue
            before = len(self._problems), len(self._warnings)
            if provider := read.provider(name, section):
                found[name] = provider
            elif name not in (run.primary_api, run.fallback_api):  # another tool's section: not ours to judge
                del self._problems[before[0] :], self._warnings[before[1] :]
        return found

    def _own_models(self, protocol: str) -> Mapping[str, Mapping[str, Any]]:
        """The project's own rows for a protocol's table of models; what is wrong with them is told once."""
        table = providers.CODECS[protocol].VENDOR.models
        if protocol not in self._own_rows:
            self._own_rows[protocol] = {}
            try:
                self._own_rows[protocol] = {} if table is None else own_models.load(self._root, table)
            except InputError as exc:
                self._own_problems.extend(exc.problems)
        return self._own_rows[protocol]

    def _given(self) -> frozenset[str]:
        """Variables named on the command line or in the environment: they override a section's own."""
        return _named_in(self._environ) | frozenset(self._command_line)

    # ── putting it together ───────────────────────────────────────────────────────────────────────────────────────

    def _chosen(
        self, name: str, variable: str, found: Mapping[str, Provider], also: tuple[str, ...] = ()
    ) -> Provider | None:
        if name not in found:
            if not any(line.split(": ")[1:2] == [name] or f": {name}." in line for line in self._problems):
                known = ", ".join((*found, *also))
                self._problems.append(
                    f"{variable}={shown(name)}: no such provider; configured: {known}{nearest(name, found)}"
                )
            return None
        return found[name]

    def _finished(
        self, run: Run, found: dict[str, Provider], primary: Provider, fallback: Provider | None, *, explicit: bool
    ) -> Settings:
        wanted = [primary] if fallback is None else [primary, fallback]
        if all(p.lacks_draft for p in wanted):
            named = " or ".join(p.name for p in wanted)
            self._problems.append(f'tier=draft: no draft settings; add "draft": {{"model": …}} to section {named}')
            raise InputError(self._problems)
        keyed = any(p.key and (not p.closed or p.lacks_draft) for p in wanted)
        keyless = self._keyless and run.mode == "auto" and not keyed
        live = run.mode == "live" or (run.mode == "auto" and (keyed or keyless))
        ready = {name: self._opened(provider, live=live) for name, provider in found.items()}
        if live:
            usable = [p for p in wanted if not ready[p.name].closed]
            keyless = not usable and (keyless or any(ready[p.name].lacks_key for p in wanted))
            if not usable and not keyless:
                self._problems.append("mode=live: no provider can be used: all are switched off in the config")
            self._warnings.extend(str(ready[p.name].closed) for p in wanted if ready[p.name].closed)
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
            keys={name: text.strip() for name, text in self._environ.items() if names_a_key(name) and text.strip()},
            ffmpeg=self._environ.get("VGEN_FFMPEG") or None,
            ffprobe=self._environ.get("VGEN_FFPROBE") or None,
            warnings=tuple(self._warnings),
            config_home=_config_home(self._environ),
            keyless=keyless,
            cap_given=explicit,
            set_elsewhere=self._set_elsewhere,
        )

    def _opened(self, provider: Provider, *, live: bool) -> Provider:
        """The provider as this mode uses it: with its key, or in the simulator."""
        terms, vendor = provider.terms, provider.codec.VENDOR
        provider = dataclasses.replace(provider, configured_url=terms.base_url)
        if live:
            interval_s = provider.poll_interval_s or vendor.poll_interval_s
            lacks_key = not provider.closed and not provider.key
            closed = self._no_key(provider) if lacks_key else provider.closed
            return dataclasses.replace(provider, poll_interval_s=interval_s, closed=closed, lacks_key=lacks_key)
        return dataclasses.replace(
            provider,
            terms=dataclasses.replace(terms, base_url=providers.simulated_url(provider.protocol)),
            key=f"key_simulated_{terms.provider}",
            account="simulated",
            poll_interval_s=provider.poll_interval_s or SIMULATED_POLL_S,
        )

    def _no_key(self, provider: Provider) -> str:
        """One line: which variable would open the provider, and which is set but may not be sent there."""
        text = f"{provider.name} is closed: no key; set {' or '.join(provider.key_names)}"
        base_url = provider.terms.base_url
        kept = [name for name in withheld(provider.name, provider.protocol, base_url) if self._environ.get(name)]
        return f"{text} (vgen never sends {' or '.join(kept)} to {providers.host_of(base_url)})" if kept else text


def _config_home(environ: Mapping[str, str]) -> Path | None:
    """By the XDG Base Directory Specification; on Windows the roaming AppData."""
    if given := environ.get("XDG_CONFIG_HOME") or (os.name == "nt" and environ.get("APPDATA")):
        return Path(given)
    return Path(home, ".config") if (home := environ.get("HOME")) else None


def _named_in(environ: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name.removeprefix(PREFIX).lower() for name in environ if name.startswith(PREFIX))


def _always_there() -> tuple[str, ...]:
    """The sections that exist even if the file does not have them."""
    return tuple(codec.VENDOR.section for codec in providers.CODECS.values() if codec.VENDOR.section)
