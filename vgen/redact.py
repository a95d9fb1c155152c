"""Takes secrets out of text. The last line of defence: keys should not get here in the first place."""

import base64
import functools
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "[key]"
_PASSWORD = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://[^/?#:]*):[^/?#]*@")
_SHAPES = re.compile(r"(?i)\b(bearer|key)\s+[a-z0-9_:.\-]{16,}|\bkey_[a-z0-9]{16,}")


def redact(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, as they are, URL-quoted or in base64, and without what looks like a key."""
    return _SHAPES.sub(MASK, exactly(text, secrets, min_length=4))


def without_password(value: str) -> str:
    """A run variable's value as it may be shown: of an address, PASSWORD in place of the password."""
    return _PASSWORD.sub(r"\1:PASSWORD@", value)


def exactly(text: str, secrets: Iterable[str], *, min_length: int) -> str:
    """`text` without these secrets, and otherwise as it was: for text that is still to be read by a program."""
    for spelling in _all_spellings(tuple(secrets), min_length):
        text = text.replace(spelling, MASK)
    return text


@functools.lru_cache(maxsize=16)
def _all_spellings(secrets: tuple[str, ...], min_length: int) -> list[str]:
    """Longest first: a key that begins like another must not leave a rest."""
    found = {spelling for secret in secrets if len(secret) >= min_length for spelling in _spellings(secret)}
    return sorted(found, key=len, reverse=True)


def _spellings(secret: str) -> Iterator[str]:
    yield secret
    yield repr(secret)[1:-1]
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield quoted
        yield re.sub("%..", lambda code: code.group().lower(), quoted)
    for before in range(3):
        # Inside longer data (Basic auth: name:key) it begins anywhere in a group of three bytes; the characters
        # that its neighbours share are left out.
        start = (0, 2, 3)[before]
        end = (before + len(secret.encode())) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + secret.encode()).decode()[start:end]
