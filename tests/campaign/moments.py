"""When a process is killed: by the clock, by what it says, by a file that appears, or at a durable act of its own."""

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

DIES = Path(__file__).with_name("dies.py")
LATEST_S = (0.7, 2.0)
"""Whatever is waited for: the kill comes no later than something in between."""
LOOK_S = 0.0005
WORDS = ("ordering", "ordering", "accepted as", "accepted as", "rendering at", "downloading", "ready:", "spent $")
FILES = {
    "outputs/ledger.db-journal": 6,
    "outputs/.vgen/parts/*.part": 2,
    "outputs/takes/*/*.mp4": 1,
    "outputs/clips/.clip_*.part": 1,
    "outputs/clips/clip_*.mp4": 1,
    "outputs/.clips.json.part": 1,
}
"""What comes and goes, and how often a shot makes it do so."""
ACTS = {"ledger.": 8, "part.": 2, "take.": 1, "clip.": 2}
"""How the names of durable points begin, and how many of them a shot meets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """`kind` clock: `delay_s` after the start; says, file: that long after the `nth` `what`; act: at that durable act.

    If that does not come, `latest_s` after the start.
    """

    kind: str
    what: str = ""
    nth: int = 1
    delay_s: float = 0.0
    latest_s: float = LATEST_S[1]

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.what} {self.nth} +{1000 * self.delay_s:.0f} ms"
            if self.what
            else f"{self.delay_s:.2f} s"
        )

    def command(self) -> Sequence[str]:
        """How doit is started to be killed at this moment."""
        if self.kind != "act":
            return [sys.executable, "-m", "doit"]
        when, name = self.what.split()
        return [sys.executable, str(DIES), when, name, str(self.nth)]


def draw(rng: random.Random, pending: int) -> Moment:
    """A moment at which something may be under way with that many shots to be made."""
    kind = rng.choices(("clock", "says", "file", "act"), (1, 3, 3, 5))[0]
    soon_s, latest_s = rng.choice((0.0, 0.001, 0.003, 0.01, 0.03)), rng.uniform(*LATEST_S)
    match kind:
        case "clock":
            early = rng.random() < 0.15
            return Moment(kind=kind, delay_s=rng.uniform(0.02, 0.4) if early else rng.uniform(0.4, 1.4))
        case "says":
            what, nth = rng.choice(WORDS), rng.randint(1, pending)
            return Moment(kind=kind, what=what, nth=nth, delay_s=soon_s, latest_s=latest_s)
        case "file":
            what, most = rng.choice(list(FILES.items()))
            return Moment(kind=kind, what=what, nth=rng.randint(1, most * pending), delay_s=soon_s, latest_s=latest_s)
    name, most = rng.choices(list(ACTS.items()), list(ACTS.values()))[0]
    what = f"{rng.choice(('before', 'after'))} {name}"
    return Moment(kind=kind, what=what, nth=rng.randint(1, most * pending), latest_s=latest_s)


def await_(moment: Moment, root: Path, processes: Sequence[Popen[bytes]], said: Callable[[], str]) -> None:
    """Return when the moment has come, or every process has ended."""
    began_s = time.monotonic()
    seen = _Seen(root, moment.what) if moment.kind == "file" else None
    due_s = began_s + (moment.delay_s if moment.kind == "clock" else moment.latest_s)
    came = False
    while time.monotonic() < due_s and any(process.poll() is None for process in processes):
        if not came and (
            (seen is not None and seen.count() >= moment.nth)
            or (moment.kind == "says" and said().count(moment.what) >= moment.nth)
        ):
            came, due_s = True, time.monotonic() + moment.delay_s
            continue
        time.sleep(LOOK_S)


class _Seen:
    """Counts the files of a pattern that were made or changed since the first look."""

    def __init__(self, root: Path, pattern: str) -> None:
        self._root, self._pattern = root, pattern
        self._known = self._now()
        self._count = 0

    def _now(self) -> set[tuple[str, int, int]]:
        found = set()
        for path in self._root.glob(self._pattern):
            try:
                stat = path.stat()
            except OSError:
                continue  # gone again
            found.add((path.name, stat.st_ino, stat.st_mtime_ns))
        return found

    def count(self) -> int:
        now = self._now()
        self._count += len(now - self._known)
        self._known |= now
        return self._count
