"""The validated settings of one run, as values."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vgen import providers, retry
from vgen.inputs.keys import fingerprint, key_names
from vgen.inputs.variables import Run
from vgen.providers.base import Terms

SIMULATED_POLL_S = 0.25
"""The simulator in process renders in a second or two and has no rule about polling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider, ready for use. `closed`: why nothing is bought there in this run, else None."""

    terms: Terms
    key: str | None = field(default=None, repr=False)
    account: str = ""
    timeout_s: float | None = None
    poll_interval_s: float | None = None
    poll_exactly: bool = False
    max_concurrent: int = 5
    requests_per_minute: float | None = None
    max_retries: int = 3
    closed: str | None = None

    @property
    def name(self) -> str:
        return self.terms.provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one run goes by. Paths are absolute; `cap` in micro-dollars, None if nothing binds."""

    root: Path
    run: Run
    providers: Mapping[str, Provider]
    primary: Provider
    fallback: Provider | None
    simulated: bool
    cap: int | None
    cap_is_explicit: bool
    ffmpeg: str | None
    ffprobe: str | None
    keys: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...]

    @property
    def outputs(self) -> Path:
        return self.root / self.run.outputs

    @property
    def prompts_file(self) -> Path:
        return self.root / self.run.visual_prompts

    @property
    def backoff(self) -> retry.Backoff:
        return retry.Backoff(base_s=self.run.backoff_base_s, max_s=self.run.backoff_max_s)

    @property
    def offers(self) -> tuple[Provider, ...]:
        """Where a clip may be bought, in the order of preference; closed ones left out."""
        both = (self.primary, self.fallback)
        return tuple(provider for provider in both if provider is not None and provider.closed is None)

    def unconfigured_provider(self, name: str, base_url: str, model: str) -> Provider:
        """A provider that is not in the config any more, to collect what was bought there."""
        key = next((self.keys[variable] for variable in key_names(name) if variable in self.keys), None)
        key = f"key_simulated_{name}" if self.simulated else key
        terms = Terms(provider=name, base_url=base_url, model=model)
        account = "simulated" if self.simulated else fingerprint(key or "")
        interval_s = SIMULATED_POLL_S if self.simulated else providers.codec(name).POLL_INTERVAL_S
        return Provider(terms=terms, key=key, account=account, poll_interval_s=interval_s)

    def secrets(self) -> tuple[str, ...]:
        """Every key, for redaction."""
        ours = [provider.key for provider in self.providers.values() if provider.key]
        strangers = () if self.simulated else self.keys.values()
        return (*ours, *(key for key in strangers if len(key) >= 12 and key not in ours))


def named_outputs(command_line: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str:
    """The outputs directory by the command line or the environment, for when nothing else can be read."""
    found = os.environ if environ is None else environ
    return command_line.get("outputs") or found.get("VGEN_OUTPUTS") or str(Run.model_fields["outputs"].default)
