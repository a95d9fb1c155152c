"""The program `vgen`: doit for the dodo.py here, and `vgen init`, which starts a film where there is none."""

import shlex
import sys
from pathlib import Path
from typing import Any

from doit import __version__ as doit_version
from doit.cmd_base import Command, DodoTaskLoader
from doit.doit_cmd import DoitMain
from doit.exceptions import InvalidCommand, InvalidDodoFile

import vgen
from vgen.cli import overview, start
from vgen.cli.doit.commands import BriefOptions, tell_programs
from vgen.cli.doit.compat import command_line_variables
from vgen.errors import Refusal


class Loader(DodoTaskLoader):  # type: ignore[misc]
    """doit's, but a folder without a dodo.py learns how a film is started."""

    def setup(self, opt_values: Any) -> None:
        """Raises InvalidDodoFile."""
        try:
            super().setup(opt_values)
        except InvalidDodoFile as exc:
            text = (
                f"there is no {opt_values['dodoFile']} here; `vgen init DIR` starts a film in a new folder, "
                "`vgen init` in this one"
            )
            tell_programs(sys.argv[1:], text)
            raise InvalidDodoFile(text) from exc


class Init(BriefOptions, Command):  # type: ignore[misc]
    """`vgen init [DIR]`."""

    name = "init"
    doc_purpose = "start a film of your own in DIR, or in the current folder"
    doc_usage = "[DIR]"
    doc_description = "Writes dodo.py, a shot list, a config, a Makefile and more; never over a file that is there."

    def execute(self, opt_values: Any, pos_args: list[str]) -> int:  # noqa: ARG002 - doit's signature
        """Write the files; say what to type next. Raises InvalidCommand: nothing was written."""
        if len(pos_args) > 1 or command_line_variables():  # doit takes a name with = in it for a variable
            raise InvalidCommand("usage: vgen init [DIR]; it takes one folder, no = in its name, and no variables")
        folder = Path(*pos_args)
        try:
            start.start_film(folder)
        except Refusal as exc:
            raise InvalidCommand(str(exc)) from exc
        go = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
        sys.stdout.write(f"vgen: started a film: {', '.join(start.FILES)}\n")
        sys.stdout.write(f"vgen: `{go}vgen` makes its clips; without a key that is a simulation, and free\n")
        return 0


class Main(DoitMain):  # type: ignore[misc]
    """One call of the program."""

    BIN_NAME = "vgen"
    DOIT_CMDS = (*DoitMain.DOIT_CMDS, Init)

    def __init__(self) -> None:
        super().__init__(task_loader=Loader())

    @staticmethod
    def print_version() -> None:
        """`vgen --version`."""
        sys.stdout.write(f"vgen {vgen.__version__} (doit {'.'.join(map(str, doit_version))})\n")

    def run(self, all_args: list[str]) -> int:
        """The exit code. `vgen --help` and `vgen help` are the screen that `vgen help vgen` shows."""
        if all_args in (["--help"], ["-h"], ["help"]):
            sys.stdout.write(overview.text())
            return 0
        return int(super().run(all_args) or 0)
