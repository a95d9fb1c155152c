"""The AI mark and content credentials, as a user has them: real processes and films, ExifTool, C2PA's own reader."""

import importlib.util
import json
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import canary
import pytest
import shared
from workshop import KEYS, RUN_S, Project, Server, everything, sha256, shots

from vgen.media import signing
from vgen.media.claims import scan

pytestmark = pytest.mark.slow

FAST = ("--queue-s", "0", "--render-s", "0")
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
signs = pytest.mark.skipif(
    importlib.util.find_spec("c2pa") is None, reason="c2pa-python has no wheel for this platform"
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips from a provider that is not known for the simulator: as good as bought."""

    def make(folder: Path) -> None:
        server = Server(folder, *FAST)
        try:
            project = Project(folder / "project")
            project.buys_at(server)
            project.write_shots(shots(2, duration=1))
            code, said = project.doit("fallback_api=none", "budget_usd=9")
            assert code == 0, said
        finally:
            server.stop()

    return shared.once(tmp_path_factory, "credentials", make) / "project"


@pytest.fixture
def film(live: Path, project: Project) -> Project:
    """A copy of it; its provider is gone."""
    shutil.copytree(live, project.root, dirs_exist_ok=True)
    project.environ |= KEYS | {"XDG_CONFIG_HOME": str(project.root.parent / "settings")}
    return project


def made(project: Project) -> list[Path]:
    """What conform and cut make."""
    return [*sorted((project.outputs / "conformed").glob("*.mp4")), project.outputs / "cut.mp4"]


def bought(project: Project) -> dict[Path, str]:
    return {path: sha256(path) for folder in ("takes", "clips") for path in (project.outputs / folder).rglob("*.mp4")}


def by_exiftool(*films: Path) -> list[str | None] | None:
    """The digital source type as ExifTool reads it from XMP; None without ExifTool."""
    if shutil.which("exiftool") is None:
        return None
    argv = ["exiftool", "-j", "-G", "-n", "-XMP-iptcExt:DigitalSourceType", *map(str, films)]
    ran = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=RUN_S)
    return [found.get("XMP:DigitalSourceType") for found in json.loads(ran.stdout)]


def manifest(path: Path) -> tuple[str, dict[str, Any]]:
    """State and whole report of C2PA's own reader."""
    import c2pa

    context = c2pa.Context(c2pa.Settings.from_dict(signing.OFFLINE))
    with path.open("rb") as file, c2pa.Reader("video/mp4", file, context=context) as reader:
        return str(reader.get_validation_state()), json.loads(reader.json())


def test_exiftool_reads_the_mark_on_conformed_clips_and_the_cut(film: Project) -> None:
    before = bought(film)
    code, said = film.doit("cut")
    assert code == 0, said
    assert [scan(path).source_types for path in made(film)] == [("trainedAlgorithmicMedia",)] * 3
    assert bought(film) == before
    again = everything(film.outputs)
    assert film.doit("cut") == (0, "vgen: nothing to do\n")
    assert everything(film.outputs) == again
    read = by_exiftool(*made(film))
    assert film.doit("cut", "ai_mark=no")[0] == 0
    assert [bool(scan(path)) for path in made(film)] == [False] * 3
    film.write_shots(shots(3, duration=1))
    assert film.doit("cut", "slates=yes")[0] == 0
    assert [scan(path).source_types for path in made(film)] == [("trainedAlgorithmicMedia",)] * 2 + [
        ("compositeSynthetic",)
    ], "a film with a slate is a mix"
    if read is None:
        pytest.skip("ExifTool is not installed (Debian: libimage-exiftool-perl); all else holds")
    assert read == [TRAINED] * 3


def test_nothing_simulated_claims_to_be_made_by_ai(project: Project, serve: Callable[..., Server]) -> None:
    """In process without keys, and at the simulator's server with mode=live; with a certificate too."""
    project.environ["XDG_CONFIG_HOME"] = str(project.root.parent / "settings")
    project.write_shots(shots(1, duration=1))
    project.doit("credentials")
    for command in ("clip:1", "cut"):
        code, said = project.doit(command)
        assert code == 0, said
    project.buys_at(serve(*FAST, named=True))
    for command in ("clip:1", "cut"):
        code, said = project.doit(command, "mode=live", "fallback_api=none", "outputs=rehearsal")
        assert code == 0, said
    films = [*project.outputs.rglob("*.mp4"), *(project.root / "rehearsal").rglob("*.mp4")]
    assert len(films) == 8
    assert [path for path in films if scan(path)] == []


@signs
def test_conformed_clips_and_the_cut_are_signed_with_their_takes_as_ingredients(film: Project) -> None:
    before = bought(film)
    code, said = film.doit("credentials", "signer=Studio Süd")
    assert code == 0, said
    assert "CN=Studio Süd" in said
    code, said = film.doit("cut")
    assert code == 0, said
    state, told = manifest(film.outputs / "cut.mp4")
    assert state == "Valid"
    cut = told["manifests"][told["active_manifest"]]
    assert actions(cut) == [("c2pa.created", TRAINED), ("c2pa.placed", None), ("c2pa.placed", None)]
    for shot in cut["ingredients"]:
        assert shot["relationship"] == "componentOf"
        clip = told["manifests"][shot["active_manifest"]]
        assert actions(clip) == [("c2pa.opened", TRAINED), ("c2pa.transcoded", None)]
        assert [one["relationship"] for one in clip["ingredients"]] == ["parentOf"]
    assert [one["title"] for one in cut["ingredients"]] == ["shot 1", "shot 2"]
    assert [manifest(path)[0] for path in made(film)] == ["Valid"] * 3
    assert [scan(path).source_types for path in made(film)] == [("trainedAlgorithmicMedia",)] * 3
    assert bought(film) == before
    again = everything(film.outputs)
    assert film.doit("cut") == (0, "vgen: nothing to do\n"), "though each signature differs"
    assert everything(film.outputs) == again
    code, said = film.doit("credentials")
    assert "outputs/cut.mp4: claims trainedAlgorithmicMedia; C2PA manifest of" in said
    assert said.count("checked: Valid\n") == 3
    secret_and_words_stay_out(film)


def actions(found: dict[str, Any]) -> list[tuple[str, str | None]]:
    (one,) = [each for each in found["assertions"] if each["label"] == "c2pa.actions.v2"]
    assert one["created"] is True
    return [(action["action"], action.get("digitalSourceType")) for action in one["data"]["actions"]]


def secret_and_words_stay_out(film: Project) -> None:
    """The private key is read by its owner alone and is in no other file; no prompt is in what was made."""
    folder = film.root.parent / "settings" / "vgen" / "credentials"
    key = (folder / "private-key.pem").read_text()
    assert stat.S_IMODE((folder / "private-key.pem").stat().st_mode) == 0o600
    secret = "".join(key.splitlines()[1:-1])
    spelt = canary.spellings(secret[40:80]) | canary.spellings(key.splitlines()[2])
    for path in (*film.root.rglob("*"), *film.journal.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            assert not any(each in data for each in spelt), path
    assert not list(canary.leaks(film.root))
    assert all(b"paper boat" not in path.read_bytes() for path in made(film))


@signs
def test_a_signature_tells_what_it_is_asked_to_and_another_certificate_signs_anew(film: Project) -> None:
    film.doit("credentials")
    code, said = film.doit("cut", "sign_details=seed,prompt,price")
    assert code == 0, said
    _, told = manifest(film.outputs / "conformed" / "clip_001.mp4")
    (shot,) = [
        one["data"] for one in told["manifests"][told["active_manifest"]]["assertions"] if "vgen" in one["label"]
    ]
    assert shot.keys() == {"shot_number", "prompt", "price"}
    assert "paper boat" in shot["prompt"]
    assert film.doit("cut", "sign=no")[0] == 0
    assert [scan(path).c2pa_bytes for path in made(film)] == [0] * 3
    own = film.root / "own"
    shutil.move(film.root.parent / "settings" / "vgen" / "credentials", own)
    code, said = film.doit("cut", "sign_certificate=own/certificate.pem", "sign_key=own/private-key.pem")
    assert code == 0, said
    assert [manifest(path)[0] for path in made(film)] == ["Valid"] * 3
    assert b"paper boat" not in (film.outputs / "conformed" / "clip_001.mp4").read_bytes()
    code, said = film.doit("cut", "sign_certificate=own/certificate.pem", "sign_key=own/certificate.pem")
    assert (code, said.count("\n")) == (3, 1), said
    assert "own/certificate.pem: not a private key in PEM" in said
    code, said = film.doit("cut", "sign_certificate=own/certificate.pem")
    assert (code, said.count("\n")) == (3, 1), said
    assert "sign_key: is missing; a certificate and its key are given together" in said


@signs
def test_without_the_extra_each_command_says_what_is_missing_and_does_the_rest(film: Project) -> None:
    film.doit("credentials")
    without = film.root.parent / "without"
    (without / "c2pa").mkdir(parents=True)
    (without / "sitecustomize.py").write_text(
        "import importlib.util as u, sys\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'c2pa' else find(name, *a)\nsys.modules['c2pa'] = None\n"
    )
    path = f"{without}:{film.environ['PYTHONPATH']}"
    code, said = film.doit("cut", PYTHONPATH=path)
    assert code == 0, said
    missing = "not signed, c2pa-python is missing: install the extra: pip install 'vgen[credentials]'"
    assert f"conformed clips are {missing}" in said
    assert f"cut.mp4 is {missing}" in said
    assert [(scan(p).source_types, scan(p).c2pa_bytes) for p in made(film)] == [(("trainedAlgorithmicMedia",), 0)] * 3
    code, said = film.doit("credentials", PYTHONPATH=path)
    assert code == 0, said
    assert "can't sign, c2pa-python is missing" in said
    assert "outputs/cut.mp4: claims trainedAlgorithmicMedia\n" in said
    assert film.doit("cut")[0] == 0
    assert [manifest(path)[0] for path in made(film)] == ["Valid"] * 3, "with the extra, all is signed"
