"""`doit review`: one page on 127.0.0.1 to look at the film and choose, until Ctrl-C. Buys nothing, and needs no key."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vgen.cli.command import Action, Command
from vgen.errors import Refusal, ToolMissing
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session

EXTRA = "review"
EXAMPLE = "doit review"
MOST_PORT = 65_535


def _begin(session: "Session") -> Action:
    """Raises ToolMissing without the extra, Refusal if the port is taken or the ledger can't be read."""
    if find_spec("starlette") is None:
        from vgen.extras import how_to_install

        raise ToolMissing(f"doit review needs the package starlette; `{how_to_install(EXTRA)}` brings it")
    from vgen.cli import review_film
    from vgen.review import server

    session.view()  # a ledger that can't be trusted is told now
    port = int(session.variables.get("port", "0"))
    film = review_film.ReviewFilm(session)
    try:
        listening = server.listen(port)
    except OSError as exc:
        raise Refusal(f"port={port}: {exc.strerror}; name another, or leave port= out") from exc

    async def review() -> None:
        import trio

        from vgen.review import app, guard

        application, watch = app.application(film)
        guarded = guard.Guard(app=application, port=server.port_of(listening), token=guard.new_token())
        terminal.line(None, f"review at {guarded.address}", "review", address=guarded.address)
        terminal.line(None, "open it in a browser on this machine; Ctrl-C ends it")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch.run)
            nursery.start_soon(server.serve, guarded, listening)

    return review


def _check(variables: Mapping[str, str]) -> list[str]:
    port = variables.get("port", "0")
    fits = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= MOST_PORT
    return [] if fits else [f"port={port}: give a number from 0 (any free port) to {MOST_PORT}"]


COMMAND = Command(
    name="review",
    doc="a page on this machine to look at the film and choose takes; buys nothing, ends with Ctrl-C",
    usage=(("doit review", "look at the film and choose takes in a browser, free"),),
    variables=("port",),
    example=EXAMPLE,
    check=_check,
    begin=_begin,
    needs_lock=False,
)
