"""The pictures that a shot is made from, as the gallery shows them. Pure.

A thumbnail is in the page once, however many shots show it.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from vgen.pictures import WORDS

MOST_WORDS = 60
"""Characters shown of a path or an address."""

_KEPT = re.compile(r'<image data-picture="([0-9a-f]{64})" href="data:image/jpeg;base64,([A-Za-z0-9+/=]+)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureView:
    """One picture that a shot is made from.

    `key` names its content, "" if there is no thumbnail to be had; `shot`: of whose clip it is a frame, `waits` for it
    to be made. `url`: where it is, if that is on the web; the page only links to it.
    """

    role: str
    words: str
    key: str = ""
    shot: int | None = None
    waits: bool = False
    url: str = ""

    @property
    def name(self) -> str:
        """Names its thumbnail: hexadecimal, so that it is an id in the page."""
        return name_of(self.key) if self.key else ""

    @property
    def link(self) -> str:
        """The address, unless it has more in it than a place: a query may hold a key."""
        parts = _split(self.url)
        plain = parts is not None and not (parts.query or parts.username or parts.password)
        return self.url if plain and self.url.startswith("https://") else ""

    @property
    def told(self) -> str:
        """Its words, in short; of an address, host and path."""
        words = self.words
        if self.url:
            parts = _split(self.url)
            words = f"{parts.hostname or ''}{parts.path}" if parts is not None else "on the web"
        return words if len(words) <= MOST_WORDS else f"…{words[1 - MOST_WORDS :]}"


def name_of(key: str) -> str:
    """What a thumbnail is called in the page, by its picture's content."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def by_role(pictures: Sequence[PictureView]) -> list[tuple[str, list[PictureView]]]:
    """What each role is called, and its pictures; in their order."""
    roles = dict.fromkeys(one.role for one in pictures)
    return [(WORDS[role].capitalize(), [one for one in pictures if one.role == role]) for role in roles]


def kept(html: Iterable[str]) -> dict[str, bytes]:
    """The thumbnails in a page's lines, by name: the next page need not draw them again."""
    return {match[1]: base64.b64decode(match[2]) for line in html for match in _KEPT.finditer(line)}
