"""Every row of the fault matrix has a test of its name, or a reason why not; never both."""

import ast
import re
from pathlib import Path

from faults.rows import NOT_TESTED, ROWS

FOLDER = Path(__file__).parent


def by_row() -> dict[int, list[str]]:
    found: dict[int, list[str]] = {row: [] for row in ROWS}
    for path in sorted(FOLDER.glob("test_faults_*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and (match := re.match(r"test_fault_(\d{3})_\w+", node.name)):
                found[int(match[1])].append(node.name)
    return found


def test_every_row_has_a_test_or_a_reason() -> None:
    assert {row for row, named in by_row().items() if not named} == NOT_TESTED.keys()


def test_a_row_is_one_topic_so_its_tests_are_in_one_file() -> None:
    files: dict[str, set[str]] = {}
    for path in FOLDER.glob("test_faults_*.py"):
        for row in re.findall(r"^def test_fault_(\d{3})_", path.read_text("utf-8"), re.MULTILINE):
            files.setdefault(row, set()).add(path.name)
    assert {row: names for row, names in files.items() if len(names) > 1} == {}


def test_few_rows_are_left_out() -> None:
    assert set(NOT_TESTED) <= set(ROWS)
    assert len(NOT_TESTED) <= 10
    assert all(reason and "\n" not in reason for reason in NOT_TESTED.values())


def test_every_test_here_is_of_a_row_and_names_are_used_once() -> None:
    names: list[str] = []
    for path in FOLDER.glob("test_faults_*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                assert re.match(r"test_fault_\d{3}_\w+", node.name), node.name
                names.append(node.name)
    assert len(set(names)) == len(names)
