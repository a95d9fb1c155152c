"""The architecture, as a test: imports point down only, and each outside thing has one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import vgen

# Highest last. A module imports only from rows above its own; inside a row, from those that stand before it.
LAYERS = (
    ("errors", "money", "durable", "redact"),
    ("jsonlines", "shots", "purchase", "retry", "rows"),
    ("recipe", "providers"),
    ("stance", "plan", "agreed", "report", "takes", "standing", "gallery"),
    ("quick", "settings", "ledger", "files", "images", "media", "form", "addresses", "wire", "notify"),
    ("lanes", "conform", "batch", "fetch", "recover", "ordering", "polling", "produce", "simulator"),
    (
        "leaves",
        "trio_doit",
        "screen",
        "overview",
        "reporter",
        "world",
        "clipfiles",
        "project",
        "choose",
        "page",
        "doctor",
        "audit",
        "commands",
        "cutting",
    ),
    ("tasks",),
    ("__main__",),
)
PURE = {name for row in LAYERS[:4] for name in row}
DOORS = {
    "rich": {"screen"},
    "doit": {"leaves", "trio_doit", "overview", "reporter", "__main__"},
    "trio": {
        "trio_doit",
        "screen",
        "lanes",
        "conform",
        "page",
        "batch",
        "fetch",
        "ordering",
        "polling",
        "produce",
        "project",
        "world",
        "clipfiles",
        "doctor",
        "tasks",
        "media",
        "addresses",
        "wire",
        "simulator",
    },
    "httpx": {"wire", "notify", "simulator"},
    "httpcore": {"addresses", "wire", "simulator"},
    "h11": {"simulator"},
    "sqlite3": {"ledger", "audit"},
    "jinja2": {"gallery"},
    "ffmpeg": {"media", "form", "simulator"},
    "PIL": {"simulator"},
    "filelock": {"files"},
    "pydantic": {"settings", "media", "conform"},
    "dotenv": {"settings"},
    "subprocess": {"media", "notify"},
    "asyncio": set(),
    "datetime": {"audit", "gallery", "providers", "report", "retry", "simulator"},
}
IMPURE = {"os", "time", "pathlib", "shutil", "socket", "tempfile"}
"""What a pure module may not import: it gets `now`, `rng` and text as arguments."""

PLACE = {name: (row, column) for row, names in enumerate(LAYERS) for column, name in enumerate(names)}
PACKAGE = Path(vgen.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def drawer(path: Path) -> str:
    """The module of `vgen` that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """Full names of everything that a file imports, lazily or not, except for types only."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down_and_use_the_door(path: Path) -> None:
    me = drawer(path)
    assert me in PLACE, f"{me} has no place in the layers"
    for name in imported(path):
        top, _, rest = name.partition(".")
        other = rest.split(".")[0]
        if top == "vgen" and other in PLACE and other != me:
            assert PLACE[other] < PLACE[me], f"{me} may not import {other}"
        assert me in DOORS.get(top, {me}), f"{me} may not import {top}"
        assert me not in PURE or top not in IMPURE, f"{me} is pure and may not import {top}"


def test_the_rule_sees_a_wrong_import(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def f():\n    import sqlite3\n    from vgen.tasks import Tasks\n")
    assert set(imported(file)) == {"sqlite3", "vgen.tasks.Tasks"}


def test_every_module_has_a_first_line_that_says_its_job() -> None:
    for path in FILES:
        doc = ast.get_docstring(ast.parse(path.read_text("utf-8")))
        assert doc, f"{path.name} says nothing of itself"
        assert len(doc.splitlines()[0]) > 20, f"{path.name}: {doc.splitlines()[0]}"
