"""What a folder of conformed clips was made from, so that only changes are encoded again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ValidationError

from vgen.errors import MediaError, NotJudged, NotSigned
from vgen.media import target_format
from vgen.media.probe import Facts
from vgen.store import atomic, failpoints
from vgen.store.outputs import clip_name

RECORD = "conformed.json"
CUT_RECORD = "cut.json"
Tell = Callable[[int | None, str], None]
"""Shows a line to the user: shot number or None, text."""


class Steps(Protocol):
    """Is told how far long work has come."""

    def begin(self, what: str, total: int = 0) -> None:
        """The next part of the work, and its number of steps."""
        ...

    def step(self, number: int | None = None, text: str = "") -> None:
        """One more step is done; `text`: a line about it, for the shot with this number."""
        ...

    def measure(self, what: str, total_bytes: int, done: Callable[[], int]) -> None:
        """The next part of the work, one that writes a file about so large; `done`: how large it is by now."""
        ...


class Unwatched:
    """Nobody wants to know."""

    def begin(self, what: str, total: int = 0) -> None:
        """Nothing."""

    def step(self, number: int | None = None, text: str = "") -> None:
        """Nothing."""

    def measure(self, what: str, total_bytes: int, done: Callable[[], int]) -> None:
        """Nothing."""


# ── what was made of what ─────────────────────────────────────────────────────────────────────────────────────────────


class Seen(BaseModel, frozen=True):
    """A file as it was. The digest is asked only if size or time differ."""

    size_bytes: int
    mtime_ns: int
    sha256: str


class Entry(BaseModel, frozen=True):
    """One conformed clip: what it was made of, as what, and the file itself.

    `made_by`: its digital source type; `provenance`: what decided what it says of its making.
    """

    source: Seen
    facts: Facts
    form: str
    frames: int
    duration_s: float
    output: Seen
    made_by: str = ""
    provenance: str = ""


class Record(BaseModel):
    version: int = target_format.VERSION
    clips: dict[int, Entry] = {}


def seen_already(path: Path, before: Seen) -> Seen | None:
    """`before` if the file still has the size and time that it had; None: it must be looked at. Raises OSError."""
    stat = path.stat()
    return before if (before.size_bytes, before.mtime_ns) == (stat.st_size, stat.st_mtime_ns) else None


def see(path: Path, before: Seen | None = None) -> Seen:
    """The file as it is now. Raises OSError."""
    if before is not None and (seen := seen_already(path, before)) is not None:
        return seen
    stat = path.stat()
    return Seen(size_bytes=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=atomic.sha256(path))


def unchanged(path: Path, before: Seen) -> bool:
    try:
        return see(path, before).sha256 == before.sha256
    except OSError:
        return False


def read_record(folder: Path) -> Record:
    """The record; an empty one if there is none that this version understands: all is then made again, free."""
    with suppress(OSError, ValidationError):
        record = Record.model_validate_json((folder / RECORD).read_bytes())
        if record.version == target_format.VERSION:
            return record
    return Record()


def why_not_made(exc: MediaError | OSError, number: int) -> str:
    """Why, and what to do: it is the tool's fault, the disk's, or the clip's."""
    match exc:
        case NotSigned():
            return f"{exc}; see `doit credentials`, or leave it unsigned with sign=no"
        case NotJudged():
            return f"{exc}; run again, or see `doit doctor`"
        case MediaError():
            return f"{exc}; put a whole file there, or `doit -a clip:{number}` buys a new take"
        case _:
            return f"{exc.strerror or exc}; put that right and run again"


def publish(part: Path, final: Path) -> None:
    """Give a finished file its name: its bytes synced, then the name, then the directory."""
    with part.open("rb+") as file, failpoints.failpoint("conformed.fsync"):
        failpoints.fsync(file.fileno())
    with failpoints.failpoint("conformed.replace"):
        part.replace(final)
        atomic.sync_directory(final.parent)


# ── cut ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_place(folder: Path, numbers: Sequence[int]) -> dict[int, Entry]:
    """The conformed clips of these shots that are there, in this order."""
    clips = read_record(folder).clips
    return {
        number: clips[number]
        for number in numbers
        if number in clips and unchanged(folder / clip_name(number), clips[number].output)
    }
