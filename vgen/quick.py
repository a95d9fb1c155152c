"""Says "nothing to do" before anything heavy is imported, from a stamp that a run has left which left nothing to do.

The stamp holds one digest over the stat of every file that such a run goes by, the environment and vgen's own code.
Whatever differs, or is not understood, means: look properly. Imports nothing of vgen.
"""

# pathlib and settings take longer to import than all of this takes
# ruff: noqa: PTH100, PTH110, PTH116, PTH118, PTH120, PTH123, TID251

import hashlib
import os
import sys

STAMP = os.path.join(".vgen", "finished")
"""Below `outputs`."""
VERSION = "vgen finished 1"
TICK_NS = 2_000_000_000
"""The coarsest file system's clock (FAT): what changed within it before a run began may change again unseen."""
GIVEN = ("dodo.py", "doit.cfg", "pyproject.toml", ".env")
"""Files that a run is given, beside those that it says it has read."""
BESIDE = (".", ".doit.db")
"""What else a run goes by there."""
WITHIN = ("", "clips", "takes", "ledger.db", "ledger.db-journal", "clips.json", "production_report.json",
          "gallery.html", os.path.join(".vgen", "holder.json"))  # fmt: skip
"""The same below `outputs`."""
KEYS = ("RUNWAYML_API_SECRET", "FAL_KEY")
"""Variables that hold a key and are not named `…_API_KEY`."""
CODE = os.path.dirname(os.path.abspath(__file__))

_answers: dict[str, int | None] = {}


def nothing_to_do(root: str = ".") -> bool:
    """Whether a bare `doit` here has nothing to do, said to the person; False: nobody knows yet."""
    if sys.argv[1:]:
        return False
    if root not in _answers:
        _answers[root] = up_to_date(root, os.path.join(root, os.environ.get("VGEN_OUTPUTS", "outputs")))
    clips = _answers[root]
    if clips is None:
        return False
    try:
        sys.stdout.write(f"{summary(clips)}\n")
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        return False  # nobody listens; the long way knows what to do then
    return True


def summary(clips: int) -> str:
    """What a run says that had nothing to do."""
    counted = {0: "", 1: ", 1 clip is up to date"}.get(clips, f", {clips} clips are up to date")
    return f"vgen: nothing to do{counted}"


def up_to_date(root: str, outputs: str) -> int | None:
    """How many clips the stamp vouches for; None if anything is not as it was then."""
    try:
        with open(os.path.join(outputs, STAMP), encoding="utf-8") as file:
            version, clips, *read, digest = file.read().split("\0")
        if version == VERSION and digest == _digest(clips, _facts(root, outputs, read)[0]):
            return int(clips)
    except (OSError, ValueError):
        pass
    return None


def given(root: str) -> list[str]:
    """Which of GIVEN are there."""
    return [name for name in GIVEN if os.path.lexists(os.path.join(root, name))]


def stamp(
    root: str,
    outputs: str,
    read: list[str],
    *,
    left: dict[str, tuple[int, int]],
    began_ns: int,
    there: list[str],
) -> str | None:
    """The stamp's text, after a run from `began_ns` on that found these files given, and read these besides.

    `left`: clip → (size, mtime) as the run remembers to have left it.
    None if a file changed so late that the run may have seen an older one, or is gone, or a clip is not as left.
    """
    facts, inputs, results = _facts(root, outputs, read)
    newest_ns = max(max(s.st_mtime_ns, s.st_ctime_ns) for _, s in inputs)
    if newest_ns + TICK_NS > began_ns or given(root) != there or any("\0" in path for path in read):
        return None
    if not all(os.path.exists(os.path.join(root, path)) for path in read):
        return None
    found = {name: (s.st_size, s.st_mtime_ns) for name, s in results}
    if any(found.get(name) != stat for name, stat in left.items()):
        return None
    clips = str(len(left))
    return "\0".join((VERSION, clips, *read, _digest(clips, facts)))


_Stats = list[tuple[str, os.stat_result]]


def _facts(root: str, outputs: str, read: list[str]) -> tuple[list[str], _Stats, _Stats]:
    """One text for everything that decides; the files that a run is given, and those that it makes."""
    facts = [sys.version, os.path.abspath(root)]
    facts += [f"{name}={text}" for name, text in sorted(os.environ.items()) if _decides(name)]
    inputs = _named(root, (*GIVEN, *read), facts)
    for folder in (CODE, os.path.join(CODE, "providers")):
        inputs += _listed(folder)
    results = [*_named(root, BESIDE, facts), *_named(outputs, WITHIN, facts), *_listed(os.path.join(outputs, "clips"))]
    facts += [f"{name} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}" for name, s in inputs + results]
    return facts, inputs, results


def _named(folder: str, names: tuple[str, ...], facts: list[str]) -> _Stats:
    stats: _Stats = []
    for name in names:
        path = os.path.join(folder, name)
        try:
            stats += [(name, os.stat(path)), (name, os.lstat(path))]  # a link's target, and the link
        except FileNotFoundError:
            facts.append(f"{name} is missing")
    return stats


def _listed(folder: str) -> _Stats:
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return sorted(entry for entry in found if entry[0] != "__pycache__")


def _decides(variable: str) -> bool:
    return variable.startswith("VGEN_") or variable.endswith("_API_KEY") or variable in KEYS


def _digest(clips: str, facts: list[str]) -> str:
    return hashlib.sha256("\0".join([clips, *facts]).encode("utf-8", "surrogateescape")).hexdigest()
