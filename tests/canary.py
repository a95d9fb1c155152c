"""Finds the canary that every key of the tests holds, however it is spelt, in files and in text."""

import base64
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

CANARY = "vgencanary"
EXEMPT = frozenset({".env", "api_config.json"})
"""Files that tests write, some with a key in them on purpose, and vgen only reads."""


def spellings(secret: str) -> set[bytes]:
    """`secret` as it is and in every encoding that it may be met in, also as a part of a longer text.

    Base64 has three spellings, one for each place in a group of three bytes; what its neighbours share is left out.
    """
    raw = secret.encode()
    found = {raw, "".join(f"%{byte:02x}" for byte in raw).encode(), "".join(f"%{byte:02X}" for byte in raw).encode()}
    found |= {raw.hex().encode(), raw.hex().upper().encode()}
    found |= {"".join(f"\\u{byte:04x}" for byte in raw).encode(), json.dumps(secret)[1:-1].encode()}
    found |= {secret.encode("utf-16-le"), secret.encode("utf-16-be")}
    for before in range(3):
        start, end = (0, 2, 3)[before], (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"\0" * before + raw)[start:end])
    return found


SPELLINGS = sorted(spellings(CANARY))


def found_in(data: bytes) -> bool:
    """Whether the canary is in these bytes."""
    return any(spelling in data for spelling in SPELLINGS)


def leaks(root: Path, *, exempt: Collection[str] = EXEMPT) -> Iterator[Path]:
    """Every file below `root` in which the canary can be read. Files that go away meanwhile are left out."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if name in exempt or path.is_symlink() or not path.is_file():
                continue
            try:
                data = path.read_bytes()
            except OSError:
                continue
            if found_in(data):
                yield path
