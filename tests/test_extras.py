"""What vgen says to type for an extra: in a pipx or uv environment, plain pip would help another Python."""

from pathlib import Path

import pytest

from vgen.extras import how_to_install


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    return tmp_path


def test_pip_gets_the_extra_by_its_name(environment: Path) -> None:
    assert how_to_install("timeline") == "pip install 'vgen[timeline]'"


def test_pipx_puts_the_packages_beside_vgen(environment: Path) -> None:
    (environment / "pipx_metadata.json").write_text("{}")
    said = how_to_install("timeline")
    assert said.startswith("pipx inject vgen 'opentimelineio")
    assert " 'otio-fcp-adapter" in said
    assert "c2pa" not in said
    assert how_to_install("credentials").startswith("pipx inject vgen 'c2pa-python>=")


@pytest.mark.parametrize(
    ("receipt", "named"),
    [
        ('path = "/a b/vgen-1-py3-none-any.whl" }]', "'/a b/vgen-1-py3-none-any.whl[timeline]'"),
        ('extras = ["credentials"], path = "/vgen.whl" }]', "'/vgen.whl[credentials,timeline]'"),
        ('url = "https://wheels.example/vgen.whl" }]', "'vgen[timeline]'"),
        ("]", "'vgen[timeline]'"),
    ],
)
def test_uv_makes_the_environment_anew_with_all_extras(environment: Path, receipt: str, named: str) -> None:
    text = f'[tool]\nrequirements = [{{ name = "vgen", {receipt}\n'
    (environment / "uv-receipt.toml").write_text(text)
    assert how_to_install("timeline") == f"uv tool install {named}"
