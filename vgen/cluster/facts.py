"""What a worker says, read as a stranger's word: form, sizes, names. What does not hold is no answer."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from vgen.media import judge, probe
from vgen.media.hands import Bring, Brought, Drawn, Encode, Job, Look, Looked, Made, Outcome, Poster, Put
from vgen.media.judge import Verdict
from vgen.media.tools import one_line

MOST_POSTER_BYTES = 1 << 18
_Any = TypeVar("_Any", bound=BaseModel)
_PICTURE = (b"\xff\xd8", b"\xff\xd9")


class Untrue(Exception):
    """What a worker said is not what is there, or no answer at all; `str()` says what is wrong."""


class NotYet(Untrue):
    """A file that was told of is not there, or not to be seen here yet."""


def _cut(limit: int) -> Callable[[str], str]:
    return lambda text: one_line(text, limit)


Line = Annotated[str, StringConstraints(max_length=8_000), AfterValidator(_cut(500))]
Word = Annotated[str, StringConstraints(max_length=8_000), AfterValidator(_cut(80))]
Part = Annotated[str, StringConstraints(pattern=r"^\d+\.[0-9a-f]{16}\.part$", max_length=60)]
Picture = Annotated[str, StringConstraints(pattern=r"^\d+\.[0-9a-f]{16}\.jpg$", max_length=60)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")]
Size = Annotated[int, Field(ge=0, le=1 << 40)]
Side = Annotated[int, Field(gt=0, le=probe.MAX_SIDE)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Word
    pid: int


class Probed(_Said):
    """Who a worker is."""

    vgen: Word
    version: int
    ffmpeg: Word
    lacks: Line = ""
    sees: bool


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    width: Side
    height: Side
    duration_s: Annotated[float, Field(gt=0, le=probe.MAX_DURATION_S)]
    fps: Annotated[float, Field(ge=0, le=1000)]
    codec: Word
    has_audio: bool
    size_bytes: Size


class _Judgement(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    reason: Line
    facts: _Facts | None
    container: bool
    code: Annotated[str, StringConstraints(pattern=r"^[a-z_,]*$", max_length=200)]
    suffix: Annotated[str, StringConstraints(pattern=r"^\.[a-z0-9]{1,5}$")]
    lacking: bool
    remarks: Annotated[tuple[Line, ...], Field(max_length=20)]
    poster: Picture | None


class _Brought(_Said):
    outcome: Outcome
    reason: Line = ""
    etag: Annotated[str, StringConstraints(max_length=1_000, pattern=r'^"[\x21\x23-\x7e]*"$')] | None = None
    part: Part | None = None
    sha256: Sha256 = ""
    size_bytes: Size = 0
    told: bool = False
    one_piece: bool = True
    judgement: _Judgement | None = None


class _Made(_Said):
    outcome: Outcome
    reason: Line = ""
    part: Part | None = None
    sha256: Sha256 = ""
    size_bytes: Size = 0


class _Drawn(_Said):
    outcome: Outcome
    picture: Picture | None = None
    reason: Line = ""


class _Looked(_Said):
    outcome: Outcome
    reason: Line = ""
    sha256: Sha256 = ""
    size_bytes: Size = 0
    mtime_ns: Annotated[int, Field(ge=0, le=1 << 63)] = 0
    facts: _Facts | None = None


def probed(said: str) -> Probed:
    """Raises Untrue."""
    return _read(Probed, said)


def read(job: Job[Any], said: str, folder: Path, stem: int) -> Any:
    """What came of a job, its files seen to be there and as long as was said. Raises Untrue, OSError."""
    match job:
        case Bring():
            return _brought(job, _read(_Brought, said), folder, stem)
        case Put() | Encode():
            return _made(job, _read(_Made, said), folder, stem)
        case Poster():
            drawn = _read(_Drawn, said)
            return Drawn(picture=_picture(drawn.picture, folder, stem))
        case Look():
            found = _read(_Looked, said)
            _is_as_asked(job, found)
            facts = None if found.facts is None else probe.Facts(**found.facts.model_dump())
            return Looked(**found.model_dump(exclude={"host", "pid", "facts"}), facts=facts)
    raise AssertionError("BUG: a job of no kind")


def _brought(job: Bring, found: _Brought, folder: Path, stem: int) -> Brought:
    judgement = None
    if found.judgement is not None:
        told = found.judgement
        facts = None if told.facts is None else probe.Facts(**told.facts.model_dump())
        poster = _picture(told.poster, folder, stem)
        judgement = judge.Judgement(**told.model_dump(exclude={"facts", "poster"}), facts=facts, poster=poster)
    part = None
    if found.outcome is Outcome.DONE:
        if judgement is None:
            raise Untrue("a file without a judgement")
        if not job.kept:
            part = _file(found.part, found.size_bytes, folder, stem)
            if not found.sha256 or (judgement.facts is not None and judgement.facts.size_bytes != found.size_bytes):
                raise Untrue("two sizes, or no digest")
        elif judgement.facts is not None and judgement.facts.size_bytes != job.part.stat().st_size:
            raise Untrue("another size")
    elif found.part is not None:
        part = _own(found.part, folder, stem)
    return Brought(
        **found.model_dump(exclude={"host", "pid", "judgement", "part"}), part=part, judgement=judgement, by=found.host
    )


def _made(job: Put | Encode, found: _Made, folder: Path, stem: int) -> Made:
    part = None
    if found.outcome is Outcome.DONE:
        part = _file(found.part, found.size_bytes, folder, stem)
        if not found.sha256 or (
            isinstance(job, Put) and (found.sha256, found.size_bytes) != (job.sha256, job.size_bytes)
        ):
            raise Untrue("another file than was asked for")
    return Made(**found.model_dump(exclude={"host", "pid", "part"}), part=part)


def _is_as_asked(job: Look, found: _Looked) -> None:
    stat = job.path.stat()
    if (found.size_bytes, bool(found.sha256)) != (stat.st_size, True):
        raise Untrue("another size")
    if found.outcome is Outcome.DONE and job.probed and (found.facts is None or found.facts.size_bytes != stat.st_size):
        raise Untrue("no facts, or of another file")


def _own(name: str, folder: Path, stem: int) -> Path:
    if not name.startswith(f"{stem}."):
        raise Untrue("another job's file")
    return folder / name


def _file(name: str | None, size_bytes: int, folder: Path, stem: int) -> Path:
    """A part that is there, a plain file, as long as was said."""
    if name is None:
        raise Untrue("no file")
    path = _own(name, folder, stem)
    if not _is_there(path) or path.stat().st_size != size_bytes:
        raise Untrue("another size than is there")
    return path


def _is_there(path: Path) -> bool:
    """Whether it is a plain file. Opened by name, since NFS may believe an old look at the directory. Raises NotYet."""
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise NotYet("no such file") from None
    return path.is_file() and not path.is_symlink()


def _picture(name: str | None, folder: Path, stem: int) -> bytes | None:
    """A JPEG that a worker left, taken away from there."""
    if name is None:
        return None
    path = _own(name, folder, stem)
    if not _is_there(path) or path.stat().st_size > MOST_POSTER_BYTES:
        raise Untrue("no picture")
    data = path.read_bytes()
    path.unlink()
    if not (data.startswith(_PICTURE[0]) and data.endswith(_PICTURE[1])):
        raise Untrue("no picture")
    return data


def _read(kind: type[_Any], said: str) -> _Any:
    try:
        return kind.model_validate_json(said, strict=True)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])[:60]
        raise Untrue(f"{first['type']} {where}".strip()) from None
