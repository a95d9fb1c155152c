"""Says "nothing to do" before anything heavy is imported, from a stamp that a run with nothing to do has left.

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
BESIDE = (".", "dodo.py", "doit.cfg", "pyproject.toml", ".env", ".doit.db")
"""Files and directories beside dodo.py that a run goes by."""
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


def stamp(root: str, outputs: str, read: list[str], *, clips: int, began_ns: int) -> str | None:
    """The stamp's text, after a run from `began_ns` on that had nothing to do and read these files besides.

    None if a file changed so late that the run may have seen an older one, or is gone by now.
    """
    facts, newest_ns = _facts(root, outputs, read)
    if newest_ns + TICK_NS > began_ns or any("\0" in path for path in read):
        return None
    if not all(os.path.exists(os.path.join(root, path)) for path in read):
        return None
    return "\0".join((VERSION, str(clips), *read, _digest(str(clips), facts)))


def _facts(root: str, outputs: str, read: list[str]) -> tuple[list[str], int]:
    """One text for everything that decides, and when the last of the files changed."""
    facts = [sys.version, os.path.abspath(root)]
    facts += [f"{name}={text}" for name, text in sorted(os.environ.items()) if _decides(name)]
    stats: list[tuple[str, os.stat_result]] = []
    for folder, names in ((root, (*BESIDE, *read)), (outputs, WITHIN)):
        for name in names:
            path = os.path.join(folder, name)
            try:
                stats += [(name, os.stat(path)), (name, os.lstat(path))]  # a link's target, and the link
            except FileNotFoundError:
                facts.append(f"{name} is missing")
    for folder in (CODE, os.path.join(CODE, "providers"), os.path.join(outputs, "clips")):
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        stats += sorted(entry for entry in found if entry[0] != "__pycache__")
    facts += [f"{name} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns} {s.st_ino}" for name, s in stats]
    return facts, max([max(s.st_mtime_ns, s.st_ctime_ns) for _, s in stats])


def _decides(variable: str) -> bool:
    return variable.startswith("VGEN_") or variable.endswith("_API_KEY") or variable in KEYS


def _digest(clips: str, facts: list[str]) -> str:
    return hashlib.sha256("\0".join([clips, *facts]).encode("utf-8", "surrogateescape")).hexdigest()
