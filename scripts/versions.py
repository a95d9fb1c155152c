"""Versions that pyproject.toml speaks of: `python -m scripts.versions pythons` or `lowest`.

`pythons`: those of the classifiers, one a line. `lowest`: the lower bounds of the dependencies, and of those of extras
that users install, as pip's constraints.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
_CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")
EXTRAS = ("timeline",)
_BOUND = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\w.]+)")


def pythons() -> Iterator[str]:
    """The Pythons that vgen claims to run on."""
    for classifier in _project()["classifiers"]:
        if found := _CLASSIFIER.fullmatch(classifier):
            yield found[1]


def lowest() -> Iterator[str]:
    """Each dependency at the lowest version that vgen claims to run with."""
    project = _project()
    extras = [one for name in EXTRAS for one in project["optional-dependencies"][name]]
    for requirement in (*project["dependencies"], *extras):
        found = _BOUND.match(requirement)
        assert found, f"{requirement} has no lower bound"
        yield f"{found['name']}=={found['version']}"


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]
    return project


if __name__ == "__main__":
    print("\n".join({"pythons": pythons, "lowest": lowest}[sys.argv[1]]()))
