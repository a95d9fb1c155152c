"""`doit timeline` over whole productions: what was bought, what is missing, and nothing else is touched."""

from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fake_clips import fake_clip
from studio import Studio, shots

from vgen.views import timeline_xml

otio = pytest.importorskip("opentimelineio", reason="opentimelineio is not installed")
pytest.importorskip("otio_fcp_adapter", reason="otio-fcp-adapter is not installed")


def written(studio: Studio) -> Any:
    return otio.adapters.read_from_file(str(studio.outputs / "timeline.otio"))


def files_of(studio: Studio, clip: Any) -> dict[str, Path]:
    return {key: studio.outputs / unquote(one.target_url) for key, one in clip.media_references().items()}


@pytest.mark.slow
def test_a_production_with_two_takes_a_missing_shot_and_an_edited_one(
    studio: Studio, capfd: pytest.CaptureFixture[str]
) -> None:
    listed = [shot | ({"caption": "Land in Sicht"} if shot["shot_number"] == 1 else {}) for shot in shots(3)]
    studio.write_shots(listed)
    studio.configure(run={"budget_usd": 5})
    assert studio.doit() == 0
    assert studio.doit("-a", "clip:1") == 0
    assert studio.doit("pick", "shot=1", "take=1") == 0
    studio.clip(2).unlink()
    studio.clip(3).write_bytes(fake_clip(width=720, height=1280, duration_s=5, fps=30))
    bought, before = studio.bought(), studio.disk()
    capfd.readouterr()
    assert studio.doit("-s", "timeline") == 0
    assert "timeline.otio, .edl, .xml: 2 of 3 shots, 15.000 s" in capfd.readouterr().out
    assert studio.bought() == bought
    first, gap, third = written(studio).tracks[0]
    assert first.active_media_reference_key == "take 1"
    files = files_of(studio, first)
    assert sorted(files) == ["take 1", "take 2"]
    assert sorted(files.values()) == sorted(p for p in studio.takes() if p.parent == files["take 1"].parent)
    assert files["take 1"].read_bytes() == studio.clip(1).read_bytes()
    assert first.metadata["vgen"]["caption"] == "Land in Sicht"
    assert isinstance(gap, otio.schema.Gap)
    assert gap.markers[0].name == "shot 2 is missing"
    assert gap.duration().value == 120
    assert "shot-3 a paper boat" in third.markers[0].comment
    assert third.active_media_reference_key == "edited"
    files = files_of(studio, third)
    assert sorted(files) == ["edited", "take 1"]
    assert files["edited"] == studio.clip(3)
    assert third.metadata["vgen"]["shot_number"] == 3
    new = studio.disk()
    assert sorted(new.keys() - before.keys()) == [f"outputs/timeline.{end}" for end in ("edl", "otio", "xml")]
    assert studio.doit("-s", "timeline") == 0
    assert {name: state for name, state in studio.disk().items() if "timeline" in name} == {
        name: state for name, state in new.items() if "timeline" in name
    }, "a second run leaves the files as they are"
    assert studio.doit("-s", "timeline", "clip_paths=absolute") == 0
    first = written(studio).tracks[0][0]
    assert {one.target_url.partition("takes/")[0] for one in first.media_references().values()} == {
        f"{studio.outputs.as_uri()}/"
    }
    assert studio.doit("clean", "timeline") == 0
    assert not list(studio.outputs.glob("timeline.*"))


def test_without_the_extra_one_line_says_what_is_missing_and_the_rest_is_written(
    studio: Studio, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert studio.doit() == 0

    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(timeline_xml, "version", version)
    capfd.readouterr()
    assert studio.doit("-s", "timeline") == 0
    said = [line for line in capfd.readouterr().out.splitlines() if "vgen[timeline]" in line]
    assert len(said) == 1
    assert "timeline.xml was not written: it needs the package opentimelineio" in said[0]
    assert sorted(path.name for path in studio.outputs.glob("timeline.*")) == ["timeline.edl", "timeline.otio"]
