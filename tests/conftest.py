"""What holds for every test: no way out to a paid API, no variables of the developer's own, no key in what it wrote."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import canary
import guard
import hypothesis
import pytest

hypothesis.settings.register_profile(
    "vgen",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # it goes by the clock, and a busy machine is no error
)
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


@pytest.fixture(autouse=True)
def no_key_on_disk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every file that the test leaves, and every temporary directory before it goes, is searched for the canary."""
    found: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        remove = tempfile.TemporaryDirectory._rmtree

        def look_and_remove(cls: type, name: str, *args: Any, **options: Any) -> None:
            found.extend(canary.leaks(Path(name)))
            remove(name, *args, **options)

        patch.setattr(tempfile.TemporaryDirectory, "_rmtree", classmethod(look_and_remove))
        folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
        yield
        if folder is not None:
            found.extend(canary.leaks(folder))
    assert not found, "a key can be read in these files"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """What a test printed and logged, as far as it did not read it itself, holds no key either."""
    report = yield
    told = [name for name, text in report.sections if canary.found_in(text.encode("utf-8", "surrogateescape"))]
    if told and report.passed:
        report.outcome = "failed"
        report.longrepr = f"a key can be read in: {', '.join(told)}"
    return report
