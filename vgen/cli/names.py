"""What a word on the command line means that names no task: what there is, and what was meant. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from vgen.cli.command import Command
from vgen.inputs.wording import nearest, shown
from vgen.ranges import ranges

_CLIP = re.compile(r"(?:(?:.*/)?(?:clip|shot)s?[-_:#. ]?)?0*(\d+)(?:\.mp4)?", re.IGNORECASE)
"""`clip:9`, `clip_009.mp4`, `shot 9`, `9`."""
_SEVERAL = re.compile(r"(?:clip|shot)s?[-_:#. ].*", re.IGNORECASE)
_OPTION = re.compile(r"(option \S+ (?:not recognized|requires argument|must not have an argument))")
_CHOICE = re.compile(r"parameter '(\w+)'. Provided '(.*)' but available choices are: (.*)\.")
_NUMBER = re.compile(r"parameter '(\w+)' <class 'int'>")
_WITH_VALUE = re.compile(
    r"-[fdroPnv]|--(?:file|dir|reporter|output-file|parallel-type|process|verbosity|backend|db-file)"
)
"""Options of `run` that are followed by their value."""
_REHEARSAL = ("-n", "--dry-run", "--dryrun", "--just-print")
"""What other tools call `doit plan`."""


def unknown(word: str, tasks: Iterable[str], commands: Iterable[str]) -> str:
    """A word that is no task, no target and none of these commands."""
    tasks = list(tasks)
    numbers = sorted(int(name.removeprefix("clip:")) for name in tasks if re.fullmatch(r"clip:\d+", name))
    if found := _CLIP.fullmatch(word):
        number = int(found[1])
        if number not in numbers:
            return f"{word}: there is no shot {number}; the list has {ranges(numbers)}"
        return f"{word}: there is no such task; the clip of shot {number} is `doit clip:{number}`"
    if _SEVERAL.fullmatch(word):
        return f"{word}: name each clip by its number, as in `doit clip:1 clip:2`; the list has {ranges(numbers)}"
    known = dict.fromkeys(name.lower() for name in (*tasks, *commands) if ":" not in name)
    what = "command, task or target" if commands else "task"
    more = "`doit help vgen` shows the commands, `doit list --all` the tasks"
    return f"{shown(word)}: there is no such {what}{nearest(word.lower(), known)}; {more}"


def unmatched(pattern: str, tasks: Iterable[str]) -> str:
    """A pattern that matches no task."""
    numbers = [int(name.removeprefix("clip:")) for name in tasks if re.fullmatch(r"clip:\d+", name)]
    return f"{shown(pattern)}: matches no task; the list has {ranges(numbers)}, `doit list --all` shows all tasks"


def group_again(group: str) -> str:
    """`-a` with a group: whose new takes?"""
    return (
        f"-a {group}: name the clips that are to get a new take, as in `doit -a {group}:7`; "
        f"`doit {group}` builds those that are missing or stale"
    )


def usage(command: Command, words: Sequence[str]) -> str:
    """How to type a command that takes variables, with what stood beside its name."""
    values = [word for word in words if word != command.name]
    names: Mapping[str, str] = dict(zip(command.variables, values, strict=False))
    if values and len(values) <= len(command.variables) and re.fullmatch(r"\d+", values[0]):
        typed = " ".join((f"doit {command.name}", *(f"{name}={value}" for name, value in names.items())))
        return f"`doit {' '.join((command.name, *values))}`: name what you mean: `{typed}`"
    return f"`doit {command.name}` runs alone, as in `{command.example}`"


def option(message: str, words: Sequence[str], command: str) -> str:
    """doit's sentence about an option of one of its commands, without the list of all that it knows."""
    if choice := _CHOICE.search(message):
        return f"{choice[1]}={choice[2]}: choose {choice[3].replace(chr(39), '')}"
    if number := _NUMBER.search(message):
        return f"{number[1]}: give a whole number"
    found = _OPTION.search(message)
    said = found[1] if found else " ".join(message.split())
    if command == "run" and any(word in _REHEARSAL for word in words):
        return f"{said}; `doit plan` shows what a run would do"
    if any(word in ("-h", "--help") for word in words):
        more = "`doit help vgen` shows all commands" if command == "run" else f"`doit help {command}` shows its usage"
        return f"{said}; {more}"
    wrong = said.split()[1] if found else ""
    if command == "run" and wrong in words and (first := _first_name(words)) < words.index(wrong):
        at = words.index(wrong)
        end = at + 1 + bool(_WITH_VALUE.fullmatch(wrong))
        typed = [*words[:first], *words[at:end], *words[first:at], *words[end:]]
        return f"{said} after a task's name; options come first, as in `doit {' '.join(typed)}`"
    return f"{said}; `doit help {command}` shows the options"


def _first_name(words: Sequence[str]) -> int:
    """Where the options end."""
    for at, word in enumerate(words):
        if word[:1] != "-" and not (at and _WITH_VALUE.fullmatch(words[at - 1])):
            return at
    return len(words)
