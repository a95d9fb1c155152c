"""The validated settings of one run, as values."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from vgen import providers, retry
from vgen.inputs.keys import fingerprint, key_names
from vgen.inputs.variables import Run
from vgen.providers.base import Terms
from vgen.providers.codec import Codec

SIMULATED_POLL_S = 0.25
"""The simulator in process renders in a second or two and has no rule about polling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider, ready for use. `closed`: why nothing is bought there in this run, else None.

    `key_names`: the environment variables that `key` may come from, for where its section says it is.
    """

    terms: Terms
    protocol: str
    key: str | None = field(default=None, repr=False)
    key_names: tuple[str, ...] = ()
    account: str = ""
    timeout_s: float | None = None
    poll_interval_s: float | None = None
    poll_exactly: bool = False
    max_concurrent: int = 5
    requests_per_minute: float | None = None
    max_retries: int = 3
    closed: str | None = None
    lacks_draft: bool = False
    """Whether it is closed because this run buys drafts, and its section has no settings for them."""
    lacks_key: bool = False
    """Whether it is closed because no key of it is set."""
    configured_url: str = ""
    """Its base_url as it was configured; `terms` have another where it is simulated in this process."""

    @property
    def name(self) -> str:
        return self.terms.provider

    @property
    def codec(self) -> Codec:
        """How to speak with it."""
        return providers.CODECS[self.protocol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one run goes by. Paths are absolute; `cap` in micro-dollars, None if nothing binds.

    `simulated`: all money is play money. `rehearsal`: it is, because the providers are the simulator's server.
    `keyless`: a live production in a terminal that has no key: it is planned, what is there is kept, nothing is bought
    or simulated.
    """

    root: Path
    run: Run
    providers: Mapping[str, Provider]
    primary: Provider
    fallback: Provider | None
    simulated: bool
    cap: int | None
    ffmpeg: str | None
    ffprobe: str | None
    keys: Mapping[str, str] = field(repr=False)
    warnings: tuple[str, ...]
    rehearsal: bool = False
    keyless: bool = False
    config_home: Path | None = None
    """The user's folder for settings of programs; None if the environment names none."""
    cap_given: bool = False
    """Whether somebody set budget_usd; if not, `cap` is the default."""
    set_elsewhere: frozenset[str] = frozenset()
    """Run variables that the environment or the config file sets, whatever the command line says of them."""

    @property
    def in_process(self) -> bool:
        """Whether the providers are the simulator in this process, at no real address and with no real key."""
        return self.simulated and not self.rehearsal

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
        """Where a clip may be bought, in the order of preference; closed ones left out. Without a key: for a plan."""
        both = [provider for provider in (self.primary, self.fallback) if provider is not None]
        return tuple(one for one in both if one.closed is None or (self.keyless and one.lacks_key))

    def protocol_of(self, name: str, base_url: str) -> str:
        """The protocol of a purchase: that of the host where it was made, else of the section that made it."""
        known = self.providers.get(name)
        return providers.protocol_at(base_url) or (known.protocol if known else providers.protocol_of(name))

    def seller(self, name: str, base_url: str, model: str) -> Provider:
        """Where to ask about a purchase: its section, with a key that may be sent to where the purchase was made.

        Without a key if there is none. A section that is gone, or speaks another protocol by now, is made up.
        """
        known = self.providers.get(name)
        protocol = self.protocol_of(name, base_url)
        if known is None or known.protocol != protocol:
            names = key_names(name, protocol, base_url)
            here = known.key_names if known else ()  # what the section's own key opens is elsewhere by now
            names = tuple(variable for variable in names if variable not in here)
            return self._unconfigured_provider(name, protocol, base_url, model, names)
        if self.in_process or base_url == known.terms.base_url:
            return known
        key = self._key(key_names(name, protocol, base_url))
        return dataclasses.replace(known, key=key, account=fingerprint(key or ""))

    def _unconfigured_provider(
        self, name: str, protocol: str, base_url: str, model: str, names: tuple[str, ...]
    ) -> Provider:
        key = f"key_simulated_{name}" if self.in_process else self._key(names)
        return Provider(
            terms=Terms(provider=name, base_url=base_url, model=model),
            protocol=protocol,
            key=key,
            key_names=names,
            account="simulated" if self.in_process else fingerprint(key or ""),
            poll_interval_s=SIMULATED_POLL_S if self.in_process else providers.CODECS[protocol].VENDOR.poll_interval_s,
        )

    def _key(self, names: tuple[str, ...]) -> str | None:
        return next((self.keys[variable] for variable in names if variable in self.keys), None)

    def secrets(self) -> tuple[str, ...]:
        """Every key, and the proxy's password, for redaction."""
        ours = [provider.key for provider in self.providers.values() if provider.key]
        strangers = () if self.in_process else self.keys.values()
        password = urlsplit(self.run.proxy).password
        proxys = (password, unquote(password)) if password else ()
        return (*ours, *proxys, *(key for key in strangers if len(key) >= 12 and key not in ours))
