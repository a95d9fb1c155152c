"""What holds for every test: no way out to a paid API, no keys or variables of the developer's own."""

import os

import guard
import hypothesis
import pytest

hypothesis.settings.register_profile("vgen", derandomize=True, deadline=None, database=None, max_examples=100)
hypothesis.settings.load_profile("vgen")


@pytest.fixture(autouse=True)
def no_way_out(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections elsewhere raise ThisTestWouldHaveSpentMoney, and the environment is empty of vgen."""
    if request.node.get_closest_marker("live"):
        return
    guard.close_the_door(monkeypatch)
    for name in list(os.environ):
        if name in guard.SECRETS or name.startswith("VGEN_"):
            monkeypatch.delenv(name)
