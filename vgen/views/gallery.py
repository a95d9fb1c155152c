"""A page that shows the production: every shot with its clip, its takes, its money. Pure: a view in, one HTML file out.

The file opens from disk with the network off: style, script and poster frames are inside it, videos beside it.
"""

import base64
import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from vgen.money import show
from vgen.store.records import Budget
from vgen.views import gallery_pictures, gallery_words
from vgen.views.gallery_pictures import PictureView
from vgen.views.report import Gate

if TYPE_CHECKING:
    from jinja2 import Environment


HEAD_CHARS = 4096
"""The digest stands within so many characters of the page's beginning."""
PARTS = ("gallery.html", "gallery.css", "gallery.js")

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_WORD = re.compile(r"\S+\s*")
_DIGEST = re.compile(r'<meta name="vgen-digest" content="([0-9a-f]{64})">')
_POSTER = re.compile(r' data-film="([0-9a-f]{64})" poster="data:image/jpeg;base64,([A-Za-z0-9+/=]+)"')


class ShotStatus(StrEnum):
    """How a shot stands, the worst last."""

    GOOD = "good"
    STALE = "stale"  # a clip is in place, but the shot asks for something else by now
    RUNNING = "running"
    MISSING = "missing"  # not made yet
    HELD = "held"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One video file. `path` is relative to `outputs`; `sha256` is of its bytes, and names its poster frame."""

    path: str
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    fps: float | None = None
    has_audio: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeView:
    """One take of a shot. `price` in micro-dollars, `created_at` in unix seconds, `command` puts it in place.

    `label` is shown instead of `number` where numbers alone are ambiguous.
    """

    number: int
    film: Film
    good: bool
    prompt: str
    reason: str = ""
    provider: str | None = None
    model: str | None = None
    price: int | None = None
    created_at: float | None = None
    generation_s: float | None = None
    current: bool = False
    claims: str = ""
    command: str | None = None
    label: str = ""
    draft: bool = False

    @property
    def name(self) -> str:
        """What the page calls it."""
        return f"take {self.label or self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotView:
    """One shot as it stands. `prompt` is what is asked now; `made_from` the prompt of the clip in place, if another.

    `film` is the clip in place, `take` its number, `draft` whether it is one; `commands` are what the user may type.
    `shot_s`: how long it is in the film. `note` is the user's own. `pictures`: what it is made from; `leads_to`: the
    shots that are made from its frames.
    """

    number: int
    prompt: str
    status: ShotStatus
    reason: str = ""
    made_from: str | None = None
    film: Film | None = None
    take: int | None = None
    provider: str | None = None
    model: str | None = None
    price: int | None = None
    generation_s: float | None = None
    verdict: str = ""
    claims: str = ""
    draft: bool = False
    shot_s: float = 0.0
    locked: bool = False
    note: str = ""
    takes: Sequence[TakeView] = ()
    commands: Sequence[str] = ()
    pictures: Sequence[PictureView] = ()
    leads_to: Sequence[int] = ()

    @property
    def others(self) -> Sequence[TakeView]:
        """All takes, if there is one to choose or to see besides the clip in place."""
        return self.takes if any(not take.current for take in self.takes) else ()

    @property
    def reworded(self) -> bool:
        """Whether the clip in place was made from another prompt."""
        return self.made_from is not None and self.made_from != self.prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What makes the page one to choose on, for `doit review`: its own style and script beside the gallery's.

    `digest` changes with what is said of a shot. `only`: the numbers of the shots that are wanted; None: all.
    """

    digest: Callable[["ShotView"], str]
    only: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The whole production. `notes`: things that belong to no shot, in words.

    `film_s`: the cut's length in seconds; `slated_s`: its length with a slate for each missing shot.
    """

    title: str
    simulated: bool
    shots: Sequence[ShotView]
    gates: Sequence[Gate] = ()
    budget: Budget = field(default_factory=Budget)
    notes: Sequence[str] = ()
    film_s: float = 0.0
    slated_s: float = 0.0

    @property
    def counts(self) -> dict[ShotStatus, int]:
        """Shots of each status; standings that no shot has are left out."""
        found = {status: sum(shot.status is status for shot in self.shots) for status in ShotStatus}
        return {status: count for status, count in found.items() if count}

    @property
    def upright(self) -> bool:
        """Whether most clips are taller than wide."""
        films = [film for film in self.films.values() if film.width and film.height]
        return 2 * sum((film.height or 0) > (film.width or 0) for film in films) >= len(films)

    @property
    def films(self) -> dict[str, Film]:
        """Every video on the page once, by sha256: each wants a poster frame."""
        found = [film for shot in self.shots for film in (shot.film, *(take.film for take in shot.others)) if film]
        return {film.sha256: film for film in reversed(found)}

    @property
    def tiers(self) -> bool:
        """Whether drafts are on the page, so that finals are marked too."""
        return any(shot.draft or any(take.draft for take in shot.others) for shot in self.shots)

    @property
    def thumbnails(self) -> dict[str, PictureView]:
        """Every picture on the page once, by its name, that wants a thumbnail."""
        return {one.name: one for shot in self.shots for one in shot.pictures if one.key}


def digest(page: Page) -> str:
    """What `render` would show and with which template. Poster frames need not be known: a film's sha256 stands."""
    found = hashlib.sha256()
    for value in (*map(_part, PARTS), *page.shots, replace(page, shots=())):
        found.update(repr(value).encode())  # of values only; several times as fast as JSON
    return found.hexdigest()


def stated_digest(html: str) -> str | None:
    """The digest that a page was rendered with; its first HEAD_CHARS are enough."""
    match = _DIGEST.search(html, 0, HEAD_CHARS)
    return match[1] if match else None


def posters(html: Iterable[str]) -> dict[str, bytes]:
    """The poster frames in a page's lines, by sha256 of their films: the next page need not draw them again."""
    return {match[1]: base64.b64decode(match[2]) for line in html for match in _POSTER.finditer(line)}


def render(
    page: Page, poster_frames: Mapping[str, bytes] | None = None, thumbnails: Mapping[str, bytes] | None = None
) -> str:
    """The page as HTML. `poster_frames`: sha256 of a film → JPEG; a film without one shows its first frame.

    `thumbnails`: name of a picture → JPEG; of one without, its words are shown.
    """
    return "".join(pieces(page, poster_frames, thumbnails))


def pieces(
    page: Page,
    poster_frames: Mapping[str, bytes] | None = None,
    thumbnails: Mapping[str, bytes] | None = None,
    *,
    unfinished: bool = False,
    review: Review | None = None,
) -> Iterator[str]:
    """The page's HTML, piece by piece: of many shots it is long. `unfinished`: the next run makes the page again.

    `review`: the page is served, and can choose.
    """
    template = _environment().get_template(PARTS[0])
    html = template.stream(
        page=page,
        tiers=page.tiers,  # asked once: it looks at every shot
        posters=poster_frames or {},
        thumbnails=thumbnails or {},
        digest="" if unfinished or review else digest(page),
        style=_part("gallery.css"),
        script=_part("gallery.js"),
        policy=policy(review=review is not None),
        review=review,
        review_style=_part("review.css") if review else "",
        review_script=_part("review.js") if review else "",
        keys=take_keys,
        providers=sorted({shot.provider for shot in page.shots if shot.provider}),
        ranks={status: rank for rank, status in enumerate(ShotStatus)},
        ShotStatus=ShotStatus,
    )
    html.enable_buffering(200)
    yield next(html).lstrip()
    yield from html


def changes(old: str, new: str) -> tuple[list[tuple[bool, str]], list[tuple[bool, str]]]:
    """Both texts in runs of words, each with whether the other one lacks it."""
    was, now = _WORD.findall(old), _WORD.findall(new)
    matcher = difflib.SequenceMatcher(None, [word.strip() for word in was], [word.strip() for word in now])
    runs = matcher.get_opcodes()
    left = [(tag != "equal", "".join(was[i:j])) for tag, i, j, _, _ in runs if i < j]
    right = [(tag != "equal", "".join(now[m:n])) for tag, _, _, m, n in runs if m < n]
    return left, right


def take_keys(takes: Sequence[TakeView]) -> dict[int, str]:
    """Place in the row → the key that picks that take: its own number where that is plain, else a free one."""
    free = [str(digit) for digit in range(1, 10)]
    found: dict[int, str] = {}
    for at, take in enumerate(takes):
        if (name := take.label or str(take.number)) in free:
            found[at] = name
            free.remove(name)
    for at in range(len(takes)):
        if at not in found and free:
            found[at] = free.pop(0)
    return found


# ── how things are said ───────────────────────────────────────────────────────────────────────────────────────────────


def _fit_to_print(value: Any) -> Any:
    """Text without what HTML cannot hold: NUL, other control characters, halves of surrogate pairs."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _UNPRINTABLE.sub("\ufffd", value)
    return value


# ── the file's parts ──────────────────────────────────────────────────────────────────────────────────────────────────


def policy(*, review: bool = False) -> str:
    """Only this page's own style and script run; only videos are fetched, from where the page is.

    `review`: the page also asks its own server.
    """
    own = ("review.css", "review.js") if review else ()
    styles, scripts = (
        " ".join(f"'{_sha256_of(part)}'" for part in ("gallery" + ending, *own) if part.endswith(ending))
        for ending in (".css", ".js")
    )
    return "; ".join((
        "default-src 'none'",
        f"style-src {styles}",
        f"script-src {scripts}",
        "img-src data:",
        f"media-src 'self'{'' if review else ' file:'}",
        f"connect-src '{'self' if review else 'none'}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
    ))  # fmt: skip


def _sha256_of(part: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_part(part).encode()).digest()).decode()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # 50 ms, only where there is a page to write

    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_fit_to_print,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": show,
        "gate": gallery_words.gate,
        "seconds": gallery_words.seconds,
        "facts": gallery_words.facts,
        "moment": gallery_words.moment,
        "shares": gallery_words.shares,
        "src": gallery_words.src,
        "by_role": gallery_pictures.by_role,
        "jpeg": lambda data: base64.b64encode(data).decode(),
    }
    environment.globals["changes"] = changes
    return environment


@cache
def _part(name: str) -> str:
    return resources.files("vgen.views").joinpath(name).read_text("utf-8")
