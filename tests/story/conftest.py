"""Stories: whole runs against the simulated cloud, under virtual time."""

from pathlib import Path

import pytest
from studio import Studio


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """A live project of three shots (the cloud takes real-looking money; nothing leaves the process)."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return Studio(root)
