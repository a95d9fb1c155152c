"""The providers by name. A new one is a module here, its recorded replies in the tests, and a line in the table."""

from collections.abc import Mapping
from types import ModuleType

from vgen.providers import fal, runway

CODECS: Mapping[str, ModuleType] = {"runway": runway, "pika": fal}
"""Name in the config → codec. Any further name speaks the fal queue, whose `model` is an endpoint id."""


def codec(name: str) -> ModuleType:
    """The protocol that a configured provider speaks."""
    return CODECS.get(name, fal)
