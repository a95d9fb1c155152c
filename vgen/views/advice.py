"""Advice can be pasted: a command in a text begins with the program that was called, and gets the variables typed."""

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from vgen.redact import without_password

DOIT = "doit"
"""How commands begin in vgen's own texts."""
_COMMAND = re.compile(r"`(doit(?: [^`]*)?)`")
_HELP = re.compile(r"doit help\b")


@dataclass(frozen=True, slots=True)
class Advice:
    """`given`: the run variables of this command line that say something.

    `program`: what was called, `doit` or `vgen`; where vgen was installed alone, there is no `doit` to call.
    `impatient`: commands that wait for nobody, and refuse `wait=`.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    program: str = DOIT
    impatient: Collection[str] = ()

    def __call__(self, text: str) -> str:
        """A text with every command in backticks completed."""
        if "`doit" not in text or (not self.given and self.program == DOIT):
            return text
        return _COMMAND.sub(lambda match: f"`{self.command(match[1])}`", text)

    def command(self, command: str) -> str:
        """One command, completed; a variable that it names itself stays as it is."""
        if not _HELP.match(command):
            words = command.split()
            own = {word.partition("=")[0] for word in words if "=" in word}
            own |= {"wait"} if len(words) > 1 and words[1] in self.impatient else set()
            given = {name: without_password(value) for name, value in self.given.items() if name not in own}
            more = [f"{name}={shlex.quote(value)}" for name, value in given.items()]
            command = " ".join((command, *more))
        return f"{self.program}{command.removeprefix(DOIT)}" if command.split()[0] == DOIT else command
