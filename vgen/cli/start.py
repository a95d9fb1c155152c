"""`vgen init`: the files that a film of one's own starts with. Writes all of them or none, and never over another."""

import contextlib
import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from vgen.errors import Refusal

FILES = (
    "dodo.py",
    "config/visual_prompts.json",
    "config/api_config.json",
    ".env.example",
    ".gitignore",
    "Makefile",
)
"""Each comes from a file of the package, in `new_film/`."""


def start_film(folder: Path) -> None:
    """Write them all. Raises Refusal: nothing was written; the text names every file that is in the way."""
    there = [name for name in FILES if os.path.lexists(folder / name)]
    if there:
        here = "" if folder == Path() else f" in {folder}"
        names = ", ".join(there)
        raise Refusal(f"already there{here}: {names}; nothing was written. Name a new folder: `vgen init DIR`")
    made: list[Path] = []
    try:
        for name in FILES:
            path = folder / name
            _make_folders(path.parent, made)
            with path.open("xb") as file:
                made.append(path)
                file.write(content(name))
    except OSError as exc:
        _remove(reversed(made))
        raise Refusal(f"{exc.filename or folder}: can't be written ({exc.strerror}); nothing was written") from exc


def content(name: str) -> bytes:
    """What one of FILES holds."""
    return (resources.files("vgen.cli") / "new_film" / f"{Path(name).name.lstrip('.')}.in").read_bytes()


def _make_folders(folder: Path, made: list[Path]) -> None:
    if not folder.is_dir():
        _make_folders(folder.parent, made)
        folder.mkdir()
        made.append(folder)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
