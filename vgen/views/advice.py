"""Advice that can be pasted: a command in a text gets the run variables that were typed, so that it works here too."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

_COMMAND = re.compile(r"`(doit(?: [^`]*)?)`")
_HELP = re.compile(r"doit help\b")


@dataclass(frozen=True, slots=True)
class Advice:
    """`given`: the run variables of this command line that differ from their defaults."""

    given: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        """A text with every command in backticks completed."""
        if not self.given or "`doit" not in text:
            return text
        return _COMMAND.sub(lambda match: f"`{self.command(match[1])}`", text)

    def command(self, command: str) -> str:
        """One command, completed; a variable that it names itself stays as it is."""
        if _HELP.match(command):
            return command
        own = {word.partition("=")[0] for word in command.split() if "=" in word}
        more = [f"{name}={shlex.quote(value)}" for name, value in self.given.items() if name not in own]
        return " ".join((command, *more))
