"""Advice can be pasted: a command in a text begins with the program that was called, and gets the variables typed."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from vgen.redact import without_password

DOIT = "doit"
"""How commands begin in vgen's own texts."""
_COMMAND = re.compile(r"`(doit(?: [^`]*)?)`")
_HELP = re.compile(r"doit help\b")


@dataclass(frozen=True, slots=True)
class Advice:
    """`given`: the run variables of this command line that differ from their defaults.

    `program`: what was called, `doit` or `vgen`; where vgen was installed alone, there is no `doit` to call.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    program: str = DOIT

    def __call__(self, text: str) -> str:
        """A text with every command in backticks completed."""
        if "`doit" not in text or (not self.given and self.program == DOIT):
            return text
        return _COMMAND.sub(lambda match: f"`{self.command(match[1])}`", text)

    def command(self, command: str) -> str:
        """One command, completed; a variable that it names itself stays as it is."""
        if not _HELP.match(command):
            own = {word.partition("=")[0] for word in command.split() if "=" in word}
            given = {name: without_password(value) for name, value in self.given.items() if name not in own}
            more = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
            command = " ".join((command, *more))
        return f"{self.program}{command.removeprefix(DOIT)}" if command.split()[0] == DOIT else command
