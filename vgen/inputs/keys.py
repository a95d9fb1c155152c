"""Which environment variables hold keys, where each may be sent, and what must never see them. Knows no vendor."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import dotenv

from vgen import providers
from vgen.errors import InputError

_LOOPBACK = re.compile(r"localhost|127(\.\d+){3}|::1")
_OWN_KEY = "_API_KEY"


def environment(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """`.env` of the project, and over it the real environment."""
    file = root / ".env"
    try:
        found = dotenv.dotenv_values(file, interpolate=False, encoding="utf-8-sig") if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError([".env: can't be read as UTF-8 text; save it so, with one NAME=value a line"]) from exc
    return {name: value for name, value in found.items() if value is not None} | dict(environ)


def without_keys(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a program that has no business with keys."""
    found = os.environ if environ is None else environ
    return {name: value for name, value in found.items() if not names_a_key(name)}


def fingerprint(key: str) -> str:
    """Tells accounts apart without telling the key."""
    return hashlib.sha256(b"vgen account " + key.encode()).hexdigest()[:12]


def key_names(section: str, protocol: str, base_url: str) -> tuple[str, ...]:
    """The environment variables whose key may be sent to `base_url` for a section; the first that is set is used.

    NAME_API_KEY of the section NAME goes where that section says, unless it is another vendor's key. A vendor's own
    keys go to that vendor's hosts over https, or to loopback. No key goes to a host of another vendor.
    """
    if providers.protocol_at(base_url) not in (None, protocol):
        return ()
    vendor = providers.CODECS[protocol].VENDOR
    own = f"{section.upper()}{_OWN_KEY}"
    others = {key for name, codec in providers.CODECS.items() if name != protocol for key in codec.VENDOR.keys}
    mine = (own,) if section == vendor.section or own not in others else ()
    theirs = vendor.keys if _is_at_home(base_url, vendor.hosts) else ()
    shared_first = section == vendor.section and own not in vendor.keys  # PIKA_API_KEY may be Pika's own, not fal's
    return tuple(dict.fromkeys((*theirs, *mine) if shared_first else (*mine, *theirs)))


def withheld(section: str, protocol: str, base_url: str) -> tuple[str, ...]:
    """The vendor's keys that would be used for a section if its `base_url` were the vendor's own."""
    allowed = key_names(section, protocol, base_url)
    return tuple(name for name in providers.CODECS[protocol].VENDOR.keys if name not in allowed)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine and nowhere else."""
    return bool(_LOOPBACK.fullmatch(providers.host_of(url)))


def names_a_key(variable: str) -> bool:
    """Whether an environment variable is called like one that holds a key."""
    return variable.endswith(_OWN_KEY) or any(variable in codec.VENDOR.keys for codec in providers.CODECS.values())


def _is_at_home(base_url: str, hosts: tuple[str, ...]) -> bool:
    if is_loopback(base_url):
        return True
    return urlsplit(base_url).scheme == "https" and providers.host_of(base_url) in hosts
