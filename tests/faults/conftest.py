"""Projects as in the stories, with providers that can be scripted."""

from collections.abc import Callable, Iterator

import pytest
from faults.scripted import ScriptedStudio
from projects import checked, one, studio

__all__ = ["one", "studio"]  # fixtures


@pytest.fixture
def new_studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ScriptedStudio]]:
    """Makes projects; see `checked`."""
    yield from checked(ScriptedStudio, monkeypatch)
