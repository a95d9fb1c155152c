"""Every module says its job in its first line, and nothing is too big to be held in one's head.

Which room may import what: `lint-imports`, in pyproject.toml.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import vgen

PACKAGE = Path(vgen.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = {"module": 350, "class": 250, "function": 45}
LARGER: dict[str, str] = {}
"""Modules that may hold something larger, and why: at most five."""


def test_every_module_has_a_first_line_that_says_its_job() -> None:
    for path in FILES:
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert doc, f"{path.name} says nothing of itself"
        assert len(doc.splitlines()[0]) > 20, f"{path.name}: {doc.splitlines()[0]}"


def sizes(path: Path) -> Iterator[tuple[str, str, int]]:
    """What a module holds: kind, name, lines."""
    text = path.read_text("utf-8")
    yield "module", path.relative_to(PACKAGE).as_posix(), len(text.splitlines())
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield kind, node.name, (node.end_lineno or 0) - node.lineno + 1


def test_nothing_is_too_large_and_no_exception_outlives_its_reason() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): list(sizes(path)) for path in FILES}
    large = {
        name: [(kind, of, lines) for kind, of, lines in things if lines > MOST_LINES[kind]]
        for name, things in found.items()
    }
    assert {name: things for name, things in large.items() if things and name not in LARGER} == {}
    assert [name for name in LARGER if not large.get(name)] == [], "these are no longer too large"
    assert len(LARGER) <= 5
