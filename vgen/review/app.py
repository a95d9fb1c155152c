"""The review's application: a page, its film as JSON, events, media, and choices. Asks a `Film` for all of it."""

import json
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from vgen.errors import InputError, LockHeld, VgenError
from vgen.review import media
from vgen.review.choices import Choice, parse
from vgen.review.watch import LOOK_S, Watch

T = TypeVar("T")
IDLE_SHARE = 4.0
"""Of a long film that a build changes all the time, a fifth of a core at most goes into looking."""
HEARTBEAT_S = 15.0
"""How often an open page hears something, so that a connection that is gone is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """HTML, and the Content-Security-Policy that it needs."""

    html: str
    policy: str


class Film(Protocol):
    """What the server shows and changes. Called from one worker thread at a time; `state` from the event loop."""

    @property
    def outputs(self) -> Path: ...

    def state(self) -> Hashable:
        """A value that is another one as soon as the film may be another. Cheap."""
        ...

    def builder(self) -> int | None:
        """The process whose build holds the film just now."""
        ...

    def shots(self) -> Mapping[str, Any]:
        """The film as JSON. Raises VgenError."""
        ...

    def page(self, only: frozenset[int] | None) -> Page:
        """The page, or what it says of some shots. Raises VgenError."""
        ...

    def choose(self, choice: Choice) -> None:
        """Carry a choice out. Raises InputError, LockHeld, VgenError."""
        ...


class _Review:
    """The endpoints of one film."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self.watch = Watch(film.state)
        self._turn = trio.CapacityLimiter(1)
        self._told: tuple[int, bytes] | None = None

    async def _ask(self, act: Callable[[], T]) -> T:
        """In a thread, after whoever was first."""
        return await trio.to_thread.run_sync(act, limiter=self._turn)

    async def page(self, request: Request) -> Response:
        only = request.query_params.get("only")
        try:
            numbers = None if only is None else frozenset(int(number) for number in only.split(",") if number)
        except ValueError:
            raise HTTPException(400, "only: name shots by their numbers") from None
        made = await self._ask(lambda: self._film.page(numbers))
        policy = f"{made.policy}; frame-ancestors 'none'"
        headers = {"content-security-policy": policy, "content-type": "text/html; charset=utf-8"}
        return Response(made.html, headers=headers)

    async def film(self, _: Request) -> Response:
        self.watch.look()
        version = self.watch.version
        if self._told is None or self._told[0] != version:
            began = trio.current_time()
            shots = await self._ask(self._film.shots)
            self.watch.every_s = max(LOOK_S, IDLE_SHARE * (trio.current_time() - began))
            self._told = (version, json.dumps({"version": version, **shots}, ensure_ascii=False).encode())
        return Response(self._told[1], media_type="application/json")

    async def choose(self, request: Request) -> Response:
        choice = parse(request.path_params["kind"], await request.body())
        await self._ask(lambda: self._film.choose(choice))
        self.watch.look()
        return JSONResponse({"version": self.watch.version})

    async def media(self, request: Request) -> Response:
        return media.respond(self._film.outputs, request.path_params["folder"], request.path_params["name"])

    async def events(self, request: Request) -> Response:
        headers = {"content-type": "text/event-stream", "cache-control": "no-store"}
        if request.method == "HEAD":  # it has no body to wait for
            return Response(headers=headers)
        return StreamingResponse(self._events(), headers=headers)

    async def _events(self) -> AsyncIterator[bytes]:
        async with self.watch.watching():
            told = 0
            while True:
                version = await self.watch.later_than(told, at_most_s=HEARTBEAT_S)
                fact = {"version": version, "builder": self._film.builder()}
                yield b": still here\n\n" if version == told else f"event: film\ndata: {json.dumps(fact)}\n\n".encode()
                told = version


def application(film: Film) -> tuple[Starlette, Watch]:
    """The application, and what must run beside it."""
    review = _Review(film)
    routes = [
        Route("/", review.page),
        Route("/api/film", review.film),
        Route("/api/events", review.events),
        Route("/api/{kind:str}", review.choose, methods=["POST"]),
        Route("/{folder:str}/{name:path}", review.media),
    ]
    handlers: Mapping[Any, Any] = {InputError: _bad, LockHeld: _busy, VgenError: _failed, HTTPException: _refused}
    made = Starlette(routes=routes, exception_handlers=handlers)
    made.router.redirect_slashes = False
    return made, review.watch


async def _bad(_: Request, exc: InputError) -> Response:
    return _error(400, "; ".join(exc.problems))


async def _busy(_: Request, exc: LockHeld) -> Response:
    return _error(409, str(exc).partition(";")[0])  # without the advice for the command line


async def _failed(_: Request, exc: VgenError) -> Response:
    return _error(500, str(exc))


async def _refused(_: Request, exc: HTTPException) -> Response:
    return JSONResponse({"error": exc.detail}, status_code=exc.status_code, headers=exc.headers)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": " ".join(text.split())}, status_code=status)
