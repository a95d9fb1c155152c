"""All commands, in the order of doit's list. A new one is a module beside these and a name here."""

import functools
import importlib
from collections.abc import Mapping

from vgen.cli.command import Command

NAMES = (
    "collect", "clip", "report", "gallery", "review", "conform", "cut", "timeline", "credentials", "plan", "doctor",
    "recover", "settle", "takes", "pick", "keep", "lock", "unlock", "note", "audit", "models", "learn",
)  # fmt: skip
"""Modules of vgen.cli.commands; each has a `COMMAND`."""


BUILD_VARIABLES = frozenset({"plan"})
"""Variables of the command line that belong to a build, and are no run variables either."""


@functools.cache
def commands() -> Mapping[str, Command]:
    """Name → command."""
    made = [importlib.import_module(f"vgen.cli.commands.{name}").COMMAND for name in NAMES]
    return {command.name: command for command in made}


def looks_only() -> frozenset[str]:
    """Commands that change nothing and need no run lock."""
    return frozenset(name for name, command in commands().items() if not command.needs_lock)


def builds_nothing() -> frozenset[str]:
    """Commands that make no clip and no report."""
    return frozenset(name for name, command in commands().items() if not command.builds)


def command_variables() -> frozenset[str]:
    """Variables of the command line that are no run variables."""
    return BUILD_VARIABLES.union(*(command.variables for command in commands().values()))


def owners(variable: str, value: str) -> tuple[str, ...]:
    """The commands that a variable with this value belongs to; none: to every build, or to nobody."""
    return tuple(
        name
        for name, command in commands().items()
        if variable in command.variables or (variable in command.shared and command.shared[variable](value))
    )


def run_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Of the variables of the command line, those that are a run's."""
    from vgen.inputs.variables import VARIABLES  # heavy, and every `doit` of this environment imports this module

    return {n: v for n, v in variables.items() if n in VARIABLES and not owners(n, v)}
