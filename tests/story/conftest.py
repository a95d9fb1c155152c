"""Stories: whole runs against the simulated cloud, under virtual time."""

from collections.abc import Callable, Iterator

import pytest
from projects import checked, one, studio
from studio import Studio, shots

__all__ = ["one", "studio"]  # fixtures


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Studio]]:
    """Makes projects; see `checked`."""
    yield from checked(Studio, monkeypatch)


@pytest.fixture
def two(studio: Studio) -> Studio:
    """Two shots, of which the second has two takes; the later one is in its place."""
    studio.write_shots(shots(2))
    studio.configure(run={"budget_usd": 5})
    assert studio.doit() == 0
    assert studio.doit("-a", "clip:2") == 0
    assert studio.doit() == 0
    return studio
