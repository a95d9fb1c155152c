"""With `cluster=`: the workers of a cluster, as long as the tasks of a command run. Imports nothing of it without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from vgen.errors import Refusal
from vgen.views import terminal

if TYPE_CHECKING:
    from vgen.cli.session import Session
    from vgen.media.hands import Hands
    from vgen.media.tools import Tools

NEED_IT = frozenset({"conform"})
"""Commands that buy nothing, and for which an empty cluster is refused; a gallery is drawn here then."""


@asynccontextmanager
async def opened(session: "Session") -> AsyncIterator[None]:
    """Raises Refusal."""
    settings = session.workspace.settings
    if settings is None or session.workspace.problems or not settings.run.cluster:
        yield
        return
    from vgen.cluster.opened import opened as open_cluster

    run = session.run

    def tell(text: str) -> None:
        run.say(None, text, event="cluster")

    link = {} if session.services.link is None else {"link": session.services.link}
    async with open_cluster(settings, session.workspace.outputs.private, run.id, tell, **link) as found:
        session.elsewhere = run.elsewhere = found
        try:
            if session.selection.tasks & NEED_IT:
                await found.ready()
            yield
        finally:
            session.elsewhere = run.elsewhere = None


async def hands(session: "Session", tools: "Tools") -> "Hands":
    """Who works on files that are there."""
    from vgen.media.here import Here

    here = Here(tools=tools)
    if session.elsewhere is None:
        return here
    try:
        await session.elsewhere.ready()
    except Refusal as exc:
        terminal.line(None, f"{exc}; it is done here")
        return here
    return session.elsewhere.over(here, brings=False)
