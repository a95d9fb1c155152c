"""Protocols from other packages: found by the entry point group `vgen.providers`, checked, and listed with our own.

They are looked for only when somebody names a protocol that is not one of vgen's: reading what is installed takes time.
"""

import importlib.metadata
from collections.abc import MutableMapping

from vgen.providers.codec import Codec, Vendor

GROUP = "vgen.providers"


class BrokenPlugin(Exception):
    """A plug-in is installed and can't be used; `str()` says why, in one line."""


def installed() -> tuple[str, ...]:
    """The names of all plug-ins' protocols."""
    return tuple(sorted(point.name for point in importlib.metadata.entry_points(group=GROUP)))


def find(name: str, codecs: MutableMapping[str, Codec]) -> bool:
    """Whether an installed plug-in brings the protocol; then it is among `codecs`. Raises BrokenPlugin."""
    points = tuple(importlib.metadata.entry_points(group=GROUP, name=name))
    if not points:
        return False
    if len(points) > 1:
        packages = ", ".join(sorted({point.value for point in points}))
        raise BrokenPlugin(f"several packages bring it ({packages}); uninstall all but one")
    try:
        codec = points[0].load()
    except Exception as exc:  # whatever a stranger's module does when it is imported
        raise BrokenPlugin(f"{points[0].value} can't be loaded: {type(exc).__name__}: {exc}") from exc
    if problem := _problem(name, codec, codecs):
        raise BrokenPlugin(f"{points[0].value}: {problem}")
    codecs[name] = codec
    return True


def _problem(name: str, codec: object, codecs: MutableMapping[str, Codec]) -> str:
    """What is wrong with a plug-in's codec; "" if nothing."""
    missing = sorted(member for member in _MEMBERS if not hasattr(codec, member))
    if missing:
        return f"it has no {', '.join(missing)}"
    vendor = codec.VENDOR  # type: ignore[attr-defined]
    if not isinstance(vendor, Vendor):
        return "its VENDOR is not a vgen.providers.codec.Vendor"
    if vendor.protocol != name:
        return f"its VENDOR is called {vendor.protocol}"
    for other, known in codecs.items():
        if shared := sorted({*vendor.hosts, *vendor.keys} & {*known.VENDOR.hosts, *known.VENDOR.keys}):
            return f"{', '.join(shared)} belong{'s' if len(shared) == 1 else ''} to {other}"
    return ""


_MEMBERS = (
    "VENDOR", "LOST_ORDERS", "ACCOUNT", "QUOTE", "list_price", "order", "create", "answer", "poll", "status", "cancel",
    "job_from_id",
)  # fmt: skip
