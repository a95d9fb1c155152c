"""A command is one module and one name in the registry; every list of commands follows from that."""

import re
import sys
from collections.abc import Iterator

import pytest
import toy_command
from studio import Studio

from vgen.cli import overview, registry


@pytest.fixture
def with_toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "vgen.cli.commands.count", toy_command)
    monkeypatch.setattr(registry, "NAMES", (*registry.NAMES, "count"))
    registry.commands.cache_clear()
    yield
    monkeypatch.undo()
    registry.commands.cache_clear()


@pytest.fixture
def studio(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Studio:
    root = tmp_path_factory.mktemp("project")
    monkeypatch.chdir(root)
    return Studio(root)


@pytest.mark.usefixtures("with_toy")
def test_a_new_command_is_a_module_and_a_name(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("count", "mood=calm") == 0
    assert capsys.readouterr().out == "3 shots, calm\n"
    assert not studio.outputs.exists(), "it needs no lock and makes nothing"
    assert "doit count" in overview.text()
    assert studio.doit("list") == 0
    assert re.search("^count +how many shots there are$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.usefixtures("with_toy")
def test_a_commands_variable_is_refused_with_any_other(studio: Studio, capsys: pytest.CaptureFixture[str]) -> None:
    assert studio.doit("plan", "mood=calm") == 3
    assert "mood: belongs to `doit count`, not to this command" in capsys.readouterr().err
    assert studio.doit("count", "shot=2") == 3
    assert "shot: belongs to `doit settle` and `doit pick` and `doit keep`" in capsys.readouterr().err


def test_every_command_says_what_it_does_and_is_in_the_overview() -> None:
    shown = " ".join(line for line, _ in overview.commands())
    for name, command in registry.commands().items():
        assert name == command.name
        assert command.doc
        assert name in shown or name == "collect"
