"""Where a download's bytes come from: the port, and httpx's streams as one way. Knows no rule about addresses."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import httpx

Piece = bytes | memoryview
"""A view is good until the call that got it returns."""


class Broken(Exception):
    """A connection, or what came over it, did not reach its end; `str()` says how."""


class Answer(Protocol):
    """What one GET was answered with, its body still to come. Names of headers are lower case."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def pour(self, put: Callable[[Piece], None]) -> None:
        """Hand the body to `put`, in order, one call at a time, perhaps in a worker thread.

        What came before an error is handed over too.
        When this has ended, however it did, `put` is not called any more. Raises Broken or httpx's errors, and what
        `put` raises as it is.
        """


class Source(Protocol):
    """One GET without any key or cookie, over a connection of its own; no redirect is followed.

    `private`: the host may be this machine; else all its addresses have to be public.
    """

    def get(
        self, url: str, headers: Mapping[str, str], *, private: bool
    ) -> contextlib.AbstractAsyncContextManager[Answer]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """httpx's streams, all in the event loop: over memory streams, where no thread may be, or by a proxy with TLS."""

    public: httpx.AsyncClient
    private: httpx.AsyncClient

    @contextlib.asynccontextmanager
    async def get(self, url: str, headers: Mapping[str, str], *, private: bool) -> AsyncIterator[Answer]:
        client = self.private if private else self.public
        async with client.stream("GET", url, headers=headers) as response:
            yield _Streaming(status=response.status_code, headers=lower(response.headers), _response=response)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Streaming:
    status: int
    headers: Mapping[str, str]
    _response: httpx.Response

    async def pour(self, put: Callable[[Piece], None]) -> None:
        async for chunk in self._response.aiter_raw():
            put(chunk)


def lower(headers: httpx.Headers) -> dict[str, str]:
    """By names in lower case; a header that came twice is one, with commas."""
    return {name.lower(): value for name, value in headers.items()}
