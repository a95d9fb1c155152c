"""Says "nothing to do" before anything heavy is imported, from the stamp of a run that left nothing to do.

The stamp holds one digest over the stat of every file that such a run goes by, the environment and vgen's own code.
Whatever differs, or is not understood, means: look properly. Imports nothing of vgen.
"""


# pathlib and settings take longer to import than all of this takes
# ruff: noqa: PTH100, PTH110, PTH112, PTH116, PTH118, PTH120, PTH123, PTH208, TID251

import hashlib
import marshal
import os
import sys

STAMP = os.path.join(".vgen", "finished")
"""Below `outputs`."""
VERSION = "vgen finished 2"
TICK_NS = 2_000_000_000
"""The coarsest file system's clock (FAT): what changed within it before a run began may change again unseen."""
CONFIG = "config/api_config.json"
"""The default of `api_config`; it may be missing, as the others of GIVEN may."""
GIVEN = ("dodo.py", "doit.cfg", "pyproject.toml", ".env", CONFIG)
"""Files that a run is given, beside those that it says it has read."""
BESIDE = (".", ".doit.db")
"""What else a run goes by there."""
WITHIN = ("", "clips", "takes", "ledger.db", "ledger.db-journal", "clips.json", "production_report.json",
          "gallery.html", os.path.join(".vgen", "holder.json"))  # fmt: skip
"""The same below `outputs`."""
KEYS = ("RUNWAYML_API_SECRET", "FAL_KEY")
"""Variables that hold a key and are not named `…_API_KEY`."""
CODE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

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
        if version == VERSION and digest == _digest(clips, *_facts(root, outputs, read)):
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
    texts, inputs, results = _facts(root, outputs, read)
    newest_ns = max(ns for _, numbers in inputs for ns in (*numbers[1::4], *numbers[2::4]))
    if newest_ns + TICK_NS > began_ns or given(root) != there or any("\0" in path for path in read):
        return None
    if not all(os.path.exists(os.path.join(root, path)) for path in read):
        return None
    names, numbers = results[-1]
    found = dict(zip(names, zip(numbers[0::4], numbers[1::4], strict=True), strict=True))
    if any(found.get(name) != stat for name, stat in left.items()):
        return None
    clips = str(len(left))
    return "\0".join((VERSION, clips, *read, _digest(clips, texts, inputs, results)))


_Stats = tuple[list[str], list[int]]
"""Names, and four numbers for each: size, mtime, ctime, inode. Flat, because there may be 100,000 of them."""


def _facts(root: str, outputs: str, read: list[str]) -> tuple[list[str], list[_Stats], list[_Stats]]:
    """Texts that decide; the stats of the files that a run is given, and of those that it makes, clips last."""
    texts = [sys.version, os.path.abspath(root)]
    texts += [f"{name}={text}" for name, text in sorted(os.environ.items()) if _decides(name)]
    inputs = [_named(root, (*GIVEN, *read)), *_tree(CODE)]
    results = [_named(root, BESIDE), _named(outputs, WITHIN), _listed(os.path.join(outputs, "clips"))]
    return texts, inputs, results


def _named(folder: str, names: tuple[str, ...]) -> _Stats:
    """Of those that are there: a link's target, and the link."""
    found: _Stats = ([], [])
    for name in names:
        path = os.path.join(folder, name)
        try:
            stats = (os.stat(path), os.lstat(path))
        except FileNotFoundError:
            continue
        for s in stats:
            found[0].append(name)
            found[1].extend((s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino))
    return found


def _listed(folder: str) -> _Stats:
    names = sorted(name for name in os.listdir(folder) if name != "__pycache__")
    start = folder + os.sep
    numbers: list[int] = []
    for name in names:
        s = os.lstat(start + name)
        numbers += (s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
    return names, numbers


def _tree(folder: str) -> list[_Stats]:
    """vgen's own code: every folder of the package, each by the stats of what is in it."""
    found = [_listed(folder)]
    for name in found[0][0]:
        if os.path.isdir(os.path.join(folder, name)):
            found += _tree(os.path.join(folder, name))
    return found


def _decides(variable: str) -> bool:
    return variable.startswith("VGEN_") or variable.endswith("_API_KEY") or variable in KEYS


def _digest(clips: str, texts: list[str], inputs: list[_Stats], results: list[_Stats]) -> str:
    return hashlib.sha256(marshal.dumps((clips, texts, inputs, results), 2)).hexdigest()  # 2: equal values, equal bytes
