"""`vgen` as a program of its own: `vgen init`, its first words where there is no film, films of older versions."""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from studio import Studio
from workshop import clean_environment

import vgen
from vgen import __main__, film, providers
from vgen.cli import noop, start
from vgen.inputs import config

ROOT = Path(__file__).resolve().parent.parent
OLDER_DODO = """from pathlib import Path

from vgen.cli.session import Session

_session = Session(Path(__file__).resolve().parent)

DOIT_CONFIG = _session.config()
globals().update(_session.tasks())
"""
"""What dodo.py was before there was `vgen init`."""
Call = Callable[..., int]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Call]:
    """`vgen ARGS` in a folder below an empty one, in this process."""
    for name in os.environ:
        if noop._decides(name):
            monkeypatch.delenv(name)
    monkeypatch.setattr(noop, "_answers", {})
    monkeypatch.setattr(sys, "path", [*sys.path])

    def vgen_here(*words: str, at: str = ".") -> int:
        monkeypatch.chdir(tmp_path / at)
        monkeypatch.setattr(sys, "argv", ["vgen", *words])
        sys.modules.pop("dodo", None)
        return __main__.main()

    yield vgen_here
    sys.modules.pop("dodo", None)


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ── the program ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_package_installs_it() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="vgen")
    assert script.load() is __main__.main


def test_it_tells_its_version_and_that_of_doit(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"vgen {vgen.__version__} (doit {importlib.metadata.version('doit')})\n"


def test_the_wheel_has_the_version_that_it_tells() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"], "else an upgrade may call itself by the old number"
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "vgen.__version__"}


@pytest.mark.parametrize("words", [(), ("plan",), ("clip:1", "budget_usd=3"), ("list",), ("clean",), ("doctor",)])
def test_without_a_film_one_line_says_how_to_start_one(
    call: Call, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert call(*words) == 3
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "no dodo.py here" in said.err
    assert "`vgen init" in said.err


@pytest.mark.parametrize("word", ["--help", "help"])
def test_its_help_needs_no_film_and_names_what_can_be_typed(
    call: Call, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    assert call(word) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  vgen init DIR .*\n  vgen list", said, re.MULTILINE)
    assert re.search(r"^  vgen plan ", said, re.MULTILINE)
    about_doit = [line.split()[1] for line in said.splitlines() if "doit" in line]
    assert about_doit == ["init", "list,"]


# ── vgen init ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", ["", "film", "films/one"])
def test_init_writes_a_film_and_says_what_to_type(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    assert call("init", *([where] if where else [])) == 0
    assert below(tmp_path / where) == {name: start.content(name) for name in start.FILES}
    assert ("`vgen`" if not where else f"`cd {where} && vgen`") in capsys.readouterr().out


@pytest.mark.parametrize("there", [*([name] for name in start.FILES), ["Makefile", "dodo.py"], list(start.FILES)])
def test_init_writes_over_nothing_and_names_all_that_is_there(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], there: list[str]
) -> None:
    for name in there:
        (tmp_path / "film" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "film" / name).write_bytes(b"mine")
    assert call("init", "film") == 3
    said = capsys.readouterr().err
    assert [name for name in start.FILES if re.search(rf"[ ,]{re.escape(name)}[,;]", said)] == sorted(
        there, key=start.FILES.index
    )
    assert said.count("\n") == 1
    assert below(tmp_path / "film") == dict.fromkeys(there, b"mine")


def test_a_link_that_leads_nowhere_is_in_the_way_too(call: Call, tmp_path: Path) -> None:
    (tmp_path / "Makefile").symlink_to("elsewhere")
    assert call("init") == 3
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_init_that_cannot_write_everything_leaves_nothing(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").write_bytes(b"a file, where a folder is needed")
    assert call("init") == 3
    assert "config: can't be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


@pytest.mark.parametrize("words", [("a", "b"), ("--force",), ("a=b",), ("film", "budget_usd=5")])
def test_init_refuses_what_it_does_not_know(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert call("init", *words) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_new_film_is_planned_and_every_command_that_is_named_is_one_of_vgen(
    call: Call, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("init")
    capsys.readouterr()
    assert call("plan", "budget_usd=1") == 0
    said = capsys.readouterr().out
    assert "total $1.32 of play money" in said
    assert "`vgen partial=yes budget_usd=1`" in said
    assert "`doit" not in said
    assert call("plans") == 3
    assert "`doit" not in capsys.readouterr().err
    assert call("-r", "jsonl", "plans") == 3
    told = capsys.readouterr()
    assert "`vgen help vgen`" in json.loads(told.out)["text"]
    assert "`doit" not in told.out + told.err
    assert call("list", "--help") == 3
    assert "`vgen help list`" in capsys.readouterr().err


def test_doctor_says_that_a_simulation_tries_no_proxy(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    call("init")
    call("doctor", "proxy=http://me:secret@proxy.example:3128")
    said = capsys.readouterr().out
    assert "note  the proxy at proxy.example:3128 was not tried" in said
    assert "secret" not in said


def test_another_directory_for_doit_is_refused(call: Call, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call("init", "film")
    (tmp_path / "elsewhere").mkdir()
    capsys.readouterr()
    assert call("-d", "../elsewhere", "run", at="film") == 3
    assert "leave -d out" in capsys.readouterr().err


def test_this_repository_is_such_a_film() -> None:
    for name in ("dodo.py", "config/visual_prompts.json", "config/api_config.json"):
        assert (ROOT / name).read_bytes() == start.content(name), name


def test_the_example_of_keys_has_every_vendor_and_changes_nothing_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(start.content(".env.example"))
    names = re.findall(r"^(\w+)=$", start.content(".env.example").decode(), re.MULTILINE)
    assert all(any(key in names for key in codec.VENDOR.keys) for codec in providers.CODECS.values())
    assert config.load(tmp_path, {}, {}).simulated
    assert config.load(tmp_path, {}, {"RUNWAYML_API_SECRET": "key_of_the_environment"}).secrets()


def test_a_film_of_an_older_version_has_the_same_tasks(call: Call, tmp_path: Path) -> None:
    call("init")
    new = film.tasks(str(tmp_path / "dodo.py"))
    (tmp_path / "dodo.py").write_text(OLDER_DODO, encoding="utf-8")
    assert call("list") == 0
    old = vars(sys.modules["dodo"])
    assert {name for name in old if name.startswith("task_")} == new.keys() - {"DOIT_CONFIG"}
    assert old["DOIT_CONFIG"].keys() == new["DOIT_CONFIG"].keys()


# ── outputs and git ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    (tmp_path / "film").mkdir()
    monkeypatch.chdir(tmp_path / "film")
    return Studio(tmp_path / "film")


@pytest.mark.slow
def test_outputs_hide_themselves_from_git_also_those_that_exist(studio: Studio) -> None:
    ignore = studio.outputs / ".gitignore"
    assert studio.doit() == 0
    assert ignore.read_text("utf-8") == "*\n"
    ignore.unlink()
    assert studio.doit() == 0
    assert ignore.read_text("utf-8") == "*\n"
    ignore.write_text("*.mp4\n", encoding="utf-8")
    assert studio.doit() == 0
    assert ignore.read_text("utf-8") == "*.mp4\n", "the user's own"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dodo.py", ".git"])
def test_a_project_is_not_hidden_though_it_is_its_own_outputs(studio: Studio, name: str) -> None:
    (studio.root / name).write_text("", encoding="utf-8")
    assert studio.doit("outputs=.") == 0
    assert not (studio.root / ".gitignore").exists()


# ── whole films ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_a_film_from_init_is_made_planned_cut_and_cleaned_with_make(tmp_path: Path) -> None:
    """With the installed program, in a folder that has nothing of the repository's."""
    programs = Path(sys.executable).parent
    environ = clean_environment()
    environ |= {"PATH": f"{programs}{os.pathsep}{environ['PATH']}"}

    def run(*words: str) -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    run("vgen", "init")
    (tmp_path / "config" / "api_config.json").unlink()
    assert "3 of 3 clips" in run("make")
    assert json.loads((tmp_path / "outputs" / "production_report.json").read_text("utf-8"))["simulated"]
    assert "nothing to do" in run("make", "clips")
    assert "nothing to buy" in run("make", "plan", "VGEN_BUDGET_USD=1")
    assert "3 of 3 shots" in run("make", "cut")
    assert (tmp_path / "outputs" / "cut.mp4").exists()
    run("make", "clean")
    assert not list((tmp_path / "outputs").glob("**/clip_*.mp4"))
    assert not (tmp_path / "outputs" / "cut.mp4").exists()
    assert "restored" in run("make") or "3 of 3" in run("make")
