"""One rule, and what was found wrong with it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """`problem` is "" if the rule held."""

    rule: str
    problem: str = ""

    def __str__(self) -> str:
        return f"BROKEN  {self.rule}: {self.problem}" if self.problem else f"ok      {self.rule}"
