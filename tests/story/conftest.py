"""Stories: whole runs against the simulated cloud, under virtual time."""

from collections.abc import Callable, Iterator

import pytest
from projects import checked, one, studio
from studio import Studio

__all__ = ["one", "studio"]  # fixtures


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Studio]]:
    """Makes projects; see `checked`."""
    yield from checked(Studio, monkeypatch)
