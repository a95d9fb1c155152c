"""Which world a production is in, real money or play money: rehearsal is not reality, and no `outputs` mixes both.

The simulator's server names itself in every answer. Only addresses of this machine are asked, free and without a key.
"""

import dataclasses
import http.client
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from vgen import providers
from vgen.inputs.keys import is_loopback
from vgen.inputs.settings import Provider, Settings
from vgen.store.reader import LedgerReader

HEADER = "x-vgen-simulator"
PATH = "/_simulator/health"
ASK_S = 2.0

Ask = Callable[[str], bool | None]
"""Whether the simulator's server answers at an address; None if nobody does."""


def ask(base_url: str) -> bool | None:
    """Ask an address of this machine who it is. Sends no key."""
    url = urlsplit(base_url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=ASK_S)
    try:
        connection.request("GET", PATH)
        return connection.getresponse().getheader(HEADER) is not None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def settled(settings: Settings, ledger: LedgerReader, ask: Ask) -> Settings:
    """The settings in the world that its providers are of: the first one that is open decides, others are closed."""
    if settings.simulated or not any(is_loopback(provider.terms.base_url) for provider in settings.offers):
        return settings
    before = ledger.delivered_from(simulated=True)
    simulators = {
        provider.name: is_loopback(url) and (url in before if (found := ask(url)) is None else found)
        for provider in settings.offers
        if (url := provider.terms.base_url)
    }
    if not any(simulators.values()):
        return settings
    rehearsal = simulators[settings.offers[0].name]
    strangers = [provider for provider in settings.offers if simulators[provider.name] is not rehearsal]
    closed = {provider.name: _closed(provider, settings.offers[0], rehearsal=rehearsal) for provider in strangers}
    ready = {
        name: dataclasses.replace(provider, closed=closed.get(name, provider.closed))
        for name, provider in settings.providers.items()
    }
    return dataclasses.replace(
        settings,
        simulated=rehearsal,
        rehearsal=rehearsal,
        providers=ready,
        primary=ready[settings.primary.name],
        fallback=ready[settings.fallback.name] if settings.fallback else None,
        warnings=(*settings.warnings, *closed.values()),
    )


def has_changed(settings: Settings, provider: Provider, ask: Ask) -> str:
    """Why nothing may be bought from a provider: somebody else answers there than when the run began. "" if not."""
    base_url = provider.terms.base_url
    if settings.in_process or not is_loopback(base_url) or ask(base_url) in (None, settings.rehearsal):
        return ""
    who = "a real provider" if settings.rehearsal else "vgen's simulator"
    return f"{who} answers at {base_url} now, and did not when this run began; run again"


def other(settings: Settings, ledger: LedgerReader) -> str:
    """Why this run may not work on these outputs: they hold what was bought in the other world. "" if they don't.

    Real clips may take the place of the animatics of mode=simulate, as they are meant to.
    """
    name = settings.run.outputs
    if settings.simulated:
        if not ledger.delivered_from(simulated=False):
            return ""
        return (
            f"{name} holds clips that were bought for real money, and {why_simulated(settings)}: rehearse in another "
            f"directory, `doit outputs=rehearsal`. Nothing was started"
        )
    served = sorted(url for url in ledger.delivered_from(simulated=True) if not _is_in_process(url))
    if not served:
        return ""
    return (
        f"{name} holds clips of vgen's simulator at {served[0]}, and this run would buy for real money: name another "
        f"directory with outputs=DIR. Nothing was started"
    )


def why_simulated(settings: Settings) -> str:
    """Why all money is play money, in words."""
    if settings.rehearsal:
        provider = settings.offers[0]
        return f"{provider.name} at {provider.terms.base_url} is vgen's simulator"
    return "mode=simulate" if settings.run.mode == "simulate" else "no API key is set"


def has_live_purchases(ledger: LedgerReader) -> bool:
    """Whether anything was bought for real money."""
    return bool(ledger.delivered_from(simulated=False))


def keys_wanted(settings: Settings) -> str:
    """The variables that would open a provider, in words."""
    both: Mapping[str, Provider] = {p.name: p for p in (settings.primary, settings.fallback) if p}
    return " or ".join(dict.fromkeys(name for provider in both.values() for name in provider.key_names))


def _closed(provider: Provider, first: Provider, *, rehearsal: bool) -> str:
    real, played = (provider.name, first.name) if rehearsal else (first.name, provider.name)
    return f"{provider.name} is closed: {played} is vgen's simulator, {real} is not, and one film never mixes both"


def _is_in_process(base_url: str) -> bool:
    return providers.host_of(base_url).endswith(providers.SIMULATED)
