"""Does jobs in this process and in ffmpeg processes of its own. One of two kinds of hands; the other is a cluster."""

import os
from collections.abc import Awaitable, Callable
from typing import Any, cast

from vgen.media import handwork
from vgen.media.hands import Bring, Brought, Done, Encode, Job, Look, Outcome, Poster, Put
from vgen.media.judge import Judge
from vgen.media.tools import Tools


class Here:
    """`Hands` of this machine, each job where its caller stands. What is not given can't be done."""

    def __init__(
        self,
        *,
        tools: Tools | None = None,
        judge: Judge | None = None,
        bring: Callable[[Bring], Awaitable[Brought]] | None = None,
    ) -> None:
        self._tools, self._judge, self._bring = tools, judge, bring

    @property
    def at_once(self) -> int:
        """One process a core."""
        return os.cpu_count() or 1

    async def do(self, job: Job[Done]) -> Done:
        """Raises OSError."""
        return cast("Done", await self._do(job))

    async def _do(self, job: Job[Any]) -> Any:
        match job:
            case Put():
                return await handwork.put(job)
            case Look():
                return await handwork.look(self._tools, job)
            case Bring() if job.kept and self._judge is not None:
                return Brought(outcome=Outcome.DONE, judgement=await self._judge(job.part, job.wanted))
            case Bring() if self._bring is not None:
                return await self._bring(job)
            case Encode() if self._tools is not None:
                return await handwork.encode(self._tools, job)
            case Poster() if self._tools is not None:
                return await handwork.draw(self._tools, job)
        raise AssertionError(f"BUG: nobody to do a {type(job).__name__}")
