"""Every module says its job in its first line. Which room may import what: `lint-imports`, in pyproject.toml."""

import ast
from pathlib import Path

import vgen

PACKAGE = Path(vgen.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_module_has_a_first_line_that_says_its_job() -> None:
    for path in FILES:
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert doc, f"{path.name} says nothing of itself"
        assert len(doc.splitlines()[0]) > 20, f"{path.name}: {doc.splitlines()[0]}"
