"""The peers: build tools and the providers' client, each in an environment of its own. Knows no figures."""

import json
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Broken, environment

HOME = Path(__file__).resolve().parent / ".peers"
"""Made once, ignored by git; delete it to have the newest versions."""
PACKAGES = ("doit", "ninja", "snakemake", "dvc", "pytask", "runwayml")
"""What pip installs, each alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A tool that is there: where, and of what version."""

    name: str
    folder: Path
    version: str

    def tool(self, name: str = "") -> Path:
        """A program of the peer's."""
        return self.folder / (name or self.name)


def find(name: str, *, install: bool = True) -> Peer | str:
    """The peer, set up if need be and allowed; or why it can't be had, in words."""
    try:
        return _of_the_system(name) if name == "make" else _installed(name, install=install)
    except (Broken, OSError, subprocess.SubprocessError) as exc:
        return f"{name}: {exc}"


def _of_the_system(name: str) -> Peer:
    found = shutil.which(name)
    if found is None:
        raise Broken("is not on PATH")
    words = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    if "GNU" not in words:
        raise Broken("is not GNU make")
    version = next(word for word in words.split() if word[0].isdigit())
    return Peer(name="GNU make", folder=Path(found).parent, version=version)


def _installed(package: str, *, install: bool) -> Peer:
    assert package in PACKAGES, package
    home = HOME / package
    programs = home / ("Scripts" if sys.platform == "win32" else "bin")
    done = home / "installed.json"
    if not done.exists() and not install:
        raise Broken("not set up yet; a run without --quick does it")
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        _pip(programs, "install", "-q", package)
        listed = json.loads(_pip(programs, "list", "--format=json"))
        done.write_text(json.dumps({one["name"].lower(): one["version"] for one in listed}), encoding="utf-8")
    return Peer(name=package, folder=programs, version=json.loads(done.read_text("utf-8"))[package])


def _pip(programs: Path, *words: str) -> str:
    done = subprocess.run(
        [programs / "python", "-m", "pip", "--disable-pip-version-check", *words],
        env=environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Broken(f"pip {words[0]} failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
