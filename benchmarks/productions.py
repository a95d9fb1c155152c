"""The same production for every build tool: N prompts in one file, a trivial clip for each, rebuilt by its own prompt.

Each function writes a project and returns the commands that build all of it and that build clip 7.
"""

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.workload import shots

NAMED = 7
SPLIT = """\
import json, os
from pathlib import Path
Path("prompts").mkdir(exist_ok=True)
Path("clips").mkdir(exist_ok=True)
numbers = []
for shot in json.loads(Path("visual_prompts.json").read_text()):
    file, text = Path(f"prompts/{shot['shot_number']}.txt"), shot["runway_prompt"]
    numbers.append(shot["shot_number"])
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
"""
"""One file a prompt, rewritten only if it changed: what make and its kin need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """One tool's project. `build`: everything; `one`: clip 7 alone."""

    root: Path
    build: Sequence[str]
    one: Sequence[str]

    def write(self, prompts: object) -> None:
        """Edit the shot list."""
        (self.root / "visual_prompts.json").write_text(json.dumps(prompts, indent=1), encoding="utf-8")


def _begin(root: Path, n: int) -> None:
    root.mkdir(parents=True)
    (root / "visual_prompts.json").write_text(json.dumps(shots(n), indent=1), encoding="utf-8")
    (root / "split.py").write_text(SPLIT, encoding="utf-8")


def empty(root: Path, peer: Peer) -> Production:
    """doit with nothing in it: its own start-up."""
    root.mkdir(parents=True)
    text = 'def task_none():\n    return {"actions": [], "uptodate": [True]}\n'
    (root / "dodo.py").write_text(text, encoding="utf-8")
    return Production(root=root, build=[str(peer.tool())], one=[str(peer.tool())])


def doit(root: Path, n: int, peer: Peer) -> Production:
    """Stock doit as its manual would do it: config_changed, targets, a report that depends on all clips."""
    _begin(root, n)
    (root / "clips").mkdir()
    (root / "dodo.py").write_text(
        """\
import json
from pathlib import Path
from doit.tools import config_changed

SHOTS = json.loads(Path("visual_prompts.json").read_text())
CLIPS = [f"clips/{shot['shot_number']}.mp4" for shot in SHOTS]

def make(prompt, targets):
    Path(targets[0]).write_text(prompt)

def report(targets):
    Path(targets[0]).write_text("done")

def task_clip():
    for shot, clip in zip(SHOTS, CLIPS):
        prompt = shot["runway_prompt"]
        yield {"name": str(shot["shot_number"]), "actions": [(make, [prompt])], "targets": [clip],
               "uptodate": [config_changed(prompt)]}

def task_report():
    return {"actions": [report], "file_dep": CLIPS, "targets": ["report.json"]}
""",
        encoding="utf-8",
    )
    tool = str(peer.tool())
    return Production(root=root, build=[tool], one=[tool, f"clip:{NAMED}"])


def make(root: Path, n: int, peer: Peer) -> Production:
    """GNU make: a file a prompt, and an included list of clips that remakes itself."""
    _begin(root, n)
    policy = 'Path("shots.mk").write_text("CLIPS := " + " ".join(f"clips/{k}.mp4" for k in numbers) + "\\n")\n'
    (root / "split.py").write_text(SPLIT + policy, encoding="utf-8")
    (root / "Makefile").write_text(
        "MAKEFLAGS += -r\n"
        "all: report.json\n"
        "include shots.mk\n"
        f"shots.mk: visual_prompts.json ; {shlex.quote(sys.executable)} split.py\n"
        "report.json: $(CLIPS) ; @echo done > $@\n"
        "$(CLIPS): clips/%.mp4: prompts/%.txt ; @cp $< $@\n",
        encoding="utf-8",
    )
    tool = str(peer.tool("make"))
    return Production(root=root, build=[tool, "-s"], one=[tool, "-s", f"clips/{NAMED}.mp4"])


def ninja(root: Path, n: int, peer: Peer) -> Production:
    """ninja: the same, with restat."""
    _begin(root, n)
    numbers = range(1, n + 1)
    (root / "build.ninja").write_text(
        f"rule split\n  command = {shlex.quote(sys.executable)} split.py\n  restat = 1\n"
        "rule clip\n  command = cp $in $out\nrule report\n  command = echo done > $out\n"
        f"build {' '.join(f'prompts/{k}.txt' for k in numbers)}: split visual_prompts.json\n"
        + "".join(f"build clips/{k}.mp4: clip prompts/{k}.txt\n" for k in numbers)
        + f"build report.json: report {' '.join(f'clips/{k}.mp4' for k in numbers)}\ndefault report.json\n",
        encoding="utf-8",
    )
    tool = str(peer.tool())
    return Production(root=root, build=[tool, "--quiet"], one=[tool, "--quiet", f"clips/{NAMED}.mp4"])


def snakemake(root: Path, n: int, peer: Peer) -> Production:
    """Snakemake: the split when the Snakefile is read."""
    _begin(root, n)
    (root / "Snakefile").write_text(
        'exec(open("split.py").read())\n'
        'rule all:\n    input: "report.json"\n'
        'rule report:\n    input: expand("clips/{k}.mp4", k=numbers)\n    output: "report.json"\n'
        '    run:\n        Path(output[0]).write_text("done")\n'
        'rule clip:\n    input: "prompts/{k}.txt"\n    output: "clips/{k}.mp4"\n'
        '    shell: "cp {input} {output}"\n',
        encoding="utf-8",
    )
    words = [str(peer.tool()), "--cores", "2", "--quiet", "all"]
    return Production(root=root, build=words, one=[*words, "--", f"clips/{NAMED}.mp4"])


def dvc(root: Path, n: int, peer: Peer) -> Production:
    """DVC: one stage a clip, without Git."""
    _begin(root, n)
    stages = {
        f"clip{k}": {
            "cmd": f"cp prompts/{k}.txt clips/{k}.mp4",
            "deps": [f"prompts/{k}.txt"],
            "outs": [{f"clips/{k}.mp4": {"cache": False}}],
        }
        for k in range(1, n + 1)
    }
    (root / "dvc.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n", encoding="utf-8")
    split = f"{shlex.quote(sys.executable)} split.py"
    repro = f"{split} && {shlex.quote(str(peer.tool()))} repro -q"
    return Production(root=root, build=["sh", "-c", repro], one=["sh", "-c", f"{repro} clip{NAMED}"])


def pytask(root: Path, n: int, peer: Peer) -> Production:
    """pytask: one task a clip, the split when the tasks are collected."""
    _begin(root, n)
    (root / "task_clips.py").write_text(
        """\
import os
from pathlib import Path
from typing import Annotated
from pytask import Product, task

os.chdir(Path(__file__).parent)
exec(Path("split.py").read_text())

for number in numbers:
    @task(id=str(number))
    def task_clip(prompt: Path = Path(__file__).parent / f"prompts/{number}.txt",
                  clip: Annotated[Path, Product] = Path(__file__).parent / f"clips/{number}.mp4"):
        clip.write_text(prompt.read_text())
""",
        encoding="utf-8",
    )
    words = [str(peer.tool()), "--verbose", "0"]
    return Production(root=root, build=words, one=[*words, "-k", f"task_clip[{NAMED}]"])


Maker = Callable[[Path, int, Peer], Production]
MAKERS: dict[str, Maker] = {
    "doit": doit,
    "make": make,
    "ninja": ninja,
    "snakemake": snakemake,
    "dvc": dvc,
    "pytask": pytask,
}
SMALL = frozenset({"snakemake", "dvc", "pytask"})
"""Not asked for 10,000: minutes a build."""
