"""What a film's dodo.py takes from vgen. The names here stay, so a film still works after vgen is upgraded."""

from pathlib import Path
from typing import Any

from vgen.cli.session import Session


def tasks(dodo: str) -> dict[str, Any]:
    """What doit looks for in a dodo.py: DOIT_CONFIG and vgen's tasks. `dodo`: its `__file__`; the film is beside it."""
    session = Session(Path(dodo).absolute().parent.resolve())  # of a link, the film is where the link lies
    return {"DOIT_CONFIG": session.config(), **session.tasks()}
