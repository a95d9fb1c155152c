"""docs/money.md: each thing that it promises about money is tried out by a test that exists."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "money.md").read_text("utf-8")
NAME = re.compile(r"`(test_\w+)`")


def known() -> set[str]:
    """Every test function in the tests folder."""
    return {
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def rows() -> list[list[str]]:
    """The rows of the tables whose last column is a test."""
    found: list[list[str]] = []
    columns: list[str] = []
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if not cells:
            columns = []
        elif not columns:
            columns = cells
        elif columns[-1] == "test" and not set(line) <= set("|-: "):
            found.append(cells)
    return found


def test_the_page_has_its_rows() -> None:
    assert 30 <= len(rows()) <= 100
    assert len({row[0] for row in rows()}) == len(rows())


def test_each_row_of_the_page_says_what_happens_what_is_done_what_it_costs_and_names_one_test() -> None:
    assert [row for row in rows() if len(row) != 4 or not all(row) or not NAME.fullmatch(row[3])] == []


def test_every_test_that_the_page_names_exists() -> None:
    named = set(NAME.findall(PAGE))
    assert named
    assert named <= known(), sorted(named - known())
