"""`doit help vgen` leaves nothing out."""

import re
from pathlib import Path

from vgen.cli import overview
from vgen.inputs.variables import VARIABLES

ROOT = Path(__file__).parent.parent


def test_every_variable_is_there_with_its_default() -> None:
    assert tuple(overview.VARIABLES) == VARIABLES
    said = overview.text()
    for name in VARIABLES:
        assert re.search(rf"^  {name} ", said, re.MULTILINE)
    assert re.search(r"^  budget_usd +2\.00 ", said, re.MULTILINE)
    assert re.search(r"^  partial +no ", said, re.MULTILINE)


def test_every_task_is_there() -> None:
    said = " ".join(command for command, _ in overview.commands())
    for name in re.findall(r"^def task_(\w+)", (ROOT / "dodo.py").read_text("utf-8"), re.MULTILINE):
        if name != "collect":  # a part of every full build, seldom named
            assert re.search(rf"\b{name}\b", said), name


def test_it_fits_a_terminal() -> None:
    assert max(len(line) for line in overview.text().splitlines()) <= 110
