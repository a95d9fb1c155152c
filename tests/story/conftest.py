"""Stories: whole runs against the simulated cloud, under virtual time."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from studio import Studio

MEMORY = Path("/dev/shm")
"""Where there is one, projects live in memory: a story is not about the disk's pace."""


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Studio]]:
    """Makes projects. When the story ends, each one's money, secrets and clips are checked."""
    made: list[Studio] = []
    with tempfile.TemporaryDirectory(
        prefix="vgen-story-", dir=MEMORY if MEMORY.is_dir() else None, ignore_cleanup_errors=True
    ) as folder:

        def make(**options: object) -> Studio:
            root = Path(folder) / f"project{len(made)}"
            root.mkdir()
            monkeypatch.chdir(root)
            made.append(Studio(root, **options))
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
