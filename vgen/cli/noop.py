"""Says "nothing to do", or the plan, before anything heavy is imported, from what an earlier run left to be believed.

A stamp holds one digest over the stat of every file that such a run goes by, the environment and vgen's own code, and
digests of what was typed. Whatever differs, or is not understood, means: look properly.
"""


# pathlib and settings take longer to import than all of this takes
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH120, PTH123, PTH208, TID251

import hashlib
import marshal
import os
import sys

from vgen.cli import typed
from vgen.cli.typed import Typed

STAMP = os.path.join(".vgen", "finished")
"""Below `outputs`: what is finished. Entries of facts, numbers, links, two digests of what was typed, files read."""
PLANNED = os.path.join(".vgen", "planned")
"""Below `outputs`: plans. Entries of facts, a digest of what was typed, one of plan.json, text, nothing, files read."""
VERSION = "vgen finished 3"
ENTRY, FIELD = "\0\0", "\0"
FIELDS = 5
"""Before the files read."""
NONE = "-"
"""Instead of an empty field."""
TICK_NS = 2_000_000_000
"""The coarsest file system's clock (FAT): what changed within it before a run began may change again unseen."""
CONFIG = "config/api_config.json"
"""The default of `api_config`; it may be missing, as the others of GIVEN may."""
GIVEN = ("dodo.py", "doit.cfg", "pyproject.toml", ".env", CONFIG, "config/fal_endpoints.json")
"""Files that a run is given, beside those that it says it has read."""
BESIDE = (".", ".doit.db")
"""What else a run goes by there."""
WITHIN = ("", "clips", "takes", "ledger.db", "ledger.db-journal", "clips.json", "production_report.json",
          "gallery.html", os.path.join(".vgen", "holder.json"))  # fmt: skip
"""The same below `outputs`."""
PLAN_JSON = "plan.json"
KEYS = ("RUNWAYML_API_SECRET", "FAL_KEY")
"""Variables that hold a key and are not named `…_API_KEY`."""
CODE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_answers: dict[tuple[str, ...], str | None] = {}


def nothing_to_do(root: str = ".") -> bool:
    """Whether what was typed is answered, because nothing is to be done; False: nobody knows yet."""
    words = typed.understood(sys.argv[1:])
    if words is None:
        return False
    key = (root, *words.words())
    if key not in _answers:
        _answers[key] = answer(root, os.path.join(root, words.outputs()), words)
    text = _answers[key]
    if text is None:
        return False
    try:
        if words.is_plan:
            os.utime(os.path.join(root, words.outputs(), PLAN_JSON))  # a plan of this moment
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError, AttributeError):
        return False  # nobody listens; the long way knows what to do then
    return True


def summary(clips: int) -> str:
    """What a run says that had nothing to do."""
    counted = {0: "", 1: ", 1 clip is up to date"}.get(clips, f", {clips} clips are up to date")
    return f"vgen: nothing to do{counted}"


def answer(root: str, outputs: str, words: Typed) -> str | None:
    """What is to be said to these words; None if anything is not as it was, or nobody vouches for it."""
    try:
        if words.is_plan:
            return _planned(root, outputs, words)
        clips = up_to_date(root, outputs, words)
    except (OSError, ValueError):
        return None
    return None if clips is None else f"{summary(clips)}\n"


def up_to_date(root: str, outputs: str, words: Typed) -> int | None:
    """How many clips a stamp vouches for, of those that these words are about. Raises OSError, ValueError."""
    for facts, numbers, links, whole, named, *_ in _believed(root, outputs, STAMP):
        if whole == spelled("whole", facts, numbers, links, *words.words()):
            return len(_numbers(numbers))
        free = words.without_budget()
        if words.clips and free is not None and named == spelled("named", facts, numbers, links, *free):
            wanted = _with_sources(words.clips, links)
            return len(wanted) if wanted <= _numbers(numbers) else None
    return None


def _planned(root: str, outputs: str, words: Typed) -> str | None:
    """A plan's text, if plan.json says the same still. Raises OSError, ValueError."""
    for facts, told, sha256, text, *_ in _believed(root, outputs, PLANNED):
        if told == spelled("plan", facts, sha256, text, typed.program(), *words.words()):
            with open(os.path.join(outputs, PLAN_JSON), "rb") as file:
                return text if hashlib.sha256(file.read()).hexdigest() == sha256 else None
    return None


def _believed(root: str, outputs: str, name: str) -> list[list[str]]:
    """The entries of a stamp of which all facts are as they were. Raises OSError, ValueError."""
    known: dict[tuple[str, ...], str] = {}
    found = []
    for entry in entries(outputs, name):
        read = tuple(entry[FIELDS:])
        if read not in known:
            known[read] = digest(gathered(root, outputs, list(read)))
        if entry[0] == known[read]:
            found.append(entry)
    return found


def entries(outputs: str, name: str) -> list[list[str]]:
    """What a stamp holds, believed or not. Raises OSError, ValueError."""
    with open(os.path.join(outputs, name), encoding="utf-8") as file:
        version, *found = file.read().split(ENTRY)
    return [fields for entry in found if len(fields := entry.split(FIELD)) >= FIELDS] if version == VERSION else []


def spelled(*texts: str) -> str:
    """One digest of texts: what was typed may hold a password, so it is not written down."""
    return hashlib.sha256(marshal.dumps(list(texts), 2)).hexdigest()


def _numbers(text: str) -> set[int]:
    """`1-3,7`. Raises ValueError."""
    found: set[int] = set()
    for part in text.split(",") if text != NONE else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _with_sources(clips: list[int], links: str) -> set[int]:
    """These clips, and those whose frames they need: `3<2;4<3,1`. Raises ValueError."""
    sources = dict(link.split("<") for link in links.split(";")) if links != NONE else {}
    found: set[int] = set()
    waiting = list(clips)
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += [int(source) for source in sources.get(str(number), "").split(",") if source]
    return found


def given(root: str) -> list[str]:
    """Which of GIVEN are there."""
    return [name for name in GIVEN if os.path.lexists(os.path.join(root, name))]


_Stats = tuple[list[str], list[int]]
"""Names, and four numbers for each: size, mtime, ctime, inode. Flat, because there may be 100,000 of them."""


def gathered(root: str, outputs: str, read: list[str]) -> tuple[list[str], list[_Stats], list[_Stats]]:
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


def digest(facts: tuple[list[str], list[_Stats], list[_Stats]]) -> str:
    """One digest of all that `gathered` found."""
    return hashlib.sha256(marshal.dumps(facts, 2)).hexdigest()  # 2: equal values, equal bytes
