"""Projects for tests of whole runs, each in a folder of its own. Each one's books are checked in the end."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from studio import Studio

Kind = TypeVar("Kind", bound=Studio)
MEMORY = Path("/dev/shm")
"""Where there is one, projects live in memory: a story is not about the disk's pace."""


def checked(kind: type[Kind], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Kind]]:
    """Makes projects. When the test ends, each one's money, secrets and clips are checked."""
    made: list[Kind] = []
    with tempfile.TemporaryDirectory(
        prefix="vgen-test-", dir=MEMORY if MEMORY.is_dir() else None, ignore_cleanup_errors=True
    ) as folder:

        def make(**options: object) -> Kind:
            root = Path(folder) / f"project{len(made)}"
            root.mkdir()
            monkeypatch.chdir(root)
            made.append(kind(root, **options))
            return made[-1]

        yield make
        for studio in made:
            studio.pass_time(1000)
            studio.check_money()
            studio.check_keys_sent()
            studio.check_clips()
        monkeypatch.undo()


@pytest.fixture
def studio(new_studio: Callable[..., Studio]) -> Studio:
    """A live project of three shots (the cloud takes real-looking money; nothing leaves the process)."""
    return new_studio()


@pytest.fixture
def one(studio: Studio) -> Studio:
    """A project of one shot, and money enough for every retry."""
    studio.write_shots(studio.read_shots()[:1])
    studio.configure(run={"budget_usd": 20})
    return studio
