"""Projects as in the stories, with providers that can be scripted. Each one's books are checked in the end."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.scripted import ScriptedStudio

MEMORY = Path("/dev/shm")


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScriptedStudio]]:
    """Makes projects. When a test ends, each one's money, secrets and clips are checked."""
    made: list[ScriptedStudio] = []
    with tempfile.TemporaryDirectory(
        prefix="vgen-fault-", dir=MEMORY if MEMORY.is_dir() else None, ignore_cleanup_errors=True
    ) as folder:

        def make(**options: object) -> ScriptedStudio:
            root = Path(folder) / f"project{len(made)}"
            root.mkdir()
            monkeypatch.chdir(root)
            made.append(ScriptedStudio(root, **options))
            return made[-1]

        yield make
        for studio in made:
            studio.pass_time(1000)
            studio.check_money()
            studio.check_keys_sent()
            studio.check_clips()
        monkeypatch.undo()


@pytest.fixture
def studio(new_studio: Callable[..., ScriptedStudio]) -> ScriptedStudio:
    """A live project of three shots; nothing leaves the process."""
    return new_studio()


@pytest.fixture
def one(studio: ScriptedStudio) -> ScriptedStudio:
    """A project of one shot, and money enough for every retry."""
    studio.write_shots(studio.read_shots()[:1])
    studio.configure(run={"budget_usd": 20})
    return studio
