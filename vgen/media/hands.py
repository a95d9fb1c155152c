"""Work on a clip's bytes, as values: what is to be done, what came of it, and who does it. Knows no money and no key.

All of it may be done twice, or begun and lost: what counts is decided, booked and named by whoever asked.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from vgen.media.judge import Judgement, Wanted
from vgen.media.probe import Facts
from vgen.media.target_format import TargetFormat

VERSION = 1
"""Of jobs and of what comes of them; two sides with different ones do not work together."""


Done = TypeVar("Done")


class Job(Generic[Done]):
    """Something to be done, which ends with a Done."""

    __slots__ = ()


class Outcome(StrEnum):
    """How a job ended. Expected ends are values; an exception is a bug."""

    DONE = "done"
    EXPIRED = "expired"  # the address leads to no file any more
    BLOCKED = "blocked"  # it must not be opened, or leads to more bytes than are ever fetched
    BROKE = "broke"  # on the way; worth another try
    SLOW = "slow"
    DISK = "disk"  # the folder can't be written
    FULL = "full"  # no room is left there
    GONE = "gone"  # the file to work on is not there, or not with these bytes
    FAILED = "failed"  # the file can't be worked on: `reason` is the media error
    NOT_JUDGED = "not judged"  # the tool failed; says nothing about the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What came of a Bring. `told`: the server said how many bytes; `one_piece`: no connection broke.

    `judgement`: of bytes that were checked in the same job, else None. `part`: where they are. `by`: the host that did
    it, "" if this one did.
    """

    outcome: Outcome
    reason: str = ""
    etag: str | None = None
    part: Path | None = None
    sha256: str = ""
    size_bytes: int = 0
    told: bool = False
    one_piece: bool = True
    judgement: Judgement | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of a Put or an Encode: the file, and its bytes as they were written ("": nobody has hashed them)."""

    outcome: Outcome
    reason: str = ""
    part: Path | None = None
    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A small JPEG, or None if there is none to be had."""

    picture: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a file was when it was looked at."""

    outcome: Outcome
    reason: str = ""
    sha256: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    facts: Facts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bring(Job[Brought]):
    """Download an output into `part`, or take the bytes that are there, and check them.

    `url`: "" if the provider named none. `resume`, `etag`: a part of an earlier try, and what it must still be.
    `kept`: the bytes are in `part` already. `attempt`: how often this download was tried, with this one.
    """

    purchase_id: int
    base_url: str
    part: Path
    wanted: Wanted
    url: str = field(default="", repr=False)
    resume: Path | None = None
    etag: str | None = None
    kept: bool = False
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Put(Job[Made]):
    """Copy a take, which must have these bytes, into `part`: synced, and ready for its name."""

    take: Path
    part: Path
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode(Job[Made]):
    """Make `frames` frames of a clip in a form into `part`. `mark`: its digital source type, "" for no mark."""

    source: Path
    part: Path
    clip: Facts
    form: TargetFormat
    frames: int
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster(Job[Drawn]):
    """Draw a clip's poster frame."""

    clip: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Look(Job[Looked]):
    """Hash a file; with `probed`, say what it says that it is."""

    path: Path
    probed: bool = False


class Hands(Protocol):
    """Does jobs, here or elsewhere. What a file or a server is, is an outcome, and never raised."""

    @property
    def at_once(self) -> int:
        """How many jobs it is worth to give them at once."""
        ...

    async def do(self, job: Job[Done]) -> Done:
        """Do it to its end. Raises OSError if the disk of this machine does not let it."""
        ...


class Elsewhere(Protocol):
    """Hands on other machines, for one command."""

    async def ready(self) -> None:
        """See that somebody is there. Raises Refusal if not."""
        ...

    def over(self, here: Hands, *, brings: bool) -> Hands:
        """Hands that fall back on those here. `brings`: whether downloads may be asked of others."""
        ...
