"""The protocols by name, and which of them a section or a host speaks. A new one is a module here and a line below."""

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from vgen.providers import ark, fal, kling, minimax, pika, plugins, runway
from vgen.providers.codec import Codec

CODECS: MutableMapping[str, Codec] = {
    runway.VENDOR.protocol: runway,
    fal.VENDOR.protocol: fal,
    kling.VENDOR.protocol: kling,
    pika.VENDOR.protocol: pika,
    ark.VENDOR.protocol: ark,
    minimax.VENDOR.protocol: minimax,
}
"""Name of a protocol → its codec, with those of plug-ins that were asked for.

A new protocol of vgen's own also needs a line in PARTS, vgen/simulator/app.py.
"""

DEFAULT = fal.VENDOR.protocol
"""What a section speaks that names no protocol and is not called like one: its `model` is an endpoint of fal's."""

SIMULATED = ".simulated"
_PROTOCOL = ".protocol"
"""The hosts of the simulator in the process: PROTOCOL.simulated. Until 2026-11 they were called by section; so the host
of a protocol that is called like another one's section is PROTOCOL.protocol.simulated."""


def protocol_of(section: str) -> str:
    """The protocol of a provider's section that does not name one."""
    for name, codec in CODECS.items():
        if section == codec.VENDOR.section:
            return name
    return section if section in CODECS else DEFAULT


def has_protocol(name: str) -> bool:
    """Whether there is such a protocol, of vgen's own or of a plug-in. Raises plugins.BrokenPlugin."""
    return name in CODECS or plugins.find(name, CODECS)


def simulated_url(protocol: str) -> str:
    """Where the simulator in the process speaks a protocol."""
    return f"http://{protocol}{'' if protocol_of(protocol) == protocol else _PROTOCOL}{SIMULATED}"


def protocol_at(url: str) -> str | None:
    """The protocol whose vendor owns the host of `url`; None for any other host, loopback too."""
    host = host_of(url)
    if host.endswith(SIMULATED):
        name = host.removesuffix(SIMULATED)
        return name.removesuffix(_PROTOCOL) if name.endswith(_PROTOCOL) else protocol_of(name)
    return next((name for name, codec in CODECS.items() if host in codec.VENDOR.hosts), None)


def host_of(url: str) -> str:
    """The host of a URL in lower case, or "" if it has none."""
    try:
        return (urlsplit(url).hostname or "").lower().rstrip(".")
    except ValueError:
        return ""
