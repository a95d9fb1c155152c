"""The protocols by name, and which of them a section or a host speaks. A new one is a module here and a line below."""

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from vgen.providers import fal, plugins, runway
from vgen.providers.codec import Codec

CODECS: MutableMapping[str, Codec] = {
    runway.VENDOR.protocol: runway,
    fal.VENDOR.protocol: fal,
}
"""Name of a protocol → its codec, with those of plug-ins that were asked for.

A new protocol of vgen's own also needs a line in PARTS, vgen/simulator/app.py.
"""

DEFAULT = fal.VENDOR.protocol
"""What a section speaks that names no protocol and is not called like one: its `model` is an endpoint of fal's."""

SIMULATED = ".simulated"
"""The hosts of the simulator in the process: PROTOCOL.simulated. Until 2026-11 they were called by section."""


def protocol_of(section: str) -> str:
    """The protocol of a provider's section that does not name one."""
    for name, codec in CODECS.items():
        if section == codec.VENDOR.section:
            return name
    return section if section in CODECS else DEFAULT


def has_protocol(name: str) -> bool:
    """Whether there is such a protocol, of vgen's own or of a plug-in. Raises plugins.BrokenPlugin."""
    return name in CODECS or plugins.find(name, CODECS)


def protocol_at(url: str) -> str | None:
    """The protocol whose vendor owns the host of `url`; None for any other host, loopback too."""
    host = host_of(url)
    if host.endswith(SIMULATED):
        return protocol_of(host.removesuffix(SIMULATED))
    return next((name for name, codec in CODECS.items() if host in codec.VENDOR.hosts), None)


def host_of(url: str) -> str:
    """The host of a URL in lower case, or "" if it has none."""
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""
