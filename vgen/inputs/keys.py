"""Which environment variables hold keys, and what must never see them."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import dotenv

from vgen.errors import InputError

KEY_NAMES: Mapping[str, tuple[str, ...]] = {
    "runway": ("RUNWAY_API_KEY", "RUNWAYML_API_SECRET"),
    "pika": ("PIKA_API_KEY", "FAL_KEY"),
}


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
    return {name: value for name, value in found.items() if not _names_a_key(name)}


def fingerprint(key: str) -> str:
    """Tells accounts apart without telling the key."""
    return hashlib.sha256(b"vgen account " + key.encode()).hexdigest()[:12]


def key_names(provider: str) -> tuple[str, ...]:
    """The environment variables that may hold a provider's key, first come, first served."""
    return KEY_NAMES.get(provider, (f"{provider.upper()}_API_KEY", "FAL_KEY"))


def _names_a_key(variable: str) -> bool:
    return variable.endswith("_API_KEY") or variable in ("RUNWAYML_API_SECRET", "FAL_KEY")
