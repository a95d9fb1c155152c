"""A form with a file in it (RFC 7578), as storage hosts take it from browsers. Pure, and the same for the same file."""

import hashlib
from collections.abc import Iterable


def form(
    fields: Iterable[tuple[str, str]], *, name: str, file_name: str, kind: str, content: bytes
) -> tuple[str, bytes]:
    """The Content-Type and the body: all fields as they are, then the file in the field `name`."""
    boundary = hashlib.sha256(content).hexdigest()  # no file holds its own hash
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(key)}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields
    ]
    head = f'Content-Disposition: form-data; name="{name}"; filename="{_quoted(file_name)}"\r\nContent-Type: {kind}'
    parts += [f"--{boundary}\r\n{head}\r\n\r\n".encode(), content, f"\r\n--{boundary}--\r\n".encode()]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts)


def _quoted(text: str) -> str:
    """As browsers write it (WHATWG HTML, multipart/form-data)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
