"""What was typed, as far as it can be understood before anything heavy is imported. Imports nothing of vgen."""

# ruff: noqa: PTH119, TID251 - pathlib takes longer to import than all of this takes

import os
import sys

CLIP = "clip:"
PLAN = "plan"
BUDGET = "budget_usd"
OUTPUTS = "outputs"
MOST_DIGITS = 7
"""A longer number names no shot; a longer budget may be above what is allowed."""


class Typed:
    """Run variables, and either nothing else, or `plan`, or clips by their numbers."""

    __slots__ = ("clips", "is_plan", "names", "variables")

    def __init__(self, variables: dict[str, str], names: list[str]) -> None:
        self.variables = variables
        self.names = names
        self.is_plan = names == [PLAN]
        self.clips = [] if self.is_plan else [int(name.removeprefix(CLIP)) for name in names]

    @property
    def is_whole(self) -> bool:
        """Whether it is about the whole production."""
        return not self.names

    def words(self) -> list[str]:
        """What was typed, in one order."""
        return [*sorted(self.names), *(f"{name}={value}" for name, value in sorted(self.variables.items()))]

    def without_budget(self) -> list[str] | None:
        """The variables but for a budget: it decides what may be bought. None if its value may be refused."""
        budget = self.variables.get(BUDGET, "0")
        whole, _, cents = budget.partition(".")
        if not (budget.isascii() and whole.isdigit() and (cents.isdigit() or "." not in budget)):
            return None
        if len(whole) > MOST_DIGITS or len(cents) > 2:
            return None
        return [f"{name}={value}" for name, value in sorted(self.variables.items()) if name != BUDGET]

    def outputs(self) -> str:
        """The directory of the outputs, where neither `.env` nor the config names another."""
        return self.variables.get(OUTPUTS) or os.environ.get("VGEN_OUTPUTS", "outputs")


def understood(words: list[str]) -> Typed | None:
    """The words after the program's name; None if any may mean more than is known here (options, globs, targets)."""
    variables: dict[str, str] = {}
    names: list[str] = []
    for word in words:
        name, is_variable, value = word.partition("=")
        if is_variable:
            plain = name.isascii() and name.replace("_", "a").isalpha() and name.islower()
            if not plain or name == PLAN or name in variables or "\0" in value:  # `plan=FILE` reads another file
                return None
            variables[name] = value
        elif word in names or not (word == PLAN or _is_clip(word)):
            return None
        else:
            names.append(word)
    return None if PLAN in names and len(names) > 1 else Typed(variables, names)


def program() -> str:
    """What was called, as far as what is said depends on it."""
    folder, name = os.path.split(sys.argv[0])
    return f"{os.path.basename(folder)}/{name}"


def _is_clip(word: str) -> bool:
    number = word.removeprefix(CLIP)
    plain = word.startswith(CLIP) and number.isascii() and number.isdigit()
    return plain and number[0] != "0" and len(number) <= MOST_DIGITS
